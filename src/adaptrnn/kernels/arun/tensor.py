"""The operation takes and gives named tuples of tensors.

T is the number of time steps, B of samples, N of neurons, D of inputs, G of controller units.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from torch import Tensor


class ControllerWeights(NamedTuple):
    """The controller of adaptive recurrent units, of G units, has these weights.

    Attributes:
        weight_ag: (G,), from a neuron's activation to its controller.
        weight_gg: (G, G), within the controller.
        bias_g: (G,).
        weight_gc: (2, G), readout of n (row 0) and s (row 1).
        bias_gc: (2,).
    """

    weight_ag: Annotated[Tensor, "G"]
    weight_gg: Annotated[Tensor, "G G"]
    bias_g: Annotated[Tensor, "G"]
    weight_gc: Annotated[Tensor, "2 G"]
    bias_gc: Annotated[Tensor, "2"]


class Weights(NamedTuple):
    """A layer of adaptive recurrent units, of N neurons and D inputs, has these weights.

    Attributes:
        weight_hh: (N, N), recurrent weights.
        weight_ag: (G,), and so on to `bias_gc` as in `ControllerWeights`.
        weight_gg: (G, G).
        bias_g: (G,).
        weight_gc: (2, G).
        bias_gc: (2,).
        alpha: (N,), dt / tau, 0 < alpha <= 1, of leaky neurons, whose rate is
            (1 - alpha) h_{t-1} + alpha gamma(a_t; n_t, s_t); None for 1.
        weight_ih: (N, D), the input weights, or None where currents are given. The currents of few
            inputs (small D) are then never stored, unless the input's own gradient is wanted.
        bias_ih: (N,), all that is added to every current, or None for 0.
    """

    weight_hh: Annotated[Tensor, "N N"]
    weight_ag: Annotated[Tensor, "G"]
    weight_gg: Annotated[Tensor, "G G"]
    bias_g: Annotated[Tensor, "G"]
    weight_gc: Annotated[Tensor, "2 G"]
    bias_gc: Annotated[Tensor, "2"]
    alpha: Annotated[Tensor, "N"] | None = None
    weight_ih: Annotated[Tensor, "N D"] | None = None
    bias_ih: Annotated[Tensor, "N"] | None = None


class Signals(NamedTuple):
    """One time step computes these signals: a, n, s, h (..., N) and g (..., N, G)."""

    a: Annotated[Tensor, "*S N"]
    g: Annotated[Tensor, "*S N G"]
    n: Annotated[Tensor, "*S N"]
    s: Annotated[Tensor, "*S N"]
    h: Annotated[Tensor, "*S N"]


class Inputs(NamedTuple):
    """The layer is given these; `currents` is the input where there are input weights."""

    currents: Tensor
    h0: Tensor
    g0: Tensor


class Results(NamedTuple):
    """The layer gives these results."""

    output: Tensor
    h_last: Tensor
    g_last: Tensor


class Slopes(NamedTuple):
    """These are the gradients of `Results`, None for zeros."""

    grad_output: Tensor | None
    grad_h_last: Tensor | None
    grad_g_last: Tensor | None
