"""Effects against the size of a network, and against curve and initial matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.style import colour, label_of, letters, marker, subplots

__all__ = ["initial_matrices", "ladder_effects"]


def ladder_effects(data: xr.Dataset, names: Sequence[str], words: Mapping[str, str]) -> Figure:
    """Draw every effect against the rung, a panel each.

    Args:
        data: effects (model, seed, rung).
        names: what stands under each rung.
        words: names of the effects, and what stands above their panels; a loss and a gradient on
            a logarithmic axis.

    Returns:
        The figure.
    """
    figure, axes = subplots(2, 3, width=10, height=5.6)
    place = np.arange(len(names))
    models = data.model.values.tolist()
    for axis, (name, title) in zip(axes.flat, words.items(), strict=True):
        for k, model in enumerate(models):
            one = data[name].sel(model=model).transpose("rung", "seed")
            shift = 0.08 * (k - (len(models) - 1) / 2)
            label = {"label": label_of(model)} if axis is axes[0, 0] else {}
            axis.plot(place + shift, one.mean("seed"), color=colour(model), **label)
            dots = {"color": colour(model), "ms": 4, "lw": 0}
            axis.plot(place + shift, one.values, marker(model), **dots)
        if name in ("loss", "gradient") and bool((data[name] > 0).any()):
            axis.set_yscale("log")
        axis.set_title(title)
        axis.set_xticks(place, names, fontsize="x-small")
    figure.legend(ncols=3, loc="outside lower center")
    letters(axes)
    return figure


def initial_matrices(data: xr.Dataset, words: Mapping[str, str]) -> Figure:
    """Draw accuracy for each f-I curve and each initial matrix, a panel for each condition.

    Args:
        data: `accuracy` (role, model, seed, initial, condition), 0 to 1, of one role.
        words: what each initial matrix is called.

    Returns:
        The figure.
    """
    rates = 100 * data.accuracy.isel(role=0)
    matrices, models = data.initial.values.tolist(), data.model.values.tolist()
    conditions = data.condition.values.tolist()
    figure, axes = subplots(1, len(conditions), width=4.5 * len(conditions), height=3.2)
    place = np.arange(len(matrices))
    for axis, condition in zip(axes[0], conditions, strict=True):
        for k, model in enumerate(models):
            one = rates.sel(model=model, condition=condition).transpose("initial", "seed")
            shift = 0.12 * (k - (len(models) - 1) / 2)
            label = {"label": label_of(model)} if axis is axes[0, 0] else {}
            axis.plot(place + shift, one.mean("seed"), "_", color=colour(model), ms=12, **label)
            dots = {"color": colour(model), "ms": 4, "lw": 0}
            axis.plot(place + shift, one.values, marker(model), **dots)
        axis.set(title=condition, ylim=(0, 100), xlabel="initial W_hh")
        axis.set_xticks(place, [words[name] for name in matrices])
    axes[0, 0].set_ylabel("test accuracy (%)")
    figure.legend(ncols=3, loc="outside lower center")
    letters(axes)
    return figure
