"""The controller's manifold and the level sets of the slope (Geadah et al. 2024, Fig 5a, b)."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.style import colour, letters, shades, subplots

__all__ = ["level_sets", "manifold"]


def manifold(data: xr.Dataset) -> Figure:
    """Draw trajectories and steady states of the controller, a panel for each seed.

    Args:
        data: `path` (role, model, seed, current, time, component), `steady` (role, model, seed,
            start, current, component), `share` (role, model, seed, component) of one role and
            model.

    Returns:
        The figure.
    """
    data = data.isel(role=0, model=0)
    seeds, currents = data.seed.values, data.current.values
    wide = max(4.4, 2.9 * len(seeds))
    figure, axes = subplots(1, len(seeds), width=wide, height=3.3)
    tones = shades(len(currents))
    for axis, seed in zip(axes[0], seeds, strict=True):
        one = data.sel(seed=seed)
        for k, tone in enumerate(tones):
            path, ends = one.path.isel(current=k), one.steady.isel(current=k)
            axis.plot(*path.transpose("component", "time"), color=tone, lw=0.7, alpha=0.7)
            shown = k in (0, len(tones) // 2, len(tones) - 1)
            label = f"a = {currents[k]:.2g}" if shown else None
            x, y = ends.transpose("component", "start")
            axis.scatter(x, y, 26, color=tone, lw=0, label=label, zorder=3)
        parts = [
            f"component {k + 1}" + (f" ({float(v):.0%})" if np.isfinite(v) else "")
            for k, v in enumerate(one["share"].values)
        ]
        axis.set(xlabel=parts[0], ylabel=parts[1], title=f"seed {seed}")
    letters(axes)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(handles))
    return figure


def level_sets(data: xr.Dataset) -> Figure:
    """Draw (n, s) of every neuron at the onset and steady with the level sets, and the residual.

    Args:
        data: `n`, `s` (role, model, seed, stage, xi, neuron), `level` (role, model, seed, xi,
            gain), `residual` (role, model, seed, stage, xi) of one role and model.

    Returns:
        The figure.
    """
    data = data.isel(role=0, model=0)
    figure, axes = subplots(1, 3, width=9, height=3.5)
    tones = shades(data.sizes["xi"])
    steady = data.s.values[np.isfinite(data.s.values)]
    low, high = np.quantile(steady, [0.005, 0.995]) if steady.size else (0.0, 0.1)
    limits = (min(-0.05, 1.3 * low), max(0.05, 1.3 * high))
    for axis, stage in zip(axes[0], ("onset", "steady"), strict=False):
        for xi, tone in zip(data.xi.values, tones, strict=True):
            one = data.sel(stage=stage, xi=xi)
            curve = data.level.sel(xi=xi).isel(seed=0)
            axis.plot(data.gain, curve, color=tone, lw=0.9)
            axis.scatter(one.n, one.s, 5, color=tone, lw=0, label=f"ξ = {xi:g}", rasterized=True)
        axis.set(xlabel="gain n", ylabel="saturation s", title=stage, ylim=limits)
        gains = data.n.values[np.isfinite(data.n.values)]
        if gains.size:
            axis.set_xlim(max(0.2, gains.min() - 1), min(12, gains.max() + 1))
    last = axes[0, 2]
    for stage, tone in (("onset", "gamma"), ("steady", "arun")):
        for k in range(data.sizes["seed"]):
            values = data.residual.sel(stage=stage).isel(seed=k)
            settings = {"color": colour(tone), "ms": 3.5, "label": None if k else stage}
            last.plot(data.xi, values, "o-", **settings)
    last.axhline(0.01, color=colour("relu"), lw=0.9, ls=":")
    last.set(xlabel="drive ξ", ylabel="rms distance of the slope", yscale="log")
    last.legend()
    letters(axes)
    handles, labels = axes[0, 1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(handles), markerscale=2)
    return figure
