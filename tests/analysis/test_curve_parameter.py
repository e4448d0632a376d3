"""Heterogeneity of planted clouds and of networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import stats

from adaptrnn import ARUN, RNN
from adaptrnn._error import InputError
from adaptrnn.analysis.curve_parameter import activation_parameters, heterogeneity
from adaptrnn.analysis.system import as_system


def cloud(n, s, dims=("neuron",)):
    return xr.Dataset({"n": (dims, n), "s": (dims, s)})


def test_planted_cloud():
    rng = np.random.default_rng(0)
    covariance = np.array([[0.04, 0.003], [0.003, 0.0009]])
    n, s = rng.multivariate_normal([5, 0.1], covariance, 200_000).T
    found = heterogeneity(cloud(n, s))
    # standard errors of 200,000 samples are .2% of the variances; 4 of them
    assert np.isclose(found.n_sd, 0.2, rtol=0.01) and np.isclose(found.s_sd, 0.03, rtol=0.01)
    assert np.isclose(found.correlation, 0.5, atol=0.01)
    assert np.isclose(found.det_covariance, np.linalg.det(covariance), rtol=0.02)
    assert np.isclose(found.covariance, 0.003, rtol=0.02)


@pytest.mark.parametrize("neurons", [5, 10, 20, 100])
def test_interval_of_the_spread_covers(neurons):
    """The 95% interval of a standard deviation holds the one that normal gains were drawn with."""
    n = np.random.default_rng(neurons).normal(5, 0.2, (1500, neurons))
    found = heterogeneity(cloud(n, n, ("seed", "neuron")))
    hits = float(((found.n_sd_low <= 0.2) & (found.n_sd_high >= 0.2)).mean())
    # 3.5 sd of 1,500 trials at .95 are .02
    assert 0.93 <= hits <= 0.97
    assert ((found.n_sd_low < found.n_sd) & (found.n_sd < found.n_sd_high)).mean() > 0.99


@pytest.mark.parametrize("neurons", [3, 4, 9])
def test_interval_of_the_spread_is_the_jackknife_of_the_log_variance(neurons):
    """Miller 1968 by the slow way: the variance without each neuron in turn."""
    n = np.random.default_rng(neurons).normal(5, 0.2, neurons)
    found = heterogeneity(cloud(n, n), confidence=0.9)
    without = [np.log(np.var(np.delete(n, i), ddof=1)) for i in range(neurons)]
    pseudo = neurons * np.log(np.var(n, ddof=1)) - (neurons - 1) * np.array(without)
    want = stats.t.interval(0.9, neurons - 1, pseudo.mean(), stats.sem(pseudo))
    np.testing.assert_allclose([found.n_sd_low, found.n_sd_high], np.exp(np.array(want) / 2))


def test_spread_of_neurons_of_which_all_but_one_are_alike():
    """Without that one nothing varies, so that a jackknife says nothing."""
    found = heterogeneity(cloud([1.0, 1.0, 1.0, 2.0], [0.1, 0.2, 0.3, 0.5]))
    assert float(found.n_sd) == 0.5 and np.isnan(found.n_sd_low) and np.isnan(found.n_sd_high)
    assert found.s_sd_low < found.s_sd < found.s_sd_high


def test_covariance_by_hand():
    found = heterogeneity(cloud([1.0, 2.0, 6.0], [0.0, 0.3, 0.3]))
    # deviations -2, -1, 3 and -.2, .1, .1: products .4 - .1 + .3, squares 14 and .06
    assert np.isclose(found.covariance, 0.6 / 2)
    assert np.isclose(found.correlation, 0.6 / np.sqrt(14 * 0.06))
    assert np.isclose(found.det_covariance, (14 * 0.06 - 0.6**2) / 4)
    assert float(found.n_mean) == 3 and float(found.n_range) == 5


def test_homogeneous_network_has_no_spread():
    found = heterogeneity(RNN(1, 6, nonlinearity="gamma", n=5.0))
    assert float(found.n_sd) == 0 and float(found.det_covariance) == 0
    assert np.isnan(found.correlation) and np.isnan(found.n_sd_low)
    shared = heterogeneity(RNN(1, 6, nonlinearity="gamma-shared"))
    assert float(shared.n_sd) == 0 and shared.sizes["neuron"] == 6


def test_change_from_the_start():
    rnn = RNN(1, 3, nonlinearity="gamma", n=5.0)
    start = activation_parameters(rnn)
    with torch.no_grad():
        rnn.n_l0 += torch.tensor([0.5, -1.0, 0.0])
    found = heterogeneity(rnn, start)
    assert np.isclose(found.n_change, 0.5) and float(found.s_change) == 0


def test_networks_are_seeds():
    nets = [RNN(1, 4, nonlinearity="gamma") for _ in range(3)]
    found = heterogeneity(nets)
    assert found.n.dims == ("seed", "neuron") and found.n_sd.dims == ("seed",)
    for seed, net in enumerate(nets):
        assert np.isclose(found.n_sd[seed], net.n_l0.detach().std(), rtol=1e-5)


def test_adaptive_network():
    torch.manual_seed(0)
    core = ARUN(1, 4, controller_size=3)
    x = torch.randn(7, 2, 1)
    found = activation_parameters(core, x, drive=1.0)
    trace = core.trace(x, drive=1.0)
    assert np.allclose(found.n, trace.n.mean((0, 1)), rtol=1e-5)
    assert np.allclose(found.s_within, trace.s.std((0, 1), correction=0), atol=1e-6)
    assert (found.n_within > 0).all()
    assert "n_within" in heterogeneity(found)


@pytest.mark.parametrize("batch_first", [False, True])
def test_only_the_steps_of_each_sample_count(batch_first):
    torch.manual_seed(0)
    core = ARUN(1, 4, controller_size=3, batch_first=batch_first)
    x, lengths = torch.randn(7, 2, 1), torch.tensor([7, 3])
    x[3:, 1] = 100.0
    given = x.transpose(0, 1) if batch_first else x
    found = activation_parameters(core, given, lengths=lengths)
    trace = core.trace(given)
    n = trace.n.transpose(0, 1) if batch_first else trace.n
    expected = torch.cat([n[:, 0], n[:3, 1]]).mean(0)
    # float32 sums in another order
    assert np.allclose(found.n, expected, rtol=1e-5)


def test_errors():
    step = as_system(lambda x, state: state, torch.zeros(1, 2))
    with pytest.raises(InputError, match="network='System': must be an RNN with"):
        activation_parameters(step)
    with pytest.raises(InputError, match="'gamma'"):
        activation_parameters(RNN(1, 2))
    with pytest.raises(InputError, match="x=None"):
        activation_parameters(ARUN(1, 2, controller_size=2))
    with pytest.raises(InputError, match="neuron"):
        heterogeneity(cloud([1.0], [1.0], ("seed",)))
    with pytest.raises(InputError, match="at least 2"):
        heterogeneity(cloud([1.0], [1.0]))
    with pytest.raises(InputError, match="Dataset"):
        heterogeneity(3)
