"""Compute one f-I curve, its slopes, and where known curves lie in the (n, s) plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr

from adaptrnn._error import bad
from adaptrnn.activation import gamma, gamma_dx, gamma_sup_slope
from adaptrnn.analysis.noise import level_set

__all__ = ["EPSILON", "FIRST_POINT", "KNOWN", "MAP_RANGE", "Numbers", "curve", "level", "numbers"]

EPSILON = 0.013
"""How far below 1 the slope is on Lambda(xi); chosen by hand in the paper (Fig 5b)."""

KNOWN = {"softplus": (1.0, 0.0), "ReLU": (np.inf, 0.0), "sigmoid": (1.0, 1.0), "step": (np.inf, 1)}
"""Known activations as (n, s); infinite gains are limits (Geadah et al. 2024, Fig 1a)."""

MAP_RANGE = ((1.0, 20.0), (0.0, 1.0))
"""Gains and saturations that the paper scans (Fig S6)."""

FIRST_POINT = ((5.0, 7.0), 0.0)
"""Gains and saturation that networks start to learn from."""


@dataclass(frozen=True)
class Numbers:
    """These numbers are read off one f-I curve at one current.

    Attributes:
        rate: gamma(x; n, s).
        slope: gamma'(x; n, s).
        steepest: the largest slope over all currents.
        edge: s at which the slope at x is 1 - EPSILON for this n; NaN where no s does it.
    """

    rate: float
    slope: float
    steepest: float
    edge: float


def curve(n: float, s: float, x: np.ndarray | None = None) -> xr.Dataset:
    """Compute the f-I curve and its slope over the current.

    Args:
        n: gain, > 0.
        s: saturation.
        x: currents; 241 of them from -3 to 3 if None.

    Returns:
        rate and slope over x.

    Raises:
        InputError: n <= 0.

    Example:
        >>> float(curve(4.0, 0.5).slope.sel(x=0.0, method="nearest"))  # (1 - s)/2 + s n/4
        0.75
    """
    _positive(n)
    at = np.linspace(-3, 3, 241) if x is None else np.asarray(x, float)
    currents = torch.from_numpy(at)
    values = {"rate": gamma(currents, n, s), "slope": gamma_dx(currents, n, s)}
    return xr.Dataset({name: ("x", value.numpy()) for name, value in values.items()}, {"x": at})


def numbers(n: float, s: float, x: float) -> Numbers:
    """Compute rate, slope, largest slope and edge of the f-I curve at the current x.

    Args:
        n: gain, > 0.
        s: saturation.
        x: current.

    Returns:
        The numbers.

    Raises:
        InputError: n <= 0.

    Example:
        >>> found = numbers(1.0, 1.0, 0.0)  # the sigmoid
        >>> found.rate, found.slope, found.steepest
        (0.5, 0.25, 0.25)
    """
    _positive(n)
    one = curve(n, s, np.array([x]))
    steepest = float(gamma_sup_slope(float(n), float(s)))
    return Numbers(float(one.rate[0]), float(one.slope[0]), steepest, level(x, n))


def level(xi: float, n: float, epsilon: float = EPSILON) -> float:
    """Return the saturation on Lambda(xi) at the gain n: gamma'(xi; n, s) = 1 - epsilon.

    Args:
        xi: drive.
        n: gain, not 0.
        epsilon: how far below 1 the slope is.

    Returns:
        s; NaN where the slope does not depend on s.

    Example:
        >>> round(level(10.0, 5.0), 6)
        0.013
    """
    return float(level_set(xi, [n], epsilon).squeeze())


def _positive(n: float) -> None:
    if not n > 0:
        raise bad("n", n, "> 0")
