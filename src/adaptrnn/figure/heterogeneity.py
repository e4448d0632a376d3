"""Learned gains and saturations of every neuron (Geadah et al. 2024, Fig 3a, top)."""

from __future__ import annotations

import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.style import colour, ink, letters, subplots

__all__ = ["heterogeneity"]


def heterogeneity(data: xr.Dataset) -> Figure:
    """Draw (n, s) of every neuron after training, a panel for each seed, and where they started.

    Args:
        data: `n`, `s` (model, seed, neuron); `n_initial`, `s_initial` (model, seed, neuron).

    Returns:
        The figure.
    """
    seeds = data.seed.values
    figure, axes = subplots(1, len(seeds), height=2.7, sharex=True, sharey=True)
    for axis, seed in zip(axes[0], seeds, strict=True):
        for model in data.model.values:
            one = data.sel(model=model, seed=seed)
            axis.axhline(0, color=ink(), lw=0.6)
            axis.scatter(one.n, one.s, 14, color=colour(model), alpha=0.7, lw=0, label="trained")
            start = (one.n_initial, one.s_initial)
            axis.scatter(*start, 60, color=ink(), marker="+", lw=1.4, label="start", zorder=3)
        axis.set(title=f"seed {seed}", xlabel="gain n")
    axes[0, 0].set_ylabel("saturation s")
    axes[0, -1].legend()
    letters(axes)
    return figure
