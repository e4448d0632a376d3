"""Figures S10 to S12: sharpness of planted errors, verdicts, and measures of real protocols."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from adaptrnn.analysis.fractional import STEP_PROTOCOLS, fractional_derivative
from adaptrnn.config import TrainConfig
from adaptrnn.paper import figure_s10
from adaptrnn.paper.item import RunData

ALPHA = np.linspace(-1, 1, 201)


@given(st.floats(-0.7, 0.7), st.floats(0.5, 20.0))
def test_depth_of_a_parabola(centre, steep):
    """1 + k x^2 is k / 16 above its least a quarter away: depth k / (16 + k)."""
    error = xr.DataArray(1 + steep * (ALPHA - centre) ** 2, {"alpha": ALPHA})
    # the grid of 0.01 misses the centre by at most 0.005
    assert float(figure_s10.depth(error)) == pytest.approx(100 * steep / (16 + steep), abs=3.0)


def test_depth_at_an_end_is_none_and_of_nothing_unknown():
    slope = xr.DataArray(np.exp(ALPHA), {"alpha": ALPHA})
    assert float(figure_s10.depth(slope)) == 0
    assert float(figure_s10.depth(slope * np.nan).fillna(-1)) == -1
    flat = xr.DataArray(np.zeros(201), {"alpha": ALPHA})
    assert float(figure_s10.depth(flat)) == 0


def test_the_flatter_side_counts():
    error = xr.where(ALPHA > 0, 1 + 0.1 * ALPHA**2, 1 + 100 * ALPHA**2)
    found = float(figure_s10.depth(xr.DataArray(error, {"alpha": ALPHA})))
    assert found == pytest.approx(100 * (1 - 1 / (1 + 0.1 / 16)), abs=1e-9)


@pytest.mark.long
def test_measures_of_the_protocols_are_drawn_and_judged(collected, holds):
    data = collected(figure_s10.ITEM)
    assert data.nbytes < 200_000  # two seeds, two tasks
    holds(figure_s10.ITEM, data)


def planted(data, depth, best):
    values = xr.DataArray(best, {"seed": data.seed}).broadcast_like(data.best)
    return data.assign(depth=xr.full_like(data.depth, depth), best=values)


@pytest.mark.parametrize(
    ("depth", "best", "expected"),
    [
        (40.0, [0.2, 0.3], "reproduced"),  # sd 0.07
        (40.0, [0.2, 0.5], "partly"),  # sd 0.21
        (3.0, [-0.2, 0.5], "not"),
    ],
)
def test_sharp_and_alike(collected, depth, best, expected):
    data = collected(figure_s10.ITEM)
    assert figure_s10.judge(planted(data, depth, best))[0].outcome == expected


def test_one_seed_has_no_spread(collected):
    data = planted(collected(figure_s10.ITEM), 40.0, [0.2, 0.3]).isel(seed=[0])
    assert figure_s10.judge(data)[0].outcome == "no data"


def test_a_filtered_step_is_de_filtered():
    """A rate that is the step integrated to order 0.3 gives the step back."""
    plan = STEP_PROTOCOLS["A"]
    step = plan.stimulus(5.0)
    rate = fractional_derivative(step, -0.3)
    signal, xi = ["h"], [1.0, 5.0, 30.0]
    dims = {"protocol": ["A", "B"], "network": ["interacting"], "estimator": ["paper"]}
    shape = (2, 1, 1, 3, 1)
    analysis = xr.Dataset(
        {
            "order": ((*dims, "xi", "signal", "neuron"), np.full((*shape, 4), 0.3)),
            "error": ((*dims, "xi", "signal", "alpha"), np.ones((*shape, 201))),
            "response": (("network", "xi", "time"), np.tile(rate, (1, 3, 1))),
        },
        coords={**dims, "xi": xi, "signal": signal, "alpha": ALPHA},
    )
    found = figure_s10.measure(RunData(TrainConfig("digits"), analyses={"fractional": analysis}))
    # the best order lies between those tried, 0.002 apart, and is refined by a parabola
    assert float(found.defiltered_order) == pytest.approx(0.3, abs=1e-3)
    assert np.abs(found.defiltered - found.drive).max() < 0.05
