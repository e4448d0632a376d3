"""Learning curves: planted courses of accuracy, drawn and summarised."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from adaptrnn._error import InputError
from adaptrnn.config import TrainConfig
from adaptrnn.figure.style import render
from adaptrnn.paper import learning
from adaptrnn.paper.item import RunData, combine


def run(role, model, seed, curve):
    rows = pd.DataFrame({"validation_accuracy": curve, "train_loss": 1 - np.array(curve)})
    return role, RunData(TrainConfig("digits", model, seed=seed), metrics=rows)


def collected():
    runs = [
        run("psmnist", "gru", 0, [0.1, 0.2, 0.3, 0.8]),
        run("psmnist", "gru", 1, [0.1, 0.2, 0.5, 0.8]),
        run("scifar10", "arun", 0, [0.1, 0.3, 0.3, 0.3, 0.2, 0.3, 0.1, 0.1]),
    ]
    return combine(learning.CURVES, runs)


def test_curves_are_collected_drawn_and_summarised():
    data = collected()
    assert data.sizes["epoch"] == 8
    assert render(learning.CURVES.draw, data).startswith(b"<?xml")
    # each panel ends with its own task's last epoch, so that names stand next to their lines
    assert [axis.get_xlim() for axis in learning.draw(data).axes] == [(1, 4), (1, 8)]
    rows = {row[:2]: row[2:] for row in learning.table(data).rows}
    # gained in the last of four epochs: 50 and 30 points
    assert rows["psMNIST", "GRU"] == ("4", "80.0 (80.0 to 80.0; 2)", "+40.0 pp")
    # the last two of eight: nothing
    assert rows["sCIFAR10", "ARUN"][2] in ("+0.0 pp", "-0.0 pp")
    assert not learning.CURVES.judge(data)


def test_a_line_leads_from_the_end_of_a_shorter_training_to_its_name():
    runs = [
        run("psmnist", "gru", 0, [0.1, 0.2, 0.3, 0.8]),
        run("psmnist", "arun", 0, [0.1, 0.6]),
    ]
    (axis,) = learning.draw(combine(learning.CURVES, runs)).axes
    leads = [line for line in axis.lines if line.get_ls() == ":" and len(line.get_xdata()) == 2]
    (lead,) = [line for line in leads if list(line.get_xdata()) == [2, 4]]
    assert list(lead.get_ydata()) == [60, 60]


def test_a_curve_that_is_flat_gains_nothing_and_none_gains_none():
    flat = xr.DataArray([0.5] * 8, dims="epoch")
    assert float(learning.late_gain(flat)) == 0
    assert np.isnan(learning.late_gain(flat * np.nan))


def test_the_rate_used_is_that_of_the_networks_and_not_always_the_best():
    rows = {"role": ["psmnist"], "model": ["arun", "gru"], "rate": [0.001, 0.003], "seed": [1001]}
    accuracy = np.array([0.80, 0.805, 0.7, 0.9]).reshape(1, 2, 2, 1)
    tables = {"learning-rates": xr.Dataset({"accuracy": (tuple(rows), accuracy)}, rows)}
    runs = pd.DataFrame(
        {
            "role": "psmnist",
            "model": ["arun", "arun", "arun", "gru", "gru"],
            "variant": ["", "", "ladder", "", ""],
            "learning_rate": [0.001, 0.001, 0.0003, 0.001, 0.003],
        }
    )
    found = learning.rates_table(learning.with_used_rates(tables, runs)["learning-rates"])
    assert found.header[-2:] == ("best rate", "rate used")
    # two rates of one model are not said as one
    assert [row[-1] for row in found.rows] == ["0.001", ""]
    assert found.rows[0][-2].startswith("0.003")
    alone = learning.with_used_rates(tables, runs.iloc[:0])["learning-rates"]
    assert learning.rates_table(alone).header[-1] == "best rate"
    assert learning.with_used_rates({}, runs) == {}


def test_the_search_is_not_measured_on_runs():
    with pytest.raises(InputError, match=r"adaptrnn\.paper\.search"):
        learning.RATE_TABLE.measure()
