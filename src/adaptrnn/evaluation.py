"""Measure accuracy and loss of a network on a whole split, clean or perturbed."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from adaptrnn._error import InputError, bad, choose
from adaptrnn.perturb import PAPER_PERTURBATIONS, Perturbation, Sum
from adaptrnn.run import EVALUATION_COLUMNS, Run
from adaptrnn.storage import write_table
from adaptrnn.tasks import AbstractTask, trial_loss, trial_scores, weight_sum

__all__ = [
    "Evaluation",
    "TrialEvaluation",
    "evaluate",
    "evaluate_run",
    "evaluate_trials",
    "kept_evaluations",
]

SPLITS = ("test", "validation", "train")


@dataclass(frozen=True)
class Evaluation:
    """An evaluation is the result on a whole split.

    Attributes:
        accuracy: fraction of trials answered correctly, 0 to 1; NaN where real values are answered.
        loss: mean loss over all trials (not the mean of batch means): cross entropy, nats, or
            squared error.
        images: number of trials; of an image task each is an image.
        error: mean absolute error of real values at the decision; NaN where classes are answered.
    """

    accuracy: float
    loss: float
    images: int
    error: float = math.nan

    def __str__(self) -> str:
        """Return the accuracy in percent, or the error."""
        return f"{self.accuracy:.2%}" if math.isnan(self.error) else f"{self.error:.4g}"


@torch.no_grad()
def evaluate(
    model: nn.Module,
    task: AbstractTask,
    perturbation: Perturbation | None = None,
    split: str = "test",
    batch_size: int | None = None,
    encoded: dict[int, Tensor] | None = None,
) -> Evaluation:
    """Evaluate a network on a whole split of its task.

    A drive acts on the steps of the recurrent core; a contrast on the presented stimulus (for
    a convolutional encoder on the pixels in raster order).

    Args:
        model: the network, called as ``model(x)``, under a drive as ``model(x, drive)``, with x
            (T, B, D), time first, in the dtype of its parameters; its mode (training or evaluation)
            is as before afterwards.
        task: the task.
        perturbation: what is done to the network; None for nothing.
        split: "test", "validation" or "train".
        batch_size: images at a time; by default as many as give a drive of 64 MiB, at most
            1000, or 100 for a convolutional encoder. It does not change the result beyond rounding.
        encoded: a dict that keeps the encoder's output, for perturbations that leave the images as
            they are. Give one empty dict to several calls with the same network, split and batch
            size. It takes 4 T D bytes an image.

    Returns:
        Accuracy, loss and number of images.

    Raises:
        InputError: an unknown split; a network that is not time first, or whose state is not
            finite.

    Example:
        >>> from adaptrnn.config import TrainConfig
        >>> from adaptrnn.perturb import StepDrive
        >>> from adaptrnn.run import build_model, load_task
        >>> config = TrainConfig("digits", model="gamma", hidden_size=8)
        >>> task = load_task(config)
        >>> evaluate(build_model(config, task), task, StepDrive(1.0)).images
        359
    """
    found = evaluate_trials(
        model, task, perturbation, split, batch_size, encoded, keep_outputs=False
    )
    score = float(found.score.mean())
    accuracy, error = (math.nan, score) if task.metric == "error" else (score, math.nan)
    return Evaluation(accuracy, found.loss, len(found.score), error)


@dataclass(frozen=True)
class TrialEvaluation:
    """A trial evaluation holds the result of every trial of a split.

    Attributes:
        score: (n,) float64, accuracy or error of each trial, see `adaptrnn.tasks.trial_scores`.
        loss: mean loss over all trials and steps that have weight.
        outputs: (T, n, K), or (n, K) for one class a trial, on the CPU; None if not kept.
    """

    score: Tensor
    loss: float
    outputs: Tensor | None


@torch.no_grad()
def evaluate_trials(
    model: nn.Module,
    task: AbstractTask,
    perturbation: Perturbation | None = None,
    split: str = "test",
    batch_size: int | None = None,
    encoded: dict[int, Tensor] | None = None,
    *,
    keep_outputs: bool = True,
) -> TrialEvaluation:
    """Evaluate a network like `evaluate`, trial by trial.

    Args:
        model: the network, as for `evaluate`.
        task: as for `evaluate`.
        perturbation: as for `evaluate`.
        split: as for `evaluate`.
        batch_size: as for `evaluate`.
        encoded: as for `evaluate`.
        keep_outputs: whether the outputs are kept.

    Returns:
        Score of each trial, loss, and the outputs.
    """
    data = getattr(task, choose("split", split, SPLITS))
    if task.generator is not None and split == "train":
        raise bad("split", split, "test or validation: training trials are new in every epoch")
    perturbation = Sum(()) if perturbation is None else perturbation
    first_weight, was_training = next(model.parameters(), None), model.training
    device = torch.device("cpu") if first_weight is None else first_weight.device
    image = task.kind == "image"
    network: Any = model  # with an encoder and scores where `encoded` is given
    size = int(getattr(getattr(model, "core", None), "hidden_size", 1))
    steps = task.core_steps
    if batch_size is None:
        batch_size = max(1, min(100 if image else 1000, 2**24 // (steps * size)))
    loss, weight = 0.0, 0.0
    scores, kept = [], []
    model.eval()
    try:
        for first in range(0, len(data), batch_size):
            trials = task.batch(data, slice(first, first + batch_size))
            count, trials = len(trials), trials.to(device)
            given = in_dtype_of(model, trials.inputs)
            if first == 0 and not image:
                _check_time_first(model, given)
            x = perturbation.stimulus_image(given) if image else perturbation.stimulus(given)
            long = steps if image else len(given)
            drive = perturbation.drive(long, count, size, first, device, x.dtype)
            if encoded is None or not torch.equal(x, given):
                outputs = network(x) if drive is None else network(x, drive)
            else:
                features = encoded.get(first)
                if features is None:
                    features = encoded[first] = network.encoder(x)
                outputs = network.scores(features, drive)
            each = weight_sum(trials)
            loss += float(trial_loss(outputs, trials)) * each
            weight += each
            scores.append(trial_scores(outputs, trials).cpu())
            if keep_outputs:
                kept.append(outputs.cpu())
    finally:
        model.train(was_training)
    if not math.isfinite(loss):
        wrong = [name for name, value in model.named_parameters() if not value.isfinite().all()]
        cause = (
            f"weights that are not finite: {', '.join(wrong)}"
            if wrong
            else "the network's state grew without bound; perturb it less"
        )
        raise InputError(f"loss={loss} under {perturbation}: {cause}.")
    whole = torch.cat(kept, 0 if task.answers == "last" else 1) if keep_outputs else None
    return TrialEvaluation(torch.cat(scores), loss / weight, whole)


def in_dtype_of(model: nn.Module, x: Tensor) -> Tensor:
    """Return what a network reads in the dtype of its parameters, if they all have the same."""
    dtypes = {weight.dtype for weight in model.parameters() if weight.is_floating_point()}
    return x.to(dtypes.pop()) if len(dtypes) == 1 and x.is_floating_point() else x


def _check_time_first(model: nn.Module, x: Tensor) -> None:
    """Raise if a network with a layer that is batch first mixes the trials of a batch.

    Such a layer takes the trials for its time steps, unless the network transposes for it.
    """
    named = model.named_modules()
    names = [name for name, part in named if getattr(part, "batch_first", False)]
    if not names:
        return
    trial, answers = x[:, :1], []
    with torch.random.fork_rng([x.device] if x.is_cuda else []):
        for other in (trial, trial.flip(0), x[:, -1:]):
            torch.manual_seed(0)
            answers.append(model(torch.cat([other, trial], 1)).select(-2, -1))
    if not all(torch.allclose(one, answers[0], 0, 0, equal_nan=True) for one in answers):
        name = names[0] or type(model).__name__
        allowed = "False in a module that reads (T, B, D), unless it transposes for that layer"
        advice = "Here the answer to a trial depends on the other trials of its batch."
        raise bad(f"{name}.batch_first", True, allowed, advice)


def evaluate_run(
    run: Run,
    perturbations: Mapping[str, Perturbation] = PAPER_PERTURBATIONS,
    split: str = "test",
    show: Callable[[str, Evaluation], None] | None = None,
) -> pd.DataFrame:
    """Evaluate a trained run under perturbations and keep the rows in its folder.

    Rows that the folder already holds are not computed again.

    Args:
        run: the run.
        perturbations: each with the name that its row gets; the paper's three and "clean".
        split: "test", "validation" or "train".
        show: called with name and result of each perturbation when it is known.

    Returns:
        A row for each perturbation: name, text form, split, accuracy, loss, images.

    Raises:
        InputError: not a run, no weights, damaged files.
    """
    run.weights()  # whose rows these are; damaged weights are found before any number is shown
    kept = read_evaluations(run)
    model: nn.Module | None = None
    encoded: dict[int, Tensor] | None = None
    rows = []
    for name, perturbation in perturbations.items():
        text = str(perturbation)
        same = kept[(kept["perturbation"] == text) & (kept["split"] == split)]
        if len(same):
            row = same.iloc[0].to_dict() | {"name": name}
            error = float(row.get("error", math.nan))
            result = Evaluation(row["accuracy"], row["loss"], int(row["images"]), error)
        else:
            if model is None:
                task = run.task()
                model = run.model(task)
                encoded = {} if task.kind == "image" else None
            result = evaluate(model, task, perturbation, split, encoded=encoded)
            row = {"name": name, "perturbation": text, "split": split, **vars(result)}
            if math.isnan(result.error):
                del row["error"]  # so that tables of images are as they always were
            kept = pd.concat([kept, pd.DataFrame([row])], ignore_index=True)
            write_table(run.evaluation_path, kept)
        rows.append(row)
        if show is not None:
            show(name, result)
    return pd.DataFrame(rows)


def kept_evaluations(run: Run, perturbations: Mapping[str, Perturbation]) -> pd.DataFrame:
    """Return the rows of perturbations of test trials that a run holds; nothing is computed.

    Args:
        run: the run.
        perturbations: each with the name that its row gets.

    Returns:
        A row for each perturbation, as `evaluate_run` gives it.

    Raises:
        InputError: a perturbation was not evaluated; not a run, no weights, damaged files.
    """
    run.weights()
    kept = read_evaluations(run)
    kept = kept[kept["split"] == "test"].drop_duplicates("perturbation").set_index("perturbation")
    texts = [str(perturbation) for perturbation in perturbations.values()]
    lacking = {
        n: text for n, text in zip(perturbations, texts, strict=True) if text not in kept.index
    }
    if lacking:
        named = [f"{name}={text}" for name, text in lacking.items()]
        words = ["adaptrnn", "evaluate", str(run.folder), "--perturb", *named]
        raise InputError(
            f"{run.folder}: not evaluated under {', '.join(lacking.values())}. "
            f"Run  {shlex.join(words)}"
        )
    table = kept.loc[texts].reset_index().assign(name=list(perturbations))
    return table[[name for name in (*EVALUATION_COLUMNS, "error") if name in table]]


def read_evaluations(run: Run) -> pd.DataFrame:
    """Read the rows that a run's folder already holds, perhaps none."""
    table = run.evaluation()
    if table is None:
        kinds = ("str", "str", "str", "float64", "float64", "int64")
        pairs = zip(EVALUATION_COLUMNS, kinds, strict=True)
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in pairs})
    return table[[name for name in (*EVALUATION_COLUMNS, "error") if name in table]]
