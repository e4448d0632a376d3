"""One style for every figure: sizes, colours that the colour-blind can tell apart, light and dark.

Figures are made without pyplot, so that nothing global is changed:

    svg = render(gamma_family, data, "svg", dark=True)
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure

from adaptrnn._error import choose
from adaptrnn.model import MODELS

__all__ = [
    "FORMATS",
    "colour",
    "drawn",
    "ink",
    "label_of",
    "letters",
    "marker",
    "render",
    "shades",
    "style",
    "subplots",
]

FORMATS = ("svg", "pdf", "png")

_LIGHT = {"page": "#ffffff", "text": "#1c1e21", "grid": "#dcdfe3"}
_DARK = {"page": "#16181c", "text": "#e4e6ea", "grid": "#3a3f47"}


@contextmanager
def style(dark: bool = False) -> Iterator[None]:
    """Use the style within a block, for drawing and for saving.

    Args:
        dark: for a dark page.
    """
    page = _DARK if dark else _LIGHT
    settings: dict[Any, Any] = {
        "figure.facecolor": page["page"],
        "savefig.facecolor": page["page"],
        "axes.facecolor": page["page"],
        "axes.edgecolor": page["text"],
        "axes.labelcolor": page["text"],
        "axes.titlecolor": page["text"],
        "text.color": page["text"],
        "xtick.color": page["text"],
        "ytick.color": page["text"],
        "grid.color": page["grid"],
        "legend.frameon": False,
        "legend.fontsize": 8,
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "axes.titlesize": 9,
        "axes.labelsize": 9,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
        "lines.linewidth": 1.6,
        "lines.markersize": 4.5,
        "svg.hashsalt": "adaptrnn",
        "svg.fonttype": "path",
        "pdf.fonttype": 42,
        "figure.constrained_layout.use": True,
    }
    with matplotlib.rc_context(settings):
        yield


def render(
    draw: Callable[[xr.Dataset], Figure],
    data: xr.Dataset,
    format: str = "svg",
    dark: bool = False,
) -> bytes:
    """Draw a figure and give the file's content; the same data give the same bytes.

    Args:
        draw: the drawing.
        data: what it draws.
        format: "svg", "pdf" or "png".
        dark: for a dark page.

    Returns:
        The content of the file.

    Raises:
        InputError: an unknown format.
    """
    choose("format", format, FORMATS)
    return drawn(partial(draw, data), dark)(format)


def drawn(draw: Callable[[], Figure], dark: bool = False) -> Callable[[str], bytes]:
    """Draw a figure once, to be saved in several formats.

    Args:
        draw: the drawing.
        dark: for a dark page.

    Returns:
        What gives the content of a file of a format, of one format always the same.
    """
    kept: dict[str, bytes] = {}  # saving again would lay the figure out again
    undated: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with style(dark):
        figure = draw()

    def save(format: str) -> bytes:
        if format not in kept:
            content = io.BytesIO()
            with style(dark):
                figure.savefig(content, format=format, dpi=200, metadata=undated.get(format))
            kept[format] = content.getvalue()
        return kept[format]

    return save


def subplots(
    rows: int, columns: int, width: float = 7.5, height: float = 2.8, **arguments: Any
) -> tuple[Figure, np.ndarray]:
    """A figure with a grid of axes, without pyplot.

    Args:
        rows: number of rows.
        columns: number of columns.
        width: inches.
        height: inches.
        **arguments: of matplotlib's `Figure.subplots`.

    Returns:
        The figure and its axes (rows, columns).
    """
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots(rows, columns, squeeze=False, **arguments)


def colour(model: str) -> str:
    """Colour of a model on the page of the present style."""
    return MODELS[model].colours[1 if ink() == _DARK["text"] else 0]


def marker(model: str) -> str:
    """Marker of a model."""
    return MODELS[model].marker


def label_of(model: str) -> str:
    """Name of a model as it stands in figures and tables."""
    return MODELS[model].label


def ink() -> str:
    """Colour of text on the page of the present style."""
    return str(matplotlib.rcParams["text.color"])


def shades(count: int) -> list[Any]:
    """Colours of an ordered quantity, each step lighter (darker on a dark page)."""
    scale: Colormap = LinearSegmentedColormap.from_list("", ["#fde0b5", "#e8743b", "#7a1f5c"])
    low, high = (0.1, 0.72) if ink() == _DARK["text"] else (0.3, 1.0)
    return [scale(value) for value in np.linspace(low, high, count)]


def letters(axes: Sequence[Axes] | np.ndarray) -> None:
    """Put a, b, c ... before the titles of axes."""
    for letter, axis in zip("abcdefghijklmnopqrstuvwxyz", np.ravel(np.asarray(axes)), strict=False):
        axis.set_title(f"{letter}  ", loc="left", fontweight="bold")
