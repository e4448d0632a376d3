"""Error of predicted variances: means over networks, and shares in percent."""

import numpy as np
import xarray as xr

from adaptrnn.figure.noise import trained_noise_error
from adaptrnn.figure.style import shades


def test_lines_are_means_and_hairs_are_networks():
    generator = np.random.default_rng(0)
    middle, share = generator.uniform(0.01, 0.9, size=(2, 3, 2, 4))
    coords = {"seed": [0, 1, 2], "mu": [0.0, 5.0], "sigma": [0.1, 0.3, 1.0, 3.0]}
    dims = ("seed", "mu", "sigma")
    data = xr.Dataset({"middle": (dims, middle), "share": (dims, share)}, coords)
    left, right = trained_noise_error(data.expand_dims(role=["psmnist"], model=["arun"])).axes
    for axis, values in ((left, middle), (right, 100 * share)):
        lines = iter(axis.lines)
        for k, tone in enumerate(shades(2)):
            *hairs, mean = (next(lines) for _ in range(4))
            np.testing.assert_allclose([hair.get_ydata() for hair in hairs], values[:, k])
            np.testing.assert_allclose(mean.get_ydata(), values[:, k].mean(0), rtol=1e-12)
            assert mean.get_color() == tone and mean.get_linewidth() > hairs[0].get_linewidth()
    assert left.get_yscale() == left.get_xscale() == "log"


def test_one_network_is_one_line():
    dims = ("role", "model", "seed", "mu", "sigma")
    values = np.full((1, 1, 1, 1, 2), 0.5)
    coords = {"role": ["psmnist"], "model": ["arun"], "mu": [0.0], "sigma": [0.1, 1.0]}
    data = xr.Dataset({"middle": (dims, values), "share": (dims, values)}, coords)
    _, right = trained_noise_error(data).axes
    assert [list(line.get_ydata()) for line in right.lines] == [[50.0, 50.0]]
