"""Figure S9: orders of gain and saturation are measured, drawn and shown, and nothing is judged."""

import pytest
import xarray as xr

from adaptrnn.paper import figure_s9


@pytest.mark.long
def test_measures_of_the_protocols_are_drawn_and_judged(collected, holds):
    data = collected(figure_s9.ITEM)
    assert data.nbytes < 200_000  # two seeds
    assert data.signal.values.tolist() == ["n", "s"]
    holds(figure_s9.ITEM, data)


@pytest.mark.parametrize(("sd", "depth"), [(0.2, 40.0), (0.2, 2.0), (0.01, 2.0)])
def test_orders_of_gain_and_saturation_are_shown_not_judged(collected, sd, depth):
    data = collected(figure_s9.ITEM)
    made = data.assign(sd=xr.full_like(data["sd"], sd), depth=xr.full_like(data["depth"], depth))
    (found,) = figure_s9.judge(made)
    assert found.outcome == "not judged" and not found.parts
    holds = {part.holds for part in found.shown if "standard deviation" in part.quantity}
    assert holds == {"yes" if sd > 0.05 else "no"}
