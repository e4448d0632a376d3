"""The controller's states and the level sets: planted states are where they should be."""

import numpy as np
import pytest
import xarray as xr

from adaptrnn.figure.controller import (
    controller_states,
    gains_on_level_sets,
    level_sets,
    manifold,
)
from adaptrnn.figure.style import shades, subplots

CURRENTS, XI = [0.1, 1.0, 10.0], [1.0, 5.0, 10.0, 30.0]


def settling():
    """Two networks whose steady states rise along the first component with the current."""
    generator = np.random.default_rng(0)
    steady = generator.normal(scale=0.01, size=(2, 4, 3, 2))
    steady[..., 0] += np.arange(3.0)
    path = generator.normal(size=(2, 3, 6, 2))
    shares = [[0.9, 0.08], [0.7, 0.2]]
    data = xr.Dataset(
        {
            "steady": (("seed", "start", "current", "component"), steady),
            "path": (("seed", "current", "time", "component"), path),
            "share": (("seed", "component"), shares),
        },
        {"seed": [0, 1], "current": CURRENTS, "time": np.arange(6)},
    )
    return data.expand_dims(role=["psmnist"], model=["arun"])


def test_states_of_a_current_have_its_shade_and_a_way_if_there_is_one():
    data = settling().isel(role=0, model=0, seed=0)
    for part, ways in ((data, 3), (data.drop_vars("path"), 0)):
        _figure, axes = subplots(1, 1)
        controller_states(axes[0, 0], part)
        assert len(axes[0, 0].lines) == ways
        for k, dots in enumerate(axes[0, 0].collections):
            np.testing.assert_array_equal(dots.get_offsets(), data.steady.isel(current=k))
            np.testing.assert_array_equal(dots.get_facecolor()[0], shades(3)[k])
    _figure, axes = subplots(1, 1)
    controller_states(axes[0, 0], data)
    for line, way in zip(axes[0, 0].lines, data.path, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), way)


def test_a_component_has_no_sign():
    """A principal component turned about is the same: against the current both rise."""
    data = settling()
    turned = data.assign(steady=data.steady * xr.DataArray([-1.0, 1.0], dims="component"))
    found = [manifold(one).axes[2] for one in (data, turned)]
    for dots, others in zip(*(axis.collections for axis in found), strict=True):
        np.testing.assert_array_equal(dots.get_offsets(), others.get_offsets())
    means = found[0].lines[0].get_ydata()
    assert (np.diff(means) > 0).all()
    np.testing.assert_allclose(means, data.steady[0, 0, 0, ..., 0].mean("start"), rtol=1e-12)


def on_level(n, xi, slope):
    """The s of which the f-I curve has a slope at xi, by the formula of the slope."""
    g2 = 1 / (1 + np.exp(-n * xi))
    return (slope - g2) / (n * g2 * (1 - g2) - g2)


EPSILON, AWAY = 0.01, 0.002


def states():
    """Neurons whose slope at the drive is 1 - eps + 0.002, all of one network alike."""
    xi = np.array(XI)
    n = np.full((2, 2, 4, 3), 2.0)
    s = np.broadcast_to(on_level(2.0, xi, 1 - EPSILON + AWAY)[:, None], n.shape)
    gain = np.linspace(1, 4, 7)
    level = np.broadcast_to(on_level(gain, xi[:, None], 1 - EPSILON), (2, 4, 7))
    data = xr.Dataset(
        {
            "n": (("seed", "stage", "xi", "neuron"), n),
            "s": (("seed", "stage", "xi", "neuron"), s),
            "level": (("seed", "xi", "gain"), level),
            "residual": (("seed", "stage", "xi"), np.full((2, 2, 4), 0.05)),
            "epsilon": ("seed", [EPSILON, EPSILON]),
        },
        {"seed": [0, 1], "stage": ["onset", "steady"], "xi": XI, "gain": gain},
    )
    return data.expand_dims(role=["psmnist"], model=["arun"])


def test_neurons_means_and_curves_of_a_drive_have_its_shade():
    data = states().isel(role=0, model=0).sel(stage="steady")
    _figure, axes = subplots(1, 1)
    # neurons apart, and none at their mean
    away = xr.DataArray([-0.3, 0.1, 0.2], dims="neuron")
    apart = data.assign(n=data.n + 2 * away, s=data.s + away)
    gains_on_level_sets(axes[0, 0], apart)
    for k, (line, tone) in enumerate(zip(axes[0, 0].lines, shades(4), strict=True)):
        np.testing.assert_array_equal(line.get_ydata(), data.level[0, k])
        assert line.get_color() == tone
        neurons, means = axes[0, 0].collections[2 * k : 2 * k + 2]
        every = np.stack([np.ravel(apart.n[:, k]), np.ravel(apart.s[:, k])], 1)
        np.testing.assert_array_equal(neurons.get_offsets(), every)
        # rounding of a mean of three
        wanted = np.stack([data.n[:, k, 0], data.s[:, k, 0]], 1)
        np.testing.assert_allclose(means.get_offsets(), wanted, rtol=1e-12)


def test_the_distance_of_the_mean_state_is_that_of_its_slope():
    (axis,) = (axis for axis in level_sets(states()).axes if "distance" in axis.get_title())
    heights = [line.get_ydata() for line in axis.lines if len(line.get_ydata()) == 3]
    # without the drive of 10, at which epsilon is fitted: two hairs and a mean
    assert len(heights) == 3
    for height in heights:
        # float64, with s amplified by n ξ in the exponent
        assert height == pytest.approx([AWAY] * 3, rel=1e-6)
