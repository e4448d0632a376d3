"""Figure 2b, c: accuracy and loss against the strength of a step of drive and of contrast."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import xarray as xr

from adaptrnn.evaluation import evaluate_run
from adaptrnn.figure.robustness import robustness
from adaptrnn.figure.style import LABELS
from adaptrnn.paper.item import Item
from adaptrnn.paper.table1 import MODELS
from adaptrnn.paper.verdict import Claim, Verdict, part, verdict
from adaptrnn.perturb import Perturbation, SinusoidalContrast, StepDrive, Sum
from adaptrnn.run import Run

DRIVES = (0.0, 0.5, 1.0, 2.5, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0)
CONTRASTS = tuple(round(0.1 * step, 1) for step in range(11))

E10 = Claim(
    "E10, E11",
    "Fig 2b",
    "Against the drive ξ, from 0 to 30, ARUN's accuracy and loss are the flattest.",
    "area between the curve and its value at 0, smallest for ARUN",
)
E12 = Claim(
    "E12, E13",
    "Fig 2c",
    "Against the contrast A, from 0 to 1, ARUN's accuracy and loss are the flattest.",
    "area between the curve and its value at 0, smallest for ARUN",
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


def flatness(data: xr.DataArray) -> xr.DataArray:
    """Mean distance of a curve from its value at strength 0, by the trapezium rule.

    Example:
        >>> curve = xr.DataArray([1.0, 0.0, 0.0], coords={"strength": [0.0, 1.0, 2.0]})
        >>> float(flatness(curve))
        0.75
    """
    change = abs(data - data.isel(strength=0, drop=True))
    strength = data.strength.values
    return change.integrate("strength") / float(strength[-1] - strength[0])


def judge(data: xr.Dataset, claim: Claim) -> list[Verdict]:
    """Whether ARUN's curves of accuracy and of loss are the flattest."""
    parts, notes = [], []
    others = [model for model in MODELS if model != "arun"]
    for name, factor, unit in (("accuracy", 100, " pp"), ("loss", 1, " nats")):
        areas = factor * flatness(data[name]).reindex(model=list(MODELS))
        mean = areas.mean("seed")
        known = bool(mean.notnull().all())
        best = min(others, key=lambda m: float(mean.sel(model=m))) if known else others[0]
        difference = (areas.sel(model=best) - areas.sel(model="arun")).where(known)
        label = f"{name}: area of {LABELS[best] if known else 'the others'} (next best) - ARUN"
        parts.append(part(label, difference.values, lambda d: d > 0, unit, "+.2f"))
        shown = [
            f"{LABELS[str(m)]} {float(mean.sel(model=m)):.2f}"
            for m in mean.model.values
            if np.isfinite(mean.sel(model=m))
        ]
        notes.append(f"Mean area, {name} ({unit.strip()}): {', '.join(shown)}.")
    return [verdict(claim, parts, " ".join(notes))]


_CAPTION = (
    "Test accuracy (a) and loss (b) of networks trained without it, under {what}. Line: mean over "
    "seeds; band: from the least to the greatest. Paper: {place}."
)

DRIVE = Item(
    name="fig2-drive",
    title="Accuracy and loss against a step of drive",
    caption=_CAPTION.format(
        what="a step of drive ξ onto every neuron during the second quarter of the sequence",
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
    caption=_CAPTION.format(what="a stimulus times 1 + A sin(2πt/T)", place="Fig 2c"),
    models=MODELS,
    measure=partial(
        measure, strengths=CONTRASTS, long_name="contrast A", perturb=SinusoidalContrast
    ),
    draw=robustness,
    judge=partial(judge, claim=E12),
)
