"""S13 to S16: verdicts on planted maps; the real protocol."""

import numpy as np
import pytest
import xarray as xr

from adaptrnn.paper import figure_s13
from adaptrnn.paper.table1 import COLUMNS

LOSS = dict.fromkeys(COLUMNS, 20.0) | {"arun": 1.0}
OTHERS = dict.fromkeys(("linear", "gamma-shared"), 0.5)


@pytest.mark.long
def test_measures_of_the_protocol_are_drawn_and_judged(collected, holds):
    data = collected(figure_s13.ITEM)
    holds(figure_s13.ITEM, data)
    assert data.nbytes < 100_000


@pytest.mark.long
@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (LOSS, "reproduced"),
        (LOSS | {"gamma": 5.0}, "partly"),  # best, but not ten times
        (LOSS | OTHERS, "reproduced"),  # shown, not judged
        (LOSS | {"lstm": 0.5, "gru": 0.5}, "partly"),  # judged under contrast only
        (LOSS | {"arun": 30.0}, "not"),
    ],
)
def test_outcomes(collected, loss, expected):
    data = collected(figure_s13.ITEM)
    row = xr.DataArray([loss[m] for m in COLUMNS], {"model": list(COLUMNS)})
    maps = [name for name in data if name not in ("images", "clean_accuracy")]
    planted = data.assign(
        {
            name: (row if name.endswith("loss") else 1 / row).broadcast_like(data[name])
            for name in maps
        }
    ).assign(clean_accuracy=xr.full_like(data.clean_accuracy, 2.5))
    (found,) = figure_s13.judge(planted)
    assert found.outcome == expected
    (found,) = figure_s13.judge(planted.where(planted.role == "psmnist"))
    assert found.outcome == expected and len(found.parts) == 2


def test_a_tie_counts_as_best_in_half_of_the_cells(collected):
    data = collected(figure_s13.ITEM).sel(role=["psmnist"])
    flat = data.map(lambda values: xr.ones_like(values))
    (found,) = figure_s13.judge(flat.assign(images=data["images"]))
    shares = [part.number for part in found.shown if "cells" in part.quantity]
    assert shares == ["100%"] * 12


def test_images_are_counted_by_task(collected):
    data = collected(figure_s13.ITEM)
    counts = xr.DataArray([250.0, 75.0, 60.0], {"role": ["psmnist", "scifar10", "scifar10-conv"]})
    (found,) = figure_s13.judge(data.assign(images=counts.broadcast_like(data["images"])))
    said = "250 on psMNIST, 75 on sCIFAR10 and 60 on sCIFAR10 (conv)"
    assert f"The test images of each cell are {said}, so" in found.note


def test_a_verdict_that_depends_on_the_kind_of_mean_says_so():
    ratios = np.array([20.3, 30.0, 78.4, 0.65, 0.14, np.nan])
    said = figure_s13._means(ratios)
    assert "20, 30, 78, 0.65 and 0.14" in said
    assert "the geometric mean is 5.34, the median is 20.3 and the arithmetic mean is 25.9" in said
    assert figure_s13._means(ratios[:3]) == figure_s13._means(ratios[5:]) == ""


def test_a_table_without_clean_accuracies_is_no_data(collected):
    data = collected(figure_s13.ITEM).drop_vars("clean_accuracy")
    assert figure_s13.judge(data)[0].outcome == "no data"


def test_the_advantage_is_that_over_the_best_other_network(collected):
    """An accuracy of 0.9 next to 0.7 is 20 points; a loss of 1 next to 10 is one decade."""
    data = collected(figure_s13.ITEM)
    level = {"arun": (0.9, 1.0), "gamma": (0.7, 10.0), "relu": (0.2, 99.0), "gru": (0.95, 0.1)}
    for k, name in enumerate(("accuracy", "loss")):
        row = xr.DataArray([v[k] for v in level.values()], {"model": list(level)})
        planted = data.sel(model=list(level)).map(lambda v, row=row: row.broadcast_like(v))
        drive, contrast = (figure_s13.advantage(planted, kind, name) for kind in figure_s13.MAPS)
        # to rounding: one subtraction, one logarithm
        xr.testing.assert_allclose(drive, xr.full_like(drive, (20.0, 1.0)[k]), rtol=1e-12)
        xr.testing.assert_allclose(contrast, xr.full_like(contrast, (-5.0, -1.0)[k]), rtol=1e-12)
