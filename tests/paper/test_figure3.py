"""Figure 3: verdicts on planted spreads, fits and slopes; real protocols."""

import numpy as np
import pytest
import xarray as xr

from adaptrnn.paper import figure3


@pytest.mark.long
@pytest.mark.parametrize("item", [figure3.HETEROGENEITY, figure3.SCALING])
def test_measures_of_the_protocols_are_drawn_and_judged(item, collected, holds):
    data = collected(item)
    holds(item, data)
    assert data.nbytes < 100_000


@pytest.mark.parametrize(
    ("n", "s", "expected"),
    [(0.2, 0.01, "reproduced"), (0.2, 0.0005, "partly"), (0.01, 0.0005, "not")],
)
@pytest.mark.parametrize("start", [0.0, 2.0])
def test_heterogeneity(collected, n, s, expected, start):
    data = collected(figure3.HETEROGENEITY)
    signs = xr.DataArray([1.0, -1.0] * 4, {"neuron": data.neuron})  # sd (8/7)^.5, ddof 1
    first = (start * np.sqrt(7 / 8) * signs).broadcast_like(data.n)
    planted = data.assign(
        n_initial=first,
        s_initial=first,
        n_sd=xr.full_like(data.n_sd, start + n),
        s_sd=xr.full_like(data.s_sd, start + s),
    )
    assert [one.outcome for one in figure3.judge_heterogeneity(planted)] == [expected]


@pytest.mark.parametrize(
    ("r2", "delta", "slopes", "expected"),
    [
        (0.95, -5.0, [1.0, 2.0], ["reproduced", "reproduced", "reproduced"]),
        (0.95, 5.0, [2.0, 2.0], ["partly", "reproduced", "not"]),
        (0.5, 5.0, [2.0, 1.0], ["not", "not", "not"]),
    ],
)
def test_scaling(collected, r2, delta, slopes, expected):
    data = collected(figure3.SCALING)
    slope = xr.DataArray(slopes, {"condition": ["adaptive", "frozen"]})
    planted = data.assign(
        n_r2=xr.full_like(data.n_r2, r2),
        s_r2=xr.full_like(data.s_r2, r2),
        n_delta_aic=xr.full_like(data.n_delta_aic, delta),
        slope=slope.broadcast_like(data.slope),
    )
    assert [one.outcome for one in figure3.judge_scaling(planted)] == expected


def test_a_mean_that_one_network_carries_is_said_to_be_so():
    said = figure3._by_seed(np.array([3.76, 0.08, 0.11, -0.36, -0.82, np.nan]))
    assert "above 0 in 3 of 5 networks" in said and "+3.76, +0.08" in said
    assert said.endswith("Without the network of +3.76 the mean would be -0.25.")
    assert "Without" not in figure3._by_seed(np.array([0.5, 0.4, 0.6]))


def test_another_shape_does_not_stand_for_the_one_claimed(collected):
    data = collected(figure3.SCALING)
    line = xr.where(data["shape"] == "linear", 1.0, 0.1)
    planted = data.assign(n_r2=line.broadcast_like(data.n_r2), s_r2=line.broadcast_like(data.s_r2))
    assert [one.outcome for one in figure3.judge_scaling(planted)][1] == "not"
