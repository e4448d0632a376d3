"""S18: verdicts on planted norms of gradients; the real protocol."""

import numpy as np
import pytest
import xarray as xr

from adaptrnn.paper import figure_s18

RISING = np.arange(1.0, 65.0)
HUMP = 8 * np.sin(np.linspace(0.1, 3.0, 64))  # rises, then falls to 1.1
FALLING = RISING[::-1]


@pytest.mark.long
def test_measures_of_the_protocol_are_drawn_and_judged(collected, holds):
    data = collected(figure_s18.ITEM)
    holds(figure_s18.ITEM, data)
    assert data.length.values.tolist() == list(range(1, data.sizes["length"] + 1))
    # contributions add up: over one step the norm is not that of the whole
    assert data.nbytes < 100_000


@pytest.mark.parametrize(
    ("relu", "gamma", "arun", "expected"),
    [
        (RISING, RISING, HUMP, "reproduced"),
        (RISING, RISING / 8, HUMP, "partly"),  # 7 times: at least 5, not 10
        (RISING, HUMP, HUMP, "partly"),
        (RISING, RISING, RISING, "partly"),
        (FALLING, FALLING, RISING, "not"),
    ],
)
def test_outcomes(collected, relu, gamma, arun, expected):
    data = collected(figure_s18.ITEM)
    rows = {"relu": relu, "gamma": gamma, "arun": arun, "linear": FALLING}  # the last is shown
    norm = data.norm.copy()
    for name, values in rows.items():
        norm.loc[{"model": name, "network": "trained"}] = values
        norm.loc[{"model": name, "network": "initial"}] = 1.0  # not what is judged
    (found,) = figure_s18.judge(data.assign(norm=norm))
    assert found.outcome == expected


def test_shape_of_a_norm():
    length = {"length": np.arange(64)}
    rising, hump = xr.DataArray(RISING, length), xr.DataArray(HUMP, length)
    assert float(figure_s18.monotone(rising)) == pytest.approx(1.0, rel=1e-12)
    assert float(figure_s18.monotone(-rising)) == pytest.approx(-1.0, rel=1e-12)
    assert float(figure_s18.monotone(hump)) < 0.5
    assert float(figure_s18.fall(rising)) == 1.0
    assert float(figure_s18.fall(hump)) == pytest.approx(HUMP[-1] / HUMP.max(), rel=1e-12)
