"""Draw the error of the predicted variance of noise (Geadah et al. 2024, Proposition 1)."""

from __future__ import annotations

from typing import Any

import xarray as xr
from matplotlib.figure import Figure, SubFigure

from adaptrnn.figure.style import (
    count_seeds,
    ink,
    key,
    letters,
    mean_and_seeds,
    name_task,
    shades,
    subplots,
)

__all__ = ["trained_noise_error"]


def trained_noise_error(data: xr.Dataset, figure: SubFigure | None = None) -> Figure:
    """Draw the middle error over neurons, and the share of neurons within 5%, against sigma.

    Args:
        data: `middle`, `share` (role, model, seed, mu, sigma), 0 to 1. Of one role and model; of
            one network, seed has length one.
        figure: where to draw, in place of a figure of its own.

    Returns:
        The figure; thick lines are means over seeds, hairs are seeds.
    """
    data = data.isel(role=0, model=0)
    whole, axes = subplots(1, 2, height=3.1, figure=figure)
    left, right = axes[0]
    for axis, name, factor in ((left, "middle", 1), (right, "share", 100)):
        for mu, tone in zip(data.mu.values, shades(data.sizes["mu"]), strict=True):
            line: dict[str, Any] = {"color": tone, "marker": "o", "label": f"mean current {mu:g}"}
            mean_and_seeds(axis, factor * data[name].sel(mu=mu), "sigma", **line)
        ends = (float(data.sigma.min()) / 1.2, float(data.sigma.max()) * 1.2)
        axis.set(xlabel="sd of the noise, σ", xscale="log", xlim=ends)
    left.axhline(0.05, color=ink(), lw=0.8, ls=":")
    left.set(yscale="log", ylim=(1e-3, 10), title="error, median over neurons")
    left.set_ylabel("|variance / predicted - 1|")
    right.set(ylim=(0, 104), ylabel="neurons (%)", title="predicted within 5%")
    key(left, loc="upper left")
    count_seeds(left, data.middle)
    letters(axes)
    if figure is None:
        name_task(whole, data)
    return whole
