"""Every figure has one style: sizes, colours that the colour-blind can tell apart, light and dark.

Figures are made without pyplot, so that nothing global is changed:

    svg = render(gamma_family, data, "svg", dark=True)

One colour has one meaning. `colour` is of a model, in every figure. `shades` are steps of a size,
such as a drive. `accents` are for anything else, such as tasks. The state of a model, such as
before and after training, is a filled or hollow marker, a full or dashed line, never a colour.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import (
    BoundaryNorm,
    Colormap,
    LinearSegmentedColormap,
    ListedColormap,
    to_hex,
)
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from matplotlib.typing import ColorType
from numpy.typing import ArrayLike

from adaptrnn._error import choose
from adaptrnn.model import MODELS, OWN_MODEL, Model
from adaptrnn.preset import preset_of

__all__ = [
    "FORMATS",
    "Drawing",
    "accents",
    "as_seeds",
    "colour",
    "count_seeds",
    "drive_axis",
    "has_controller",
    "ink",
    "key",
    "label_of",
    "letters",
    "log_axis",
    "marker",
    "mean_and_seeds",
    "muted",
    "name_lines",
    "name_task",
    "paper_value",
    "percent_axis",
    "recoloured",
    "render",
    "shade_bar",
    "shades",
    "style",
    "subplots",
    "task_title",
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
    """Draw a figure and return the file's content; the same data give the same bytes.

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
    return _saved(_laid_out(partial(draw, data), dark), format, dark)


class Drawing:
    """A drawing is a figure that is saved in several formats, for a light page and for a dark one.

    It is drawn once. Only what can't be had by other colours is drawn again for a dark page: an
    image of the page, or an SVG in which a part of the figure is an image (`rasterized`).

    Args:
        draw: the drawing.
    """

    def __init__(self, draw: Callable[[], Figure]) -> None:
        self.draw = draw
        self._figures: dict[bool, Figure] = {}
        self._saved: dict[tuple[str, bool], bytes] = {}

    def save(self, format: str = "svg", dark: bool = False) -> bytes:
        """Return the content of a file, of one format and page always the same.

        Args:
            format: "svg", "pdf" or "png".
            dark: for a dark page.

        Returns:
            The content.

        Raises:
            InputError: an unknown format.
        """
        choose("format", format, FORMATS)
        kept = self._saved.get((format, dark))
        if kept is None:
            if dark and format == "svg" and not self._has_image():
                kept = recoloured(self.save("svg").decode()).encode()
            else:
                kept = _saved(self._figure(dark), format, dark)
            self._saved[format, dark] = kept
        return kept

    def _figure(self, dark: bool) -> Figure:
        if dark not in self._figures:
            self._figures[dark] = _laid_out(self.draw, dark)
        return self._figures[dark]

    def _has_image(self) -> bool:
        """Whether a part of the figure is saved as an image, in the colours of one page."""
        return any(part.get_rasterized() for part in self._figure(dark=False).findobj())


def _laid_out(draw: Callable[[], Figure], dark: bool) -> Figure:
    """A figure in which everything has its place, which saving does not change any more."""
    with style(dark):
        figure = draw()
        figure.set_dpi(_DPI)
        engine = figure.get_layout_engine()
        if engine is not None:
            engine.execute(figure)  # once; saving would lay the figure out again for each format
    with matplotlib.rc_context(_AS_LAID_OUT):
        figure.set_layout_engine(None)
    return figure


def _saved(figure: Figure, format: str, dark: bool) -> bytes:
    undated: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    content = io.BytesIO()
    with style(dark), matplotlib.rc_context(_AS_LAID_OUT):
        figure.savefig(content, format=format, dpi=_DPI, metadata=undated.get(format))
    return content.getvalue()


_DPI = 200
_AS_LAID_OUT: dict[Any, Any] = {"figure.constrained_layout.use": False, "figure.autolayout": False}


def subplots(
    rows: int,
    columns: int,
    width: float = 7.5,
    height: float = 2.8,
    figure: FigureBase | None = None,
    **arguments: Any,
) -> tuple[Any, np.ndarray]:
    """Return a figure with a grid of axes, without pyplot.

    Args:
        rows: number of rows.
        columns: number of columns.
        width: inches.
        height: inches.
        figure: a part of a figure to divide, in place of a new one of this size.
        **arguments: of matplotlib's `Figure.subplots`.

    Returns:
        The figure and its axes (rows, columns).
    """
    figure = Figure(figsize=(width, height)) if figure is None else figure
    return figure, figure.subplots(rows, columns, squeeze=False, **arguments)


def colour(model: str) -> str:
    """Return the colour of a model on the page of the present style."""
    return _model(model).colours[1 if _is_dark() else 0]


def marker(model: str) -> str:
    """Return the marker of a model."""
    return _model(model).marker


def label_of(model: str) -> str:
    """Return the name of a model as figures and tables show it."""
    return _model(model).label


def has_controller(model: str) -> bool:
    """Return whether the n and s of a model change while it runs."""
    return _model(model).has_controller


def _model(name: str) -> Model:
    """A model; for a network that has no model's name, one with the looks of any other."""
    return Model(name, MODELS["relu"].build, label="network") if name == OWN_MODEL else MODELS[name]


def ink() -> str:
    """Return the colour of text on the page of the present style."""
    return str(matplotlib.rcParams["text.color"])


def muted() -> str:
    """Return a grey between page and text, for what should not catch the eye."""
    return "#8d949e"


def accents() -> list[str]:
    """Return colours that belong to no model and to no size."""
    return ["#b48ef0", "#e56a8f", "#a9b83c"] if _is_dark() else ["#6f42c1", "#b3123f", "#6b7500"]


def recoloured(svg: str, written: str = "{dark}") -> str:
    """Return a drawing for a light page in the colours of a dark page.

    It is what drawing again would give, in no time, but for images in the drawing, which stay as
    they are. A colour that has nothing in its place on a dark page is kept.

    Args:
        svg: the drawing, as `render` gives it.
        written: how a colour is written, of `light` and `dark`.

    Returns:
        The drawing. Of the `shades`, some of which a light page can't tell apart, the colours are
        right to 1/255 of red, green and blue.

    Example:
        >>> recoloured("<path style='fill: #1c1e21'/>")
        "<path style='fill: #e4e6ea'/>"
        >>> recoloured("<path style='fill: #1c1e21'/>", "light-dark({light}, {dark})")
        "<path style='fill: light-dark(#1c1e21, #e4e6ea)'/>"
    """
    pairs = _pairs(tuple(_model(name).colours for name in (*MODELS, OWN_MODEL)))

    def write(match: re.Match[str]) -> str:
        light = match[0]
        return written.format(light=light, dark=pairs[light]) if light in pairs else light

    return _COLOUR.sub(write, svg)


_COLOUR = re.compile("(?<=: )#[0-9a-f]{6}")


@cache
def _pairs(models: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Each colour of a light page and the one that a dark page has in its place."""
    palettes: list[list[ColorType]] = []
    for dark, page in enumerate((_LIGHT, _DARK)):
        with style(bool(dark)):
            scale = _scale()
            known = [*page.values(), *(colours[dark] for colours in models), *accents()]
            palettes.append([*known, *(scale(step) for step in range(scale.N))])
    light, dark_ones = ([to_hex(one) for one in palette] for palette in palettes)
    return dict(zip(light, dark_ones, strict=True))


def _is_dark() -> bool:
    return ink() == _DARK["text"]


def _scale() -> Colormap:
    """Pale blue to violet: a hue of no model."""
    tones = ["#cfe0f1", "#9fb8dd", "#8c86c6", "#87489f", "#4d004b"]
    whole = LinearSegmentedColormap.from_list("", tones)
    return LinearSegmentedColormap.from_list(
        "", whole(np.linspace(*((0.0, 0.72) if _is_dark() else (0.25, 1.0)), 64))
    )


def shades(count: int) -> list[ColorType]:
    """Return colours of an ordered quantity, each step darker."""
    scale = _scale()
    return [scale(value) for value in np.linspace(0, 1, count)]


def shade_bar(
    figure: Figure, axes: Axes | Sequence[Axes] | np.ndarray, values: Sequence[float], label: str
) -> None:
    """Add a colour bar with a step for each of the `shades` of some values, as a legend.

    Args:
        figure: the figure.
        axes: those that the bar belongs to; it stands right of them.
        values: of the ordered quantity, one for each shade.
        label: the quantity.
    """
    count = len(values)
    norm = BoundaryNorm(np.arange(count + 1) - 0.5, count)
    shown = ScalarMappable(norm, ListedColormap(shades(count)))
    bar = figure.colorbar(shown, ax=axes, label=label, aspect=40, pad=0.02, fraction=0.05)
    every = max(1, -(-count // 10))
    bar.set_ticks(range(0, count, every), labels=[f"{v:.3g}" for v in values[::every]])
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)


def task_title(data: xr.Dataset | xr.DataArray, role: str | None = None) -> str:
    """Return a task in words, such as "psMNIST, 196 steps".

    Args:
        data: has a coordinate `role`, whose attributes say what each role's task is.
        role: one of the paper's tasks; by default the only one of the data.

    Returns:
        The words; the paper's name of the task if the data do not say more.

    Example:
        >>> words = {"psmnist": "8x8 digits, 64 steps"}
        >>> data = xr.Dataset(coords={"role": ("role", ["psmnist", "scifar10"], words)})
        >>> task_title(data, "psmnist"), task_title(data, "scifar10")
        ('8x8 digits, 64 steps', 'sCIFAR10')
    """
    name = str(np.ravel(data.role.values)[0]) if role is None else role
    return str(data.role.attrs.get(name) or preset_of(name).label)


def name_task(figure: Figure, data: xr.Dataset) -> None:
    """Write the task of the data above the figure."""
    figure.suptitle(task_title(data), fontsize=9)


def as_seeds(data: xr.Dataset, model: str, task: str, seed: int) -> xr.Dataset:
    """Return the data of one network as those of several, with dimensions role, model and seed.

    Args:
        data: of one network.
        model: its name.
        task: of the network, in words.
        seed: of its training.

    Returns:
        Numbers over (role, model, seed, ...), each of these of length one; so what is drawn of one
        network and what is drawn of many is the same function.
    """
    numbers = data[[name for name, values in data.items() if values.dtype.kind in "fiub"]]
    return numbers.expand_dims(role=["task"], model=[model], seed=[seed]).assign_coords(
        role=("role", ["task"], {"task": task})
    )


def count_seeds(
    axis: Axes,
    data: xr.Dataset | xr.DataArray,
    noun: str = "network",
    corner: tuple[float, float] = (0.98, 0.03),
) -> None:
    """Write into a corner of a panel how many networks it shows.

    Args:
        axis: the panel.
        data: what it shows; seeds without any number do not count.
        noun: what a seed is one of.
        corner: which one, as shares of width and height; by default the lower right.
    """
    whole = data.to_dataarray() if isinstance(data, xr.Dataset) else data
    known = whole.notnull().any([dim for dim in whole.dims if dim != "seed"])
    count = int(known.sum()) if "seed" in whole.dims else 1
    text = f"n = {count} {noun}{'' if count == 1 else 's'}"
    sides: dict[str, Any] = {"ha": "right" if corner[0] > 0.5 else "left"}
    sides |= {"va": "top" if corner[1] > 0.5 else "bottom"}
    ground = {"fc": matplotlib.rcParams["axes.facecolor"], "ec": "none", "alpha": 0.8, "pad": 1}
    place: dict[str, Any] = {"transform": axis.transAxes, "bbox": ground, "zorder": 6}
    axis.text(corner[0], corner[1], text, fontsize=7, **sides, **place)


def mean_and_seeds(
    axis: Axes, values: xr.DataArray, x: str, geometric: bool = False, **line: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the mean over seeds as a line, and each seed as a hair that does not hide other lines.

    Args:
        axis: where.
        values: over seed and x; seeds without any number are left out.
        x: the dimension along the axis.
        geometric: whether the mean is of logarithms.
        **line: of matplotlib's `plot`, for the mean.

    Returns:
        x and the mean over seeds.
    """
    known = values.dropna("seed", how="all").transpose(x, "seed")
    with np.errstate(divide="ignore"):  # of a 0
        many = geometric and known.sizes["seed"] > 1
        logs: xr.DataArray = xr.apply_ufunc(np.log, known) if many else known
    mean = logs.mean("seed")
    mean = xr.apply_ufunc(np.exp, mean) if many else mean
    settings = {"lw": 1.8, **line}
    if known.sizes["seed"] > 1:
        tone = {key: settings[key] for key in ("color", "ls", "clip_on") if key in settings}
        axis.plot(known[x], known.values, lw=0.6, alpha=0.5, **tone)
    axis.plot(mean[x], mean, **settings)
    return mean[x].values, mean.values


def name_lines(
    axis: Axes,
    ends: Sequence[tuple[float, str, ColorType]],
    inside: bool = False,
    gap: float = 0.11,
) -> None:
    """Put names at the right ends of lines, moved apart where they would touch.

    Args:
        axis: the panel, with its limits and scales set.
        ends: for each line the height of its end (data), its name and its colour.
        inside: left of the right edge in place of right of it.
        gap: least distance of two names, a share of the panel's height.
    """
    x, _ = axis.get_xlim()[1], axis.get_ylim()  # which settles the limits
    scale = axis.transAxes.inverted()
    shown = [end for end in ends if np.isfinite(end[0])]
    heights = [scale.transform(axis.transData.transform((x, end[0])))[1] for end in shown]
    placed, least = [0.0] * len(shown), 0.02
    for k in np.argsort(heights):
        placed[k] = least = max(heights[k], least)
        least += gap
    most = 0.98
    for k in np.argsort(heights)[::-1]:
        placed[k] = most = min(placed[k], most)
        most -= gap
    side = (0.99, "right", "bottom") if inside else (1.02, "left", "center")
    place: dict[str, Any] = {"transform": axis.transAxes, "ha": side[1], "va": side[2]}
    for (_, name, tone), height in zip(shown, placed, strict=True):
        axis.text(side[0], height, name, color=tone, fontsize=8, **place)


def drive_axis(axis: Axes, xi: ArrayLike) -> None:
    """Set a scale of drives from 0 up: linear to 1, then logarithmic.

    Args:
        axis: the panel.
        xi: the drives.
    """
    values = np.asarray(xi, float)
    axis.set_xscale("symlog", linthresh=1, linscale=0.5)
    ticks = [t for t in (0, 1, 3, 10, 30, 100) if values.min() <= t <= values.max()]
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.minorticks_off()
    axis.set(xlabel="drive ξ", xlim=(values.min(), values.max()))


def log_axis(axis: Axes) -> None:
    """Set a vertical scale of logarithms with plain numbers at its ticks where these are short."""
    axis.set_yscale("log", nonpositive="mask")
    low, high = axis.get_ylim()
    if high < 4 * low:
        axis.yaxis.set_major_locator(MaxNLocator(5))
    elif high < 100 * low:
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    if low > 1e-3 and high < 1e5:
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.yaxis.set_minor_formatter(NullFormatter())


def percent_axis(axis: Axes, values: ArrayLike) -> None:
    """Set limits of a vertical axis of percentages: the tens around the values.

    Args:
        axis: the panel.
        values: percentages; those that are not finite do not count.
    """
    flat = np.ravel(np.asarray(values, float))
    flat = flat[np.isfinite(flat)]
    if not flat.size:
        axis.set_ylim(0, 100)
        return
    bottom = max(0, 10 * np.floor((flat.min() - 1) / 10))
    top = min(100, 10 * np.ceil((flat.max() + 1) / 10))
    axis.set_ylim(bottom, top)


def paper_value(
    axis: Axes, x: ArrayLike | None = None, y: ArrayLike = 0.0, text: str = "paper"
) -> None:
    """Mark the paper's own number: a star at a point, or a line of dots and dashes at a height.

    Args:
        axis: the panel.
        x: where it stands, a number or several; None for a line across.
        y: the paper's number or numbers.
        text: in the legend, or at the line's right end.
    """
    if x is None:
        axis.axhline(float(np.asarray(y)), color=ink(), lw=0.9, ls="-.")
        place: dict[str, Any] = {"transform": axis.get_yaxis_transform(), "fontsize": 7}
        axis.text(0.99, float(np.asarray(y)), text, ha="right", va="bottom", color=ink(), **place)
        return
    looks: dict[str, Any] = {"marker": "*", "ms": 10, "mfc": "none", "mec": ink(), "ls": ""}
    axis.plot(x, y, label=text, zorder=5, clip_on=False, **looks)


def key(axis: Axes, **settings: object) -> None:
    """Add a legend on the page's ground, so that lines behind it do not cross its words."""
    looks = {
        "fontsize": 7,
        "title_fontsize": 7,
        "frameon": True,
        "framealpha": 0.85,
        "edgecolor": "none",
    }
    axis.legend(**{**looks, **settings})


def letters(axes: Sequence[Axes] | np.ndarray) -> None:
    """Put a, b, c ... before the titles of axes."""
    for letter, axis in zip("abcdefghijklmnopqrstuvwxyz", np.ravel(np.asarray(axes)), strict=False):
        axis.set_title(f"{letter}  ", loc="left", fontweight="bold")
