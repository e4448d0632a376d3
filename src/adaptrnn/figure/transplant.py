"""Accuracy with a transplanted controller (Geadah et al. 2024, Fig S17)."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.style import colour, ink, subplots

__all__ = ["transplant_accuracy"]


def transplant_accuracy(data: xr.Dataset) -> Figure:
    """Draw a pair of bars for each condition, a line for each pair of networks.

    Args:
        data: `accuracy` (role, model, seed, controller, condition), 0 to 1, of one task and model.

    Returns:
        The figure.
    """
    rates = 100 * data.accuracy.isel(role=0, model=0)
    conditions = rates.condition.values.tolist()
    figure, axes = subplots(1, 1, width=6, height=3)
    axis, middle, half = axes[0, 0], np.arange(len(conditions)), 0.2
    for side, name, tone in ((-half, "own", "gamma"), (half, "transplanted", "arun")):
        mean = rates.sel(controller=name).mean("seed")
        settings = {"color": colour(tone), "alpha": 0.55, "label": name}
        axis.bar(middle + side, mean, 2 * half - 0.04, **settings)
    for place, condition in zip(middle, conditions, strict=True):
        pairs = rates.sel(condition=condition, controller=["own", "transplanted"])
        lines = pairs.transpose("controller", "seed").values
        axis.plot([place - half, place + half], lines, "o-", color=ink(), lw=0.9, ms=3.5)
    axis.set(ylim=(0, 100), ylabel="test accuracy (%)")
    axis.set_xticks(middle, conditions)
    axis.grid(axis="x", visible=False)
    figure.legend(title="controller", ncols=2, loc="outside lower center")
    return figure
