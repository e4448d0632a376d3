"""Supplement B.1 compares static networks with one pair (n, s) for all neurons, or one for each."""

from __future__ import annotations

import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.analysis.statistic import unpaired_test
from adaptrnn.figure.accuracy import accuracy_bars
from adaptrnn.paper.item import ROLES, Item, RunData
from adaptrnn.paper.ordering import TASK_LABELS, drop_missing, image_note, lead, mean_note
from adaptrnn.paper.table1 import UNDER
from adaptrnn.paper.verdict import Claim, Part, Verdict, part, verdict
from adaptrnn.perturb import PAPER_PERTURBATIONS

__all__ = ["ITEM", "judge", "measure"]

E40 = Claim(
    "E40",
    "Supplement B.1",
    "On both tasks private (n, s) in every neuron are slightly better than shared ones, not "
    "significantly.",
    "The accuracy with private (n, s) is at least that with shared (n, s), or not significantly "
    "below it (Welch's t-test, p > 0.05). The two do not differ significantly (p > 0.05)",
    dict.fromkeys(("psmnist", "scifar10"), ("gamma", "gamma-shared")),
)


def measure(run: RunData) -> xr.Dataset:
    """Return accuracy, loss and images on the whole test split, (condition,)."""
    return run.evaluation


def judge(data: xr.Dataset) -> list[Verdict]:
    """Judge E40 on psmnist and on sCIFAR10 with the linear encoder."""
    parts, shown, notes = [], [], []
    for role in data.role.values.tolist():
        task = TASK_LABELS[role]
        percent = 100 * data.accuracy.sel(role=role, drop=True)
        clean = percent.sel(condition="clean", drop=True)
        judged, note = _compared(task, clean)
        if role in E40.networks:
            parts += judged
        else:
            shown += judged
        shown.append(
            lead("gamma", "gamma-shared", clean, max, f"{task}, clean accuracy", digits="+.2f")
        )
        for condition in data.condition.values.tolist():
            if condition != "clean":
                left = percent.sel(condition=condition, drop=True)
                what = f"{task}, accuracy under {UNDER[str(condition)]}"
                shown.append(lead("gamma", "gamma-shared", left, max, what))
        notes += [note, mean_note(f"On {task}, the mean accuracy in %", clean, ".2f")]
    notes.append("With few seeds a small difference cannot be significant.")
    notes.append(image_note(data["images"]))
    return [verdict(E40, parts, shown, note=" ".join(note for note in notes if note))]


def _compared(task: str, clean: xr.DataArray) -> tuple[list[Part], str]:
    """Not significantly worse, and not significantly different, by Welch's t-test; in words."""
    gamma, shared = (clean.sel(model=name, drop=True) for name in ("gamma", "gamma-shared"))
    counts = [int(one.notnull().sum()) for one in (gamma, shared)]
    p, difference, words = float("nan"), float("nan"), ""
    if min(counts) > 1:
        test = unpaired_test(gamma, shared)
        p, difference = float(test.p_t), float(test.difference)
        words = (
            f"On {task}, the mean accuracy with private (n, s) minus that with shared ones is "
            f"{difference:+.2f} percentage points, with a 95% interval from {float(test.low):+.2f} "
            f"to {float(test.high):+.2f} and Hedges' g of {float(test.hedges_g):.2f} (n = "
            f"{counts[0]} and {counts[1]})."
        )
    size = f"{counts[0]} and {counts[1]}"
    two = (
        f"{task}: p-value of the difference of accuracy between private and shared (n, s), {size} "
        "seeds"
    )
    if difference >= 0:
        text = f"{task}: mean accuracy with private (n, s) minus mean accuracy with shared ones"
        worse = part(text, difference, " pp", "+.2f", least=0)
    else:
        worse = part(f"{two}, where private ones are worse", p, above=0.05)
    return [worse, part(two, p, above=0.05)], words


def draw(data: xr.Dataset) -> Figure:
    """Draw the tasks that have any number."""
    return accuracy_bars(drop_missing(data))


ITEM = Item(
    name="b1-shared",
    title="One f-I curve for all neurons, or one for each",
    caption=(
        "The dots are the accuracy in percent on the whole test split of static networks that "
        "learn one pair (n, s) for all neurons (shared), or one for each neuron. There is a dot "
        "for each seed, a line at the mean, and a row for each task. Welch's test is over seeds. "
        "The paper has this in Supplement B.1."
    ),
    alt=(
        "Dots for the test accuracy of networks with one f-I curve for all neurons and of those "
        "with one for each, a row of panels for each task, a column for each condition."
    ),
    roles=ROLES,
    models=("gamma-shared", "gamma"),
    conditions=PAPER_PERTURBATIONS,
    measure=measure,
    draw=draw,
    judge=judge,
    functions=("adaptrnn.evaluation.evaluate", "adaptrnn.analysis.statistic.unpaired_test"),
    tests=("tests/test_evaluation.py", "tests/analysis/test_statistic.py"),
)
