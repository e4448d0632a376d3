"""B.3: verdicts on planted accuracies of turned digits; the real protocol."""

import pytest
import xarray as xr

from adaptrnn.paper import figure_b3


def test_measures_of_the_protocol_are_drawn_and_judged(collected, holds):
    data = collected(figure_b3.ITEM)
    # an untrained network may lose nothing when digits are turned: then no fraction is defined
    data = data.assign(recovered=data.recovered.fillna(0.5))
    (found,) = holds(figure_b3.ITEM, data)
    # what the analysis itself saw: nothing but n and s was trained
    assert found.checks[0].number == "1" and found.checks[0].holds == "yes"
    assert data.nbytes < 100_000


@pytest.mark.parametrize(
    ("recovered", "unchanged", "grows", "expected"),
    [
        (0.3, 1.0, 2.0, "reproduced"),
        (0.1, 1.0, 2.0, "partly"),
        (0.3, 0.0, 2.0, "reproduced"),  # a check of the code is no part of the claim
        (0.1, 1.0, 0.5, "not"),
    ],
)
def test_outcomes(collected, recovered, unchanged, grows, expected):
    data = collected(figure_b3.ITEM)
    areas = xr.DataArray([1.0, grows], {"training": ["before", "after"]})
    stages = xr.DataArray([0.9, 0.4, 0.4 + 0.5 * recovered], {"stage": data.stage})
    planted = data.assign(
        accuracy=stages.broadcast_like(data.accuracy),
        recovered=xr.full_like(data.recovered, recovered),
        unchanged=xr.full_like(data.unchanged, unchanged),
        det_covariance=areas.broadcast_like(data.det_covariance),
    )
    (found,) = figure_b3.judge(planted)
    assert found.outcome == expected
    assert found.checks[0].holds == ("yes" if unchanged else "no")
    assert f"fraction of the means {recovered:.2f}" in found.parts[0].quantity
