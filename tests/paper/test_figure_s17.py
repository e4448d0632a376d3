"""S17: verdicts on planted accuracies with an own and with a transplanted controller."""

import numpy as np
import pytest
import xarray as xr

from adaptrnn.config import TrainConfig
from adaptrnn.paper import figure_s17
from adaptrnn.paper.item import RunData
from adaptrnn.perturb import PAPER_PERTURBATIONS


def planted(clean, perturbed, unchanged=1.0):
    """Losses of accuracy in points, clean and under each perturbation."""
    own = np.array([0.9, 0.8, 0.7, 0.6])
    other = own - np.array([clean, perturbed, perturbed, perturbed]) / 100
    seeds = [np.stack([own, other]) + shift for shift in (0.0, 0.01)]
    coords = {
        "role": ["psmnist"],
        "model": ["arun"],
        "seed": [0, 1],
        "controller": ["own", "transplanted"],
        "condition": list(PAPER_PERTURBATIONS),
    }
    rates = xr.DataArray([[seeds]], coords)
    flat = xr.full_like(rates.isel(controller=0, condition=0, drop=True), unchanged)
    return xr.Dataset({"accuracy": rates, "unchanged": flat, "images": 1000 * xr.ones_like(flat)})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (planted(1.0, 4.0), "reproduced"),
        (planted(-3.0, -9.0), "reproduced"),  # better than its own
        (planted(3.0, 4.0), "partly"),
        (planted(3.0, 9.0), "not"),
    ],
)
def test_outcomes(data, expected, holds):
    (found,) = holds(figure_s17.ITEM, data)
    assert found.outcome == expected


def test_another_controller_is_seen_by_the_check_not_by_the_verdict():
    (found,) = figure_s17.judge(planted(1.0, 4.0, unchanged=0.0))
    assert found.outcome == "reproduced" and found.checks[0].holds == "no"


def test_measure_reads_what_the_analysis_wrote():
    conditions = list(PAPER_PERTURBATIONS)
    written = xr.Dataset(
        {
            "accuracy_own": ("condition", [0.9, 0.8, 0.7, 0.6]),
            "accuracy_transplanted": ("condition", [0.8, 0.7, 0.6, 0.5]),
            "controller_identical": True,
        },
        {"condition": conditions},
        {"images": 1000},
    )
    found = figure_s17.measure(RunData(TrainConfig("digits"), analyses={"transfer": written}))
    np.testing.assert_array_equal(found.accuracy.sel(controller="own"), written.accuracy_own)
    assert found.unchanged == 1 and found["images"] == 1000
    assert figure_s17.ITEM.needs("psmnist", "arun", "transplant")
    assert not figure_s17.ITEM.needs("psmnist", "arun", "")
