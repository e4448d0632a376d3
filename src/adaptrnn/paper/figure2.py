"""Figure 2b, c shows accuracy and loss against the strength of a step of drive and of contrast."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.analysis.robustness import area
from adaptrnn.figure.accuracy import CHANCE
from adaptrnn.figure.robustness import strength_curves
from adaptrnn.figure.style import (
    count_seeds,
    ink,
    letters,
    log_axis,
    percent_axis,
    subplots,
    task_title,
)
from adaptrnn.paper.item import ROLES, Item, RunData
from adaptrnn.paper.ordering import (
    GATED,
    OTHER,
    PLAIN,
    TASK_LABELS,
    drop_missing,
    image_note,
    lead_over_next,
    leads,
    mean_note,
)
from adaptrnn.paper.table1 import COLUMNS
from adaptrnn.paper.verdict import Claim, Part, Verdict, part, verdict

__all__ = ["CONTRAST", "DRIVE", "bend", "decrease", "judge_contrast", "judge_drive", "measure"]

ALL = (*PLAIN, *GATED)

_AREAS = (
    "On average over ξ, which is the area under the curve against ξ, the accuracy of ARUN is above "
    "and its loss below those of RNN+gamma and RNN+ReLU"
)
E10 = Claim(
    "E10",
    "Fig 2b, top",
    "On psMNIST ARUN is highly robust to the size of the drive, ξ from 0 to 30.",
    _AREAS,
    {"psmnist": (*PLAIN, "arun")},
)
E11 = Claim(
    "E11",
    "Fig 2c, top",
    "On sCIFAR10 with the convolutional encoder ARUN is still more robust to the size of the drive "
    "than the others.",
    _AREAS,
    {"scifar10-conv": (*PLAIN, "arun")},
)
E12 = Claim(
    "E12",
    "Fig 2b, bottom",
    "On psMNIST ARUN's performance decreases least under contrast of amplitude A from 0 to 1, "
    "and RNN+gamma's second least.",
    "Relative to A = 0 and on average over A, accuracy and loss become worse by less in ARUN than "
    "in the next best network, and by less in RNN+gamma than in the best of RNN+ReLU, LSTM and GRU",
    {"psmnist": (*ALL, "arun")},
)
E13 = Claim(
    "E13",
    "Fig 2c, bottom",
    "On sCIFAR10 with the convolutional encoder ARUN's performance decreases less under contrast "
    "than the baselines' overall, slightly less conclusively.",
    "Relative to A = 0 and on average over A, accuracy and loss become worse by less in ARUN than "
    "in the mean of RNN+ReLU, LSTM and GRU",
    {"scifar10-conv": ("relu", *GATED, "arun")},
)
KINDS = (("accuracy", 100.0, max, " pp", "+.1f"), ("loss", 1.0, min, " nats", "+.2f"))
_WORSE = {"accuracy": "decrease of accuracy", "loss": "increase of loss"}


def measure(run: RunData, curve: str) -> xr.Dataset:
    """Return accuracy and loss at each strength, and on how many images.

    Args:
        run: a run with its analysis robustness.
        curve: "step", along xi, or "contrast", along amplitude.

    Returns:
        accuracy, loss (xi or amplitude); images.
    """
    found = run.analyses["robustness"]
    kept = {name: found[f"{curve}_{name}"] for name in ("accuracy", "loss")}
    result = xr.Dataset(kept).assign(images=float(found.attrs[f"{curve}_images"]))
    return result.drop_attrs()


def bend(curve: xr.DataArray, axis: str) -> xr.DataArray:
    """Return the mean distance of a curve from its value at the first strength; a flat one has 0.

    Args:
        curve: values along an axis.
        axis: its name.

    Example:
        >>> curve = xr.DataArray([1.0, 0.0, 0.0], coords={"xi": [0.0, 1.0, 2.0]})
        >>> float(bend(curve, "xi"))
        0.75
    """
    return area(abs(curve - curve.isel({axis: 0}, drop=True)), axis)


def decrease(curve: xr.DataArray, axis: str, better: Callable[..., str]) -> xr.DataArray:
    """Return how much worse a curve is on average than at the first strength.

    Args:
        curve: values along an axis.
        axis: its name.
        better: `max` for an accuracy, `min` for a loss.

    Example:
        >>> curve = xr.DataArray([1.0, 0.0, 0.0], coords={"xi": [0.0, 1.0, 2.0]})
        >>> float(decrease(curve, "xi", max)), float(decrease(curve, "xi", min))
        (0.75, -0.75)
    """
    lost = area(curve.isel({axis: 0}, drop=True) - curve, axis)
    return lost if better is max else -lost


def judge_drive(data: xr.Dataset) -> list[Verdict]:
    """Judge E10 and E11: whether ARUN's curves are better on average over the drive."""
    verdicts = []
    for claim in (E10, E11):
        (role,) = claim.networks
        parts, shown, notes = [], [], []
        for name, factor, better, unit, digits in KINDS:
            values = _curve(data[name], role) * factor
            mean, distance = area(values, "xi"), bend(values, "xi")
            what = f"{TASK_LABELS[role]}, mean {name} over drives ξ"
            parts += leads("arun", PLAIN, mean, better, what, unit, digits)
            shown += leads("arun", (*OTHER, *GATED), mean, better, what, unit, digits)
            far = f"{TASK_LABELS[role]}, mean distance over drives ξ of {name} from that at ξ = 0"
            shown += leads("arun", (*PLAIN, *OTHER, *GATED), distance, min, far, unit, digits)
            over = f"On {TASK_LABELS[role]}, averaged over drives ξ,"
            notes += _listings(name, mean, distance, digits, over, "without drive")
        if claim is E11:
            shown += _elsewhere(data, "xi")
        notes.append(image_note(data["images"].reindex(role=[role])))
        verdicts.append(verdict(claim, parts, shown, note=" ".join(n for n in notes if n)))
    return verdicts


def judge_contrast(data: xr.Dataset) -> list[Verdict]:
    """Judge E12 and E13 by the mean decrease over the amplitude of the contrast."""
    verdicts = []
    for claim in (E12, E13):
        (role,) = claim.networks
        parts, shown, notes = [], [], []
        for name, factor, better, unit, digits in KINDS:
            values = _curve(data[name], role) * factor
            mean, distance = area(values, "amplitude"), bend(values, "amplitude")
            lost = decrease(values, "amplitude", better)
            what = f"{TASK_LABELS[role]}, mean {_WORSE[name]} over contrasts of amplitude A"
            if claim is E12:
                parts.append(lead_over_next("arun", ALL, lost, min, what, unit, digits))
                parts.append(
                    lead_over_next("gamma", ("relu", *GATED), lost, min, what, unit, digits)
                )
            else:
                parts.append(_overall(lost, what, unit, digits))
                shown.append(
                    lead_over_next("gamma", ("relu", *GATED), lost, min, what, unit, digits)
                )
            shown += leads("arun", (*ALL, *OTHER), lost, min, what, unit, digits)
            far = (
                f"{TASK_LABELS[role]}, mean distance over contrasts of amplitude A of {name} from "
                "that at A = 0"
            )
            shown += leads("arun", (*ALL, *OTHER), distance, min, far, unit, digits)
            level = f"{TASK_LABELS[role]}, mean {name} over contrasts of amplitude A"
            shown += leads("arun", (*ALL, *OTHER), mean, better, level, unit, digits)
            over = f"On {TASK_LABELS[role]}, averaged over contrasts of amplitude A,"
            notes += _listings(name, mean, distance, digits, over, "with the contrast unchanged")
        if claim is E13:
            shown += _elsewhere(data, "amplitude")
        notes.append(image_note(data["images"].reindex(role=[role])))
        verdicts.append(verdict(claim, parts, shown, note=" ".join(n for n in notes if n)))
    return verdicts


def _curve(values: xr.DataArray, role: str) -> xr.DataArray:
    return values.reindex(role=[role], model=list(COLUMNS)).sel(role=role, drop=True)


def _overall(lost: xr.DataArray, what: str, unit: str, digits: str) -> Part:
    others = lost.sel(model=["relu", *GATED]).mean("model", skipna=False)
    gap = others - lost.sel(model="arun", drop=True)
    text = f"{what}, mean of RNN (ReLU), LSTM and GRU minus ARUN"
    return part(text, gap.values, unit, digits, above=0)


def _elsewhere(data: xr.Dataset, axis: str) -> list[Part]:
    """Areas on sCIFAR10 with the linear encoder, of which the paper's figure says nothing."""
    found = []
    over = "drives ξ" if axis == "xi" else "contrasts of amplitude A"
    for name, factor, better, unit, digits in KINDS:
        values = factor * _curve(data[name], "scifar10")
        others = (*ALL, *OTHER)
        text = f"{TASK_LABELS['scifar10']}, mean {name} over {over}"
        found += leads("arun", others, area(values, axis), better, text, unit, digits)
        text = (
            f"{TASK_LABELS['scifar10']}, mean distance over {over} of {name} from that at "
            f"{over[-1]} = 0"
        )
        found += leads("arun", others, bend(values, axis), min, text, unit, digits)
    return found


def _listings(
    name: str, mean: xr.DataArray, distance: xr.DataArray, digits: str, over: str, start: str
) -> list[str]:
    unit, apart = ("%", "percentage points") if name == "accuracy" else ("nats", "nats")
    far = f"{over} the distance of the {name} from that {start}, in {apart},"
    return [
        mean_note(f"{over} the {name} in {unit}", mean, digits[1:]),
        mean_note(far, distance, digits[1:]),
    ]


def draw(data: xr.Dataset) -> Figure:
    """Draw accuracy above and loss below, in a column for each task that has any number.

    Args:
        data: `accuracy` (0 to 1) and `loss` (nats), (role, model, seed, xi) or (role, model, seed,
            amplitude); NaN where a run is missing.

    Returns:
        The figure; the columns stand as in the paper's Fig 2, psMNIST at the left.
    """
    data = drop_missing(data)
    roles = sorted(data.role.values.tolist(), key=_COLUMNS.index)
    width = max(5.0, 3.0 * len(roles))
    figure, axes = subplots(2, len(roles), width=width, height=5.0, sharex=True)
    labels = {"accuracy": "test accuracy (%)", "loss": "test loss (nats)"}
    for role, column in zip(roles, axes.T, strict=True):
        for axis, (name, factor, *_) in zip(column, KINDS, strict=True):
            values = factor * data[name].sel(role=role)
            strength_curves(axis, values)
            if name == "accuracy":
                percent_axis(axis, [*values.values.ravel(), CHANCE])
                axis.set_xlabel("")
                axis.axhline(CHANCE, color=ink(), lw=0.8, ls=":")
                axis.set_title(task_title(data, role))
            else:
                log_axis(axis)
                count_seeds(axis, values, "seed", (0.03, 0.97))
    for axis, label in zip(axes[:, 0], labels.values(), strict=True):
        axis.set_ylabel(label)
    letters(axes)
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower left", ncols=7 if len(roles) > 2 else 4)
    return figure


_COLUMNS = ("psmnist", "scifar10-conv", "scifar10")
"""Tasks from left to right: the paper's two first, then that of which its figure says nothing."""
_CAPTION = (
    "The curves are the test accuracy (above) and the loss (below) of networks trained without "
    "perturbation, under {what}, in a column for each task. A thick line is the mean over seeds, "
    "and a thin line is one seed. The dotted line is chance. The curves rest on 1,000 test images, "
    "evenly spaced in the split, or on as many as the verdict says. {more}The paper shows this in "
    "{place}."
)
_ALT = (
    "Curves of seven models, a column for each task, psMNIST at the left: test accuracy above and "
    "loss below against the {what}; ARUN is the thick line."
)

DRIVE = Item(
    name="fig2-drive",
    title="Accuracy and loss against a step of drive",
    caption=_CAPTION.format(
        what="a step of drive ξ onto every neuron during the second quarter of the sequence",
        more="Into LSTM and GRU the drive enters every gate, and a large drive makes the GRU keep "
        "its state as it is. ",
        place="Fig 2b, c, top",
    ),
    alt=_ALT.format(what="size of a step of drive from 0 to 30"),
    roles=ROLES,
    models=COLUMNS,
    analyses=("robustness",),
    measure=partial(measure, curve="step"),
    draw=draw,
    judge=judge_drive,
    functions=("adaptrnn.analysis.robustness.sweep", "adaptrnn.analysis.robustness.area"),
    tests=("tests/analysis/test_robustness.py", "tests/test_perturb.py"),
)

CONTRAST = Item(
    name="fig2-contrast",
    title="Accuracy and loss against contrast",
    caption=_CAPTION.format(
        what="a stimulus multiplied by 1 + A sin(2πt/T)", more="", place="Fig 2b, c, bottom"
    ),
    alt=_ALT.format(what="amplitude of a contrast from 0 to 1"),
    roles=ROLES,
    models=COLUMNS,
    analyses=("robustness",),
    measure=partial(measure, curve="contrast"),
    draw=draw,
    judge=judge_contrast,
    functions=("adaptrnn.analysis.robustness.sweep", "adaptrnn.analysis.robustness.area"),
    tests=("tests/analysis/test_robustness.py", "tests/test_perturb.py"),
)
