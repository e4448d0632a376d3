"""A task's name stands for its source, colour, order of pixels and split."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from adaptrnn._error import InputError, bad, choose
from adaptrnn.preset import PRESETS, Preset
from adaptrnn.tasks import cognitive, own, source
from adaptrnn.tasks.cache import Pixels
from adaptrnn.tasks.image import ImageTask, Split
from adaptrnn.tasks.task import AbstractTask

__all__ = ["PERMUTATION_SEED", "SPLIT_SEED", "TASKS", "load"]

PERMUTATION_SEED = 92916
"""The published permutation of T pixels is ``numpy.random.RandomState(92916).permutation(T)``."""

SPLIT_SEED = 1012567
"""Seed of the ``numpy.random.RandomState`` that splits validation images off, see `load`."""


TASKS = tuple(PRESETS)
"""Names of the image tasks that `load` knows; it also takes ``owner/name`` of the hub."""


def load(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    train_size: int | None = None,
    permutation_seed: int | None = None,
    *,
    kind: Literal["sequence", "image"] | None = None,
    grey: bool | None = None,
    permuted: bool | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    subset: str | None = None,
    revision: str | None = None,
    parameters: Mapping[str, object] | None = None,
) -> AbstractTask:
    """Load a task by name.

    ========================  ==========================================================  =========
    name                      what a network reads                                        steps
    ========================  ==========================================================  =========
    ``digits``                scikit-learn's 8x8 digits, one grey pixel a step, permuted  64
    ``psmnist``               MNIST, one grey pixel a step, permuted                      784
    ``scifar10``              CIFAR-10, one grey pixel a step, row by row                 1,024
    ``scifar10-conv``         CIFAR-10, colour images for the convolutional encoder       its own
    ``owner/name``            any image classification data set of the Hugging Face hub   H W
    ``perceptual-decision``   noisy evidence, `adaptrnn.tasks.cognitive`                  50
    ``delayed-match``         two stimuli with a delay between them                       40 to 70
    ``adding``                numbers, two of them marked                                 100
    ``neurogym:NAME``         an environment of NeuroGym (extra "cognitive")              its own
    ``FILE.py:FUNCTION``      what a function of your own returns; its file is run        its own
    your own name             a task given to `register_task`, or that a package brings   its own
    ========================  ==========================================================  =========

    Decoded images are kept on disk in the folder $ADAPTRNN_CACHE (default ~/.cache/adaptrnn). The
    split does not depend on any training seed: RandomState(SPLIT_SEED) shuffles the training images
    and the last 10,000 (psmnist), 5,000 (scifar10) or tenth (others) are for validation; a data set
    that has validation and test images of its own keeps them. `digits` is cut class by class into
    about 60, 20 and 20 %.

    Args:
        name: one of the names above.
        data_dir: folder with parquet files, DATA_DIR/mnist/train-*.parquet and so on (the last
            part of the hub's name); None for the Hugging Face hub. Not used by `digits`.
        image_size: downsample to this many pixels a side by area averaging (psmnist at 14: 196
            steps); images of several sizes are brought to it.
        train_size: number of training images, the first ones after shuffling; validation and test
            stay whole.
        permutation_seed: another permutation, RandomState(permutation_seed).permutation(T), e.g.
            the training seed as in the authors' code; None for the published one.
        kind: "sequence" or "image", None for the task's own ("sequence" for the hub's).
        grey: ITU-R 601 luma (True) or red, green, blue (False); None for the task's own (grey for
            sequences, colour for images).
        permuted: whether pixels are permuted; None for the task's own (no for the hub's).
        image_column: column of the images, needed where there are several.
        label_column: column of the labels, needed where there are several.
        subset: configuration of a hub data set that has several.
        revision: commit of a hub data set, None for the newest. A full commit hash needs no
            network once it is in the cache.
        parameters: of a task that is not made of images, e.g. ``{"noise": 0.5}``; the other
            arguments but `train_size`, then the trials of an epoch, are for images only.

    Returns:
        The task, an `ImageTask` or a `Task`.

    Raises:
        InputError: an argument is wrong, a file is missing, cut or not what it should be, or the
            hub cannot be reached.
        MissingExtraError: the extra "train" is not installed.

    Example:
        >>> task = load("digits")
        >>> len(task.train), len(task.validation), len(task.test), task.sequence_length
        (1079, 359, 359, 64)
    """
    if isinstance(name, str) and name.endswith(".py"):
        allowed = "a file and its function that returns the task, FILE.py:FUNCTION"
        raise bad("task", name, allowed, f"Write {name}:FUNCTION.")
    if _of_trials(name):
        images = {
            "data_dir": data_dir,
            "image_size": image_size,
            "permutation_seed": permutation_seed,
            "kind": kind,
            "grey": grey,
            "permuted": permuted,
            "image_column": image_column,
            "label_column": label_column,
            "subset": subset,
            "revision": revision,
        }
        for argument, value in images.items():
            if value is not None:
                raise bad(argument, value, f"left out: {name!r} is not made of images")
        given = dict(parameters or {})
        if train_size is not None:
            given["train_size"] = train_size
        return (
            own.load_file(name, given)
            if own.is_file(name)
            else cognitive.load_cognitive(name, given)
        )
    if parameters:
        raise bad("parameters", dict(parameters), f"empty: {name!r} is a task of images")
    preset = _preset(name, kind)
    kind = preset.kind if kind is None else kind
    grey = preset.grey if grey is None else grey
    permuted = preset.permuted and kind == "sequence" if permuted is None else permuted
    for argument, size in (("image_size", image_size), ("train_size", train_size)):
        if size is not None and (not isinstance(size, int) or size < 1):
            raise bad(argument, size, "an integer >= 1, or None")
    if permuted and kind == "image":
        raise bad("permuted", True, "False for images", "A convolution needs neighbouring pixels.")
    if permutation_seed is not None:
        if not permuted:
            raise bad("permutation_seed", permutation_seed, "None where pixels are not permuted")
        if not isinstance(permutation_seed, int) or not 0 <= permutation_seed < 2**32:
            raise bad("permutation_seed", permutation_seed, "an integer, 0 <= seed < 2^32")

    options: source.Decoding = {
        "grey": grey,
        "image_size": image_size,
        "image_column": image_column,
        "label_column": label_column,
        "rows": preset.rows,
    }
    if preset.hub is None:
        if not grey:
            raise bad("grey", grey, "True for 'digits', which has no colour")
        pixels, description = source.from_sklearn()
    elif data_dir is not None:
        folder = Path(data_dir).expanduser() / preset.hub.rpartition("/")[2]
        pixels, description = source.from_folder(folder, preset.hub, options)
    else:
        pixels, description = source.from_hub(preset.hub, subset, revision, options)

    lists = _split(pixels, preset)
    if train_size is not None:
        part, index = lists["train"]
        if train_size > len(index):
            raise bad("train_size", train_size, f"at most {len(index)}, the training images")
        lists["train"] = (part, index[:train_size])
    splits = {
        split: Split(pixels.parts[part].images[index], pixels.parts[part].labels[index])
        for split, (part, index) in lists.items()
    }

    height, width = splits["train"].images.shape[2:]
    if image_size is not None:
        if image_size > min(height, width):
            raise bad("image_size", image_size, f"at most {min(height, width)}, the images' size")
        height = width = image_size
    permutation = None
    if permuted:
        seed = PERMUTATION_SEED if permutation_seed is None else permutation_seed
        permutation = _shuffled(np.random.RandomState(seed), height * width)
    return ImageTask(
        name=name,
        kind=kind,
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        class_names=pixels.class_names,
        maximum=16 if preset.hub is None else 255,
        image_size=image_size,
        permutation=permutation,
        split_hash=_hash_split(lists, splits),
        permutation_hash=None if permutation is None else _sha256(permutation),
        data_hash=pixels.data_hash,
        source=description,
    )


def _of_trials(name: object) -> bool:
    """Whether a name is that of a `Task`, not of images."""
    if not isinstance(name, str):
        return False
    if name.startswith("neurogym:") or own.is_file(name):
        return True
    return name not in PRESETS and name in cognitive.COGNITIVE


def _preset(name: str, kind: str | None) -> Preset:
    if kind is not None:
        choose("kind", kind, ["sequence", "image"])
    if isinstance(name, str) and name.count("/") == 1 and all(name.split("/")):
        image = kind == "image"
        return Preset(name, name, "image" if image else "sequence", grey=not image)
    try:
        return PRESETS[choose("name", name, (*TASKS, *cognitive.COGNITIVE))]
    except InputError as error:
        raise InputError(
            f"{error} A data set of the Hugging Face hub is written owner/name, an environment of "
            "NeuroGym neurogym:NAME, a task of your own FILE.py:FUNCTION."
        ) from None


def _split(pixels: Pixels, preset: Preset) -> dict[str, tuple[str, Tensor]]:
    """Index lists of the three splits, each with the name of the source's part that it indexes."""
    random = np.random.RandomState(SPLIT_SEED)
    if preset.hub is None:
        return _split_by_class(pixels.parts["all"].labels, random)
    parts = pixels.parts
    lists: dict[str, tuple[str, Tensor]] = {}
    if "test" in parts:
        lists["test"] = ("test", torch.arange(len(parts["test"])))
        if "validation" in parts:
            lists["validation"] = ("validation", torch.arange(len(parts["validation"])))
    elif "validation" in parts:
        lists["test"] = ("validation", torch.arange(len(parts["validation"])))
    rest = _shuffled(random, len(parts["train"]))
    tenth = -(-len(rest) // 10)
    for split, size in (("validation", preset.validation or tenth), ("test", 2 * tenth)):
        if split not in lists:
            lists[split] = ("train", rest[len(rest) - size :])
            rest = rest[: len(rest) - size]
    if len(rest) == 0:
        raise InputError(f"{preset.hub}: {len(parts['train'])} training images are too few.")
    lists["train"] = ("train", rest)
    return lists


def _split_by_class(labels: Tensor, random: np.random.RandomState) -> dict[str, tuple[str, Tensor]]:
    """A fifth of each class for the test, a fifth for validation, the rest, shuffled, to train."""
    lists: dict[str, list[Tensor]] = {"test": [], "validation": [], "train": []}
    for label in labels.unique():
        members = (labels == label).nonzero().flatten()
        members = members[_shuffled(random, len(members))]
        fifth = round(len(members) / 5)
        sizes = [fifth, fifth, len(members) - 2 * fifth]
        for split, chosen in zip(lists, members.split(sizes), strict=True):
            lists[split].append(chosen)
    joined = {split: torch.cat(chosen) for split, chosen in lists.items()}
    joined["train"] = joined["train"][_shuffled(random, len(joined["train"]))]
    return {split: ("all", index) for split, index in joined.items()}


def _shuffled(random: np.random.RandomState, n: int) -> Tensor:
    return torch.from_numpy(random.permutation(n).astype(np.int64))


def _hash_split(lists: Mapping[str, tuple[str, Tensor]], splits: Mapping[str, Split]) -> str:
    digest = hashlib.sha256()
    for split in ("train", "validation", "test"):
        part, index = lists[split]
        digest.update(json.dumps([split, part, len(index)]).encode())
        digest.update(index.numpy().astype("<i8").data)
        digest.update(splits[split].labels.numpy().astype("<i8").data)
    return digest.hexdigest()


def _sha256(indices: Tensor) -> str:
    return hashlib.sha256(indices.numpy().astype("<i8").data).hexdigest()
