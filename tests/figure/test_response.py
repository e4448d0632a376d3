"""Responses to a step: means for every drive, and the spread of the neurons at the largest."""

import numpy as np
import pytest
import xarray as xr

from adaptrnn.figure.response import step_response_curves
from adaptrnn.figure.style import shades, subplots


@pytest.mark.parametrize("over", ["neuron", "seed"])
def test_lines_are_means_and_the_band_holds_eight_tenths(over):
    """Neuron k has k times the response: of 0 to 10 the mean is 5, the band 1 to 9."""
    course = np.array([0.0, 1.0, 0.5])
    values = np.arange(11)[:, None, None] * course[:, None] * np.array([1.0, 3.0])
    coords = {over: np.arange(11), "time": [0, 1, 2], "xi": [1.0, 30.0]}
    _figure, axes = subplots(1, 1)
    axis = axes[0, 0]
    step_response_curves(axis, xr.DataArray(values, coords, (over, "time", "xi")), (1, 2))
    for line, xi, tone in zip(axis.lines, (1.0, 3.0), shades(2), strict=False):
        np.testing.assert_allclose(line.get_ydata(), 5 * xi * course, rtol=1e-12)
        assert line.get_color() == tone
    assert [line.get_xdata()[0] for line in axis.lines[2:]] == [1, 2]
    (band,) = axis.collections
    corners = band.get_paths()[0].vertices
    for t, height in enumerate(course):
        at = corners[corners[:, 0] == t, 1]
        np.testing.assert_allclose([at.min(), at.max()], [3 * height, 27 * height], rtol=1e-12)


def test_one_network_has_no_band():
    values = xr.DataArray(np.ones((1, 2, 1)), {"time": [0, 1], "xi": [1.0]}, ("seed", "time", "xi"))
    _figure, axes = subplots(1, 1)
    step_response_curves(axes[0, 0], values, ())
    assert not axes[0, 0].collections and len(axes[0, 0].lines) == 1
