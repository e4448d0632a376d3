"""Steady states against the noise: dots on planted laws lie on the curves drawn of these laws."""

import numpy as np
import pytest
import xarray as xr

from adaptrnn.figure.scaling import output_variance, steady_states
from adaptrnn.figure.style import subplots

XI = np.array([1.0, 2.0, 5.0, 30.0])
ABC = np.array([[-2.0, 0.5, 6.0], [3.0, 0.2, 4.0]])
LAWS = {
    "power": lambda a, b, c, xi: a * xi**-b + c,
    "exponential": lambda a, b, c, xi: a * np.exp(-b * xi) + c,
}


@pytest.mark.parametrize("change", [False, True])
@pytest.mark.parametrize("shape", LAWS)
def test_each_network_s_curve_goes_through_its_dots(shape, change):
    values = np.array([LAWS[shape](*abc, XI) for abc in ABC])
    coords = {"seed": [0, 1, 2], "xi": XI}
    # the third network has no number
    steady = xr.DataArray([*values, XI * np.nan], coords, ("seed", "xi"))
    fitted = xr.DataArray(
        [*ABC, [1, 1, 1]], {"parameter": list("abc"), "seed": [0, 1, 2]}, ("seed", "parameter")
    )
    _figure, axes = subplots(1, 1)
    steady_states(axes[0, 0], steady, fitted, shape, change)
    lines = axes[0, 0].lines
    assert len(lines) == 4
    for curve, dots, wanted in zip(lines[::2], lines[1::2], values, strict=True):
        shift = wanted[0] if change else 0
        np.testing.assert_allclose(dots.get_xydata().T, [XI, wanted - shift], rtol=1e-12)
        # between 200 points of the curve, a straight line: which is 6e-5 off at most
        between = np.interp(XI, *curve.get_xydata().T)
        np.testing.assert_allclose(between, wanted - shift, atol=2e-4)


def test_variances_are_named_with_their_slopes():
    """Variances of ξ^2 and 3 ξ^1.5 have slopes 2 and 1.5; the adaptive one is a full line."""
    values = np.array([[3 * XI**1.5, XI**2]])
    coords = {"condition": ["adaptive", "frozen"], "xi": XI}
    variance = xr.DataArray(values, coords, ("seed", "condition", "xi"))
    slope = variance.isel(xi=0).copy(data=[[1.5, 2.0]])
    _figure, axes = subplots(1, 1)
    output_variance(axes[0, 0], variance, slope)
    for line, style, wanted in zip(axes[0, 0].lines, ("-", "--"), values[0], strict=True):
        assert line.get_linestyle() == style
        np.testing.assert_allclose(line.get_ydata(), wanted, rtol=1e-12)
        rise = np.diff(np.log(line.get_ydata()[[0, -1]])) / np.log(30)
        (text,) = (t.get_text() for t in axes[0, 0].texts if f"slope {rise[0]:.2f}" in t.get_text())
        assert text.startswith("frozen" if style == "--" else "adaptive")
