"""Means in the notes of verdicts."""

from __future__ import annotations

import numpy as np
import xarray as xr

from adaptrnn.paper.note import means_along

ROWS = {"seed": [0, 1, 2], "xi": [1.0, 5.0]}


def test_means_are_over_everything_else_and_leave_out_what_is_missing():
    values = xr.DataArray([[1.0, 2.0], [3.0, np.nan], [np.nan, 4.0]], coords=ROWS)
    assert means_along(values, "xi") == "2 at 1, 3 at 5"
    assert means_along(values, "xi", ".1f", [5.0]) == "3.0 at 5"


def test_what_has_no_number_is_not_mentioned():
    values = xr.DataArray(np.full((3, 2), np.nan), coords=ROWS)
    assert means_along(values, "xi") == ""
    assert means_along(values.fillna(0.0).where(values.xi > 1), "xi") == "0 at 5"
