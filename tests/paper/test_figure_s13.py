"""S13 to S16: verdicts on planted maps; the real protocol."""

import pytest
import xarray as xr

from adaptrnn.paper import figure_s13
from adaptrnn.paper.table1 import MODELS

LOSS = dict.fromkeys(MODELS, 20.0) | {"arun": 1.0}


def test_measures_of_the_protocol_are_drawn_and_judged(collected, holds):
    data = collected(figure_s13.ITEM)
    holds(figure_s13.ITEM, data)
    assert data.nbytes < 100_000


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (LOSS, "reproduced"),
        (LOSS | {"gamma": 5.0}, "partly"),  # best, but not ten times
        (LOSS | {"linear": 0.5}, "partly"),  # one reading of the baseline
        (LOSS | {"arun": 30.0}, "not"),
    ],
)
def test_outcomes(collected, loss, expected):
    data = collected(figure_s13.ITEM)
    row = xr.DataArray([loss[m] for m in MODELS], {"model": list(MODELS)})
    planted = data.assign(
        {
            name: (row if name.endswith("loss") else 1 / row).broadcast_like(data[name])
            for name in data
            if name != "images"
        }
    )
    (found,) = figure_s13.judge(planted)
    assert found.outcome == expected
    (found,) = figure_s13.judge(planted.where(planted.role == "psmnist"))
    assert found.outcome == expected and len(found.parts) == 10


def test_a_tie_counts_as_best_in_half_of_the_cells(collected):
    data = collected(figure_s13.ITEM).sel(role=["psmnist"])
    flat = data.map(lambda values: xr.ones_like(values))
    (found,) = figure_s13.judge(flat.assign(images=data["images"]))
    shares = [part.number for part in found.parts if "cells" in part.quantity]
    assert shares == ["100%"] * 8
