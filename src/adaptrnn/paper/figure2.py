"""Figure 2b, c: accuracy and loss against the strength of a step of drive and of contrast."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import xarray as xr

from adaptrnn.evaluation import evaluate_run
from adaptrnn.figure.robustness import robustness
from adaptrnn.paper.item import Item
from adaptrnn.paper.ordering import ahead, listing
from adaptrnn.paper.table1 import MODELS
from adaptrnn.paper.verdict import Claim, Verdict, verdict
from adaptrnn.perturb import Perturbation, SinusoidalContrast, StepDrive, Sum
from adaptrnn.run import Run

DRIVES = (0.0, 0.5, 1.0, 2.5, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0)
CONTRASTS = tuple(round(0.1 * step, 1) for step in range(11))

E10 = Claim(
    "E10, E11",
    "Fig 2b",
    "Against the drive ξ, from 0 to 30, ARUN's accuracy and loss are the flattest.",
    "area under the curve; area between the curve and its value at 0",
)
E12 = Claim(
    "E12, E13",
    "Fig 2c",
    "Against the contrast A, from 0 to 1, ARUN's accuracy and loss are the flattest.",
    "area under the curve; area between the curve and its value at 0",
)


def measure(
    run: Run,
    strengths: tuple[float, ...],
    long_name: str,
    perturb: Callable[[float], Perturbation],
) -> xr.Dataset:
    """Accuracy and loss on the test split at each strength, (strength,)."""
    conditions = {f"{v:g}": perturb(v) if v else Sum(()) for v in strengths}
    rows = evaluate_run(run, conditions)
    return xr.Dataset(
        {name: ("strength", rows[name].to_numpy()) for name in ("accuracy", "loss")},
        coords={"strength": ("strength", list(strengths), {"long_name": long_name})},
    )


def mean(curve: xr.DataArray) -> xr.DataArray:
    """Area under a curve over its range of strengths, by the trapezium rule.

    Example:
        >>> curve = xr.DataArray([1.0, 0.0, 0.0], coords={"strength": [0.0, 1.0, 2.0]})
        >>> float(mean(curve)), float(bend(curve))
        (0.25, 0.75)
    """
    strength = curve.strength.values
    return curve.integrate("strength") / float(strength[-1] - strength[0])


def bend(curve: xr.DataArray) -> xr.DataArray:
    """Mean distance of a curve from its value at strength 0: 0 for a flat one."""
    return mean(abs(curve - curve.isel(strength=0, drop=True)))


def judge(data: xr.Dataset, claim: Claim) -> list[Verdict]:
    """Whether ARUN's accuracy is the highest on average, and accuracy and loss the flattest."""
    whole = data.reindex(model=list(MODELS))
    percent = 100 * whole.accuracy
    parts, notes = [], []
    for what, values, better, unit in (
        ("accuracy, mean over the curve", mean(percent), max, "pp"),
        ("accuracy, mean distance from its start", bend(percent), min, "pp"),
        ("loss, mean distance from its start", bend(whole.loss), min, "nats"),
    ):
        parts += ahead("arun", values, better, what, f" {unit}", "+.2f")
        notes.append(listing(f"{what[0].upper()}{what[1:]} ({unit})", values, ".2f"))
    return [verdict(claim, parts, " ".join(notes))]


_CAPTION = (
    "Test accuracy (a) and loss (b) of networks trained without it, under {what}. Line: mean over "
    "seeds; band: from the least to the greatest. {more}Paper: {place}."
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
    models=MODELS,
    measure=partial(measure, strengths=DRIVES, long_name="drive ξ", perturb=StepDrive),
    draw=robustness,
    judge=partial(judge, claim=E10),
)

CONTRAST = Item(
    name="fig2-contrast",
    title="Accuracy and loss against contrast",
    caption=_CAPTION.format(what="a stimulus times 1 + A sin(2πt/T)", more="", place="Fig 2c"),
    models=MODELS,
    measure=partial(
        measure, strengths=CONTRASTS, long_name="contrast A", perturb=SinusoidalContrast
    ),
    draw=robustness,
    judge=partial(judge, claim=E12),
)
