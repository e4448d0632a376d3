"""Draw adaptation to the size of noise: steady states and the output's variance (Fig 3b)."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from adaptrnn.figure.style import colour, log_axis, mean_and_seeds, name_lines

__all__ = ["FITTED", "output_variance", "steady_states"]

FITTED = {"n": "power", "s": "exponential"}
"""The curve that the paper fits to the steady gain, and to the steady saturation."""


def steady_states(
    axis: Axes,
    steady: xr.DataArray,
    fitted: xr.DataArray,
    shape: str,
    change: bool = False,
    model: str = "arun",
) -> None:
    """Draw steady states against the size of the noise, and the curve fitted to each network's.

    Args:
        axis: where to draw.
        steady: means over neurons, (seed, xi).
        fitted: a, b and c of each network's own curve, (seed, parameter).
        shape: "power" for a ξ^-b + c, "exponential" for a exp(-b ξ) + c.
        change: draw the change from the smallest noise, so that networks that lie far apart can be
            compared.
        model: whose colour the dots and curves have.
    """
    xi = np.geomspace(float(steady.xi.min()), float(steady.xi.max()), 200)
    for seed in steady.seed.values:
        one = steady.sel(seed=seed)
        if not bool(one.notnull().any()):
            continue
        start = float(one[0]) if change else 0.0
        a, b, c = (float(fitted.sel(seed=seed, parameter=key)) for key in "abc")
        curve = a * (xi**-b if shape == "power" else np.exp(-b * xi)) + c
        axis.plot(xi, curve - start, color=colour(model), lw=1)
        axis.plot(one.xi, one - start, "o", color=colour(model), ms=3.5)
    _noise_axis(axis, steady.xi)


def output_variance(
    axis: Axes, variance: xr.DataArray, slope: xr.DataArray, model: str = "arun"
) -> None:
    """Draw the variance of the rates against the size of the noise, with its slopes.

    Args:
        axis: where to draw.
        variance: means over neurons, (seed, condition, xi), with n and s "adaptive" (full line) and
            "frozen" (dashed).
        slope: of log variance over log ξ, (seed, condition).
        model: whose colour the lines have.
    """
    ends = []
    for condition in variance.condition.values.tolist():
        one = variance.sel(condition=condition)
        frozen = condition == "frozen"
        line: dict[str, Any] = {"ls": "--" if frozen else "-", "ms": 3.5, "marker": "o"}
        line["mfc"] = "none" if frozen else None
        _, mean = mean_and_seeds(axis, one, "xi", color=colour(model), **line)
        power = f"slope {float(slope.sel(condition=condition).mean('seed')):.2f}"
        name = f"{condition}\n{power}" if variance.sizes["condition"] > 1 else power
        ends.append((float(mean[-1]), name, colour(model)))
    axis.set_ylabel("variance of the rates")
    log_axis(axis)
    _noise_axis(axis, variance.xi)
    name_lines(axis, ends, gap=0.2)


def _noise_axis(axis: Axes, xi: xr.DataArray) -> None:
    axis.set(xscale="log", xlabel="sd of the noise, ξ")
    ticks = [tick for tick in (1, 2, 5, 10, 30) if xi.min() <= tick <= xi.max()]
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.minorticks_off()
