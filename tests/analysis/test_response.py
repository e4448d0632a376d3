"""Step responses of signals and networks whose response is known in closed form."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings

from adaptrnn import ARUN, GRU, LSTM, RNN
from adaptrnn._error import InputError
from adaptrnn.analysis.fractional import respond
from adaptrnn.analysis.response import describe_step, step_response


@settings(max_examples=50, deadline=None)
@given(tau=st.floats(1, 40), a=st.floats(-5, 5).filter(lambda a: abs(a) > 1e-2), c=st.floats(-5, 5))
def test_planted_exponential(tau, a, c):
    t = np.arange(260)
    r = np.where((t >= 50) & (t < 250), c + a * np.exp(-(t - 50) / tau), 1.0)
    found = describe_step(r, (50, 250))
    # b is found by golden section to about sqrt(eps) = 1e-8 of the grid's spacing
    assert np.isclose(found.tau, tau, rtol=1e-5)
    assert np.isclose(found.amplitude, a, rtol=1e-5)
    assert np.isclose(found.asymptote, c, atol=1e-4)
    assert found.r2 > 1 - 1e-9
    assert np.isclose(found.jump, c + a - 1, atol=1e-12)


def test_time_constant_interval_covers():
    """The 95% interval holds the true time constant in about 95% of noisy responses."""
    t, rng = np.arange(150), np.random.default_rng(0)
    clean = np.where(t < 50, 0.0, 1 + 2 * np.exp(-(t - 50) / 12.0))
    noisy = clean[:, None] + 0.2 * rng.standard_normal((150, 600))
    found = describe_step(noisy, (50, 150))
    hits = ((found.tau_low <= 12) & (found.tau_high >= 12)).mean()
    assert 0.92 < hits < 0.98  # 3 sd of 600 trials at .95 are .027


@pytest.mark.long
@pytest.mark.parametrize("tau", [0.3, 1.0, 5.0, 100.0, 400.0])
@pytest.mark.parametrize("sd", [0.1, 0.5])
def test_time_constants_near_the_edge_of_what_is_seen_are_covered(tau, sd):
    """+- t standard errors of the rate held them in 54 to 93% of noisy responses of 80 samples."""
    clean = np.r_[np.zeros(20), np.exp(-np.arange(80) / tau)]
    noise = np.random.default_rng(0).standard_normal((100, 2000))
    noise[:20] = 0
    found = describe_step(clean[:, None] + sd * noise, (20, 100))
    hits = ((found.tau_low <= tau) & (found.tau_high >= tau)).mean()
    # 3 sd of 2,000 trials at .95 are .015; open intervals may hold it more often
    assert 0.925 < hits < 0.99


def test_time_constants_beyond_what_is_seen_have_open_intervals():
    """An integrator does not relax, an unstable unit grows, and a signal may be back at once."""
    ends = []
    for weight in (1.0, 1.01):
        network = RNN(1, 1, nonlinearity="relu", bias=False)
        with torch.no_grad():
            network.weight_hh_l0.fill_(weight)
            network.weight_ih_l0.fill_(1.0)
        found = step_response(network, [1.0], durations=(20, 60, 20))
        ends.append((float(found.h_tau_low.squeeze()), float(found.h_tau_high.squeeze())))
    (low, high), growth = ends
    assert low > 1000 and high == np.inf
    assert np.isnan(growth).all()
    found = describe_step(np.r_[np.zeros(20), 2.0, np.ones(59)], (20, 80))
    assert float(found.tau_low) == 0 and 0 < float(found.tau_high) < 0.1


def test_adaptation_index():
    def index(onset: float, steady: float) -> float:
        r = np.array([1.0] * 10 + [onset] + [steady] * 19)
        return float(describe_step(r, (10, 30)).adaptation)

    assert index(3.0, 1.0) == 1  # back at the baseline
    assert index(3.0, 3.0) == 0
    assert index(1.0, 3.0) == -1  # no response at first
    assert index(5.0, 2.0) == (4 - 1) / (4 + 1)
    assert index(-1.0, 0.0) == (2 - 1) / (2 + 1)  # the sign of the response does not matter
    assert np.isnan(index(1.0, 1.0))
    assert np.isnan(index(1.0 + 1e-7, 1.0 - 1e-7))  # the rounding of a float32 network
    assert index(1.0 + 1e-5, 1.0) == 1


def test_the_windows_are_those_of_the_definition():
    """Baseline: a tenth of the times before; onset: the first time; steady: the last tenth."""
    r = np.r_[np.arange(30.0), 100 + np.arange(50.0) ** 2, np.full(20, -5.0)]
    found = describe_step(r, (30, 80))
    assert float(found.baseline) == np.mean([27, 28, 29]) and found.attrs["baseline_samples"] == 3
    assert float(found.onset) == 100
    assert float(found.steady) == 100 + np.mean(np.arange(45.0, 50.0) ** 2)
    assert float(describe_step(r, (30, 80), baseline=10).baseline) == np.mean(np.arange(20, 30))
    late = describe_step(r, (30, 80), delay=20)
    assert float(late.onset) == 100 + 20**2
    assert float(late.steady) == 100 + np.mean(np.arange(47.0, 50.0) ** 2)
    # before 10 samples there is one to average
    assert float(describe_step(r[25:], (5, 55)).baseline) == 29
    assert float(describe_step(r[25:], (5, 15)).steady) == 100 + 9**2


def test_flat_response_has_no_time_constant():
    found = describe_step(np.ones(100), (20, 80))
    assert np.isnan(found.tau) and np.isnan(found.r2) and float(found.jump) == 0


def test_leaky_integrator():
    """h_t = k h_{t-1} + (1-k) xi: rises to xi with tau = -1/ln k, for every xi and neuron."""
    k = torch.tensor([0.5, 0.9, 0.95], dtype=torch.float64)

    def step(x, state, drive):
        return k * state + (1 - k) * drive

    state = torch.zeros(1, 3, dtype=torch.float64)
    found = step_response(step, [1.0, 4.0], state=state)
    assert found.h.dims == ("time", "xi", "neuron") and "n" not in found and "s" not in found
    assert np.allclose(found.h_tau, -1 / np.log(k.numpy()), rtol=1e-5)
    assert np.allclose(found.h_jump, (1 - k.numpy()) * found.xi.values[:, None], rtol=1e-6)
    # the last tenth of 200 steps, still 1 - .95^190 of the way: 6e-5
    assert np.allclose(found.h_steady, found.xi.values[:, None], rtol=1e-4)
    assert (found.h_adaptation < 0).all()
    mean = describe_step(found.h.mean("neuron"), (200, 400))
    assert np.allclose(found.h_mean_tau, mean.tau)


def test_static_network_keeps_its_gain_and_adaptive_one_moves_it():
    torch.manual_seed(0)
    static = step_response(RNN(1, 5, nonlinearity="gamma"), [1.0], durations=(30, 30, 0))
    assert np.isnan(static.n_tau).all() and np.allclose(static.n_jump, 0)
    core = ARUN(1, 5, controller_size=4)
    adaptive = step_response(core, [1.0, 5.0], durations=(30, 30, 10))
    assert (np.abs(adaptive.n_jump) > 0).any() and "s" in adaptive
    # the same numbers as the network's own trace
    drive = torch.zeros(70, 2, 1)
    drive[30:60] = torch.tensor([[1.0], [5.0]])
    trace = core.trace(torch.zeros(70, 2, 1), drive=drive)
    assert np.allclose(adaptive.n, trace.n, atol=1e-6) and np.allclose(
        adaptive.h, trace.h, atol=1e-6
    )


def test_batch_first_and_layers_and_input():
    torch.manual_seed(0)
    first = RNN(2, 4, num_layers=2, nonlinearity="gamma", batch_first=True)
    second = RNN(2, 4, num_layers=2, nonlinearity="gamma")
    second.load_state_dict(first.state_dict())
    kwargs = {"amplitudes": [1.0, 2.0], "durations": (10, 10, 5), "into": "input"}
    one, two = step_response(first, **kwargs), step_response(second, **kwargs)
    assert np.allclose(one.h, two.h, atol=1e-6)
    want, _ = second(torch.cat([torch.zeros(10, 1, 2), torch.ones(10, 1, 2), torch.zeros(5, 1, 2)]))
    assert np.allclose(two.h.sel(xi=1.0), want[:, 0].detach(), atol=1e-6)


@pytest.mark.parametrize("core", [GRU(2, 4), LSTM(2, 4, batch_first=True)])
def test_our_gated_cells(core):
    """Their drive enters every gate, in a probe as in a test of robustness."""
    found = step_response(core, [1.0], durations=(10, 10, 0))
    drive = torch.zeros(20, 1, 1)
    drive[10:] = 1.0
    x = torch.zeros(20, 1, 2)
    if core.batch_first:
        x, drive = x.transpose(0, 1), drive.transpose(0, 1)
    want = core(x, drive=drive)[0].detach().reshape(20, 4)
    assert np.allclose(found.h[:, 0], want, atol=1e-6)


def test_noise_is_averaged_over_trials():
    def step(x, state, drive):
        return drive

    found = step_response(
        step, [1.0], durations=(50, 50, 0), noise=1.0, trials=400, state=torch.zeros(1, 20)
    )
    # 100 x 20 samples of standard deviation 1/20
    assert np.isclose(found.h.sel(time=slice(0, 49)).std(), 0.05, rtol=0.1)


def two_channels():
    """Three neurons that add the input's two channels, the first only, and none."""
    network = RNN(2, 3, nonlinearity="tanh", bias=False)
    with torch.no_grad():
        network.weight_hh_l0.zero_()
        network.weight_ih_l0.copy_(1e-3 * torch.tensor([[1.0, -1.0], [1.0, 0.0], [0.0, 0.0]]))
    return network


@pytest.mark.parametrize("probe", [step_response, respond])
def test_every_channel_of_the_input_has_noise_of_its_own(probe):
    """The difference of two channels has twice the variance of one; shared noise would cancel."""
    found = probe(two_channels(), [0.0], noise=1.0, into="input")
    # 150 samples or more: the standard deviation is within 1/sqrt(2 * 150) = 6%, 3 sd
    wanted = 1e-3 * np.array([np.sqrt(2), 1.0, 0.0])
    assert np.allclose(found.h.std("time").squeeze(), wanted, rtol=0.17)
    same = probe(two_channels(), [0.0], noise=1.0, into="input", input_size=2)
    assert np.array_equal(found.h, same.h)


def test_labels_follow():
    r = xr.DataArray(np.random.default_rng(0).random((2, 60, 3)), dims=("seed", "time", "neuron"))
    found = describe_step(r, (20, 60))
    assert found.tau.dims == ("seed", "neuron") and found.steady.dims == ("seed", "neuron")


def test_errors():
    with pytest.raises(InputError, match="step"):
        describe_step(np.zeros(50), (0, 30))
    with pytest.raises(InputError, match="at least 10"):
        describe_step(np.zeros(50), (10, 15))
    with pytest.raises(InputError, match="baseline"):
        describe_step(np.zeros(50), (10, 30), baseline=11)
    with pytest.raises(InputError, match="durations"):
        step_response(torch.nn.GRUCell(1, 2), durations=(0, 20, 0))
    for step in ((10, 10), (20, 51), (-1, 30)):
        with pytest.raises(InputError, match="step"):
            describe_step(np.zeros(50), step)
    with pytest.raises(InputError, match="delay"):
        describe_step(np.zeros(50), (10, 40), delay=-1)
    for durations in ((20, 9, 0), (20, 20, -1)):
        with pytest.raises(InputError, match="durations"):
            step_response(torch.nn.GRUCell(1, 2), durations=durations)
    with pytest.raises(InputError, match="trials"):
        step_response(torch.nn.GRUCell(1, 2), trials=0)


def test_delay_moves_the_onset():
    t = np.arange(120)
    r = np.where((t >= 20) & (t < 110), 1 + 3 * np.exp(-(t - 25) / 9.0), 0.0)
    r[20:25] = 0.5  # latency
    found = describe_step(r, (20, 110), delay=5)
    assert np.isclose(found.onset, 4) and np.isclose(found.tau, 9, rtol=1e-5)
    with pytest.raises(InputError, match="delay"):
        describe_step(r, (20, 110), delay=81)


def test_the_candidate_gate_of_a_gru_is_no_gain():
    """adaptrnn.GRU traces a gate called n; only a signal that comes with s is a gain."""
    from adaptrnn import GRU

    found = step_response(GRU(1, 3), [1.0], durations=(10, 10, 10))
    assert "h" in found and not {"n", "s"} & set(found)
