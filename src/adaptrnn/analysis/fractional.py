"""Fractional-order differentiation: of what order is the response of a neuron to a step?

Geadah et al. 2024, Methods, "Fractional order". With r the activity and u the stimulus,

    D^alpha r = ifft(H fft(r)),  H(f) = (2 i pi f)^alpha, principal branch, H(0) = 0
    alpha_hat = argmin over alpha of the mean over a window of
                (Re D^alpha r(t) - Re D^alpha r(25) - u(t))^2

SIGN. The operator acts on the activity, which is then compared with the stimulus. Hence
alpha_hat > 0: the activity is a fractional INTEGRAL of the stimulus (sensitising);
alpha_hat < 0: the activity is a fractional DERIVATIVE of it (adapting).
The paper's own formula r = D^alpha u has the opposite sign.

The paper's estimator fits no amplitude, so a memoryless unit r = c u gets an order that is not 0
(`memoryless_null`). The scale-free estimator fits amplitude and offset along with the order,

    alpha_hat = argmin over alpha of min over A, b of the mean of (A D^-alpha u(t) + b - r(t))^2,

with noise only where it is, in the activity; a memoryless unit gets 0.

WHICH OPERATOR. The paper's estimator uses the paper's operator, by FFT, which takes the recording
as periodic. Neurons and networks answer causally, and for their responses D^-alpha u has to be
causal too: with the periodic one, orders planted causally of -0.6, -0.3, 0.3 and 0.6 come out as
-0.47, -0.27, 0.32 and 0.64. Hence the scale-free estimator uses the sums of Gruenwald and Letnikov
unless another method is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy import fft as sfft

from adaptrnn._error import bad, choose
from adaptrnn.analysis._finite import finite
from adaptrnn.analysis._record import labelled, record_signals
from adaptrnn.analysis._type import Array, State, Values
from adaptrnn.analysis.response import noise_width
from adaptrnn.analysis.system import Network

__all__ = [
    "METHODS",
    "ORDERS",
    "SIGN",
    "STEP_PROTOCOLS",
    "StepProtocol",
    "fractional_derivative",
    "fractional_order",
    "group_means",
    "memoryless_null",
    "respond",
]


ORDERS: Array = np.linspace(-1, 1, 1001)
"""The orders tried by default."""

METHODS = ("fft", "gruenwald-letnikov")
ESTIMATORS = ("paper", "scale-free")

_STILL = 4 * float(np.finfo(np.float32).eps)  # of its size: such a response does not vary

SIGN = (
    "order > 0: the activity is a fractional integral of the stimulus (sensitising); "
    "order < 0: a fractional derivative of it (adapting). Opposite to r = D^order u."
)


@dataclass(frozen=True)
class StepProtocol:
    """A step protocol is a step stimulus and the window in which the response to it is judged.

    Attributes:
        name: for labels.
        steps: T, length of the recording.
        drive: [start, stop) of the step.
        window: [start, stop) of the times compared.
        noise: standard deviation of the noise added to the drive.
        reference: time whose value is subtracted, before the step.

    Raises:
        InputError: the times are not in order within the recording.

    Example:
        >>> short = StepProtocol("short", steps=60, drive=(20, 40), window=(15, 45), reference=10)
        >>> float(short.stimulus(2.0).sum())
        40.0
    """

    name: str
    steps: int
    drive: tuple[int, int]
    window: tuple[int, int]
    noise: float = 0.0
    reference: int = 25

    def __post_init__(self) -> None:
        for name in ("drive", "window"):
            start, stop = getattr(self, name)
            if not 0 <= start < stop <= self.steps:
                raise bad(name, (start, stop), f"0 <= start < stop <= steps = {self.steps}")
        if not 0 <= self.reference < self.drive[0]:
            raise bad(
                "reference", self.reference, f"from 0 to {self.drive[0] - 1}, before the step"
            )
        if self.noise < 0:
            raise bad("noise", self.noise, ">= 0")

    def stimulus(self, amplitude: float = 1.0) -> Array:
        """Return the step, (T,)."""
        step = np.zeros(self.steps)
        step[self.drive[0] : self.drive[1]] = amplitude
        return step


STEP_PROTOCOLS = {
    "A": StepProtocol("A", 150, (51, 101), (40, 110), 0.1),
    "B": StepProtocol("B", 300, (102, 202), (80, 220), 5.0),
}
"""The two protocols of the released code: drive 51..100 of 150 steps, and 102..201 of 300."""


def fractional_derivative(
    signal: ArrayLike, alpha: float, method: str = "fft", dt: float = 1.0
) -> Array:
    """Compute the fractional derivative D^alpha of a signal (integral for alpha < 0).

    "fft": ifft((2 i pi f)^alpha fft(r)), principal branch, H(0) = 0: the signal is taken as
    periodic and loses its mean; nothing else is lost for any alpha. The paper's choice.
    "gruenwald-letnikov": dt^-alpha sum_k (-1)^k binom(alpha, k) r(t - k dt): causal, the signal is
    taken as 0 before its start. Both are exact to rounding in the steps given, computed by FFT.

    Args:
        signal: (T, ...), time first.
        alpha: order, any real number.
        method: "fft" or "gruenwald-letnikov".
        dt: time between samples.

    Returns:
        The derivative, (T, ...).

    Raises:
        InputError: an unknown method, dt <= 0, or an empty signal.

    Example:
        >>> t = np.arange(64) / 64
        >>> d = fractional_derivative(np.sin(2 * np.pi * t), 0.5, dt=1 / 64)
        >>> want = np.sqrt(2 * np.pi) * np.sin(2 * np.pi * t + np.pi / 4)
        >>> bool(np.allclose(d, want))
        True
    """
    choose("method", method, METHODS)
    r = np.asarray(signal, dtype=np.float64)
    if r.ndim == 0 or r.size == 0:
        raise bad("signal.shape", r.shape, "(T, ...), with at least one time")
    if dt <= 0:
        raise bad("dt", dt, "> 0")
    length, transfer = _transfer(np.array([alpha]), r.shape[0], method)
    shape = (-1,) + (1,) * (r.ndim - 1)
    spectrum = sfft.rfft(r, length, axis=0) * transfer[0].reshape(shape)
    return sfft.irfft(spectrum, length, axis=0)[: r.shape[0]] / dt**alpha


def fractional_order(
    response: Values,
    stimulus: ArrayLike | None = None,
    *,
    protocol: str | StepProtocol = "B",
    estimator: str = "paper",
    method: str | None = None,
    orders: Sequence[float] | Array = ORDERS,
    bootstrap: int = 0,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Estimate the fractional order of responses to a stimulus, with an interval.

    The sign is stated at the top of this module: order > 0 integrates, order < 0 differentiates.
    All orders of all neurons are computed at once. The error is a smooth (entire) function of the
    order, so it is computed at some 40 Chebyshev points by FFT and interpolated to rounding
    accuracy.

    The interval is a basic parametric bootstrap: response = fit + residual, where the fit is the
    scale-free one over all times and the residual a Gaussian AR(1) series of unknown variance and
    correlation. Both are drawn from their posterior under the restricted likelihood (flat in the
    correlation and in the log of the variance), a series is drawn from them, and the order
    estimated again. The bias is removed: the estimator of the paper has one with noise, because it
    differentiates the noise too. How often the interval holds an order, under AR(1) and other
    noise, is in docs/explanation/seeds.md. With a dimension "trial" or "seed", average over it
    first, or pass each and use `adaptrnn.analysis.interval`.

    A silent neuron, whose response does not vary by more than 4 roundings of float32, has no order:
    NaN.

    Args:
        response: activity, a DataArray with a dimension "time" or an array or tensor (time,),
            (time, neuron) or (time, trial, neuron).
        stimulus: (T,); the unit step of the protocol if None.
        protocol: "A", "B" or a `StepProtocol`: window and reference time.
        estimator: "paper" (no amplitude) or "scale-free" (amplitude and offset fitted).
        method: "fft" or "gruenwald-letnikov"; the latter acts on r(t) - r(reference). None for
            "fft" with the paper's estimator and "gruenwald-letnikov" with the scale-free one.
        orders: increasing, at least 3.
        bootstrap: number of resamples; 0 for no interval.
        confidence: of the interval.
        seed: of the resampling.

    Returns:
        order (...), refined between the orders tried by a parabola; error (alpha, ...), the mean
        squared error ("paper") or the unexplained fraction of variance ("scale-free"); amplitude
        (...), the A of the scale-free fit at `order`; null_order (...), the order which the same
        estimator gives a memoryless unit of the same amplitude; at_edge (...), whether the minimum
        is at the first or last order; with bootstrap also order_low, order_high, bias. order,
        amplitude, null_order, error and interval are NaN for a silent neuron.

    Raises:
        InputError: lengths that do not fit, a constant stimulus, a response that is not finite.

    Example:
        >>> u = STEP_PROTOCOLS["B"].stimulus()
        >>> found = fractional_order(fractional_derivative(u, 0.4))  # a derivative: adapting
        >>> round(float(found.order), 3)
        -0.4
    """
    plan = _protocol(protocol)
    choose("estimator", estimator, ESTIMATORS)
    method = _method(method, estimator)
    r = labelled(response, "response")
    u = plan.stimulus() if stimulus is None else np.asarray(stimulus, dtype=np.float64)
    if u.shape != (plan.steps,):
        raise bad("stimulus.shape", u.shape, f"({plan.steps},), the steps of the protocol")
    if r.sizes["time"] != plan.steps:
        raise bad("response", dict(r.sizes), f"{plan.steps} steps long, as the protocol")
    inside = u[plan.window[0] : plan.window[1]]
    if not np.ptp(inside) > 0:
        raise bad("stimulus", inside, "not constant in the window", "Nothing could be fitted.")
    grid = np.asarray(orders, dtype=np.float64)
    if grid.ndim != 1 or len(grid) < 3 or not (np.diff(grid) > 0).all():
        raise bad("orders", grid, "increasing, at least 3")
    other = r.dims[1:]
    flat = r.values.reshape(plan.steps, -1)
    fit = _Fit(u, plan, estimator, method, grid)

    silent = np.ptp(flat, axis=0) <= _STILL * np.abs(flat).max(0)
    error = np.where(silent, np.nan, fit.error(flat))
    order, at_edge = _minimum(grid, error)
    amplitude, _ = _amplitude(flat, u, order, plan, method)
    level, _ = _amplitude(flat, u, np.zeros_like(order), plan, method)
    if estimator == "paper":
        null, _ = _minimum(grid, np.where(silent, np.nan, fit.error(u[:, None] * level)))
    else:
        null = np.where(silent, np.nan, 0.0)
    found: dict[str, tuple[Any, NDArray[Any]]] = {
        "order": (other, order),
        "amplitude": (other, amplitude),
        "null_order": (other, null),
        "at_edge": (other, at_edge),
    }
    if bootstrap:
        low, high, bias = np.full((3, flat.shape[1]), np.nan)
        answers = ~silent
        if answers.any():
            low[answers], high[answers], bias[answers] = _bootstrap(
                fit, flat[:, answers], order[answers], bootstrap, confidence, seed
            )
        found |= {"order_low": (other, low), "order_high": (other, high), "bias": (other, bias)}
    shape = [r.sizes[name] for name in other]
    data = {name: (dims, values.reshape(shape)) for name, (dims, values) in found.items()}
    dataset = xr.Dataset(
        data | {"error": (("alpha", *other), error.reshape(len(grid), *shape))},
        coords={"alpha": grid} | {k: v for k, v in r.coords.items() if "time" not in v.dims},
        attrs=_attributes(plan, estimator, method)
        | (
            {"interval": f"{confidence:g} basic bootstrap, {bootstrap} series of AR(1) noise"}
            if bootstrap
            else {}
        ),
    )
    dataset["order"].attrs = {"units": "1", "sign": SIGN}
    dataset["alpha"].attrs = {"units": "1", "sign": SIGN}
    dataset["error"].attrs = {
        "units": "squared stimulus" if estimator == "paper" else "fraction of variance"
    }
    return dataset


def memoryless_null(
    amplitudes: Sequence[float] | Array = (0.25, 0.5, 1, 2, 4),
    stimulus: ArrayLike | None = None,
    *,
    protocol: str | StepProtocol = "B",
    estimator: str = "paper",
    method: str | None = None,
    orders: Sequence[float] | Array = ORDERS,
) -> xr.Dataset:
    """Return the order that the estimator gives a memoryless unit r = c u; it should be 0.

    The paper's estimator gives 0 only for c = 1: it takes a small response for a derivative and a
    large one for an integral. Compare every order found with this.

    Args:
        amplitudes: the c.
        stimulus: (T,); the unit step of the protocol if None.
        protocol: as in `fractional_order`.
        estimator: as in `fractional_order`.
        method: as in `fractional_order`.
        orders: as in `fractional_order`.

    Returns:
        What `fractional_order` returns, along "amplitude_of_unit".

    Example:
        >>> memoryless_null([0.5, 1.0, 2.0]).order.round(2).values.tolist()
        [-0.16, 0.0, 0.16]
    """
    plan = _protocol(protocol)
    u = plan.stimulus() if stimulus is None else np.asarray(stimulus, dtype=np.float64)
    units = np.asarray(amplitudes, dtype=np.float64)
    response = xr.DataArray(
        u[:, None] * units, dims=("time", "amplitude_of_unit"), coords={"amplitude_of_unit": units}
    )
    return fractional_order(
        response, u, protocol=plan, estimator=estimator, method=method, orders=orders
    )


def respond(
    network: Network,
    amplitudes: Sequence[float] = (1.0,),
    *,
    protocol: str | StepProtocol = "A",
    trials: int = 1,
    noise: float | None = None,
    into: str = "drive",
    state: State | None = None,
    input_size: int | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Record the activity under the protocol's noisy step, averaged over trials (E20-E24, E37).

    The network starts at rest with no other input. The noise is Gaussian, independent for each
    neuron (or channel of the input), time and trial, and added to the step.

    Args:
        network: any recurrent network (see `adaptrnn.analysis.system`); for isolated neurons,
            what `isolate` returns.
        amplitudes: xi of the steps.
        protocol: "A", "B" or a `StepProtocol`.
        trials: number of noisy repetitions, averaged.
        noise: standard deviation; that of the protocol if None.
        into: "drive", a current into every neuron; or "input", into the network's input.
        state: example state of a user's own step function.
        input_size: D of a user's own step function.
        seed: of the noise.

    Returns:
        h, and if the network has them n and s, (time, xi, neuron); stimulus (time, xi).

    Example:
        >>> import torch
        >>> seen = respond(torch.nn.GRUCell(1, 4), [1.0, 2.0], noise=0.0)
        >>> dict(seen.h.sizes)
        {'time': 150, 'xi': 2, 'neuron': 4}
        >>> found = fractional_order(seen.h.sel(xi=1.0), protocol="A")
        >>> dict(found.order.sizes)
        {'neuron': 4}
    """
    import torch

    plan = _protocol(protocol)
    if trials < 1:
        raise bad("trials", trials, "an integer >= 1")
    levels = finite("amplitudes", np.asarray(amplitudes, dtype=np.float64))
    steps = np.stack([plan.stimulus(xi) for xi in levels], 1)
    sigma = plan.noise if noise is None else noise
    units = noise_width(network, into, state, input_size)
    generator = torch.Generator().manual_seed(seed)
    shape = (plan.steps, trials, len(levels), units)
    drive = torch.as_tensor(steps, dtype=torch.float32)[:, None, :, None].expand(shape)
    drive = drive + sigma * torch.randn(shape, generator=generator)
    seen = record_signals(
        network, drive.flatten(1, 2), into=into, state=state, input_size=input_size
    )
    dims = ("time", "xi", "neuron")
    data: dict[str, Any] = {
        name: (dims, signal.double().unflatten(1, (trials, len(levels))).mean(1).numpy())
        for name, signal in seen.items()
    }
    return xr.Dataset(
        data | {"stimulus": (("time", "xi"), steps)},
        coords={"time": np.arange(plan.steps), "xi": levels},
        attrs={
            "protocol": plan.name,
            "trials": trials,
            "noise_sd": sigma,
            "seed": seed,
            "into": into,
            "time_units": "step",
        },
    )


def group_means(order: xr.DataArray, dim: str = "neuron") -> xr.Dataset:
    """Average the orders of the integrating and of the differentiating neurons (E20-E23).

    Neurons without an order (NaN: silent ones) are skipped; count says how many are left. Orders at
    the edge of the range tried are bounds: leave them out with `order.where(~found.at_edge)`.

    Args:
        order: orders, as `fractional_order` returns them.
        dim: dimension to average over.

    Returns:
        mean, mean_positive, mean_negative (NaN for an empty group), share_positive (of the neurons
        that have an order; NaN if none has), count (of these neurons).

    Example:
        >>> order = xr.DataArray([-0.2, 0.1, 0.3], dims="neuron")
        >>> round(float(group_means(order).mean_positive), 3)
        0.2
    """
    if dim not in order.dims:
        raise bad("dim", dim, f"one of {order.dims}")
    positive, negative = order > 0, order < 0
    count = order.count(dim)
    return xr.Dataset(
        {
            "mean": order.mean(dim),
            "mean_positive": order.where(positive).mean(dim),
            "mean_negative": order.where(negative).mean(dim),
            "share_positive": positive.sum(dim) / count.where(count > 0),
            "count": count,
        },
        attrs={"sign": SIGN},
    )


def _protocol(protocol: str | StepProtocol) -> StepProtocol:
    if isinstance(protocol, StepProtocol):
        return protocol
    return STEP_PROTOCOLS[choose("protocol", protocol, STEP_PROTOCOLS)]


def _method(method: str | None, estimator: str) -> str:
    if method is None:
        return "fft" if estimator == "paper" else "gruenwald-letnikov"
    return choose("method", method, METHODS)


def _attributes(plan: StepProtocol, estimator: str, method: str) -> dict[str, Any]:
    operator = {
        "fft": "D^alpha r = ifft((2 i pi f)^alpha fft(r)), H(0) = 0, periodic",
        "gruenwald-letnikov": "D^alpha r = sum_k (-1)^k binom(alpha, k) r(t-k), causal, "
        "of r - r(reference)",
    }[method]
    objective = {
        "paper": "argmin mean over window (Re D^alpha r(t) - Re D^alpha r(reference) - u(t))^2",
        "scale-free": "argmin over alpha, A, b of mean over window (A D^-alpha u(t) + b - r(t))^2",
    }[estimator]
    return {
        "definition": f"{objective}; {operator}",
        "sign": SIGN,
        "estimator": estimator,
        "method": method,
        "protocol": plan.name,
        "steps": plan.steps,
        "drive": list(plan.drive),
        "window": list(plan.window),
        "reference": plan.reference,
    }


def _transfer(alphas: Array, steps: int, method: str) -> tuple[int, NDArray[np.complex128]]:
    """Length of the transform and transfer functions (alpha, frequency) of D^alpha."""
    if method == "fft":
        omega = 2 * np.pi * sfft.rfftfreq(steps)[1:]
        transfer = np.zeros((len(alphas), len(omega) + 1), dtype=np.complex128)
        log = np.log(omega) + 0.5j * np.pi
        np.exp(alphas[:, None] * log, out=transfer[:, 1:])
        return steps, transfer
    length = sfft.next_fast_len(2 * steps - 1, real=True)
    k = np.arange(1, steps)
    weights = np.cumprod((k - 1 - alphas[:, None]) / k, axis=1)
    weights = np.concatenate([np.ones((len(alphas), 1)), weights], 1)
    return length, sfft.rfft(weights, length, axis=1)


def _amplitude(
    r: Array, u: Array, order: Array, plan: StepProtocol, method: str
) -> tuple[Array, Array]:
    """Scale-free fit r = A D^-order u + b over all times: A (M,) and the fit (T, M)."""
    shape = _shape(u, order, plan, method)
    centred = shape - shape.mean(0)
    power = (centred**2).sum(0)
    slope = (centred * (r - r.mean(0))).sum(0) / np.where(power > 0, power, 1)
    return slope, slope * centred + r.mean(0)


def _shape(u: Array, order: Array, plan: StepProtocol, method: str) -> Array:
    """D^-order of the stimulus, (T, M)."""
    length, transfer = _transfer(-order, plan.steps, method)
    spectrum = sfft.rfft(u - u[plan.reference], length)
    return sfft.irfft(transfer * spectrum, length, axis=1)[:, : plan.steps].T


class _Fit:
    """The error of every order for many responses (T, M), prepared for one stimulus."""

    def __init__(
        self, u: Array, plan: StepProtocol, estimator: str, method: str, grid: Array
    ) -> None:
        self.u, self.plan, self.grid, self.method = u, plan, grid, method
        self.paper = estimator == "paper"
        self.inside = slice(*plan.window)
        if not self.paper:
            length, transfer = _transfer(-grid, plan.steps, method)
            spectrum = sfft.rfft(u - u[plan.reference], length)
            shapes = sfft.irfft(transfer * spectrum, length, axis=1)[:, self.inside]
            shapes = shapes - shapes.mean(1, keepdims=True)
            self.shapes = shapes / np.linalg.norm(shapes, axis=1, keepdims=True)
            return
        nodes, self.interpolate = _chebyshev(grid, plan.steps, method)
        self.length, self.transfer = _transfer(nodes, plan.steps, method)

    def error(self, r: Array) -> Array:
        """Errors (alpha, M) of responses (T, M)."""
        if not self.paper:
            y = r[self.inside] - r[self.inside].mean(0)
            power = (y**2).sum(0)
            explained = (self.shapes @ y) ** 2 / np.where(power > 0, power, 1)
            return np.where(power > 0, 1 - explained, np.nan)
        u, plan = self.u, self.plan
        # a constant is lost by the periodic operator; taken away before the causal one
        spectrum = sfft.rfft((r - r[plan.reference]).T, self.length, axis=1)
        errors = np.empty((len(self.transfer), r.shape[1]))
        for row, transfer in enumerate(self.transfer):
            d = sfft.irfft(spectrum * transfer, self.length, axis=1)
            d = d[:, self.inside] - d[:, [plan.reference]] - u[self.inside]
            errors[row] = np.einsum("mt,mt->m", d, d) / d.shape[1]
        return errors if self.interpolate is None else self.interpolate @ errors


def _chebyshev(grid: Array, steps: int, method: str) -> tuple[Array, Array | None]:
    """Orders at which to compute, and the matrix that interpolates from them to `grid`.

    The error is a sum of terms exp(c x), x the order scaled to [-1, 1] and |c| at most twice the
    half range times the largest |log H|; its Chebyshev coefficients fall as (|c|/2)^k / k!.
    """
    centre, half = (grid[0] + grid[-1]) / 2, (grid[-1] - grid[0]) / 2
    c = 2 * half * abs(complex(math.log(2 * steps), math.pi / 2))
    count = 8
    while count * math.log(c / 2) - math.lgamma(count + 1) > math.log(1e-18):
        count += 1
    if method == "gruenwald-letnikov":
        count += 10  # 1/Gamma(-alpha) in its weights
    if count >= len(grid):
        return grid, None
    x = np.cos(np.pi * (np.arange(count) + 0.5) / count)
    weights = np.full((count, 1), 2 / count)
    weights[0] = 1 / count
    to_coefficients = weights * np.polynomial.chebyshev.chebvander(x, count - 1).T
    values = np.polynomial.chebyshev.chebvander((grid - centre) / half, count - 1)
    return centre + half * x, values @ to_coefficients


def _minimum(grid: Array, error: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Order of the least error (M,), by a parabola through three points; whether at an end."""
    best = np.argmin(error, axis=0)
    at_edge = (best == 0) | (best == len(grid) - 1)
    middle = np.clip(best, 1, len(grid) - 2)
    columns = np.arange(error.shape[1])
    x0, x1, x2 = grid[middle - 1], grid[middle], grid[middle + 1]
    e0, e1, e2 = (error[middle + shift, columns] for shift in (-1, 0, 1))
    left, right = (e1 - e0) / (x1 - x0), (e2 - e1) / (x2 - x1)
    curvature = (right - left) / (x2 - x0)
    with np.errstate(invalid="ignore", divide="ignore"):
        top = (x0 + x1) / 2 - left / (2 * curvature)
    usable = ~at_edge & (curvature > 0)
    order = np.where(usable, np.clip(top, x0, x2), grid[best])
    none = np.isnan(error).all(0)
    return np.where(none, np.nan, order), at_edge & ~none


def _bootstrap(
    fit: _Fit, r: Array, order: Array, count: int, confidence: float, seed: int
) -> tuple[Array, Array, Array]:
    if not 0 < confidence < 1:
        raise bad("confidence", confidence, "between 0 and 1")
    steps, units = r.shape
    signal, design = _signal(fit, r)
    probability, spread = _noise_posterior(r - signal, design)
    centre, _ = _minimum(fit.grid, fit.error(signal))
    generator = np.random.default_rng(seed)
    draws = np.empty((count, units))
    per_pass = max(1, int(2e6 // (steps * units)))
    for start in range(0, count, per_pass):
        many = min(per_pass, count - start)
        noise = _noise(probability, spread, (steps, many, units), generator)
        again = signal[:, None, :] + noise
        found, _ = _minimum(fit.grid, fit.error(again.reshape(steps, -1)))
        draws[start : start + many] = found.reshape(many, units) - centre
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [1 - tail, tail], axis=0)
    return order - low, order - high, draws.mean(0)


_CORRELATIONS: Array = np.tanh(np.linspace(-2.3, 2.6, 50))  # of AR(1) noise, -0.98 to 0.99


def _whiten(values: Array, correlation: float) -> Array:
    """Values (T, ...) whose AR(1) part of variance 1 becomes independent, of variance 1 - rho^2."""
    first = math.sqrt(1 - correlation**2) * values[:1]
    return np.concatenate([first, values[1:] - correlation * values[:-1]])


def _noise_posterior(residual: Array, design: Array) -> tuple[Array, Array]:
    """Of AR(1) noise, for each of `_CORRELATIONS`: probability, and sum of squares of innovations.

    The restricted likelihood (Patterson and Thompson 1971) of residuals (T, M) from a fit with the
    columns `design` (T, M, 3), flat in the correlation: the fit has taken some of the noise, more
    of slow noise, which residuals alone would not show. Both results are (correlation, M).
    """
    size = np.sqrt((design**2).sum(0))
    columns = design / np.where(size > 0, size, 1)
    freedom = len(residual) - design.shape[2]
    log, squares = np.empty((2, len(_CORRELATIONS), residual.shape[1]))
    for row, rho in enumerate(_CORRELATIONS):
        x, y = _whiten(columns, rho), _whiten(residual, rho)
        gram = np.einsum("tmi,tmj->mij", x, x) + 1e-12 * np.eye(design.shape[2])
        moment = np.einsum("tmi,tm->mi", x, y)
        taken = np.einsum("mi,mi->m", moment, np.linalg.solve(gram, moment[..., None])[..., 0])
        left = np.maximum((y**2).sum(0) - taken, np.finfo(np.float64).tiny)
        squares[row] = left
        log[row] = 0.5 * math.log(1 - rho**2) - 0.5 * np.linalg.slogdet(gram)[1]
        log[row] -= 0.5 * freedom * np.log(left)
    width = np.gradient(_CORRELATIONS)[:, None]
    weight = np.exp(log - log.max(0)) * width
    return weight / weight.sum(0), squares


def _noise(
    probability: Array, squares: Array, shape: tuple[int, int, int], generator: np.random.Generator
) -> Array:
    """Series (T, count, M) of AR(1) noise, each with its own draw of correlation and variance."""
    steps, count, units = shape
    chosen = (generator.random((count, units)) > probability.cumsum(0)[:, None, :]).sum(0)
    chosen = np.minimum(chosen, len(_CORRELATIONS) - 1)
    rho = _CORRELATIONS[chosen]
    left = np.take_along_axis(squares, chosen, axis=0)
    sd = np.sqrt(left / generator.chisquare(steps - 3, (count, units)))
    noise = generator.standard_normal(shape) * sd
    noise[0] /= np.sqrt(1 - rho**2)
    for t in range(1, steps):
        noise[t] += rho * noise[t - 1]
    return noise


def _signal(fit: _Fit, r: Array) -> tuple[Array, Array]:
    """The response without its noise, the scale-free fit over all times, and its derivatives.

    The derivatives (T, M, 3) are those by offset, amplitude (but for a factor) and order.
    """
    # responses are causal, whatever the operator of the paper's estimator
    method = "gruenwald-letnikov" if fit.paper else fit.method
    free = _Fit(fit.u, fit.plan, "scale-free", method, fit.grid) if fit.paper else fit
    order, _ = _minimum(fit.grid, free.error(r))
    amplitude, signal = _amplitude(r, fit.u, order, fit.plan, method)
    step = 1e-4
    after, before = (_shape(fit.u, order + sign * step, fit.plan, method) for sign in (1, -1))
    by_order = amplitude * (after - before) / (2 * step)
    columns = [np.ones_like(signal), signal - signal.mean(0), by_order - by_order.mean(0)]
    return signal, np.stack(columns, -1)
