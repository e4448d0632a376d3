"""A ladder toward the paper's size shows how the main effects change with neurons and steps."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.style import (
    colour,
    count_seeds,
    label_of,
    letters,
    log_axis,
    marker,
    mean_and_seeds,
    percent_axis,
    subplots,
    task_title,
)
from adaptrnn.paper.item import Item, RunData, Table
from adaptrnn.paper.ordering import drop_missing
from adaptrnn.paper.verdict import part
from adaptrnn.perturb import PAPER_PERTURBATIONS, StepDrive

__all__ = ["EFFECTS", "LADDER", "effects", "measure", "table"]

LADDER_CONDITIONS = {
    "clean": PAPER_PERTURBATIONS["clean"],
    "noisy-drive": PAPER_PERTURBATIONS["noisy-drive"],
    "strong-drive": StepDrive(30.0),
}
EFFECTS = {
    "clean": ("clean accuracy (%)", ".1f"),
    "drop": ("drop under noisy drive (pp)", ".1f"),
    "loss": ("loss under a drive of 30 (nats)", ".3g"),
    "radius": ("spectral radius of W_hh", ".3f"),
    "share": ("neurons with alpha > 0 (%)", ".0f"),
    "gradient": ("gradient norm, multiple of ARUN's", ".3g"),
}
"""Name, what it is, format."""


def measure(run: RunData) -> xr.Dataset:
    """Measure the main effects of one network, over one rung.

    Returns:
        clean (%), drop (pp), loss (nats), radius, share (%), gradient (norm at full length), hidden
        (neurons), over rung, whose name has the units of the ARUN's controller and the steps.
    """
    config, seen = run.config, run.evaluation
    steps = run.record["task"]["sequence_length"]
    accuracy = 100 * seen.accuracy
    order = run.analyses["fractional"].order.sel(
        signal="h", network="interacting", estimator="paper", protocol="A"
    )
    has = int(order.notnull().sum())
    norm = run.analyses["gradients"].norm.sel(network="trained")
    values = {
        "clean": float(accuracy.sel(condition="clean")),
        "drop": float(accuracy.sel(condition="clean") - accuracy.sel(condition="noisy-drive")),
        "loss": float(seen.loss.sel(condition="strong-drive")),
        "radius": float(run.analyses["spectrum"].radius.sel(network="trained")),
        "share": 100 * int((order > 0).sum()) / has if has else np.nan,
        "gradient": float(norm.isel(time=0)),  # accumulated from the first step on
        "hidden": float(run.record["hidden_size"]),
    }
    rung = f"G = {config.controller_size}, T = {steps}"
    return xr.Dataset({k: ("rung", [v]) for k, v in values.items()}, {"rung": [rung]})


def effects(data: xr.Dataset) -> xr.Dataset:
    """Return the effects of one task, rungs by size, gradients relative to ARUN's of that seed."""
    rungs = sorted(data.rung.values.tolist(), key=_size)
    found = data[list(EFFECTS)].sel(rung=rungs)
    return found.assign(gradient=found.gradient / _arun(found.gradient))


def _arun(values: xr.DataArray) -> xr.DataArray:
    """Those of ARUN; NaN if it is not there."""
    return values.reindex(model=["arun"]).isel(model=0, drop=True)


def _size(rung: str) -> tuple[int, int]:
    """Steps, then controller units, of a rung's name."""
    units, steps = (int(part.split(" = ")[1]) for part in rung.split(", "))
    return steps, units


def table(data: xr.Dataset) -> Table:
    """Return every effect of every model on every rung: mean and 95% interval over seeds."""
    data = drop_missing(data).isel(role=0, drop=True)
    found, rows = effects(data), []
    for name, (words, digits) in EFFECTS.items():
        for model in found.model.values.tolist():
            one = found[name].sel(model=model)
            cells = [_cell(one.sel(rung=rung), digits) for rung in found.rung.values]
            if any(cells):
                rows.append((words, label_of(model), *(cell or "no data" for cell in cells)))
    neurons = _arun(data.hidden).mean("seed")
    rungs = (_named(neurons, rung, ", ") for rung in found.rung.values.tolist())
    return Table(("effect", "model", *rungs), tuple(rows))


def _named(neurons: xr.DataArray, rung: str, between: str) -> str:
    """A rung's name, with the neurons of its ARUN if that is there."""
    count = float(neurons.sel(rung=rung))
    return f"N = {count:.0f}{between}{rung}" if count == count else rung


def _cell(values: xr.DataArray, digits: str) -> str:
    found = part("", values.values, digits=digits)
    return f"{found.number} ({found.interval})" if found.interval else found.number


def draw(data: xr.Dataset) -> Figure:
    """Draw every effect against the rung, a panel each: means over seeds and dots for seeds.

    Args:
        data: the effects and `hidden` (role, model, seed, rung) of one role.

    Returns:
        The figure, of models and rungs that have any number.
    """
    whole = drop_missing(data).isel(role=0)
    neurons = _arun(whole.hidden).mean("seed")
    found = effects(whole)
    names = [_named(neurons, rung, "\n").replace(", ", "\n") for rung in found.rung.values.tolist()]
    figure, axes = subplots(2, 3, width=9, height=5.6)
    found = found.assign_coords(rung=np.arange(len(names)))
    models = found.model.values.tolist()
    for axis, (name, (words, _)) in zip(axes.flat, EFFECTS.items(), strict=True):
        for k, model in enumerate(models):
            one = found[name].sel(model=model)
            one = one.assign_coords(rung=one.rung + 0.08 * (k - (len(models) - 1) / 2))
            label = {"label": label_of(model)} if axis is axes[0, 0] else {}
            mean_and_seeds(axis, one, "rung", color=colour(model), **label)  # type: ignore[arg-type]
            dots = one.transpose("rung", "seed").values
            axis.plot(one.rung, dots, marker(model), color=colour(model), ms=3.5, lw=0)
        if name in ("loss", "gradient") and bool((found[name] > 0).any()):
            log_axis(axis)
        if "(%)" in words:
            percent_axis(axis, found[name])
        axis.set_title(words)
        axis.set_xticks(np.arange(len(names)), names, fontsize=7)
    count_seeds(axes[0, 0], found[list(EFFECTS)].to_dataarray().max(["model", "rung"]), "seed")
    figure.legend(ncols=3, loc="outside lower center")
    letters(axes)
    figure.suptitle(task_title(whole).split(",")[0], fontsize=9)  # there are several lengths
    return figure


LADDER = Item(
    name="ladder",
    title="The main effects against size and length",
    caption=(
        "The panels show networks on psMNIST of other sizes and lengths than the rest of the "
        "profile, from left to right toward the paper's N = 400, G = 50, T = 784. N is the number "
        "of neurons and G that of the controller units of ARUN, T is the number of steps, and "
        "RNN+gamma and RNN (ReLU) have as many parameters as ARUN. There is a dot for each seed "
        "and a line through the means. Every rung has seeds 0 to 2 only. For N = 100 and T = 196 "
        "there are five seeds elsewhere on this page, and these are the three of its five ARUNs "
        "that are robust. Over all five the ARUN's mean drop under noisy drive is 41.4 pp, as "
        "large as with N = 50, and its loss under a drive of 30 goes up to 912 nats. The orders "
        "alpha are by protocol A and the paper's "
        "estimator. With 196 steps all sizes are trained at the rates found for N = 100. With 784 "
        "steps the rate is 0.0003, since the ARUN does not stay finite at 0.001. All are trained "
        "for 16 epochs except those with N = 200, for 6, which costs less."
    ),
    alt=(
        "Six panels, one for each effect, such as clean accuracy and the drop under noisy drive, "
        "against the size and length of the networks: a line through means over seeds and dots "
        "for seeds, for each of three models."
    ),
    roles=("psmnist",),
    models=("relu", "gamma", "arun"),
    variant="ladder",
    also=("",),
    optional=True,
    conditions=LADDER_CONDITIONS,
    analyses=("spectrum", "fractional", "gradients"),
    measure=measure,
    draw=draw,
    judge=lambda data: [],
    functions=(
        "adaptrnn.evaluation.evaluate",
        "adaptrnn.analysis.eigenvalue.spectrum",
        "adaptrnn.analysis.fractional.fractional_order",
        "adaptrnn.analysis.gradient.gradient_norm",
    ),
    tests=(
        "tests/test_evaluation.py",
        "tests/analysis/test_eigenvalue.py",
        "tests/analysis/test_fractional.py",
        "tests/analysis/test_gradient.py",
        "tests/paper/test_ladder.py",
    ),
    table=table,
)
