"""Collecting: what is missing is named with its reason, and takes nothing else with it."""

import shutil
from dataclasses import replace

import pytest
import yaml

from adaptrnn.paper.catalogue import ITEMS
from adaptrnn.paper.collect import _machine, collect_results
from adaptrnn.paper.plan import Plan
from adaptrnn.paper.store import read_results
from adaptrnn.run import Run
from adaptrnn.training import train

PROFILE = {
    "summary": "two small networks",
    "seeds": [0],
    "hidden_size": 40,
    "controller_size": 4,
    "train": {"epochs": 1, "n": "code", "train_size": 100},
    "roles": {"psmnist": {"task": "digits", "effort": 0.02, "models": {"relu": {}, "gamma": {}}}},
}
SOME = {name: ITEMS[name] for name in ("table1", "fig4-step", "learning-curves", "fig1-gamma")}
NAMES = ("psmnist-relu-seed0", "psmnist-gamma-seed0")


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    path = tmp_path_factory.mktemp("profile") / "small.yaml"
    path.write_text(yaml.safe_dump(PROFILE))
    return Plan.of(str(path))


@pytest.fixture(scope="module")
def folder(plan, tmp_path_factory):
    """A folder with the first of the two networks, trained but not evaluated."""
    folder = tmp_path_factory.mktemp("runs")
    config = plan.runs[NAMES[0]].config
    train(replace(config, out=folder / NAMES[0]))
    return folder


def test_runs_and_items_that_are_missing_are_named(plan, folder, tmp_path):
    missing = collect_results(plan, folder, tmp_path, {"note": "mine"}, SOME)
    assert missing["psmnist gamma"] == "1 network not trained"
    assert "not evaluated under" in missing["table1"]  # of the one that is trained
    assert str(folder) not in missing["table1"]  # results go to other machines
    assert missing["fig4-step"] == "none of the runs that it needs is there"  # no ARUN
    items, runs, manifest = read_results(tmp_path)
    # what needs no evaluation is there, and what needs no run
    assert set(items) == {"learning-curves", "fig1-gamma"}
    assert items["learning-curves"].model.values.tolist()[0] == "relu"
    assert manifest["missing"] == missing and manifest["note"] == "mine"
    assert runs["name"].tolist() == [NAMES[0]]
    record = Run(folder / NAMES[0]).record()
    assert manifest["commits"] == {record["versions"].get("commit", "not recorded"): 1}
    assert list(manifest["machines"].values()) == [1]
    (row,) = runs.to_dict("records")
    assert row["parameters"] == record["parameters"] and row["task"] == "digits"
    assert row["validation_accuracy"] == record["validation_accuracy"]


def test_a_machine_is_named_by_its_processor_and_gpu_where_the_record_has_them():
    old = {"system": "Linux", "machine": "x86_64", "processors": 16, "gpus": 1}
    assert _machine(old) == "Linux x86_64, 16 processors, 1 GPU"
    new = old | {"processor": "AMD EPYC", "gpus": 0, "gpu": None}
    assert _machine(new) == "AMD EPYC, 16 processors"
    assert _machine(new | {"gpus": 2, "gpu": "NVIDIA H200"}).endswith(", 2 NVIDIA H200")


def test_a_run_that_has_not_finished_is_not_counted(plan, folder, tmp_path):
    shutil.copytree(folder / NAMES[0], tmp_path / NAMES[0])
    Run(tmp_path / NAMES[0]).update({"state": "training"})
    missing = collect_results(plan, tmp_path, tmp_path / "results", items={})
    assert missing["psmnist relu"] == "1 network not trained"
    assert read_results(tmp_path / "results")[1].empty
