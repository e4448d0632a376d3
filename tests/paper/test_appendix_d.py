"""Appendix D: compounds of matrices, both definitions, and planted differences."""

import itertools

import numpy as np
import pytest
import torch

from adaptrnn.paper import appendix_d


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_compound_holds_the_products_of_singular_values(k):
    matrix = torch.randn(4, 4, dtype=torch.float64)
    values = torch.linalg.svdvals(matrix).numpy()
    want = sorted(np.prod(v) for v in itertools.combinations(values, k))
    found = torch.linalg.svdvals(appendix_d.compound(matrix, k)).numpy()
    np.testing.assert_allclose(sorted(found), want, rtol=1e-10)


def test_compounds_multiply_as_the_matrices_do():
    a, b = torch.randn(2, 5, 5, dtype=torch.float64)
    product = appendix_d.compound(a, 2) @ appendix_d.compound(b, 2)
    torch.testing.assert_close(appendix_d.compound(a @ b, 2), product)


def test_item(holds):
    data = appendix_d.measure(draws=1)
    # eigenvalues of the linear map are planted
    want = np.log([1.2, 0.9, 0.7, 0.5, 0.3])
    np.testing.assert_allclose(data.svd.sel(system="linear map")[0], want, atol=1e-6)
    assert holds(appendix_d.ITEM, data)[0].outcome == "reproduced"
    apart = data.assign(qr=data.qr + 1e-4)
    assert appendix_d.judge(apart)[0].outcome == "partly"
    assert appendix_d.judge(apart.assign(orthogonal=data.orthogonal + 1))[0].outcome == "not"
