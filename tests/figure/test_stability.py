"""Exponents and eigenvalues: planted ones are where they should be, dashed where held at rest."""

import numpy as np
import pytest
import xarray as xr

from adaptrnn.figure.stability import eigenvalues, exponents
from adaptrnn.figure.style import colour

XI = [0.0, 1.0, 5.0, 30.0]
CONDITIONS = {"adaptive": -0.01, "fixed": -0.5}


def planted(seeds):
    """Exponents of -0.01 where (n, s) adapt and -0.5 where they are held, a little by drive."""
    values = np.array([*CONDITIONS.values()])[:, None] * (1 + 0.1 * np.arange(4))
    whole = (
        np.broadcast_to(values, (2, seeds, 1, 2, 4)) * (1 + np.arange(seeds))[:, None, None, None]
    )
    dims = ("model", "seed", "definition", "condition", "xi")
    coords = {"model": ["gamma", "arun"], "definition": ["paper"], "condition": [*CONDITIONS]}
    data = xr.Dataset({"lyapunov": (dims, whole), "error": (dims, 0.1 * abs(whole))}, coords)
    return data.assign_coords(xi=XI, seed=range(seeds)).expand_dims(role=["psmnist"])


def test_lines_are_means_and_only_what_has_a_controller_is_held_at_rest():
    data = planted(3)
    (axis,) = exponents(data).axes
    means = [line for line in axis.lines if line.get_linewidth() > 1]
    assert len(means) == 4
    for line in means:
        model = "arun" if line.get_color() == colour("arun") else "gamma"
        wanted = data.lyapunov.sel(role="psmnist", model=model, definition="paper").mean("seed")
        (name,) = (k for k in CONDITIONS if np.allclose(line.get_ydata(), wanted.sel(condition=k)))
        held = model == "arun" and name == "fixed"
        assert line.get_linestyle() == ("--" if held else "-")


def test_the_standard_error_is_drawn_of_one_network_alone():
    bars = [len(exponents(planted(seeds)).axes[0].containers) for seeds in (1, 2)]
    assert bars == [4, 0]
    data = planted(1)
    first = exponents(data).axes[0].containers[0]
    ends = np.array(first.lines[2][0].get_segments())[:, :, 1]
    # the conditions are drawn from the last to the first
    one = data.isel(role=0, model=0, seed=0, definition=0).sel(condition="fixed")
    np.testing.assert_allclose(np.diff(ends)[:, 0], 2 * one.error, rtol=1e-9)
    np.testing.assert_allclose(ends.mean(1), one.lyapunov, rtol=1e-9)


@pytest.mark.parametrize("networks", [["trained"], ["initial", "trained"]])
def test_eigenvalues_stand_in_the_plane_with_the_mean_radius_in_words(networks):
    angle = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    # two networks of radius 1.2 and 1.4 after training, 1 before
    radius = np.array([[1.0, 1.2], [1.0, 1.4]])
    place = radius[:, :, None] * np.exp(1j * angle)
    dims = ("seed", "network", "eigenvalue")
    data = xr.Dataset(
        {
            "real_part": (dims, place.real),
            "imaginary_part": (dims, place.imag),
            "radius": (dims[:2], radius),
        },
        {"seed": [0, 1], "network": ["initial", "trained"]},
    ).sel(network=networks)
    (axis,) = eigenvalues(data.expand_dims(role=["psmnist"], model=["arun"])).axes
    for dots, name in zip(axis.collections, networks, strict=True):
        wanted = data.sel(network=name)
        shown = np.stack([np.ravel(wanted.real_part), np.ravel(wanted.imaginary_part)], 1)
        np.testing.assert_array_equal(dots.get_offsets(), shown)
    words = [text.get_text() for text in axis.texts]
    assert any("trained: 1.30" in text for text in words)
    assert any("initial: 1.00" in text for text in words) == ("initial" in networks)
    # the unit circle
    np.testing.assert_allclose(np.hypot(*axis.lines[0].get_xydata().T), 1, rtol=1e-12)
