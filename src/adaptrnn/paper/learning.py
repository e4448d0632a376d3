"""Validation curves, and the search for learning rates, show how the networks learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from adaptrnn._error import InputError
from adaptrnn.figure.style import (
    colour,
    count_seeds,
    has_controller,
    ink,
    label_of,
    letters,
    marker,
    mean_and_seeds,
    name_lines,
    percent_axis,
    subplots,
    task_title,
)
from adaptrnn.paper.item import ROLES, Item, RunData, Table
from adaptrnn.paper.ordering import TASK_LABELS, drop_missing
from adaptrnn.paper.table1 import COLUMNS

__all__ = [
    "CURVES",
    "RATE_TABLE",
    "late_gain",
    "measure",
    "rates_table",
    "table",
    "with_used_rates",
]

LATE = 0.25
"""The last part of training, in which a curve should be flat."""


def measure(run: RunData) -> xr.Dataset:
    """Return validation accuracy and training loss after each epoch, (epoch)."""
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
    """Return what the best validation accuracy gained in the last quarter of training.

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
    """Return best validation accuracy and what it gained in the last quarter, means over seeds."""
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
    """Draw validation accuracy against the epoch, a panel for each task.

    Args:
        data: `validation_accuracy` (role, model, seed, epoch), 0 to 1.

    Returns:
        The figure, of tasks and models that have any number.
    """
    data = drop_missing(data)
    rates = 100 * data.validation_accuracy
    figure, axes = _panels(rates, "epoch")
    for axis, role in zip(axes[0], data.role.values.tolist(), strict=True):
        ends = []
        trained = rates.sel(role=role).dropna("epoch", how="all").epoch
        last = max(2, int(trained.max()))
        for model in data.model.values.tolist():
            line: dict[str, Any] = {
                "color": colour(model),
                "lw": 2.4 if has_controller(model) else 1.4,
            }
            one = rates.sel(role=role, model=model).dropna("epoch", how="all")
            _, mean = mean_and_seeds(axis, one, "epoch", **line)
            if mean.size:
                ends.append((float(mean[-1]), label_of(model), colour(model)))
                if one.epoch[-1] < last:  # a shorter training; its name is at the right
                    rest, height = [int(one.epoch[-1]), last], [float(mean[-1])] * 2
                    axis.plot(rest, height, color=colour(model), lw=0.6, ls=":")
        axis.set_xlim(1, last)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        name_lines(axis, ends, gap=0.075)
        count_seeds(axis, rates.sel(role=role).max("model"), "seed")
    return figure


def draw_rates(data: xr.Dataset) -> Figure:
    """Draw validation accuracy against the peak learning rate, a panel for each task.

    Args:
        data: `accuracy` (role, model, rate, seed), 0 to 1.

    Returns:
        The figure.
    """
    rates = 100 * data.accuracy
    figure, axes = _panels(rates, "peak learning rate")
    for axis, role in zip(axes[0], data.role.values.tolist(), strict=True):
        for model in data.model.values.tolist():
            one = rates.sel(role=role, model=model).dropna("rate", how="all")
            label = {"label": label_of(model)} if axis is axes[0, 0] else {}
            axis.plot(one.rate, one.mean("seed"), color=colour(model), lw=1.2, **label)
            dots = one.transpose("rate", "seed").values
            axis.plot(one.rate, dots, marker(model), color=colour(model), ms=4, lw=0)
        axis.set_xscale("log")
        count_seeds(axis, rates.sel(role=role).max(["model", "rate"]), "seed")
    figure.legend(ncols=4, loc="outside lower center")
    return figure


def _panels(rates: xr.DataArray, xlabel: str) -> tuple[Figure, np.ndarray]:
    """A panel for each task, each with an axis of the accuracies (%) that it has, and chance."""
    roles = rates.role.values.tolist()
    figure, axes = subplots(1, len(roles), width=1 + 3.6 * len(roles), height=3.2)
    for axis, role in zip(axes[0], roles, strict=True):
        axis.axhline(10, color=ink(), lw=0.8, ls=":")
        axis.set(xlabel=xlabel, title=task_title(rates, role))
        percent_axis(axis, [*rates.sel(role=role).values.ravel(), 10])
    axes[0, 0].set_ylabel("validation accuracy (%)")
    letters(axes)
    return figure, axes


def rates_table(data: xr.Dataset) -> Table:
    """Return each model's mean validation accuracy by rate, the best rate and the one used.

    Args:
        data: accuracy (role, model, rate, seed), 0 to 1; and perhaps the coordinate used (role,
            model), see `with_used_rates`.
    """
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
            cells.append(f"{best:g}{edge}")
            if "used" in data.coords:
                used = float(data.used.sel(role=role, model=model))
                cells.append(f"{used:g}" if np.isfinite(used) else "")
            rows.append((TASK_LABELS[role], label_of(model), *cells))
    header = ("task", "model", *(f"{rate:g}" for rate in rates), "best rate")
    return Table((*header, *(["rate used"] if "used" in data.coords else [])), tuple(rows))


def with_used_rates(tables: Mapping[str, xr.Dataset], runs: pd.DataFrame) -> dict[str, xr.Dataset]:
    """Return collected tables in which that of the search also says which rates were used.

    Args:
        tables: the collected measures by item.
        runs: the networks, with their role, variant, model and learning_rate.

    Returns:
        The tables; that of the search, if it is there, has the coordinate used (role, model). It is
        NaN where there is no network, or where the networks of a model differ in their rate.
    """
    found = tables.get(RATE_TABLE.name)
    if found is None or not len(runs):
        return dict(tables)
    plain = runs[runs.variant == ""].groupby(["role", "model"]).learning_rate
    known = plain.first().where(plain.nunique() == 1)
    used = [
        [known.get((role, model), np.nan) for model in found.model.values.tolist()]
        for role in found.role.values.tolist()
    ]
    with_used = found.assign_coords(used=(("role", "model"), np.array(used, dtype=float)))
    return {**tables, RATE_TABLE.name: with_used}


def _not_measured() -> xr.Dataset:
    raise InputError(
        f"learning-rates: the report draws it, from the table that {RATE_TABLE.made_by} writes."
    )


CURVES = Item(
    name="learning-curves",
    title="Validation accuracy during training",
    caption=(
        "The lines are the validation accuracy after each epoch of every network of the profile, a "
        "thin line for each seed and a thick line for their mean, in a panel for each task. The "
        "dotted line at 10% is chance; other dotted lines lead from the end of a shorter training "
        "to its name. The weights of the best epoch are the ones that are evaluated. The "
        "table says what the best accuracy gained in the last quarter of training. Where a curve "
        "is still rising, more training would raise it."
    ),
    alt=(
        "Validation accuracy against the epoch, a panel for each task: the lines of the models "
        "rise from near chance, a dotted line at 10%, and flatten; each ends at its model's name."
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
        "The dots are the validation accuracy of the best epoch against the peak learning rate, "
        "for seeds that are not reported, with a line through their means, in a panel for each "
        "task. Every model gets the same rates and nothing else that others do not get. A network "
        "whose loss was not finite has no dot. Rates are chosen on clean validation accuracy "
        "alone. The best rate is not always the rate used, which is the smallest whose mean "
        "accuracy is less than 1 percentage point below the best (in `quick` it is the best one). "
        "Networks of the ladder and of the grid may have another rate, which their caption or the "
        "profile gives."
    ),
    alt=(
        "Validation accuracy against the peak learning rate on a logarithmic axis, a panel for "
        "each task: dots for seeds and a line through their means for each model; dotted: chance."
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
