"""Validation accuracy during training, and against the learning rate."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.style import colour, ink, label_of, letters, marker, subplots

__all__ = ["learning_curves", "learning_rates"]


def learning_curves(data: xr.Dataset) -> Figure:
    """Draw validation accuracy against the epoch, a panel for each task.

    Args:
        data: `validation_accuracy` (role, model, seed, epoch), 0 to 1.

    Returns:
        The figure.
    """
    roles = data.role.values.tolist()
    figure, axes = subplots(1, len(roles), width=3.6 * len(roles), height=3.2)
    for axis, role in zip(axes[0], roles, strict=True):
        for model in data.model.values.tolist():
            curves = 100 * data.validation_accuracy.sel(role=role, model=model)
            lines = curves.transpose("epoch", "seed").values
            settings = {"color": colour(model), "lw": 1.0, "alpha": 0.8}
            axis.plot(data.epoch, lines, **settings)
            label = {"label": label_of(model)} if axis is axes[0, 0] else {}
            axis.plot([], [], color=colour(model), **label)
        axis.axhline(10, color=ink(), lw=0.8, ls=":")
        axis.set(xlabel="epoch", title=role, ylim=(0, 100))
    axes[0, 0].set_ylabel("validation accuracy (%)")
    figure.legend(ncols=4, loc="outside lower center")
    letters(axes)
    return figure


def learning_rates(data: xr.Dataset) -> Figure:
    """Draw validation accuracy against the peak learning rate, a panel for each task.

    Args:
        data: `accuracy` (role, model, rate, seed), 0 to 1.

    Returns:
        The figure.
    """
    roles = data.role.values.tolist()
    figure, axes = subplots(1, len(roles), width=3.6 * len(roles), height=3.2)
    for axis, role in zip(axes[0], roles, strict=True):
        for model in data.model.values.tolist():
            one = 100 * data.accuracy.sel(role=role, model=model)
            mean = one.mean("seed").dropna("rate")
            label = {"label": label_of(model)} if axis is axes[0, 0] else {}
            axis.plot(mean.rate, mean, color=colour(model), lw=1.2, **label)
            rates = np.repeat(one.rate.values[:, None], one.sizes["seed"], 1)
            dots = one.transpose("rate", "seed").values
            axis.plot(rates, dots, marker(model), color=colour(model), ms=4, lw=0)
        axis.set(xlabel="peak learning rate", title=role, xscale="log", ylim=(0, 100))
    axes[0, 0].set_ylabel("validation accuracy (%)")
    figure.legend(ncols=4, loc="outside lower center")
    letters(axes)
    return figure
