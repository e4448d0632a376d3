"""Means and lists in the notes of verdicts."""

from __future__ import annotations

import numpy as np
import xarray as xr

from adaptrnn.paper.note import enumerated, means_along

ROWS = {"seed": [0, 1, 2], "xi": [1.0, 5.0]}


def test_means_are_over_everything_else_and_leave_out_what_is_missing():
    values = xr.DataArray([[1.0, 2.0], [3.0, np.nan], [np.nan, 4.0]], coords=ROWS)
    assert means_along(values, "xi") == "2 at 1 and 3 at 5"
    assert means_along(values.sel(xi=[5.0]), "xi", ".1f") == "3.0 at 5"


def test_the_first_entry_is_named_and_a_text_may_have_other_words():
    values = xr.DataArray([1.0, 2.0, 3.0], {"shape": ["linear", "power", "own"]})
    words = {"linear": "a line", "power": "a power law"}
    assert means_along(values, "shape", link="for ", words=words) == (
        "1 for a line, 2 for a power law and 3 for own"
    )
    numbered = values.assign_coords(shape=[1.0, 2.5, 5.0])
    assert means_along(numbered, "shape", name="n = ") == "1 at n = 1, 2 at 2.5 and 3 at 5"


def test_what_has_no_number_is_not_mentioned():
    values = xr.DataArray(np.full((3, 2), np.nan), coords=ROWS)
    assert means_along(values, "xi") == ""
    assert means_along(values.fillna(0.0).where(values.xi > 1), "xi") == "0 at 5"


def test_a_list_reads_as_in_a_sentence():
    assert [enumerated(list("abc")[:count]) for count in range(4)] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
