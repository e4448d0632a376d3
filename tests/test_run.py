"""One run on disk: what it refuses, folders of runs, and reading without its data.

That a run resumes is tested in test_training.py, damage in tests/faults, sharing in
test_sharing.py.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch

from adaptrnn import InputError
from adaptrnn.config import TrainConfig
from adaptrnn.run import Run, build_model, load_task, read_config, runs_in, versions
from adaptrnn.training import train

TINY = TrainConfig("digits", "gamma", hidden_size=5, epochs=1, train_size=100)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return train(replace(TINY, out=tmp_path_factory.mktemp("runs") / "one"))


def test_a_run_holds_what_it_was_trained_by(run):
    assert read_config(run.config_path) == run.config() == replace(TINY, out=run.folder)
    record = run.record()
    assert record["state"] == "finished" and record["versions"] == versions()
    assert record["task"]["split_hash"] == run.task().split_hash
    assert len(run.metrics()) == 1 and run.evaluation() is None
    first, last = run.initial(run.task()).state_dict(), run.model().state_dict()
    assert not all(torch.equal(first[name], value) for name, value in last.items())


def test_a_folder_of_runs_is_its_runs(run, tmp_path):
    for name in ("b", "a"):
        shutil.copytree(run.folder, tmp_path / name)
    (tmp_path / "notes").mkdir()  # no run
    assert runs_in([tmp_path]) == [Run(tmp_path / "a"), Run(tmp_path / "b")]
    assert runs_in([run.folder, tmp_path / "a"]) == [run, Run(tmp_path / "a")]
    (empty,) = runs_in([tmp_path / "notes"])
    with pytest.raises(InputError, match="not a run"):
        empty.config()


def test_an_entry_is_changed_and_the_others_stay(run, tmp_path):
    other = Run(shutil.copytree(run.folder, tmp_path / "copy"))
    before = other.record()
    other.update({"state": "training"})
    assert other.record() == before | {"state": "training"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_size": 6}, "not of this configuration"),
        ({"model": "relu"}, "not of this configuration"),
        ({"model": "own"}, "given_core"),
    ],
)
def test_weights_of_another_configuration_are_refused(run, tmp_path, change, message):
    other = Run(shutil.copytree(run.folder, tmp_path / "copy"))
    values = json.loads(other.config_path.read_text()) | change
    del values["sha256"]  # as who changes it by hand is told to
    other.config_path.write_text(json.dumps(values))
    with pytest.raises(InputError, match=message):
        other.model()


def test_other_data_are_refused(run):
    task = load_task(replace(TINY, train_size=90))
    with pytest.raises(InputError, match=r"split_hash .* there"):
        run.task_is(task)


def test_a_network_given_in_python_is_not_built_from_its_configuration():
    with pytest.raises(InputError, match="model='own'"):
        build_model(replace(TINY, model="own"), load_task(TINY))
