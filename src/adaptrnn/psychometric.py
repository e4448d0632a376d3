"""Psychometric curves say how well trials are answered against a condition, such as coherence.

RUN/psychometric.nc   accuracy, or error, at each value of the condition, clean and perturbed
RUN/psychometric.png  the curves
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from adaptrnn._error import InputError, bad, choose
from adaptrnn.config import PsychometricConfig
from adaptrnn.evaluation import evaluate_trials
from adaptrnn.perturb import PAPER_PERTURBATIONS, Perturbation, StepDrive, Sum, parse_named
from adaptrnn.run import runs_in
from adaptrnn.storage import write_atomic, write_dataset
from adaptrnn.tasks import AbstractTask

if TYPE_CHECKING:
    from rich.console import Console
    from torch import nn

__all__ = ["psychometric_curve"]


DEFAULT: dict[str, Perturbation] = {
    name: PAPER_PERTURBATIONS[name] for name in ("clean", "step-drive", "noisy-drive")
}


def psychometric_curve(
    model: nn.Module,
    task: AbstractTask,
    perturbations: Mapping[str, Perturbation] | None = None,
    condition: str | None = None,
) -> xr.Dataset:
    """Measure how well test trials are answered at each value of a condition.

    Args:
        model: the trained network.
        task: its task, whose test trials have the condition.
        perturbations: each with its name; None for no perturbation and a step drive of 1.
        condition: name of the condition; None for the task's own.

    Returns:
        accuracy, or error where real values are answered, (perturbation, value): the mean score
        of the trials; standard_error of this mean, over trials of one network; trials (value), how
        many there are. The coordinate `value` has the condition's name in its attributes. Near an
        accuracy of 0 or 1, +- 1.96 standard errors hold the truth less often than in 95% of
        experiments: in 87% for 98% right of 100 trials (docs/explanation/seeds.md).

    Raises:
        InputError: the trials do not have the condition, or it takes more than 50 values.

    Example:
        >>> from adaptrnn import ARUN
        >>> from adaptrnn.sequence import SequenceModel
        >>> from adaptrnn.tasks import load
        >>> task = load("perceptual-decision", parameters={"test_size": 60})
        >>> curve = psychometric_curve(SequenceModel(ARUN(3, 4, controller_size=3), 3), task)
        >>> dict(curve.accuracy.sizes)
        {'perturbation': 2, 'value': 6}
    """
    if perturbations is None:
        perturbations = {"clean": Sum(()), "step-drive": StepDrive(1.0)}
    given = getattr(task.test, "conditions", {})
    condition = task.condition if condition is None else condition
    if condition is None or not given:
        have = f"one of {', '.join(given)}" if given else "of a task whose trials have conditions"
        raise bad("condition", condition, have)
    choose("condition", condition, given)
    each = given[condition].numpy()
    values, index = np.unique(each, return_inverse=True)
    if len(values) > 50:
        raise bad("condition", condition, "one that takes at most 50 values")
    count = np.bincount(index)
    means, errors = [], []
    for perturbation in perturbations.values():
        found = evaluate_trials(model, task, perturbation, keep_outputs=False)
        score = found.score.numpy()
        mean = np.bincount(index, score) / count
        spread = np.bincount(index, (score - mean[index]) ** 2)
        means.append(mean)
        errors.append(np.sqrt(spread / np.maximum(count - 1, 1) / count))
    dims = ("perturbation", "value")
    return xr.Dataset(
        {
            task.metric: (dims, np.stack(means)),
            "standard_error": (dims, np.stack(errors)),
            "trials": ("value", count),
        },
        coords={
            "perturbation": list(perturbations),
            "value": ("value", values, {"condition": condition}),
            "text": ("perturbation", [str(p) for p in perturbations.values()]),
        },
        attrs={
            "task": task.name,
            "split_hash": task.split_hash,
            "definition": f"mean {task.metric} of the test trials with each value of {condition}; "
            "standard_error: of this mean over trials, for one network",
        },
    )


def run_psychometric(config: PsychometricConfig, console: Console) -> None:
    """Measure and draw the curves of runs, for the command `adaptrnn psychometric`."""
    from rich.table import Table

    from adaptrnn.figure.psychometric import draw_psychometric
    from adaptrnn.figure.style import render

    chosen = parse_named(config.perturb)
    chosen = {"clean": Sum(()), **chosen} if chosen else DEFAULT
    for run in [run.on_task(config.task) for run in runs_in(config.runs)]:
        folder = run.folder
        task = run.task()
        if not hasattr(task.test, "conditions"):
            raise InputError(
                f"{folder}: its task, {task.name}, has images; a psychometric curve needs trials "
                "with conditions."
            )
        with console.status(f"measuring {folder}"):
            data = psychometric_curve(run.model(task), task, chosen, config.condition)
        data = data.assign_attrs(model=run.config().model, seed=run.config().seed)
        write_dataset(run.folder / "psychometric.nc", data)
        path = run.folder / "psychometric.png"
        write_atomic(path, render(draw_psychometric, data, "png"))
        name = data["value"].attrs["condition"]
        table = Table(name, *map(str, data.perturbation.values), title=str(folder))
        percent = task.metric == "accuracy"
        for k, value in enumerate(data["value"].values):
            row = data[task.metric].values[:, k]
            table.add_row(f"{value:g}", *(f"{v:.1%}" if percent else f"{v:.4g}" for v in row))
        console.print(table)
        console.print(str(path), highlight=False, markup=False, soft_wrap=True)
