"""Closed forms of slopes, against automatic differentiation and at values where digits are lost."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch.func import grad, vmap

from adaptrnn.analysis._closed import CLOSED_CURVES, gamma_curve, tanh_slope

CURRENTS = st.lists(
    st.floats(-30, 30).filter(bool), min_size=1, max_size=8
)  # at 0 a rectifier has no slope


@pytest.mark.parametrize("name", CLOSED_CURVES)
@given(CURRENTS)
def test_slopes_are_the_derivatives_of_the_values(name, currents):
    a = torch.tensor(currents, dtype=torch.float64)
    curve = CLOSED_CURVES[name]
    found = vmap(grad(lambda x: curve(x)[0]))(a)
    # torch computes 1 - tanh^2, which loses digits near 1; its softplus is x above 20, e^-20 off
    torch.testing.assert_close(curve(a)[1], found, rtol=1e-9, atol=3e-9)


@given(CURRENTS, st.floats(0.1, 10), st.floats(-1, 1))
def test_the_slope_of_gamma_is_the_derivative_of_its_value(currents, n, s):
    a = torch.tensor(currents, dtype=torch.float64)
    curve = gamma_curve(torch.tensor(n, dtype=torch.float64), torch.tensor(s, dtype=torch.float64))
    found = vmap(grad(lambda x: curve(x)[0]))(a)
    torch.testing.assert_close(curve(a)[1], found, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("a", [0.0, 1.0, 19.0, 50.0, 300.0])
def test_the_slope_of_tanh_keeps_its_digits_where_the_unit_is_saturated(a):
    """4 e^-2a is 1 / cosh^2 to the last digit there, where 1 - tanh^2 is 0."""
    wanted = math.cosh(a) ** -2
    for sign in (1, -1):
        found = float(tanh_slope(torch.tensor(sign * a, dtype=torch.float64)))
        assert math.isclose(found, wanted, rel_tol=1e-13)
