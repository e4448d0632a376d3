"""Checks and dispatch of the recurrent layer with a static nonlinearity."""

from __future__ import annotations

import torch
from torch import Tensor

from adaptrnn._error import bad, choose
from adaptrnn.kernels.gamma_rnn import reference

BACKENDS = ("auto", "reference")


def gamma_rnn(
    currents: Tensor,
    h0: Tensor,
    weight_hh: Tensor,
    n: Tensor | None = None,
    s: Tensor | None = None,
    nonlinearity: str = "gamma",
    *,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Rates h_t = f(currents_t + W_hh h_{t-1}; n, s) over a whole sequence.

    Args:
        currents: (T, B, N), everything that does not depend on h: input, biases and drive.
        h0: (B, N), initial rates.
        weight_hh: (N, N), recurrent weights.
        n: gain, () shared or (N,) one per neuron; only for "gamma".
        s: saturation, as `n`.
        nonlinearity: "tanh", "relu", "linear", "softplus", "sigmoid" or "gamma".
        backend: "auto" or "reference".

    Returns:
        Rates of all steps (T, B, N) and of the last (B, N).

    Raises:
        InputError: shapes that do not fit, an unknown name.

    Example:
        >>> h, last = gamma_rnn(torch.ones(5, 2, 3), torch.zeros(2, 3), torch.eye(3),
        ...                     nonlinearity="linear")
        >>> last[0]
        tensor([5., 5., 5.])
    """
    _check(currents, h0, weight_hh, n, s, nonlinearity)
    choose("backend", backend, BACKENDS)
    return reference.gamma_rnn(currents, h0, weight_hh, n, s, nonlinearity)


def gamma_rnn_trace(
    currents: Tensor,
    h0: Tensor,
    weight_hh: Tensor,
    n: Tensor | None = None,
    s: Tensor | None = None,
    nonlinearity: str = "gamma",
    *,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Activations a and rates h of all time steps, each (T, B, N); arguments as `gamma_rnn`.

    Example:
        >>> a, h = gamma_rnn_trace(torch.ones(5, 2, 3), torch.zeros(2, 3), torch.eye(3),
        ...                        nonlinearity="relu")
        >>> torch.equal(h, a.relu())
        True
    """
    h, _ = gamma_rnn(currents, h0, weight_hh, n, s, nonlinearity, backend=backend)
    before = torch.cat([h0.unsqueeze(0), h[:-1]])
    return currents + torch.nn.functional.linear(before, weight_hh), h


def _check(
    currents: Tensor,
    h0: Tensor,
    weight_hh: Tensor,
    n: Tensor | None,
    s: Tensor | None,
    nonlinearity: str,
) -> None:
    choose("nonlinearity", nonlinearity, reference.ACTIVATIONS)
    if currents.ndim != 3 or 0 in currents.shape:
        raise bad("currents.shape", tuple(currents.shape), "(T, B, N), each at least 1")
    _, batch, size = currents.shape
    if h0.shape != (batch, size):
        raise bad("h0.shape", tuple(h0.shape), f"(B, N) = ({batch}, {size})")
    if weight_hh.shape != (size, size):
        raise bad("weight_hh.shape", tuple(weight_hh.shape), f"(N, N) = ({size}, {size})")
    for name, value in (("n", n), ("s", s)):
        if nonlinearity == "gamma":
            if value is None or value.shape not in ((), (size,)):
                shape = None if value is None else tuple(value.shape)
                raise bad(f"{name}.shape", shape, f"() or (N,) = ({size},)")
        elif value is not None:
            raise bad(name, "a tensor", f"None for nonlinearity={nonlinearity!r}")
