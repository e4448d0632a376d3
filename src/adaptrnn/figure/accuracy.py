"""Accuracy of every model in every condition (Geadah et al. 2024, Table 1)."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.style import colour, label_of, letters, marker, subplots

__all__ = ["accuracy_bars"]


def accuracy_bars(data: xr.Dataset) -> Figure:
    """Draw a row of panels for each task, a panel for each condition, a dot for each seed.

    Args:
        data: `accuracy` (role, model, seed, condition), 0 to 1; NaN where a run is missing.

    Returns:
        The figure; accuracies from the ten below the least to 100%.
    """
    roles, conditions = data.role.values.tolist(), data.condition.values.tolist()
    shape = (len(roles), len(conditions))
    figure, axes = subplots(*shape, height=0.4 + 2.3 * len(roles), sharey=True, sharex=True)
    least = float((100 * data.accuracy).min())
    limits = (10 * np.floor(max(least - 2, 0) / 10), 100) if np.isfinite(least) else (0, 100)
    places = np.arange(data.sizes["model"])[::-1]
    names = [label_of(model) for model in data.model.values.tolist()]
    for row, role in zip(axes, roles, strict=True):
        for axis, condition in zip(row, conditions, strict=True):
            axis.set(title=condition, xlim=limits)
            axis.set_yticks(places, names)
            axis.grid(axis="y", visible=False)
            for place, model in zip(places, data.model.values.tolist(), strict=True):
                one = 100 * data.accuracy.sel(role=role, model=model, condition=condition)
                settings = {"color": colour(model), "marker": marker(model), "alpha": 0.75}
                axis.plot([float(one.mean())] * 2, [place - 0.32, place + 0.32], c=colour(model))
                axis.plot(one, np.full(one.size, place), ls="", clip_on=False, **settings)
        row[0].set_ylabel(role)
    for axis in axes[-1]:
        axis.set_xlabel("accuracy (%)")
    letters(axes)
    return figure
