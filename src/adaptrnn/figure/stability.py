"""Lyapunov exponents and eigenvalues (Geadah et al. 2024, Fig 5c-e)."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.style import LABELS, colour, ink, letters, shades, subplots

__all__ = ["eigenvalues", "exponents"]


def exponents(data: xr.Dataset) -> Figure:
    """Draw largest exponents after the onset of a drive, and against the drive.

    Args:
        data: `lyapunov` (role, model, seed, definition, condition, xi), `after_onset` (role, model,
            seed, xi_onset, delay) of one role and model.

    Returns:
        The figure.
    """
    data = data.isel(role=0, model=0)
    definitions = data.definition.values.tolist()
    figure, axes = subplots(1, 1 + len(definitions), width=10, height=3.3)
    for xi, tone in zip(data.xi_onset.values, shades(data.sizes["xi_onset"]), strict=True):
        one = data.after_onset.sel(xi_onset=xi)
        axes[0, 0].plot(data.delay, one.mean("seed"), "o-", color=tone, label=f"ξ = {xi:g}")
        band = (one.min("seed"), one.max("seed"))
        axes[0, 0].fill_between(data.delay, *band, color=tone, alpha=0.15, lw=0)
    axes[0, 0].set(xlabel="steps after the onset", title="after the onset")
    axes[0, 0].set_ylabel("largest exponent (1/step)")
    axes[0, 0].legend()
    for axis, definition in zip(axes[0, 1:], definitions, strict=True):
        for condition, tone, mark in (("adaptive", "arun", "o"), ("fixed", "gamma", "^")):
            one = data.lyapunov.sel(definition=definition, condition=condition)
            settings = {"color": colour(tone), "marker": mark, "label": condition}
            axis.plot(data.xi, one.mean("seed"), **settings)
            band = (one.min("seed"), one.max("seed"))
            axis.fill_between(data.xi, *band, color=colour(tone), alpha=0.15, lw=0)
        axis.set(xlabel="drive ξ", title=f"definition {definition}")
    axes[0, 1].legend()
    for axis in axes[0]:
        axis.axhline(0, color=ink(), lw=0.8)
    letters(axes)
    return figure


def eigenvalues(data: xr.Dataset) -> Figure:
    """Draw eigenvalues before and after training, a panel for each model.

    Args:
        data: `real_part`, `imaginary_part` (role, model, seed, network, eigenvalue), `radius`
            (role, model, seed, network) of one role.

    Returns:
        The figure.
    """
    data = data.isel(role=0)
    models = data.model.values.tolist()
    shape = (1, len(models))
    figure, axes = subplots(*shape, width=8, height=4.2, sharex=True, sharey=True)
    angle = np.linspace(0, 2 * np.pi, 200)
    for axis, model in zip(axes[0], models, strict=True):
        titles = []
        axis.plot(np.cos(angle), np.sin(angle), color=ink(), lw=0.8)
        for network, tone, size in (("initial", ink(), 5), ("trained", colour(model), 9)):
            one = data.sel(model=model, network=network)
            settings = {"color": tone, "lw": 0, "alpha": 0.7, "label": network}
            axis.scatter(one.real_part, one.imaginary_part, size, **settings)
            radius = float(one.radius.mean())
            titles.append(f"{radius:.2f}" if np.isfinite(radius) else "no data")
        axis.set(xlabel="real part", aspect="equal")
        axis.set_title(f"{LABELS[model]}: radius {titles[0]} → {titles[1]}")
        axis.legend(loc="upper right", frameon=True, edgecolor="none", framealpha=0.8)
    axes[0, 0].set_ylabel("imaginary part")
    letters(axes)
    return figure
