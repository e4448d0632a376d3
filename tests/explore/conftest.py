"""What several tests of the explorer compare with."""

from __future__ import annotations

import math

import pytest


def rate_and_slope(n: float, s: float, x: float) -> tuple[float, float]:
    """Rate and slope by the formula, in plain Python; fine where n x is moderate."""
    g1 = math.log(1 + math.exp(n * x)) / n
    g2 = 1 / (1 + math.exp(-n * x))
    return (1 - s) * g1 + s * g2, (1 - s) * g2 + s * n * g2 * (1 - g2)


@pytest.fixture(scope="session")
def closed_form():
    """A function: rate and slope by the formula, from n, s and x."""
    return rate_and_slope


@pytest.fixture(scope="session")
def hostile():
    """A name that would be a script on a page, or a formula in a picture."""
    return "<script>alert('no')</script>$\\frac$"
