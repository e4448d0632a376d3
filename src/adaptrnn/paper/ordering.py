"""Which model comes first, which next: comparisons of models over the same seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import xarray as xr

from adaptrnn.figure.style import LABELS
from adaptrnn.paper.item import present
from adaptrnn.paper.verdict import Part, part

__all__ = ["BASELINES", "ahead", "baselines", "images", "known", "listing", "more", "roles"]

BASELINES = ("relu", "linear")
"""What the paper's RNN+ReLU may be: with the nonlinearity of its text, and the network of the
released scripts, which has none."""


def ahead(
    model: str,
    values: xr.DataArray,
    better: Callable[..., str],
    what: str,
    unit: str = " pp",
    digits: str = "+.1f",
    others: Sequence[str] | None = None,
) -> list[Part]:
    """The parts of a claim that a model comes first.

    The paper's baseline is a ReLU network in its text and a linear one in the released scripts.
    Both readings are judged: against the best of the others without the linear network, and
    against the linear network.

    Args:
        model: the model that should come first.
        values: of every model, (model, seed); a model without any value leaves no data.
        better: `min` or `max`, whichever is good.
        what: the quantity.
        unit: behind the numbers.
        digits: format of the numbers.
        others: the models to compare with; default: all others.

    Returns:
        Two parts, each a difference that is > 0 if the model is ahead.

    Example:
        >>> rows = {"model": ["arun", "gru", "linear"], "seed": [0, 1]}
        >>> values = xr.DataArray([[1.0, 1.0], [2.0, 3.0], [0.0, 0.0]], coords=rows)
        >>> [(p.quantity, p.holds) for p in ahead("arun", values, min, "drop")]
        [('drop: GRU (next best) - ARUN', 'yes'), ('drop: RNN (linear) - ARUN', 'no')]
    """
    names = [str(m) for m in values.model.values] if others is None else list(others)
    rest = [name for name in names if name not in (model, "linear")]
    mean = values.mean("seed")
    known = bool(mean.sel(model=rest).notnull().all())
    best = better(rest, key=lambda name: float(mean.sel(model=name))) if known else rest[0]
    first, found = LABELS[model], []
    for name, label in ((best, f"{LABELS[best]} (next best)"), ("linear", LABELS["linear"])):
        other = values.sel(model=name)
        if name == best and not known:
            label, other = "next best", other.where(False)
        difference = values.sel(model=model) - other
        order = f"{first} - {label}" if better is max else f"{label} - {first}"
        signed = difference if better is max else -difference
        found.append(more(f"{what}: {order}", signed, unit, digits))
    return found


def more(quantity: str, difference: xr.DataArray, unit: str = " pp", digits: str = "+.1f") -> Part:
    """The part of a claim that a difference (seed,) is greater than 0."""
    return part(quantity, difference.values, lambda d: d > 0, unit, digits)


def listing(what: str, values: xr.DataArray, digits: str = ".1f") -> str:
    """Means over seeds of all models that have one, as a sentence; empty if none has.

    Example:
        >>> values = xr.DataArray([[3.0, 1.0]], coords={"model": ["gru"], "seed": [0, 1]})
        >>> listing("Mean drop (pp)", values)
        'Mean drop (pp): GRU 2.0.'
    """
    mean = values.mean("seed").dropna("model")
    shown = [f"{LABELS[str(m)]} {float(mean.sel(model=m)):{digits}}" for m in mean.model.values]
    return f"{what}: {'; '.join(shown)}." if shown else ""


def baselines(what: str, values: xr.DataArray, model: str, unit: str, digits: str) -> list[Part]:
    """The parts of a claim that a model has more than either reading of the paper's RNN+ReLU.

    Example:
        >>> rows = {"model": ["relu", "linear", "gamma"], "seed": [0]}
        >>> values = xr.DataArray([[1.0], [3.0], [2.0]], coords=rows)
        >>> [p.holds for p in baselines("accuracy", values, "gamma", " pp", "+.1f")]
        ['yes', 'no']
    """
    return [
        more(
            f"{what}: {LABELS[model]} - {LABELS[name]}",
            values.sel(model=model, drop=True) - values.sel(model=name, drop=True),
            unit,
            digits,
        )
        for name in BASELINES
    ]


def known(data: xr.Dataset) -> xr.Dataset:
    """Only roles, models and seeds that have any number; all of them if none has one.

    Example:
        >>> rows = {"role": ["psmnist"], "model": ["arun", "gru"], "seed": [0]}
        >>> whole = xr.Dataset({"a": (tuple(rows), [[[1.0], [float("nan")]]])}, rows)
        >>> known(whole).model.values.tolist(), known(whole.where(False)).sizes["model"]
        (['arun'], 2)
    """
    kept = data
    for dim in ("role", "model", "seed"):
        kept = present(kept, dim)
        if not kept.sizes[dim]:
            return data
    return kept


def roles(data: xr.Dataset, first: str = "psmnist") -> list[str]:
    """A task that a claim always rests on, and the others that have any number."""
    others = [str(role) for role in known(data).role.values] if _any(data) else []
    return [first, *(role for role in others if role != first)]


def images(count: xr.DataArray) -> str:
    """How many test images numbers rest on, with the greatest standard error of an accuracy.

    Example:
        >>> images(xr.DataArray([10000.0]))
        '10,000 test images: standard error of one accuracy at most 0.5 pp.'
    """
    least = count.min()
    if not bool(least.notnull()):
        return ""
    error = 50 / float(least) ** 0.5
    return f"{int(least):,} test images: standard error of one accuracy at most {error:.1f} pp."


def _any(data: xr.Dataset) -> bool:
    return bool(data.notnull().any().to_array().any())
