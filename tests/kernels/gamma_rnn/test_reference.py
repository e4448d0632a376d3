"""The reference of a static layer: curves by their formulas, linear networks by matrix powers."""

from __future__ import annotations

import math

import pytest
import torch
from torch.linalg import matrix_power

from adaptrnn.kernels.gamma_rnn import reference
from adaptrnn.kernels.gamma_rnn.tensor import Weights

FORMULAS = {
    "tanh": lambda a: 1 - 2 / (math.exp(2 * a) + 1),
    "relu": lambda a: max(a, 0.0),
    "linear": lambda a: a,
    "softplus": lambda a: math.log(1 + math.exp(a)),
    "sigmoid": lambda a: 1 / (1 + math.exp(-a)),
    # n = 3, s = 0.4
    "gamma": lambda a: 0.6 * math.log(1 + math.exp(3 * a)) / 3 + 0.4 / (1 + math.exp(-3 * a)),
}


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("name", reference.ACTIVATIONS)
def test_one_step_without_recurrence_is_the_curve(name):
    currents = torch.linspace(-4, 4, 33, dtype=torch.float64)
    weights = Weights(torch.zeros(33, 33, dtype=torch.float64), double(3.0), double(0.4))
    a, h = reference.step(currents, torch.ones_like(currents), weights, name)
    assert torch.equal(a, currents)
    # the formulas lose digits where exp is near 1 or much larger than 1: e^8 roundings of 1e-16
    assert h.tolist() == pytest.approx([FORMULAS[name](x) for x in currents.tolist()], abs=1e-12)


@pytest.mark.parametrize("alpha", [None, (0.1, 0.5, 1.0)])
def test_a_linear_network_is_a_power_of_its_matrix(alpha):
    """h_t = M^t h_0 + (I - M)^-1 (I - M^t) α c, M = (1 - α) I + α W, for a constant current c."""
    generator = torch.Generator().manual_seed(1)
    weight = 0.3 * torch.randn(3, 3, generator=generator, dtype=torch.float64)
    x, weight_ih, bias = double(0.5, -1.0), double([1.0, 2.0], [0.0, 1.0], [-1.0, 0.3]), double(1)
    bias_ih, h0 = bias.expand(3).clone(), double([0.2, -0.4, 1.0])
    leak = None if alpha is None else double(*alpha)
    weights = Weights(weight, alpha=leak, weight_ih=weight_ih, bias_ih=bias_ih)
    steps = 12
    outputs, last = reference.gamma_rnn(x.expand(steps, 1, 2), h0, weights, "linear")
    identity = torch.eye(3, dtype=torch.float64)
    share = identity if leak is None else torch.diag(leak)
    matrix = identity - share + share @ weight
    current = share @ (weight_ih @ x + bias_ih)
    for t in range(1, steps + 1):
        power = matrix_power(matrix, t)
        wanted = power @ h0[0] + torch.linalg.solve(identity - matrix, (identity - power) @ current)
        # the condition of I - M, below 100 here, times a rounding of 1e-16
        assert torch.allclose(outputs[t - 1, 0], wanted, rtol=1e-11, atol=1e-12)
    assert torch.equal(last, outputs[-1])
    a, h = reference.gamma_rnn_trace(x.expand(steps, 1, 2), h0, weights, "linear")
    assert torch.equal(h, outputs)
    before = torch.cat([h0[None], h[:-1]])
    # (1 - α) h + α a is the next rate, so the trace's currents are those that made the rates
    assert torch.allclose((1 - share.diagonal()) * before + share.diagonal() * a, h, rtol=1e-12)
