"""Differences between text and scripts: numbers where there are results, words where not."""

from __future__ import annotations

import numpy as np
import xarray as xr

from adaptrnn.report.difference import difference_table


def table1(gap):
    """Accuracies of two seeds, RNN+gamma better than the shared network by gap +- 0.01."""
    models = ["linear", "relu", "gamma-shared", "gamma", "arun"]
    values = np.full((1, 5, 2, 1), 0.5)
    values[0, 3, :, 0] += [gap - 0.01, gap + 0.01]
    dims = {"role": ["psmnist"], "model": models, "seed": [0, 1], "condition": ["clean"]}
    return xr.Dataset({"accuracy": (tuple(dims), values)}, dims)


def test_without_results_every_row_is_there_and_says_so():
    table = difference_table({})
    assert all(len(row) == len(table.header) and all(row) for row in table.rows)
    assert any(row[3] == "not in these results" for row in table.rows)


def test_numbers_are_those_of_the_results():
    without, found = (difference_table(data) for data in ({}, {"table1": table1(0.03)}))
    new = [row[3] for row in found.rows if row not in without.rows]
    assert len(new) == 2
    assert any("50.0 / 50.0 / 50.0 without perturbation" in text for text in new)
    assert any("+3.0 percentage points (+2.0 to +4.0, 2 seeds)" in text for text in new)


def test_a_network_that_is_missing_is_no_number():
    data = table1(0.03)
    data = data.where(data.model != "gamma-shared")
    said = [row[3] for row in difference_table({"table1": data}).rows]
    assert not any("minus that with learned shared ones" in text for text in said)
