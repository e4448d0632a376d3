"""ARUN: golden outputs and gradients, the identities that tie it to RNN, transplants."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence

from adaptrnn import ARUN, RNN, AbstractController, AdaptationController, ARUNState, InputError
from adaptrnn._recurrent import Recurrent, reset_weights
from adaptrnn.activation import gamma

pytestmark = pytest.mark.usefixtures("shapes_checked")

# The same sums in another order: a few roundings (1e-16) per step.
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture
def data(golden):
    with np.load(golden / "arun_small.npz") as file:
        return {name: torch.from_numpy(value) for name, value in file.items()}


@pytest.mark.parametrize("layers", [1, 2])
def test_loss_is_call_readout_and_loss(layers):
    core, readout = (
        ARUN(2, 5, controller_size=3, num_layers=layers).double(),
        nn.Linear(5, 4).double(),
    )
    x, y = torch.randn(7, 6, 2, dtype=torch.float64), torch.randint(0, 4, (6,))
    weights = [*core.parameters(), *readout.parameters()]
    scores = readout(core(x, drive=0.5)[0][-1])
    want = nn.functional.cross_entropy(scores, y)
    want_grad = torch.autograd.grad(want, weights)
    loss, got = core.loss(x, readout.weight, readout.bias, y, drive=0.5)
    torch.testing.assert_close(loss, want, **CLOSE)
    torch.testing.assert_close(got, scores.detach(), **CLOSE)
    for grad, expected in zip(torch.autograd.grad(loss, weights), want_grad, strict=True):
        torch.testing.assert_close(grad, expected, **CLOSE)


@pytest.mark.parametrize("shape", [(), (1,), (5,), (6, 1), (7, 1, 5)])
def test_a_drive_of_any_shape_and_the_last_step(shape):
    core, readout = ARUN(2, 5, controller_size=3).double(), nn.Linear(5, 4).double()
    x, y = torch.randn(7, 6, 2, dtype=torch.float64), torch.randint(0, 4, (6,))
    drive = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    weights = [*core.parameters(), *readout.parameters(), drive]
    last = core(x, drive=drive)[0][-1]
    want = nn.functional.cross_entropy(readout(last), y)
    loss, _ = core.loss(x, readout.weight, readout.bias, y, drive=drive)
    torch.testing.assert_close(loss, want, **CLOSE)
    for got, expected in zip(
        torch.autograd.grad(loss, weights), torch.autograd.grad(want, weights), strict=True
    ):
        torch.testing.assert_close(got, expected, **CLOSE)
    torch.testing.assert_close(core.last(x, drive=drive), last, **CLOSE)
    with torch.no_grad():
        torch.testing.assert_close(core.last(x, drive=drive), last, **CLOSE)


def test_golden_outputs_and_gradients(data):
    core = ARUN.from_released(data)
    drive = data["drive"][:, None, None]
    output, state = core(data["x"], drive=drive)
    # the specification asks for 1e-8
    torch.testing.assert_close(output, data["h"], rtol=0, atol=1e-8)
    torch.testing.assert_close(state.g[0], data["g_last"], rtol=0, atol=1e-8)
    trace = core.trace(data["x"], drive=drive)
    for name in ("a", "h", "n", "s"):
        torch.testing.assert_close(getattr(trace, name), data[name], rtol=0, atol=1e-8)
    (output * data["cotangent"]).sum().backward()
    c = core.controller
    grads = {
        "Uxh.weight": core.weight_ih_l0.grad,
        "Uxh.bias": core.bias_ih_l0.grad,
        "Whh.weight": core.weight_hh_l0.grad,
        "Whh.bias": core.bias_hh_l0.grad,
        "Uag.weight": c.weight_ag.grad,
        "Uag.bias": c.bias_ag.grad,
        "Wgg.weight": c.weight_gg.grad,
        "Wgg.bias": c.bias_gg.grad,
        "Wgn.weight": c.weight_gc.grad[:1],
        "Wgn.bias": c.bias_gc.grad[:1],
        "Wgs.weight": c.weight_gc.grad[1:],
        "Wgs.bias": c.bias_gc.grad[1:],
    }
    for name, grad in grads.items():
        torch.testing.assert_close(grad, data[f"grad_{name}"], rtol=0, atol=1e-8)


def test_released_layout_both_ways(data):
    core = ARUN.from_released(data)
    for name, value in core.to_released().items():
        assert torch.equal(value, data[name]), name
    with pytest.raises(InputError, match=r"Wgs.bias"):
        ARUN.from_released({name: value for name, value in data.items() if name != "Wgs.bias"})
    with pytest.raises(InputError, match="not those of one ARUN layer"):
        ARUN.from_released(data | {"Whh.weight": torch.zeros(5, 6)})
    with pytest.raises(InputError, match="one layer"):
        ARUN(1, 2, num_layers=2).to_released()


def test_zero_controller_weights_give_the_static_network():
    """E02: with W_gc = 0 an ARUN is RNN+gamma with n = b_n, s = b_s."""
    core = ARUN(2, 4, controller_size=3, dtype=torch.float64)
    with torch.no_grad():
        core.controller.weight_gc.zero_()
        core.controller.bias_gc.copy_(torch.tensor([2.5, 0.3], dtype=torch.float64))
    static = RNN(2, 4, nonlinearity="gamma-shared", n=2.5, s=0.3, dtype=torch.float64)
    static.load_state_dict(core.state_dict(), strict=False)
    x = torch.randn(9, 2, 2, dtype=torch.float64)
    torch.testing.assert_close(core(x, drive=1.0)[0], static(x, drive=1.0)[0], **CLOSE)


def test_neurons_are_interchangeable():
    """E02: the controller is local and shared, so neurons may be renamed."""
    core, order = ARUN(2, 6, controller_size=3, dtype=torch.float64), torch.randperm(6)
    twin = ARUN(2, 6, controller=core.controller, dtype=torch.float64)
    with torch.no_grad():
        for name in ("weight_ih_l0", "bias_ih_l0", "bias_hh_l0", "weight_hh_l0"):
            value = core.get_parameter(name)[order]
            twin.get_parameter(name).copy_(value[:, order] if name == "weight_hh_l0" else value)
    x = torch.randn(7, 3, 2, dtype=torch.float64)
    (output, state), (other, other_state) = core(x), twin(x)
    torch.testing.assert_close(output[..., order], other, **CLOSE)
    torch.testing.assert_close(state.g[:, :, order], other_state.g, **CLOSE)


def test_adaptation_is_local():
    """Without recurrent weights a drive to one neuron changes that neuron only."""
    core = ARUN(1, 4, controller_size=3, dtype=torch.float64)
    nn.init.zeros_(core.weight_hh_l0)
    x, xi = torch.randn(5, 1, 1, dtype=torch.float64), torch.zeros(5, 1, 4, dtype=torch.float64)
    xi[..., 2] = 1.0
    changed = (core(x, drive=xi)[0] != core(x)[0]).any(0).any(0)
    assert changed.tolist() == [False, False, True, False]


def test_parameter_count_of_the_paper():
    core = ARUN(1, 400, controller_size=50)
    assert sum(p.numel() for p in core.parameters()) + 400 * 10 + 10 == 167_962


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
def test_layers_layouts_and_packed_sequences(layers, bidirectional, batch_first):
    core = ARUN(
        2,
        3,
        controller_size=2,
        num_layers=layers,
        bidirectional=bidirectional,
        batch_first=batch_first,
        dtype=torch.float64,
    )
    sequences = [torch.randn(n, 2, dtype=torch.float64) for n in (2, 5, 3)]
    rows = layers * (1 + bidirectional)
    h0 = torch.randn(rows, 3, 3, dtype=torch.float64)
    hx = ARUNState(h0, torch.randn(rows, 3, 3, 2, dtype=torch.float64))
    output, state = core(pack_sequence(sequences, enforce_sorted=False), hx)
    padded, _ = pad_packed_sequence(output)
    for b, x in enumerate(sequences):
        alone, last = core(x, (hx.h[:, b], hx.g[:, b]))
        torch.testing.assert_close(padded[: len(x), b], alone, **CLOSE)
        torch.testing.assert_close(state.h[:, b], last.h, **CLOSE)
        torch.testing.assert_close(state.g[:, b], last.g, **CLOSE)
    x = torch.stack([sequences[1]] * 2, 0 if batch_first else 1)
    batched = core(x)[0].transpose(0, 1) if batch_first else core(x)[0]
    torch.testing.assert_close(batched[:, 1], core(sequences[1])[0], **CLOSE)


def test_step_is_the_call():
    core = ARUN(2, 3, controller_size=4, num_layers=2, dtype=torch.float64)
    x = torch.randn(6, 5, 2, dtype=torch.float64)
    state = ARUNState(torch.zeros(2, 5, 3).double(), torch.zeros(2, 5, 3, 4).double())
    for x_t in x:
        state = core.step(x_t, state, 0.7)
    want = core(x, drive=0.7)[1]
    assert isinstance(state, ARUNState)
    torch.testing.assert_close(state.h, want.h, **CLOSE)
    torch.testing.assert_close(state.g, want.g, **CLOSE)


def test_state_carries_on():
    core = ARUN(1, 3, controller_size=2, dtype=torch.float64)
    x = torch.randn(8, 2, 1, dtype=torch.float64)
    first, state = core(x[:3])
    second, _ = core(x[3:], state)
    torch.testing.assert_close(torch.cat([first, second]), core(x)[0], **CLOSE)


def test_frozen_and_shared_controllers():
    donor = ARUN(1, 3, controller_size=2)
    frozen = ARUN(1, 5, controller=donor.controller.frozen())
    before = [p.clone() for p in frozen.controller.parameters()]
    optimiser = torch.optim.SGD([p for p in frozen.parameters() if p.requires_grad], lr=0.1)
    frozen(torch.ones(4, 2, 1))[0].sum().backward()
    optimiser.step()
    assert all(
        torch.equal(a, b) for a, b in zip(before, frozen.controller.parameters(), strict=True)
    )
    assert frozen.weight_hh_l0.grad.abs().sum() > 0
    assert all(p.requires_grad for p in donor.controller.parameters())
    assert ARUN(1, 5, controller=donor.controller).controller is donor.controller
    frozen.reset_parameters()
    assert all(
        torch.equal(a, b) for a, b in zip(before, frozen.controller.parameters(), strict=True)
    )


class Paper(AbstractController):
    """The paper's controller, written anew: must give the same network by the generic path."""

    def __init__(self, inner: AdaptationController) -> None:
        super().__init__()
        self.inner, self.controller_size = inner, inner.controller_size

    def forward(self, a, g):
        return self.inner(a, g)


def test_another_controller_class():
    core = ARUN(2, 3, controller_size=4, dtype=torch.float64)
    other = ARUN(2, 3, controller=Paper(core.controller), dtype=torch.float64)
    other.load_state_dict(core.state_dict(), strict=False)
    x = torch.randn(6, 2, 2, dtype=torch.float64)
    torch.testing.assert_close(other(x)[0], core(x)[0], **CLOSE)
    for got, want in zip(other.trace(x), core.trace(x), strict=True):
        torch.testing.assert_close(got, want, **CLOSE)
    with pytest.raises(InputError, match="controller_size"):
        ARUN(2, 3, controller=nn.Linear(1, 1))
    with pytest.raises(TypeError, match="abstract"):
        AbstractController()


def test_positions_are_those_of_torch_rnn():
    """The third number is the number of layers, as in nn.RNN; all further ones agree too."""
    theirs = inspect.signature(nn.GRU.__base__.__init__).parameters
    ours = [
        name
        for name, parameter in inspect.signature(ARUN).parameters.items()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    shared = [name for name in theirs if name not in ("self", "mode", "proj_size")]
    assert ours == shared
    core = ARUN(2, 3, 2)
    assert (core.num_layers, core.controller_size) == (2, 50)


class Averaging(Recurrent):
    """A layer of the user's own, without a kernel: h_t is the mean of current and h_{t-1}."""

    def __init__(self, inputs, size):
        super().__init__(inputs, size, 1, True, False, 0.0, False, None, None, "auto", 0, "auto")
        reset_weights(self, "torch", "henaff")

    def _initial(self, batch, like):
        return (like.new_zeros(1, batch, self.hidden_size),)

    def _unpack(self, hx):
        return (hx,)

    def _pack(self, state):
        return state[0]

    def _state_shapes(self):
        return {"h": (self.hidden_size,)}

    def _layer(self, row, last_only=False, **weights):
        def run(currents, state):
            outputs = []
            for current in currents.unbind(0):
                state = self._layer_step(row, current, state)
                outputs.append(state[0])
            return torch.stack(outputs), state

        return run

    def _layer_step(self, row, current, state):
        return ((current + state[0]) / 2,)


def test_a_layer_without_a_kernel_is_fed_currents():
    """Three inputs into three neurons: fed the input itself it would run, and be wrong."""
    core, x = Averaging(3, 3), torch.randn(4, 2, 3)
    state = torch.zeros(1, 2, 3)
    for x_t in x:
        state = core.step(x_t, state)
    torch.testing.assert_close(core(x)[1], state)


def test_gradcheck():
    core = ARUN(1, 3, controller_size=2, dtype=torch.float64)
    names = [name for name, _ in core.named_parameters()]
    x = torch.randn(4, 2, 1, dtype=torch.float64, requires_grad=True)

    def call(x, *values):
        parameters = dict(zip(names, values, strict=True))
        return torch.func.functional_call(core, parameters, (x,))[0]

    assert torch.autograd.gradcheck(call, (x, *core.parameters()))


def test_signals_obey_the_equations():
    core = ARUN(1, 3, controller_size=2, dtype=torch.float64)
    x = torch.randn(5, 2, 1, dtype=torch.float64)
    t = core.trace(x)
    before_h, before_g = (torch.cat([torch.zeros_like(v[:1]), v[:-1]]) for v in (t.h, t.g))
    c = core.controller
    a = x @ core.weight_ih_l0.T + before_h @ core.weight_hh_l0.T
    torch.testing.assert_close(t.a, a + core.bias_ih_l0 + core.bias_hh_l0, **CLOSE)
    g = torch.tanh(
        t.a[..., None] @ c.weight_ag.T + before_g @ c.weight_gg.T + c.bias_ag + c.bias_gg
    )
    torch.testing.assert_close(t.g, g, **CLOSE)
    torch.testing.assert_close(
        torch.stack([t.n, t.s], -1), t.g @ c.weight_gc.T + c.bias_gc, **CLOSE
    )
    torch.testing.assert_close(t.h, gamma(t.a, t.n, t.s), **CLOSE)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ARUN(1, 3, controller_size=0), "controller_size=0"),
        (
            lambda: ARUN(1, 3, controller_size=2)(torch.zeros(4, 2, 1), torch.zeros(1, 2, 3)),
            "a pair",
        ),
        (
            lambda: ARUN(1, 3, controller_size=2)(
                torch.zeros(4, 2, 1), (torch.zeros(1, 2, 3),) * 2
            ),
            r"hx \(g\)=\(1, 2, 3\)",
        ),
        (lambda: ARUN(1, 3, init="papr"), "Did you mean 'paper'"),
        (lambda: ARUN(1, 3, recurrent_init="hear"), "Did you mean 'haar'"),
    ],
)
def test_errors_say_what_is_wrong(call, message):
    with pytest.raises(InputError, match=message):
        call()
