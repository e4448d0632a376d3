"""Robustness: a quantity against the strength of a perturbation (Geadah et al. 2024, Fig 2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from adaptrnn.figure.style import colour, drive_axis, label_of, marker, mean_and_seeds

__all__ = ["log_axis", "strength_curves"]

_STRENGTHS = {"xi": "drive ξ", "amplitude": "contrast A"}


def strength_curves(
    axis: Axes, values: xr.DataArray, marks: bool = True
) -> list[tuple[float, str, str]]:
    """Draw each model's course over the strength of a perturbation, that of ARUN thicker.

    Args:
        axis: where to draw; its x axis is set.
        values: what to draw, (model, seed, xi) or (model, seed, amplitude); of one network, a model
            and a seed. NaN where a run is missing.
        marks: whether each model's marker stands at the measured strengths.

    Returns:
        Of each model that has a number the end of its line, its name and its colour, as
        `adaptrnn.figure.style.name_lines` takes them.
    """
    (along,) = set(_STRENGTHS) & set(values.dims)
    ends = []
    for model in values.model.values.tolist():
        one = values.sel(model=model, drop=True)
        if not bool(one.notnull().any()):
            continue
        bold, label = model == "arun", label_of(model)
        line: dict[str, Any] = {"lw": 2.4 if bold else 1.2, "zorder": 3 if bold else 2}
        line |= {"ms": 3.5, "clip_on": False, "label": label}
        line["marker"] = marker(model) if marks else ""
        _, mean = mean_and_seeds(axis, one, along, color=colour(model), **line)
        ends.append((float(mean[-1]), label, colour(model)))
    axis.set_xlabel(_STRENGTHS[along])
    if along == "xi":
        drive_axis(axis, values.xi)
    return ends


def log_axis(axis: Axes, values: Any) -> None:
    """Make the y axis logarithmic, with plain numbers at its ticks.

    Args:
        axis: the axes.
        values: what is drawn; where none of them is above 0 the axis stays as it is.
    """
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known) & (known > 0)]
    if not known.size:
        return
    low, high = np.log10(known.min()), np.log10(known.max())
    steps = (1, 2, 3, 5) if high - low < 1 else (1, 2, 5) if high - low < 2 else (1,)
    powers = range(int(np.floor(low)), int(np.ceil(high)) + 1, max(1, round((high - low) / 5)))
    ticks = [k * 10.0**p for p in powers for k in steps]
    if high - low < 0.5:
        ticks = list(MaxNLocator(5).tick_values(known.min(), known.max()))
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(FixedLocator([tick for tick in ticks if tick > 0]))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(_plain))


def _plain(value: float, _place: int) -> str:
    if value and not 1e-3 <= abs(value) < 1e4:
        return f"$10^{{{np.log10(value):.0f}}}$"
    return f"{value:g}"
