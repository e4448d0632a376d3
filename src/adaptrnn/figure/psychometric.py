"""Draw psychometric curves."""

from __future__ import annotations

import itertools

import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.style import accents, ink, key, percent_axis, subplots

__all__ = ["draw_psychometric"]


def draw_psychometric(data: xr.Dataset) -> Figure:
    """Draw accuracy, or error, against a condition, one curve for each perturbation.

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
    tones = itertools.cycle([ink(), *accents()])
    marks = "os^vDPX*"
    values = data["value"].values
    for name, tone, mark in zip(names, tones, itertools.cycle(marks), strict=False):
        one = data.sel(perturbation=name)
        mean, error = unit * one[metric], 2 * unit * one.standard_error
        axis.errorbar(values, mean, error, color=tone, marker=mark, ms=4, capsize=2, label=name)
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
        percent_axis(axis, unit * data[metric])
        axis.set_ylim(top=axis.get_ylim()[1] + 1)
    axis.set_title(f"{data.attrs['task']}, {int(data.trials.sum()):,} trials")
    key(axis, loc="best")
    return figure
