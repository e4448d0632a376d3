"""Curve against initial matrix: planted accuracies, effects paired by seed."""

import xarray as xr

from adaptrnn.config import TrainConfig
from adaptrnn.figure.style import render
from adaptrnn.paper import initial
from adaptrnn.paper.item import RunData, combine

CURVE = {"relu": 0.0, "gamma": 0.05}
MATRIX = {"henaff": 0.1, "uniform": 0.0}


def collected():
    """Accuracy is 0.7, plus that of the curve, of the matrix, and of the seed."""
    runs = []
    for matrix in MATRIX:
        for model in CURVE:
            for seed in (0, 1, 2):
                value = 0.7 + CURVE[model] + MATRIX[matrix] + 0.01 * seed
                rates = xr.Dataset(
                    {"accuracy": ("condition", [value, value - 0.3])},
                    {"condition": list(initial.INITIAL_CONDITIONS)},
                )
                config = TrainConfig("digits", model, seed=seed, recurrent_init=matrix)
                runs.append(("psmnist", RunData(config, evaluation=rates)))
    return combine(initial.INITIAL, runs)


def test_effects_are_what_was_planted():
    data = collected()
    assert render(initial.INITIAL.draw, data).startswith(b"<?xml")
    rows = {row[0]: row[1:] for row in initial.table(data).rows}
    # the spread over seeds is the same in both, so it drops out of the pairs
    assert rows["RNN+gamma minus RNN (ReLU), from the paper's (orthogonal) W_hh"][0].startswith(
        "+5.0"
    )
    assert rows["RNN+gamma minus RNN (ReLU), from torch's (uniform) W_hh"][1].startswith("+5.0")
    for label in ("RNN (ReLU)", "RNN+gamma"):
        text = f"{label}: the paper's (orthogonal) minus torch's (uniform) W_hh"
        assert rows[text][0].startswith("+10.0")
    assert len(rows) == 4 and not initial.INITIAL.judge(data)


def test_only_the_paper_s_matrix_is_drawn_too():
    data = collected().sel(initial=["henaff"])
    assert render(initial.INITIAL.draw, data).startswith(b"<?xml")
    assert len(initial.table(data).rows) == 1
