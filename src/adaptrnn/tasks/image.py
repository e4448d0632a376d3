"""Image tasks hold labelled images, and turn a batch of them into what a network reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from adaptrnn._error import bad
from adaptrnn.tasks.task import AbstractTask, Trials

__all__ = ["ImageTask", "Split", "box_weights", "downsample"]


@dataclass(frozen=True, eq=False)
class Split:
    """A split holds labelled images of one part of a data set.

    Args:
        images: (n, C, H, W) uint8.
        labels: (n,) int64.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class ImageTask(AbstractTask[Split]):
    """An image task has labelled images of three parts; the class is answered after the last step.

    `adaptrnn.tasks.load` makes such a task. Images stay uint8 as they were decoded. `inputs` turns
    a batch of them into what the network reads, by a scaling to [0, 1] without normalisation.

    Args:
        name: the task's name, as given to `load`.
        kind: "sequence" (linear encoder) or "image" (convolutional encoder).
        train: images to train on, in the fixed shuffled order of the split.
        validation: images to choose by.
        test: images to report on.
        class_names: one for each label, in the labels' order.
        maximum: the pixel value that stands for 1 (255; 16 in `digits`).
        image_size: images are downsampled to this many pixels a side; None keeps them as they are.
        permutation: (T,) int64: step t of the sequence is pixel permutation[t] in raster order;
            None for raster order.
        split_hash: SHA-256 over the index lists and labels of the three splits.
        permutation_hash: SHA-256 over the permutation; None without one.
        data_hash: SHA-256 over all decoded images and labels of the source.
        source: where the images came from, with the hash or revision of each file.
    """

    name: str
    kind: Literal["sequence", "image"]
    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]
    maximum: int
    image_size: int | None
    permutation: Tensor | None
    split_hash: str
    permutation_hash: str | None
    data_hash: str
    source: str

    @property
    def num_classes(self) -> int:
        """Return the number of classes."""
        return len(self.class_names)

    @property
    def output_size(self) -> int:
        """Return the number of classes, K."""
        return self.num_classes

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Return channels, height and width of an image as the network gets it, (C, H, W)."""
        channels, height, width = self.train.images.shape[1:]
        if self.image_size is not None:
            height = width = self.image_size
        return channels, height, width

    @property
    def input_size(self) -> int:
        """Return the channels: features of one step of a sequence, or of one pixel of an image."""
        return self.image_shape[0]

    @property
    def sequence_length(self) -> int | None:
        """Return T = H W steps of the sequence; None for images, whose encoder makes the steps."""
        return self.image_shape[1] * self.image_shape[2] if self.kind == "sequence" else None

    @property
    def core_steps(self) -> int:
        """Return the steps T; of images those of the encoder's last map, H W / 16."""
        _, height, width = self.image_shape
        return height * width // (1 if self.kind == "sequence" else 16)

    def inputs(
        self, images: Annotated[Tensor, "B C H W"]
    ) -> Annotated[Tensor, "T B C"] | Annotated[Tensor, "B C height width"]:
        """Return what the network reads of a batch of images.

        Args:
            images: images of this task, (B, C, H, W) uint8, on any device.

        Returns:
            float32 in [0, 1] on the same device: for kind "sequence" (T, B, D), one pixel a step
            in the task's order with D = C; for kind "image" (B, C, H, W).

        Raises:
            InputError: `images` are not uint8 or not of the task's own shape.

        Example:
            >>> from adaptrnn.tasks import load
            >>> task = load("digits")
            >>> x = task.inputs(task.test.images[:5])
            >>> tuple(x.shape), x.min().item(), x.max().item()
            ((64, 5, 1), 0.0, 1.0)
        """
        want = self.train.images.shape[1:]
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1:] != want:
            raise bad(
                "images",
                f"{images.dtype} {tuple(images.shape)}",
                f"uint8 of shape (B, {', '.join(map(str, want))})",
                "Give images of the task's own splits.",
            )
        x = downsample(images, self.image_size) / self.maximum
        if self.kind == "image":
            return x
        x = x.flatten(2)
        if self.permutation is not None:
            x = x[..., self.permutation.to(x.device)]
        return x.permute(2, 0, 1).contiguous()

    def batch(self, part: Split, index: Tensor | slice) -> Trials:
        """Return some images of a split as a network reads them, with their labels.

        Args:
            part: a `Split` of this task.
            index: which of its images.
        """
        return Trials(self.inputs(part.images[index]), part.labels[index])

    def describe(self) -> dict[str, object]:
        """Return the facts of the task as plain values, for a run's record (JSON)."""
        return {
            "name": self.name,
            "kind": self.kind,
            "num_classes": self.num_classes,
            "class_names": list(self.class_names),
            "image_shape": list(self.image_shape),
            "sequence_length": self.sequence_length,
            "permuted": self.permutation is not None,
            "train_size": len(self.train),
            "validation_size": len(self.validation),
            "test_size": len(self.test),
            "split_hash": self.split_hash,
            "permutation_hash": self.permutation_hash,
            "data_hash": self.data_hash,
            "source": self.source,
        }


def downsample(
    images: Annotated[Tensor, "B C H W"], size: int | None
) -> Annotated[Tensor, "B C height width"]:
    """Average images to fewer pixels: each new pixel is the mean over its square.

    A pixel that lies in two squares counts in each by the part of its area that lies there, so the
    mean over an image stays what it was.

    Args:
        images: (B, C, H, W), any real dtype.
        size: pixels a side, 1 <= size <= min(H, W); None keeps the images as they are.

    Returns:
        (B, C, size, size) float32, on the scale of the input.

    Raises:
        InputError: `size` is out of range.

    Example:
        >>> downsample(torch.tensor([[[[0, 2], [4, 6]]]]), 1)
        tensor([[[[3.]]]])
    """
    x = images.float()
    height, width = x.shape[-2:]
    if size is None or (height, width) == (size, size):
        return x
    if not 1 <= size <= min(height, width):
        raise bad("image_size", size, f"between 1 and {min(height, width)}, the size of the images")
    if height % size == 0 and width % size == 0:
        return F.avg_pool2d(x, (height // size, width // size))
    rows = torch.from_numpy(box_weights(height, size)).to(x)
    columns = torch.from_numpy(box_weights(width, size)).to(x)
    return rows @ x @ columns.T


def box_weights(old: int, new: int) -> np.ndarray:
    """Return weights of area resampling along one axis, (new, old) float64, rows summing to 1.

    Row i holds the overlap of [i old/new, (i+1) old/new) with each pixel [j, j+1), over old/new. It
    is computed in integers, so that each weight is one rounding of the exact fraction.
    """
    begin = np.arange(new)[:, None] * old
    left = np.arange(old)[None, :] * new
    overlap = np.minimum(begin + old, left + new) - np.maximum(begin, left)
    return np.maximum(overlap, 0) / old
