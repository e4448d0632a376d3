"""The reference of adaptive units against the equations in plain Python, a neuron at a time."""

from __future__ import annotations

import math

import pytest
import torch

from adaptrnn.kernels.arun import reference
from adaptrnn.kernels.arun.tensor import Weights

STEPS, BATCH, SIZE, UNITS, INPUTS = 6, 2, 3, 2, 2


def gamma(a, n, s):
    """The f-I curve by its formula; fine where n a is moderate."""
    return (1 - s) * math.log1p(math.exp(n * a)) / n + s / (1 + math.exp(-n * a))


def by_hand(x, h, g, w, sample):
    """(a, g, n, s, h) of every step and neuron of a sample, each neuron with its own loop."""
    signals = []
    h, g = h[sample].tolist(), g[sample].tolist()
    for t in range(STEPS):
        before, now = h, []
        for i in range(SIZE):
            a = float(w.bias_ih[i]) + sum(
                float(w.weight_ih[i, d] * x[t, sample, d]) for d in range(INPUTS)
            )
            a += sum(float(w.weight_hh[i, j]) * before[j] for j in range(SIZE))
            own = [
                math.tanh(
                    float(w.weight_ag[k]) * a
                    + sum(float(w.weight_gg[k, m]) * g[i][m] for m in range(UNITS))
                    + float(w.bias_g[k])
                )
                for k in range(UNITS)
            ]
            n, s = (
                float(w.bias_gc[r]) + sum(float(w.weight_gc[r, k]) * own[k] for k in range(UNITS))
                for r in range(2)
            )
            alpha = float(w.alpha[i])
            now.append((a, own, n, s, (1 - alpha) * before[i] + alpha * gamma(a, n, s)))
        g, h = [one[1] for one in now], [one[4] for one in now]
        signals.append(now)
    return signals


def test_every_signal_of_every_step_is_that_of_the_equations():
    generator = torch.Generator().manual_seed(0)

    def normal(*shape, scale=0.5):
        return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)

    weights = Weights(
        weight_hh=normal(SIZE, SIZE),
        weight_ag=normal(UNITS),
        weight_gg=normal(UNITS, UNITS),
        bias_g=normal(UNITS),
        weight_gc=normal(2, UNITS),
        bias_gc=torch.tensor([3.0, 0.2], dtype=torch.float64),
        alpha=torch.tensor([0.2, 0.7, 1.0], dtype=torch.float64),
        weight_ih=normal(SIZE, INPUTS),
        bias_ih=normal(SIZE),
    )
    x, h, g = normal(STEPS, BATCH, INPUTS), normal(BATCH, SIZE), normal(BATCH, SIZE, UNITS)
    found = reference.arun_trace(x, h, g, weights)
    for sample in range(BATCH):
        for t, neurons in enumerate(by_hand(x, h, g, weights, sample)):
            for i, wanted in enumerate(neurons):
                here = [signal[t, sample, i].tolist() for signal in found]
                for one, other in zip(here, wanted, strict=True):
                    # some tens of float64 roundings of 1e-16
                    assert one == pytest.approx(other, rel=1e-12, abs=1e-13)
    outputs, last, state = reference.arun(x, h, g, weights)
    assert torch.equal(outputs, found.h)
    assert torch.equal(last, found.h[-1]) and torch.equal(state, found.g[-1])
