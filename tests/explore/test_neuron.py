"""Neurons under a drive: they follow the equations, and planted orders come back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from adaptrnn import RNN
from adaptrnn._error import InputError
from adaptrnn.analysis import isolate
from adaptrnn.explore import network, neuron


def test_drives():
    start, stop = neuron.PLAN.drive
    assert (start, stop, neuron.PLAN.steps) == (102, 202, 300)
    step = neuron.drive("step", 3.0)
    assert set(step[start:stop]) == {3.0} and step.sum() == 300.0
    wave = neuron.drive("sinusoid", 2.0, period=20.0)
    assert wave[start] == 0 and wave[start + 5] == pytest.approx(2.0)  # a quarter of a period
    assert np.allclose(wave[start : stop - 20], wave[start + 20 : stop], atol=1e-12)
    noise = neuron.drive("noise", 4.0)
    # a standard deviation of 100 numbers is known to 7%: four of these
    assert noise[start:stop].std() == pytest.approx(4.0, rel=0.28)
    assert noise[:start].std() == pytest.approx(0.1, rel=0.28)
    with pytest.raises(InputError, match="kind='stop'"):
        neuron.drive("stop", 1.0)
    with pytest.raises(InputError, match="period"):
        neuron.drive("sinusoid", 1.0, period=1.0)


def test_a_lone_neuron_follows_the_equations(closed_form):
    """Written out step by step in float64 from the weights of the network that is shipped."""
    core = network.load_network(network.SHIPPED).core.double()
    xi = neuron.drive("step", 5.0)
    seen = neuron.neuron_signals(isolate(core), xi, [7])
    control = core.controller
    bias = control.bias_ag + control.bias_gg
    h, g = torch.zeros((), dtype=torch.float64), torch.zeros(20, dtype=torch.float64)
    own = core.weight_hh_l0[7, 7]
    for t in range(150):
        a = core.bias_ih_l0[7] + core.bias_hh_l0[7] + own * h + xi[t]
        g = torch.tanh(control.weight_ag[:, 0] * a + control.weight_gg @ g + bias)
        n, s = control.weight_gc @ g + control.bias_gc
        rate, slope = closed_form(float(n), float(s), float(a))
        h = torch.tensor(rate, dtype=torch.float64)
        want = {"a": a, "n": n, "s": s, "h": rate, "slope": slope}
        for name, value in want.items():
            # float64 throughout; the loop of 150 steps does not amplify rounding much
            assert float(seen[name][t, 0]) == pytest.approx(float(value), rel=1e-8, abs=1e-8), name


def test_neurons_of_a_network():
    core = RNN(1, 4, nonlinearity="gamma", n=3.0, s=0.2)
    seen = neuron.neuron_signals(core, neuron.drive("step", 1.0), [2, 0])
    assert seen.neuron.values.tolist() == [2, 0]
    assert np.allclose(seen.n, 3.0) and np.allclose(seen.s, 0.2)
    with pytest.raises(InputError, match="neurons=4"):
        neuron.neuron_signals(core, neuron.drive("step", 1.0), [4])
    with pytest.raises(InputError, match="gain n"):
        neuron.neuron_signals(RNN(1, 4), neuron.drive("step", 1.0), [0])
    n, s = neuron.rest(core)
    assert np.allclose(n, 3.0) and np.allclose(s, 0.2)


def test_orders_of_planted_rates():
    """A copy has order 0, a delayed sinusoid that of its phase, a silent neuron none."""
    period = 25.0
    xi = neuron.drive("sinusoid", 2.0, period)
    start, stop = neuron.PLAN.drive
    late = np.zeros_like(xi)
    phase = 2 * np.pi * np.arange(stop - start) / period
    late[start:stop] = np.sin(phase - 0.3 * np.pi / 2)  # an integral of order 0.3 delays so much
    h = np.stack([xi, late, np.zeros_like(xi)], 1)
    seen = xr.Dataset({"h": (("time", "neuron"), h), "xi": ("time", xi)})
    found = neuron.order_curves(seen)
    assert np.allclose(found.order[:, 0], 0, atol=1e-3)
    # the packet begins and ends within the window, so it is not one frequency only
    assert float(found.order[1, 1]) == pytest.approx(0.3, abs=0.1)
    assert found.order[:, 2].isnull().all()
    assert float(found.error.max()) == 1.0
