"""Which model comes first, which next: comparisons of models over the same seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import xarray as xr

from adaptrnn.figure.style import LABELS
from adaptrnn.paper.verdict import Part, part

__all__ = ["ahead", "listing", "more"]


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
    """Means over seeds of all models that have one, as a sentence.

    Example:
        >>> values = xr.DataArray([[3.0, 1.0]], coords={"model": ["gru"], "seed": [0, 1]})
        >>> listing("Mean drop (pp)", values)
        'Mean drop (pp): GRU 2.0.'
    """
    mean = values.mean("seed").dropna("model")
    shown = [f"{LABELS[str(m)]} {float(mean.sel(model=m)):{digits}}" for m in mean.model.values]
    return f"{what}: {'; '.join(shown)}."
