"""The drawing of psychometric curves: percent of trials, with bars of two standard errors."""

import numpy as np
import pytest
import xarray as xr

from adaptrnn.figure.psychometric import draw_psychometric

VALUES = [2.0, 5.0, 9.0]


def table(metric):
    shape = ("perturbation", "value")
    return xr.Dataset(
        {
            metric: (shape, [[0.9, 0.8, 0.7], [0.6, 0.55, 0.5]]),
            "standard_error": (shape, [[0.01, 0.02, 0.03], [0.04, 0.05, 0.06]]),
            "trials": (shape, np.full((2, 3), 500)),
        },
        {
            "perturbation": ["clean", "step"],
            "value": ("value", VALUES, {"condition": "delay (steps)"}),
        },
        {"task": "delayed-match"},
    )


@pytest.mark.parametrize(("metric", "unit"), [("accuracy", 100), ("error", 1)])
def test_points_and_bars_are_those_of_the_table(metric, unit):
    data = table(metric)
    (axis,) = draw_psychometric(data).axes
    for name, container in zip(data.perturbation.values, axis.containers, strict=True):
        one = data.sel(perturbation=name)
        line, _, (bars,) = container.lines
        np.testing.assert_allclose(line.get_xydata().T, [VALUES, unit * one[metric]], rtol=1e-12)
        ends = np.array(bars.get_segments())[:, :, 1]
        np.testing.assert_allclose(np.diff(ends)[:, 0], 4 * unit * one.standard_error, rtol=1e-9)
        assert container.get_label() == name
    assert axis.get_xlabel() == "delay (steps)"
    assert axis.get_title() == "delayed-match, 3,000 trials"
