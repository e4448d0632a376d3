"""Proposition 1, the level sets and the residuals, against exact cases."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings

from adaptrnn._error import InputError
from adaptrnn.activation import gamma_dx
from adaptrnn.analysis.noise import level_residual, level_set, noise_variance
from adaptrnn.init import haar_


def second_order(mu, sigma):
    """Relative error of the prediction for softplus, with p = gamma' and q = 1 - p."""
    p = 1 / (1 + np.exp(-np.asarray(mu)))
    q = 1 - p
    return sigma**2 * (q**2 / 2 + q * (1 - 2 * p))


def test_small_noise_obeys_the_proposition():
    """E28: within 5% for sigma <= 0.3 at n = 1 for all but nearly silent neurons."""
    mu = torch.linspace(-0.5, 6, 9)
    found = noise_variance(1.0, 0.0, [0.03, 0.1, 0.3], mu=mu, weight=haar_(torch.empty(9, 9)))
    # second order: 3.1% at mu = -0.5, sigma = 0.3; Monte Carlo: sqrt(2 / 100,000) = 0.45%
    assert float(abs(found.relative_error).max()) < 0.05
    assert found.breaks_at.isnull().all() and found.bounded.all()
    tiny = found.sel(sigma=0.03)
    np.testing.assert_allclose(tiny.variance, tiny.predicted, rtol=0.018)  # four standard errors


def test_where_it_breaks():
    mu = np.array([-2.0, -1.5, 0.0])
    found = noise_variance(1.0, 0.0, [0.1, 0.2, 0.3], mu=torch.tensor(mu), samples=400_000)
    # 9.5% at mu = -2, sigma = 0.3; fourth order is about a tenth of that; Monte Carlo 4 x 0.22%
    want = second_order(mu, 0.3)
    np.testing.assert_allclose(found.relative_error.sel(sigma=0.3), want, atol=0.018)
    np.testing.assert_array_equal(found.breaks_at, [0.3, 0.3, np.nan])


def test_a_sharp_curve_breaks_it():
    """A Heaviside, n = 1e3, s = 1, at mu = 0: the variance is 1/4 whatever sigma."""
    found = noise_variance(1e3, 1.0, [0.01, 0.3], samples=50_000)
    np.testing.assert_allclose(found.variance[1], 0.25, atol=5e-3)  # 4 / sqrt(4 * 50,000) = 0.009
    assert found.breaks_at.item() == 0.01 and not found.bounded.any()


def test_relu_variance_is_exact():
    """Half-rectified Gaussian noise has variance sigma^2 (1/2 - 1/(2 pi)); the slope says 1/4."""
    found = noise_variance(1e4, 0.0, [0.5], samples=400_000)
    want = 0.25 * (0.5 - 1 / (2 * np.pi))
    # sqrt(2.6 / samples) = 0.3% standard error, four of them
    assert found.variance.item() == pytest.approx(want, rel=0.012)
    assert found.standard_error.item() == pytest.approx(want * 0.0024, rel=0.5)


def test_growth_along_any_direction():
    """Prop. 1: one slope above 1/sigma is enough for some direction to grow."""
    n, s = torch.tensor([5.0, 5.0, 5.0]), torch.tensor([0.1, 0.1, -0.5])
    found = noise_variance(n, s, [0.9, 1.1], mu=20.0, weight=haar_(torch.empty(3, 3)))
    # far from 0 the curve is a line of slope 1-s, so the prediction is exact
    want = np.outer(np.square([0.9, 1.1]), [0.81, 0.81, 2.25])
    np.testing.assert_allclose(found.variance, want, rtol=0.018)  # 4 sqrt(2 / 100,000)
    assert not found.bounded.any()
    np.testing.assert_allclose(found.largest, want.max(1), rtol=0.02)


@settings(max_examples=100, deadline=None)
@given(n=st.floats(0.2, 40), xi=st.floats(-3, 30), epsilon=st.floats(-0.2, 0.5), sign=st.booleans())
def test_level_set_solves_its_equation(n, xi, epsilon, sign):
    n = n if sign else -n
    s = float(level_set(xi, [n], epsilon)[0, 0])
    assume(np.isfinite(s) and abs(s) < 1e6)
    slope = gamma_dx(torch.tensor(xi, dtype=torch.float64), n, s)
    # s multiplies terms of size up to |s| (1 + |n|), whose roundings remain
    assert float(slope) == pytest.approx(1 - epsilon, abs=1e-14 * (1 + abs(s)) * (1 + abs(n)))


def test_level_set_far_from_zero_is_epsilon():
    found = level_set([3.0, 30.0], [5.0, 10.0], 0.013)
    np.testing.assert_allclose(found, 0.013, atol=5e-5)  # n exp(-15) = 1.5e-6, times 1 / S
    assert found.dims == ("xi", "n") and found.attrs["epsilon"] == 0.013


def test_residuals_recover_epsilon():
    rng = np.random.default_rng(0)
    xi = [0.5, 5.0, 10.0, 30.0]
    n = rng.uniform(2, 9, (4, 50))
    s = np.stack([level_set(v, row, 0.02)[0] for v, row in zip(xi, n, strict=True)])
    found = level_residual(n, s, xi)
    assert found.attrs["epsilon"] == pytest.approx(0.02, abs=1e-12)
    np.testing.assert_allclose(found.residual, 0, atol=1e-12)
    np.testing.assert_allclose(found.s_distance, 0, atol=1e-10)
    assert found.fitted.values.tolist() == [False, False, True, False]
    # shifted by 0.01 in s: by 0.01 in slope where xi is large, whatever n
    shifted = level_residual(n, s + 0.01, xi, epsilon=0.02)
    np.testing.assert_allclose(shifted.residual[1:], 0.01, rtol=0.01)
    np.testing.assert_allclose(shifted.s_distance, 0.01, rtol=1e-6)


def test_errors():
    with pytest.raises(InputError, match="epsilon=nan"):
        level_set(1.0, [2.0], epsilon=np.nan)
    with pytest.raises(InputError, match="orthogonal"):
        noise_variance(1.0, 0.0, [0.1], weight=2 * torch.eye(3))
    with pytest.raises(InputError, match="orthogonal"):  # its square is the identity
        noise_variance(1.0, 0.0, [0.1], weight=torch.tensor([[1.0, 1.0], [0.0, -1.0]]))
    with pytest.raises(InputError, match="samples, sigma"):
        noise_variance(1.0, 0.0, [0.1], samples=1)
    with pytest.raises(InputError, match="samples, sigma"):
        noise_variance(1.0, 0.0, [0.1, -0.1])
    with pytest.raises(InputError, match="mu, n, s"):
        noise_variance(torch.ones(2, 2), 0.0, [0.1])
    with pytest.raises(InputError, match="fit_at"):
        level_residual(np.ones((1, 2)), np.zeros((1, 2)), [1.0])
    with pytest.raises(InputError, match="one row per xi"):
        level_residual(np.ones((3, 2)), np.zeros((3, 2)), [1.0])
