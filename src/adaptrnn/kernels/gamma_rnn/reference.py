"""Plain torch says what the operation means, and every faster version must equal it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor
from torch.nn.functional import linear

from adaptrnn.activation import gamma, leaky
from adaptrnn.kernels.gamma_rnn.tensor import Weights

ACTIVATIONS: dict[str, Callable[[Tensor, Tensor | None, Tensor | None], Tensor]] = {
    "tanh": lambda a, n, s: torch.tanh(a),
    "relu": lambda a, n, s: torch.relu(a),
    "linear": lambda a, n, s: a,
    # its own threshold, 20, is an error of 2e-9
    "softplus": lambda a, n, s: torch.nn.functional.softplus(a, threshold=40),
    "sigmoid": lambda a, n, s: torch.sigmoid(a),
    "gamma": lambda a, n, s: gamma(a, n, s),  # type: ignore[arg-type]
}
"""f(a; n, s) by name; only gamma uses n and s."""


def step(
    current: Annotated[Tensor, "*S N"],
    h: Annotated[Tensor, "*S N"],
    weights: Weights,
    nonlinearity: str,
) -> tuple[Annotated[Tensor, "*S N"], Annotated[Tensor, "*S N"]]:
    """Compute one time step: a = current + W_hh h, h = f(a; n, s), and the leak."""
    a = current + linear(h, weights.weight_hh)
    rate = ACTIVATIONS[nonlinearity](a, weights.n, weights.s)
    return a, leaky(h, rate, weights.alpha)


def _currents(x: Tensor, weights: Weights) -> Tensor:
    """The currents of all steps, W_ih x_t + b_ih, or those that are given, (T, B, N)."""
    return x if weights.weight_ih is None else linear(x, weights.weight_ih, weights.bias_ih)


def gamma_rnn(
    currents: Annotated[Tensor, "T B D"],  # (T, B, N) without weight_ih
    h0: Annotated[Tensor, "B N"],
    weights: Weights,
    nonlinearity: str,
) -> tuple[Annotated[Tensor, "T B N"], Annotated[Tensor, "B N"]]:
    """Compute all time steps.

    The input is unbound once: indexing it in the loop costs O(T^2) backward.
    """
    h, outputs = h0, []
    for current in _currents(currents, weights).unbind(0):
        _, h = step(current, h, weights, nonlinearity)
        outputs.append(h)
    return torch.stack(outputs), h


def gamma_rnn_trace(
    currents: Annotated[Tensor, "T B D"],  # (T, B, N) without weight_ih
    h0: Annotated[Tensor, "B N"],
    weights: Weights,
    nonlinearity: str,
) -> tuple[Annotated[Tensor, "T B N"], Annotated[Tensor, "T B N"]]:
    """Record activations and rates of all time steps."""
    h, _ = gamma_rnn(currents, h0, weights, nonlinearity)
    before = torch.cat([h0.unsqueeze(0), h[:-1]])
    return _currents(currents, weights) + linear(before, weights.weight_hh), h
