"""One f-I curve: its numbers are the closed form, and known curves are where the plane says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptrnn._error import InputError
from adaptrnn.explore import curve


@settings(max_examples=100, deadline=None)
@given(n=st.floats(0.25, 50), s=st.floats(-0.25, 1.15), x=st.floats(-3, 3))
def test_numbers_are_the_closed_form(closed_form, n, s, x):
    found = curve.numbers(n, s, x)
    # |n x| <= 150: the plain formula loses |n x| roundings of 1e-16 in the exponent
    assert (found.rate, found.slope) == pytest.approx(closed_form(n, s, x), rel=1e-12, abs=1e-12)
    assert found.steepest >= found.slope - 1e-12
    # on Lambda(x) the slope is 1 - eps; s is huge, and rounding with it, where n p is near 1
    if abs(found.edge) < 100:
        assert closed_form(n, found.edge, x)[1] == pytest.approx(1 - curve.EPSILON, abs=1e-9)


def test_known_activations_are_where_the_plane_says():
    x = np.linspace(-3, 3, 61)
    away = abs(x) > 0.01
    known = {
        "softplus": np.log1p(np.exp(x)),
        "ReLU": np.maximum(x, 0),
        "sigmoid": 1 / (1 + np.exp(-x)),
        "step": (x > 0) * 1.0,
    }
    for name, (n, s) in curve.KNOWN.items():
        # n = 1e6 stands for infinity: softplus(n x)/n - relu(x) <= ln(2)/n
        rate = curve.curve(min(n, 1e6), s, x).rate.values
        assert np.allclose(rate[away], known[name][away], atol=1e-6), name
    with pytest.raises(InputError, match="n=0"):
        curve.curve(0.0, 0.5)
