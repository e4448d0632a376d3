"""Which model comes first, which next: comparisons of models over the same seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from adaptrnn.figure.style import LABELS
from adaptrnn.paper.verdict import Part, part

__all__ = ["listing", "more", "next_best"]


def next_best(
    values: xr.DataArray, models: Sequence[str], better: Callable[..., str]
) -> tuple[str, xr.DataArray]:
    """The best of some models on average over seeds.

    Args:
        values: of every model, (model, seed).
        models: the models to choose from.
        better: `min` or `max`.

    Returns:
        Its label and its values (seed,); all NaN if one of the models has no value at all, as then
        nobody knows which is best.

    Example:
        >>> values = xr.DataArray(
        ...     [[3.0, 1.0], [1.0, 2.0]], coords={"model": ["relu", "gru"], "seed": [0, 1]}
        ... )
        >>> next_best(values, ["relu", "gru"], min)[0]
        'GRU'
    """
    mean = values.sel(model=list(models)).mean("seed")
    if not bool(mean.notnull().all()):
        return "the others", xr.full_like(values.isel(model=0, drop=True), np.nan, dtype=float)
    best = better(models, key=lambda model: float(mean.sel(model=model)))
    return LABELS[best], values.sel(model=best, drop=True)


def more(quantity: str, difference: xr.DataArray, unit: str = " pp", digits: str = "+.1f") -> Part:
    """The part of a claim that a difference (seed,) is greater than 0."""
    return part(quantity, difference.values, lambda d: d > 0, unit, digits)


def listing(what: str, values: xr.DataArray, digits: str = ".1f") -> str:
    """Means over seeds of all models that have one, as a sentence.

    Example:
        >>> values = xr.DataArray([[3.0, 1.0]], coords={"model": ["gru"], "seed": [0, 1]})
        >>> listing("Mean drop (pp)", values)
        'Mean drop (pp): GRU 2.0.'
    """
    mean = values.mean("seed").dropna("model")
    shown = [f"{LABELS[str(m)]} {float(mean.sel(model=m)):{digits}}" for m in mean.model.values]
    return f"{what}: {'; '.join(shown)}."
