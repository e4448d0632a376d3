"""Tasks that are not images, from training to psychometric curve: command line and Python."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import adaptrnn
from adaptrnn import ARUN, InputError, SequenceModel, StepDrive
from adaptrnn import training as training_module
from adaptrnn.cli import main
from adaptrnn.config import TrainConfig, from_dict, to_dict
from adaptrnn.evaluation import evaluate, evaluate_run
from adaptrnn.perturb import Sum
from adaptrnn.run import Run
from adaptrnn.tasks import load
from adaptrnn.training import Batches, train

SMALL = {"test_size": 40, "validation_size": 30}
MATCH = TrainConfig(
    "delayed-match",
    "arun",
    hidden_size=6,
    controller_size=3,
    epochs=3,
    batch_size=20,
    train_size=70,
    lr=0.01,
    task_options=("delay=[2, 5]", *(f"{k}={v}" for k, v in SMALL.items())),
)


def same(a: Run, b: Run) -> None:
    """Weights and metrics (but for seconds) are equal, bit for bit."""
    left, right = load_file(a.weights_path), load_file(b.weights_path)
    assert all(torch.equal(left[name], right[name]) for name in left)
    tables = [pd.read_parquet(run.metrics_path).drop(columns="seconds") for run in (a, b)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)


@pytest.fixture(scope="module")
def match(tmp_path_factory) -> Run:
    return train(replace(MATCH, out=tmp_path_factory.mktemp("runs") / "match"))


# --- training -----------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [1, 4, 6, 11])
def test_new_trials_interrupted_is_uninterrupted(tmp_path, monkeypatch, match, call):
    """3 epochs of 4 batches; stopped in the middle of an epoch, at its end, at the beginning."""
    original, count = training_module._Module.training_step, [0]

    def stop(self, *arguments):
        count[0] += 1
        if count[0] == call:
            raise RuntimeError("stopped")
        return original(self, *arguments)

    cut = replace(MATCH, out=tmp_path, checkpoint_seconds=0)
    with monkeypatch.context() as patch:
        patch.setattr(training_module._Module, "training_step", stop)
        with pytest.raises(RuntimeError, match="stopped"):
            train(cut)
    same(match, train(cut))


@pytest.mark.long
def test_killed_on_new_trials_goes_on(tmp_path, match):
    """SIGKILL at a random save, then the same command again."""
    command = [sys.executable, "-m", "adaptrnn.cli", "train", MATCH.task, "--out", str(tmp_path)]
    command += ["--model", "arun", "--hidden-size", "6", "--controller-size", "3", "--epochs", "3"]
    command += ["--batch-size", "20", "--train-size", "70", "--lr", "0.01"]
    command += ["--checkpoint-seconds", "0", "--task-options", *MATCH.task_options]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    path = tmp_path / "checkpoint.ckpt"
    saves, last, target = 0, None, random.Random(time.time()).randint(1, 8)
    while saves < target and process.poll() is None:
        try:
            now = path.stat().st_mtime_ns
        except FileNotFoundError:  # not yet, or just between two saves
            now = None
        saves, last = saves + (now != last), now
    process.kill()
    assert process.wait() in (-signal.SIGKILL, 0)
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    same(match, Run(tmp_path))


def test_a_run_knows_its_task(match):
    record, task = match.record(), match.task()
    assert record["task"]["split_hash"] == task.split_hash
    assert record["task"]["answers"] == "classes" and record["task"]["condition"] == "delay"
    table = match.metrics()
    assert record["validation_accuracy"] == table.validation_accuracy.max()
    assert isinstance(match.model(), SequenceModel)
    # the accuracy recorded is that of the weights kept
    found = evaluate(match.model(), task, split="validation")
    assert math.isclose(found.accuracy, record["validation_accuracy"], rel_tol=1e-12)
    assert from_dict(json.loads(json.dumps(to_dict(MATCH)))) == MATCH


def test_metrics_are_means_over_trials_of_unequal_length(tmp_path):
    """With a learning rate of nearly nothing they are those of the initial network."""
    config = replace(MATCH, epochs=1, lr=1e-30, out=tmp_path)
    run = train(config)
    row, task = run.metrics().iloc[0], run.task()
    model = run.initial(task)
    model.requires_grad_(False)
    loss = weight = score = count = 0.0
    for position in range(4):
        trials = task.draw(config.seed, 0, position, 20)
        entropy = nn.functional.cross_entropy(
            model(trials.inputs).flatten(0, 1), trials.targets.flatten(), reduction="none"
        )
        loss += float((entropy.double() * trials.weights.flatten()).sum())
        weight += float(trials.weights.sum())
        right = (model(trials.inputs).argmax(-1) == trials.targets) & trials.decision
        score += float((right.sum(0) / trials.decision.sum(0)).sum())
        count += len(trials)
    # float32 sums over 37 steps
    assert math.isclose(row.train_loss, loss / weight, rel_tol=1e-5)
    assert math.isclose(row.train_accuracy, score / count, rel_tol=1e-6)


def test_the_adding_problem_is_learned_better_than_by_guessing(tmp_path):
    task = load("adding", parameters={"steps": 10, **SMALL}, train_size=600)
    run = adaptrnn.train(
        task, nn.GRU(2, 24), epochs=8, lr=1e-2, batch_size=30, clip=1.0, out=tmp_path
    )
    assert run.record()["validation_error"] == run.metrics().validation_error.min()
    # always 1 is wrong by 1/3 in the mean, 0.01 on 40 trials is a seventh of its standard error
    assert run.record()["validation_error"] < 0.2
    table = evaluate_run(run, {"clean": Sum(())})
    assert table.accuracy.isna().all() and table.error[0] < 0.25
    again = evaluate_run(run, {"clean": Sum(())})  # from the file
    pd.testing.assert_frame_equal(table, again)
    with pytest.raises(InputError, match="None for GRU"):
        evaluate(run.model(), task, StepDrive(1.0))


def test_a_core_given_in_python_trains_and_comes_back(tmp_path):
    task = load("perceptual-decision", parameters=SMALL, train_size=60)

    def core(seed):
        torch.manual_seed(seed)
        return ARUN(3, 5, controller_size=3)

    options = {"epochs": 2, "lr": 0.01, "batch_size": 30}
    first = core(0)
    start = {name: value.clone() for name, value in first.state_dict().items()}
    run = adaptrnn.train(task, first, out=tmp_path / "a", **options)
    assert run.config().model == "arun" and run.config().controller_size == 3
    again = adaptrnn.train(task, core(0), out=tmp_path / "b", **options)
    same(run, again)
    # the first weights are those given, and the weights kept are read without the core
    initial = Run(run.folder).initial(task).core.state_dict()
    assert all(torch.equal(start[name], initial[name]) for name in start)
    kept = Run(run.folder).model().state_dict()
    assert all(torch.equal(kept[name], value) for name, value in run.model().state_dict().items())
    with pytest.raises(InputError, match="task of your own"):
        Run(run.folder).task()
    assert Run(run.folder, given_task=task).task() is task
    with pytest.raises(InputError, match="split_hash"):
        Run(run.folder, given_task=load("delayed-match")).task()


def test_a_network_that_is_not_ours(tmp_path):
    task = load("perceptual-decision", parameters=SMALL, train_size=60)
    run = adaptrnn.train(task, nn.RNN(3, 5), epochs=1, out=tmp_path)
    assert run.config().model == "own" and isinstance(run.model().core, nn.RNN)
    with pytest.raises(InputError, match="given_core"):
        Run(tmp_path).model()
    loaded = Run(tmp_path, given_core=nn.RNN(3, 5)).model().state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in run.model().state_dict().items())
    with pytest.raises(InputError, match="hidden_size=4: must be left out"):
        adaptrnn.train(task, nn.RNN(3, 5), hidden_size=4)
    with pytest.raises(InputError, match="epoch"):
        adaptrnn.train(task, nn.RNN(3, 5), epoch=4)


@pytest.mark.long
def test_without_the_extra_it_is_named():
    """In a process of its own: what is imported already would hide it."""
    code = (
        "import sys; sys.modules['pytorch_lightning'] = None\n"
        "import adaptrnn\n"
        "adaptrnn.Task, adaptrnn.SequenceModel\n"
        "try:\n    adaptrnn.train\n"
        "except adaptrnn.MissingExtraError as error:\n    print(error)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'adaptrnn[train]'" in found.stdout


def test_two_devices_share_new_trials():
    task = load("adding", parameters={"steps": 4, **SMALL}, train_size=50)
    whole = [trials.inputs for trials in Batches(task, task.train, 21, seed=1)]
    shares = [list(Batches(task, task.train, 21, 1, rank, 2)) for rank in (0, 1)]
    assert [len(t) for t in shares[0]] == [10, 10, 4] == [len(t) for t in shares[1]]
    for k, x in enumerate(whole):
        assert torch.equal(shares[1][k].inputs, x[:, 1 : 2 * len(shares[1][k]) : 2])


def test_a_run_from_before_there_were_trials_resumes(tmp_path, monkeypatch):
    """Its configuration had no task_options, its checkpoint three sums: loss, hits, images."""
    config = TrainConfig("digits", "gamma", hidden_size=4, epochs=2, train_size=250, lr=0.01)
    whole = train(replace(config, out=tmp_path / "whole"))
    old = replace(config, out=tmp_path / "old", checkpoint_seconds=0)
    original, count = training_module._Module.training_step, [0]

    def stop(self, *arguments):
        count[0] += 1
        if count[0] == 3:
            raise RuntimeError("stopped")
        return original(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(training_module._Module, "training_step", stop)
        with pytest.raises(RuntimeError, match="stopped"):
            train(old)
    run = Run(old.folder)
    state = torch.load(run.checkpoint_path, weights_only=True)
    loss, weight, hits, images = state["adaptrnn"]["train"]
    assert weight == images == 200
    state["adaptrnn"]["train"] = [loss, hits, images]
    del state["adaptrnn"]["config"]["task_options"]
    torch.save(state, run.checkpoint_path)
    values = json.loads(run.config_path.read_text())
    del values["task_options"], values["sha256"]
    run.config_path.write_text(json.dumps(values))
    same(whole, train(old))


# --- evaluation, psychometric curve, analyses ----------------------------------------------------


@pytest.mark.long
def test_commands_for_trials(match, capsys):
    folder = str(match.folder)
    assert main(["psychometric", folder, "--perturb", "step:xi=5"]) == 0
    assert (match.folder / "psychometric.png").stat().st_size > 1000
    from adaptrnn.storage import read_dataset

    assert read_dataset(match.folder / "psychometric.nc").sizes == {"perturbation": 2, "value": 2}
    assert main(["evaluate", folder]) == 0
    assert "trials" in capsys.readouterr().out
    assert (
        main(["analyze", "spectrum,gradients,robustness", folder, "--effort", ".05", "--draw"]) == 0
    )
    assert (match.folder / "analysis" / "robustness.png").exists()
    assert main(["analyze", "transfer", folder]) == 2
    from adaptrnn.explore.network import load_network as explored

    assert explored(match.folder).core.hidden_size == 6


def test_code_is_loaded_only_when_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_task.py").write_text(
        "from adaptrnn.tasks.cognitive import perceptual_decision\n"
        "open('was_run', 'w').close()\n"
        "def task(train_size=40):\n"
        "    return perceptual_decision(train_size=train_size, validation_size=5, test_size=9)\n"
    )
    words = ["train", "./my_task.py:task", "--model", "gamma", "--hidden-size", "4"]
    assert main([*words, "--epochs", "1"]) == 0
    folder = "runs/my_task-task-gamma-seed0"
    assert Run(folder).record()["state"] == "finished"
    (tmp_path / "was_run").unlink()
    capsys.readouterr()
    assert main(["evaluate", folder]) == 2
    assert "--task ./my_task.py:task" in capsys.readouterr().err
    assert not (tmp_path / "was_run").exists()
    assert main(["evaluate", folder, "--task", "./my_task.py:task"]) == 0
    assert (tmp_path / "was_run").exists()
