"""The only list of named image tasks says what is known of them before their data are read.

Nothing here imports torch, so that a command line starts fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["PRESETS", "Preset", "preset_of", "task_in_words"]


@dataclass(frozen=True)
class Preset:
    """A preset describes an image task that has a name.

    Attributes:
        label: name in figures and tables.
        hub: ``owner/name`` of its data set; None where scikit-learn bundles it.
        kind: "sequence" for one pixel a step, "image" for the convolutional encoder.
        grey: whether colours are turned into luma.
        permuted: whether the pixels are permuted.
        steps: of the recurrent core for one image of the data set's own size.
        train: number of training images.
        validation: number of validation images; None for a tenth of the training part.
        test: number of test images.
        rows: rows of each part of the data set, to be checked; None where they are not known.
        learning_rate: of Adam, as the paper trains it.
    """

    label: str
    hub: str | None
    kind: Literal["sequence", "image"] = "sequence"
    grey: bool = True
    permuted: bool = False
    steps: int = 1024
    train: int = 50_000
    validation: int | None = None
    test: int = 10_000
    rows: Mapping[str, int] | None = field(default=None, hash=False)
    learning_rate: float = 1e-4


_MNIST = {"train": 60_000, "test": 10_000}
_CIFAR10 = {"train": 50_000, "test": 10_000}

PRESETS = {
    "digits": Preset(
        "8x8 digits", None, permuted=True, steps=64, train=1079, validation=359, test=359
    ),
    "psmnist": Preset(
        "psMNIST",
        "ylecun/mnist",
        permuted=True,
        steps=784,
        train=50_000,
        validation=10_000,
        rows=_MNIST,
    ),
    "scifar10": Preset(
        "sCIFAR10",
        "uoft-cs/cifar10",
        train=45_000,
        validation=5_000,
        rows=_CIFAR10,
        learning_rate=1e-5,
    ),
    "scifar10-conv": Preset(
        "sCIFAR10 (conv)",
        "uoft-cs/cifar10",
        "image",
        grey=False,
        steps=64,
        train=45_000,
        validation=5_000,
        rows=_CIFAR10,
    ),
}
"""The image tasks by name."""


def preset_of(task: str) -> Preset:
    """Return what is known of a task, or a guess for a task without a preset.

    Example:
        >>> preset_of("psmnist").steps, preset_of("owner/name").learning_rate
        (784, 0.0001)
    """
    return PRESETS.get(task) or Preset(task, task)


def task_in_words(task: str, steps: int | None) -> str:
    """Return a task as it is named in titles.

    Args:
        task: its name.
        steps: of a sequence; None or 0 for images that an encoder reads as a whole.

    Example:
        >>> task_in_words("psmnist", 196), task_in_words("digits", 64)
        ('psMNIST, 196 steps', '8x8 digits, 64 steps')
    """
    return f"{preset_of(task).label}, {steps} steps" if steps else preset_of(task).label
