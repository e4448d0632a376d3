"""Least squares of a f(x; b) + c: against scipy, and what is true of every fit."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from scipy import stats

from adaptrnn import InputError
from adaptrnn.analysis._fit import FIT_SHAPES, fit, fit_all

X = np.array([1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0])


def values(y) -> xr.DataArray:
    return xr.DataArray(np.asarray(y, float), dims=(*("row",) * (np.ndim(y) - 1), "x"))


def test_a_line_is_scipys():
    y = np.random.default_rng(0).normal(size=7) + 0.3 * X
    found, line = fit(X, values(y), "linear", "x"), stats.linregress(X, y)
    half = stats.t.ppf(0.975, 5) * line.stderr
    a = found.sel(parameter="a")
    np.testing.assert_allclose(a.value, line.slope, rtol=1e-9)
    np.testing.assert_allclose([a.low, a.high], [line.slope - half, line.slope + half], rtol=1e-9)
    np.testing.assert_allclose(found.r2, line.rvalue**2, rtol=1e-9)
    assert bool(found.value.sel(parameter="b").isnull())


@pytest.mark.parametrize("model", FIT_SHAPES)
@settings(deadline=None, max_examples=25)
@given(st.floats(-5, 5), st.floats(0.5, 4), st.integers(0, 2**16))
def test_shifted_and_scaled_values_have_the_same_shape(model, shift, scale, seed):
    """y -> scale y + shift multiplies a, moves c, and leaves b and r2 where they were."""
    y = np.random.default_rng(seed).normal(size=7) + X**-0.5
    one = fit(X, values(y), model, "x")
    other = fit(X, values(scale * y + shift), model, "x")
    # b is searched by golden section; at a minimum its rounding enters r2 squared only
    np.testing.assert_allclose(other.r2, one.r2, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(other.rss, scale**2 * one.rss, rtol=1e-6)


def test_a_model_with_the_line_in_it_is_never_worse_and_rows_are_fitted_alone():
    y = np.random.default_rng(1).normal(size=(4, 7))
    together = fit_all(X, values(y), "x")
    assert bool((together.delta_aic.sel(model="linear") == 0).all())
    for row in range(4):
        alone = fit_all(X, values(y[row]), "x")
        xr.testing.assert_allclose(together.isel(row=row), alone)


@pytest.mark.parametrize(
    ("x", "model", "message"),
    [(X[:3], "power", "at least 4"), (X - 1, "power", "> 0"), (X * 0, "linear", "different")],
)
def test_what_cannot_be_fitted_is_one_error(x, model, message):
    with pytest.raises(InputError, match=message):
        fit(x, values(np.arange(len(x))), model, "x")
