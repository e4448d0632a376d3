"""Proposition 1: where the prediction is exact, where it must fail, and planted errors."""

import numpy as np
import pytest
import xarray as xr

from adaptrnn.paper import proposition1


def outcomes(verdicts):
    return [one.outcome for one in verdicts]


@pytest.fixture(scope="module")
def predicted():
    return proposition1.measure(draws=2, samples=4000)


def test_item(predicted, holds):
    found = holds(proposition1.ITEM, predicted)
    assert found[0].parts[-1].quantity.startswith("the same with sigma n")


def test_a_linear_unit_is_predicted_at_every_sigma(predicted):
    """s = 0, n = 10 at mean 5 is the identity: only the Monte Carlo's error, 5 sqrt(2/4000)."""
    linear = predicted.error.sel(n=10.0, s=0.0, mu=5.0, sigma=[0.01, 0.1, 0.5])
    assert float(linear.max()) < 5 * np.sqrt(2 / 4000)


def test_a_silent_unit_breaks(predicted):
    """s = 1, n = 10 at mean 5: the slope is 10 e^-50, noise of 2 reaches where it is not."""
    assert float(predicted.error.sel(n=10.0, s=1.0, mu=5.0, sigma=2.0).min()) > 1
    assert float(predicted.error.max()) <= proposition1.MOST


@pytest.mark.parametrize(("error", "expected"), [(0.01, "reproduced"), (0.3, "not")])
def test_verdict(predicted, error, expected):
    data = predicted.assign(error=xr.full_like(predicted.error, error))
    assert outcomes(proposition1.judge(data)) == [expected]
    mixed = data.assign(error=xr.where(data.sigma <= 0.1, 0.01, 0.3).broadcast_like(data.error))
    assert outcomes(proposition1.judge(mixed)) == ["partly"]


def test_trained(collected, holds):
    data = collected(proposition1.TRAINED)
    holds(proposition1.TRAINED, data)
    for value, expected in ((0.97, "reproduced"), (0.5, "not")):
        made = data.assign(share=xr.full_like(data["share"], value))
        assert outcomes(proposition1.judge_trained(made)) == [expected]
    mixed = data["share"].where(data.mu > 0, 0.2).where(data.mu == 0, 1.0)
    assert outcomes(proposition1.judge_trained(data.assign(share=mixed))) == ["partly"]
