"""Draw responses to a step of drive (Geadah et al. 2024, Fig 4a)."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr
from matplotlib.axes import Axes

from adaptrnn.figure.style import ink, shades

__all__ = ["SIGNALS", "step_response_curves"]

SIGNALS = {"n": "gain $n_t$", "s": "saturation $s_t$", "h": "rate $h_t$"}


def step_response_curves(axis: Axes, values: xr.DataArray, edges: Sequence[float]) -> None:
    """Draw the mean for each drive, and for the largest drive the 10th to the 90th percentile.

    Args:
        axis: where to draw.
        values: means over neurons, (seed, time, xi); or of one network (neuron, time, xi).
        edges: when the drive is switched on and off.
    """
    (over,) = {str(name) for name in values.dims} - {"time", "xi"}
    tones = shades(values.sizes["xi"])
    for xi, tone in zip(values.xi.values, tones, strict=True):
        axis.plot(values.time, values.sel(xi=xi).mean(over), color=tone, lw=1.3)
    if values.sizes[over] > 1 and bool(values.notnull().any()):
        low, high = (values.isel(xi=-1).quantile(share, over) for share in (0.1, 0.9))
        axis.fill_between(values.time, low, high, color=tones[-1], alpha=0.12, lw=0)
    for edge in edges:
        axis.axvline(float(edge), color=ink(), lw=0.6, ls=":")
