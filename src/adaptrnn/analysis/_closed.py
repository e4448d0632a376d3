"""The derivatives of one time step have closed forms in the networks whose equations we know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from adaptrnn.activation import gamma, gamma_dn, gamma_ds, gamma_dx, leaky
from adaptrnn.arun import ARUN

Step = Callable[[Tensor | None, Tensor, Tensor | None], Tensor]
Push = Callable[[Tensor | None, Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor]]
Slope = Callable[[Tensor | None, Tensor, Tensor | None], tuple[Tensor, Tensor]]
Curve = Callable[[Tensor], tuple[Tensor, Tensor]]


def gamma_curve(n: Tensor, s: Tensor) -> Curve:
    """Return value and slope of gamma at gains n and saturations s, each (N,), (B, N) or ()."""
    return lambda a: (gamma(a, n, s), gamma_dx(a, n, s))


def tanh_slope(a: Annotated[Tensor, "*S"]) -> Annotated[Tensor, "*S"]:
    """Compute 1 / cosh(a)^2 with the digits that 1 - tanh(a)^2 loses in a saturated unit.

    Example:
        >>> tanh_slope(torch.tensor([0.0, 20.0]))
        tensor([1.0000e+00, 1.6993e-17])
    """
    small = torch.exp(-2 * a.abs())
    return 4 * small / (1 + small) ** 2


CLOSED_CURVES: dict[str, Curve] = {
    "tanh": lambda a: (torch.tanh(a), tanh_slope(a)),
    "relu": lambda a: (torch.relu(a), (a > 0).to(a.dtype)),
    "linear": lambda a: (a, torch.ones_like(a)),
    "softplus": lambda a: (nn.functional.softplus(a), torch.sigmoid(a)),
    "sigmoid": lambda a: (torch.sigmoid(a), torch.sigmoid(a) * torch.sigmoid(-a)),
}


def arun_push(network: ARUN) -> Push:
    """Push tangents of (h, g) through one step of an ARUN with the paper's controller.

    With dh (B, k, N) and dg (B, k, N, G), and q = g_t:
    da = W_hh dh, dq = tanh'(...)(W_ag da + W_gg dg), [dn, ds] = W_gc dq,
    dh' = gamma_x da + gamma_n dn + gamma_s ds, of leaky neurons (1 - alpha) dh + alpha times this.
    """
    weights = network._weights(0)
    assert weights is not None  # such a controller has them
    weight_hh, weight_ag, weight_gg, bias_g, weight_gc, bias_gc, alpha, *_ = weights
    neurons, units, bias = network.hidden_size, len(bias_g), network._input_bias(0)
    weight_ih = network._parameter("weight_ih", 0)

    def push(x: Tensor | None, z: Tensor, v: Tensor, drive: Tensor | None) -> tuple[Tensor, Tensor]:
        h, g = z[:, :neurons], z[:, neurons:].unflatten(1, (neurons, units))
        a = linear(h, weight_hh, bias)
        if x is not None:
            a = a + linear(x, weight_ih)
        if drive is not None:
            a = a + drive
        below = linear(g, weight_gg, bias_g) + a.unsqueeze(-1) * weight_ag
        q = torch.tanh(below)
        n, s = linear(q, weight_gc, bias_gc).unbind(-1)
        rows = v.mT  # (B, k, S), which is how a QR leaves them in memory
        da = linear(rows[..., :neurons], weight_hh)
        dq = linear(rows[..., neurons:].unflatten(2, (neurons, units)), weight_gg)
        dq.addcmul_(da.unsqueeze(-1), weight_ag).mul_(tanh_slope(below).unsqueeze(1))
        dn, ds = linear(dq, weight_gc).unbind(-1)
        dh = gamma_dx(a, n, s).unsqueeze(1) * da
        dh += gamma_dn(a, n, s).unsqueeze(1) * dn
        dh += gamma_ds(a, n, s).unsqueeze(1) * ds
        if alpha is not None:
            dh = (1 - alpha) * rows[..., :neurons] + alpha * dh
        state = torch.cat([leaky(h, gamma(a, n, s), alpha), q.flatten(1)], 1)
        return state, torch.cat([dh, dq.flatten(2)], 2).mT

    return push
