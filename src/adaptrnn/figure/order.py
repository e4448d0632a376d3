"""Draw fractional orders of neurons (Geadah et al. 2024, Figs 4b-d, S9 to S12)."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adaptrnn.figure.style import colour, drive_axis, ink, letters, subplots

__all__ = ["neuron_orders", "order_panels"]

_NETWORKS = {"interacting": (-0.035, "in the network"), "isolated": (0.035, "isolated")}
"""Where the dots are next to their drive, in decades, and the words of the legend."""


def neuron_orders(axis: Axes, order: xr.DataArray, null: xr.DataArray) -> None:
    """Draw the order of every neuron against the drive, in the network and isolated.

    Args:
        axis: where to draw.
        order: of every neuron, (network, seed, xi, neuron), NaN where it has none; the means of the
            neurons with order > 0 and of those with order < 0 are lines, full for neurons in the
            network, dashed for isolated ones.
        null: the order that the estimator gives a memoryless unit of the same amplitude, (xi,).
    """
    tone, shares = colour("arun"), []
    jitter = np.linspace(-0.022, 0.022, order.sizes["neuron"])
    size = 2 if order.sizes["neuron"] * order.sizes["seed"] > 400 else 4
    for network, (shift, words) in _NETWORKS.items():
        values = order.sel(network=network).transpose("xi", "neuron", "seed")
        at = np.log10(order.xi.values)[:, None, None] + shift + jitter[:, None]
        at = np.broadcast_to(10**at, values.shape)
        axis.scatter(at, values, size, color=tone, alpha=0.15, lw=0, rasterized=True)
        isolated = network == "isolated"
        line: dict[str, Any] = {"color": tone, "ls": "--" if isolated else "-", "zorder": 4}
        line |= {"marker": "o", "ms": 5, "mec": ink(), "mfc": "none" if isolated else tone}
        for sign in (1, -1):
            mean = values.where(sign * values > 0).mean(["neuron", "seed"])
            line["label"] = words if sign > 0 else "_"
            axis.plot(order.xi * 10**shift, mean, lw=1.6, **line)
        has = int(values.notnull().sum())
        if has:
            shares.append(f"{float((values > 0).sum()) / has:.0%} {words}")
    cross: dict[str, Any] = {"ms": 6, "mew": 1.6, "color": ink(), "label": "memoryless unit"}
    axis.plot(order.xi, null, "x", zorder=5, **cross)
    axis.axhline(0, color=ink(), lw=0.6)
    drive_axis(axis, order.xi.values)
    axis.set_xlim(0.8 * float(order.xi.min()), 1.25 * float(order.xi.max()))
    if shares:
        text = "α > 0: " + ", ".join(shares)
        axis.text(0.99, 0.01, text, transform=axis.transAxes, ha="right", va="bottom", fontsize=7)


def order_panels(data: xr.Dataset, ylabel: str) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """Draw a row of panels for each protocol and a column for each estimator.

    Args:
        data: has the coordinates protocol and estimator.
        ylabel: of the left panels.

    Returns:
        The figure, and its panels by protocol and estimator.
    """
    protocols, estimators = (data[name].values.tolist() for name in ("protocol", "estimator"))
    shape = (len(protocols), len(estimators))
    figure, axes = subplots(*shape, width=8, height=6.0, sharex=True, sharey=True)
    found = {(p, e): axes[i, j] for i, p in enumerate(protocols) for j, e in enumerate(estimators)}
    for (protocol, estimator), axis in found.items():
        words = "the paper's estimator" if estimator == "paper" else f"{estimator} estimator"
        axis.set_title(f"protocol {protocol}, {words}")
    for axis in axes[:, 0]:
        axis.set_ylabel(ylabel)
    letters(axes)
    return figure, found
