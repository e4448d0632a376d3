"""B.1: verdicts on planted accuracies of one curve for all neurons, or one for each."""

import numpy as np
import pytest
import xarray as xr

from adaptrnn.paper import supplement_b1


def planted(shared, gamma):
    """Accuracies in percent by seed, the same on two tasks."""
    coords = {"role": ["psmnist", "scifar10"], "model": ["gamma-shared", "gamma"]}
    values = np.array([[shared, gamma]] * 2)[..., None] / 100
    coords |= {"seed": list(range(len(shared))), "condition": ["clean"]}
    data = xr.Dataset({"accuracy": xr.DataArray(values, coords)})
    return data.assign(images=xr.full_like(data.accuracy, 10000.0))


@pytest.mark.parametrize(
    ("shared", "gamma", "expected"),
    [
        ([90.0, 92.0, 91.0], [90.2, 92.2, 91.2], "reproduced"),
        ([90.0, 92.0, 91.0], [91.8, 91.0, 90.0], "reproduced"),  # worse, not significantly
        ([90.0, 90.1, 90.2], [95.0, 95.1, 95.2], "partly"),  # significantly better
        ([95.0, 95.1, 95.2], [90.0, 90.1, 90.2], "not"),
    ],
)
def test_outcomes(shared, gamma, expected, holds):
    (found,) = holds(supplement_b1.ITEM, planted(shared, gamma))
    assert found.outcome == expected
    assert "n = 3 and 3" in found.note
    # sCIFAR10 counts as psMNIST does
    assert len(found.parts) == 4


def test_one_seed_allows_no_test():
    (found,) = supplement_b1.judge(planted([90.0], [91.0]))
    assert found.outcome == "no data"
