"""Draw a quantity against the strength of a perturbation (Geadah et al. 2024, Fig 2)."""

from __future__ import annotations

from typing import Any

import xarray as xr
from matplotlib.axes import Axes

from adaptrnn.figure.style import (
    colour,
    drive_axis,
    has_controller,
    label_of,
    marker,
    mean_and_seeds,
)

__all__ = ["strength_curves"]

_STRENGTHS = {"xi": "drive ξ", "amplitude": "contrast A"}


def strength_curves(
    axis: Axes, values: xr.DataArray, marks: bool = True
) -> list[tuple[float, str, str]]:
    """Draw each model's course over the strength of a perturbation, those that adapt thicker.

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
        bold, label = has_controller(model), label_of(model)
        line: dict[str, Any] = {"lw": 2.4 if bold else 1.2, "zorder": 3 if bold else 2}
        line |= {"ms": 3.5, "clip_on": False, "label": label}
        line["marker"] = marker(model) if marks else ""
        _, mean = mean_and_seeds(axis, one, along, color=colour(model), **line)
        ends.append((float(mean[-1]), label, colour(model)))
    axis.set_xlabel(_STRENGTHS[along])
    if along == "xi":
        drive_axis(axis, values.xi)
    return ends
