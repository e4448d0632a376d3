"""Initial weights: orthogonality, spectra and variances in closed form."""

from __future__ import annotations

import math

import pytest
import torch

from adaptrnn import AdaptationController, InputError
from adaptrnn.init import RECURRENT, haar_, henaff_, kaiming_, recurrent_

pytestmark = pytest.mark.usefixtures("shapes_checked")


@pytest.mark.parametrize("size", [1, 2, 5, 64])
@pytest.mark.parametrize("fill", [henaff_, haar_])
def test_orthogonal(fill, size):
    w = fill(torch.empty(size, size, dtype=torch.float64))
    torch.testing.assert_close(w @ w.T, torch.eye(size, dtype=torch.float64), rtol=0, atol=1e-12)


def test_henaff_is_the_exponential_of_a_skew_block_diagonal_matrix():
    torch.manual_seed(1)
    w = henaff_(torch.empty(6, 6, dtype=torch.float64))
    torch.manual_seed(1)
    angle = torch.empty(3, dtype=torch.float64).uniform_(-math.pi, 0)
    skew = torch.zeros(6, 6, dtype=torch.float64)
    for k, value in enumerate(angle):
        skew[2 * k, 2 * k + 1], skew[2 * k + 1, 2 * k] = value, -value
    torch.testing.assert_close(w, torch.linalg.matrix_exp(skew), rtol=0, atol=1e-12)
    assert ((angle > -math.pi) & (angle < 0)).all()


def test_kaiming_variance():
    w = kaiming_(torch.empty(1000, 50))
    # 50,000 draws of N(0, 2/50): the relative standard error of the variance is sqrt(2/5e4) = .6%
    assert abs(w.var() / (2 / 50) - 1) < 0.03


def test_controller_of_the_paper():
    controller = AdaptationController(200)
    assert 5 <= controller.bias_gc[0] <= 7 and controller.bias_gc[1] == 0
    assert not controller.bias_ag.any() and not controller.bias_gg.any()
    # Xavier normal: gain sqrt(2 / (fan_in + fan_out)), 200 draws: standard error of sd 5%
    for row, gain in zip(controller.weight_gc, (0.1, 0.01), strict=True):
        assert abs(row.std() / (gain * math.sqrt(2 / 201)) - 1) < 0.25


def test_names_and_shapes():
    for name in RECURRENT:
        assert recurrent_(torch.empty(4, 4), name).isfinite().all()
    with pytest.raises(InputError, match="Did you mean 'henaff'"):
        recurrent_(torch.empty(2, 2), "henaf")
    with pytest.raises(InputError, match="square"):
        henaff_(torch.empty(2, 3))


def test_haar_has_the_same_bits_for_every_number_of_threads():
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            torch.manual_seed(3)
            found.append(haar_(torch.empty(300, 300)))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[0], other) for other in found[1:])
