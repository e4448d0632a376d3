"""Supplement B.1: static networks with one pair (n, s) for all neurons, or one for each."""

from __future__ import annotations

import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.analysis.statistics import unpaired_test
from adaptrnn.figure.accuracy import accuracy
from adaptrnn.paper.item import ROLES, Item, evaluation_of
from adaptrnn.paper.ordering import images, known, listing, more, roles
from adaptrnn.paper.verdict import Claim, Verdict, part, verdict
from adaptrnn.perturb import PAPER_PERTURBATIONS
from adaptrnn.run import Run

__all__ = ["ITEM", "judge", "measure"]

E40 = Claim(
    "E40",
    "Supplement B.1",
    "Per-neuron (n, s) are slightly better than shared ones, not significantly.",
    "difference of accuracy > 0, Welch's test p > 0.05",
)
CONDITIONS = {"clean": PAPER_PERTURBATIONS["clean"]}


def measure(run: Run) -> xr.Dataset:
    """Accuracy, loss and images on the whole test split, clean, (condition,)."""
    return evaluation_of(run, CONDITIONS)


def judge(data: xr.Dataset) -> list[Verdict]:
    """E40, on every task that has runs."""
    parts, notes = [], []
    for role in roles(data):
        clean = 100 * data.accuracy.sel(role=role, condition="clean", drop=True)
        gamma, shared = (clean.sel(model=name, drop=True) for name in ("gamma", "gamma-shared"))
        parts.append(more(f"{role}: per neuron - shared", gamma - shared, " pp", "+.2f"))
        counts = [int(one.notnull().sum()) for one in (gamma, shared)]
        p = float("nan")
        if min(counts) > 1:
            test = unpaired_test(gamma, shared)
            p = float(test.p_t)
            interval = f"{float(test.low):+.2f} to {float(test.high):+.2f}"
            notes.append(
                f"{role}: difference of means {float(test.difference):+.2f} pp, 95% interval "
                f"{interval}, Hedges g {float(test.hedges_g):.2f}, n = {counts[0]} and {counts[1]}."
            )
        name = f"{role}: Welch's test, p (n = {counts[0]} and {counts[1]})"
        parts.append(part(name, [p], lambda value: value > 0.05))
        notes.append(listing(f"{role}, mean accuracy (%)", clean, ".2f"))
    notes.append("With few seeds a small difference cannot be significant.")
    notes.append(images(data["images"]))
    return [verdict(E40, parts, " ".join(note for note in notes if note))]


def draw(data: xr.Dataset) -> Figure:
    """Tasks that have any number."""
    return accuracy(known(data))


ITEM = Item(
    name="b1-shared",
    title="One f-I curve for all neurons, or one for each",
    caption=(
        "Accuracy in percent on the whole test split of static networks that learn one pair (n, s) "
        "for all neurons (shared) or one for each: a dot for each seed, a line at the mean; a row "
        "for each task. Welch's test is over seeds. Paper: Supplement B.1."
    ),
    roles=ROLES,
    models=("gamma-shared", "gamma"),
    conditions=CONDITIONS,
    measure=measure,
    draw=draw,
    judge=judge,
    functions=("adaptrnn.evaluation.evaluate", "adaptrnn.analysis.statistics.unpaired_test"),
    tests=("tests/test_evaluation.py", "tests/analysis/test_statistics.py"),
)
