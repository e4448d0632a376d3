"""Fit lines, power laws, exponentials and decays y = a f(x; b) + c by least squares, many at once.

For a given b the best a and c are linear, so only b is searched: on a grid, then by golden
section. This needs no starting values and does the same for every neuron.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from adaptrnn._error import bad, choose
from adaptrnn.analysis._type import Array

# name: (f(x, b), df/db, formula)
Shape = tuple[Callable[[Array, Array], Array], Callable[[Array, Array], Array], str]
FIT_SHAPES: dict[str, Shape] = {
    "linear": (lambda x, b: x + 0 * b, lambda x, b: 0 * x * b, "a x + c"),
    "power": (lambda x, b: x**-b, lambda x, b: -np.log(x) * x**-b, "a x^-b + c"),
    "exponential": (
        lambda x, b: np.exp(-b * x),
        lambda x, b: -x * np.exp(-b * x),
        "a exp(-b x) + c",
    ),
}
_GRID = 400
_GOLDEN = (np.sqrt(5) - 1) / 2


def fit(x: Array, y: xr.DataArray, model: str, dim: str, confidence: float = 0.95) -> xr.Dataset:
    """Fit one model along one dimension, for every other coordinate at once.

    Intervals are a, b, c +- t times the standard error from the Jacobian at the minimum
    (Gauss-Newton), t of m - k degrees of freedom. AIC = m ln(RSS/m) + 2 (k + 1), k parameters and
    the noise variance; AICc adds 2 (k+1)(k+2)/(m-k-2).

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
    flat = y.values.reshape(len(x), -1)
    # values that do not vary, but for rounding, have no shape to be fitted
    good = np.isfinite(flat).all(0) & (np.ptp(flat, axis=0) > 1e-9 * np.abs(flat).max(0))
    data = np.where(good, flat, 0.0)
    function, slope, _ = FIT_SHAPES[model]
    b = np.full(data.shape[1], np.nan)
    if model != "linear":
        b = _search(x, data, function, _grid(x, model))
    shapes = function(x[:, None], np.nan_to_num(b)[None, :])
    a, c, rss = _line(shapes, data)
    total = ((data - data.mean(0)) ** 2).sum(0)
    columns = [shapes, np.ones_like(shapes)]
    if model != "linear":
        columns.insert(1, a * slope(x[:, None], b[None, :]))
    value = np.stack([a, b, c])
    error = np.full_like(value, np.nan)
    rows = [0, 2] if model == "linear" else [0, 1, 2]
    error[rows] = _errors(np.stack(columns, -1).transpose(1, 0, 2), rss)
    m, k = len(x), parameters
    width = stats.t.ppf((1 + confidence) / 2, m - k) * error
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
        for name, values in {"value": value, "low": value - width, "high": value + width}.items()
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
        "models": "; ".join(f"{name}: {shape[2]}" for name, shape in FIT_SHAPES.items()),
        "interval": f"{confidence:g}, t times the standard error from the Jacobian",
        "aic": "m ln(RSS/m) + 2 (k+1), k parameters and the noise variance; aicc: + "
        "2 (k+1)(k+2)/(m-k-2)",
    }
    return together


def _grid(x: Array, model: str) -> Array:
    """Values of b to try: from straight over the whole range to gone at the second point."""
    if model == "power":
        return np.concatenate([-np.geomspace(8, 1e-3, _GRID // 2), np.geomspace(1e-3, 8, _GRID)])
    steps = np.diff(np.unique(x))
    return np.geomspace(1e-3 / steps.sum(), 20 / steps.min(), _GRID)


def _line(shapes: Array, y: Array) -> tuple[Array, Array, Array]:
    """a, c and residual sum of squares for shapes (m, M) and y (m, M)."""
    centred = shapes - shapes.mean(0)
    power = (centred**2).sum(0)
    a = (centred * (y - y.mean(0))).sum(0) / np.where(power > 0, power, 1)
    c = y.mean(0) - a * shapes.mean(0)
    return a, c, ((y - a * shapes - c) ** 2).sum(0)


def _search(x: Array, y: Array, function: Callable[[Array, Array], Array], grid: Array) -> Array:
    centred = y - y.mean(0)
    shapes = function(x[:, None], grid[None, :])
    shapes = shapes - shapes.mean(0)
    norm = np.linalg.norm(shapes, axis=0)
    explained = ((shapes / np.where(norm > 0, norm, 1)).T @ centred) ** 2
    best = explained.argmax(0)
    low = grid[np.maximum(best - 1, 0)]
    high = grid[np.minimum(best + 1, len(grid) - 1)]
    for _ in range(60):
        width = _GOLDEN * (high - low)
        inner, outer = high - width, low + width
        left = _line(function(x[:, None], inner[None, :]), y)[2]
        right = _line(function(x[:, None], outer[None, :]), y)[2]
        low, high = np.where(left < right, low, inner), np.where(left < right, outer, high)
    return (low + high) / 2


def _errors(jacobian: Array, rss: Array) -> Array:
    """Standard errors (k, M) from Jacobians (M, m, k)."""
    _, m, k = jacobian.shape
    scale = np.linalg.norm(jacobian, axis=1)
    scale = np.where(scale > 0, scale, 1)
    unit = jacobian / scale[:, None, :]
    inverse = np.linalg.pinv(np.einsum("nmi,nmj->nij", unit, unit), hermitian=True)
    variance = np.einsum("nii->ni", inverse) * (rss / (m - k))[:, None]
    return (np.sqrt(np.maximum(variance, 0)) / scale).T
