"""How the networks learned: their validation curves, and the search for their learning rates."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn._error import InputError
from adaptrnn.figure.learning import learning_curves, learning_rates
from adaptrnn.figure.style import label_of
from adaptrnn.paper.item import ROLES, Item, RunData, Table
from adaptrnn.paper.ordering import TASK_LABELS, drop_missing
from adaptrnn.paper.table1 import COLUMNS

__all__ = ["CURVES", "RATE_TABLE", "late_gain", "measure", "rates_table", "table"]

LATE = 0.25
"""The last part of training, in which a curve should be flat."""


def measure(run: RunData) -> xr.Dataset:
    """Validation accuracy and training loss after each epoch, (epoch)."""
    rows = run.metrics
    epochs = np.arange(1, len(rows) + 1)
    return xr.Dataset(
        {
            "validation_accuracy": ("epoch", rows["validation_accuracy"].to_numpy(float)),
            "train_loss": ("epoch", rows["train_loss"].to_numpy(float)),
        },
        {"epoch": epochs},
    )


def late_gain(accuracy: xr.DataArray) -> xr.DataArray:
    """What the best validation accuracy gained in the last quarter of training.

    Args:
        accuracy: after each epoch, (..., epoch); NaN after the last.

    Returns:
        Best of all epochs minus best of the first three quarters; NaN where there is no curve.

    Example:
        >>> curve = xr.DataArray([0.1, 0.5, 0.8, 0.9], dims="epoch")
        >>> round(float(late_gain(curve)), 3)
        0.1
    """
    count = accuracy.notnull().sum("epoch")
    place = xr.DataArray(np.arange(accuracy.sizes["epoch"]), dims="epoch")
    early = accuracy.where(place < np.ceil((1 - LATE) * count))
    return accuracy.max("epoch") - early.max("epoch")


def table(data: xr.Dataset) -> Table:
    """Best validation accuracy and what it gained in the last quarter, means over seeds."""
    data, rows = drop_missing(data), []
    best, gain = data.validation_accuracy.max("epoch"), late_gain(data.validation_accuracy)
    epochs = data.validation_accuracy.notnull().sum("epoch").max("seed")
    for role in data.role.values.tolist():
        for model in data.model.values.tolist():
            one = {"role": role, "model": model}
            top, late = (100 * v.sel(one).dropna("seed") for v in (best, gain))
            if len(top):
                spread = f"{float(top.min()):.1f} to {float(top.max()):.1f}; {len(top)}"
                cells = (f"{float(top.mean()):.1f} ({spread})", f"{float(late.mean()):+.1f} pp")
                rows.append((TASK_LABELS[role], label_of(model), f"{int(epochs.sel(one))}", *cells))
    header = ("task", "model", "epochs", "best validation accuracy (%)")
    return Table((*header, "gained in the last quarter"), tuple(rows))


def draw(data: xr.Dataset) -> Figure:
    """Tasks and models that have any number."""
    return learning_curves(_titled(drop_missing(data)))


def draw_rates(data: xr.Dataset) -> Figure:
    """All tasks of the search."""
    return learning_rates(_titled(data))


def _titled(data: xr.Dataset) -> xr.Dataset:
    """With the paper's names of the tasks."""
    return data.assign_coords(role=[TASK_LABELS[role] for role in data.role.values.tolist()])


def rates_table(data: xr.Dataset) -> Table:
    """Mean validation accuracy of each model at each rate, and whether the best is at the edge."""
    mean = 100 * data.accuracy.mean("seed")
    rates = mean.rate.values
    rows = []
    for role in data.role.values.tolist():
        for model in data.model.values.tolist():
            one = mean.sel(role=role, model=model)
            if not bool(one.notnull().any()):
                continue
            tried = one.dropna("rate").rate.values
            best = float(one.idxmax("rate"))
            edge = ", at the edge" if best in (tried.min(), tried.max()) else ""
            cells = [f"{v:.1f}" if np.isfinite(v) else "" for v in one.values]
            rows.append((TASK_LABELS[role], label_of(model), *cells, f"{best:g}{edge}"))
    header = ("task", "model", *(f"{rate:g}" for rate in rates), "best rate")
    return Table(header, tuple(rows))


def _not_measured() -> xr.Dataset:
    raise InputError(
        f"learning-rates: the report draws it, from the table that {RATE_TABLE.made_by} writes."
    )


CURVES = Item(
    name="learning-curves",
    title="Validation accuracy during training",
    caption=(
        "Validation accuracy after each epoch of every network of the profile, a line for each "
        "seed, a panel for each task; dotted: chance. The weights of the best epoch are the ones "
        "that are evaluated. The table says what the best accuracy gained in the last quarter of "
        "training: where a curve is still rising, more training would raise it."
    ),
    roles=ROLES,
    models=COLUMNS,
    files=("metrics",),
    measure=measure,
    draw=draw,
    judge=lambda data: [],
    functions=("adaptrnn.training.train",),
    tests=("tests/test_training.py", "tests/paper/test_learning.py"),
    table=table,
)

RATE_TABLE = Item(
    name="learning-rates",
    title="The search for learning rates",
    caption=(
        "Validation accuracy of the best epoch against the peak learning rate, for seeds that are "
        "not reported: dots, and a line through their means; a panel for each task. Every model "
        "gets the same rates and nothing else that others do not get. A network whose loss was not "
        "finite has no dot. Rates are chosen on clean validation accuracy alone."
    ),
    measure=_not_measured,
    draw=draw_rates,
    judge=lambda data: [],
    optional=True,
    made_by="python -m adaptrnn.paper.search",
    functions=("adaptrnn.paper.search.search_rates", "adaptrnn.paper.search.keep_table"),
    tests=("tests/paper/test_search.py",),
    table=rates_table,
)
