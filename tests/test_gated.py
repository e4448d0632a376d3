"""LSTM and GRU: torch's own without a drive, an equal network with wider input with one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from adaptrnn import GRU, LSTM, InputError

pytestmark = pytest.mark.usefixtures("shapes_checked")

KINDS = [(LSTM, nn.LSTM, 4), (GRU, nn.GRU, 3)]


@pytest.mark.parametrize("ours, theirs, gates", KINDS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_without_and_with_a_drive(ours, theirs, gates, batch_first):
    core = ours(2, 3, batch_first=batch_first, dtype=torch.float64)
    x = torch.randn(5, 4, 2, dtype=torch.float64)
    plain = theirs(2, 3, batch_first=batch_first, dtype=torch.float64)
    plain.load_state_dict(core.state_dict())
    assert torch.equal(core(x)[0], plain(x)[0])
    # a drive is one more input per neuron that enters each gate with weight 1
    wide = theirs(5, 3, batch_first=batch_first, dtype=torch.float64)
    state = core.state_dict()
    state["weight_ih_l0"] = torch.cat(
        [state["weight_ih_l0"], torch.eye(3).double().repeat(gates, 1)], 1
    )
    wide.load_state_dict(state)
    xi = torch.randn(5, 4, 3, dtype=torch.float64)
    for drive in (0.7, xi, xi[..., :1], xi[:1]):
        full = torch.as_tensor(drive, dtype=torch.float64).expand_as(xi)
        want, want_state = wide(torch.cat([x, full], -1))
        got, got_state = core(x, None, drive)
        # the same products, summed in another order
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(got_state, want_state, rtol=1e-12, atol=1e-12)
    alone, _ = core(x[0], drive=xi[0])
    want, _ = wide(torch.cat([x, xi], -1)[0])
    torch.testing.assert_close(alone, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("ours, theirs, gates", KINDS)
def test_step_is_the_call(ours, theirs, gates):
    core = ours(2, 3, dtype=torch.float64)
    x, xi = torch.randn(6, 4, 2, dtype=torch.float64), torch.randn(6, 4, 3, dtype=torch.float64)
    zero = torch.zeros(1, 4, 3, dtype=torch.float64)
    state = (zero, zero) if ours is LSTM else zero
    for x_t, xi_t in zip(x, xi, strict=True):
        state = core.step(x_t, state, xi_t)
    torch.testing.assert_close(state, core(x, drive=xi)[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("ours, theirs, gates", KINDS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_trace_is_the_call(ours, theirs, gates, batch_first):
    core = ours(2, 3, batch_first=batch_first, dtype=torch.float64)
    x, xi = torch.randn(6, 4, 2, dtype=torch.float64), torch.randn(6, 4, 3, dtype=torch.float64)
    for input, drive in ((x, xi), (x, 0.5), (x, None), (x[0], xi[0])):
        trace, (output, state) = core.trace(input, drive=drive), core(input, drive=drive)
        torch.testing.assert_close(trace.h, output, rtol=1e-12, atol=1e-12)
        if ours is LSTM and input.ndim == 3:
            last = trace.c[:, -1] if batch_first else trace.c[-1]
            torch.testing.assert_close(last, state[1][0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("ours, theirs, gates", KINDS)
def test_gradients_reach_the_weights_through_a_drive(ours, theirs, gates):
    core = ours(2, 3)
    core(torch.randn(4, 1, 2), drive=torch.ones(4, 1, 3))[0].sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in core.parameters())


@pytest.mark.parametrize("ours", [LSTM, GRU])
@pytest.mark.parametrize("shape", [(1, 1, 4), (1, 3, 5), (2, 3, 4), (3, 4)])
def test_a_state_that_does_not_fit_is_refused(ours, shape):
    """With a drive torch's own function runs unchecked and would read beyond the state."""
    core, x, wrong, right = (
        ours(2, 4),
        torch.zeros(5, 3, 2),
        torch.zeros(shape),
        torch.zeros(1, 3, 4),
    )
    states = [(wrong, right), (right, wrong)] if ours is LSTM else [wrong]
    for hx in states:
        for call in (
            lambda hx=hx: core(x, hx, drive=1.0),
            lambda hx=hx: core.trace(x, hx),
            lambda hx=hx: core.step(x[0], hx),
        ):
            with pytest.raises(InputError, match=r"(hx|state).*must be of shape \(1, 3, 4\)"):
                call()
    with pytest.raises(InputError, match=r"input.shape=\(5, 3\).*D = input_size = 2"):
        core(torch.zeros(5, 3), drive=1.0)
    if ours is LSTM:
        with pytest.raises(InputError, match="proj_size"):
            LSTM(2, 4, proj_size=2).step(x[0], (right, right))


def test_errors():
    with pytest.raises(InputError, match="one layer"):
        LSTM(2, 3, num_layers=2)(torch.zeros(4, 1, 2), drive=1.0)
    with pytest.raises(InputError, match=r"drive.shape=\(7,\)"):
        GRU(2, 3)(torch.zeros(4, 1, 2), drive=torch.zeros(7))
