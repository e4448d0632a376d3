"""Maps: a number stands in the cell of its two coordinates."""

import numpy as np
import xarray as xr

from adaptrnn.figure.map import cells, norm_curves
from adaptrnn.figure.style import shades, subplots


def test_a_cell_holds_the_mean_over_seeds_and_says_it():
    """The value is 10 row + column; over two seeds it is off by 1 to either side."""
    rows, columns = np.arange(3.0), np.arange(4.0)
    values = 10 * rows[:, None] + columns
    data = xr.DataArray(
        np.stack([values - 1, values + 1]), {"seed": [0, 1], "y": rows, "x": columns}, None
    )
    _figure, axes = subplots(1, 1)
    # whichever way the dimensions lie
    image = cells(axes[0, 0], data.transpose("x", "seed", "y"), "y", "x", ".0f")
    np.testing.assert_array_equal(image.get_array(), values)
    assert image.origin == "lower"
    for text in axes[0, 0].texts:
        column, row = text.get_position()
        assert float(text.get_text()) == 10 * row + column
    assert len(axes[0, 0].texts) == 12
    ticks = axes[0, 0].get_xticks(), axes[0, 0].get_yticks()
    assert [list(one) for one in ticks] == [list(columns), list(rows)]


def test_a_cell_without_a_number_says_nothing_and_no_zero_is_negative():
    data = xr.DataArray([[np.nan, -0.001, -2.0]], {"y": [0.0], "x": [0.0, 1.0, 2.0]}, ("y", "x"))
    _figure, axes = subplots(1, 1)
    cells(axes[0, 0], data, "y", "x", ".1f")
    assert [text.get_text() for text in axes[0, 0].texts] == ["0", "−2.0"]


def test_phases_are_in_parts_of_pi():
    phases = np.pi * np.array([0.0, 0.5, 1.0])
    data = xr.DataArray(np.ones((1, 3)), {"y": [1.0], "map_phase": phases}, ("y", "map_phase"))
    _figure, axes = subplots(1, 1)
    cells(axes[0, 0], data, "y", "map_phase")
    assert [label.get_text() for label in axes[0, 0].get_xticklabels()] == ["0", "0.5", "1"]


def test_norms_of_a_saturation_have_its_shade():
    norm = np.random.default_rng(0).uniform(0.5, 2, size=(3, 2, 4, 2))
    coords = {"weights": ["trained", "initial"], "n": [1.0, 2.0, 5.0, 9.0], "s": [0.0, 0.5]}
    _figure, axes = subplots(1, 1)
    norm_curves(axes[0, 0], xr.DataArray(norm, coords, ("seed", "weights", "n", "s")))
    lines = iter(axes[0, 0].lines)
    for k, tone in enumerate(shades(2)):
        for w, dash in enumerate(("-", "--")):
            line = next(lines)
            np.testing.assert_allclose(line.get_ydata(), norm.mean(0)[w, :, k], rtol=1e-12)
            assert (line.get_color(), line.get_linestyle()) == (tone, dash)
