"""Where do real neurons lie? The f-I curve gamma is fitted to tables of currents and rates.

A measured table of currents I and rates f is fitted by

    f(I) = R gamma((I - theta) / S; n, s),   gain n, saturation s, threshold theta,
                                             input scale S, output scale R.

Only three of n, s, S, R can be had from any table, however good: with m = n/S,

    R gamma((I - theta)/S; n, s) = A g1(I - theta; m) + B g2(I - theta; m),
    A = R (1 - s)/S,  B = R s,

so the fit finds m, A, B, theta, and S is a convention. Here S runs from the threshold to the
largest current of the table: x = (I - theta)/S is 0 at the threshold and 1 at the end, and R is the
rate there if the curve is sharp. Then n is how sharp the threshold is compared with the range, and
s the share of the top rate that comes as a jump at the threshold: 0 for an onset without a jump
(type I), large for one with a jump (type II). `standardise` brings a network's units into the same
convention, so that both can be put into one (n, s) plane.

`adaptrnn.analysis.cell_recording` reads the tables of measured neurons, and
`adaptrnn.analysis.cell_model` simulates neurons.
"""

from __future__ import annotations

import itertools
from typing import Annotated, Any, TypeVar

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy import optimize, special, stats
from torch import Tensor

from adaptrnn._error import InputError, bad
from adaptrnn.analysis._type import Array
from adaptrnn.analysis.curve_parameter import activation_parameters
from adaptrnn.arun import ARUN
from adaptrnn.rnn import RNN

__all__ = ["fit_fi", "fit_fi_table", "standardise", "units_in_plane"]

_Numbers = TypeVar("_Numbers", float, Array, xr.DataArray)


def fit_fi(
    current: ArrayLike,
    rate: ArrayLike,
    *,
    input_scale: float | None = None,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Fit R gamma((I - theta)/S; n, s) to one f-I table by least squares.

    For given threshold and sharpness the rest is linear: these two are searched on a grid, then
    all four numbers are polished together. A small s is hard to tell from a shift of the threshold
    (g1(x + d) is nearly g1(x) + d g2(x)), and a positive s has a twin with a negative one: the best
    of either sign and their twins are polished and the best one kept. Where the data cannot tell
    twins apart, the one with s >= 0 is kept, a jump and not a dip at the threshold.

    Intervals are those of the profile likelihood: all values with which a curve still fits, that is
    with a sum of squares of at most 1 + t^2 / (points - 4) times the least. They take in both
    twins where both fit. A linearised interval around one of them would hold a small s in half of
    the cases. Of a very sharp curve, n = 20 with 40 currents, they hold n in 84% and s in 91% of
    experiments (docs/explanation/seeds.md). An end that the data do not bound is infinite, or 0
    for n_low: with a jump between two currents n_high is, and nearly straight curves have no
    threshold.

    Args:
        current: I, at least 6 values of which 5 differ.
        rate: f, >= 0, of the same length.
        input_scale: S; from the fitted threshold to the largest current if None.
        confidence: of the intervals.

    Returns:
        n, s, threshold, input_scale, output_scale, the first three and output_scale with _low and
        _high; r2, rmse; current, rate and fitted along "point".

    Raises:
        InputError: too few points, rates that do not vary or that fall with the current, values
            that are not finite.

    Example:
        >>> from adaptrnn.activation import gamma
        >>> import torch
        >>> i = torch.linspace(0, 3, 31, dtype=torch.float64)
        >>> found = fit_fi(i, 40 * gamma((i - 1) / 2, 6.0, 0.3))  # S = 3 - 1, the convention
        >>> [round(float(found[name]), 3) for name in ("n", "s", "threshold", "output_scale")]
        [6.0, 0.3, 1.0, 40.0]
    """
    i = np.asarray(current, dtype=np.float64)
    f = np.asarray(rate, dtype=np.float64)
    if i.ndim != 1 or i.shape != f.shape:
        raise bad("current, rate", (i.shape, f.shape), "one-dimensional, of the same length")
    if len(i) < 6 or len(np.unique(i)) < 5:
        raise bad("current", i, "at least 6 values, 5 of them different")
    if not np.isfinite(i).all() or not np.isfinite(f).all() or (f < 0).any():
        raise bad("current, rate", "NaN, infinite or negative rates", "finite, with rates >= 0")
    if np.ptp(f) == 0:
        raise bad("rate", f, "of a neuron whose rate depends on the current")
    if np.polyfit(i - i.mean(), f, 1)[0] <= 0:
        advice = "A falling curve is no f-I curve; leave out currents beyond a block of spikes."
        raise bad("rate", f, "rates that rise with the current on the whole", advice)
    if not 0 < confidence < 1:
        raise bad("confidence", confidence, "between 0 and 1")
    if input_scale is not None and input_scale <= 0:
        raise bad("input_scale", input_scale, "> 0")
    top, span, unit = i.max(), np.ptp(i), f.max()
    x, y = (i - top) / span, f / unit  # from -1 to 0, from 0 to 1

    tries = [_polish(x, y, start) for start in _starts(x, y)]
    shift = [
        one.x * [1, 1, 1, -1] - [2 * one.x[3] / one.x[2], 0, 0, 0] for one in tries if one.x[2] > 0
    ]
    tries += [_polish(x, y, start) for start in shift if -3 < start[0] < -1e-3]
    best = min(tries, key=lambda one: one.cost)
    freedom = len(x) - 4
    least = 2 * best.cost
    # rates known to 8 digits at best
    most = least * (1 + stats.t.ppf((1 + confidence) / 2, freedom) ** 2 / freedom) + 1e-16 * len(x)
    fits = [one for one in tries if 2 * one.cost <= most]
    jumps = [one for one in fits if one.x[3] >= 0]
    found = min(jumps or fits, key=lambda one: one.cost)
    p, residual = found.x, found.fun
    given = None if input_scale is None else input_scale / span
    width = -p[0] if given is None else given
    scale = p[2] * width + p[3]
    value = {
        "n": np.exp(p[1]) * width,
        "s": p[3] / scale,
        "threshold": p[0],
        "output_scale": scale,
    }
    ranges = _ranges(x, y, [one.x for one in fits], most, given)
    data: dict[str, Any] = {name: [value[name], *ranges[name]] for name in value}
    data["threshold"] = top + span * np.asarray(data["threshold"])
    data["output_scale"] = unit * np.asarray(data["output_scale"])
    flat = {
        f"{name}{suffix}": float(number)
        for name, numbers in data.items()
        for suffix, number in zip(("", "_low", "_high"), numbers, strict=True)
    }
    fitted = unit * (y + residual)
    return xr.Dataset(
        flat
        | {
            "input_scale": width * span,
            "r2": 1 - float(((f - fitted) ** 2).sum() / ((f - f.mean()) ** 2).sum()),
            "rmse": float(np.sqrt(((f - fitted) ** 2).mean())),
            "current": ("point", i),
            "rate": ("point", f),
            "fitted": ("point", fitted),
        },
        attrs={
            "definition": "rate = output_scale gamma((current - threshold)/input_scale; n, s), "
            "least squares; input_scale: "
            + ("threshold to largest current" if input_scale is None else "given"),
            "interval": f"{confidence:g}, profile likelihood",
        },
    )


def fit_fi_table(
    table: xr.Dataset, *, input_scale: float | None = None, confidence: float = 0.95
) -> xr.Dataset:
    """Apply `fit_fi` to every neuron of a table.

    Args:
        table: current, rate and neuron along "point", as `read_fi_table` returns them.
        input_scale: as in `fit_fi`.
        confidence: as in `fit_fi`.

    Returns:
        The numbers of `fit_fi` along "neuron", without the points.

    Raises:
        InputError: as `fit_fi`, with the name of the neuron; or a table without these.
    """
    if not {"current", "rate", "neuron"} <= set(table.variables):
        raise bad("table", list(table.variables), "a Dataset with current, rate and neuron")
    names = list(dict.fromkeys(table.neuron.values.tolist()))
    fits = []
    for name in names:
        own = table.neuron.values == name
        pair = table.current.values[own], table.rate.values[own]
        try:
            found = fit_fi(*pair, input_scale=input_scale, confidence=confidence)
        except InputError as error:
            raise InputError(f"neuron {name!r}: {error}") from None
        fits.append(found.drop_dims("point"))
    together = xr.concat(fits, "neuron").assign_coords(neuron=names)
    together.attrs = fits[0].attrs
    return together


def standardise(n: _Numbers, s: _Numbers, span: _Numbers) -> tuple[_Numbers, _Numbers]:
    """Bring gain and saturation of a unit gamma(x; n, s) into the convention of `fit_fi`.

    With currents from the threshold 0 to `span` = S, x/S runs from 0 to 1 and
    gamma(x; n, s) = R gamma(x/S; n', s'),  n' = n S,  s' = s / (s + (1 - s) S).

    Args:
        n: gains.
        s: saturations.
        span: S > 0, the largest current the unit sees, e.g. its maximum over a trace of `a`.

    Returns:
        n', s'.

    Raises:
        InputError: span <= 0.

    Example:
        >>> standardise(5.0, 0.2, 1.0)  # nothing changes for S = 1
        (5.0, 0.2)
        >>> n, s = standardise(5.0, 0.2, 4.0)
        >>> n, round(s, 4)
        (20.0, 0.0588)
    """
    if not np.all(np.asarray(span) > 0):
        raise bad("span", span, "> 0")
    return n * span, s / (s + (1 - s) * span)


def units_in_plane(
    network: RNN | ARUN,
    x: Annotated[Tensor, "... D"],
    drive: Tensor | float | None = None,
    layer: int = 0,
) -> xr.Dataset:
    """Place a network's units in the (n, s) plane of `fit_fi`, next to real neurons.

    Args:
        network: an `RNN` with nonlinearity "gamma" or "gamma-shared", or an `ARUN`, whose n and s
            are averaged over time and samples.
        x: input (T, B, D) in the network's layout, under which the currents are looked at.
        drive: external current along with x.
        layer: which layer.

    Returns:
        n, s (neuron), standardised; span (neuron), the largest current of each unit under x. A unit
        whose current is never above 0 has no place in the plane and is NaN.

    Raises:
        InputError: the network has no n and s.

    Example:
        >>> import torch
        >>> from adaptrnn import RNN
        >>> found = units_in_plane(RNN(1, 3, nonlinearity="gamma"), torch.rand(9, 2, 1))
        >>> dict(found.sizes)
        {'neuron': 3}
    """
    own = activation_parameters(network, x, drive, layer)
    currents = network.trace(x, drive=drive, layer=layer).a
    span = own.n.copy(data=currents.flatten(0, -2).amax(0).double().cpu().numpy())
    span = span.where(span > 0)
    n, s = standardise(own.n, own.s, span.fillna(1.0))
    return xr.Dataset(
        {"n": n.where(span > 0), "s": s.where(span > 0), "span": span},
        attrs={
            "definition": "gamma(a; n, s) of each unit with its currents from 0 to their maximum "
            "scaled to 0 ... 1: n' = n span, s' = s / (s + (1 - s) span)"
        },
    )


_SHARPNESS = (0.3, 3000.0)  # of m, in units of one over the range of currents


def _basis(x: Array, theta: Array | float, log_m: Array | float) -> Array:
    """g1(x - theta; m) and g2(x - theta; m), (..., P, 2)."""
    m = np.exp(log_m)
    u = m * (x - theta)
    return np.stack([np.logaddexp(0, u) / m, special.expit(u)], -1)


def _polish(x: Array, y: Array, start: Array) -> Any:
    low, high = np.log(_SHARPNESS)
    return optimize.least_squares(
        lambda p: _basis(x, p[0], p[1]) @ p[2:] - y,
        start,
        bounds=([-3, low, -np.inf, -np.inf], [-1e-3, high, np.inf, np.inf]),
        x_scale="jac",
        xtol=1e-14,
        ftol=1e-14,
        gtol=1e-14,
        max_nfev=500,
    )


def _starts(x: Array, y: Array) -> list[Array]:
    """(threshold, log sharpness, A, B) of least errors on a grid, for B >= 0 and for B < 0.

    Of each third of the thresholds: smooth curves fit almost as well far from their own threshold.
    """
    limits = np.log(_SHARPNESS)
    theta = np.linspace(-1.5, -2e-3, 76)[:, None, None]
    log_m = np.linspace(limits[0] + 1e-9, limits[1] - 1e-9, 40)[:, None]
    solved, _, error = _linear(x, y, theta, log_m)
    starts = []
    third = np.arange(len(theta))[:, None] * 3 // len(theta)
    sides = (solved[..., 1] >= 0, solved[..., 1] < 0)
    for side, part in itertools.product(sides, range(3)):
        here = side & (third == part)
        if here.any():
            masked = np.where(here, error, np.inf)
            row, column = np.unravel_index(np.argmin(masked), error.shape)
            starts.append(np.array([theta[row, 0, 0], log_m[column, 0], *solved[row, column]]))
    return starts


_CELLS = 32  # of the grid that covers what fits, in each direction
_FLOOR = (-3.0, float(np.log(_SHARPNESS[0])))
_CEILING = (-1e-3, float(np.log(_SHARPNESS[1])))


def _ranges(
    x: Array, y: Array, minima: list[Array], most: float, width: float | None
) -> dict[str, tuple[float, float]]:
    """From where to where n, s, threshold and output scale go with a sum of squares up to `most`.

    For given threshold and sharpness the sum is a quadratic of A and B, so the range of s =
    B / (A w + B) and of A w + B there is known in closed form (Fieller's, of a ratio).
    """
    low = dict.fromkeys(("n", "s", "threshold", "output_scale"), np.inf)
    high = dict.fromkeys(low, -np.inf)

    def add(name: str, values: ArrayLike) -> None:
        low[name] = min(low[name], float(np.min(values)))
        high[name] = max(high[name], float(np.max(values)))

    done: list[Array] = []
    for one in minima:
        centre = one[:2]
        if any((box[0] <= centre).all() and (centre <= box[1]).all() for box in done):
            continue
        box, cell, theta, log_m, slack, solved, inverse = _region(x, y, centre, most)
        done.append(box)
        w = -theta if width is None else np.full_like(theta, width)
        floor, ceiling = np.array(_FLOOR), np.array(_CEILING)
        open_below, open_above = box[0] <= floor + 1e-9, box[1] >= ceiling - 1e-9
        add("threshold", theta - cell[0] / 2)
        add("threshold", np.minimum(theta + cell[0] / 2, _CEILING[0]))
        add("n", np.exp(log_m - cell[1] / 2) * w)
        add("n", np.exp(log_m + cell[1] / 2) * w)
        if open_below[0]:
            low["threshold"] = -np.inf
        if open_below[1]:
            low["n"] = 0.0
        if open_above[1]:
            high["n"] = np.inf
        a, b = solved[:, 0], solved[:, 1]
        haa, hab, hbb = inverse[:, 0, 0], inverse[:, 0, 1], inverse[:, 1, 1]
        spread = w**2 * haa + 2 * w * hab + hbb
        scale, half = a * w + b, np.sqrt(slack * spread)
        add("output_scale", scale - half)
        add("output_scale", scale + half)
        # (b - s scale)^2 <= slack (variance of b - s scale), a quadratic in s
        square = scale**2 - slack * spread
        if (square <= 0).any():
            add("s", [-np.inf, np.inf])
        else:
            middle = b * scale - slack * (w * hab + hbb)
            root = np.sqrt(np.maximum(middle**2 - square * (b**2 - slack * hbb), 0))
            add("s", (middle - root) / square)
            add("s", (middle + root) / square)
    return {name: (low[name], high[name]) for name in low}


def _region(x: Array, y: Array, centre: Array, most: float) -> tuple[Any, ...]:
    """Grid points (threshold, log sharpness) around a minimum at which the curve still fits.

    The grid grows where what fits reaches its edge and shrinks where it is wider than that. Returns
    its box (2, 2), the size of a cell (2,), and at the points: both coordinates, what is left to
    `most`, A and B (M, 2), and the inverse of their normal equations (M, 2, 2).
    """
    floor, ceiling = np.array(_FLOOR), np.array(_CEILING)
    start = np.array([0.02, 0.1])
    box = np.clip([centre - start, centre + start], floor, ceiling)
    for _ in range(60):
        axes = [np.union1d(np.linspace(box[0, k], box[1, k], _CELLS), centre[k]) for k in range(2)]
        theta, log_m = (part.ravel() for part in np.meshgrid(*axes, indexing="ij"))
        solved, inverse, error = _linear(x, y, theta[:, None], log_m[:, None])
        inside = error <= most
        # the minimum itself counts, if rounding takes it out
        inside |= (theta == centre[0]) & (log_m == centre[1])
        points = np.stack([theta, log_m], -1)[inside]
        low, high = points.min(0), points.max(0)
        cell = (box[1] - box[0]) / (_CELLS - 1)
        grow_low = (low <= box[0]) & (box[0] > floor)
        grow_high = (high >= box[1]) & (box[1] < ceiling)
        small = (high - low < (box[1] - box[0]) / 3) & (cell > 1e-13)
        if not (grow_low | grow_high | small).any():
            break
        side = box[1] - box[0]
        new_low = np.where(grow_low, box[0] - side, np.where(small, low - cell, box[0]))
        new_high = np.where(grow_high, box[1] + side, np.where(small, high + cell, box[1]))
        box = np.clip([new_low, new_high], floor, ceiling)
    slack = np.maximum(most - error[inside], 0)
    return box, cell, theta[inside], log_m[inside], slack, solved[inside], inverse[inside]


def _linear(x: Array, y: Array, theta: Array, log_m: Array) -> tuple[Array, Array, Array]:
    """A and B of least squares, the inverse of their normal equations, and the sum of squares."""
    basis = _basis(x, theta, log_m)
    gram = np.einsum("...pi,...pj->...ij", basis, basis)
    moment = np.einsum("...pi,p->...i", basis, y)
    # a ridge far below rounding of the data keeps flat corners of the grid solvable
    gram = gram + 1e-12 * np.trace(gram, axis1=-2, axis2=-1)[..., None, None] * np.eye(2)
    inverse = np.linalg.inv(gram)
    solved = np.linalg.solve(gram, moment[..., None])[..., 0]
    error = ((np.einsum("...pi,...i->...p", basis, solved) - y) ** 2).sum(-1)
    return solved, inverse, error
