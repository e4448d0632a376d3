"""Is it the curve or the initial matrix? Each f-I curve is trained from each initial matrix."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.style import (
    colour,
    label_of,
    letters,
    marker,
    name_task,
    percent_axis,
    subplots,
)
from adaptrnn.paper.item import Item, RunData, Table
from adaptrnn.paper.ordering import drop_missing
from adaptrnn.paper.verdict import part
from adaptrnn.perturb import PAPER_PERTURBATIONS

__all__ = ["INITIAL", "WORDS", "initial_effects", "measure", "table"]

INITIAL_CONDITIONS = {name: PAPER_PERTURBATIONS[name] for name in ("clean", "noisy-drive")}
WORDS = {
    "henaff": "the paper's (orthogonal)",
    "uniform": "torch's (uniform)",
    "haar": "an orthogonal (Haar)",
    "identity": "the identity",
}
"""What the initial matrices are."""


def measure(run: RunData) -> xr.Dataset:
    """Return accuracy on the whole test split, (initial, condition), of one initial matrix."""
    found = run.evaluation
    return found[["accuracy"]].expand_dims(initial=[run.config.recurrent_init])


def initial_effects(data: xr.Dataset) -> list[tuple[str, xr.DataArray]]:
    """Return what a curve and what the initial matrix change in accuracy, paired by seed.

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
                text = f"{label_of(model)} minus {label_of('relu')}, from {WORDS[initial]} W_hh"
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
    """Return effects of curve and of initial matrix: mean and 95% interval over seeds."""
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
    """Draw accuracy for each f-I curve and each initial matrix, a panel for each condition.

    Args:
        data: `accuracy` (role, model, seed, initial, condition), 0 to 1, of one role.

    Returns:
        The figure, of models and matrices that have any number.
    """
    order = [name for name in WORDS if name in np.atleast_1d(data.initial.values)]
    data = drop_missing(data).reindex(initial=order)
    rates, models = 100 * data.accuracy.isel(role=0), data.model.values.tolist()
    conditions, place = data.condition.values.tolist(), np.arange(len(order))
    seen = rates.max(["model", "condition"]).notnull().sum("seed").values.tolist()
    counts = zip(order, seen, strict=True)
    ticks = [f"{WORDS[name]}\nn = {count}".replace(" (", "\n(") for name, count in counts]
    figure, axes = subplots(1, len(conditions), width=4.2 * len(conditions), height=3.4)
    for axis, condition in zip(axes[0], conditions, strict=True):
        for k, model in enumerate(models):
            one = rates.sel(model=model, condition=condition).transpose("initial", "seed")
            at = place + 0.14 * (k - (len(models) - 1) / 2)
            label = {"label": label_of(model)} if axis is axes[0, 0] else {}
            axis.hlines(one.mean("seed"), at - 0.06, at + 0.06, color=colour(model), lw=2)
            axis.plot(at, one.values, ls="", color=colour(model), marker=marker(model), ms=4)
            axis.plot([], [], color=colour(model), marker=marker(model), **label)
        axis.set(title=condition.replace("-", " "), xlabel="initial $W_{hh}$")
        axis.set_xticks(place, ticks)
        axis.grid(axis="x", visible=False)
        percent_axis(axis, rates.sel(condition=condition))
    axes[0, 0].set_ylabel("test accuracy (%)")
    figure.legend(ncols=3, loc="outside lower center")
    letters(axes)
    name_task(figure, data)
    return figure


INITIAL = Item(
    name="initial-matrix",
    title="What the f-I curve contributes, and what the initial W_hh",
    caption=(
        "The dots are the test accuracy on psMNIST of networks with one f-I curve each, trained "
        "from the paper's initial recurrent matrix (orthogonal, 2x2 rotations) and from others, "
        "while everything else is the same. There is a dot for each seed and a line at the mean, "
        "clean on the left and under noisy drive on the right. The table has differences paired by "
        "seed, with 95% intervals. This question is ours, because the paper compares curves from "
        "one initial matrix."
    ),
    alt=(
        "Test accuracy clean on the left and under noisy drive on the right, in a column for each "
        "initial recurrent matrix: dots for seeds and a bar at their mean, in the colour of each "
        "of the models with different f-I curves."
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
