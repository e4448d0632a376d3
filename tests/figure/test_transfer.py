"""Retrained curves and foreign controllers: each network is joined with itself."""

import numpy as np
import xarray as xr

from adaptrnn.figure.transfer import PAPER, rotated, transplanted


def test_a_neuron_is_joined_with_itself_after_retraining():
    generator = np.random.default_rng(0)
    n, s = generator.normal(size=(2, 2, 2, 5))
    stages, rates = [*PAPER], [[0.9, 0.4, 0.6], [0.8, 0.3, 0.5]]
    coords = {"seed": [0, 1], "training": ["before", "after"], "stage": stages}
    data = xr.Dataset(
        {
            "n": (("seed", "training", "neuron"), n),
            "s": (("seed", "training", "neuron"), s),
            "accuracy": (("seed", "stage"), rates),
        },
        coords,
    )
    cloud, right = rotated(data.expand_dims(role=["psmnist"], model=["gamma"])).axes
    ways = [line.get_xydata() for line in cloud.lines]
    assert len(ways) == 5
    for k, way in enumerate(ways):
        np.testing.assert_array_equal(way, np.stack([n[0, :, k], s[0, :, k]], 1))
    for k, dots in enumerate(cloud.collections):
        np.testing.assert_array_equal(dots.get_offsets(), np.stack([n[0, k], s[0, k]], 1))
    *networks, paper = right.lines
    np.testing.assert_allclose([line.get_ydata() for line in networks], 100 * np.array(rates))
    assert list(paper.get_ydata()) == [PAPER[stage] for stage in stages]


def test_a_pair_of_controllers_is_joined_in_each_condition():
    own, other = np.array([[0.9, 0.5], [0.8, 0.4]]), np.array([[0.2, 0.1], [0.6, 0.3]])
    data = xr.Dataset(
        {"accuracy": (("controller", "seed", "condition"), [own, other])},
        {"controller": ["own", "transplanted"], "seed": [0, 1], "condition": ["clean", "step"]},
    )
    (axis,) = transplanted(data.expand_dims(role=["psmnist"], model=["arun"])).axes
    *ways, mine, foreign = axis.lines
    wanted = {(100 * a, 100 * b) for a, b in zip(own.flat, other.flat, strict=True)}
    assert {tuple(way.get_ydata()) for way in ways} == wanted
    # every way is vertical, and no two stand at one place
    assert all(np.ptp(way.get_xdata()) == 0 for way in ways)
    assert len({way.get_xdata()[0] for way in ways}) == 4
    for dots, values in ((mine, own), (foreign, other)):
        # by condition, then by seed
        np.testing.assert_allclose(dots.get_ydata(), 100 * values.T.ravel(), rtol=1e-12)
