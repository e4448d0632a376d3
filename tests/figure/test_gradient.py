"""Norms of gradients: what vanishes by a factor a step is a straight line, means are geometric."""

import numpy as np
import pytest
import xarray as xr

from adaptrnn.figure.gradient import gradients

LENGTHS = np.arange(1, 21)


def table(contribution):
    """Two networks of each model whose norms shrink by 0.9 and 0.4 a step, or 0.8 and 0.2."""
    factors = np.array([[0.9, 0.4], [0.8, 0.2]])
    norm = factors[:, :, None, None] ** LENGTHS * np.array([1.0, 10.0])[:, None]
    dims = ("model", "seed", "network", "length")
    coords = {"model": ["gamma", "arun"], "seed": [0, 1], "network": ["trained", "initial"]}
    data = xr.Dataset({"norm": (dims, norm)}, {**coords, "length": LENGTHS})
    data = data.assign(contribution=2 * data.norm) if contribution else data
    return data.expand_dims(role=["psmnist"])


@pytest.mark.parametrize("contribution", [False, True])
def test_thick_lines_are_geometric_means(contribution):
    axes = gradients(table(contribution)).axes
    assert len(axes) == 4 if contribution else 2
    for axis, start in zip(axes, (1, 10, 2, 20), strict=False):
        means = [line for line in axis.lines if line.get_linewidth() > 1]
        # sqrt(0.9 x 0.4) and sqrt(0.8 x 0.2)
        for line, factor in zip(means, (0.6, 0.4), strict=True):
            np.testing.assert_allclose(line.get_ydata(), start * factor**LENGTHS, rtol=1e-9)
        hairs = [line.get_ydata()[-1] for line in axis.lines if line.get_linewidth() < 1]
        wanted = [start * f**20 for f in (0.9, 0.4, 0.8, 0.2)]
        np.testing.assert_allclose(hairs, wanted, rtol=1e-9)
        assert axis.get_yscale() == "log"
    assert [axis.get_title() for axis in axes[:2]] == ["after training", "before training"]


def test_a_gradient_that_has_vanished_has_no_name_at_its_end():
    data = table(False)
    nothing = data.where(data.model != "gamma", 0.0)
    left = gradients(nothing).axes[0]
    names = [text.get_text() for text in left.texts]
    assert "ARUN" in names and "RNN+gamma" not in names
