"""Fit lines, power laws, exponentials and decays y = a f(x; b) + c by least squares, many at once.

For a given b the best a and c are linear, so only b is searched: on a grid, then by golden
section. This needs no starting values and does the same for every neuron.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from adaptrnn._error import bad, choose
from adaptrnn.analysis._type import Array

Mask = NDArray[np.bool_]
# name: (f(x, b), formula)
Shape = tuple[Callable[[Array, Array], Array], str]
FIT_SHAPES: dict[str, Shape] = {
    "linear": (lambda x, b: x + 0 * b, "a x + c"),
    "power": (lambda x, b: x**-b, "a x^-b + c"),
    "exponential": (lambda x, b: np.exp(-b * x), "a exp(-b x) + c"),
}
_GRID = 400
_STRAIGHT = 1e-3  # the least |b| of a power law that is tried; below, it is a logarithm
_TURN = np.linspace(0, np.pi, 41)
_GOLDEN = (np.sqrt(5) - 1) / 2


def fit(x: Array, y: xr.DataArray, model: str, dim: str, confidence: float = 0.95) -> xr.Dataset:
    """Fit one model along one dimension, for every other coordinate at once.

    Intervals are those of the profile: the values of a parameter for which the least RSS, over the
    other parameters, is at most RSS (1 + t^2 / (m - k)), t of m - k degrees of freedom. For a line
    they are Student's. They assume independent Gaussian noise of the same size at every x, and hold
    planted values then (docs/explanation/seeds.md says how often).

    An interval is open where it reaches the edge of the b that are tried. The b of an exponential
    then reaches 0 (no bend in the range of x) or inf (gone at the second point), that of a power
    law -inf or inf; a and c reach -inf or inf where they diverge with b, as they do for an
    exponential without a bend and for a power law whose b may be 0 (a logarithm). Where an F test
    cannot tell the values from flat ones, every b is accepted. Exponentials are fitted that relax
    towards c (b > 0). Of values that change ever faster, as growth does, which b < 0 would fit
    better by more than the limit, b is at its edge and the intervals are NaN.

    AIC = m ln(RSS/m) + 2 (k + 1), k parameters and the noise variance; AICc adds
    2 (k+1)(k+2)/(m-k-2).

    Args:
        x: (m,), positive for "power".
        y: values with a dimension `dim` of length m.
        model: "linear" (a x + c), "power" (a x^-b + c) or "exponential" (a exp(-b x) + c).
        dim: the dimension to fit along.
        confidence: of the intervals.

    Returns:
        value, low, high along (parameter, ...), parameter in a, b, c; r2, rss, aic, aicc; b is
        NaN for the line, and everything is for values that do not vary.

    Raises:
        InputError: too few points, x not positive for a power law.
    """
    choose("model", model, FIT_SHAPES)
    x = np.asarray(x, dtype=np.float64)
    parameters = 2 if model == "linear" else 3
    if len(x) < parameters + 1:
        raise bad(dim, len(x), f"at least {parameters + 1} values, one more than parameters")
    if len(np.unique(x)) < parameters:
        raise bad(dim, x, f"at least {parameters} different values")
    if model == "power" and not (x > 0).all():
        raise bad(dim, x, "> 0 for a power law")
    y = y.transpose(dim, ...).astype(np.float64)
    others = y.dims[1:]
    rows = y.values.reshape(len(x), -1)
    # values that do not vary, but for rounding, have no shape to be fitted
    good = np.isfinite(rows).all(0) & (np.ptp(rows, axis=0) > 1e-9 * np.abs(rows).max(0))
    data = np.where(good, rows, 0.0)
    function, _ = FIT_SHAPES[model]
    m, k = len(x), parameters
    share = stats.t.ppf((1 + confidence) / 2, m - k) ** 2 / (m - k)
    b = np.full(data.shape[1], np.nan)
    if model != "linear":
        b = _search(x, data, function, _grid(x, model))
    shapes = function(x[:, None], np.nan_to_num(b)[None, :])
    a, c, rss = _line(shapes, data)
    value = np.stack([a, b, c])
    total = ((data - data.mean(0)) ** 2).sum(0)
    if model == "linear":
        half = _halves(shapes, rss * share)
        low, high = value - half, value + half
    else:
        flat = total <= rss * (1 + 2 * stats.f.ppf(confidence, 2, m - k) / (m - k))
        low, high = _profile(x, data, model, b, rss, share, flat)
    with np.errstate(divide="ignore", invalid="ignore"):
        aic = m * np.log(rss / m) + 2 * (k + 1)
        r2 = np.where(total > 0, 1 - rss / total, np.nan)
        # as many numbers as points, or more: nothing can be said
        aicc = aic + 2 * (k + 1) * (k + 2) / (m - k - 2) if m > k + 2 else np.full_like(aic, np.nan)
    shape = [y.sizes[name] for name in others]

    def packed(values: Array) -> Array:
        masked = np.where(good, values, np.nan)
        return masked.reshape([*values.shape[:-1], *shape])

    found: dict[str, Any] = {
        name: (("parameter", *others), packed(values))
        for name, values in {"value": value, "low": low, "high": high}.items()
    }
    found |= {
        name: (others, packed(values))
        for name, values in {"r2": r2, "rss": rss, "aic": aic, "aicc": aicc}.items()
    }
    coords = {k: v for k, v in y.coords.items() if dim not in v.dims}
    return xr.Dataset(found, coords=coords | {"parameter": ["a", "b", "c"]})


def fit_all(x: Array, y: xr.DataArray, dim: str, confidence: float = 0.95) -> xr.Dataset:
    """Fit all models, along a dimension "model"; see `fit`.

    delta_aic is the AIC minus that of the line: negative where the model is better than a line.
    """
    each = [fit(x, y, model, dim, confidence) for model in FIT_SHAPES]
    together = xr.concat(each, "model").assign_coords(model=list(FIT_SHAPES))
    together["delta_aic"] = together.aic - together.aic.sel(model="linear")
    together["delta_aicc"] = together.aicc - together.aicc.sel(model="linear")
    together.attrs = {
        "models": "; ".join(f"{name}: {shape[1]}" for name, shape in FIT_SHAPES.items()),
        "interval": f"{confidence:g}, of the profile: RSS, least over the other parameters, at "
        "most RSS (1 + t^2/(m-k)); open (infinite) where it reaches the edge of the b tried",
        "aic": "m ln(RSS/m) + 2 (k+1), k parameters and the noise variance; aicc: + "
        "2 (k+1)(k+2)/(m-k-2)",
    }
    return together


def _grid(x: Array, model: str) -> Array:
    """Values of b to try: from straight over the whole range to gone at the second point."""
    if model == "power":
        falling, rising = np.geomspace(8, _STRAIGHT, _GRID // 2), np.geomspace(_STRAIGHT, 8, _GRID)
        return np.concatenate([-falling, rising])
    steps = np.diff(np.unique(x))
    return np.geomspace(1e-3 / steps.sum(), 20 / steps.min(), _GRID)


def _line(shapes: Array, y: Array) -> tuple[Array, Array, Array]:
    """a, c and residual sum of squares for shapes (m, M) and y (m, M)."""
    centred = shapes - shapes.mean(0)
    power = (centred**2).sum(0)
    a = (centred * (y - y.mean(0))).sum(0) / np.where(power > 0, power, 1)
    c = y.mean(0) - a * shapes.mean(0)
    return a, c, ((y - a * shapes - c) ** 2).sum(0)


def _explained(x: Array, y: Array, function: Callable[[Array, Array], Array], grid: Array) -> Array:
    """Sum of squares that the best a and c explain, for every b of the grid (G, M)."""
    shapes = function(x[:, None], grid[None, :])
    shapes = shapes - shapes.mean(0)
    norm = np.linalg.norm(shapes, axis=0)
    return ((shapes / np.where(norm > 0, norm, 1)).T @ (y - y.mean(0))) ** 2


def _search(x: Array, y: Array, function: Callable[[Array, Array], Array], grid: Array) -> Array:
    best = _explained(x, y, function, grid).argmax(0)
    low = grid[np.maximum(best - 1, 0)]
    high = grid[np.minimum(best + 1, len(grid) - 1)]
    for _ in range(60):
        width = _GOLDEN * (high - low)
        inner, outer = high - width, low + width
        left = _line(function(x[:, None], inner[None, :]), y)[2]
        right = _line(function(x[:, None], outer[None, :]), y)[2]
        low, high = np.where(left < right, low, inner), np.where(left < right, outer, high)
    return (low + high) / 2


def _halves(shapes: Array, spare: Array) -> Array:
    """How far a, b (not at all: NaN) and c can go until the RSS has grown by spare, b fixed."""
    power = ((shapes - shapes.mean(0)) ** 2).sum(0)
    a = np.sqrt(np.maximum(spare, 0) / np.where(power > 0, power, np.inf))
    return np.stack([a, np.full_like(a, np.nan), a * np.sqrt((shapes**2).mean(0))])


def _profile(
    x: Array, y: Array, model: str, b: Array, rss: Array, share: float, flat: Mask
) -> tuple[Array, Array]:
    """Ends (3, M) of the intervals of a, b, c: RSS at most rss (1 + share), or a = 0 if flat.

    Places on the grid, with fractions between its values, stand for b.
    """
    function, grid = FIT_SHAPES[model][0], _grid(x, model)
    total = ((y - y.mean(0)) ** 2).sum(0)
    rounding = 64 * np.finfo(np.float64).eps * total  # that of total - explained
    limit = rss * (1 + share) + rounding
    limit = np.where(flat, np.maximum(limit, total), limit)
    accepted = total - _explained(x, y, function, grid) <= limit
    places = np.arange(len(grid), dtype=np.float64)
    best = np.interp(b, grid, places)

    def shapes(place: Array) -> Array:
        return function(x[:, None], np.interp(place, places, grid)[None, :])

    def end(inside: Array, outside: Array) -> Array:
        """Halve the way from a place that is accepted to the next on the grid, which is not."""
        for _ in range(24):
            middle = (inside + outside) / 2
            within = _line(shapes(middle), y)[2] <= limit
            inside, outside = np.where(within, middle, inside), np.where(within, outside, middle)
        return inside

    some, final = accepted.any(0), len(grid) - 1
    first = np.where(some, np.minimum(accepted.argmax(0), best), best)
    last = np.where(some, np.maximum(final - accepted[::-1].argmax(0), best), best)
    first = end(first, np.maximum(np.ceil(first) - 1, 0))
    last = end(last, np.minimum(np.floor(last) + 1, final))
    if model == "power":  # between the two b next to 0 all is a logarithm
        left = np.searchsorted(grid, 0) - 1
        first = np.where((first > left) & (first < left + 1), left, first)
        last = np.where((last > left) & (last < left + 1), left + 1, last)
    low, high = np.full((3, len(b)), np.inf), np.full((3, len(b)), -np.inf)
    ends = []  # the intervals of a with b at its least and at its most
    for turn in _TURN:  # dense at both ends, where the intervals of a and c open like a root
        shape = shapes(first + (last - first) * (1 - np.cos(turn)) / 2)
        a, c, least = _line(shape, y)
        half = _halves(shape, limit - least)
        middle = np.stack([a, np.full_like(a, np.nan), c])
        low, high = np.minimum(low, middle - half), np.maximum(high, middle + half)
        ends.append((a - half[0], a + half[0]))
    low[1], high[1] = (np.interp(place, places, grid) for place in (first, last))
    _open(x, model, low, high, (first <= 0, last >= final), (ends[0], ends[-1]))
    if model == "exponential":
        growth = total - _explained(x.max() - x, y, function, grid).max(0)
        grows = (best < 1) & (limit < total) & (rss > growth * (1 + share) + rounding)
        low, high = np.where(grows, np.nan, low), np.where(grows, np.nan, high)
    return low, high


def _open(
    x: Array,
    model: str,
    low: Array,
    high: Array,
    reached: tuple[Mask, Mask],
    ends: tuple[tuple[Array, Array], tuple[Array, Array]],
) -> None:
    """Let intervals go to infinity, in place, with b at an edge, if a and c diverge there.

    reached: whether b reaches its least and its most; ends: the intervals of a there, whose sign
    says on which side a diverges.
    """

    def widen(row: int, down: Mask, up: Mask) -> None:
        low[row] = np.where(down, -np.inf, low[row])
        high[row] = np.where(up, np.inf, high[row])

    widen(1, *reached)
    if model == "power":
        logarithm = (low[1] < 0) & (high[1] > 0)
        widen(0, logarithm, logarithm)
        widen(2, logarithm, logarithm)
        diverges = x.max() < 1, x.min() > 1
    else:
        low[1] = np.maximum(low[1], 0)
        # without a bend c = mean - a, of the other sign
        widen(2, reached[0] & (ends[0][1] > 0), reached[0] & (ends[0][0] < 0))
        diverges = True, x.min() > 0
    for at_edge, (least, most), grows in zip(reached, ends, diverges, strict=True):
        widen(0, at_edge & (least < 0) & grows, at_edge & (most > 0) & grows)
