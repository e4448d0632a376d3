"""The first view of the explorer is one page that needs no server, with its networks inside.

`first_view` puts weights, digits and accuracies into a page whose script (view.js) computes and
draws everything again while something is dragged. So it answers at once, on a phone too, is the
same in the documentation and in the explorer, and its address says what is seen. What the script
computes is compared with the layers of this package in tests/browser.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adaptrnn.explore.curve import EPSILON, FIRST_POINT, KNOWN, MAP_RANGE
from adaptrnn.figure.style import colour, label_of, style
from adaptrnn.perturb import START, STOP
from adaptrnn.run import Run
from adaptrnn.storage import read_json
from adaptrnn.tasks import downsample

__all__ = ["DIGITS", "SHOWN", "TABLE", "digits", "first_view", "frame"]

HERE = Path(__file__).parent
WEIGHTS = HERE / "weights"
SHOWN = {model: WEIGHTS / f"psmnist-{model}-seed0" for model in ("arun", "relu")}
"""The two networks that read digits; each folder is a run, with its model card."""

DIGITS = WEIGHTS / "digits.png"
"""The first test image of MNIST of each class, 0 to 9, side by side."""

TABLE = WEIGHTS / "accuracy.json"
"""Accuracies of four networks of each model under steps of current."""


def digits(size: int) -> Tensor:
    """Return the ten digits as a network reads them, before pixels are permuted.

    Args:
        size: pixels a side.

    Returns:
        Grey values from 0 to 1, (10, size, size), of the digits 0 to 9.

    Example:
        >>> tuple(digits(14).shape)
        (10, 14, 14)
    """
    from PIL import Image

    with Image.open(DIGITS) as image:
        strip = torch.from_numpy(np.array(image))
    images = strip.view(28, 10, 28).permute(1, 0, 2)
    return downsample(images[:, None], size)[:, 0] / 255


def first_view(
    rest: tuple[np.ndarray, np.ndarray] | None = None,
    cells: Mapping[str, tuple[float, float]] | None = None,
) -> str:
    """Return the whole page as HTML.

    Args:
        rest: gains and saturations, each (N,), of neurons to show in the plane of the f-I curve;
            those of the ARUN under no drive while it reads the first digit, if None.
        cells: (n, s) of cells to show there, by name.

    Returns:
        The page. It asks nothing of any machine.

    Example:
        >>> html = first_view(cells={"</script>": (5.0, 0.1)})
        >>> html.count("</script>"), "http" in html.replace("http://www.w3.org", "")
        (2, False)
    """
    runs = {model: Run(folder) for model, folder in SHOWN.items()}
    record = runs["arun"].record()["task"]
    order = read_json(SHOWN["arun"] / "permutation.json")
    steps = int(record["sequence_length"])
    data = {
        "networks": {
            model: {"label": label_of(model), "weights": _weights(run)}
            for model, run in runs.items()
        },
        "digits": _pack(digits(int(record["image_shape"][-1])).flatten(1)),
        "order": order,
        "window": [round(START * steps), round(STOP * steps)],
        "accuracy": read_json(TABLE),
        "known": {name: [min(n, 1e6), s] for name, (n, s) in KNOWN.items()},
        "epsilon": EPSILON,
        "scanned": MAP_RANGE,
        "first": FIRST_POINT,
        "rest": None if rest is None else [np.asarray(part, float).tolist() for part in rest],
        "cells": {name: list(place) for name, place in (cells or {}).items()},
    }
    # no "<" in it, so that no text of a cell can end the element
    content = json.dumps(data).replace("<", "\\u003c")
    parts = {"STYLE": _colours() + _read("view.css"), "DATA": content, "SCRIPT": _read("view.js")}
    html = _read("view.html")
    for name, part in parts.items():
        html = html.replace(f"@{name}@", part, 1)
    return html


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _weights(run: Run) -> dict[str, Any]:
    """Every weight by a short name, its numbers packed."""
    names = {"core.": "", "controller.": "", "_l0": "", "readout.": "readout_"}
    found = {}
    for name, value in run.weights().items():
        for old, new in names.items():
            name = name.replace(old, new)
        found[name] = _pack(value)
    return found


def _pack(value: Tensor) -> str:
    """Float32 in base64, row after row."""
    return base64.b64encode(value.contiguous().numpy().astype("<f4").tobytes()).decode()


def _colours() -> str:
    """CSS that gives models their colours of the figures, on a light and a dark page."""
    pairs = {}
    for model in SHOWN:
        found = []
        for dark in (False, True):
            with style(dark):
                found.append(colour(model))
        pairs[model] = found
    both = "".join(f"--{m}: light-dark({light}, {dark}); " for m, (light, dark) in pairs.items())
    return f":root {{ {both}}}\n"


def frame(html: str) -> str:
    """Return the page as a frame within another page.

    Args:
        html: what `first_view` returns.

    Returns:
        An iframe, as wide as its place and nearly as high as the window.

    Example:
        >>> frame('<p id="a">').count("&quot;a&quot;")
        1
    """
    return (
        '<iframe class="adaptrnn-view" title="watch a neuron adapt" allow="clipboard-write" '
        f'srcdoc="{escape(html)}"></iframe>'
    )
