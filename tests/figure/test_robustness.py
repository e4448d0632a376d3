"""Curves of robustness: means and seeds are where the numbers are, and every axis has ticks."""

import numpy as np
import pytest
import xarray as xr

from adaptrnn.figure.robustness import strength_curves
from adaptrnn.figure.style import log_axis, subplots

XI = [0.0, 1.0, 30.0]


def values(models=("relu", "arun"), seeds=2):
    generator = np.random.default_rng(0)
    shape = (len(models), seeds, len(XI))
    coords = {"model": list(models), "seed": range(seeds), "xi": XI}
    return xr.DataArray(generator.uniform(size=shape), coords, ("model", "seed", "xi"))


def test_lines_pass_through_the_means_and_the_seeds():
    data = values()
    _figure, axes = subplots(1, 1)
    ends = strength_curves(axes[0, 0], data)
    lines = [line.get_ydata() for line in axes[0, 0].lines]
    for model, (end, *_) in zip(data.model.values, ends, strict=True):
        one = data.sel(model=model)
        for wanted in (*one.values, one.values.mean(0)):
            assert any(np.allclose(wanted, line, rtol=1e-12) for line in lines)
        assert end == pytest.approx(one.values[:, -1].mean(), rel=1e-12)


def test_one_network_is_a_dimension_of_length_one():
    _figure, axes = subplots(1, 1)
    data = values(["arun"], 1)
    strength_curves(axes[0, 0], data)
    (line,) = axes[0, 0].lines  # no thin line under it
    np.testing.assert_array_equal(line.get_ydata(), data.values.ravel())


def test_seeds_and_models_without_a_number_are_left_out():
    data = values(seeds=3)
    data = data.where((data.seed < 1) & (data.model == "arun"))
    _figure, axes = subplots(1, 1)
    ((end, name, _),) = strength_curves(axes[0, 0], data)
    assert name == "ARUN" and end == pytest.approx(float(data.sel(model="arun", seed=0)[-1]))
    assert len(axes[0, 0].lines) == 1


def test_drives_from_0_to_5_have_a_third_of_the_axis():
    _figure, axes = subplots(1, 1)
    strength_curves(axes[0, 0], values())
    places = axes[0, 0].transData.transform([(0, 0), (5, 0), (30, 0)])[:, 0]
    assert (places[1] - places[0]) / (places[2] - places[0]) > 1 / 3


def test_a_narrow_logarithmic_axis_has_ticks():
    figure, axes = subplots(1, 1)
    for data in ([1.8, 2.7], [0.01, 500.0]):
        axes[0, 0].plot([0, 1], data)
        log_axis(axes[0, 0])
        figure.draw_without_rendering()
        low, high = axes[0, 0].get_ylim()
        inside = [tick for tick in axes[0, 0].get_yticks() if low <= tick <= high]
        assert 3 <= len(inside) <= 12
        labels = [label.get_text() for label in axes[0, 0].get_yticklabels()]
        assert not any("times" in label for label in labels)
        axes[0, 0].clear()
