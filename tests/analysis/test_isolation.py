"""Isolated neurons: nothing passes between them, and each stays what it was."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from adaptrnn import ARUN, RNN
from adaptrnn._error import InputError
from adaptrnn.analysis.isolation import isolate
from adaptrnn.analysis.system import as_system

T, B, D, N = 12, 3, 2, 4


def networks():
    return [
        RNN(D, N, nonlinearity="gamma", dtype=torch.float64),
        RNN(D, N, nonlinearity="relu", bias=False, dtype=torch.float64),
        ARUN(D, N, controller_size=3, dtype=torch.float64),
        nn.RNNCell(D, N, dtype=torch.float64),
        nn.GRUCell(D, N, dtype=torch.float64),
        nn.LSTMCell(D, N, dtype=torch.float64),
        nn.GRU(D, N, dtype=torch.float64),
        nn.LSTM(D, N, bias=False, dtype=torch.float64),
    ]


each = pytest.mark.parametrize("network", networks(), ids=lambda network: type(network).__name__)


def activity(network, x, drive=None):
    flat = as_system(network)
    return flat.activity(flat.run(x, flat.start(x.shape[1]), drive))


@each
def test_nothing_passes_between_neurons(network):
    alone = isolate(network)
    x = torch.randn(T, B, N * D, dtype=torch.float64)
    before = activity(alone, x)
    for neuron in range(N):
        touched = x.clone()
        touched[..., neuron * D : (neuron + 1) * D] += 1.0
        moved = (activity(alone, touched) != before).any(0).any(0)
        assert moved.tolist() == [i == neuron for i in range(N)]


@each
def test_each_neuron_stays_what_it_was(network):
    """The neuron in the whole network with all others' rates held at 0 (the generic route)."""
    by_weights, by_copies = activity_of_both(network)
    assert torch.allclose(by_weights, by_copies, atol=1e-12)  # rounding


def activity_of_both(network):
    x = torch.randn(T, B, N * D, dtype=torch.float64)
    drive = torch.randn(T, B, N, dtype=torch.float64)
    generic = isolate(as_system(network))
    states = generic.run(x, generic.start(B), drive)
    return activity(isolate(network), x, drive), generic.activity(states)


def test_one_neuron_by_hand():
    """h_i = tanh(w_i . x_i + w_ii h_i + b_i) for a tanh network."""
    cell = nn.RNNCell(D, N, dtype=torch.float64)
    x = torch.randn(T, 1, N * D, dtype=torch.float64)
    h = torch.zeros(N, dtype=torch.float64)
    for x_t in x[:, 0]:
        own = (cell.weight_ih * x_t.view(N, D)).sum(1)
        h = torch.tanh(own + cell.bias_ih + cell.bias_hh + cell.weight_hh.diagonal() * h)
    assert torch.allclose(activity(isolate(cell), x)[-1, 0], h, atol=1e-12)


def test_a_step_function_of_the_user():
    weight = torch.randn(N, N, dtype=torch.float64)

    def step(x, state, drive):
        h, slow = state
        h = torch.tanh(h @ weight.T + drive - slow)
        return h, 0.9 * slow + 0.1 * h

    example = (torch.zeros(1, N, dtype=torch.float64),) * 2
    alone = isolate(step, example)
    drive = torch.randn(T, B, N, dtype=torch.float64)
    h = slow = torch.zeros(B, N, dtype=torch.float64)
    for drive_t in drive:
        h = torch.tanh(h * weight.diagonal() + drive_t - slow)
        slow = 0.9 * slow + 0.1 * h
    got = alone.activity(alone.run(z=alone.start(B), drive=drive, steps=T))[-1]
    assert torch.allclose(got, h, atol=1e-12)


def test_the_network_is_untouched():
    network = ARUN(D, N, controller_size=3)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    alone = isolate(network)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    # the whole network is already isolated if it has one neuron
    one = nn.GRUCell(1, 1)
    assert torch.equal(isolate(one).weight_ih, one.weight_ih)
    assert torch.equal(alone.controller.weight_gg, network.controller.weight_gg)


def test_errors():
    with pytest.raises(InputError, match="one layer"):
        isolate(nn.GRU(1, 2, num_layers=2))
    with pytest.raises(InputError, match="one layer"):
        isolate(RNN(1, 2, bidirectional=True))
    with pytest.raises(InputError, match="state"):
        isolate(lambda x, state: state)
