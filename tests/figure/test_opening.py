"""The four pictures of the opening: what is there is drawn, what is not is said."""

import numpy as np
import pytest
import xarray as xr

from adaptrnn.figure import opening


def said(axis):
    return any("not in" in text.get_text() for text in axis.texts)


def test_only_networks_without_gates_are_compared():
    coords = {"model": ["gamma", "arun", "lstm"], "seed": [0], "xi": [0.0, 1.0, 30.0]}
    values = np.array([0.4, 0.8, 0.9])[:, None, None] * np.ones((3, 1, 3))
    data = xr.DataArray(values, coords, tuple(coords))
    axes = opening.robust(xr.Dataset({"accuracy": data, "loss": 1 - data})).axes
    for axis, wanted in zip(axes, ([40.0, 80.0], [0.6, 0.2]), strict=True):
        found = [line.get_ydata() for line in axis.lines]
        np.testing.assert_allclose(found, np.array(wanted)[:, None] * np.ones(3), rtol=1e-12)
        assert not said(axis)


def test_shares_of_neurons_add_up_to_all_that_have_an_order():
    """A quarter of the neurons at each of -0.5, 0.1, 0.3; a quarter has none."""
    orders = np.tile([-0.5, 0.1, 0.3, np.nan], 10)
    dims = ("network", "seed", "neuron", "xi")
    coords = {"network": ["interacting", "isolated"]}
    both = np.stack([orders, -orders])[:, None, :, None]
    axes = opening.adaptation(None, xr.Dataset({"order": (dims, both)}, coords)).axes
    assert said(axes[0]) and not said(axes[1])
    for steps, above in zip(axes[1].patches, (2 / 3, 1 / 3), strict=True):
        heights, edges, _ = steps.get_data()
        assert heights.sum() == pytest.approx(100)
        assert heights[edges[:-1] > 0].sum() == pytest.approx(100 * above)


def test_the_size_of_exponents_is_on_a_scale_of_logarithms():
    coords = {"model": ["relu", "arun"], "seed": [0, 1], "xi": [0.0, 1.0, 30.0]}
    size = np.array([[1.0, 3.0], [1e-3, 2e-3]])[:, :, None] * np.ones(3)
    data = xr.DataArray(size, coords, tuple(coords)).to_dataset(name="size")
    left, middle, right = opening.explanation(None, None, data).axes
    assert said(left) and said(middle) and not said(right)
    assert right.get_yscale() == "log" and "n = 2 seeds" in right.get_xlabel()
    found = [line.get_ydata()[0] for line in right.lines if line.get_linewidth() > 1]
    assert sorted(found) == pytest.approx([1.5e-3, 2.0])


def test_the_level_sets_are_looked_at_where_the_means_are():
    """Neurons far from their mean do not shrink what is seen of the means."""
    n = np.array([[3.0, 5.0, 100.0], [4.0, 6.0, 2.0]])[None]
    s = np.array([[0.0, 0.2, 0.1], [0.1, 0.3, 5.0]])[None]
    dims = ("seed", "xi", "neuron")
    level = np.zeros((1, 2, 3))
    data = xr.Dataset(
        {"n": (dims, n), "s": (dims, s), "level": (("seed", "xi", "gain"), level)},
        {"xi": [1.0, 30.0], "gain": [1.0, 5.0, 12.0]},
    )
    middle = opening.explanation(None, data, None).axes[1]
    means = np.stack([n.mean(-1)[0], s.mean(-1)[0]], 1)
    found = np.concatenate([dots.get_offsets() for dots in middle.collections[1::2]])
    np.testing.assert_allclose(found, means, rtol=1e-12)
    for limits, of in ((middle.get_xlim(), means[:, 0]), (middle.get_ylim(), means[:, 1])):
        assert limits[0] < of.min() and of.max() < limits[1]
    assert middle.get_xlim()[1] < 100 and middle.get_ylim()[1] < 5


def test_learned_gains_are_told_from_where_they_started():
    """Of five networks, one without a number, the first three that have one."""
    change = np.array([[np.nan] * 3, [1.0, 2.0, 3.0], [0.5, -1.0, 0.0], [2.0, 2.0, 1.0], [9.0] * 3])
    start = np.array([5.0, 5.0, 3.0, 7.0, 4.0])[:, None] * np.ones(3)
    names = {"n": start + change, "n_initial": start, "s": change / 10, "s_initial": 0 * start}
    data = xr.Dataset({k: (("seed", "neuron"), v) for k, v in names.items()}, {"seed": range(5)})
    axes = opening.learned(data).axes
    assert [axis.get_title("left") for axis in axes] == [f"network {k}" for k in (1, 2, 3)]
    for axis, wanted in zip(axes, change[1:4], strict=True):
        np.testing.assert_allclose(axis.collections[0].get_offsets()[:, 0], wanted, atol=1e-12)
        assert set(axis.collections[1].get_offsets()[:, 0]) == {0.0}
    (alone,) = opening.learned(data.isel(seed=[0])).axes
    assert said(alone)
