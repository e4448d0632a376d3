"""Checks and dispatch of the layer of adaptive recurrent units."""

from __future__ import annotations

from torch import Tensor

from adaptrnn._error import bad, choose
from adaptrnn.kernels.arun import reference

BACKENDS = ("auto", "reference")


def arun(
    currents: Tensor,
    h0: Tensor,
    g0: Tensor,
    weight_hh: Tensor,
    weight_ag: Tensor,
    weight_gg: Tensor,
    bias_g: Tensor,
    weight_gc: Tensor,
    bias_gc: Tensor,
    *,
    backend: str = "auto",
) -> tuple[Tensor, Tensor, Tensor]:
    """Rates of a layer of adaptive recurrent units (Geadah et al. 2024, Methods).

        a_t = currents_t + W_hh h_{t-1}
        g_t = tanh(W_ag a_t + W_gg g_{t-1} + b_g)       one state per neuron, weights shared
        [n_t, s_t] = W_gc g_t + b_c
        h_t = gamma(a_t; n_t, s_t)

    Args:
        currents: (T, B, N), everything that does not depend on h: input, biases and drive.
        h0: (B, N), initial rates.
        g0: (B, N, G), initial controller state of every neuron.
        weight_hh: (N, N), recurrent weights.
        weight_ag: (G,), from a neuron's activation to its controller.
        weight_gg: (G, G), within the controller.
        bias_g: (G,).
        weight_gc: (2, G), readout of n (row 0) and s (row 1).
        bias_gc: (2,).
        backend: "auto" or "reference".

    Returns:
        Rates of all steps (T, B, N), of the last (B, N), and the last controller state (B, N, G).

    Raises:
        InputError: shapes that do not fit, an unknown name.

    Example:
        >>> import torch
        >>> zero = torch.zeros
        >>> h, last, g = arun(torch.ones(5, 2, 3), zero(2, 3), zero(2, 3, 4), zero(3, 3), zero(4),
        ...                   zero(4, 4), zero(4), zero(2, 4), torch.tensor([1.0, 0.0]))
        >>> torch.allclose(h, torch.nn.functional.softplus(torch.ones(5, 2, 3)))
        True
    """
    controller = (weight_ag, weight_gg, bias_g, weight_gc, bias_gc)
    _check(currents, h0, g0, weight_hh, *controller)
    choose("backend", backend, BACKENDS)
    return reference.arun(currents, h0, g0, weight_hh, *controller)


def arun_trace(
    currents: Tensor,
    h0: Tensor,
    g0: Tensor,
    weight_hh: Tensor,
    weight_ag: Tensor,
    weight_gg: Tensor,
    bias_g: Tensor,
    weight_gc: Tensor,
    bias_gc: Tensor,
    *,
    backend: str = "auto",
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Every internal signal (a, g, n, s, h) of all time steps; arguments as `arun`.

    Returns:
        a, g, n, s, h: each (T, B, N), g (T, B, N, G).

    Example:
        >>> import torch
        >>> zero = torch.zeros
        >>> a, g, n, s, h = arun_trace(torch.ones(5, 2, 3), zero(2, 3), zero(2, 3, 4), zero(3, 3),
        ...                            zero(4), zero(4, 4), zero(4), zero(2, 4), zero(2) + 1)
        >>> g.shape, float(n.min())
        (torch.Size([5, 2, 3, 4]), 1.0)
    """
    controller = (weight_ag, weight_gg, bias_g, weight_gc, bias_gc)
    _check(currents, h0, g0, weight_hh, *controller)
    choose("backend", backend, BACKENDS)
    return reference.arun_trace(currents, h0, g0, weight_hh, *controller)


def _check(
    currents: Tensor,
    h0: Tensor,
    g0: Tensor,
    weight_hh: Tensor,
    weight_ag: Tensor,
    weight_gg: Tensor,
    bias_g: Tensor,
    weight_gc: Tensor,
    bias_gc: Tensor,
) -> None:
    if currents.ndim != 3 or 0 in currents.shape:
        raise bad("currents.shape", tuple(currents.shape), "(T, B, N), each at least 1")
    if g0.ndim != 3 or 0 in g0.shape:
        raise bad("g0.shape", tuple(g0.shape), "(B, N, G), each at least 1")
    (_, batch, size), units = currents.shape, g0.shape[-1]
    for name, value, axes, shape in (
        ("h0", h0, "B, N", (batch, size)),
        ("g0", g0, "B, N, G", (batch, size, units)),
        ("weight_hh", weight_hh, "N, N", (size, size)),
        ("weight_ag", weight_ag, "G,", (units,)),
        ("weight_gg", weight_gg, "G, G", (units, units)),
        ("bias_g", bias_g, "G,", (units,)),
        ("weight_gc", weight_gc, "2, G", (2, units)),
        ("bias_gc", bias_gc, "2,", (2,)),
    ):
        if tuple(value.shape) != shape:
            raise bad(f"{name}.shape", tuple(value.shape), f"({axes}) = {shape}")
