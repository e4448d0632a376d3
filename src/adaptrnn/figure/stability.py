"""Lyapunov exponents and eigenvalues (Geadah et al. 2024, Fig 5c-e)."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.style import colour, ink, label_of, letters, marker, subplots
from adaptrnn.model import MODELS

__all__ = ["eigenvalues", "exponents"]


def exponents(data: xr.Dataset) -> Figure:
    """Draw sizes of largest exponents after the onset of a drive, and against the drive.

    Args:
        data: `lyapunov` (role, model, seed, definition, condition, xi), `after_onset` (role, model,
            seed, xi_onset, delay) of one role.

    Returns:
        The figure.
    """
    data = data.isel(role=0)
    definitions = data.definition.values.tolist()
    figure, axes = subplots(1, 1 + len(definitions), width=10, height=3.3)
    for xi, dash in ((5.0, "--"), (30.0, "-")):
        for model in data.model.values.tolist():
            one = abs(data.after_onset.sel(xi_onset=xi, model=model))
            settings = {"color": colour(model), "ls": dash, "marker": marker(model), "ms": 4}
            axes[0, 0].plot(data.delay, one.mean("seed"), **settings)
            band = (one.min("seed"), one.max("seed"))
            axes[0, 0].fill_between(data.delay, *band, color=colour(model), alpha=0.12, lw=0)
    axes[0, 0].set(xlabel="steps after the onset", title="ξ = 5 (dashed) and 30")
    axes[0, 0].set_ylabel("size of the largest exponent (1/step)")
    for axis, definition in zip(axes[0, 1:], definitions, strict=True):
        for model in data.model.values.tolist():
            fixed = ":" if MODELS[model].has_controller else "-"
            for condition, dash in (("adaptive", "-"), ("fixed", fixed)):
                one = abs(
                    data.lyapunov.sel(definition=definition, condition=condition, model=model)
                )
                if not bool(one.notnull().any()):
                    continue
                held = f"{label_of(model)}, (n, s) at rest" if dash == ":" else label_of(model)
                settings = {"color": colour(model), "ls": dash, "label": held, "ms": 4}
                axis.plot(data.xi, one.mean("seed"), marker=marker(model), **settings)
                band = (one.min("seed"), one.max("seed"))
                axis.fill_between(data.xi, *band, color=colour(model), alpha=0.12, lw=0)
        axis.set(xlabel="drive ξ", title=f"definition {definition}")
    if axes[0, 1].get_legend_handles_labels()[0]:
        axes[0, 1].legend(fontsize="small")
    for axis in axes[0]:
        if any(np.isfinite(line.get_ydata()).any() for line in axis.lines):
            axis.set_yscale("log")
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
    width = 4 * len(models) if len(models) < 3 else 10
    figure, axes = subplots(*shape, width=width, height=4.2, sharex=True, sharey=True)
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
        axis.set_title(f"{label_of(model)}\nradius {titles[0]} → {titles[1]}")
        axis.legend(loc="upper right", frameon=True, edgecolor="none", framealpha=0.8)
    axes[0, 0].set_ylabel("imaginary part")
    letters(axes)
    return figure
