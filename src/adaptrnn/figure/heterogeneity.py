"""Gains and saturations: learned ones, noise (Geadah et al. 2024, Fig 3)."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.style import colour, ink, letters, shades, subplots

__all__ = ["curve_spread", "scaling"]

_SIGNALS = {"n": "gain n", "s": "saturation s"}


def curve_spread(data: xr.Dataset) -> Figure:
    """Draw (n, s) of every neuron after training, a panel for each seed, and where they started.

    Args:
        data: `n`, `s`, `n_initial`, `s_initial` (role, model, seed, neuron) of one task and model.

    Returns:
        The figure.
    """
    data = data.isel(role=0, model=0)
    seeds = data.seed.values.tolist()
    figure, axes = subplots(1, len(seeds), height=2.8, sharex=True, sharey=True)
    tone = colour(str(data.model.values))
    for axis, seed in zip(axes[0], seeds, strict=True):
        one = data.sel(seed=seed)
        axis.axhline(0, color=ink(), lw=0.6)
        axis.scatter(one.n, one.s, 14, color=tone, alpha=0.7, lw=0, label="trained")
        start = (one.n_initial, one.s_initial)
        axis.scatter(*start, 60, color=ink(), marker="+", lw=1.4, label="start", zorder=3)
        axis.set(title=f"seed {seed}", xlabel=_SIGNALS["n"])
    axes[0, 0].set_ylabel(_SIGNALS["s"])
    axes[0, -1].legend()
    letters(axes)
    return figure


def scaling(data: xr.Dataset) -> Figure:
    """Draw gain, saturation and output variance under noise whose size switches.

    Args:
        data: `n_mean`, `s_mean` (role, model, seed, time, xi); `n_steady`, `s_steady` (..., xi);
            `n_value`, `s_value` (..., shape, parameter); `variance` (..., condition, xi), of one
            task and model.

    Returns:
        The figure.
    """
    data = data.isel(role=0, model=0)
    figure, axes = subplots(2, 3, width=9, height=5.2)
    xi = data.xi.values
    fine = xr.DataArray(np.geomspace(xi.min(), xi.max(), 200), dims="xi_fine")
    fits = {"n": ("power", "a ξ^-b + c"), "s": ("exponential", "a exp(-b ξ) + c")}
    for column, (name, label) in enumerate(_SIGNALS.items()):
        course, steady = axes[0, column], axes[1, column]
        for value, tone in zip(xi, shades(len(xi)), strict=True):
            mean = data[f"{name}_mean"].sel(xi=value).mean("seed")
            course.plot(data.time, mean, color=tone, lw=1.1, label=f"ξ = {value:g}")
        for switch in (200, 400):
            course.axvline(switch, color=ink(), lw=0.7)
        course.set(xlabel="time (steps)", ylabel=label)
        shape, text = fits[name]
        for seed in data.seed.values:
            one = data[f"{name}_steady"].sel(seed=seed)
            steady.plot(xi, one, "o", color=colour("arun"), alpha=0.6, ms=4)
        a, b, c = (data[f"{name}_value"].sel(shape=shape, parameter=key) for key in "abc")
        curve = a * (fine**-b if shape == "power" else np.exp(-b * fine)) + c
        steady.plot(fine, curve.mean("seed"), color=ink(), label=text)
        steady.set(xlabel="sd of the noise, ξ", ylabel=f"steady {label}")
        steady.legend()
    handles, labels = axes[0, 0].get_legend_handles_labels()
    axes[0, 2].legend(handles, labels, loc="center", title="sd of the noise")
    axes[0, 2].set_axis_off()
    for condition, tone, mark in (("adaptive", "arun", "o"), ("frozen", "gamma", "^")):
        one = data["variance"].sel(condition=condition)
        axes[1, 2].plot(xi, one.mean("seed"), color=colour(tone), marker=mark, label=condition)
        band = (one.min("seed"), one.max("seed"))
        axes[1, 2].fill_between(xi, *band, color=colour(tone), alpha=0.15, lw=0)
    axes[1, 2].set(xlabel="sd of the noise, ξ", ylabel="variance of the rates")
    if bool((data["variance"] > 0).any()):
        axes[1, 2].set(xscale="log", yscale="log")
    axes[1, 2].legend()
    letters([axes[0, 0], axes[0, 1], *axes[1]])
    return figure
