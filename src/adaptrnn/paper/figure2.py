"""Figure 2b, c: accuracy and loss against the strength of a step of drive and of contrast."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.analysis.robustness import area
from adaptrnn.figure.robustness import robustness
from adaptrnn.paper.item import ROLES, Item, analysis_of
from adaptrnn.paper.ordering import ahead, images, known, listing, roles
from adaptrnn.paper.table1 import MODELS
from adaptrnn.paper.verdict import Claim, Verdict, verdict
from adaptrnn.run import Run

__all__ = ["CONTRAST", "DRIVE", "bend", "judge", "measure"]

_CRITERION = (
    "area under the curve over its width {order}; flattest: area between the curve and its value "
    "at 0 least"
)
_HIGH, _LOW = (_CRITERION.format(order=order) for order in ("greatest", "least"))

E10 = Claim("E10", "Fig 2b", "Against the drive ξ, 0 to 30, ARUN's accuracy is flattest.", _HIGH)
E11 = Claim("E11", "Fig 2b", "Against the drive ξ, 0 to 30, ARUN's loss is flattest.", _LOW)
E12 = Claim("E12", "Fig 2c", "Against the contrast A, 0 to 1, ARUN's accuracy is flattest.", _HIGH)
E13 = Claim("E13", "Fig 2c", "Against the contrast A, 0 to 1, ARUN's loss is flattest.", _LOW)


def measure(run: Run, curve: str) -> xr.Dataset:
    """Accuracy and loss at each strength, and on how many images.

    Args:
        run: a run with its analysis robustness.
        curve: "step", along xi, or "contrast", along amplitude.

    Returns:
        accuracy, loss (xi or amplitude); images.
    """
    found = analysis_of(run, "robustness")
    kept = {name: found[f"{curve}_{name}"] for name in ("accuracy", "loss")}
    result = xr.Dataset(kept).assign(images=float(found.attrs[f"{curve}_images"]))
    return result.drop_attrs()


def bend(curve: xr.DataArray, axis: str) -> xr.DataArray:
    """Mean distance of a curve from its value at the first strength: 0 for a flat one.

    Args:
        curve: values along an axis.
        axis: its name.

    Example:
        >>> curve = xr.DataArray([1.0, 0.0, 0.0], coords={"xi": [0.0, 1.0, 2.0]})
        >>> float(bend(curve, "xi"))
        0.75
    """
    return area(abs(curve - curve.isel({axis: 0}, drop=True)), axis)


def judge(data: xr.Dataset, axis: str, claims: Sequence[Claim]) -> list[Verdict]:
    """Whether ARUN's accuracy, and its loss, are best on average and flattest.

    Args:
        data: accuracy, loss (role, model, seed, axis).
        axis: "xi" or "amplitude".
        claims: that of the accuracy, that of the loss.
    """
    verdicts = []
    kinds = (("accuracy", 100.0, max, " pp", "+.1f"), ("loss", 1.0, min, " nats", "+.2f"))
    for claim, (name, factor, better, unit, digits) in zip(claims, kinds, strict=True):
        parts, notes = [], []
        for role in roles(data):
            values = factor * data[name].sel(role=role, drop=True)
            mean, distance = area(values, axis), bend(values, axis)
            parts += ahead("arun", mean, better, f"{role}, mean {name}", unit, digits)
            what = f"{role}, distance from the start"
            parts += ahead("arun", distance, min, what, unit, digits)
            notes.append(
                listing(f"{role}: mean {name} ({'%' if factor > 1 else 'nats'})", mean, digits[1:])
            )
            notes.append(listing(f"Distance from its start ({unit.strip()})", distance, digits[1:]))
        notes.append(images(data["images"]))
        verdicts.append(verdict(claim, parts, " ".join(note for note in notes if note)))
    return verdicts


def draw(data: xr.Dataset) -> Figure:
    """Tasks and models that have any number."""
    return robustness(known(data))


_CAPTION = (
    "Test accuracy (left) and loss (right) of networks trained without it, under {what}; a row for "
    "each task. Line: mean over seeds; band: from the least to the greatest; 1,000 test images, "
    "evenly spaced in the split, or as many as the verdict says. {more}Paper: {place}."
)

DRIVE = Item(
    name="fig2-drive",
    title="Accuracy and loss against a step of drive",
    caption=_CAPTION.format(
        what="a step of drive ξ onto every neuron during the second quarter of the sequence",
        more="Into LSTM and GRU the drive enters every gate; a large one makes the GRU keep its "
        "state as it is. ",
        place="Fig 2b",
    ),
    roles=ROLES,
    models=MODELS,
    analyses=("robustness",),
    measure=partial(measure, curve="step"),
    draw=draw,
    judge=partial(judge, axis="xi", claims=(E10, E11)),
    functions=("adaptrnn.analysis.robustness.sweep", "adaptrnn.analysis.robustness.area"),
    tests=("tests/analysis/test_robustness.py", "tests/test_perturb.py"),
)

CONTRAST = Item(
    name="fig2-contrast",
    title="Accuracy and loss against contrast",
    caption=_CAPTION.format(what="a stimulus times 1 + A sin(2πt/T)", more="", place="Fig 2c"),
    roles=ROLES,
    models=MODELS,
    analyses=("robustness",),
    measure=partial(measure, curve="contrast"),
    draw=draw,
    judge=partial(judge, axis="amplitude", claims=(E12, E13)),
    functions=("adaptrnn.analysis.robustness.sweep", "adaptrnn.analysis.robustness.area"),
    tests=("tests/analysis/test_robustness.py", "tests/test_perturb.py"),
)
