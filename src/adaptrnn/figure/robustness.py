"""Accuracy and loss against the strength of a perturbation (Geadah et al. 2024, Fig 2b, c)."""

from __future__ import annotations

import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.style import LABELS, colour, letters, marker, subplots

__all__ = ["robustness"]


def robustness(data: xr.Dataset) -> Figure:
    """Draw accuracy and loss of each model: mean over seeds, band from the least to the greatest.

    Args:
        data: `accuracy` (0 to 1) and `loss`, (model, seed, strength); the name of the strength
            stands in data.strength.attrs["long_name"].

    Returns:
        The figure.
    """
    figure, axes = subplots(1, 2, height=3.1)
    for axis, name, label, factor in (
        (axes[0, 0], "accuracy", "test accuracy (%)", 100),
        (axes[0, 1], "loss", "test loss (nats)", 1),
    ):
        for model in data.model.values:
            values = factor * data[name].sel(model=model)
            line = {"color": colour(model), "marker": marker(model), "label": LABELS[model]}
            axis.plot(data.strength, values.mean("seed"), **line, clip_on=False)
            low, high = values.min("seed"), values.max("seed")
            axis.fill_between(data.strength, low, high, color=colour(model), alpha=0.15, lw=0)
        axis.set(xlabel=data.strength.attrs["long_name"], ylabel=label)
    axes[0, 0].set_ylim(0, 100)
    axes[0, 1].set_yscale("log")
    letters(axes)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure
