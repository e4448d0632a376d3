"""The controller: its equation term by term, locality, the law of its first weights, copies."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptrnn import AbstractController, AdaptationController, InputError

pytestmark = pytest.mark.usefixtures("shapes_checked")


def drawn(units: int, seed: int = 0) -> AdaptationController:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        controller = AdaptationController(units, dtype=torch.float64)
        with torch.no_grad():
            controller.bias_ag.normal_()  # both are 0 at first
            controller.bias_gg.normal_()
    return controller


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 99))
@settings(deadline=None)
def test_one_step_is_the_papers_equation_neuron_by_neuron(units, neurons, seed):
    """g = tanh(W_ag a + b_ag + W_gg g + b_gg), (n, s) = W_gc g + b_gc, in loops over numbers."""
    controller = drawn(units, seed)
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(2, neurons, generator=generator, dtype=torch.float64)
    state = torch.randn(2, neurons, units, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        g, n, s = controller(a, state)
    p = {name: value.tolist() for name, value in controller.named_parameters()}
    for sample in range(2):
        for neuron in range(neurons):
            before = state[sample, neuron].tolist()
            after = [
                math.tanh(
                    p["weight_ag"][k][0] * float(a[sample, neuron])
                    + p["bias_ag"][k]
                    + sum(w * x for w, x in zip(p["weight_gg"][k], before, strict=True))
                    + p["bias_gg"][k]
                )
                for k in range(units)
            ]
            # float64 with at most 8 terms of size 10: 1e-12 is far above its rounding
            assert g[sample, neuron].tolist() == pytest.approx(after, abs=1e-12)
            for value, row in ((n, 0), (s, 1)):
                wanted = sum(w * x for w, x in zip(p["weight_gc"][row], after, strict=True))
                wanted += p["bias_gc"][row]
                assert float(value[sample, neuron]) == pytest.approx(wanted, abs=1e-12)


@given(st.permutations(range(5)))
@settings(deadline=None)
def test_each_neuron_is_adapted_by_itself(order):
    """Renamed neurons have the renamed states: one controller for all, and no other input."""
    controller, a = drawn(3), torch.linspace(-2, 2, 10, dtype=torch.float64).reshape(2, 5)
    state = torch.sin(torch.arange(30.0, dtype=torch.float64)).reshape(2, 5, 3)
    whole = controller(a, state)
    renamed = controller(a[:, order], state[:, order])
    for one, other in zip(whole, renamed, strict=True):
        # products of other shapes may add in another order
        torch.testing.assert_close(one[:, order], other, rtol=0, atol=1e-14)


def test_first_weights_have_the_law_that_is_written():
    """Moments over 100 draws of 50 units; bounds of 5 standard errors."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        many = [AdaptationController(50, dtype=torch.float64) for _ in range(100)]
    eye = torch.eye(50, dtype=torch.float64)
    for one in many[:5]:
        torch.testing.assert_close(one.weight_gg @ one.weight_gg.T, eye, rtol=0, atol=1e-12)
        assert not one.bias_ag.any() and not one.bias_gg.any()
    bias = torch.stack([one.bias_gc.detach() for one in many])
    assert not bias[:, 1].any() and bias[:, 0].min() >= 5 and bias[:, 0].max() <= 7
    error = 2 / math.sqrt(12 * 100)  # of the mean of 100 uniform numbers of width 2
    assert abs(float(bias[:, 0].mean()) - 6) < 5 * error
    rows = torch.stack([one.weight_gc.detach() for one in many])
    for row, gain in ((0, 0.1), (1, 0.01)):
        # Xavier normal of a row of 50: variance gain^2 2 / (50 + 1); of 5,000 numbers its
        # relative standard error is sqrt(2 / 5000)
        ratio = float(rows[:, row].var()) / (gain**2 * 2 / 51)
        assert abs(ratio - 1) < 5 * math.sqrt(2 / 5000)


def test_a_frozen_copy_is_another_one_with_the_same_numbers():
    controller = drawn(3)
    copy = controller.frozen()
    assert all(not p.requires_grad for p in copy.parameters())
    assert all(p.requires_grad for p in controller.parameters())
    with torch.no_grad():
        controller.weight_gc.add_(1.0)
    change = controller.weight_gc - copy.weight_gc
    torch.testing.assert_close(change, torch.ones(2, 3, dtype=torch.float64))


def test_what_is_not_a_controller_says_so():
    with pytest.raises(InputError, match="controller_size=0"):
        AdaptationController(0)
    with pytest.raises(TypeError, match="abstract"):
        AbstractController()
