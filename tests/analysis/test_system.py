"""The adapter: the same numbers as the network's own call, exact Jacobians, one row per sample."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from adaptrnn._error import InputError
from adaptrnn.analysis._closed import CLOSED_CURVES
from adaptrnn.analysis._record import record_signals
from adaptrnn.analysis.system import as_system
from adaptrnn.arun import ARUN
from adaptrnn.controller import AbstractController
from adaptrnn.gated import GRU, LSTM
from adaptrnn.rnn import RNN

CELLS = [nn.RNNCell, nn.GRUCell, nn.LSTMCell]
NETWORKS = [nn.RNN, nn.GRU, nn.LSTM]


class Pair(NamedTuple):
    h: Tensor
    c: Tensor


def numeric_jacobian(model, x, z, drive=None, size=1e-6):
    """Central differences of the step, (B, S, S)."""
    columns = []
    for i in range(model.size):
        shift = torch.zeros_like(z)
        shift[:, i] = size
        columns.append((model.step(x, z + shift, drive) - model.step(x, z - shift, drive)) / size)
    return torch.stack(columns, 2) / 2


@pytest.mark.parametrize("kind", CELLS)
def test_a_cell_steps_as_its_own_call(kind):
    cell = kind(2, 5, dtype=torch.float64)
    model = as_system(cell)
    x = torch.randn(4, 3, 2, dtype=torch.float64)
    states = model.run(x)
    state = None
    for x_t, z in zip(x, states, strict=True):
        state = cell(x_t, state)
        assert torch.allclose(model.pack(state), z, atol=1e-15)
        h = state[0] if kind is nn.LSTMCell else state
        assert torch.allclose(model.activity(z), h, atol=1e-15)


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_of_two_layers_steps_as_its_own_call(kind):
    network = kind(2, 5, num_layers=2, dtype=torch.float64)
    model = as_system(network)
    x = torch.randn(6, 3, 2, dtype=torch.float64)
    output, last = network(x)
    states = model.run(x)
    assert torch.allclose(model.activity(states), output, atol=1e-14)
    assert torch.allclose(model.pack(last), states[-1], atol=1e-14)
    again = model.pack(model.unpack(states[-1]))
    assert torch.equal(again, states[-1])


@pytest.mark.parametrize("kind", CELLS + NETWORKS)
def test_jacobian_against_differences(kind):
    model = as_system(kind(2, 4), dtype=torch.float64)
    x, z, drive = (torch.randn(3, size, dtype=torch.float64) for size in (2, model.size, 4))
    # central differences of step 1e-6: truncation 1e-12, rounding 1e-16 / 1e-6
    _, exact = model.jacobian(x, z, drive)
    assert torch.allclose(exact, numeric_jacobian(model, x, z, drive), atol=1e-8)


@pytest.mark.parametrize("kind", CELLS)
def test_the_drive_is_a_current_into_every_gate(kind):
    """The same current for all samples is a change of the input biases."""
    cell = kind(2, 5, dtype=torch.float64)
    x, drive = torch.randn(3, 2, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    z = torch.randn(3, as_system(cell).size, dtype=torch.float64)
    driven = as_system(cell).step(x, z, drive.expand(3, 5))
    with torch.no_grad():
        cell.bias_ih += drive.repeat(len(cell.bias_ih) // 5)
    assert torch.allclose(driven, as_system(cell).step(x, z, None), atol=1e-15)


@pytest.mark.parametrize("kind", [GRU, LSTM])
def test_our_gated_layers_step_as_their_own_call(kind):
    network = kind(2, 5, dtype=torch.float64)
    x, drive = torch.randn(6, 3, 2).double(), torch.randn(6, 3, 5).double()
    output, last = network(x, drive=drive)
    states = as_system(network).run(x, drive=drive)
    assert torch.allclose(as_system(network).activity(states), output, atol=1e-14)
    assert torch.allclose(as_system(network).states(last), states[-1], atol=1e-14)


class Leaky(AbstractController):
    """A controller the package does not know."""

    def __init__(self, controller_size=1, device=None, dtype=None):
        super().__init__()
        self.controller_size = controller_size

    def forward(self, a, g):
        g = 0.9 * g + 0.1 * torch.tanh(a).unsqueeze(-1)
        return g, 3 + g.sum(-1), 0.2 * g[..., 0]


def wild(network):
    """Weights large enough that every term of a Jacobian counts."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network


OURS = {
    **{f"RNN-{name}": lambda name=name: RNN(2, 4, nonlinearity=name) for name in CLOSED_CURVES},
    "RNN-gamma": lambda: RNN(2, 4, nonlinearity="gamma"),
    "RNN-gamma-shared": lambda: RNN(2, 4, nonlinearity="gamma-shared", bias=False),
    "RNN-layers": lambda: RNN(2, 4, 2, nonlinearity="gamma"),
    "ARUN": lambda: ARUN(2, 4, controller_size=3),
    "ARUN-no-bias": lambda: ARUN(2, 4, controller_size=3, bias=False),
    "ARUN-layers": lambda: ARUN(2, 4, controller_size=3, num_layers=2),
    "ARUN-own-controller": lambda: ARUN(2, 4, controller=Leaky),
}


@pytest.mark.parametrize("name", OURS)
def test_our_networks(name):
    """The call itself, closed forms against differences, and with the automatic derivative."""
    network = wild(OURS[name]().double())
    model = as_system(network)
    x, drive = (torch.randn(5, 3, size, dtype=torch.float64) for size in (2, 4))
    with torch.no_grad():
        output, last = network(x, drive=drive)
    states = model.run(x, drive=drive)
    assert torch.allclose(model.activity(states), output, atol=1e-12)
    assert torch.allclose(model.states(last), states[-1], atol=1e-12)
    z = torch.randn(3, model.size, dtype=torch.float64)
    assert torch.equal(model.states(z), z) and torch.equal(model.states(z.numpy()), z)
    nxt, exact = model.jacobian(x[0], z, drive[0])
    # central differences of step 1e-6: truncation 1e-12 of third derivatives up to about n^2 = 50
    assert torch.allclose(exact, numeric_jacobian(model, x[0], z, drive[0]), atol=1e-7)
    by_torch = replace(model, slope=None, push=None).jacobian(x[0], z, drive[0])
    assert torch.allclose(by_torch[1], exact, atol=1e-12)
    assert torch.allclose(by_torch[0], nxt, atol=1e-12)


def test_named_tuples_dicts_and_single_samples():
    lstm = nn.LSTMCell(2, 5, dtype=torch.float64)
    zeros = torch.zeros(1, 5, dtype=torch.float64)
    x = torch.randn(7, 3, 2, dtype=torch.float64)
    want = as_system(lstm).run(x)

    def named(x_t: Tensor, state: Pair) -> Pair:
        return Pair(*lstm(x_t, (state.h, state.c)))

    def keyed(x_t: Tensor, state: dict[str, Tensor]) -> dict[str, Tensor]:
        h, c = lstm(x_t, (state["h"], state["c"]))
        return {"h": h, "c": c}

    def single(x_t: Tensor, state: Pair) -> Pair:
        current = lstm.weight_ih @ x_t + lstm.bias_ih + lstm.weight_hh @ state.h + lstm.bias_hh
        i, f, g, o = current.chunk(4)
        c = f.sigmoid() * state.c + i.sigmoid() * g.tanh()
        return Pair(o.sigmoid() * c.tanh(), c)

    models = [
        as_system(named, Pair(zeros, zeros)),
        as_system(keyed, {"h": zeros, "c": zeros}),
        as_system(single, Pair(zeros[0], zeros[0]), batch_dim=None),
    ]
    for model in models:
        assert model.size == 10 and model.neurons == 5
        assert torch.allclose(model.run(x), want, atol=1e-15)
        exact = model.jacobian(x[0], want[3])[1]
        assert torch.allclose(exact, as_system(lstm).jacobian(x[0], want[3])[1], atol=1e-14)


def test_a_step_with_a_drive():
    model = as_system(lambda x, h, drive: torch.tanh(h + drive), torch.zeros(1, 3))
    got = model.run(z=torch.ones(2, 3), drive=0.5, steps=1)[0]
    assert torch.allclose(got, torch.tanh(torch.full((2, 3), 1.5)))
    with pytest.raises(InputError, match="takes no drive"):
        as_system(lambda x, h: h, torch.zeros(1, 3)).run(drive=1.0, steps=2)


def test_the_number_of_samples_is_that_of_what_is_given():
    model = as_system(nn.GRUCell(2, 3), dtype=torch.float64)
    x, drive = torch.randn(4, 5, 2), torch.randn(4, 5, 3)
    assert model.run(x).shape == (4, 5, 3) and model.run(x[:, 0]).shape == (4, 1, 3)
    alone = model.run(drive=drive, steps=4)
    assert torch.allclose(alone, model.run(torch.zeros(4, 5, 2), drive=drive), atol=1e-15)
    assert model.run(steps=3).shape == (3, 1, 3) and model.run(steps=0).shape == (0, 1, 3)
    assert torch.equal(model.run(x, steps=2), model.run(x)[:2])
    with pytest.raises(InputError, match="at most 4"):
        model.run(x, steps=5)
    for state in (torch.zeros(5, 4), torch.zeros(5, 3, 1)):
        with pytest.raises(InputError, match="state"):
            model.states(state)


def test_the_network_is_copied():
    cell = nn.RNNCell(1, 3)
    model = as_system(cell)
    before = model.step(torch.ones(1, 1), model.start(), None)
    with torch.no_grad():
        cell.weight_ih += 1
    assert torch.equal(model.step(torch.ones(1, 1), model.start(), None), before)
    assert cell.weight_ih.requires_grad


class Own(nn.Module):
    """A user's own network, called (x_t, state) -> state, with methods of its own."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4, dtype=torch.float64)

    def forward(self, x, state):
        return torch.tanh(self.inner(state))

    def step(self, optimizer):
        raise AssertionError("not what an analysis calls")

    def trace(self):
        raise AssertionError("not what an analysis calls")


def test_a_users_module_may_have_methods_of_any_name():
    network, state = Own(), torch.zeros(3, 4, dtype=torch.float64)
    with pytest.raises(InputError, match="an example state for Own"):
        as_system(network)
    z = torch.randn_like(state)
    assert torch.equal(as_system(network, state).step(None, z, None), network(None, z))
    rates = record_signals(network, torch.zeros(5, 2, 1), into="input", state=state, input_size=1)[
        "h"
    ]
    assert rates.shape == (5, 2, 4)


def test_errors():
    with pytest.raises(InputError, match="one direction"):
        as_system(nn.GRU(1, 2, bidirectional=True))
    with pytest.raises(InputError, match="example state"):
        as_system(lambda x, h: h)
    with pytest.raises(InputError, match="batch_dim=None"):
        as_system(lambda x, h: h, torch.zeros(()))
    with pytest.raises(InputError, match="a tensor, or a tuple"):
        as_system(lambda x, h: h, (torch.zeros(1, 2), 3.0))
    with pytest.raises(InputError, match="a tensor, or a tuple"):
        as_system(lambda x, h: h, ())
    with pytest.raises(InputError, match="floating"):
        as_system(lambda x, h: h, (torch.zeros(1, 2), torch.zeros(1, 2, dtype=torch.int64)))
    with pytest.raises(InputError, match="floating"):
        as_system(lambda x, h: h, torch.zeros(2, 2, dtype=torch.int64))
    model = as_system(nn.RNNCell(2, 3))
    with pytest.raises(InputError, match=r"x\.shape"):
        model.run(torch.zeros(4, 1, 3))
    with pytest.raises(InputError, match="one sequence per state"):
        model.run(torch.zeros(4, 3, 2), model.start(2))
    with pytest.raises(InputError, match="steps=None"):
        model.run()
    with pytest.raises(InputError, match="broadcastable"):
        model.run(torch.zeros(4, 3, 2), drive=torch.zeros(4))


class Layer(torch.nn.Module):
    """A layer of someone else's around torch.nn.GRUCell, whose drive is added to its input."""

    def __init__(self, inputs, neurons):
        super().__init__()
        self.input_size, self.hidden_size = inputs, neurons
        self.cell = torch.nn.GRUCell(inputs, neurons)

    def step(self, x, state, drive=None):
        return self.cell(x if drive is None else x + drive[..., : self.input_size], state)

    def forward(self, x, state=None, drive=None):
        rates = []
        for x_t in x.unbind(0):
            state = self.step(x_t, state)
            rates.append(state)
        return torch.stack(rates), state


def test_a_layer_with_a_step_is_the_map_of_its_cell():
    """The same cell is called on the same numbers, so they are equal, not only close."""
    layer, x = Layer(2, 5).double(), torch.randn(6, 3, 2, dtype=torch.float64)
    whole, cell = as_system(layer), as_system(layer.cell)
    assert (whole.size, whole.neurons, whole.input_size) == (5, 5, 2) and whole.takes_drive
    run = whole.run(x)
    # the cell's map calls torch's function on the same weights, in the same order
    torch.testing.assert_close(run, cell.run(x), rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(whole.activity(run), layer(x)[0], rtol=1e-14, atol=1e-14)
    drive = torch.ones(6, 3, 5, dtype=torch.float64)
    torch.testing.assert_close(whole.run(x, drive=drive), whole.run(x + 1), rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(whole.run(steps=6), whole.run(0 * x[:, :1]), rtol=1e-14, atol=1e-14)
    layer.step = lambda x, state: layer.cell(x, state)
    assert not as_system(layer).takes_drive
