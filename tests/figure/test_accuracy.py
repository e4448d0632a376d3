"""Dots of accuracy: panels have scales of their own, the paper's value stands where it belongs."""

import numpy as np
import pytest
import xarray as xr

from adaptrnn.figure.accuracy import accuracy_bars

KNOWN = {("psMNIST", "clean", "gamma"): 94.0}


def table(task):
    """Clean accuracies of 86 to 90%, and 12 to 30% under contrast."""
    coords = {"model": ["gamma", "arun"], "seed": [0, 1], "condition": ["clean", "contrast"]}
    values = [[[0.86, 0.12], [0.88, 0.3]], [[0.9, 0.2], [0.87, np.nan]]]
    one = xr.DataArray(values, coords, tuple(coords)).expand_dims(role=["psmnist"])
    return one.assign_coords(role=("role", ["psmnist"], {"psmnist": task})).to_dataset(
        name="accuracy"
    )


@pytest.mark.parametrize(("task", "count"), [("psMNIST, 196 steps", 1), ("8x8 digits", 0)])
def test_the_paper_s_value_stands_at_its_own_task_condition_and_model(task, count):
    axes = accuracy_bars(table(task), KNOWN).axes
    stars = [[line for line in axis.lines if line.get_marker() == "*"] for axis in axes]
    assert [len(found) for found in stars] == [count, 0]
    for star in stars[0]:
        assert list(star.get_xdata()) == [94.0] and list(star.get_ydata()) == [1]


def test_every_panel_spans_its_own_numbers():
    clean, contrast = accuracy_bars(table("psMNIST")).axes
    assert clean.get_xlim() == (85, 95) and contrast.get_xlim() == (10, 35)
    # the means of 86 and 88, and of 90 and 87, in the order of the models
    assert [text.get_text() for text in clean.texts] == ["87.0", "88.5"]
