"""Figure 2b, c: verdicts on planted curves, real protocols."""

import numpy as np
import pytest
import xarray as xr

from adaptrnn.paper import figure2
from adaptrnn.paper.table1 import COLUMNS

ITEMS = {"xi": figure2.DRIVE, "amplitude": figure2.CONTRAST}
ROLES = ["psmnist", "scifar10", "scifar10-conv"]
FALL = dict.fromkeys(COLUMNS, 0.5) | {"arun": 0.1, "gamma": 0.2}


def planted(axis, fall, start=None):
    """Accuracy falls, and loss rises, from 0.9 and 0.3 by so much over the whole curve."""
    strength = np.linspace(0.0, 1.0, 5)
    first = dict.fromkeys(COLUMNS, 0.9) | (start or {})
    rows = [[first[m] - fall[m] * strength] * 2 for m in COLUMNS]
    coords = {"role": ROLES, "model": list(COLUMNS), "seed": [0, 1], axis: strength}
    curves = xr.DataArray([rows] * len(ROLES), coords)
    data = xr.Dataset({"accuracy": curves, "loss": 1.2 - curves})
    return data.assign(images=xr.full_like(curves.isel({axis: 0}, drop=True), 1000.0))


@pytest.mark.long
@pytest.mark.parametrize("axis", ITEMS)
def test_measures_of_the_protocol_are_drawn_and_judged(axis, collected, holds):
    data = collected(ITEMS[axis])
    assert [one.claim.id for one in holds(ITEMS[axis], data)] == {
        "xi": ["E10", "E11"],
        "amplitude": ["E12", "E13"],
    }[axis]
    assert data.nbytes < 100_000


@pytest.mark.parametrize("axis", ITEMS)
@pytest.mark.parametrize(
    ("fall", "start", "expected"),
    [
        (FALL, None, "reproduced"),
        (FALL | {"linear": 0.0, "gamma-shared": 0.0}, None, "reproduced"),  # shown only
        (FALL | {"arun": 0.8, "gamma": 0.7}, None, "not"),
    ],
)
def test_outcomes(axis, fall, start, expected):
    data = planted(axis, fall, start)
    assert [one.outcome for one in ITEMS[axis].judge(data)] == [expected] * 2
    alone = data.where(data.role == "psmnist")
    first, second = ITEMS[axis].judge(alone)
    # each of the two claims is about one task
    assert (first.outcome, second.outcome) == (expected, "no data")
    assert all(part.quantity.startswith("psMNIST") for part in first.parts)


@pytest.mark.parametrize("axis", ITEMS)
def test_images_are_counted_on_the_claims_own_task(axis):
    data = planted(axis, FALL)
    counts = xr.DataArray([1000.0, 300.0, 400.0], {"role": ROLES})
    first, second = ITEMS[axis].judge(data.assign(images=counts.broadcast_like(data["images"])))
    assert "With 1,000 test images" in first.note and "at most 1.6 percentage" in first.note
    assert "With 400 test images" in second.note


def test_gated_networks_are_judged_under_contrast_and_shown_under_drive():
    flat = FALL | {"lstm": 0.0, "gru": 0.0}
    assert ITEMS["xi"].judge(planted("xi", flat))[0].outcome == "reproduced"
    assert ITEMS["amplitude"].judge(planted("amplitude", flat))[0].outcome == "not"


def test_a_lower_curve_is_not_flat_under_drive_but_loses_least_under_contrast():
    """E10 asks for the area, E12 for the decrease."""
    low = {"arun": 0.3}
    assert ITEMS["xi"].judge(planted("xi", FALL, low))[0].outcome == "not"
    assert ITEMS["amplitude"].judge(planted("amplitude", FALL, low))[0].outcome == "reproduced"


def test_rnn_gamma_is_second():
    third = FALL | {"gamma": 0.6}
    assert ITEMS["amplitude"].judge(planted("amplitude", third))[0].outcome == "partly"


def test_bend_is_the_mean_distance_whatever_the_side():
    curve = xr.DataArray([1.0, 2.0, 0.0], coords={"xi": [0.0, 1.0, 3.0]})
    # trapezoids of 0, 1, 1 over 0, 1, 3: (0.5 + 2) / 3
    assert float(figure2.bend(curve, "xi")) == pytest.approx(2.5 / 3, rel=1e-12)
