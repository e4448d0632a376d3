"""Which model is better? Models are compared over the same seeds.

Who is compared with whom follows the paper's text. "RNN+ReLU" is a ReLU network and "RNN+gamma" has
its own (n, s) in every neuron. The network of the released scripts, which is linear, and the one
that shares one (n, s) are shown next to them. Where a drive goes into the network LSTM and GRU are
shown only: the paper sees no parallel to it in a gated network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from adaptrnn.figure.style import label_of
from adaptrnn.model import MODELS
from adaptrnn.paper.item import ROLES, drop_empty
from adaptrnn.paper.note import means_along
from adaptrnn.paper.verdict import Part, part
from adaptrnn.preset import PRESETS

__all__ = [
    "GATED",
    "OTHER",
    "PLAIN",
    "TASK_LABELS",
    "best_model",
    "drop_missing",
    "image_note",
    "lead",
    "lead_over_next",
    "leads",
    "mean_note",
    "paired_difference",
]

PLAIN = ("relu", "gamma")
"""The paper's networks without adaptation and without gates."""
GATED = tuple(name for name, model in MODELS.built_in.items() if model.gated)
"""Gated networks: compared where nothing but the stimulus changes."""
OTHER = ("linear", "gamma-shared")
"""Networks that the paper's text does not compare: shown, never judged."""
TASK_LABELS = {role: PRESETS[role].label for role in ROLES}
"""The paper's names of its tasks."""


def paired_difference(values: xr.DataArray, first: str, second: str) -> xr.DataArray:
    """Return the difference of two models, paired by seed; NaN where either is missing."""
    return values.sel(model=first, drop=True) - values.sel(model=second, drop=True)


def best_model(
    values: xr.DataArray, models: Sequence[str], better: Callable[..., str]
) -> str | None:
    """Return the model with the best mean over seeds; None if one of them has no number.

    Args:
        values: of every model, (model, seed).
        models: among which to choose.
        better: `min` or `max`, whichever is good.
    """
    mean = values.mean("seed").reindex(model=list(models))
    if bool(mean.isnull().any()):
        return None
    return better(models, key=lambda name: float(mean.sel(model=name)))


def lead(
    model: str,
    other: str,
    values: xr.DataArray,
    better: Callable[..., str],
    what: str,
    unit: str = " pp",
    digits: str = "+.1f",
    label: str = "",
) -> Part:
    """Return the part of a claim that one model is better than another, over the seeds of both.

    Args:
        model: the model that should be better.
        other: the other model.
        values: of every model, (model, seed).
        better: `min` or `max`, whichever is good.
        what: the quantity.
        unit: behind the numbers.
        digits: format of the numbers.
        label: put behind the other model's name.

    Returns:
        A difference that is above 0 if the model is better.

    Example:
        >>> rows = {"model": ["arun", "gru"], "seed": [0, 1]}
        >>> values = xr.DataArray([[1.0, 1.0], [2.0, 3.0]], coords=rows)
        >>> found = lead("arun", "gru", values, min, "drop")
        >>> found.quantity, found.number, found.holds
        ('drop, GRU minus ARUN', '+1.5 pp', 'yes')
    """
    if not {model, other} <= set(values.model.values.tolist()):
        values = values.reindex(model=[model, other])
    names = [label_of(model), label_of(other) + label]
    signed = paired_difference(values, model, other)
    if better is min:
        names, signed = names[::-1], -signed
    return part(f"{what}, {names[0]} minus {names[1]}", signed.values, unit, digits, above=0)


def leads(
    model: str,
    others: Sequence[str],
    values: xr.DataArray,
    better: Callable[..., str],
    what: str,
    unit: str = " pp",
    digits: str = "+.1f",
) -> list[Part]:
    """Return `lead` over each of several models."""
    return [lead(model, other, values, better, what, unit, digits) for other in others]


def lead_over_next(
    model: str,
    others: Sequence[str],
    values: xr.DataArray,
    better: Callable[..., str],
    what: str,
    unit: str = " pp",
    digits: str = "+.1f",
) -> Part:
    """Return `lead` over the next best of several models; no data if one has none.

    Example:
        >>> rows = {"model": ["arun", "gru", "relu"], "seed": [0, 1]}
        >>> values = xr.DataArray([[1.0, 1.0], [2.0, 3.0], [5.0, 6.0]], coords=rows)
        >>> lead_over_next("arun", ["gru", "relu"], values, min, "drop").quantity
        'drop, GRU (next best) minus ARUN'
    """
    best = best_model(values, others, better)
    if best is None:
        return part(f"{what}, {label_of(model)} against the next best", np.nan, above=0)
    return lead(model, best, values, better, what, unit, digits, " (next best)")


def mean_note(what: str, values: xr.DataArray, digits: str = ".1f") -> str:
    """Say the means over seeds of all models that have one; empty if none has.

    Args:
        what: the quantity with its unit, which begins the sentence.
        values: of every model, (model, seed).
        digits: format of the means.

    Example:
        >>> rows = {"model": ["lstm", "gru"], "seed": [0, 1]}
        >>> values = xr.DataArray([[3.0, 1.0], [4.0, 5.0]], rows)
        >>> mean_note("The mean loss in nats", values)
        'The mean loss in nats is 2.0 for LSTM and 4.5 for GRU.'
    """
    labels = {str(model): label_of(str(model)) for model in values.model.values}
    shown = means_along(values, "model", digits, link="for ", words=labels)
    return f"{what} is {shown}." if shown else ""


def drop_missing(data: xr.Dataset) -> xr.Dataset:
    """Return only roles, models and seeds that have any number; all if none has one.

    Example:
        >>> rows = {"role": ["psmnist"], "model": ["arun", "gru"], "seed": [0]}
        >>> whole = xr.Dataset({"a": (tuple(rows), [[[1.0], [float("nan")]]])}, rows)
        >>> drop_missing(whole).model.values.tolist()
        ['arun']
        >>> drop_missing(whole.where(False)).sizes["model"]
        2
    """
    kept = data
    for dim in ("role", "model", "seed"):
        kept = drop_empty(kept, dim)
        if not kept.sizes[dim]:
            return data
    return kept


def image_note(count: xr.DataArray) -> str:
    """Say how many test images were used, with the largest standard error of an accuracy.

    Example:
        >>> image_note(xr.DataArray([1000.0, 359.0]))
        'With 359 test images, one accuracy has a standard error of at most 2.6 percentage points.'
    """
    least = count.min()
    if not bool(least.notnull()):
        return ""
    error = 50 / float(least) ** 0.5
    return (
        f"With {int(least):,} test images, one accuracy has a standard error of at most "
        f"{error:.1f} percentage points."
    )
