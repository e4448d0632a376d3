"""Fractional derivatives against closed forms; planted orders, nulls and coverage of intervals."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from scipy.signal import lfilter
from scipy.special import gamma as gamma_function

from adaptrnn._error import InputError
from adaptrnn.analysis.fractional import (
    _CORRELATIONS,
    METHODS,
    ORDERS,
    STEP_PROTOCOLS,
    StepProtocol,
    _minimum,
    _noise,
    fractional_derivative,
    fractional_order,
    group_means,
    memoryless_null,
    respond,
)

PLANTED = np.arange(-9, 10) / 10


def plant(order: float, protocol: str = "B", method: str = "fft") -> np.ndarray:
    """A response of the given order: D^-order of the step (sign of the paper's estimator)."""
    return fractional_derivative(STEP_PROTOCOLS[protocol].stimulus(), -order, method)


def causal(order: float, protocol: str = "B") -> np.ndarray:
    """The response of a causal neuron of this order, by recurrence and not by any operator.

    The integral of order a of a step is after k steps the product of (j + a) / j, j = 1 ... k
    (Gruenwald and Letnikov); it ends with the same, subtracted.
    """
    plan = STEP_PROTOCOLS[protocol]
    since, k = np.ones(plan.steps), np.arange(1, plan.steps)
    since[1:] = np.cumprod((k + order) / k)
    response = np.zeros(plan.steps)
    for sign, start in zip((1, -1), plan.drive, strict=True):
        response[start:] += sign * since[: plan.steps - start]
    return response


def plain_error(r: np.ndarray, u: np.ndarray, protocol: StepProtocol, alpha: float) -> float:
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


@pytest.mark.parametrize("protocol", ["A", "B"])
def test_causal_orders_are_recovered(protocol):
    """Neurons answer causally: their orders come out right without a word about the operator."""
    response = np.stack([causal(order, protocol) for order in PLANTED], 1)
    found = fractional_order(response, protocol=protocol, estimator="scale-free")
    # the parabola between orders .002 apart gives 1e-4; the periodic operator is off by up to .13
    assert np.abs(found.order - PLANTED).max() < 1e-3
    assert np.allclose(found.amplitude, 1, atol=1e-3)
    assert found.attrs["method"] == "gruenwald-letnikov"


@pytest.mark.parametrize("order", [0.2, 0.5, 0.8])
def test_order_of_a_power_of_time(order):
    """The integral of a step is t^a / Gamma(1 + a), here in the middle of steps of length 1.

    Only of positive order: a derivative is infinite where the step comes.
    """
    plan = STEP_PROTOCOLS["B"]
    response = np.zeros(plan.steps)
    for sign, start in zip((1, -1), plan.drive, strict=True):
        k = np.arange(plan.steps - start)
        response[start:] += sign * (k + (1 + order) / 2) ** order / gamma_function(1 + order)
    found = fractional_order(response, estimator="scale-free")
    # the sums differ from the power by a relative a (1 - a^2) / 24 / (k + 1/2)^2, 2% at k = 0
    assert np.isclose(found.order, order, atol=0.01)


def test_scale_free_order_does_not_know_the_scale():
    response = np.stack([causal(order) for order in PLANTED], 1)
    scales = np.geomspace(0.01, 100, len(PLANTED))
    found = fractional_order(3.0 + scales * response, estimator="scale-free")
    assert np.abs(found.order - PLANTED).max() < 1e-3
    assert np.allclose(found.amplitude / scales, 1, atol=1e-3)


def test_sign():
    """A decaying response (adapting) is negative, a growing one (sensitising) positive."""
    u = STEP_PROTOCOLS["B"].stimulus()
    since = np.clip(np.arange(300) - 102, 0, None)
    adapting = u * (0.3 + np.exp(-since / 10))
    sensitising = u * (1 - np.exp(-since / 30))
    found = fractional_order(np.stack([adapting, sensitising], 1), estimator="scale-free")
    assert found.order[0] < -0.1 and found.order[1] > 0.1
    assert "integral" in found.order.attrs["sign"] and "integral" in found.attrs["sign"]


def test_error_curve_is_the_definition():
    """Interpolation between Chebyshev points changes nothing but rounding."""
    rng = np.random.default_rng(1)
    for name, protocol in STEP_PROTOCOLS.items():
        response = rng.standard_normal((protocol.steps, 3)).cumsum(0)
        u = protocol.stimulus(0.7)
        found = fractional_order(response, u, protocol=name)
        for column in range(3):
            want = [plain_error(response[:, column], u, protocol, a) for a in ORDERS[::100]]
            # relative to the largest error, of which the interpolant is a sum
            assert np.allclose(found.error[::100, column], want, atol=1e-10 * np.max(want))
    coarse = fractional_order(response, u, protocol="B", orders=ORDERS[::100])
    assert np.allclose(coarse.error, found.error[::100], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("low", "high"), [(-0.3, 1.4), (-2.0, 2.0)])
def test_error_curve_of_other_orders_is_the_definition(low, high):
    protocol, u = STEP_PROTOCOLS["A"], STEP_PROTOCOLS["A"].stimulus()
    response = np.random.default_rng(1).standard_normal(150).cumsum()
    orders = np.linspace(low, high, 201)
    found = fractional_order(response, u, protocol="A", orders=orders)
    want = [plain_error(response, u, protocol, a) for a in orders[::20]]
    assert np.allclose(found.error[::20], want, atol=1e-10 * np.max(want))


def test_causal_error_curve_is_the_definition():
    protocol, u = STEP_PROTOCOLS["A"], STEP_PROTOCOLS["A"].stimulus()
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
    # the parabola between orders .002 apart is not quite symmetric
    assert np.allclose(free.order, 0, atol=1e-5)


def test_null_order_is_that_of_a_memoryless_unit_of_the_same_amplitude():
    c = np.array([0.25, 0.5, 1, 2, 4])
    found = fractional_order(STEP_PROTOCOLS["B"].stimulus()[:, None] * c)
    assert np.allclose(found.null_order, found.order)
    assert np.allclose(found.amplitude[2], 1, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
@pytest.mark.parametrize("estimator", ["paper", "scale-free"])
@pytest.mark.parametrize("protocol", ["A", "B"])
def test_interval_covers_the_planted_order(protocol, estimator, correlation):
    """The 95% interval holds what the estimator finds without the noise, white or AR(1).

    For the scale-free estimator that is the planted order; the paper's knows no amplitude.
    """
    generator = np.random.default_rng(2)
    orders = np.array([-0.6, -0.3, 0.0, 0.3, 0.6])
    clean = np.repeat(np.stack([causal(order, protocol) for order in orders], 1), 60, 1)
    options = {"protocol": protocol, "estimator": estimator, "orders": np.linspace(-1.6, 1.6, 321)}
    truth = np.repeat(orders, 60)
    if estimator == "paper":
        truth = fractional_order(clean, **options).order.values
    noise = generator.standard_normal((len(clean) + 50, clean.shape[1]))
    noise = lfilter([1], [1, -correlation], noise, axis=0)[50:] * (1 - correlation**2) ** 0.5
    response = clean + 0.1 * clean.std(0) * noise
    found = fractional_order(response, bootstrap=299, **options)
    hits = ((found.order_low <= truth) & (truth <= found.order_high)).mean()
    # 3 sd of 300 trials at .95 are .038
    assert 0.912 <= hits <= 0.988


def test_interval_covers_under_correlated_noise():
    """A short form of the slow test, for the case in which blocks of residuals held .73 to .91."""
    clean = np.repeat(causal(0.3, "A")[:, None], 200, 1)
    noise = np.random.default_rng(5).standard_normal((200, 200))
    noise = 0.6 * lfilter([1], [1, -0.8], noise, axis=0)[50:]
    found = fractional_order(
        clean + 0.1 * clean.std() * noise,
        protocol="A",
        estimator="scale-free",
        orders=np.linspace(-1, 1.6, 131),
        bootstrap=199,
    )
    # 3 sd of 200 trials at .95 are .046
    assert 0.9 <= ((found.order_low <= 0.3) & (found.order_high >= 0.3)).mean() <= 0.996


@pytest.mark.parametrize("estimator", ["paper", "scale-free"])
def test_a_silent_neuron_has_no_order(estimator):
    """Neither at 0 nor at any other rate, nor with the rounding of float32."""
    rng = np.random.default_rng(0)
    silent = np.full((150, 3), [0.0, 0.7, 0.7]) + np.array([0, 0, 6e-8]) * rng.normal(size=(150, 3))
    both = np.concatenate([silent, causal(0.3, "A")[:, None]], 1)
    found = fractional_order(both, protocol="A", estimator=estimator, bootstrap=20)
    for name in ("order", "null_order", "order_low", "order_high", "error"):
        assert found[name].isel(neuron=slice(3)).isnull().all()
        assert found[name].isel(neuron=3).notnull().all()
    assert not found.at_edge[:3].any()
    means = group_means(found.order)
    assert int(means["count"]) == 1 and float(means["mean"]) == float(found.order[3])
    none = group_means(found.order[:3])
    assert int(none["count"]) == 0 and np.isnan(none.share_positive) and np.isnan(none["mean"])


def test_least_error_of_parabolas_is_their_vertex():
    """On an uneven grid too; at an end of the grid it is that end, and without errors NaN."""
    grid = np.array([-1.0, -0.7, -0.2, 0.1, 0.15, 0.6, 1.0])
    tops = np.array([-0.95, -0.45, 0.0, 0.11, 0.4, 0.79, -3.0, 2.0])
    error = 2 + np.array([0.1, 1, 3, 1, 1, 5, 1, 1]) * (grid[:, None] - tops) ** 2
    order, at_edge = _minimum(grid, np.c_[error, np.full(7, np.nan)])
    # the first is nearest to the first value of the grid
    np.testing.assert_allclose(order, [-1, *tops[1:6], -1, 1, np.nan], atol=1e-12)
    np.testing.assert_array_equal(at_edge, [1, 0, 0, 0, 0, 0, 1, 1, 0])


def test_share_is_of_neurons_with_an_order():
    means = group_means(xr.DataArray([0.1, 0.2, -0.3, np.nan], dims="neuron"))
    assert np.isclose(means.share_positive, 2 / 3) and int(means["count"]) == 3


def test_interval_shrinks_with_the_noise_and_is_reproducible():
    clean, noise = causal(0.3, "A"), np.random.default_rng(0).standard_normal(150)
    both = np.stack([clean + 0.01 * noise, clean + 0.1 * noise], 1)
    found = fractional_order(both, protocol="A", bootstrap=100)
    width = found.order_high - found.order_low
    # ten times the noise: ten times the width, to first order
    assert 5 < width[1] / width[0] < 20
    assert (found.order_low < found.order).all() and (found.order < found.order_high).all()
    again = fractional_order(both, protocol="A", bootstrap=100)
    assert found.identical(again)


def test_width_of_the_interval_follows_the_confidence():
    """Estimates are nearly normal: half of them lie within .674 / 1.960 of what .95 takes."""
    rng = np.random.default_rng(3)
    response = causal(0.3, "A")[:, None] + 0.05 * rng.standard_normal((150, 30))
    options = {"protocol": "A", "estimator": "scale-free", "orders": np.linspace(-0.5, 1, 301)}
    width = {}
    for confidence in (0.5, 0.95):
        found = fractional_order(response, bootstrap=400, confidence=confidence, **options)
        width[confidence] = float((found.order_high - found.order_low).mean())
    # of 400 resamples the quantiles of one neuron are right within 7%, of 30 within 1.3%; the
    # posterior of the variance makes the tails a little longer
    assert np.isclose(width[0.5] / width[0.95], 0.674 / 1.960, rtol=0.1)
    with pytest.raises(InputError, match="confidence"):
        fractional_order(response, bootstrap=20, confidence=1.0, **options)


@pytest.mark.parametrize("row", [3, 25, 40])
def test_drawn_noise_is_stationary(row):
    """AR(1) noise has one variance, that of the innovations over 1 - rho^2, at every time."""
    rho, squares, steps = _CORRELATIONS[row], 2.0, 40
    probability = np.zeros((len(_CORRELATIONS), 1))
    probability[row] = 1
    shape = (steps, 40_000, 1)
    drawn = _noise(probability, np.full_like(probability, squares), shape, np.random.default_rng(0))
    # the variance of the innovations is squares over chi squared of steps - 3, in the mean over
    # steps - 5; its estimate from 40,000 is right within 1%
    want = squares / (steps - 5) / (1 - rho**2)
    np.testing.assert_allclose((drawn**2).mean((1, 2)), want, rtol=0.05)
    lagged = (drawn[1:] * drawn[:-1]).mean((1, 2))
    np.testing.assert_allclose(lagged, rho * want, atol=0.05 * want)


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
    ramp, three = plant(0.0, "A"), [-0.5, 0.0, 0.5]
    assert float(fractional_order(ramp, protocol="A", orders=three, bootstrap=0).order) < 0.5
    for orders in ([0.0, 0.5], three[::-1], [three]):
        with pytest.raises(InputError, match="increasing, at least 3"):
            fractional_order(ramp, protocol="A", orders=orders)
    with pytest.raises(InputError, match="stimulus"):
        fractional_order(np.zeros(150), np.zeros(150), protocol="A")
    with pytest.raises(InputError, match="orders"):
        fractional_order(np.zeros(150), protocol="A", orders=[0.0, 1.0])
    with pytest.raises(InputError, match="reference"):
        StepProtocol("late", 100, (10, 50), (0, 100), reference=10)
    with pytest.raises(InputError, match="window"):
        StepProtocol("long", 100, (30, 50), (0, 101))
    with pytest.raises(InputError, match="noise"):
        StepProtocol("loud", 100, (30, 50), (0, 100), noise=-0.1)
    with pytest.raises(InputError, match="drive"):
        StepProtocol("none", 100, (50, 50), (0, 100))
    with pytest.raises(InputError, match="dt"):
        fractional_derivative(np.ones(5), 0.5, dt=0.0)
    with pytest.raises(InputError, match="at least one time"):
        fractional_derivative(np.ones(0), 0.5)
    with pytest.raises(InputError, match="dim"):
        group_means(xr.DataArray([0.1], dims="xi"))
    with pytest.raises(InputError, match="method"):
        fractional_order(ramp, protocol="A", method="caputo")
    with pytest.raises(InputError, match="estimator"):
        fractional_order(ramp, protocol="A", estimator="free")
    with pytest.raises(InputError, match="trials"):
        respond(torch.nn.GRUCell(1, 2), trials=0)
    with pytest.raises(InputError, match="drive"):
        respond(lambda x, state: state, state=torch.zeros(1, 2))
