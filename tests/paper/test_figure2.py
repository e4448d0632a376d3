"""Figure 2b, c: verdicts on planted curves, real protocols, both readings of the baseline."""

import numpy as np
import pytest
import xarray as xr

from adaptrnn.paper import figure2
from adaptrnn.paper.table1 import MODELS

ITEMS = {"xi": figure2.DRIVE, "amplitude": figure2.CONTRAST}
ROLES = ["psmnist", "scifar10"]
FALL = dict.fromkeys(MODELS, 0.5) | {"arun": 0.1}


def planted(axis, fall, start=None):
    """Accuracy falls, and loss rises, from 0.9 and 0.3 by so much over the whole curve."""
    strength = np.linspace(0.0, 1.0, 5)
    first = dict.fromkeys(MODELS, 0.9) | (start or {})
    rows = [[first[m] - fall[m] * strength] * 2 for m in MODELS]
    coords = {"role": ROLES, "model": list(MODELS), "seed": [0, 1], axis: strength}
    curves = xr.DataArray([rows] * len(ROLES), coords)
    data = xr.Dataset({"accuracy": curves, "loss": 1.2 - curves})
    return data.assign(images=xr.full_like(curves.isel({axis: 0}, drop=True), 1000.0))


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
        (FALL | {"linear": 0.0}, None, "partly"),
        (FALL, {"arun": 0.3}, "partly"),  # flattest, but lower everywhere
        (FALL | {"arun": 0.8}, None, "not"),
    ],
)
def test_outcomes(axis, fall, start, expected):
    data = planted(axis, fall, start)
    assert [one.outcome for one in ITEMS[axis].judge(data)] == [expected] * 2
    alone = data.where(data.role == "psmnist")
    verdicts = ITEMS[axis].judge(alone)
    assert [one.outcome for one in verdicts] == [expected] * 2
    # a task without runs adds no part
    assert all(part.quantity.startswith("psmnist") for one in verdicts for part in one.parts)


def test_bend_is_the_mean_distance_whatever_the_side():
    curve = xr.DataArray([1.0, 2.0, 0.0], coords={"xi": [0.0, 1.0, 3.0]})
    # trapezoids of 0, 1, 1 over 0, 1, 3: (0.5 + 2) / 3
    assert float(figure2.bend(curve, "xi")) == pytest.approx(2.5 / 3, rel=1e-12)
