"""The ladder: effects planted on two rungs, collected, put in order and related to ARUN's."""

import numpy as np
import pytest
import xarray as xr

from adaptrnn.config import TrainConfig
from adaptrnn.figure.style import render
from adaptrnn.paper import ladder
from adaptrnn.paper.item import RunData, combine

RUNGS = {(50, 10): 784, (100, 20): 196}  # the longer first: length counts before size
NORM = {"relu": 30.0, "gamma": 20.0, "arun": 2.0}


NETWORKS = ["initial", "trained"]


def evaluated():
    assert str(ladder.LADDER_CONDITIONS["strong-drive"]) == "step:xi=30"
    rates = {"accuracy": ("condition", [0.9, 0.6, 0.5]), "loss": ("condition", [0.3, 1.0, 133.0])}
    return xr.Dataset(rates, {"condition": list(ladder.LADDER_CONDITIONS)})


def analysed(model):
    spectrum = xr.Dataset({"radius": ("network", [1.0, 1.4])}, {"network": NETWORKS})
    norms = np.outer([1.0, NORM[model]], [1.0, 0.5, 0.1])  # by the first step counted
    gradients = xr.Dataset({"norm": (("network", "time"), norms)}, {"network": NETWORKS})
    order = np.array([0.2, 0.3, -0.1, np.nan])  # of three that have one, two integrate
    dims = {"protocol": ["A"], "signal": ["h"], "estimator": ["paper"]}
    dims |= {"network": ["interacting"], "xi": [1.0]}
    values = order.reshape(*[1] * len(dims), 4)
    fractional = xr.Dataset({"order": ((*dims, "neuron"), values)}, dims)
    return {"spectrum": spectrum, "gradients": gradients, "fractional": fractional}


def collected():
    runs = []
    for (hidden, units), steps in RUNGS.items():
        for model in NORM:
            for seed in (0, 1):
                config = TrainConfig("digits", model, seed=seed, controller_size=units)
                record = {"task": {"sequence_length": steps}, "hidden_size": hidden}
                data = RunData(config, record, evaluated(), analysed(model))
                runs.append(("psmnist", data))
    return combine(ladder.LADDER, runs)


def test_effects_are_what_was_planted():
    data = collected()
    assert render(ladder.LADDER.draw, data).startswith(b"<?xml")
    found = ladder.effects(data.isel(role=0, drop=True))
    assert found.rung.values.tolist() == ["G = 20, T = 196", "G = 10, T = 784"]
    one = found.isel(rung=0, seed=0)
    for name, value in {"clean": 90, "drop": 30, "loss": 133, "radius": 1.4}.items():
        np.testing.assert_allclose(one[name], value)
    np.testing.assert_allclose(one.share, 200 / 3)
    assert one.gradient.sel(model=["relu", "gamma", "arun"]).values == pytest.approx([15, 10, 1])
    table = ladder.table(data)
    assert table.header[2:] == ("N = 100, G = 20, T = 196", "N = 50, G = 10, T = 784")
    assert len(table.rows) == 6 * 3 and not ladder.LADDER.judge(data)


def test_without_arun_there_are_effects_but_no_multiples_of_it():
    data = collected()
    alone = data.where(data.model != "arun")
    assert render(ladder.LADDER.draw, alone).startswith(b"<?xml")
    rows = ladder.table(alone).rows
    assert {row[1] for row in rows} == {"RNN (ReLU)", "RNN+gamma"} and len(rows) == 5 * 2
