"""Maps over gains and saturations (Geadah et al. 2024, Fig S6)."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adaptrnn.figure.style import colour, ink, label_of, letters, shades, subplots

__all__ = ["exponent_map", "grid_maps", "norm_map", "trained_norm_map"]


def norm_map(data: xr.Dataset) -> Figure:
    """Draw the norm over (n, s), and its distance from sup gamma'.

    Args:
        data: `norm` (draw, neurons, n, s), `sup_slope` (n, s).

    Returns:
        The figure.
    """
    figure, axes = subplots(1, 2, width=8.5, height=3.2)
    sizes = data.neurons.values
    mean = data.norm.sel(neurons=sizes[-1]).mean("draw")
    _map(figure, axes[0, 0], np.log2(mean), r"$\log_2$ norm", _around(np.log2(mean)))
    _contour(axes[0, 0], mean, 1.0)
    axes[0, 0].set_title(f"N = {sizes[-1]}")
    away = 100 * abs(data.norm / data.sup_slope - 1).max("draw")
    for s, tone in zip(data.s.values, shades(data.sizes["s"]), strict=True):
        for size in sizes:
            full = size == sizes[-1]
            settings: dict[str, Any] = {"color": tone, "ms": 4, "lw": 1 if full else 0.6}
            settings |= {"label": f"s = {s:g}"} if full else {"mfc": "none"}
            axes[0, 1].plot(data.n, away.sel(neurons=size, s=s), "o-", **settings)
    axes[0, 1].axhline(2, color=ink(), lw=0.8, ls=":")
    axes[0, 1].set(xlabel="gain n", ylabel="distance from sup gamma' (%)")
    axes[0, 1].legend()
    letters(axes)
    return figure


def trained_norm_map(data: xr.Dataset) -> Figure:
    """Draw the norm against n for each s, before and after training, a panel for each model.

    Args:
        data: `norm` (role, model, seed, weights, n, s) of one role.

    Returns:
        The figure.
    """
    data = data.isel(role=0)
    models = data.model.values.tolist()
    figure, axes = subplots(1, len(models), height=3.2, sharey=True)
    for axis, model in zip(axes[0], models, strict=True):
        for s, tone in zip(data.s.values, shades(data.sizes["s"]), strict=True):
            one = data.norm.sel(model=model, s=s).mean("seed")
            axis.plot(data.n, one.sel(weights="trained"), color=tone, label=f"s = {s:g}")
            axis.plot(data.n, one.sel(weights="initial"), color=tone, lw=1, ls="--")
        axis.axhline(1, color=ink(), lw=0.8)
        axis.set(xlabel="gain n", yscale="log", title=label_of(model))
    axes[0, 0].set_ylabel("norm of the Jacobian")
    axes[0, -1].legend()
    letters(axes)
    return figure


def exponent_map(data: xr.Dataset) -> Figure:
    """Draw the largest exponent over (n, s), and its region in each draw.

    Args:
        data: `lyapunov` (draw, n, s).

    Returns:
        The figure.
    """
    figure, axes = subplots(1, 2, width=8.5, height=3.2)
    mean = data.lyapunov.mean("draw")
    _map(figure, axes[0, 0], mean, "largest exponent (1/step)", _around(mean))
    axes[0, 0].set_title("mean of the draws")
    near = xr.where(abs(data.lyapunov) <= 0.01, 0, np.sign(data.lyapunov))
    _map(figure, axes[0, 1], near.median("draw"), "< 0, about 0, > 0", 1.0)
    differ = (near != near.isel(draw=0)).any("draw").transpose("s", "n").values
    rows, columns = np.nonzero(differ)
    axes[0, 1].plot(columns, rows, "o", color="black", mec="white", ms=5)
    axes[0, 1].set_title("region; dots: not in every draw")
    letters(axes)
    return figure


def grid_maps(data: xr.Dataset) -> Figure:
    """Draw accuracy over fixed (n, s), and where learned (n, s) went.

    Args:
        data: `accuracy`, `n`, `s`, `norm_start`, `norm` (role, model, seed, start_n, start_s,
            learned) of one role and model.

    Returns:
        The figure.
    """
    data = data.isel(role=0, model=0).reindex(learned=[0, 1])
    figure, axes = subplots(1, 2, width=9, height=3.4)
    fixed, learned = (data.sel(learned=k) for k in (0, 1))
    accuracy = 100 * fixed.accuracy.mean("seed").rename(start_n="n", start_s="s")
    _map(figure, axes[0, 0], accuracy, "test accuracy (%)", None)
    norm = data.norm_start.max(["seed", "learned"]).rename(start_n="n", start_s="s")
    _contour(axes[0, 0], norm, 1.02)
    axes[0, 0].set_title("n and s fixed")
    axis = axes[0, 1]
    before, after = (abs(xr.apply_ufunc(np.log, learned[k])) for k in ("norm_start", "norm"))
    good = (after < before) | (before <= 0.05)
    dims = ("seed", "start_n", "start_s")
    ends = {k: learned[k].transpose(*dims).values for k in "ns"}
    for index, nearer in np.ndenumerate(good.transpose(*dims).values):
        end = (ends["n"][index], ends["s"][index])
        if np.isfinite(end[0]):
            start = (data.start_n.values[index[1]], data.start_s.values[index[2]])
            tone = colour("arun" if nearer else "gamma")
            axis.plot(*zip(start, end, strict=True), color=tone, lw=1)
            axis.plot(*start, "o", color=tone, mfc="none", ms=5)
            axis.plot(*end, "o", color=tone, ms=4)
    axis.set(xlabel="gain n", ylabel="saturation s", title="n and s learned")
    letters(axes)
    return figure


def _around(values: xr.DataArray) -> float:
    """The largest size of values, for a scale that is symmetric about 0."""
    size = np.abs(values.values[np.isfinite(values.values)])
    return float(size.max()) if size.size else 1.0


def _map(figure: Figure, axis: Axes, values: xr.DataArray, label: str, limit: float | None) -> None:
    """Cells over (n, s): about 0 if there is a limit, else a plain scale."""
    scale: dict[str, Any] = {"cmap": "cividis"}
    if limit is not None:
        scale = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    cells = values.transpose("s", "n")
    shown = axis.imshow(cells, origin="lower", aspect="auto", interpolation="none", **scale)
    n, s = values.n.values, values.s.values
    every = max(1, len(n) // 6)
    axis.set_xticks(range(0, len(n), every), [f"{v:g}" for v in n[::every]])
    axis.set_yticks(range(len(s)), [f"{v:g}" for v in s])
    axis.set(xlabel="gain n", ylabel="saturation s")
    axis.grid(False)
    figure.colorbar(shown, ax=axis, label=label)


def _contour(axis: Axes, norm: xr.DataArray, level: float) -> None:
    """The line between cells below and above a level."""
    cells = norm.transpose("s", "n").values > level
    for row, column in np.argwhere(cells[:, 1:] != cells[:, :-1]):
        axis.plot([column + 0.5] * 2, [row - 0.5, row + 0.5], color="black", lw=1.4)
    for row, column in np.argwhere(cells[1:] != cells[:-1]):
        axis.plot([column - 0.5, column + 0.5], [row + 0.5] * 2, color="black", lw=1.4)
