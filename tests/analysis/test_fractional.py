"""Fractional derivatives against closed forms; planted orders, nulls and coverage of intervals."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from scipy.special import gamma as gamma_function

from adaptrnn._error import InputError
from adaptrnn.analysis.fractional import (
    METHODS,
    ORDERS,
    PROTOCOLS,
    Protocol,
    fractional_derivative,
    fractional_order,
    group_means,
    memoryless_null,
    respond,
)

PLANTED = np.arange(-9, 10) / 10


def plant(order: float, protocol: str = "B", method: str = "fft") -> np.ndarray:
    """A response of the given order: D^-order of the step (sign of the paper's estimator)."""
    return fractional_derivative(PROTOCOLS[protocol].stimulus(), -order, method)


def plain_error(r: np.ndarray, u: np.ndarray, protocol: Protocol, alpha: float) -> float:
    """The definition, read aloud: full complex transform, one order, one neuron."""
    f = np.fft.fftfreq(len(r), d=1)
    transfer = np.zeros(len(r), dtype=complex)
    transfer[f != 0] = (2j * np.pi * f[f != 0]) ** alpha
    d = np.fft.ifft(transfer * np.fft.fft(r)).real
    return np.mean((d - d[protocol.reference] - u)[slice(*protocol.window)] ** 2)


@settings(max_examples=50, deadline=None)
@given(alpha=st.floats(-2, 2), k=st.integers(1, 20), steps=st.sampled_from([64, 65]))
def test_periodic_derivative_of_a_sinusoid(alpha, k, steps):
    """D^a sin(wt) = w^a sin(wt + a pi/2), the standard result for periodic functions."""
    t, w = np.arange(steps), 2 * np.pi * k / steps
    got = fractional_derivative(np.sin(w * t), alpha)
    # rounding of the transform (64 eps) amplified by at most (pi / w)^|alpha| < 1e3
    assert np.allclose(got, w**alpha * np.sin(w * t + alpha * np.pi / 2), atol=1e-10)


@settings(max_examples=30, deadline=None)
@given(a=st.floats(-1, 1), b=st.floats(-1, 1), method=st.sampled_from(METHODS))
def test_orders_add_up(a, b, method):
    """D^a D^b = D^(a+b): exact for periodic signals without mean, and for causal ones."""
    signal = np.random.default_rng(0).standard_normal((63, 2))  # odd: no Nyquist frequency
    signal -= signal.mean(0)
    twice = fractional_derivative(fractional_derivative(signal, a, method), b, method)
    assert np.allclose(twice, fractional_derivative(signal, a + b, method), atol=1e-10)


def test_whole_orders_are_differences_and_sums():
    signal = np.random.default_rng(0).standard_normal((40, 3))
    method = "gruenwald-letnikov"
    assert np.allclose(fractional_derivative(signal, 0, method), signal)
    assert np.allclose(fractional_derivative(signal, 1, method)[1:], np.diff(signal, axis=0))
    assert np.allclose(fractional_derivative(signal, -1, method), np.cumsum(signal, axis=0))
    assert np.allclose(fractional_derivative(signal, 0), signal - signal.mean(0))


@pytest.mark.parametrize("alpha", [-0.8, -0.3, 0.3, 0.8])
def test_causal_derivative_of_a_power(alpha):
    """D^a t^2 = Gamma(3) / Gamma(3 - a) t^(2 - a) (Riemann-Liouville); error of first order."""
    dt = 1e-3
    t = np.arange(2000) * dt
    got = fractional_derivative(t**2, alpha, "gruenwald-letnikov", dt)
    want = 2 / gamma_function(3 - alpha) * t ** (2 - alpha)
    # the first-order scheme is off by |alpha|/2 dt D^(1+alpha) t^2, at most 2 dt here
    assert np.abs(got - want).max() < 2 * dt


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("estimator", ["paper", "scale-free"])
@pytest.mark.parametrize("protocol", ["A", "B"])
def test_planted_orders_are_recovered(protocol, estimator, method):
    response = np.stack([plant(order, protocol, method) for order in PLANTED], 1)
    found = fractional_order(response, protocol=protocol, estimator=estimator, method=method)
    # the specification asks for 0.01; the parabola between orders .002 apart gives 1e-4
    assert np.abs(found.order - PLANTED).max() < 1e-3
    assert not found.at_edge.any()
    assert np.allclose(found.amplitude, 1, atol=1e-3)


def test_scale_free_order_does_not_know_the_scale():
    response = np.stack([plant(order) for order in PLANTED], 1)
    scales = np.geomspace(0.01, 100, len(PLANTED))
    found = fractional_order(3.0 + scales * response, estimator="scale-free")
    assert np.abs(found.order - PLANTED).max() < 1e-3
    assert np.allclose(found.amplitude / scales, 1, atol=1e-3)


def test_sign():
    """A decaying response (adapting) is negative, a growing one (sensitising) positive."""
    u = PROTOCOLS["B"].stimulus()
    since = np.clip(np.arange(300) - 102, 0, None)
    adapting = u * (0.3 + np.exp(-since / 10))
    sensitising = u * (1 - np.exp(-since / 30))
    found = fractional_order(np.stack([adapting, sensitising], 1), estimator="scale-free")
    assert found.order[0] < -0.1 and found.order[1] > 0.1
    assert "integral" in found.order.attrs["sign"] and "integral" in found.attrs["sign"]


def test_error_curve_is_the_definition():
    """Interpolation between Chebyshev points changes nothing but rounding."""
    rng = np.random.default_rng(1)
    for name, protocol in PROTOCOLS.items():
        response = rng.standard_normal((protocol.steps, 3)).cumsum(0)
        u = protocol.stimulus(0.7)
        found = fractional_order(response, u, protocol=name)
        for column in range(3):
            want = [plain_error(response[:, column], u, protocol, a) for a in ORDERS[::100]]
            # relative to the largest error, of which the interpolant is a sum
            assert np.allclose(found.error[::100, column], want, atol=1e-10 * np.max(want))
    coarse = fractional_order(response, u, protocol="B", orders=ORDERS[::100])
    assert np.allclose(coarse.error, found.error[::100], rtol=1e-9, atol=1e-9)


def test_causal_error_curve_is_the_definition():
    protocol, u = PROTOCOLS["A"], PROTOCOLS["A"].stimulus()
    response = np.random.default_rng(1).standard_normal((150, 2)).cumsum(0)
    found = fractional_order(response, protocol="A", method="gruenwald-letnikov")
    shifted = response - response[25]
    for a in (0, 250, 700, 1000):
        d = fractional_derivative(shifted, ORDERS[a], "gruenwald-letnikov")
        want = ((d - d[25] - u[:, None])[40:110] ** 2).mean(0)
        assert np.allclose(found.error[a], want, rtol=1e-9)
    assert protocol.reference == 25


def test_memoryless_null_of_the_paper():
    """Known values of the estimator for r = c step: -.31, -.15, 0, +.165, +.335."""
    null = memoryless_null([0.25, 0.5, 1, 2, 4])
    # protocol B; the values are known to about .01 (they depend on the window by that much)
    assert np.allclose(null.order, [-0.31, -0.15, 0, 0.165, 0.335], atol=0.01)
    assert np.allclose(memoryless_null(protocol="A").order[[0, 2, 4]], [-0.36, 0, 0.375], atol=0.01)
    free = memoryless_null([0.25, 0.5, 1, 2, 4], estimator="scale-free")
    assert np.allclose(free.order, 0, atol=1e-6)


def test_null_order_is_that_of_a_memoryless_unit_of_the_same_amplitude():
    c = np.array([0.25, 0.5, 1, 2, 4])
    found = fractional_order(PROTOCOLS["B"].stimulus()[:, None] * c)
    assert np.allclose(found.null_order, found.order)
    assert np.allclose(found.amplitude[2], 1, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["paper", "scale-free"])
@pytest.mark.parametrize("protocol", ["A", "B"])
def test_interval_covers_the_planted_order(protocol, estimator):
    """The 95% block-bootstrap interval holds the truth in 90 to 99% of 200 noisy trials."""
    generator = np.random.default_rng(2)
    hits = 0
    for trial in range(200):
        order = PLANTED[trial % len(PLANTED)]
        clean = plant(order, protocol)
        found = fractional_order(
            clean + 0.1 * clean.std() * generator.standard_normal(len(clean)),
            protocol=protocol,
            estimator=estimator,
            bootstrap=999,
            seed=trial,
            orders=np.linspace(-1.5, 1.5, 601),
        )
        hits += bool(found.order_low <= order <= found.order_high)
    assert 180 <= hits <= 198


def test_interval_shrinks_with_the_noise_and_is_reproducible():
    clean, noise = plant(0.3, "A"), np.random.default_rng(0).standard_normal(150)
    both = np.stack([clean + 0.01 * noise, clean + 0.1 * noise], 1)
    found = fractional_order(both, protocol="A", bootstrap=100)
    width = found.order_high - found.order_low
    # ten times the noise: ten times the width, to first order
    assert 5 < width[1] / width[0] < 20
    assert (found.order_low < found.order).all() and (found.order < found.order_high).all()
    again = fractional_order(both, protocol="A", bootstrap=100)
    assert found.identical(again)


def test_labels_follow():
    response = xr.DataArray(
        np.random.default_rng(0).standard_normal((2, 150, 3)),
        dims=("xi", "time", "neuron"),
        coords={"xi": [1.0, 5.0]},
    )
    found = fractional_order(response, protocol="A")
    assert found.order.dims == ("xi", "neuron") and found.error.dims == ("alpha", "xi", "neuron")
    one = fractional_order(response.sel(xi=5.0), protocol="A")
    assert np.allclose(found.order.sel(xi=5.0), one.order)
    mean = group_means(found.order)
    assert mean.mean_positive.dims == ("xi",)


def test_any_network_responds():
    torch.manual_seed(0)
    cells = (torch.nn.RNNCell(1, 4), torch.nn.GRUCell(2, 4), torch.nn.LSTMCell(1, 4))
    for cell in cells:
        seen = respond(cell, [0.5, 1.0], trials=2)
        assert seen.h.dims == ("time", "xi", "neuron") and "n" not in seen
        assert np.isfinite(fractional_order(seen.h, protocol="A").order).all()

    def leaky(x, state, drive):
        return 0.5 * state + drive

    seen = respond(leaky, [2.0], noise=0.0, state=torch.zeros(1, 3))
    # h_t = 2 sum of .5^k from the first driven step on
    assert np.allclose(seen.h[53, 0], 2 * (1 + 0.5 + 0.25))
    # a leaky integrator is an integral
    assert (fractional_order(seen.h, protocol="A", estimator="scale-free").order > 0).all()


def test_noise_is_per_neuron_and_averages_out():
    def memoryless(x, state, drive):
        return drive

    one = respond(memoryless, noise=1.0, state=torch.zeros(1, 200))
    many = respond(memoryless, noise=1.0, trials=100, state=torch.zeros(1, 200))
    # 150 x 200 samples: the standard deviation is within 1/sqrt(2 * 30,000) = .4%, 3 sd
    assert np.isclose((one.h - one.stimulus).std(), 1.0, rtol=0.013)
    assert np.isclose((many.h - many.stimulus).std(), 0.1, rtol=0.013)


def test_errors():
    with pytest.raises(InputError, match="protocol='C'"):
        fractional_order(np.zeros(150), protocol="C")
    with pytest.raises(InputError, match="response"):
        fractional_order(np.zeros(151), protocol="A")
    with pytest.raises(InputError, match="NaN"):
        fractional_order(np.full(150, np.nan), protocol="A")
    with pytest.raises(InputError, match="stimulus"):
        fractional_order(np.zeros(150), np.zeros(150), protocol="A")
    with pytest.raises(InputError, match="orders"):
        fractional_order(np.zeros(150), protocol="A", orders=[0.0, 1.0])
    with pytest.raises(InputError, match="reference"):
        Protocol("late", 100, (10, 50), (0, 100), reference=10)
    with pytest.raises(InputError, match="window"):
        Protocol("long", 100, (30, 50), (0, 101))
    with pytest.raises(InputError, match="trials"):
        respond(torch.nn.GRUCell(1, 2), trials=0)
    with pytest.raises(InputError, match="drive"):
        respond(lambda x, state: state, state=torch.zeros(1, 2))
