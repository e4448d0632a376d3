"""The family of f-I curves (Geadah et al. 2024, Fig 1a)."""

from __future__ import annotations

import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.style import letters, shades, subplots

__all__ = ["gamma_curves"]


def gamma_curves(data: xr.Dataset) -> Figure:
    """Draw curves over the gain at s = 0 and s = 1, and over the saturation at the middle gain.

    Args:
        data: `rate` (n, s, x), with s from 0 to 1.

    Returns:
        The figure.
    """
    figure, axes = subplots(1, 3, height=2.6, sharey=True)
    middle = float(data.n[data.sizes["n"] // 2])
    panels = (
        ("s = 0: softplus to ReLU", "n", {"s": 0.0}),
        ("s = 1: sigmoid to step", "n", {"s": 1.0}),
        (f"n = {middle:g}: s from 0 to 1", "s", {"n": middle}),
    )
    for axis, (title, varied, fixed) in zip(axes[0], panels, strict=True):
        curves = data.rate.sel(fixed)
        for value, tone in zip(data[varied].values, shades(data.sizes[varied]), strict=True):
            axis.plot(
                data.x, curves.sel({varied: value}), color=tone, label=f"{varied} = {value:g}"
            )
        axis.set(title=title, xlabel="input current x")
        axis.legend(handlelength=1.2)
    axes[0, 0].set_ylabel("rate gamma(x; n, s)")
    letters(axes)
    return figure
