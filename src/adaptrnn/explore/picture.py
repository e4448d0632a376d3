"""Pictures are drawn once, then moved, since making axes costs more than a redraw.

Each class makes its axes in the house style and has one method, `show`, that moves what is in them
and returns SVG. The SVG suits a light and a dark page alike: every colour of the light style is
written as CSS ``light-dark(light, dark)``. Text stays text, in the font of the page.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import escape
from typing import Any, ClassVar

import matplotlib
import numpy as np
import torch
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatter, LogLocator, MaxNLocator
from numpy.typing import ArrayLike

from adaptrnn.activation import gamma_sup_slope
from adaptrnn.analysis.noise import level_set
from adaptrnn.explore.curve import EPSILON, FIRST_POINT, KNOWN, MAP_RANGE, curve
from adaptrnn.explore.neuron import PLAN
from adaptrnn.figure.style import colour, ink, recoloured, style

__all__ = ["CurvePicture", "OrderPicture", "PlanePicture", "StatePicture", "TracePicture"]

SERIES = ("arun", "gamma", "lstm", "gru")
"""The models whose colours the neurons take, first to last."""

_MUTED = 0.55
_SVG: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "adaptrnn",
    "savefig.facecolor": "none",
}
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@contextmanager
def _style(dark: bool = False) -> Iterator[None]:
    with style(dark):
        settings: dict[Any, Any] = {
            **_SVG,
            "figure.constrained_layout.use": False,  # three draws in place of one
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "xtick.bottom": False,  # the grid shows where, and each mark takes time
            "ytick.left": False,
        }
        with matplotlib.rc_context(settings):
            yield


class _Picture:
    """A figure and how it becomes SVG."""

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width, height))

    def place_labels(self, left: float, below: float) -> None:
        """Put labels at one place, which else is computed from the ticks at every draw."""
        for axis in self.figure.axes:
            axis.yaxis.set_label_coords(left, 0.5)
            axis.xaxis.set_label_coords(0.5, below)

    def svg(self, words: str) -> str:
        """The figure as inline SVG; `words` say what is seen, to those who do not see it."""
        content = io.StringIO()
        with matplotlib.rc_context(_SVG):
            self.figure.savefig(content, format="svg", metadata={"Date": None})
        text = content.getvalue()
        text = text[text.index("<svg") :]
        text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
        text = recoloured(text, "light-dark({light}, {dark})")
        # as wide as the page has room for
        text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
        text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
        label = f'<svg role="img" aria-label="{escape(words)}"'
        return f'<div class="adaptrnn-picture">{text.replace("<svg", label, 1)}</div>'


def _fit(axis: Axes, *signals: ArrayLike, least: float = 0.0) -> None:
    """Limits around all values, with a margin, at least so wide."""
    values = np.concatenate([np.ravel(signal) for signal in signals])
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    middle, half = (low + high) / 2, max((high - low) / 2, least / 2, 1e-6)
    axis.set_ylim(middle - 1.1 * half, middle + 1.1 * half)


def _few_ticks(axis: Axes) -> None:
    """A tick costs as much time as a line."""
    axis.xaxis.set_major_locator(MaxNLocator(3))
    axis.yaxis.set_major_locator(MaxNLocator(3))


def _decade(value: float, position: int) -> str:
    power = round(np.log10(value))
    return "1" if power == 0 else "10" + str(power).translate(_SUPERSCRIPT)


class CurvePicture(_Picture):
    """This picture shows the f-I curve and its slope next to the activations it interpolates."""

    def __init__(self) -> None:
        with _style():
            super().__init__(4.4, 4.2)
            top, bottom = self.figure.subplots(2, 1, sharex=True)
            self.figure.subplots_adjust(0.12, 0.11, 0.98, 0.97, hspace=0.12)
            x = np.linspace(-3, 3, 241)
            dashes = ["--", "-.", ":", "-"]
            for (name, (n, s)), dash in zip(KNOWN.items(), dashes, strict=True):
                known = curve(min(n, 1e6), s, x)
                line = {
                    "color": ink(),
                    "lw": 0.8 if dash == "-" else 1.1,
                    "ls": dash,
                    "alpha": _MUTED,
                    "label": name,
                }
                top.plot(x, known.rate, **line)
                if name != "step":  # its slope is nowhere but at 0
                    bottom.plot(x, known.slope, **line)
            self.lines = [
                axis.plot([], [], color=colour("arun"), lw=2.4)[0] for axis in (top, bottom)
            ]
            self.points = [
                axis.plot([], [], "o", color=colour("arun"), ms=7)[0] for axis in (top, bottom)
            ]
            bottom.axhline(1, color=ink(), lw=1)
            top.set(ylabel="rate γ(x; n, s)", xlim=(-3, 3), ylim=(-0.15, 2.6))
            bottom.set(ylabel="slope γ′(x; n, s)", xlabel="input current x")
            top.legend(loc="upper left", handlelength=2.2)
            self.slope = bottom
            self.place_labels(-0.09, -0.16)

    def show(self, n: float, s: float, x: float) -> str:
        """Draw the curve of (n, s), and a point on it at the current x."""
        data, one = curve(n, s), curve(n, s, np.array([x]))
        for name, line, point in zip(("rate", "slope"), self.lines, self.points, strict=True):
            line.set_data(data.x, data[name])
            point.set_data([x], one[name])
        self.slope.set_ylim(-0.1, max(1.5, 1.1 * float(data.slope.max())))
        return self.svg(f"f-I curve and its slope for n = {n:g}, s = {s:g}")


class PlanePicture(_Picture):
    """Known activations, the paper, a network and cells have their places in the (n, s) plane."""

    def __init__(self) -> None:
        with _style():
            super().__init__(4.4, 4.8)
            axis = self.figure.subplots()
            self.figure.subplots_adjust(0.12, 0.265, 0.97, 0.98)
            n = np.geomspace(0.25, 500, 200)
            s = np.linspace(-0.25, 1.15, 141)
            steepest = gamma_sup_slope(*(torch.from_numpy(v) for v in np.meshgrid(n, s))).numpy()
            axis.contourf(n, s, steepest, [1 + 1e-9, 1e9], colors=[ink()], alpha=0.07)
            axis.plot(
                [], [], "s", color=ink(), alpha=0.2, ms=8, label="expands: steepest slope > 1"
            )
            (left, right), (low, high) = MAP_RANGE
            box: dict[str, Any] = {"color": ink(), "lw": 1, "ls": "--", "alpha": _MUTED}
            axis.plot(
                [left, right, right, left, left],
                [low, low, high, high, low],
                **box,
                label="scanned in the paper",
            )
            axis.plot(
                FIRST_POINT[0],
                [FIRST_POINT[1]] * 2,
                color=ink(),
                lw=4,
                solid_capstyle="butt",
                label="start of training",
            )
            for name, (gain, saturation) in KNOWN.items():
                ends = np.isinf(gain)
                axis.plot(
                    470 if ends else gain, saturation, ">" if ends else "o", color=ink(), ms=6
                )
                shift, side = (-8, "right") if ends else (-6, "right")
                axis.annotate(
                    name,
                    (470 if ends else gain, saturation),
                    (shift, 5 if ends else 4),
                    textcoords="offset points",
                    ha=side,
                )
            self.network = axis.plot([], [], "o", color=colour("gamma"), ms=3.5, alpha=0.7, mew=0)[
                0
            ]
            self.cells = axis.plot([], [], "D", color=colour("lstm"), ms=6)[0]
            self.names: list[Any] = []
            self.level = axis.plot([], [], color=colour("gru"), lw=1.6)[0]
            self.point = axis.plot([], [], "o", color=colour("arun"), ms=10, mec=ink(), zorder=5)[0]
            axis.set(
                xscale="log",
                xlim=(0.25, 500),
                ylim=(-0.25, 1.15),
                xlabel="gain n",
                ylabel="saturation s",
            )
            axis.xaxis.set_major_formatter(LogFormatter())
            axis.minorticks_off()
            self.axis, self.n = axis, n
            self.place_labels(-0.1, -0.09)

    def show(
        self,
        n: float,
        s: float,
        xi: float,
        network: tuple[np.ndarray, np.ndarray] | None = None,
        cells: Mapping[str, tuple[float, float]] | None = None,
    ) -> str:
        """Put (n, s) into the plane, Lambda(xi), the neurons of a network, and named cells."""
        with _style():
            self.point.set_data([n], [s])
            self.point.set_label("your curve")
            edge = level_set(xi, self.n.tolist(), EPSILON).values[0]
            self.level.set_data(self.n, np.where(abs(edge) < 3, edge, np.nan))
            self.level.set_label(f"Λ({xi:g})")
            self.network.set_data(*(network or ([], [])))
            self.network.set_label("the network's neurons" if network else "")
            names = list(cells or {})
            places = np.array([cells[name] for name in names]) if cells else np.empty((0, 2))
            self.cells.set_data(np.clip(places[:, 0], 0.25, 470), places[:, 1])
            self.cells.set_label("cells" if names else "")
            for text in self.names:
                text.remove()
            self.names = [
                self.axis.annotate(
                    name.replace("$", r"\$"),
                    (min(place[0], 470), place[1]),
                    (-7, 5),
                    textcoords="offset points",
                    ha="right",
                    fontsize=7,
                    color=colour("lstm"),
                )
                for name, place in zip(names, places, strict=True)
            ]
            handles = [h for h in self.axis.get_lines() if str(h.get_label())[:1] not in ("", "_")]
            self.axis.legend(
                handles=handles,
                loc="upper left",
                bbox_to_anchor=(-0.12, -0.14),
                ncols=2,
                fontsize=7.5,
            )
        return self.svg(f"the plane of gain and saturation, with a point at n = {n:g}, s = {s:g}")


class TracePicture(_Picture):
    """This picture shows current, gain, saturation and rate of neurons over time."""

    ROWS: ClassVar = (
        ("a", "current a"),
        ("n", "gain n"),
        ("s", "saturation s"),
        ("h", "rate h"),
    )
    LEAST: ClassVar = {"a": 1.0, "n": 0.5, "s": 0.05, "h": 0.5}

    def __init__(self) -> None:
        with _style():
            super().__init__(4.4, 5.4)
            self.axes = self.figure.subplots(4, 1, sharex=True)
            self.figure.subplots_adjust(0.18, 0.08, 0.965, 0.98, hspace=0.14)
            time = np.arange(PLAN.steps)
            self.lines: dict[str, list[Line2D]] = {}
            for axis, (name, label) in zip(self.axes, self.ROWS, strict=True):
                axis.axvspan(*PLAN.drive, color=ink(), alpha=0.05, lw=0)
                self.lines[name] = [
                    axis.plot(time, np.full(PLAN.steps, np.nan), color=colour(model), lw=1.4)[0]
                    for model in SERIES
                ]
                axis.set_ylabel(label)
                _few_ticks(axis)
            self.drive = self.axes[0].plot(
                time, np.zeros(PLAN.steps), color=ink(), lw=1, ls="--", alpha=0.7
            )[0]
            self.drive.set_label("drive ξ")
            self.axes[0].legend(handles=[self.drive], loc="upper right")
            self.axes[-1].set(xlabel="time (steps)", xlim=(0, PLAN.steps))
            self.place_labels(-0.18, -0.28)

    def show(self, seen: xr.Dataset) -> str:
        """Draw what `respond` returns, up to four neurons."""
        nothing = np.full(PLAN.steps, np.nan)
        for axis, (name, _) in zip(self.axes, self.ROWS, strict=True):
            signals = list(seen[name].values.T)
            for line, values in zip(self.lines[name], [*signals, *[nothing] * 4], strict=False):
                line.set_ydata(values)
            also = [seen.xi.values] if name == "a" else []
            _fit(axis, *signals, *also, least=self.LEAST[name])
        self.drive.set_ydata(seen.xi)
        return self.svg(f"current, gain, saturation and rate over time of neurons {_list(seen)}")


class OrderPicture(_Picture):
    """This picture shows how badly each fractional order explains the rates, by both estimators."""

    def __init__(self) -> None:
        with _style():
            super().__init__(4.4, 2.5)
            self.axes = self.figure.subplots(1, 2, sharey=True)
            self.figure.subplots_adjust(0.13, 0.21, 0.98, 0.9, wspace=0.12)
            self.parts: list[list[tuple[Line2D, Line2D, Line2D]]] = []
            for axis, title in zip(self.axes, ("the paper's", "scale-free"), strict=True):
                axis.axvline(0, color=ink(), lw=0.8)
                self.parts.append(
                    [
                        (
                            axis.plot([], [], color=colour(model), lw=1.4)[0],
                            axis.plot([], [], "o", color=colour(model), ms=6)[0],
                            axis.plot([], [], "|", color=colour(model), ms=14, mew=2)[0],
                        )
                        for model in SERIES
                    ]
                )
                axis.set_title(title, y=1.02)  # given, not computed at every draw
                axis.set(xlim=(-1, 1), yscale="log")
                axis.yaxis.set_major_locator(LogLocator(numticks=4))
                axis.yaxis.set_major_formatter(_decade)
                axis.minorticks_off()
                axis.set_xticks([-1, -0.5, 0, 0.5, 1], ["−1", "−½", "0", "½", "1"])
            self.axes[0].set_ylabel("error (1: its largest)")
            self.place_labels(-0.26, -0.1)
            self.figure.supxlabel("order α:  adapting ← 0 → sensitising", y=0.02, fontsize=9)

    def show(self, found: xr.Dataset) -> str:
        """Draw what `orders` returns: curve, minimum (dot), memoryless null (bar)."""
        error, order, null = (found[name].values for name in ("error", "order", "null_order"))
        least = float(np.nanmin(error)) if np.isfinite(error).any() else 0.1
        floor = min(0.1, max(0.3 * least, 1e-6))
        neurons = found.sizes["neuron"]
        for row, parts in enumerate(self.parts):
            for column, (line, dot, bar) in enumerate(parts):
                if column >= neurons:
                    for artist in (line, dot, bar):
                        artist.set_data([], [])
                    continue
                one = np.maximum(error[row, :, column], floor)
                line.set_data(found.alpha.values, one)
                dot.set_data([order[row, column]], [one.min()])
                bar.set_data([null[row, column]], [1.5 * floor])
        self.axes[0].set_ylim(floor, 1.5)
        return self.svg("error of each fractional order, by the paper's and a scale-free estimator")


class StatePicture(_Picture):
    """Gains and saturations move in their plane over time, next to the edge they may settle on."""

    def __init__(self) -> None:
        with _style():
            super().__init__(4.4, 2.9)
            axis = self.figure.subplots()
            self.figure.subplots_adjust(0.15, 0.16, 0.98, 0.97)
            self.others: PathCollection = axis.scatter([], [], s=9, color=ink(), alpha=0.25, lw=0)
            self.others.set_label("all neurons, end of the drive")
            self.level = axis.plot([], [], color=ink(), lw=1.4)[0]
            self.paths = [axis.plot([], [], color=colour(m), lw=1, alpha=0.8)[0] for m in SERIES]
            self.ends = [axis.plot([], [], "o", color=colour(m), ms=7)[0] for m in SERIES]
            self.starts = [
                axis.plot([], [], "o", mfc="none", mec=colour(m), ms=7)[0] for m in SERIES
            ]
            axis.axhline(0, color=ink(), lw=0.6, ls=":")
            axis.set(xlabel="gain n", ylabel="saturation s")
            _few_ticks(axis)
            self.level.set_label("Λ")
            self.key = axis.legend(handles=[self.level, self.others], loc="upper right", fontsize=7)
            self.axis = axis
            self.place_labels(-0.13, -0.12)

    def show(self, seen: xr.Dataset, every: xr.Dataset, xi: float) -> str:
        """Draw the paths of `seen`, rest (ring) to end of the drive (dot), among `every` neuron."""
        first, last = PLAN.drive[0] - 1, PLAN.drive[1] - 1
        n, s = (every[name].isel(time=last).values for name in "ns")
        self.others.set_offsets(np.stack([n, s], 1))
        inside = seen.isel(time=slice(first, last + 1))
        for column, parts in enumerate(zip(self.paths, self.starts, self.ends, strict=True)):
            there = column < seen.sizes["neuron"]
            x, y = (inside[v].values[:, column] if there else np.empty(0) for v in "ns")
            for line, part in zip(parts, (slice(None), slice(0, 1), slice(-1, None)), strict=True):
                line.set_data(x[part], y[part])
        gains = np.concatenate([n, inside.n.values.ravel()])
        width = max(float(np.ptp(gains)), 0.5)
        low, high = gains.min() - 0.15 * width, gains.max() + 0.15 * width
        self.axis.set_xlim(low, high)
        _fit(self.axis, s, inside.s, least=0.2)
        grid = np.linspace(low, high, 160)
        grid = grid[grid != 0]
        edge = level_set(xi, grid.tolist(), EPSILON).values[0]
        self.level.set_data(grid, np.where(abs(edge) < 50, edge, np.nan))
        self.key.get_texts()[0].set_text(f"Λ({xi:g}): slope at the drive is 1 − {EPSILON}")
        return self.svg(f"gain and saturation over time of neurons {_list(seen)}")


def _list(seen: xr.Dataset) -> str:
    return ", ".join(str(neuron) for neuron in seen.neuron.values)
