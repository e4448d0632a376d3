"""How static and adaptive networks are wired (Geadah et al. 2024, Fig 1b-d)."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from adaptrnn.figure.style import colour, ink, letters, subplots

__all__ = ["wiring_diagram"]

_ROWS = (0.82, 0.5, 0.18)  # heights of the three neurons that stand for all


def wiring_diagram(data: xr.Dataset) -> Figure:
    """Draw both networks, and what must be equal in them.

    Args:
        data: `static`, `permuted`, `foreign`, `own` (draw).

    Returns:
        The figure.
    """
    figure, axes = subplots(1, 3, width=9, height=3.1, width_ratios=[1, 1.45, 1.1])
    _network(axes[0, 0], adaptive=False)
    _network(axes[0, 1], adaptive=True)
    axes[0, 0].set_title("RNN+gamma")
    axes[0, 1].set_title("ARUN")
    texts = {
        "static": "controller at rest\n= RNN+gamma",
        "permuted": "neurons\nrenamed",
        "foreign": "others, $W_{hh}$ = 0,\none driven",
        "own": "the driven\nneuron",
    }
    axis = axes[0, 2]
    least = 1e-18  # where an exact 0 is drawn
    for row, name in enumerate(texts):
        values = np.maximum(data[name].values, least)
        tone = colour("gamma" if name == "own" else "arun")
        axis.plot(values, np.full(len(values), row), "o", color=tone, alpha=0.7)
    axis.set_yticks(range(len(texts)), list(texts.values()))
    axis.set(xscale="log", xlim=(least / 10, 1e3), ylim=(len(texts) - 0.5, -0.5))
    axis.set_xticks([least, 1e-12, 1e-6, 1], ["0", "$10^{-12}$", "$10^{-6}$", "1"])
    axis.set(xlabel="largest difference of rates", title="what must be equal")
    letters(axes)
    return figure


def _network(axis: Axes, adaptive: bool) -> None:
    axis.set(xlim=(0, 1.45 if adaptive else 1.0), ylim=(0, 1), aspect="equal")
    axis.axis("off")
    _box(axis, (0.1, 0.5), "$x_t$", ink())
    for y in _ROWS:
        _arrow(axis, (0.18, 0.5), (0.42, y), ink())
        axis.add_patch(Circle((0.52, y), 0.1, fill=False, ec=ink(), lw=1.3))
        t = np.linspace(-1, 1, 50)
        curve = np.log1p(np.exp(6 * t)) / 6
        axis.plot(0.52 + 0.06 * t, y - 0.05 + 0.1 * curve, color=colour("gamma"), lw=1.6)
        if adaptive:
            _box(axis, (1.05, y), "$g_t$", colour("arun"), wide=0.2)
            _arrow(axis, (0.62, y + 0.04), (0.93, y + 0.04), ink())
            _arrow(axis, (0.93, y - 0.04), (0.62, y - 0.04), colour("arun"))
            axis.text(0.78, y + 0.06, "$a_t$", ha="center", va="bottom", fontsize=8)
            below: dict[str, Any] = {
                "ha": "center",
                "va": "top",
                "fontsize": 8,
                "color": colour("arun"),
            }
            axis.text(0.78, y - 0.06, "$n_t, s_t$", **below)
            _loop(axis, (1.17, y), colour("arun"))
        else:
            axis.text(0.66, y, "$n_i, s_i$", va="center", fontsize=8, color=colour("gamma"))
    axis.text(0.52, 0.02, "$W_{hh}$", ha="center", va="center", fontsize=8)
    for low, high in ((0.28, 0.4), (0.6, 0.72)):
        _arrow(axis, (0.5, low), (0.5, high), ink())
        _arrow(axis, (0.54, high), (0.54, low), ink())
    if adaptive:
        words = "the same weights for all"
        axis.text(1.05, 0.02, words, ha="center", va="center", fontsize=8, color=colour("arun"))


def _box(axis: Axes, at: tuple[float, float], text: str, tone: str, wide: float = 0.12) -> None:
    corner = (at[0] - wide / 2, at[1] - 0.06)
    shape = FancyBboxPatch(corner, wide, 0.12, "round,pad=0.01", fill=False, ec=tone, lw=1.3)
    axis.add_patch(shape)
    axis.text(*at, text, ha="center", va="center", fontsize=9, color=tone)


def _arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float], tone: str) -> None:
    settings: dict[str, Any] = {
        "arrowstyle": "-|>",
        "mutation_scale": 7,
        "shrinkA": 0,
        "shrinkB": 0,
    }
    axis.add_patch(FancyArrowPatch(start, end, color=tone, lw=0.9, **settings))


def _loop(axis: Axes, at: tuple[float, float], tone: str) -> None:
    start, end = (at[0], at[1] + 0.03), (at[0], at[1] - 0.03)
    settings: dict[str, Any] = {
        "arrowstyle": "-|>",
        "mutation_scale": 7,
        "connectionstyle": "arc3,rad=-1.6",
    }
    axis.add_patch(FancyArrowPatch(start, end, color=tone, lw=0.9, **settings))
