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


def least_rss(x, y, model, name, value) -> float:
    """Least RSS with one parameter fixed, by brute force over b."""
    b = np.array([value]) if name == "b" else np.linspace(-3, 3, 120_001)
    shape = FIT_SHAPES[model][0](x[:, None], b[None, :])
    if name == "a":
        rest = y[:, None] - value * shape
        return float(((rest - rest.mean(0)) ** 2).sum(0).min())
    if name == "c":
        rest = y[:, None] - value
        a = (rest * shape).sum(0) / (shape**2).sum(0)
        return float(((rest - a * shape) ** 2).sum(0).min())
    one, other = shape - shape.mean(0), (y - y.mean())[:, None]
    return float(((other - one * (one * other).sum(0) / (one**2).sum(0)) ** 2).sum(0).min())


@pytest.mark.parametrize(("model", "b"), [("power", 0.5), ("exponential", 0.2)])
def test_intervals_are_those_of_the_profile(model, b):
    """With a parameter at an end of its interval, the best others reach RSS (1 + t^2 / (m-k))."""
    noise = 0.05 * np.random.default_rng(0).normal(size=7)
    y = 3 * FIT_SHAPES[model][0](X, b) + 1 + noise
    found = fit(X, values(y), model, "x")
    limit = float(found.rss) * (1 + stats.t.ppf(0.975, 4) ** 2 / 4)
    for name in "abc":
        one = found.sel(parameter=name)
        assert one.low < one.value < one.high
        for end in (one.low, one.high):
            # the ends of a and c are the largest of 41 places, .1% of their width from the best
            assert np.isclose(least_rss(X, y, model, name, float(end)), limit, rtol=5e-3)


def test_intervals_are_open_where_b_reaches_an_edge():
    t = np.arange(40.0)
    signals = {
        "line": t,
        "nearly a line": t - 1e-4 * t**2 + 0.1 * (-1) ** t,
        "gone": np.where(t == 0, 1.0, 0.0),
        "flat": (-1.0) ** t,
        "growth": 1.05**t,
        "relaxes": np.exp(-t / 8),
    }
    found = fit(t, values(list(signals.values())), "exponential", "x")
    low, high = (dict(zip(signals, found[end].values.T, strict=True)) for end in ("low", "high"))
    for name in ("line", "nearly a line"):
        assert low[name][1] == 0 and 0 < high[name][1] < 0.1  # no bend: b may be 0
        assert low[name][0] == -np.inf and high[name][0] < 0  # a falls and c rises without bound
        assert high[name][2] == np.inf and low[name][2] > 0
    # exp(-b) is below rounding
    assert 10 < low["gone"][1] < high["gone"][1] == np.inf
    assert np.allclose([low["gone"][0], high["gone"][0]], 1)
    assert low["flat"][1] == 0 and high["flat"][1] == np.inf
    assert low["flat"][0] == -np.inf and high["flat"][0] >= 0
    assert np.isnan(low["growth"]).all() and np.isnan(high["growth"]).all()
    # rounding, 64 eps of the total, moves b by its root
    assert np.allclose(low["relaxes"], [1, 1 / 8, 0], atol=1e-6)
    assert np.allclose(high["relaxes"], [1, 1 / 8, 0], atol=1e-6)
    # a power law whose b may be 0 is a logarithm, of which a and c say nothing
    noise = 0.05 * np.random.default_rng(0).normal(size=7)
    log = fit(X, values(np.log(X) + noise), "power", "x")
    assert log.low.sel(parameter="b") < 0 < log.high.sel(parameter="b")
    assert (log.low.sel(parameter=["a", "c"]) == -np.inf).all()
    assert (log.high.sel(parameter=["a", "c"]) == np.inf).all()


@pytest.mark.long
@pytest.mark.parametrize(
    ("model", "b", "share"),
    [
        ("power", 0.5, 0.05),
        ("power", 0.1, 0.05),
        ("power", 0.1, 0.1),
        ("exponential", 0.2, 0.05),
        ("exponential", 2.0, 0.05),
        ("exponential", 0.03, 0.1),
    ],
)
def test_intervals_hold_planted_parameters(model, b, share):
    """Noise is a share of the range; +- t standard errors held b = 2 in 74%, a of .1 in 68%."""
    clean = 3 * FIT_SHAPES[model][0](X, b) + 1
    noise = np.random.default_rng(0).normal(size=(4000, 7))
    found = fit(X, values(clean + share * np.ptp(clean) * noise), model, "x")
    truth = xr.DataArray([3.0, b, 1.0], dims="parameter")
    hits = ((found.low <= truth) & (truth <= found.high)).mean("row")
    # 3 sd of 4,000 trials at .95 are .010; open intervals may hold it more often
    assert (hits > 0.935).all() and (hits < 0.985).all()


@pytest.mark.parametrize(
    ("x", "model", "message"),
    [(X[:3], "power", "at least 4"), (X - 1, "power", "> 0"), (X * 0, "linear", "different")],
)
def test_what_cannot_be_fitted_is_one_error(x, model, message):
    with pytest.raises(InputError, match=message):
        fit(x, values(np.arange(len(x))), model, "x")
