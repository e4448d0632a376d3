"""The report opens with four pictures, one for each of the paper's claims.

They are small: each panel has one message, and the networks' names are at their lines. Each draws
what there is, and leaves a panel with a word in it where the results have no number.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adaptrnn.figure.controller import controller_states, gains_on_level_sets
from adaptrnn.figure.heterogeneity import neuron_cloud
from adaptrnn.figure.robustness import strength_curves
from adaptrnn.figure.scaling import steady_states
from adaptrnn.figure.style import colour, count_seeds, ink, log_axis, name_lines, subplots

__all__ = ["adaptation", "explanation", "learned", "robust"]

_SIZE = (5.4, 2.5)
JUDGED = ("relu", "gamma", "arun")
"""The networks that the paper compares under drive: those without gates."""


def robust(data: xr.Dataset) -> Figure:
    """Draw accuracy and loss against the drive, of the networks without gates.

    Args:
        data: `accuracy` (0 to 1) and `loss` (nats), (model, seed, xi) of one task; and perhaps
            `image`, one image of the task, (row, column), 0 to 1.

    Returns:
        The figure; thick lines: means over seeds, thin ones: each seed.
    """
    figure, axes = subplots(1, 2, *_SIZE)
    kinds = (("accuracy", "test accuracy (%)", 100), ("loss", "test loss (nats)", 1))
    for axis, (name, label, factor) in zip(axes[0], kinds, strict=True):
        judged = [model for model in JUDGED if model in data.model]
        ends = strength_curves(axis, factor * data[name].sel(model=judged), marks=False)
        axis.set_title(label, loc="left")
        if name == "accuracy":
            axis.set_ylim(0, 100)
            name_lines(axis, ends)
        else:
            log_axis(axis)
            count_seeds(axis, data["loss"].sel(model=judged), "seed", (0.03, 0.97))
        _or_nothing(axis, ends)
    if "image" in data:
        inset = axes[0, 0].inset_axes((0.02, 0.03, 0.22, 0.28))
        inset.imshow(data.image, cmap="gray", interpolation="nearest")
        inset.set_axis_off()
    return figure


def adaptation(scaling: xr.Dataset | None, orders: xr.Dataset | None) -> Figure:
    """Draw the change of the steady gain with noise, and the neurons' fractional orders.

    Args:
        scaling: `n_steady` (seed, xi) and `n_value` (seed, parameter) of the power law; or None.
        orders: `order` (network, seed, neuron, xi), one for each neuron and drive; or None.

    Returns:
        The figure.
    """
    figure, axes = subplots(1, 2, *_SIZE)
    left, right = axes[0]
    if scaling is not None:
        known = scaling.dropna("seed", subset=["n_steady"])
        steady_states(left, known.n_steady, known.n_value, "power", change=True)
        count_seeds(left, known.n_steady, "seed", (0.03, 0.97))
    left.set_title("change of gain n", loc="left")
    left.set_xlabel("size of the noise, ξ (lines: power laws)")
    _or_nothing(left, left.lines)
    found = []
    if orders is not None:
        edges = np.linspace(-1, 1, 41)
        for network, dashes, height in (("interacting", "-", 0.93), ("isolated", "--", 0.8)):
            values = orders.order.sel(network=network).values
            values = values[np.isfinite(values)]
            if not values.size:
                continue
            share = np.histogram(values, edges)[0] / values.size * 100
            found.append(right.stairs(share, edges, color=colour("arun"), lw=1.6, ls=dashes))
            label = "in the network (—)" if network == "interacting" else "isolated (- -)"
            place = {"transform": right.transAxes, "ha": "right", "fontsize": 8}
            right.text(1, height, label, color=colour("arun"), **place)
        right.axvline(0, color=ink(), lw=0.8)
        right.set_ylim(0, None)
    right.set_title("neurons (%) by fractional order", loc="left")
    right.set_xlabel("order α (> 0 integrates)")
    _or_nothing(right, found)
    return figure


def explanation(
    line: xr.Dataset | None, levels: xr.Dataset | None, exponents: xr.Dataset | None
) -> Figure:
    """Draw the controller's line, the level sets of the slope, and the largest exponents.

    Args:
        line: `steady` (start, current, component) of one network; or None.
        levels: `n`, `s` (seed, xi, neuron), the steady states of one network, and `level` (seed,
            xi, gain), the curves where the slope at ξ is 1 - eps; or None.
        exponents: `size` of the largest exponent, (model, seed, xi); or None.

    Returns:
        The figure.
    """
    figure, axes = subplots(1, 3, *_SIZE)
    left, middle, right = axes[0]
    if line is not None:
        controller_states(left, line[["steady"]])
        left.set_xticks([])
        left.set_yticks([])
    left.set_title("controller, steady", loc="left")
    left.set_xlabel("component 1\n(light to dark: current)")
    left.set_ylabel("component 2", labelpad=1)
    _or_nothing(left, left.collections)
    if levels is not None:
        gains_on_level_sets(middle, levels)
        means = levels[["n", "s"]].mean("neuron")
        low, high = float(means.s.min()), float(means.s.max())
        room = 0.6 * max(high - low, 0.02)
        middle.set_ylim(low - room, high + room)
        middle.set_xlim(float(means.n.min()) - 1, float(means.n.max()) + 1)
    middle.set_title("(n, s), level sets", loc="left")
    middle.set_xlabel("gain n\n(light to dark: drive)")
    middle.set_ylabel("saturation s", labelpad=1)
    _or_nothing(middle, middle.collections)
    ends = []
    if exponents is not None:
        size = exponents["size"].sel(model=[m for m in JUDGED if m in exponents.model])
        ends = strength_curves(right, size, marks=False)
        if ends:
            right.set_yscale("log")
            name_lines(right, ends, inside=True)
            count = size.dropna("seed", how="all").sizes["seed"]
            right.set_xlabel(f"drive ξ (n = {count} seed{'' if count == 1 else 's'})")
    right.set_title("|exponent| (1/step)", loc="left")
    _or_nothing(right, ends)
    return figure


def learned(data: xr.Dataset) -> Figure:
    """Draw (n, s) of every neuron after training, and where all of them started.

    Args:
        data: `n`, `s`, `n_initial`, `s_initial` (seed, neuron).

    Returns:
        The figure, a panel for each of the first three seeds.
    """
    seeds = [s for s in data.seed.values if bool(data.n.sel(seed=s).notnull().any())][:3]
    figure, axes = subplots(1, max(1, len(seeds)), *_SIZE, sharex=True, sharey=True)
    for axis, seed in zip(axes[0], seeds, strict=False):
        one = data[["n", "s", "n_initial", "s_initial"]].sel(seed=[seed])
        start = float(one.n_initial.mean())
        neuron_cloud(axis, one.assign(n=one.n - start, n_initial=one.n_initial - start))
        axis.set_title(f"network {seed}", loc="left")
        axis.set_xlabel("change of gain n")
        axis.label_outer()
    _or_nothing(axes[0, 0], seeds)
    return figure


def _or_nothing(axis: Axes, drawn: Sequence[object]) -> None:
    """Say in the panel that there is nothing to draw."""
    if not drawn:
        axis.set_xticks([])
        axis.set_yticks([])
        axis.text(0.5, 0.5, "not in\nthese results", ha="center", va="center", color=ink())
        axis.texts[-1].set_transform(axis.transAxes)
