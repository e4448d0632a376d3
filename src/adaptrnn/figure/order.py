"""Fractional orders of neurons (Geadah et al. 2024, Figs 4b-d, S9 to S12)."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adaptrnn.figure.style import colour, ink, letters, shades, subplots

__all__ = ["error_curves", "order_by_task", "orders"]

_NETWORKS = (("interacting", "arun", -0.17), ("isolated", "gamma", 0.17))


def orders(data: xr.Dataset) -> Figure:
    """Draw the order of every neuron against the drive, in the network and isolated.

    Args:
        data: `order`, `excess` (role, model, seed, protocol, estimator, network, xi, neuron) of one
            role and model.

    Returns:
        The figure.
    """
    data = data.isel(role=0, model=0)
    figure, axes = _grid(data)
    place = np.arange(data.sizes["xi"])
    jitter = np.linspace(-0.13, 0.13, data.sizes["neuron"])
    size = 2 if data.sizes["neuron"] * data.sizes["seed"] > 400 else 4
    for (protocol, estimator), axis in axes.items():
        one = data.sel(protocol=protocol, estimator=estimator)
        for network, tone, shift in _NETWORKS:
            settings: dict[str, Any] = {"color": colour(tone)}
            values = one.order.sel(network=network).transpose("xi", "neuron", "seed")
            at = np.broadcast_to(place[:, None, None] + shift + jitter[:, None], values.shape)
            axis.scatter(at, values, size, alpha=0.25, lw=0, rasterized=True, **settings)
            for sign in (1, -1):
                mean = values.where(sign * values > 0).mean(["neuron", "seed"])
                label = network if sign > 0 else None
                axis.plot(place + shift, mean, "-o", mec=ink(), lw=1, label=label, **settings)
        inside = one.sel(network="interacting")
        null = (inside.order - inside.excess).mean(["neuron", "seed"])
        axis.plot(place - 0.17, null, "x", ms=6, mew=1.6, color=ink(), label="memoryless unit")
        axis.axhline(0, color=ink(), lw=0.6)
        axis.set_xticks(place, [f"{xi:g}" for xi in data.xi.values])
    return _finished(figure, axes, r"order $\alpha$ of the rate")


def order_by_task(data: xr.Dataset) -> Figure:
    """Draw the mean order against the drive, of each task.

    Args:
        data: `order` (role, model, seed, protocol, estimator, network, xi) of one model.

    Returns:
        The figure.
    """
    data = data.isel(model=0)
    figure, axes = _grid(data)
    tones = dict(zip(data.role.values.tolist(), ("arun", "lstm", "gru"), strict=False))
    for (protocol, estimator), axis in axes.items():
        for role, tone in tones.items():
            one = data.order.sel(protocol=protocol, estimator=estimator, role=role)
            for network, dashes in (("interacting", "-"), ("isolated", "--")):
                curve = one.sel(network=network)
                settings: dict[str, Any] = {
                    "color": colour(tone),
                    "ls": dashes,
                    "marker": "o",
                    "ms": 3,
                }
                axis.plot(data.xi, curve.mean("seed"), label=f"{role}, {network}", **settings)
                low, high = curve.min("seed"), curve.max("seed")
                axis.fill_between(data.xi, low, high, color=colour(tone), alpha=0.15, lw=0)
        axis.axhline(0, color=ink(), lw=0.6)
        axis.set_xscale("log")
        axis.set_xticks(data.xi.values, [f"{xi:g}" for xi in data.xi.values])
        axis.minorticks_off()
    return _finished(figure, axes, r"mean order $\alpha$ of the rate")


def error_curves(data: xr.Dataset) -> Figure:
    """Draw the error against the order, relative to its least, and activity de-filtered by it.

    Args:
        data: `error` (role, model, seed, protocol, estimator, signal, xi_shown, alpha) of one
            model; and perhaps `defiltered` (role, model, seed, time) with `drive` (role, model,
            seed, time). A task without data is left out.

    Returns:
        The figure: a row for each task, a column for each signal and protocol, then the overlay.
    """
    data = data.isel(model=0).sel(estimator="paper")
    known = data.error.notnull().any([name for name in data.error.dims if name != "role"])
    data = data.isel(role=known.values) if bool(known.any()) else data
    roles, overlay = data.role.values.tolist(), "defiltered" in data
    panels = [(s, p) for s in data.signal.values.tolist() for p in data.protocol.values.tolist()]
    columns = len(panels) + overlay
    height = 0.6 + 2.3 * len(roles)
    figure, axes = subplots(len(roles), columns, width=max(7.5, 2.5 * columns), height=height)
    tones = shades(data.sizes["xi_shown"])
    names = {"h": "rate $h_t$", "n": "gain $n_t$", "s": "saturation $s_t$"}
    for row, role in zip(axes, roles, strict=True):
        for axis, (signal, protocol) in zip(row, panels, strict=False):
            for xi, tone in zip(data.xi_shown.values, tones, strict=True):
                for seed in data.seed.values:
                    one = data.error.sel(role=role, signal=signal, protocol=protocol, xi_shown=xi)
                    curve = one.sel(seed=seed)
                    label = f"ξ = {xi:g}" if seed == data.seed.values[0] else None
                    axis.plot(data.alpha, curve / curve.min(), color=tone, lw=1, label=label)
            axis.axvline(0, color=ink(), lw=0.6, ls=":")
            axis.set(yscale="log", xlabel=r"order $\alpha$", title=f"{names[signal]}, {protocol}")
            axis.set_ylim(0.9, 100)
        row[0].set_ylabel(f"{role}\nerror / least error")
        if overlay:
            _overlay(row[-1], data.sel(role=role))
    letters(axes)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(handles))
    return figure


def _overlay(axis: Axes, data: xr.Dataset) -> None:
    for seed in data.seed.values:
        axis.plot(data.time, data.defiltered.sel(seed=seed), color=colour("arun"), lw=1)
    drive = data.drive.max("seed")
    axis.plot(data.time, drive, color=ink(), lw=1.2, ls="--")
    axis.set(xlabel="time (steps)", title="de-filtered rate, step (- -)")


def _grid(data: xr.Dataset) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """A row for each protocol, a column for each estimator."""
    protocols, estimators = (data[name].values.tolist() for name in ("protocol", "estimator"))
    shape = (len(protocols), len(estimators))
    figure, axes = subplots(*shape, width=8, height=5.6, sharex=True, sharey=True)
    pairs = [(p, e) for p in protocols for e in estimators]
    return figure, dict(zip(pairs, axes.flat, strict=True))


def _finished(figure: Figure, axes: dict[tuple[str, str], Axes], ylabel: str) -> Figure:
    for (protocol, estimator), axis in axes.items():
        axis.set_title(f"protocol {protocol}, {estimator}")
        spec = axis.get_subplotspec()
        if spec is not None and spec.is_first_col():
            axis.set_ylabel(ylabel)
        if spec is not None and spec.is_last_row():
            axis.set_xlabel("drive ξ")
    letters(list(axes.values()))
    handles, labels = next(iter(axes.values())).get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(handles)))
    return figure
