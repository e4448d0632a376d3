"""Drive neurons of a network and see their currents, gains, saturations, rates and orders."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr

from adaptrnn._error import bad, choose
from adaptrnn.activation import gamma_dx
from adaptrnn.analysis.fractional import STEP_PROTOCOLS, fractional_order
from adaptrnn.arun import ARUN
from adaptrnn.rnn import RNN

__all__ = ["DRIVE_KINDS", "PLAN", "drive", "neuron_signals", "order_curves", "rest"]

PLAN = dataclasses.replace(STEP_PROTOCOLS["B"], name="explorer", noise=0.0)
"""300 steps, the drive from 102 to 201: the times of the paper's protocol B, without its noise."""

DRIVE_KINDS = ("step", "noise", "sinusoid")
ORDER_GRID = np.linspace(-1, 1, 201)
QUIET = 0.1  # standard deviation of the noise outside the window


def drive(kind: str, size: float, period: float = 25.0, seed: int = 0) -> np.ndarray:
    """Return the external current xi_t over the 300 steps of `PLAN`.

    Args:
        kind: "step": `size` within the window, else 0; "noise": Gaussian of standard deviation
            `size` within the window, 0.1 outside; "sinusoid": size sin(2 pi (t - 102) / period)
            within, else 0.
        size: xi, standard deviation or amplitude.
        period: of the sinusoid, in steps, >= 2.
        seed: of the noise.

    Returns:
        xi, (300,).

    Raises:
        InputError: an unknown kind, a period < 2, a negative standard deviation.

    Example:
        >>> float(drive("step", 2.0).sum())
        200.0
    """
    choose("kind", kind, DRIVE_KINDS)
    if not period >= 2:
        raise bad("period", period, ">= 2 steps")
    start, stop = PLAN.drive
    if kind == "step":
        return PLAN.stimulus(size)
    if kind == "noise":
        if not size >= 0:
            raise bad("size", size, ">= 0, a standard deviation")
        deviation = np.full(PLAN.steps, QUIET)
        deviation[start:stop] = size
        return deviation * np.random.default_rng(seed).standard_normal(PLAN.steps)
    wave = np.zeros(PLAN.steps)
    wave[start:stop] = size * np.sin(2 * np.pi * np.arange(stop - start) / period)
    return wave


@torch.no_grad()
def neuron_signals(core: ARUN | RNN, xi: np.ndarray, neurons: Sequence[int]) -> xr.Dataset:
    """Record signals of some neurons of a network, all of which are driven, from rest.

    The network gets no other input. For neurons by themselves pass `isolate(core)`.

    Args:
        core: a network whose neurons have a gain and a saturation, one layer.
        xi: drive (T,), the same for every neuron.
        neurons: which neurons are wanted, from 0 to N - 1.

    Returns:
        a, n, s, h and slope, gamma'(a; n, s), over (time, neuron); xi over time.

    Raises:
        InputError: a neuron that is not there, or a network without n and s.

    Example:
        >>> seen = neuron_signals(ARUN(1, 5, controller_size=4), drive("step", 1.0), [0, 3])
        >>> dict(seen.h.sizes)
        {'time': 300, 'neuron': 2}
    """
    for neuron in neurons:
        if not 0 <= neuron < core.hidden_size:
            raise bad("neurons", neuron, f"from 0 to {core.hidden_size - 1}")
    current = torch.as_tensor(xi).to(next(core.parameters()))[:, None, None]
    trace = core.trace(current.new_zeros(len(xi), 1, core.input_size), drive=current)
    if trace.n is None or trace.s is None:
        raise bad("core", core, "a network whose neurons have a gain n and a saturation s")
    kept = {"a": trace.a, "n": trace.n, "s": trace.s, "h": trace.h}
    chosen = list(neurons)
    signals = {name: value[:, 0, chosen].double() for name, value in kept.items()}
    signals["slope"] = gamma_dx(signals["a"], signals["n"], signals["s"])
    data = {name: (("time", "neuron"), value.numpy()) for name, value in signals.items()}
    return xr.Dataset(
        data | {"xi": ("time", np.asarray(xi, float))},
        {"time": np.arange(len(xi)), "neuron": chosen},
    )


def rest(core: ARUN | RNN) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean gain and saturation of every neuron without any drive, at steps 51 to 101.

    Args:
        core: as in `neuron_signals`.

    Returns:
        n and s, each (N,).

    Example:
        >>> n, s = rest(RNN(1, 3, nonlinearity="gamma", n=5.0, s=0.1))
        >>> n.tolist(), s.round(6).tolist()
        ([5.0, 5.0, 5.0], [0.1, 0.1, 0.1])
    """
    seen = neuron_signals(core, np.zeros(PLAN.drive[0]), range(core.hidden_size))
    late = seen.isel(time=slice(PLAN.drive[0] // 2, None)).mean("time")
    return late.n.values, late.s.values


def order_curves(seen: xr.Dataset) -> xr.Dataset:
    """Estimate fractional orders of the rates against the drive, by both estimators.

    Sign: order > 0, the rate is a fractional integral of the drive (sensitising); order < 0, a
    derivative (adapting).

    Args:
        seen: what `neuron_signals` returns, of a drive that varies within the window of `PLAN`.

    Returns:
        order, null_order and at_edge over (estimator, neuron), error over (estimator, alpha,
        neuron), relative to its largest value; NaN for a rate that does not vary.

    Raises:
        InputError: a constant drive.

    Example:
        >>> seen = xr.Dataset({"h": (("time", "neuron"), drive("step", 1.0)[:, None])})
        >>> found = order_curves(seen.assign(xi=("time", drive("step", 1.0))))
        >>> abs(found.order.values.round(3)).ravel().tolist()  # a copy of the drive: order 0
        [0.0, 0.0]
    """
    found = []
    for estimator in ("paper", "scale-free"):
        one = fractional_order(
            seen.h, seen.xi.values, protocol=PLAN, estimator=estimator, orders=ORDER_GRID
        )
        found.append(one[["order", "null_order", "at_edge", "error"]])
    both = xr.concat(found, "estimator", combine_attrs="drop")
    both = both.assign_coords(estimator=["paper", "scale-free"])
    varies = np.ptp(seen.h.isel(time=slice(*PLAN.window)).values, axis=0) > 0
    both["error"] = both.error / both.error.max("alpha")
    return both.where(xr.DataArray(varies, dims="neuron"))
