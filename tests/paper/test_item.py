"""Items: what is read of runs, and how the measures of runs become one data set."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from adaptrnn import InputError
from adaptrnn.config import TrainConfig
from adaptrnn.evaluation import evaluate_run
from adaptrnn.paper.item import Item, RunData, combine, drop_empty, read_runs
from adaptrnn.perturb import StepDrive, Sum
from adaptrnn.storage import write_dataset
from adaptrnn.training import train

DRIVES = {"clean": Sum(()), "strong": StepDrive(3.0)}


def item(measure, **options):
    return Item("one", "", "", measure, None, None, roles=("psmnist",), **options)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = TrainConfig("digits", "relu", hidden_size=4, epochs=1, train_size=100, seed=3)
    return train(replace(config, out=tmp_path_factory.mktemp("runs") / "run"))


def test_only_what_an_item_names_is_read(run):
    one = item(None, models=("relu",), conditions=DRIVES, analyses=("made",), files=("weights",))
    known = [("psmnist", "", run)]
    with pytest.raises(InputError, match="not evaluated under clean, step:xi=3"):
        list(read_runs(one, known))  # it must not take hours unasked
    table = evaluate_run(run, DRIVES)
    with pytest.raises(
        InputError, match=r"made\.nc: there is no such file. Run  adaptrnn analyze made"
    ):
        list(read_runs(one, known))
    write_dataset(run.folder / "analysis" / "made.nc", xr.Dataset({"a": 1.0}))
    ((role, data),) = read_runs(one, known)
    assert (role, data.config, data.name) == ("psmnist", run.config(), str(run.folder))
    # the names are the item's, from the profile to the table
    assert data.evaluation.condition.values.tolist() == list(DRIVES)
    np.testing.assert_array_equal(data.evaluation.accuracy, table["accuracy"])
    assert float(data.analyses["made"].a) == 1 and data.metrics.empty
    assert data.weights.keys() == run.weights().keys()


def test_runs_that_are_not_needed_are_not_opened(run, tmp_path):
    one = item(None, models=("relu",), analyses=("nowhere",))
    others = [("psmnist", "grid", run), ("scifar10", "", run)]
    assert not list(read_runs(one, others))
    assert not list(read_runs(item(None, models=("gru",), analyses=("nowhere",)), others))


def planted(model, seed):
    return RunData(TrainConfig("digits", model, seed=seed), record={"value": 10.0 * seed})


def test_measures_are_put_side_by_side_and_what_is_missing_is_nan():
    one = item(lambda run: xr.Dataset({"a": run.record["value"]}), models=("arun", "gamma"))
    runs = [("psmnist", planted("gamma", 2)), ("psmnist", planted("arun", 1))]
    data = combine(one, runs)
    assert data.a.dims == ("role", "model", "seed")
    assert data.model.values.tolist() == ["gamma", "arun"]  # the order of all figures
    assert data.seed.values.tolist() == [1, 2]
    np.testing.assert_array_equal(data.a.values, [[[np.nan, 20.0], [10.0, np.nan]]])
    assert combine(one, runs[::-1]).equals(data)
    assert combine(one, []) is None
    assert drop_empty(data.sel(seed=[1]), "model").model.values.tolist() == ["arun"]


def test_an_item_without_runs_measures_by_itself():
    alone = replace(item(lambda: xr.Dataset({"a": 1.0})), roles=())
    assert float(combine(alone, []).a) == 1
