"""Accuracy and loss of a network on a whole split, clean or perturbed."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn

from adaptrnn._error import InputError, choose
from adaptrnn.classifier import Classifier
from adaptrnn.perturb import PAPER_PERTURBATIONS, Perturbation, Sum
from adaptrnn.run import Run, read_table, write_table
from adaptrnn.tasks import Task

__all__ = ["Evaluation", "evaluate", "evaluate_run", "kept_evaluations"]

SPLITS = ("test", "validation", "train")


@dataclass(frozen=True)
class Evaluation:
    """Result on a whole split.

    Attributes:
        accuracy: fraction of images classified rightly, 0 to 1.
        loss: mean cross entropy over all images (not the mean of batch means), nats.
        images: number of images.
    """

    accuracy: float
    loss: float
    images: int


@torch.no_grad()
def evaluate(
    model: Classifier,
    task: Task,
    perturbation: Perturbation | None = None,
    split: str = "test",
    batch_size: int | None = None,
    encoded: dict[int, Tensor] | None = None,
) -> Evaluation:
    """Evaluate a network on a whole split of its task.

    A drive acts on the steps of the recurrent core; a contrast on the presented stimulus (for
    a convolutional encoder on the pixels in raster order).

    Args:
        model: the network; its mode (training or evaluation) is as before afterwards.
        task: the task.
        perturbation: what is done to the network; None for nothing.
        split: "test", "validation" or "train".
        batch_size: images at a time; by default as many as give a drive of 64 MiB, at most
            1000, or 100 for a convolutional encoder. It does not change the result beyond rounding.
        encoded: where the encoder's output for images that the perturbation leaves as they are is
            kept from call to call, by first image: give one empty dict to several calls with the
            same network, split and batch size. 4 T D bytes an image.

    Returns:
        Accuracy, loss and number of images.

    Raises:
        InputError: an unknown split; a network whose state is not finite.

    Example:
        >>> from adaptrnn.config import TrainConfig
        >>> from adaptrnn.perturb import StepDrive
        >>> from adaptrnn.run import build_model, load_task
        >>> config = TrainConfig("digits", model="gamma", hidden_size=8)
        >>> task = load_task(config)
        >>> evaluate(build_model(config, task), task, StepDrive(1.0)).images
        359
    """
    data = getattr(task, choose("split", split, SPLITS))
    perturbation = Sum(()) if perturbation is None else perturbation
    device, was_training = model.readout.weight.device, model.training
    size, image = int(model.core.hidden_size), task.kind == "image"  # type: ignore[arg-type]
    steps = task.sequence_length or task.image_shape[1] * task.image_shape[2] // 16
    if batch_size is None:
        batch_size = max(1, min(100 if image else 1000, 2**24 // (steps * size)))
    loss, hits = 0.0, 0
    model.eval()
    try:
        for first in range(0, len(data), batch_size):
            images = data.images[first : first + batch_size]
            x, targets = task.inputs(images).to(device), data.labels[first : first + batch_size]
            given, x = x, perturbation.stimulus_image(x) if image else perturbation.stimulus(x)
            drive = perturbation.drive(steps, len(images), size, first, device, x.dtype)
            if encoded is None or not torch.equal(x, given):
                scores = model(x, drive)
            else:
                features = encoded.get(first)
                if features is None:
                    features = encoded[first] = model.encoder(x)
                scores = model.scores(features, drive)
            targets = targets.to(device)
            loss += float(nn.functional.cross_entropy(scores, targets, reduction="sum"))
            hits += int((scores.argmax(-1) == targets).sum())
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
    return Evaluation(hits / len(data), loss / len(data), len(data))


def evaluate_run(
    run: Run,
    perturbations: Mapping[str, Perturbation] = PAPER_PERTURBATIONS,
    split: str = "test",
    show: Callable[[str, Evaluation], None] | None = None,
) -> pd.DataFrame:
    """Evaluate a trained run under perturbations and keep the rows in its folder.

    What the folder holds already is not computed again.

    Args:
        run: the run.
        perturbations: each with the name that its row gets; the paper's three and "clean".
        split: "test", "validation" or "train".
        show: called with name and result of each as it is there.

    Returns:
        A row for each perturbation: name, text form, split, accuracy, loss, images.

    Raises:
        InputError: not a run, no weights, damaged files.
    """
    run.weights()  # whose rows these are; damaged weights are found before any number is shown
    kept = read_evaluations(run)
    model: Classifier | None = None
    encoded: dict[int, Tensor] | None = None
    rows = []
    for name, perturbation in perturbations.items():
        text = str(perturbation)
        same = kept[(kept["perturbation"] == text) & (kept["split"] == split)]
        if len(same):
            row = same.iloc[0].to_dict() | {"name": name}
            result = Evaluation(row["accuracy"], row["loss"], int(row["images"]))
        else:
            if model is None:
                task = run.task()
                model = run.model(task)
                encoded = {} if task.kind == "image" else None
            result = evaluate(model, task, perturbation, split, encoded=encoded)
            row = {"name": name, "perturbation": text, "split": split, **vars(result)}
            kept = pd.concat([kept, pd.DataFrame([row])], ignore_index=True)
            write_table(run.evaluation_path, kept)
        rows.append(row)
        if show is not None:
            show(name, result)
    return pd.DataFrame(rows)


def kept_evaluations(
    run: Run, perturbations: Mapping[str, Perturbation], split: str = "test"
) -> pd.DataFrame:
    """The rows of perturbations that a run's folder holds; nothing is computed.

    Args:
        run: the run.
        perturbations: each with the name that its row gets.
        split: "test", "validation" or "train".

    Returns:
        A row for each perturbation, as `evaluate_run` gives it.

    Raises:
        InputError: a perturbation was not evaluated; not a run, no weights, damaged files.
    """
    run.weights()
    kept = read_evaluations(run)
    kept = kept[kept["split"] == split].drop_duplicates("perturbation").set_index("perturbation")
    texts = [str(perturbation) for perturbation in perturbations.values()]
    lacking = [text for text in texts if text not in kept.index]
    if lacking:
        words = ["adaptrnn", "evaluate", str(run.folder), "--perturb", *lacking]
        words += [] if split == "test" else ["--split", split]
        raise InputError(
            f"{run.folder}: not evaluated under {', '.join(lacking)}. Run  {shlex.join(words)}"
        )
    return kept.loc[texts].reset_index().assign(name=list(perturbations))[list(_COLUMNS)]


def read_evaluations(run: Run) -> pd.DataFrame:
    """The rows that a run's folder holds already, perhaps none."""
    path, columns = run.evaluation_path, list(_COLUMNS)
    if not path.exists():
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in _COLUMNS.items()})
    return read_table(path, columns, "Delete it and evaluate again.")[columns]


_COLUMNS = {
    "name": "str",
    "perturbation": "str",
    "split": "str",
    "accuracy": "float64",
    "loss": "float64",
    "images": "int64",
}
