"""The cloud of neurons: each is where its gain and saturation are, with bars of its own size."""

import numpy as np
import xarray as xr

from adaptrnn.figure.heterogeneity import neuron_cloud
from adaptrnn.figure.style import subplots

N, S = [[3.0, 4.0, 7.0], [2.0, 2.5, 9.0]], [[0.1, 0.3, -0.2], [0.0, 0.5, 0.2]]


def cloud(**more):
    data = xr.Dataset({"n": (("seed", "neuron"), N), "s": (("seed", "neuron"), S)})
    _figure, axes = subplots(1, 1)
    neuron_cloud(axes[0, 0], data.assign({k: (("seed", "neuron"), v) for k, v in more.items()}))
    return axes[0, 0]


def test_every_neuron_of_every_network_is_a_dot():
    (dots,) = cloud().collections
    np.testing.assert_array_equal(dots.get_offsets(), np.stack([np.ravel(N), np.ravel(S)], 1))


def test_bars_are_one_deviation_to_each_side():
    width, height = np.full((2, 3), 0.25), np.full((2, 3), 0.01) * [[1, 2, 3]]
    along, up, _ = cloud(n_within=width, s_within=height).collections
    for bars, size, middle, axis in ((along, width, N, 0), (up, height, S, 1)):
        ends = np.array(bars.get_segments())[:, :, axis]
        np.testing.assert_allclose(np.diff(ends)[:, 0], 2 * np.ravel(size), rtol=1e-12)
        np.testing.assert_allclose(ends.mean(1), np.ravel(middle), rtol=1e-12)


def test_one_start_of_all_neurons_is_one_large_cross():
    at_one, apart = (
        cloud(n_initial=start, s_initial=np.zeros((2, 3))).collections[-1]
        for start in (np.full((2, 3), 5.0), np.array(N))
    )
    assert at_one.get_sizes() > apart.get_sizes()
    assert set(np.ravel(at_one.get_offsets())) == {5.0, 0.0}
    np.testing.assert_array_equal(apart.get_offsets()[:, 0], np.ravel(N))
