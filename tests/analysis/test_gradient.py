"""Gradients accumulated from t_0, against one backward pass for each t_0."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from adaptrnn._error import InputError
from adaptrnn.analysis.gradient import gradient_norm
from adaptrnn.arun import ARUN, ARUNState
from adaptrnn.gated import GRU
from adaptrnn.rnn import RNN

STEPS = 7
NETWORKS = {
    "RNN": lambda: RNN(2, 4, nonlinearity="gamma"),
    "RNN-relu": lambda: RNN(2, 4, nonlinearity="relu"),
    "RNN-batch-first": lambda: RNN(2, 4, batch_first=True),
    "RNN-layers": lambda: RNN(2, 4, 2),
    "RNN-layers-batch-first": lambda: RNN(2, 4, 2, batch_first=True),
    "ARUN": lambda: ARUN(2, 4, controller_size=3),
    "torch-GRU": lambda: nn.GRU(2, 4),
    "torch-GRU-batch-first": lambda: nn.GRU(2, 4, batch_first=True),
    "RNNCell": lambda: nn.RNNCell(2, 4),
    "GRUCell": lambda: nn.GRUCell(2, 4),
    "LSTMCell": lambda: nn.LSTMCell(2, 4),
}


def readout(rates):
    return torch.sin(rates[-1]).sum() + (rates[3] ** 2).sum()


def one_by_one(network, x, start):
    """The gradient with the weight cut off before step `start` (from 0)."""
    name = "weight_hh_l0" if hasattr(network, "weight_hh_l0") else "weight_hh"
    weight = getattr(network, name)
    state, rates = None, []
    for t, x_t in enumerate(x):
        given = {name: weight if t >= start else weight.detach()}
        if hasattr(network, "weight_hh_l0"):
            axis = 1 if network.batch_first else 0
            out, state = functional_call(network, given, (x_t.unsqueeze(axis), state))
            rates.append(out.squeeze(axis))
        else:
            state = functional_call(network, given, (x_t, state))
            rates.append(state[0] if isinstance(state, tuple) else state)
    (grad,) = torch.autograd.grad(readout(torch.stack(rates)), weight, allow_unused=True)
    return 0.0 if grad is None else float(grad.norm())


@pytest.mark.parametrize("name", NETWORKS)
def test_every_start_against_its_own_backward_pass(name):
    network = NETWORKS[name]().double()
    x = torch.randn(STEPS, 3, 2, dtype=torch.float64)
    found = gradient_norm(network, x, readout)
    want = [one_by_one(network, x, start) for start in range(STEPS)]
    np.testing.assert_allclose(found.norm, want, rtol=1e-10, atol=1e-14)
    assert all(parameter.grad is None for parameter in network.parameters())
    np.testing.assert_array_equal(found.length, np.arange(STEPS, 0, -1))


def test_linear_scalar_network():
    """h_t = w h_{t-1} + x_t, L = h_T: step t adds w^{T-t} h_{t-1}."""
    network = RNN(1, 1, nonlinearity="linear", bias=False).double()
    with torch.no_grad():
        network.weight_hh_l0.fill_(0.8)
        network.weight_ih_l0.fill_(1.0)
    x = torch.randn(30, 1, 1, dtype=torch.float64)
    h = network(x)[0][:, 0, 0].detach().numpy()
    terms = 0.8 ** np.arange(29, -1, -1) * np.concatenate([[0], h[:-1]])
    found = gradient_norm(network, x, lambda rates: rates[-1].sum())
    np.testing.assert_allclose(found.contribution, np.abs(terms), atol=1e-14)
    np.testing.assert_allclose(found.norm, np.abs(terms[::-1].cumsum()[::-1]), atol=1e-14)


@pytest.mark.parametrize("layers", [1, 2])
def test_state_and_drive(layers):
    """Both ways of counting agree with the whole gradient of the plain call."""
    network = ARUN(2, 4, controller_size=3, num_layers=layers).double()
    x, drive = torch.randn(STEPS, 3, 2).double(), torch.randn(STEPS, 3, 4).double()
    state = ARUNState(torch.rand(layers, 3, 4).double(), torch.rand(layers, 3, 4, 3).double())
    found = gradient_norm(network, x, readout, state=state, drive=drive)
    loss = readout(network(x, state, drive=drive)[0])
    (whole,) = torch.autograd.grad(loss, network.weight_hh_l0)
    assert found.attrs["loss"] == pytest.approx(loss.item())
    assert found.norm[0].item() == pytest.approx(float(whole.norm()), rel=1e-10)


def test_drive_of_a_gated_layer():
    network, x = GRU(2, 4).double(), torch.randn(STEPS, 3, 2).double()
    found = gradient_norm(network, x, readout, drive=0.5)
    (whole,) = torch.autograd.grad(readout(network(x, drive=0.5)[0]), network.weight_hh_l0)
    assert found.norm[0].item() == pytest.approx(float(whole.norm()), rel=1e-10)


@pytest.mark.parametrize("kind", [nn.GRUCell, nn.GRU, RNN])
def test_steps_after_the_loss_has_looked_count_nothing(kind):
    network, x = kind(2, 4).double(), torch.randn(STEPS, 3, 2, dtype=torch.float64)
    found = gradient_norm(network, x, lambda rates: rates[2].square().sum())
    short = gradient_norm(network, x[:3], lambda rates: rates[2].square().sum())
    for name in ("norm", "contribution"):
        np.testing.assert_array_equal(found[name][3:], 0)
        np.testing.assert_allclose(found[name][:3], short[name], rtol=1e-10)


@pytest.mark.parametrize("kind", [nn.GRUCell, RNN])
def test_a_network_that_is_not_trained_stays_so(kind):
    network = kind(2, 4).requires_grad_(False)
    found = gradient_norm(network, torch.randn(STEPS, 3, 2), readout)
    assert float(found.norm[0]) > 0
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_another_parameter_and_errors():
    network, x = nn.GRUCell(2, 3), torch.randn(4, 2, 2)
    found = gradient_norm(network, x, lambda h: h.sum(), parameter="bias_ih")
    (whole,) = torch.autograd.grad(run(network, x).sum(), network.bias_ih)
    assert found.norm[0].item() == pytest.approx(float(whole.norm()), rel=1e-5)  # float32
    with pytest.raises(InputError, match="one of weight_ih"):
        gradient_norm(network, x, lambda h: h.sum(), parameter="weight")
    with pytest.raises(InputError, match="one number"):
        gradient_norm(network, x, lambda h: h)
    with pytest.raises(InputError, match="one direction"):
        gradient_norm(RNN(2, 3, bidirectional=True), x, lambda h: h.sum())
    with pytest.raises(InputError, match=r"\(T, B, D\)"):
        gradient_norm(network, x[0], lambda h: h.sum())
    with pytest.raises(InputError, match="takes none"):
        gradient_norm(network, x, lambda h: h.sum(), drive=1.0)


def run(cell, x):
    state, rates = None, []
    for x_t in x:
        state = cell(x_t, state)
        rates.append(state)
    return torch.stack(rates)
