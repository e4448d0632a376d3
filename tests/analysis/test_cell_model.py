"""Simulated neurons against closed forms, and what is counted of planted spikes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from adaptrnn._error import InputError, MissingExtraError
from adaptrnn.analysis.cell_model import (
    CELL_MODELS,
    neurons_in_plane,
    simulate_fi,
    simulate_step,
)
from adaptrnn.analysis.fi_curve import fit_fi
from adaptrnn.analysis.fractional import fractional_order
from adaptrnn.analysis.response import describe_step


def test_errors():
    with pytest.raises(InputError, match="neuron"):
        simulate_fi("lift")
    for currents in ([1.0, 0.0], [0.0, 2.0, 1.0], [0.0, 0.0, 1.0], [], [[0.0, 1.0]]):
        with pytest.raises(InputError, match="currents"):
            simulate_fi("lif", currents)
    with pytest.raises(InputError, match="duration"):
        simulate_fi("lif", [0.0, 1.0], duration=0.0)
    for bin_ms in (0.5, 0.0, 1.5):
        with pytest.raises(InputError, match="bin_ms"):
            simulate_step("lif", 0.1, 0.1, bin_ms=bin_ms)
    wrong = [{"bins": (1, 0, 1)}, {"bins": (-1, 1, 1)}, {"bins": (1, 1, -1)}]
    for options in [*wrong, {"trials": 0}, {"warm_up": -1}, {"noise": -0.1}]:
        with pytest.raises(InputError, match="step >= 1"):
            simulate_step("lif", 0.1, 0.1, **options)


def test_rates_of_planted_spikes(monkeypatch):
    """One first interval, then another: the first gives onset_rate, the late ones the rate."""
    trains = [np.array([]), np.array([0.3]), np.r_[0.1, 0.15, np.arange(0.2, 2.0, 0.25)]]
    monkeypatch.setattr(f"{simulate_fi.__module__}._spikes", lambda *_: trains)
    found = simulate_fi("lif", [0.0, 0.1, 0.2], duration=2.0)
    np.testing.assert_allclose(found.rate, [0, 0, 4])
    np.testing.assert_allclose(found.onset_rate, [0, 0, 20])
    np.testing.assert_array_equal(found.spikes, [0, 1, 10])


def test_step_of_planted_spikes(monkeypatch):
    """The current that a neuron is given, and the mean rate and its error from two trials."""
    given = []
    lone = {"bins": (0, 1, 0), "bin_ms": 1.0, "trials": 1, "warm_up": 0}

    def spikes(model, current, duration_ms):
        given.append((current, duration_ms))
        return [np.array([0.005, 0.024, 0.041]), np.array([0.025, 0.041, 0.042])]

    monkeypatch.setattr(f"{simulate_fi.__module__}._spikes", spikes)
    options = {"bins": (1, 2, 1), "bin_ms": 10.0, "trials": 2, "warm_up": 2}
    found = simulate_step("lif", 0.5, 0.25, **options)
    ((current, duration),) = given
    assert duration == 60.0
    np.testing.assert_array_equal(
        current, np.repeat([0.5, 0.5, 0.5, 0.75, 0.75, 0.5], 10)[:, None] + [[0, 0]]
    )
    # the two warm-up bins are dropped; in each bin of 10 ms one spike is 100 / s
    np.testing.assert_allclose(found.rate, [100, 0, 150, 0])
    np.testing.assert_allclose(found.rate_se, [0, 0, 50, 0])
    np.testing.assert_array_equal(found.stimulus, [0, 1, 1, 0])
    assert simulate_step("lif", 0.5, 0.25, **lone).rate.shape == (1,)
    noisy = simulate_step("lif", 0.5, 0.25, noise=0.1, **{**options, "bins": (1000, 1, 1)})
    noise = given[2][0][:10000] - 0.5
    assert noisy.sizes["time"] == 1002
    # 20,000 normal numbers: their sd is known to 1/200, and two independent trials to 1/100
    assert abs(noise.std() - 0.1) < 0.1 * 4 / 200
    assert abs(np.corrcoef(noise.T)[0, 1]) < 4 / 100


def test_error_of_the_rate_is_that_of_a_mean(monkeypatch):
    """Three trials with 0, 1 and 5 spikes in the one bin of 10 ms, in 1/s."""
    trains = [np.array([]), np.array([0.001]), np.linspace(0.001, 0.008, 5)]
    options = {"bins": (0, 1, 0), "bin_ms": 10.0, "warm_up": 0}
    monkeypatch.setattr(f"{simulate_fi.__module__}._spikes", lambda *_: trains)
    found = simulate_step("lif", 0.1, 0.1, trials=3, **options)
    assert np.isclose(found.rate[0], 200)
    assert np.isclose(found.rate_se[0], stats.sem([0, 100, 500]))
    del trains[:2]
    alone = simulate_step("lif", 0.1, 0.1, trials=1, **options)
    assert float(alone.rate[0]) == 500 and float(alone.rate_se[0]) == 0  # one says nothing of it


def leaky_trains(model, current, duration_ms):
    """Spikes of the leaky neuron under constant currents in closed form, for noise none at all."""
    trains = []
    for column in current.T:
        times, t = [], 0.0
        while True:
            level = 100 * column[min(int(t * 1e3), len(column) - 1)]
            t += 0.002 + 0.02 * np.log(level / (level - 20)) if level > 20 else 0.001
            if t >= duration_ms / 1e3:
                break
            if level > 20:
                times.append(t)
        trains.append(np.array(times))
    return trains


def test_a_simulated_neuron_is_in_the_plane_where_its_own_curve_and_step_are(monkeypatch):
    monkeypatch.setattr(f"{simulate_fi.__module__}._spikes", leaky_trains)
    found = neurons_in_plane(["lif"], trials=2, bootstrap=20, seed=3).sel(neuron="lif")
    # it begins at .2 nA with an infinite slope; its currents are .025 apart, and two are bent over
    assert abs(float(found.threshold) - 0.2) < 0.05 and float(found.r2) > 0.98
    for name in ("n", "s", "threshold", "output_scale", "order"):
        assert found[f"{name}_low"] <= found[name] <= found[f"{name}_high"], name
    seen = simulate_step("lif", *CELL_MODELS["lif"].step[:2], noise=0.3, trials=2, seed=3)
    order = fractional_order(seen.rate, seen.stimulus, protocol="B", estimator="scale-free").order
    assert float(found.order) == float(order)
    assert float(found.adaptation) == float(describe_step(seen.rate, (102, 202)).adaptation)
    assert found.reference.item() == CELL_MODELS["lif"].reference


# --- simulated neurons: with Brian2 only --------------------------------------------------------


@pytest.fixture(scope="module")
def brian():
    try:
        simulate_fi("lif", [0.0, 0.1], duration=0.01)
    except MissingExtraError as error:
        pytest.skip(str(error))


def test_leaky_integrate_and_fire(brian):
    """f = 1 / (t_ref + tau ln(RI / (RI - V))), V = 20 mV above rest, R = 100 Mohm, tau = 20 ms."""
    i = np.array([0.1, 0.19, 0.22, 0.3, 0.5, 1.0])
    found = simulate_fi("lif", i, duration=0.5)
    drive = 100 * i[2:]  # mV
    want = 1 / (0.002 + 0.02 * np.log(drive / (drive - 20)))
    assert found.rate.values[:2].tolist() == [0, 0]
    # spikes and the end of the refractory time fall on steps of .05 ms: two steps an interval
    assert np.allclose(1 / found.rate[2:], 1 / want, atol=1e-4)
    assert found.rate.attrs["units"] == "1/s" and found.current.attrs["units"] == "nA"


def test_exponential_integrate_and_fire(brian):
    """The interval is the integral of dv / (dv/dt) from reset to the cut-off."""
    i = np.array([0.8, 1.5, 2.5])
    found = simulate_fi("adex-without-adaptation", i, duration=0.4)

    def slowness(v, level):  # ms per mV; currents in pA, conductance in nS
        return 281 / (30 * (2 * np.exp((v + 50.4) / 2) - v - 70.6) + level * 1e3)

    want = [quad(slowness, -70.6, -30, args=(level,))[0] * 1e-3 for level in i]
    # Euler's error in steps of .01 ms is below 1% of the interval, and a step at the end
    assert np.allclose(1 / found.rate, want, rtol=0.01, atol=2e-5)


def test_adaptation_slows_the_neuron_down(brian):
    with_it = simulate_fi("adex", [1.5, 2.5], duration=0.5)
    without = simulate_fi("adex-without-adaptation", [1.5, 2.5], duration=0.5)
    assert (with_it.rate < 0.7 * with_it.onset_rate).all()
    assert np.allclose(without.rate, without.onset_rate, rtol=0.01)


@pytest.mark.slow
def test_types_of_excitability(brian):
    """Type I starts at any low rate, type II (Hodgkin and Huxley) with a jump to some 50 per s."""
    curves = {name: simulate_fi(name) for name in ("wang-buzsaki", "hodgkin-huxley")}
    lowest = {name: float(c.rate.where(c.rate > 0).min()) for name, c in curves.items()}
    assert lowest["wang-buzsaki"] < 15 and 45 < lowest["hodgkin-huxley"] < 65
    # the jump of the classic squid axon is between 6 and 7 uA/cm2
    hodgkin = curves["hodgkin-huxley"]
    assert float(hodgkin.rate.sel(current=6.0)) == 0 < float(hodgkin.rate.sel(current=7.0))
    fits = {name: fit_fi(c.current.values, c.rate.values) for name, c in curves.items()}
    assert all(fit.r2 > 0.99 for fit in fits.values())
    # the jump is a larger share of the top rate
    assert fits["hodgkin-huxley"].s_low > fits["wang-buzsaki"].s_high


@pytest.mark.slow
def test_step_responses_of_simulated_neurons(brian):
    """The same analyses as for networks: with adaptation the order and the index show it."""
    kwargs = {"noise": 3.0, "trials": 100}
    found = {
        name: simulate_step(name, 0.7, 0.7, **kwargs)
        for name in ("adex", "adex-without-adaptation")
    }
    order = {
        name: fractional_order(one.rate, one.stimulus, protocol="B", estimator="scale-free")
        for name, one in found.items()
    }
    assert float(order["adex"].order) < -0.02
    assert float(order["adex"].order) < float(order["adex-without-adaptation"].order)
    index = {
        name: float(describe_step(one.rate, (102, 202)).adaptation) for name, one in found.items()
    }
    assert index["adex"] > index["adex-without-adaptation"]


def test_step_is_labelled_and_reproducible(brian):
    kwargs = {"noise": 0.2, "bins": (5, 10, 5), "trials": 4, "warm_up": 2, "seed": 3}
    one, two = (simulate_step("lif", 0.25, 0.3, **kwargs) for _ in range(2))
    assert one.identical(two)
    assert (
        one.rate.sizes["time"] == 20
        and one.stimulus.values.tolist() == [0] * 5 + [1] * 10 + [0] * 5
    )
    assert one.rate[5:15].mean() > one.rate[:5].mean()
    assert set(CELL_MODELS) >= {"lif", "adex", "wang-buzsaki", "hodgkin-huxley"}
