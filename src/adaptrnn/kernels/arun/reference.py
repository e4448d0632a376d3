"""The meaning of the operation in plain torch, which every faster version must equal."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from adaptrnn.activation import gamma, leaky


def control(
    a: Tensor,  # (...,)
    g: Tensor,  # (..., G)
    weight_ag: Tensor,  # (G,)
    weight_gg: Tensor,  # (G, G)
    bias_g: Tensor,  # (G,)
    weight_gc: Tensor,  # (2, G)
    bias_gc: Tensor,  # (2,)
) -> tuple[Tensor, Tensor, Tensor]:  # g (..., G), n (...,), s (...,)
    """One step of the controller: g' = tanh(W_ag a + W_gg g + b_g), [n, s] = W_gc g' + b_c."""
    g = torch.tanh(linear(g, weight_gg, bias_g) + a.unsqueeze(-1) * weight_ag)
    n, s = linear(g, weight_gc, bias_gc).unbind(-1)
    return g, n, s


def step(
    current: Tensor,  # (..., N)
    h: Tensor,  # (..., N)
    g: Tensor,  # (..., N, G)
    weight_hh: Tensor,  # (N, N)
    *controller: Tensor,
    alpha: Tensor | None = None,  # (N,)
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # a, g, n, s, h
    """One time step: a = current + W_hh h, the controller, h = gamma(a; n, s), and the leak."""
    a = current + linear(h, weight_hh)
    g, n, s = control(a, g, *controller)
    return a, g, n, s, leaky(h, gamma(a, n, s), alpha)


def arun(
    currents: Tensor,  # (T, B, N)
    h0: Tensor,  # (B, N)
    g0: Tensor,  # (B, N, G)
    weight_hh: Tensor,  # (N, N)
    *controller: Tensor,
    alpha: Tensor | None = None,  # (N,)
) -> tuple[Tensor, Tensor, Tensor]:  # h (T, B, N), last h (B, N), last g (B, N, G)
    """All time steps. The input is unbound once: indexing it in the loop costs O(T^2) backward."""
    h, g, outputs = h0, g0, []
    for current in currents.unbind(0):
        _, g, _, _, h = step(current, h, g, weight_hh, *controller, alpha=alpha)
        outputs.append(h)
    return torch.stack(outputs), h, g


def arun_trace(
    currents: Tensor,  # (T, B, N)
    h0: Tensor,  # (B, N)
    g0: Tensor,  # (B, N, G)
    weight_hh: Tensor,  # (N, N)
    *controller: Tensor,
    alpha: Tensor | None = None,  # (N,)
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # a, g, n, s, h, each (T, B, N[, G])
    """All time steps and every internal signal."""
    h, g, signals = h0, g0, []
    for current in currents.unbind(0):
        signals.append(step(current, h, g, weight_hh, *controller, alpha=alpha))
        _, g, _, _, h = signals[-1]
    a, g, n, s, h = (torch.stack(signal) for signal in zip(*signals, strict=True))
    return a, g, n, s, h
