"""Curve or initial matrix? Each f-I curve trained from each initial recurrent matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.ladder import initial_matrices
from adaptrnn.figure.style import label_of
from adaptrnn.paper.item import Item, RunData, Table
from adaptrnn.paper.ordering import drop_missing
from adaptrnn.paper.verdict import part
from adaptrnn.perturb import PAPER_PERTURBATIONS

__all__ = ["INITIAL", "WORDS", "initial_effects", "measure", "table"]

INITIAL_CONDITIONS = {name: PAPER_PERTURBATIONS[name] for name in ("clean", "noisy-drive")}
WORDS = {
    "henaff": "paper's (orthogonal)",
    "uniform": "torch's (uniform)",
    "haar": "orthogonal (Haar)",
    "identity": "identity",
}
"""What the initial matrices are."""


def measure(run: RunData) -> xr.Dataset:
    """Accuracy on the whole test split, (initial, condition), of one initial matrix."""
    found = run.evaluation
    return found[["accuracy"]].expand_dims(initial=[run.config.recurrent_init])


def initial_effects(data: xr.Dataset) -> list[tuple[str, xr.DataArray]]:
    """What a curve, and what the initial matrix changes in accuracy, paired by seed.

    Args:
        data: accuracy (model, seed, initial, condition) of one task.

    Returns:
        Words, and differences in percentage points, (seed, condition): each curve against ReLU from
        each matrix, and the paper's matrix against each other one with each curve.
    """
    rates, found = 100 * data.accuracy, []
    matrices, models = data.initial.values.tolist(), data.model.values.tolist()
    for initial in matrices:
        for model in models:
            if model != "relu" and "relu" in models:
                one = rates.sel(initial=initial, drop=True)
                gap = one.sel(model=model, drop=True) - one.sel(model="relu", drop=True)
                text = f"{label_of(model)} minus {label_of('relu')}, from the {WORDS[initial]} W_hh"
                found.append((text, gap))
    for initial in matrices:
        for model in models:
            if initial != "henaff" and "henaff" in matrices:
                one = rates.sel(model=model, drop=True)
                gap = one.sel(initial="henaff", drop=True) - one.sel(initial=initial, drop=True)
                text = f"{label_of(model)}: {WORDS['henaff']} minus {WORDS[initial]} W_hh"
                found.append((text, gap))
    return found


def table(data: xr.Dataset) -> Table:
    """Effects of curve and of initial matrix: mean and 95% interval over seeds."""
    rows = []
    for text, gap in initial_effects(drop_missing(data).isel(role=0, drop=True)):
        cells = [_cell(gap.sel(condition=name)) for name in INITIAL_CONDITIONS]
        if any(cells):
            rows.append((text, *(cell or "no data" for cell in cells)))
    return Table(("accuracy (pp)", *INITIAL_CONDITIONS), tuple(rows))


def _cell(gap: xr.DataArray) -> str:
    found = part("", gap.values, digits="+.1f", above=0)
    more = f" ({found.interval or found.spread})" if found.interval or found.spread else ""
    return f"{found.number}{more}" if found.number else ""


def draw(data: xr.Dataset) -> Figure:
    """Models and matrices that have any number."""
    order: Sequence[str] = [name for name in WORDS if name in np.atleast_1d(data.initial.values)]
    return initial_matrices(drop_missing(data).reindex(initial=list(order)), WORDS)


INITIAL = Item(
    name="initial-matrix",
    title="What the f-I curve contributes, and what the initial W_hh",
    caption=(
        "psMNIST. Test accuracy of networks with one f-I curve each, trained from the paper's "
        "initial recurrent matrix (orthogonal, 2x2 rotations) and from others; everything else is "
        "the same. A dot for each seed, a line at the mean; left clean, right under noisy drive. "
        "The table has differences paired by seed, with 95% intervals. Ours: the paper compares "
        "curves from one initial matrix."
    ),
    roles=("psmnist",),
    models=("relu", "linear", "gamma-shared", "gamma", "arun"),
    variant="initial",
    also=("",),
    optional=True,
    conditions=INITIAL_CONDITIONS,
    measure=measure,
    draw=draw,
    judge=lambda data: [],
    functions=("adaptrnn.evaluation.evaluate", "adaptrnn.init.henaff_"),
    tests=("tests/test_evaluation.py", "tests/test_init.py", "tests/paper/test_initial.py"),
    table=table,
)
