"""The search for learning rates."""

import dataclasses
import json
import math
import re
from contextlib import redirect_stderr
from io import StringIO

import pytest

from adaptrnn._error import InputError
from adaptrnn.figure.style import render
from adaptrnn.paper.learning import RATE_TABLE
from adaptrnn.paper.profile import load_profile
from adaptrnn.paper.search import choose_rate, keep_table, main, search_rates
from adaptrnn.paper.store import read_alone
from adaptrnn.run import Run


def test_an_unknown_task_is_one_error():
    printed = StringIO()
    with redirect_stderr(printed), pytest.raises(SystemExit) as stopped:
        main(["night", "--roles", "scifar"])
    assert stopped.value.code == 2
    assert re.search(r"--roles='scifar': must be one of .*'scifar10-conv'", printed.getvalue())


@pytest.mark.long
def test_every_model_is_trained_at_the_same_rates(tmp_path):
    profile = load_profile("quick")
    roles = {name: profile.roles[name] for name in list(profile.roles)[:1]}
    profile = dataclasses.replace(profile, roles=roles, grid=None, transplant=False)
    options = {"epochs": 1, "train_size": 100}
    found = search_rates(profile, tmp_path, (1e-3, 1e-2), (1001,), train_options=options)
    models = [(role, model) for role, own in profile.roles.items() for model in own.models]
    assert list(found) == models
    for accuracies in found.values():
        assert list(accuracies) == [1e-3, 1e-2]
        assert all(0 <= value <= 1 for values in accuracies.values() for value in values)
    # the options also take the place of what the profile says of one model
    assert any("epochs" in own for own in profile.roles["psmnist"].models.values())
    assert {Run(folder).config().epochs for folder in tmp_path.glob("lr*/*")} == {1}
    seeds = {path.name for path in tmp_path.glob("lr0.001/*")}
    assert len(seeds) == len(models) and all(name.endswith("seed1001") for name in seeds)


def test_a_model_that_cannot_be_trained_has_no_rate():
    assert math.isnan(choose_rate({1e-3: math.nan, 1e-2: math.nan}))
    assert choose_rate({1e-3: math.nan, 1e-2: 0.5}) == 1e-2


def test_the_table_of_a_search_grows_and_keeps_what_was_known(tmp_path):
    first = {("psmnist", "gru"): {1e-3: [0.5, math.nan], 1e-2: [0.9, 0.8]}}
    keep_table(first, (1001, 1002), tmp_path, {"epochs": 4})
    later = {("scifar10", "arun"): {1e-3: [0.3]}, ("psmnist", "gru"): {1e-2: [0.7]}}
    keep_table(later, (1001,), tmp_path, {"epochs": 4})
    keep_table({("scifar10", "arun"): {1e-2: [0.2]}}, (1001,), tmp_path, {"epochs": 3})
    about = json.loads((tmp_path / "learning-rates.json").read_text())["searches"]
    assert about == {"psmnist": {"epochs": 4}, "scifar10": {"epochs": 3}}
    table = read_alone(tmp_path / "learning-rates.parquet").accuracy
    gru = table.sel(role="psmnist", model="gru")
    # found again: the later value; a rate or a seed that was not tried again: the earlier one
    assert float(gru.sel(rate=1e-2, seed=1001)) == 0.7
    assert float(gru.sel(rate=1e-2, seed=1002)) == 0.8
    assert float(gru.sel(rate=1e-3, seed=1001)) == 0.5
    assert math.isnan(gru.sel(rate=1e-3, seed=1002))
    assert float(table.sel(role="scifar10", model="arun", rate=1e-3, seed=1001)) == 0.3
    assert math.isnan(table.sel(role="scifar10", model="gru", rate=1e-3, seed=1001))


def test_the_table_is_drawn_and_says_where_the_best_rate_is_at_the_edge(tmp_path):
    found = {
        ("psmnist", "gru"): {1e-3: [0.5], 1e-2: [0.9], 1e-1: [0.6]},
        ("psmnist", "arun"): {1e-3: [0.9], 1e-2: [0.8], 1e-1: [math.nan]},
    }
    data = keep_table(found, (1001,), tmp_path, {})
    assert render(RATE_TABLE.draw, data).startswith(b"<?xml")
    rows = {row[1]: row for row in RATE_TABLE.table(data).rows}
    assert rows["GRU"][-1] == "0.01" and rows["ARUN"][-1] == "0.001, at the edge"
    assert rows["ARUN"][-2] == ""


@pytest.mark.long
def test_a_training_that_does_not_begin_gives_its_reason(tmp_path):
    profile = load_profile("laptop")
    role = profile.roles["psmnist"]
    role = dataclasses.replace(role, models={"relu": {}})
    profile = dataclasses.replace(profile, roles={"psmnist": role}, grid=None, transplant=False)
    with pytest.raises(InputError, match=r"relu-seed1001: training ended before it began: .*mnist"):
        search_rates(profile, tmp_path, (1e-3,), (1001,), 1, data_dir=tmp_path)
