"""RNN: torch.nn.RNN's interface and numbers, the golden gamma network, drive, trace and step."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence

from adaptrnn import RNN, InputError, gamma

pytestmark = pytest.mark.usefixtures("shapes_checked")

# The same sums in another order: a few roundings (1e-16) per step.
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def pair(**arguments):
    ours = RNN(3, 5, dtype=torch.float64, **arguments)
    theirs = nn.RNN(3, 5, dtype=torch.float64, **arguments)
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize(
    "layers, bidirectional, batch_first, nonlinearity, bias",
    list(itertools.product((1, 2, 3), *[(False, True)] * 2, ("tanh", "relu"), (True, False))),
)
def test_is_torch_rnn(layers, bidirectional, batch_first, nonlinearity, bias):
    ours, theirs = pair(
        num_layers=layers,
        bidirectional=bidirectional,
        batch_first=batch_first,
        nonlinearity=nonlinearity,
        bias=bias,
    )
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    batch = 4 if batch_first else 6
    h0 = torch.randn(layers * (1 + bidirectional), batch, 5, dtype=torch.float64)
    for state in (None, h0):
        for got, want in zip(ours(x, state), theirs(x, state), strict=True):
            torch.testing.assert_close(got, want, **CLOSE)
    # unbatched
    for got, want in zip(ours(x[0], h0[:, 0]), theirs(x[0], h0[:, 0]), strict=True):
        torch.testing.assert_close(got, want, **CLOSE)
    # packed, lengths in any order, ties included
    lengths = [2, 4, 1, 4, 3, 2][:batch]
    padded = torch.randn(*((batch, 4) if batch_first else (4, batch)), 3, dtype=torch.float64)
    packed = pack_padded_sequence(padded, lengths, batch_first, enforce_sorted=False)
    for state in (None, h0):
        (got, got_h), (want, want_h) = ours(packed, state), theirs(packed, state)
        torch.testing.assert_close(got_h, want_h, **CLOSE)
        torch.testing.assert_close(got.data, want.data, **CLOSE)
        for part in ("batch_sizes", "sorted_indices", "unsorted_indices"):
            assert torch.equal(getattr(got, part), getattr(want, part))


def test_gradients_are_those_of_torch_rnn():
    ours, theirs = pair(num_layers=2, bidirectional=True)
    x = torch.randn(7, 2, 3, dtype=torch.float64)
    weight = torch.randn(7, 2, 10, dtype=torch.float64)
    for network in (ours, theirs):
        (network(x)[0] * weight).sum().backward()
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(ours.get_parameter(name).grad, parameter.grad, **CLOSE)


def test_same_seed_same_initial_values():
    torch.manual_seed(3)
    theirs = nn.RNN(2, 4, num_layers=2, bidirectional=True).state_dict()
    torch.manual_seed(3)
    ours = RNN(2, 4, num_layers=2, bidirectional=True).state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_sorted_packed_sequence_and_dropout():
    ours, theirs = pair(num_layers=2, dropout=1.0)
    packed = pack_sequence([torch.ones(n, 3, dtype=torch.float64) for n in (4, 2, 2)])
    # with dropout 1 the second layer sees zeros, so the result is not random
    for got, want in zip(ours(packed)[0], theirs(packed)[0], strict=True):
        assert (got is None and want is None) or torch.allclose(got, want)
    ours.eval(), theirs.eval()
    torch.testing.assert_close(ours(packed)[1], theirs(packed)[1], **CLOSE)


def test_dropout_that_does_nothing_is_said():
    with pytest.warns(UserWarning, match="does nothing"):
        RNN(2, 3, dropout=0.5)


def test_golden_gamma_network(golden):
    data = {
        name: torch.from_numpy(value)
        for name, value in np.load(golden / "rnn_gamma_small.npz").items()
    }
    rnn = RNN(2, 6, nonlinearity="gamma", dtype=torch.float64)
    zero = torch.zeros(6, dtype=torch.float64)
    rnn.load_state_dict(
        {
            "weight_ih_l0": data["U"],
            "weight_hh_l0": data["W"],
            "bias_ih_l0": data["b"],
            "bias_hh_l0": zero,
            "n_l0": data["n"],
            "s_l0": data["s"],
        }
    )
    # the reference is printed in full double precision; 12 steps of a few roundings each
    torch.testing.assert_close(rnn(data["x"])[0], data["h"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("nonlinearity", ["linear", "softplus", "sigmoid", "gamma", "gamma-shared"])
def test_every_curve_matches_its_equation(nonlinearity):
    rnn = RNN(2, 4, nonlinearity=nonlinearity, dtype=torch.float64, n=3.0, s=0.2)
    curve = {
        "linear": lambda a: a,
        "softplus": lambda a: torch.log(1 + torch.exp(a)),
        "sigmoid": lambda a: 1 / (1 + torch.exp(-a)),
    }.get(nonlinearity, lambda a: gamma(a, 3.0, 0.2))
    x, h = torch.randn(5, 2, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
    output, last = rnn(x)
    for t in range(5):
        h = curve(rnn.weight_ih_l0 @ x[t] + rnn.bias_ih_l0 + rnn.weight_hh_l0 @ h + rnn.bias_hh_l0)
        torch.testing.assert_close(output[t], h, **CLOSE)
    torch.testing.assert_close(last[0], h, **CLOSE)


def test_gamma_with_n_1_is_softplus_and_sigmoid():
    for s, known in ((0.0, "softplus"), (1.0, "sigmoid")):
        ours = RNN(2, 4, nonlinearity="gamma-shared", n=1.0, s=s, dtype=torch.float64)
        other = RNN(2, 4, nonlinearity=known, dtype=torch.float64)
        other.load_state_dict(ours.state_dict(), strict=False)
        x = torch.randn(6, 3, 2, dtype=torch.float64)
        torch.testing.assert_close(ours(x)[0], other(x)[0], **CLOSE)


def test_initial_gain_and_saturation():
    torch.manual_seed(0)
    n = RNN(1, 2_000, nonlinearity="gamma", init="torch").n_l0
    # N(5, 2^2), 2,000 draws: 5 standard errors are .22 (mean) and .16 (standard deviation)
    assert abs(n.mean() - 5) < 0.22 and abs(n.std() - 2) < 0.16
    code = RNN(1, 8, nonlinearity="gamma", n="code").n_l0
    assert code.unique().numel() == 1 and 5 <= code[0] <= 7
    given_ = RNN(1, 3, nonlinearity="gamma", n=torch.tensor([1.0, 2.0, 3.0]), s=0.5, learn_n=False)
    assert given_.n_l0.tolist() == [1, 2, 3] and given_.s_l0.tolist() == [0.5] * 3
    assert not given_.n_l0.requires_grad and given_.s_l0.requires_grad
    assert RNN(1, 3, nonlinearity="gamma-shared").n_l0.shape == ()


def test_parameter_counts_of_the_paper():
    count = lambda core: sum(p.numel() for p in core.parameters()) + 400 * 10 + 10  # noqa: E731
    assert count(RNN(1, 400, nonlinearity="relu")) == 165_210
    assert count(RNN(1, 400, nonlinearity="gamma-shared")) == 165_212
    assert count(RNN(1, 400, nonlinearity="gamma")) == 166_010


@pytest.mark.parametrize("batch_first", [False, True])
def test_drive_is_a_current(batch_first):
    rnn = RNN(2, 3, nonlinearity="gamma", batch_first=batch_first, dtype=torch.float64)
    x = torch.randn(4, 5, 2, dtype=torch.float64)
    xi = torch.randn(4, 5, 3, dtype=torch.float64)
    # the same as an input of ones columns: one more input per neuron with weight 1
    wide = RNN(5, 3, nonlinearity="gamma", batch_first=batch_first, dtype=torch.float64)
    state = rnn.state_dict()
    state["weight_ih_l0"] = torch.cat([state["weight_ih_l0"], torch.eye(3).double()], 1)
    wide.load_state_dict(state)
    torch.testing.assert_close(rnn(x, drive=xi)[0], wide(torch.cat([x, xi], -1))[0], **CLOSE)
    for drive in (1.5, torch.tensor(1.5), xi[:1, :1], xi[0, 0], xi[0], xi[:, :1]):
        want = torch.as_tensor(drive).double().expand_as(xi).contiguous()
        torch.testing.assert_close(rnn(x, drive=drive)[0], rnn(x, drive=want)[0], **CLOSE)
    torch.testing.assert_close(
        rnn(x[0], drive=xi[0])[0], wide(torch.cat([x, xi], -1)[0])[0], **CLOSE
    )


def test_drive_on_packed_and_reverse():
    rnn = RNN(2, 3, nonlinearity="tanh", bidirectional=True, num_layers=2, dtype=torch.float64)
    sequences = [torch.randn(n, 2, dtype=torch.float64) for n in (2, 4, 3)]
    drive = torch.randn(4, 3, 3, dtype=torch.float64)
    packed = pack_sequence(sequences, enforce_sorted=False)
    output, last = rnn(packed, drive=drive)
    padded, _ = nn.utils.rnn.pad_packed_sequence(output)
    for b, x in enumerate(sequences):
        alone, state = rnn(x, drive=drive[: len(x), b])
        torch.testing.assert_close(padded[: len(x), b], alone, **CLOSE)
        torch.testing.assert_close(last[:, b], state, **CLOSE)


def test_step_is_the_call():
    rnn = RNN(2, 3, num_layers=2, nonlinearity="gamma", dtype=torch.float64)
    x, xi = torch.randn(6, 4, 2, dtype=torch.float64), torch.randn(6, 4, 3, dtype=torch.float64)
    state = alone = torch.zeros(2, 4, 3, dtype=torch.float64)
    alone = alone[:, 1]
    for x_t, xi_t in zip(x, xi, strict=True):
        state, alone = rnn.step(x_t, state, xi_t), rnn.step(x_t[1], alone, xi_t[1])
    want = rnn(x, drive=xi)[1]
    torch.testing.assert_close(state, want, **CLOSE)
    torch.testing.assert_close(alone, want[:, 1], **CLOSE)


def test_trace_of_every_layer_and_direction():
    rnn = RNN(2, 3, num_layers=2, bidirectional=True, nonlinearity="gamma", dtype=torch.float64)
    x = torch.randn(6, 4, 2, dtype=torch.float64)
    output, _ = rnn(x, drive=0.3)
    for direction in (0, 1):
        trace = rnn.trace(x, drive=0.3, layer=2 + direction)
        torch.testing.assert_close(trace.h, output[..., 3 * direction :][..., :3], **CLOSE)
        torch.testing.assert_close(trace.h, gamma(trace.a, trace.n, trace.s), **CLOSE)
        assert trace.g is None and not trace.h.requires_grad
    assert RNN(2, 3).trace(x.float()[:, 0]).n is None


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
def test_last_is_the_end_of_the_output(layers, bidirectional):
    rnn = RNN(2, 3, layers, "gamma", bidirectional=bidirectional, dtype=torch.float64)
    x = torch.randn(6, 4, 2, dtype=torch.float64)
    torch.testing.assert_close(rnn.last(x, drive=0.3), rnn(x, drive=0.3)[0][-1], **CLOSE)
    torch.testing.assert_close(rnn.last(x[:, 0]), rnn(x)[0][-1, 0], **CLOSE)


@settings(max_examples=50, deadline=None)
@given(
    steps=st.integers(1, 5),
    batch=st.integers(1, 4),
    size=st.integers(1, 6),
    inputs=st.integers(1, 3),
    nonlinearity=st.sampled_from(["tanh", "linear", "gamma", "gamma-shared"]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_neurons_are_interchangeable(steps, batch, size, inputs, nonlinearity, dtype):
    rnn = RNN(inputs, size, nonlinearity=nonlinearity, dtype=dtype)
    order = torch.randperm(size)
    other = RNN(inputs, size, nonlinearity=nonlinearity, dtype=dtype)
    state = {
        name: value[order] if value.ndim else value for name, value in rnn.state_dict().items()
    }
    state["weight_hh_l0"] = state["weight_hh_l0"][:, order]
    other.load_state_dict(state)
    x = torch.randn(steps, batch, inputs, dtype=dtype)
    output, h_n = rnn(x)
    assert output.shape == (steps, batch, size) and output.dtype == dtype
    assert torch.equal(output[-1], h_n[0])
    # float32: roundings of 6e-8 in sums of at most 10 terms over 5 steps
    tolerance = 1e-4 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(output[..., order], other(x)[0], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: RNN(0, 3), "input_size=0"),
        (lambda: RNN(2, 3, num_layers=0), "num_layers=0"),
        (lambda: RNN(2, 3, nonlinearity="gama"), "Did you mean 'gamma'"),
        (lambda: RNN(2, 3, dropout=2.0), "dropout=2.0"),
        (lambda: RNN(2, 3, nonlinearity="gamma", n="papr"), "Did you mean 'paper'"),
        (lambda: RNN(2, 3, nonlinearity="gamma", n=0.0), "n=0.0"),
        (lambda: RNN(2, 3, nonlinearity="gamma", s=torch.ones(2)), r"s.shape=\(2,\)"),
        (lambda: RNN(2, 3, backend="gpu")(torch.zeros(1, 1, 2)), "backend='gpu'"),
        (lambda: RNN(2, 3)(torch.zeros(4, 5, 3)), r"input.shape=\(4, 5, 3\)"),
        (lambda: RNN(2, 3)(torch.zeros(0, 5, 2)), "T >= 1 steps of time"),
        (lambda: RNN(2, 3).last(torch.zeros(4, 0, 2)), "only the call takes none"),
        (lambda: RNN(2, 3)(torch.zeros(4, 5, 2), torch.zeros(1, 4, 3)), r"hx \(h\)=\(1, 4, 3\)"),
        (lambda: RNN(2, 3)(torch.zeros(4, 5, 2), drive=torch.zeros(4)), r"drive.shape=\(4,\)"),
        (lambda: RNN(2, 3, bidirectional=True).step(torch.zeros(2), None), "bidirectional"),
        (lambda: RNN(2, 3).step(torch.zeros(5, 2), torch.zeros(5, 3)), r"state \(h\)"),
        (lambda: RNN(2, 3).trace(torch.zeros(4, 2), layer=1), "layer=1"),
    ],
)
def test_errors_say_what_is_wrong(call, message):
    with pytest.raises(InputError, match=message):
        call()
