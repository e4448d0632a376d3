"""Spectra of matrices whose eigenvalues are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from adaptrnn._error import InputError
from adaptrnn.analysis.eigenvalue import spectrum
from adaptrnn.arun import ARUN
from adaptrnn.init import haar_


def test_a_triangle_of_known_eigenvalues():
    weight = torch.tensor([[2.0, 5.0, 0.0], [0.0, -0.5, 1.0], [0.0, 0.0, 0.25]])
    found = spectrum(weight)
    np.testing.assert_allclose(found.real_part, [2, -0.5, 0.25], atol=1e-12)
    np.testing.assert_allclose(found.imaginary_part, 0, atol=1e-12)
    assert float(found.radius) == pytest.approx(2) and float(found.outside) == pytest.approx(1 / 3)
    # ||W||_F^2 = 4 + .25 + .0625 + 25 + 1
    assert float(found.henrici) == pytest.approx(np.sqrt(26 / 30.3125))


def test_orthogonal_weights_lie_on_the_circle():
    found = spectrum(
        {"initial": haar_(torch.empty(50, 50)), "grown": 1.1 * haar_(torch.empty(50, 50))}
    )
    np.testing.assert_allclose(found.modulus.sel(network="initial"), 1, atol=1e-6)  # float32
    np.testing.assert_allclose(found.radius, [1, 1.1], atol=1e-5)
    np.testing.assert_allclose(found.outside.sel(network="grown"), 1)
    assert float(found.henrici.max()) < 1e-2  # sqrt of a rounding, 1e-7
    np.testing.assert_allclose(found.largest_singular, found.radius, atol=1e-5)


def test_networks():
    network = ARUN(1, 6, controller_size=3)
    found = spectrum(network)
    want = np.sort(np.abs(np.linalg.eigvals(network.weight_hh_l0.detach().double())))[::-1]
    np.testing.assert_allclose(found.modulus, want, atol=1e-10)
    assert found.sizes == {"eigenvalue": 6}
    with pytest.raises(InputError, match="square weight_hh"):
        spectrum(nn.LSTMCell(1, 3))
