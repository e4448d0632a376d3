"""Sweeps and areas of functions whose integrals are known."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings

from adaptrnn._error import InputError
from adaptrnn.analysis.robustness import area, compare, sweep

XI = [0, 0.5, 1, 2.5, 5, 7.5, 10, 15, 20, 30]


@settings(max_examples=50, deadline=None)
@given(slope=st.floats(-3, 3), level=st.floats(-3, 3))
def test_area_of_a_line_is_its_middle(slope, level):
    """Trapezoids are exact for lines, whatever the spacing."""
    found = sweep(lambda xi: (level + slope * xi, 0.0), {"xi": XI})
    assert np.isclose(found.accuracy_area, level + slope * 15, atol=1e-12)
    assert np.allclose(found.accuracy_drop, -slope * found.xi, atol=1e-12)


def test_area_of_a_map_is_the_area_of_its_areas():
    found = sweep(
        lambda p: (p["phase"] * p["amplitude"], 1.0),
        {"phase": [0.0, 1.0, 4.0], "amplitude": [0.0, 0.3, 1.0]},
    )
    assert found.accuracy.dims == ("phase", "amplitude")
    assert np.isclose(found.accuracy_area, 2.0 * 0.5)  # means of two lines
    assert np.isclose(found.loss_area, 1)
    assert float(found.accuracy.sel(phase=4.0, amplitude=0.3)) == 4.0 * 0.3


def test_perturbations_are_made_and_replicates_kept():
    made = []

    def make(xi, length):
        made.append((xi, length))
        return xi + length

    found = sweep(
        lambda p: {"accuracy": np.array([p, p + 1]), "loss": p},
        {"xi": [0, 1], "length": [5, 10, 20]},
        make,
    )
    assert made == [(x, n) for x in (0, 1) for n in (5, 10, 20)]
    assert found.accuracy.dims == ("xi", "length", "seed") and found.loss.dims == ("xi", "length")
    assert found.accuracy_area.dims == ("seed",)
    assert "accuracy_drop" not in found


def test_one_value_on_an_axis():
    assert float(sweep(lambda xi: (0.5, 1), {"xi": [3.0]}).accuracy_area) == 0.5


def test_comparison():
    loss = xr.DataArray(
        [[[1.0, 1.0], [1.0, 4.0]], [[10.0, 2.0], [1.0, 2.0]], [[3.0, 3.0], [3.0, 4.0]]],
        dims=("model", "phase", "amplitude"),
        coords={"model": ["arun", "lstm", "relu"]},
    )
    found = compare(loss, "arun", better="lower")
    assert float(found.share_best) == 0.75  # a tie counts as best, but not as better
    assert found.share_better.sel(other="lstm") == 0.5
    assert found.median_ratio.sel(other="lstm") == np.median([10, 2, 1, 0.5])
    higher = compare(-loss, "arun")
    assert float(higher.share_best) == float(found.share_best)


def test_errors():
    with pytest.raises(InputError, match="axes"):
        sweep(lambda p: (0, 0), {})
    with pytest.raises(InputError, match="increasing"):
        sweep(lambda p: (0, 0), {"xi": [1, 0]})
    with pytest.raises(InputError, match="evaluate"):
        sweep(lambda p: 0.5, {"xi": [0, 1]})
    with pytest.raises(InputError, match="one length"):
        sweep(lambda p: (np.zeros(int(p)), 0), {"xi": [1, 2]})
    with pytest.raises(InputError, match="replicate"):
        sweep(lambda p: (0, 0), {"seed": [1, 2]})
    curve = xr.DataArray(np.zeros((2, 2)), dims=("model", "seed"), coords={"model": ["a", "b"]})
    with pytest.raises(InputError, match="Average over seeds"):
        compare(curve, "a")
    with pytest.raises(InputError, match="model"):
        compare(curve.mean("seed"), "c")
    with pytest.raises(InputError, match="at least two models"):
        compare(curve.mean("seed").isel(model=[0]), "a")
    with pytest.raises(InputError, match="better"):
        compare(curve.mean("seed"), "a", better="larger")
    with pytest.raises(InputError, match="dims"):
        area(curve, "xi")
    for values in ([], [[1.0, 2.0]], [1.0, 1.0]):
        with pytest.raises(InputError, match="increasing"):
            sweep(lambda p: (0, 0), {"xi": values})
    with pytest.raises(InputError, match="always returns"):
        sweep(lambda p: {"a": 0.0} if p else {"b": 0.0}, {"xi": [0, 1]})
    with pytest.raises(InputError, match="one length"):
        sweep(lambda p: (np.zeros((2, 2)), 0), {"xi": [1, 2]})
