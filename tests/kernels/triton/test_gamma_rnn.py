"""The loops of a static layer for GPUs, with kernels in plain torch; no GPU, no triton needed."""

from __future__ import annotations

import pytest
import torch

from adaptrnn.activation import gamma
from adaptrnn.kernels.triton import device, gamma_rnn, verify
from adaptrnn.kernels.triton.launch import tile


class Launched:
    """A kernel: what it does, called with the grid first."""

    def __init__(self, function):
        self.function = function

    def __getitem__(self, grid):
        return lambda *arguments, **options: self.function(grid, *arguments, **options)


class TorchKernels:
    """One time step of each pass, as the kernels' own comments describe it."""

    def __init__(self, factor=1.0):
        self.gamma_forward, self.gamma_backward = Launched(self.forward), Launched(self.backward)
        self.factor, self.grids = factor, []

    def forward(
        self, grid, currents, before, weight_hh, n, s, h, a, t, at, h_at, a_at, *_, **options
    ):
        self.grids.append(grid)
        batch, size = currents.shape[1:]
        x = currents[t] + before.reshape(-1, batch, size)[at] @ weight_hh.T
        a[a_at], h[h_at] = x, gamma(x, n, s)

    def backward(
        self, grid, grad_output, dh, a, weight_hh, n, s, da, sums, t, *_, GIVEN, LAST, **options
    ):
        slope = dh if LAST else da[t + 1] @ weight_hh + (grad_output[t] if GIVEN else 0)
        with torch.enable_grad():
            many = [value.expand_as(a[t]).detach().requires_grad_() for value in (a[t], n, s)]
            by_x, by_n, by_s = torch.autograd.grad(gamma(*many), many, slope)
        da[t] = by_x
        sums[:, 0] += torch.stack([self.factor * by_n.sum(0), by_s.sum(0)])


@pytest.fixture
def kernels(monkeypatch):
    def make(factor=1.0):
        kernels = TorchKernels(factor)
        monkeypatch.setattr(device, "rows", lambda: kernels)
        return kernels

    return make


def test_the_loops_are_the_reference(kernels):
    made = kernels()
    errors = gamma_rnn.compare(torch.device("cpu"), "tf32x3")
    assert [*errors][2:] == [f"gradient of {k}" for k in ("currents", "h0", "weight_hh", "n", "s")]
    # float32 over five steps of 37 terms: some tens of roundings of 6e-8
    assert max(errors.values()) < 1e-5
    samples, neurons = tile(80)[:2]
    # the grid covers 37 neurons and 3 samples, and no whole program more
    for columns, rows in made.grids:
        assert 0 <= columns * neurons - 37 < neurons and 0 <= rows * samples - 3 < samples


def test_an_error_of_a_kernel_is_found_in_its_own_gradient(kernels):
    kernels(factor=1.01)
    errors = gamma_rnn.compare(torch.device("cpu"), "tf32x3")
    wrong = {name: error for name, error in errors.items() if error > verify.LIMITS["tf32x3"]}
    assert wrong == {"gradient of n": pytest.approx(0.01, abs=1e-4)}


@pytest.mark.parametrize("past", [False, True])
def test_rates_of_the_last_step_need_no_others(kernels, past):
    """Two buffers take turns where nothing is kept; the numbers are those of the whole output."""
    kernels()
    normal = verify.normal(5)
    tensors = [normal(7, 2, 4), normal(2, 4), normal(4, 4, scale=0.3), 2 + normal(4), normal(4)]
    layer = [*tensors, None, None, None]
    with torch.no_grad():
        whole, last, a = gamma_rnn.forward(*layer, False, True, False, "tf32x3")
        none, again, kept = gamma_rnn.forward(*layer, True, past, False, "tf32x3")
    assert torch.equal(last, whole[-1]) and torch.equal(again, last)
    assert len(none) == (7 if past else 0)
    assert torch.equal(kept, a) if past else kept.numel() == 0
