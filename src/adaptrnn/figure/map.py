"""A map shows a quantity in cells over two others."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.image import AxesImage

from adaptrnn.figure.style import ink, shades

__all__ = ["cells", "norm_curves"]


def cells(
    axis: Axes,
    values: xr.DataArray,
    y: str,
    x: str,
    digits: str = "",
    cmap: str | Colormap = "cividis",
    vmin: float | None = None,
    vmax: float | None = None,
) -> AxesImage:
    """Draw the mean over seeds of a quantity in cells.

    Args:
        axis: where to draw; its ticks are set.
        values: numbers over (y, x), and over seed where there are several.
        y: name of the vertical dimension.
        x: name of the horizontal dimension.
        digits: format of the numbers in the cells; none without it.
        cmap: colours, a name or a map of matplotlib.
        vmin: number that gets the first colour; by default the smallest.
        vmax: number that gets the last colour; by default the largest.

    Returns:
        The image, for a colour bar.
    """
    mean = values.mean("seed") if "seed" in values.dims else values
    mean = mean.transpose(y, x)
    shown = axis.imshow(
        mean, cmap, aspect="auto", interpolation="none", vmin=vmin, vmax=vmax, origin="lower"
    )
    axis.grid(visible=False)
    for setter, name in ((axis.set_xticks, x), (axis.set_yticks, y)):
        at = mean[name].values / (np.pi if name == "map_phase" else 1)
        every = max(1, -(-len(at) // 7))
        setter(range(0, len(at), every), [f"{value:.3g}" for value in at[::every]])
    for (row, column), value in np.ndenumerate(mean.values) if digits else ():
        if np.isfinite(value):
            red, green, blue, _ = shown.cmap(shown.norm(value))
            dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
            place: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 6}
            text = f"{value:{digits}}"
            text = ("0" if not float(text) else text).replace("-", "−")
            axis.text(column, row, text, color="whitesmoke" if dark else "black", **place)
    return shown


def norm_curves(axis: Axes, norm: xr.DataArray) -> None:
    """Draw the norm of the Jacobian against the gain, a colour for each saturation.

    Args:
        axis: where to draw.
        norm: means over seeds are drawn, (seed, weights, n, s); weights "trained" as full lines,
            "initial" dashed.
    """
    mean = norm.mean("seed")
    for s, tone in zip(mean.s.values, shades(mean.sizes["s"]), strict=True):
        one = mean.sel(s=s)
        axis.plot(norm.n, one.sel(weights="trained"), color=tone, label=f"s = {s:g}")
        if "initial" in mean.weights:
            axis.plot(norm.n, one.sel(weights="initial"), color=tone, lw=1, ls="--")
    axis.axhline(1, color=ink(), lw=0.8)
    axis.set(xlabel="gain n", yscale="log")
