"""The drawing of psychometric curves."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.style import ink, shades, subplots

__all__ = ["draw_psychometric"]


def draw_psychometric(data: xr.Dataset) -> Figure:
    """Accuracy, or error, against a condition, one curve for each perturbation.

    Args:
        data: what `adaptrnn.psychometric.psychometric_curve` returns.

    Returns:
        The figure; bars are two standard errors to each side.
    """
    figure, axes = subplots(1, 1, width=4.6, height=3.2)
    axis = axes[0, 0]
    metric = "accuracy" if "accuracy" in data else "error"
    unit = 100 if metric == "accuracy" else 1
    names = [str(name) for name in data.perturbation.values]
    tones = [ink(), *shades(max(len(names) - 1, 1))]
    values = data["value"].values
    for name, tone in zip(names, tones, strict=False):
        one = data.sel(perturbation=name)
        mean, error = unit * one[metric], 2 * unit * one.standard_error
        axis.errorbar(values, mean, error, color=tone, marker="o", ms=3.5, capsize=2, label=name)
    positive = values[values > 0]
    if len(positive) > 2 and positive.max() / positive.min() > 5:
        axis.set_xscale("symlog", linthresh=float(positive.min()))
        axis.set_xticks(values, [f"{value:g}" for value in values])
        axis.minorticks_off()
    elif len(values) <= 10:
        axis.set_xticks(values, [f"{value:g}" for value in values])
    axis.set(xlabel=str(data["value"].attrs["condition"]))
    axis.set_ylabel("accuracy (%)" if metric == "accuracy" else "mean absolute error")
    if metric == "accuracy":
        low = float(np.floor(unit * data[metric].min() / 10) * 10)
        axis.set_ylim(max(0.0, low - 5), 102)
    axis.set_title(f"{data.attrs['task']}, {int(data.trials.sum()):,} trials")
    axis.legend()
    return figure
