"""Draw what new f-I curves recover, and a foreign controller (Geadah et al. 2024).

The figures of the paper are Fig 3a, B.3 and S17.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.style import (
    colour,
    count_seeds,
    key,
    letters,
    muted,
    name_task,
    paper_value,
    percent_axis,
    subplots,
)

__all__ = ["rotated", "transplanted"]

PAPER = {"upright": 94, "rotated": 42, "retrained": 56}
"""The paper's accuracies (%) with 28x28 pixels, 400 neurons."""


def rotated(data: xr.Dataset) -> Figure:
    """Draw (n, s) before and after they are trained again on turned digits, and the accuracy.

    Args:
        data: `n`, `s` (role, model, seed, training, neuron), `accuracy` (role, model, seed, stage),
            0 to 1. Of one role and model; of one network, seed has length one.

    Returns:
        The figure: the first seed's neurons, each with the way it went; every seed's accuracy,
        and the paper's.
    """
    data = data.isel(role=0, model=0)
    figure, axes = subplots(1, 2, height=3.2)
    cloud, right = axes[0]
    tone, one = colour(str(data.model.values)), data.isel(seed=0)
    way = {"color": muted(), "lw": 0.5, "alpha": 0.6}
    cloud.plot(one.n.transpose("training", "neuron"), one.s.transpose("training", "neuron"), **way)
    for training, ground in (("before", "none"), ("after", tone)):
        at = one.sel(training=training)
        dots = {"facecolors": ground, "edgecolors": tone, "lw": 0.7, "zorder": 3}
        cloud.scatter(at.n, at.s, 12, label=f"{training} retraining", **dots)
    cloud.set(xlabel="gain n", ylabel="saturation s", title=f"network {data.seed.values[0]}")
    key(cloud)
    stages = data.stage.values.tolist()
    places, rates = np.arange(len(stages)), 100 * data.accuracy.transpose("stage", "seed")
    right.plot(places, rates, "o-", color=tone, lw=0.8, alpha=0.7)
    paper = [PAPER.get(stage, np.nan) for stage in stages]
    paper_value(right, places, paper)
    right.set(ylabel="test accuracy (%)", xlim=(-0.4, len(stages) - 0.6), title="turned by 45°")
    right.set_xticks(places, stages)
    percent_axis(right, [*rates.values.ravel(), *paper])
    key(right)
    count_seeds(right, data.accuracy, corner=(0.02, 0.03))
    letters(axes)
    name_task(figure, data)
    return figure


def transplanted(data: xr.Dataset) -> Figure:
    """Draw accuracy with the network's own controller and with another's, in each condition.

    Args:
        data: `accuracy` (role, model, seed, controller, condition), 0 to 1, controller "own" and
            "transplanted". Of one role and model; of one network, seed has length one.

    Returns:
        The figure; a line joins each donor and its recipient.
    """
    data = data.isel(role=0, model=0)
    rates = 100 * data.accuracy.transpose("controller", "condition", "seed")
    own, other = (rates.sel(controller=name).values for name in ("own", "transplanted"))
    figure, axes = subplots(1, 1, width=5.5, height=2.9)
    axis, tone = axes[0, 0], colour(str(data.model.values))
    places = np.arange(own.shape[0])[:, None] + 0.1 * (
        np.arange(own.shape[1]) - (own.shape[1] - 1) / 2
    )
    axis.plot([places.ravel()] * 2, [own.ravel(), other.ravel()], color=tone, lw=0.9)
    for values, ground, label in ((own, "none", "its own"), (other, tone, "transplanted")):
        dots = {"marker": "o", "ls": "", "color": tone, "mfc": ground, "label": label}
        axis.plot(places.ravel(), values.ravel(), **dots)
    axis.set_xticks(places.mean(1), rates.condition.values.tolist())
    axis.set(ylabel="test accuracy (%)", xlim=(-0.6, len(places) - 0.4))
    axis.grid(axis="x", visible=False)
    percent_axis(axis, rates)
    key(axis, title="controller", loc="lower left")
    count_seeds(axis, data.accuracy, "pair")
    name_task(figure, data)
    return figure
