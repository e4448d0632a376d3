"""Jacobian norms and products against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from adaptrnn._error import InputError
from adaptrnn.activation import gamma_sup_slope
from adaptrnn.analysis.jacobian import jacobian_norm, jacobian_product, recurrent_weight
from adaptrnn.analysis.system import as_system
from adaptrnn.arun import ARUN
from adaptrnn.init import haar_
from adaptrnn.rnn import RNN


def test_norm_is_the_largest_slope_for_orthogonal_weights():
    """E32: ||D W||_2 = ||D||_2, the largest of N slopes, which 400 draws bring within 2%."""
    # the matrix is orthogonal to 1e-6, float32
    n = [1.0, 2.25, 5.0, 10.0]
    s = [-0.2, 0.0, 0.25, 0.5, 1.0]
    found = jacobian_norm(haar_(torch.empty(400, 400)), n, s, samples=3)
    np.testing.assert_allclose(found.norm, found.sup_slope, rtol=0.02)
    assert bool((found.norm <= found.sup_slope * (1 + 1e-6)).all())
    want = gamma_sup_slope(torch.tensor(2.25), torch.tensor(0.5))
    assert float(found.sup_slope.sel(n=2.25, s=0.5)) == pytest.approx(float(want), rel=1e-6)
    # regions <, =, > 1: s > 0 and small n contracts, s = 0 is at 1, s < 0 expands
    assert float(found.norm.sel(n=1, s=0.5)) < 0.99
    assert abs(float(found.norm.sel(n=5, s=0)) - 1) < 1e-3
    assert float(found.norm.sel(n=5, s=-0.2)) > 1.19


def test_standard_error_is_that_of_the_mean_over_samples():
    """A line's norm is the same for every h; of samples of a curve it spreads as numbers do."""
    weight = 0.3 * torch.randn(6, 6, dtype=torch.float64)
    line = jacobian_norm(weight, [1e-9], [0.0])
    assert float(line.standard_error[0, 0]) < 1e-6
    few, many = (jacobian_norm(weight, [2.0], [0.3], samples=count) for count in (50, 5000))
    spread = [
        float(found.standard_error[0, 0]) * found.attrs["samples"] ** 0.5 for found in (few, many)
    ]
    # the standard deviation of 50 norms is right within 10%, 3 of them
    assert np.isclose(*spread, rtol=0.35)
    means = [
        float(jacobian_norm(weight, [2.0], [0.3], samples=50, seed=k).norm[0, 0])
        for k in range(200)
    ]
    # and the means of 50 vary by their standard error, here known within 5%
    assert np.isclose(np.std(means), spread[1] / 50**0.5, rtol=0.2)


def test_scaled_weights_scale_linear_norms():
    """At n -> 0 the slope is (1-s)/2 everywhere, so the norm is that of W times it."""
    weight = torch.randn(30, 30, dtype=torch.float64)
    found = jacobian_norm(weight, [1e-9], [0.4], samples=2)
    want = 0.3 * float(torch.linalg.matrix_norm(weight, 2))
    assert found.norm.item() == pytest.approx(want, rel=1e-7)  # slope off by O(n x)
    assert found.standard_error.item() < 1e-7


def test_own_gains_and_errors():
    network = RNN(1, 20, nonlinearity="gamma", n=3.0, s=0.25)
    own = jacobian_norm(network)
    grid = jacobian_norm(network, [3.0], [0.25])
    assert float(own.norm) == pytest.approx(float(grid.norm[0, 0]))
    with pytest.raises(InputError, match="none of its own"):
        jacobian_norm(ARUN(1, 3, controller_size=2))
    with pytest.raises(InputError, match="square weight_hh"):
        recurrent_weight(nn.GRUCell(1, 3))
    with pytest.raises(InputError, match="both given"):
        jacobian_norm(network, [1.0])


def test_products_of_a_linear_map():
    weight = torch.randn(5, 5, dtype=torch.float64)
    model = as_system(lambda x, h: h @ weight.mT, torch.zeros(1, 5, dtype=torch.float64))
    found = jacobian_product(model, steps=6, every=2)
    for t in (2, 4, 6):
        want = torch.linalg.svdvals(torch.linalg.matrix_power(weight, t)).log()
        # the smallest of a product of condition c is known to c roundings; c is about 1e6
        np.testing.assert_allclose(found.log_singular.sel(time=t)[0], want, atol=1e-8)
    np.testing.assert_allclose(found.step_norm, float(torch.linalg.matrix_norm(weight, 2)))


def test_products_neither_overflow_nor_underflow():
    for scale in (1e-3, 1e3):
        model = as_system(lambda x, h, a=scale: a * h, torch.zeros(1, 2, dtype=torch.float64))
        found = jacobian_product(model, steps=400, every=400)
        np.testing.assert_allclose(found.exponent, np.log(scale), rtol=1e-12)


def test_product_is_the_derivative_of_many_steps():
    cell = nn.GRUCell(2, 4, dtype=torch.float64)
    x = torch.randn(5, 1, 2, dtype=torch.float64)
    model = as_system(cell)

    def many(h):
        for x_t in x:
            h = model.step(x_t, h[None], None)[0]
        return h

    h = torch.randn(4, dtype=torch.float64)
    want = torch.linalg.svdvals(torch.func.jacrev(many)(h)).log()
    found = jacobian_product(cell, x, state=h[None], every=5)
    np.testing.assert_allclose(found.log_singular[0, 0], want, atol=1e-10)


def test_of_an_adaptive_network():
    network = ARUN(1, 4, controller_size=3)
    found = jacobian_product(network, torch.rand(6, 2, 1), drive=0.5, every=3)
    assert found.sizes == {"time": 2, "sample": 2, "rank": 16, "step": 6}
    for every in (0, 7):
        with pytest.raises(InputError, match=f"every={every}"):
            jacobian_product(network, torch.rand(6, 2, 1), every=every)


def test_rounding_is_marked_and_not_the_rest():
    """Of diag(1, 1/2, 1/4, 1/8)^T, 2^(-k T) is resolved until it falls to 4 eps = 2^-50."""
    scale = torch.tensor([1.0, 0.5, 0.25, 0.125], dtype=torch.float64)
    model = as_system(lambda x, z: scale * z, torch.zeros(1, 4, dtype=torch.float64))
    found = jacobian_product(model, steps=60)
    want = found["rank"].values[None, :] - 1
    want = want * found.time.values[:, None] < 50
    assert (found.resolved.values[:, 0] == want).all()
