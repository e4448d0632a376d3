"""One run on disk: what it refuses, folders of runs, and reading without its data.

That a run resumes is tested in test_training.py, damage in tests/faults, sharing in
test_sharing.py.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import xarray as xr

from adaptrnn import RNN, InputError
from adaptrnn.cli import main
from adaptrnn.config import TrainConfig
from adaptrnn.evaluation import evaluate
from adaptrnn.run import Run, build_model, load_task, read_config, runs_in, versions
from adaptrnn.training import train

TINY = TrainConfig("digits", "gamma", hidden_size=5, epochs=1, train_size=100)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return train(replace(TINY, out=tmp_path_factory.mktemp("runs") / "one"))


def changed(run: Run, folder: Path, options: dict[str, object]) -> Run:
    """Return a copy of a run whose configuration was changed by hand."""
    other = Run(shutil.copytree(run.folder, folder))
    values = json.loads(other.config_path.read_text()) | options
    del values["sha256"]  # as who changes it by hand is told to
    other.config_path.write_text(json.dumps(values))
    return other


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
    other = changed(run, tmp_path / "copy", change)
    with pytest.raises(InputError, match=message):
        other.model()


def test_other_data_are_refused(run):
    task = load_task(replace(TINY, train_size=90))
    with pytest.raises(InputError, match=r"split_hash .* there"):
        run.task_is(task)


def test_a_network_given_in_python_is_not_built_from_its_configuration():
    with pytest.raises(InputError, match="model='own'"):
        build_model(replace(TINY, model="own"), load_task(TINY))


@pytest.mark.long
@pytest.mark.parametrize("backend", ["cpu", "triton", "triton-graph"])
def test_a_run_is_read_on_a_machine_without_its_backend(run, tmp_path, backend):
    """The GPU is not needed to load what it trained: the same weights run by `auto`."""
    there = changed(run, tmp_path / "run", {"backend": backend})
    assert there.config().backend == backend
    task, model = run.task(), there.model()
    for loaded in (model, there.initial(task)):
        assert loaded.core.backend == "auto" and not loaded.training
    assert evaluate(model, task) == evaluate(run.model(), task)
    here = changed(run, tmp_path / "auto", {"backend": "auto"})
    folders = [str(there.folder), str(here.folder)]
    assert main(["evaluate", *folders]) == 0
    assert there.evaluation().equals(here.evaluation())
    assert main(["analyze", "step_response", *folders, "--effort", "0.01"]) == 0
    found = [xr.load_dataset(*one.folder.rglob("*.nc")) for one in (there, here)]
    assert found[0].equals(found[1])


def test_a_loaded_network_keeps_the_reference_and_leaves_the_given_network_alone(run, tmp_path):
    plain = changed(run, tmp_path / "plain", {"backend": "reference"})
    assert plain.model().core.backend == "reference"
    core = RNN(1, 5, nonlinearity="gamma", backend="triton")
    own = changed(run, tmp_path / "own", {"model": "own"})
    assert Run(own.folder, given_core=core).model().core.backend == "auto"
    assert core.backend == "triton"


def test_training_by_a_backend_that_cannot_run_is_refused(tmp_path):
    config = replace(TINY, backend="triton", accelerator="cpu", out=tmp_path / "run")
    with pytest.raises(InputError, match="backend='triton'"):
        train(config)
    # its folder takes another backend, which does not change what is computed
    train(replace(config, backend="auto"))
    assert Run(tmp_path / "run").record()["state"] == "finished"
