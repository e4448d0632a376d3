"""The meaning of the operation in plain torch, which every faster version must equal."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from adaptrnn.activation import gamma, leaky

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
    current: Tensor,  # (..., N)
    h: Tensor,  # (..., N)
    weight_hh: Tensor,  # (N, N)
    n: Tensor | None,  # () or (N,)
    s: Tensor | None,  # () or (N,)
    nonlinearity: str,
    alpha: Tensor | None = None,  # (N,)
) -> tuple[Tensor, Tensor]:  # a, h: (..., N)
    """One time step: a = current + W_hh h, h = f(a; n, s), and the leak."""
    a = current + torch.nn.functional.linear(h, weight_hh)
    return a, leaky(h, ACTIVATIONS[nonlinearity](a, n, s), alpha)


def gamma_rnn(
    currents: Tensor,  # (T, B, N)
    h0: Tensor,  # (B, N)
    weight_hh: Tensor,  # (N, N)
    n: Tensor | None,  # () or (N,)
    s: Tensor | None,  # () or (N,)
    nonlinearity: str,
    alpha: Tensor | None = None,  # (N,)
) -> tuple[Tensor, Tensor]:  # h of all steps (T, B, N), the last (B, N)
    """All time steps. The input is unbound once: indexing it in the loop costs O(T^2) backward."""
    h, outputs = h0, []
    for current in currents.unbind(0):
        _, h = step(current, h, weight_hh, n, s, nonlinearity, alpha)
        outputs.append(h)
    return torch.stack(outputs), h


def gamma_rnn_trace(
    currents: Tensor,  # (T, B, N)
    h0: Tensor,  # (B, N)
    weight_hh: Tensor,  # (N, N)
    n: Tensor | None,  # () or (N,)
    s: Tensor | None,  # () or (N,)
    nonlinearity: str,
    alpha: Tensor | None = None,  # (N,)
) -> tuple[Tensor, Tensor]:  # a, h of all steps (T, B, N)
    """All time steps: activations and rates."""
    h, _ = gamma_rnn(currents, h0, weight_hh, n, s, nonlinearity, alpha)
    before = torch.cat([h0.unsqueeze(0), h[:-1]])
    return currents + torch.nn.functional.linear(before, weight_hh), h
