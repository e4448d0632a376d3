"""The gate before judging: planted accuracies on both sides of each of its two limits."""

import pytest
import xarray as xr

from adaptrnn.paper.gate import in_order, untrained
from adaptrnn.paper.verdict import Claim, part, verdict

MODELS = ["relu", "gamma", "arun", "gru"]
CLAIM = Claim("E06", "Table 1", "", "", {"psmnist": ("relu", "gamma", "arun")})


def accuracy(*values):
    return xr.DataArray([list(values)], {"role": ["psmnist"], "model": MODELS})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((0.9, 0.9, 0.9, 0.9), ""),
        ((0.29, 0.2, 0.2, 0.29), "no model reaches 30% (the best has 29.0%)"),
        ((0.2, 0.2, 0.2, 0.31), ""),  # the task can be learned, and each has half of the best
        ((0.9, 0.46, 0.9, 0.9), ""),
        ((0.9, 0.44, 0.9, 0.9), "RNN+gamma has 44.0%, less than half of the best (90.0%)"),
        ((0.9, 0.9, 0.9, 0.1), ""),  # a network that is not judged
        ((float("nan"),) * 4, ""),
    ],
)
def test_limits(values, words):
    found = untrained(CLAIM, accuracy(*values))
    assert words in found and bool(found) == bool(words)


def test_verdicts_are_marked_and_put_in_order():
    rates = accuracy(0.9, 0.44, 0.9, 0.9).expand_dims(seed=[0], condition=["clean"])
    tables = {"table1": xr.Dataset({"accuracy": rates})}
    parts = [part("q", [1.0, 2.0], above=0)]
    first = Claim("E01", "Fig 1a", "", "")
    pairs = [(verdict(CLAIM, parts), "table1"), (verdict(first, parts), "fig1-gamma")]
    found = in_order(pairs, tables)
    assert [(one.claim.id, one.outcome, name) for one, name in found] == [
        ("E01", "reproduced", "fig1-gamma"),
        ("E06", "not trained enough", "table1"),
    ]
    assert in_order(pairs, {})[1][0].outcome == "reproduced"
