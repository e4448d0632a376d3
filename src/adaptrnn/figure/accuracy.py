"""Accuracy of every model in every condition (Geadah et al. 2024, Table 1)."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.style import LABELS, colour, letters, marker, subplots

__all__ = ["accuracy"]


def accuracy(data: xr.Dataset) -> Figure:
    """Draw a row for each model, a panel for each condition, a dot for each seed.

    Args:
        data: `accuracy` (model, seed, condition), 0 to 1.

    Returns:
        The figure.
    """
    conditions = data.condition.values
    figure, axes = subplots(1, len(conditions), height=2.6, sharey=True, sharex=True)
    rows = np.arange(data.sizes["model"])[::-1]
    for axis, condition in zip(axes[0], conditions, strict=True):
        for row, model in zip(rows, data.model.values, strict=True):
            values = 100 * data.accuracy.sel(model=model, condition=condition).values
            axis.plot([np.nanmean(values)] * 2, [row - 0.32, row + 0.32], color=colour(model))
            axis.plot(
                values,
                np.full(len(values), row),
                ls="",
                marker=marker(model),
                alpha=0.75,
                color=colour(model),
                clip_on=False,
            )
        axis.set(title=str(condition), xlim=(0, 100), xlabel="accuracy (%)")
        axis.set_yticks(rows, [LABELS[model] for model in data.model.values])
        axis.grid(axis="y", visible=False)
    letters(axes)
    return figure
