"""Plain torch says what the operation means, and every faster version must equal it."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor
from torch.nn.functional import linear

from adaptrnn.activation import gamma, leaky
from adaptrnn.kernels.arun.tensor import ControllerWeights, Signals, Weights


def control(
    a: Annotated[Tensor, "*S"],
    g: Annotated[Tensor, "*S G"],
    weights: ControllerWeights | Weights,
) -> tuple[Annotated[Tensor, "*S G"], Annotated[Tensor, "*S"], Annotated[Tensor, "*S"]]:
    """Step the controller: g' = tanh(W_ag a + W_gg g + b_g), [n, s] = W_gc g' + b_c."""
    inner = linear(g, weights.weight_gg, weights.bias_g) + a.unsqueeze(-1) * weights.weight_ag
    g = torch.tanh(inner)
    n, s = linear(g, weights.weight_gc, weights.bias_gc).unbind(-1)
    return g, n, s


def step(
    current: Annotated[Tensor, "*S N"],
    h: Annotated[Tensor, "*S N"],
    g: Annotated[Tensor, "*S N G"],
    weights: Weights,
) -> Signals:
    """Compute one time step: a = current + W_hh h, controller, h = gamma(a; n, s), leak."""
    a = current + linear(h, weights.weight_hh)
    g, n, s = control(a, g, weights)
    return Signals(a, g, n, s, leaky(h, gamma(a, n, s), weights.alpha))


def _currents(x: Tensor, weights: Weights) -> Tensor:
    """The currents of all steps, W_ih x_t + b_ih, or those that are given, (T, B, N)."""
    return x if weights.weight_ih is None else linear(x, weights.weight_ih, weights.bias_ih)


def arun(
    currents: Annotated[Tensor, "T B D"],  # (T, B, N) without weight_ih
    h0: Annotated[Tensor, "B N"],
    g0: Annotated[Tensor, "B N G"],
    weights: Weights,
) -> tuple[Annotated[Tensor, "T B N"], Annotated[Tensor, "B N"], Annotated[Tensor, "B N G"]]:
    """Compute all time steps.

    The input is unbound once: indexing it in the loop costs O(T^2) backward.
    """
    h, g, outputs = h0, g0, []
    for current in _currents(currents, weights).unbind(0):
        _, g, _, _, h = step(current, h, g, weights)
        outputs.append(h)
    return torch.stack(outputs), h, g


def arun_trace(
    currents: Annotated[Tensor, "T B D"],  # (T, B, N) without weight_ih
    h0: Annotated[Tensor, "B N"],
    g0: Annotated[Tensor, "B N G"],
    weights: Weights,
) -> Signals:  # each (T, B, N[, G])
    """Record every internal signal of all time steps."""
    h, g, signals = h0, g0, []
    for current in _currents(currents, weights).unbind(0):
        signals.append(step(current, h, g, weights))
        _, g, _, _, h = signals[-1]
    return Signals(*(torch.stack(signal) for signal in zip(*signals, strict=True)))
