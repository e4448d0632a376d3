"""Decoded images on disk are written whole or not at all, checked when read, rebuilt if damaged."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from adaptrnn.storage import WriteError, write_atomic
from adaptrnn.tasks.image import Split

__all__ = ["Pixels", "cache_folder", "hash_pixels", "read", "recall", "remember", "write"]

CACHE_FORMAT = 1  # a part of every key: raise it when the same options come to mean other pixels
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Pixels:
    """These pixels are a decoded data set, before it is split.

    Args:
        parts: images and labels by the name of the source's own split ("train", "test", ...).
        class_names: one for each label.
        data_hash: SHA-256 over all of `parts` (`hash_pixels`).
    """

    parts: Mapping[str, Split]
    class_names: tuple[str, ...]
    data_hash: str


def cache_folder() -> Path:
    """Return $ADAPTRNN_CACHE, else $XDG_CACHE_HOME/adaptrnn, else ~/.cache/adaptrnn."""
    named = os.environ.get("ADAPTRNN_CACHE")
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "adaptrnn"


def hash_pixels(parts: Mapping[str, Split]) -> str:
    """Return the SHA-256 over the parts in order of name: name, shape, images, labels."""
    digest = hashlib.sha256()
    for name, part in sorted(parts.items()):
        digest.update(json.dumps([name, list(part.images.shape)]).encode())
        digest.update(part.images.contiguous().numpy().data)
        digest.update(part.labels.contiguous().numpy().astype("<i8", copy=False).data)
    return digest.hexdigest()


def read(options: Mapping[str, object]) -> Pixels | None:
    """Read the pixels stored for these options; None if there are none or they are damaged.

    Args:
        options: all that decides the pixels: content of the source, columns, colour, size.

    Returns:
        The pixels, checked against the hash stored with them, or None.
    """
    from safetensors import SafetensorError, safe_open

    path = _path(options)
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()["adaptrnn"])
            parts = {
                name: Split(file.get_tensor(f"{name}.images"), file.get_tensor(f"{name}.labels"))
                for name in facts["parts"]
            }
        if hash_pixels(parts) != facts["data_hash"]:
            raise ValueError("the hash of its content is not the one stored with it")
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        log.warning("The cache file %s is damaged (%s); it is built again.", path, error)
        return None
    return Pixels(parts, tuple(facts["class_names"]), facts["data_hash"])


def write(options: Mapping[str, object], pixels: Pixels) -> None:
    """Store pixels for these options; if the folder cannot be written, only say so in the log.

    Args:
        options: as for `read`.
        pixels: the decoded data set.
    """
    from safetensors.torch import save

    facts = {
        "parts": list(pixels.parts),
        "class_names": pixels.class_names,
        "data_hash": pixels.data_hash,
        "options": options,
    }
    tensors: dict[str, torch.Tensor] = {}
    for name, part in pixels.parts.items():
        tensors[f"{name}.images"] = part.images
        tensors[f"{name}.labels"] = part.labels
    metadata = {"adaptrnn": json.dumps(facts)}
    _write(_path(options), save(tensors, metadata))


def remember(question: str, answer: str) -> None:
    """Store the hub's answer, such as the newest commit, for when the hub cannot be reached."""
    _write(_note(question), answer.encode())


def recall(question: str) -> str | None:
    """Return the answer that was last remembered, or None."""
    try:
        return _note(question).read_text(encoding="utf-8")
    except OSError:
        return None


def _write(path: Path, content: bytes) -> None:
    try:
        write_atomic(path, content)
    except WriteError as error:
        log.warning(
            "Cannot write the cache file %s (%s): its content is made again each time. "
            "Set ADAPTRNN_CACHE to a folder that can be written.",
            path,
            error.__cause__,
        )


def _path(options: Mapping[str, object]) -> Path:
    key = json.dumps({"format": CACHE_FORMAT, **options}, sort_keys=True)
    name = hashlib.sha256(key.encode()).hexdigest()[:32]
    return cache_folder() / "images" / f"{name}.safetensors"


def _note(question: str) -> Path:
    return cache_folder() / "hub" / f"{hashlib.sha256(question.encode()).hexdigest()[:32]}.txt"
