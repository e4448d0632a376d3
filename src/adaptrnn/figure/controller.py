"""Draw the controller's manifold and level sets of the slope (Geadah et al. 2024, Fig 5a, b)."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from adaptrnn.analysis.noise import slope_at_drive
from adaptrnn.figure.style import (
    colour,
    count_seeds,
    drive_axis,
    ink,
    key,
    letters,
    mean_and_seeds,
    muted,
    name_task,
    paper_value,
    shade_bar,
    shades,
    subplots,
)

__all__ = ["controller_states", "gains_on_level_sets", "level_sets", "manifold"]


def controller_states(axis: Axes, data: xr.Dataset) -> None:
    """Draw where the controller settles under each current, and perhaps its way there.

    Args:
        axis: where to draw.
        data: `steady` (start, current, component) and perhaps `path` (current, time, component), of
            two principal components.
    """
    for k, tone in enumerate(shades(data.sizes["current"])):
        one = data.isel(current=k)
        if "path" in one:
            axis.plot(*one.path.transpose("component", "time"), color=tone, lw=0.7)
        x, y = one.steady.transpose("component", "start")
        axis.scatter(x, y, 22, color=tone, lw=0, zorder=3)


def gains_on_level_sets(axis: Axes, data: xr.Dataset) -> None:
    """Draw (n, s) under each drive, with the curve on which the slope at this drive is 1 - eps.

    Args:
        axis: where to draw.
        data: `n`, `s` (seed, xi, neuron) and `level` (seed, xi, gain); of one network, seed has
            length one. Faint dots are neurons, ringed ones the means over the neurons of a network;
            the curves are those of the first seed.
    """
    for k, tone in enumerate(shades(data.sizes["xi"])):
        one = data.isel(xi=k)
        axis.scatter(one.n, one.s, 4, color=tone, alpha=0.25, lw=0, rasterized=True)
        axis.plot(data.gain, one.level.isel(seed=0), color=tone, lw=1.6)
        means = (one.n.mean("neuron"), one.s.mean("neuron"))
        axis.scatter(*means, 24, color=tone, ec=ink(), lw=0.6, zorder=4)


def manifold(data: xr.Dataset) -> Figure:
    """Draw trajectories and steady states of the controller, and what the first component encodes.

    Args:
        data: `path` (role, model, seed, current, time, component), `steady` (role, model, seed,
            start, current, component), `share` (role, model, seed, component); perhaps `n` (role,
            model, seed, current, time). Of one role and model; of one network, seed has length one.

    Returns:
        The figure: a panel for each seed, then one of steady states against the current.
    """
    data = data.isel(role=0, model=0)
    seeds, currents = data.seed.values, data.current.values
    count = len(seeds) + 1 + ("n" in data)
    rows = -(-count // 3)
    figure, axes = subplots(rows, -(-count // rows), width=8, height=0.5 + 2.2 * rows)
    for axis in axes.flat[count:]:
        axis.set_axis_off()
    tones = shades(len(currents))
    for axis, seed in zip(axes.flat, seeds, strict=False):
        one = data.sel(seed=seed)
        controller_states(axis, one[["path", "steady"]])
        parts = [
            f"component {k + 1}" + (f" ({float(v):.0%})" if np.isfinite(v) else "")
            for k, v in enumerate(one["share"].values)
        ]
        axis.set(xlabel=parts[0], ylabel=parts[1], title=f"network {seed}")
        axis.locator_params(nbins=4)
    axis = axes.flat[len(seeds)]
    first = data.steady.isel(component=0)
    rising = np.sign(first.isel(current=-1).mean("start") - first.isel(current=0).mean("start"))
    for k, tone in enumerate(tones):
        ends = (rising * first).isel(current=k).transpose("seed", "start").values
        at = np.full(ends.size, currents[k])
        axis.scatter(at, ends.ravel(), 12, color=tone, lw=0, zorder=3)
    means = (rising * first).mean("start").transpose("current", "seed").values
    axis.plot(currents, means, color=muted(), lw=0.8)
    axis.set(xlabel="current", ylabel="± component 1", title="steady states", xscale="log")
    ticks = [v for v in (0.1, 0.2, 0.5, 1, 2, 5, 10) if currents.min() <= v <= currents.max()]
    axis.set_xticks(ticks, [f"{v:g}" for v in ticks])
    axis.minorticks_off()
    count_seeds(axis, data.steady)
    if "n" in data:
        axis = axes.flat[count - 1]
        for k, tone in enumerate(tones):
            course = data.n.isel(current=k).transpose("time", "seed").values
            axis.plot(data.time, course, color=tone, lw=1.1)
        axis.set(xlabel="steps after the onset", ylabel="gain $n_t$", title="what it sets")
    shade_bar(figure, axes, currents.tolist(), "current")
    letters(axes.flat[:count])
    name_task(figure, data)
    return figure


def level_sets(data: xr.Dataset, figure: SubFigure | None = None) -> Figure:
    """Draw (n, s) under each drive with the level sets of the slope, and the distance from these.

    Args:
        data: `n`, `s` (role, model, seed, stage, xi, neuron), `level` (role, model, seed, xi,
            gain), `residual` (role, model, seed, stage, xi), `epsilon` (role, model, seed). Of one
            role and model; of one network, seed has length one.
        figure: where to draw, in place of a figure of its own.

    Returns:
        The figure. a and b: faint dots are neurons, ringed ones their means over the neurons of a
        network, lines the level sets of the first seed. c: distance of the slope from 1 - epsilon.
    """
    data = data.isel(role=0, model=0)
    whole, axes = subplots(1, 3, width=9, height=3.1, figure=figure)
    steady = data.s.values[np.isfinite(data.s.values)]
    low, high = np.quantile(steady, [0.005, 0.995]) if steady.size else (0.0, 0.1)
    limits = (min(-0.05, 1.3 * low), max(0.05, 1.3 * high))
    for axis, stage in zip(axes[0], ("onset", "steady"), strict=False):
        gains_on_level_sets(axis, data.sel(stage=stage))
        axis.set(xlabel="gain n", ylabel="saturation s", ylim=limits)
        axis.set_title({"onset": "at the onset", "steady": "after 200 steps"}[stage])
        gains = data.n.values[np.isfinite(data.n.values)]
        if gains.size:
            axis.set_xlim(max(0.2, gains.min() - 1), min(12, gains.max() + 1))
    count_seeds(axes[0, 0], data.residual, corner=(0.02, 0.03))
    paper_value(axes[0, 1], y=0.013, text="paper's ε, 0.013")
    shade_bar(whole, axes[0, :2], data.xi.values.tolist(), "drive ξ")
    _distances(axes[0, 2], data)
    letters(axes)
    if figure is None:
        name_task(whole, data)
    return whole


def _distances(axis: Axes, data: xr.Dataset) -> None:
    """Distances from 1 - epsilon, of every neuron and of the mean state."""
    tone = colour(str(data.model.values))
    for stage, dash in (("onset", "--"), ("steady", "-")):
        look: dict[str, Any] = {"color": tone, "ls": dash, "label": f"neurons, rms, {stage}"}
        mean_and_seeds(axis, data.residual.sel(stage=stage), "xi", **look)
    mean = data.sel(stage="steady")[["n", "s"]].mean("neuron")
    slope = slope_at_drive(mean.n, mean.s)
    far = abs(slope - (1 - data.epsilon))
    far = far.where(far.xi != 10, drop=True)  # where epsilon was fitted to it
    mean_and_seeds(axis, far, "xi", color=ink(), label="mean (n, s), steady")
    axis.axhline(0.05, color=ink(), lw=0.8, ls=":")
    if any(np.isfinite(line.get_ydata()).any() for line in axis.lines[:-1]):
        axis.set_yscale("log")
        axis.set_ylim(bottom=axis.get_ylim()[0] / 10)  # room for the key
    drive_axis(axis, [0.0, float(data.xi.max())])
    axis.set(ylabel="|slope at ξ - (1 - ε)|", title="distance from the level set")
    key(axis, loc="lower left")
