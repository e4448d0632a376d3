"""The operation takes and gives named tuples of tensors.

T is the number of time steps, B of samples, N of neurons, D of inputs.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from torch import Tensor


class Weights(NamedTuple):
    """A recurrent layer with a static nonlinearity, of N neurons and D inputs, has these weights.

    Attributes:
        weight_hh: (N, N), recurrent weights.
        n: gain, () shared or (N,) one per neuron; only for "gamma".
        s: saturation, as `n`.
        alpha: (N,), dt / tau, 0 < alpha <= 1, of leaky neurons, whose rate is
            (1 - alpha) h_{t-1} + alpha f(a_t; n, s); None for 1.
        weight_ih: (N, D), the input weights, or None where currents are given. The currents of few
            inputs (small D) are then never stored, unless the input's own gradient is wanted.
        bias_ih: (N,), all that is added to every current, or None for 0.
    """

    weight_hh: Annotated[Tensor, "N N"]
    n: Annotated[Tensor, "N"] | Annotated[Tensor, ""] | None = None
    s: Annotated[Tensor, "N"] | Annotated[Tensor, ""] | None = None
    alpha: Annotated[Tensor, "N"] | None = None
    weight_ih: Annotated[Tensor, "N D"] | None = None
    bias_ih: Annotated[Tensor, "N"] | None = None


class Inputs(NamedTuple):
    """The layer is given these; `currents` is the input where there are input weights."""

    currents: Tensor
    h0: Tensor


class Results(NamedTuple):
    """The layer gives these results."""

    output: Tensor
    h_last: Tensor


class Slopes(NamedTuple):
    """These are the gradients of `Results`, None for zeros."""

    grad_output: Tensor | None
    grad_h_last: Tensor | None
