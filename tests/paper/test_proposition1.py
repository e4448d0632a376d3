"""Proposition 1: where the prediction is exact, where it must fail, and planted errors."""

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from adaptrnn.activation import gamma_dx
from adaptrnn.paper import proposition1


def outcomes(verdicts):
    return [one.outcome for one in verdicts]


@pytest.fixture(scope="module")
def predicted():
    return proposition1.measure(draws=2, samples=4000)


@pytest.mark.long
def test_item(predicted, holds):
    found = holds(proposition1.ITEM, predicted)
    # what the algebra says: exact to first order, and no slope beyond 1/sigma on this grid
    assert found[0].outcome == "reproduced"
    assert float(abs(predicted.falls - 2).max()) < 0.01


def test_a_linear_unit_is_predicted_at_every_sigma(predicted):
    """s = 0, n = 10 at mean 5 is the identity: only the Monte Carlo's error, 5 sqrt(2/4000)."""
    linear = predicted.error.sel(n=10.0, s=0.0, mu=5.0, sigma=[0.01, 0.1, 0.5])
    assert float(linear.max()) < 5 * np.sqrt(2 / 4000)


def test_a_silent_unit_breaks(predicted):
    """s = 1, n = 10 at mean 5: the slope is 10 e^-50, noise of 2 reaches where it is not."""
    assert float(predicted.error.sel(n=10.0, s=1.0, mu=5.0, sigma=2.0).min()) > 1
    assert float(predicted.error.max()) <= proposition1.LARGEST_ERROR


@pytest.mark.parametrize(
    ("falls", "error", "expected"),
    [
        (2.2, 0.01, "reproduced"),
        (2.2, 1e6, "partly"),  # the variance may grow where decay is predicted
        (1.0, 0.01, "partly"),
        (np.nan, 0.01, "no data"),  # a table of an earlier version
    ],
)
def test_verdict(predicted, falls, error, expected):
    data = predicted.assign(
        error=xr.full_like(predicted.error, error), falls=xr.full_like(predicted.falls, falls)
    )
    assert outcomes(proposition1.judge(data)) == [expected]


def test_slopes_on_both_sides_fail():
    one = proposition1.measure(draws=1, samples=200)
    spread = xr.where(one.s > 0.1, 1.0, 4.0).broadcast_like(one.falls)
    wrong = one.assign(error=xr.full_like(one.error, 1e6), falls=spread)
    assert outcomes(proposition1.judge(wrong)) == ["not"]


@given(st.floats(0.5, 20.0), st.floats(-0.1, 1.0), st.floats(-1.0, 1.0))
def test_the_error_of_every_curve_falls_as_sigma_squared(n, s, mu):
    """Wherever the term of Taylor's expansion that comes next is not about 0."""
    x = torch.tensor(mu, dtype=torch.float64, requires_grad=True)
    first = gamma_dx(x, torch.tensor(n).double(), torch.tensor(s).double())
    (second,) = torch.autograd.grad(first, x, create_graph=True)
    (third,) = torch.autograd.grad(second, x)
    one, two, three = (float(v.detach()) for v in (first, second, third))
    slope = float(proposition1.falling(np.array(n), np.array(s), np.array(mu)))
    term = two**2 / (2 * one**2) + three / one if one else 0.0
    # the two terms can cancel: then the next power rules, and nothing is asked
    if abs(one) > 0.01 and abs(term) > 0.05 * n**2:
        assert slope == pytest.approx(2, abs=0.1)


@pytest.mark.long
def test_trained(collected, holds):
    data = collected(proposition1.TRAINED_NOISE)
    holds(proposition1.TRAINED_NOISE, data)
    for value, expected in ((0.97, "yes"), (0.5, "no")):
        made = data.assign(share=xr.full_like(data["share"], value))
        (found,) = proposition1.judge_trained_noise(made)
        assert found.outcome == "not judged"
        assert {part.holds for part in found.shown} == {expected}
