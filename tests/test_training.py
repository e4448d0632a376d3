"""Training: interrupted equals uninterrupted, every schedule, every fault one clear error."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console
from rich.text import Text
from safetensors.torch import load_file

from adaptrnn import InputError
from adaptrnn import training as training_module
from adaptrnn.config import TrainConfig, to_dict
from adaptrnn.run import Run, build_model, donor_of, load_task
from adaptrnn.storage import read_checkpoint
from adaptrnn.training import Batches, TrainingError, train

# 3 epochs of 4 batches
TINY = TrainConfig(
    "digits", "gamma", hidden_size=6, epochs=3, batch_size=100, train_size=350, lr=0.01
)


@pytest.mark.parametrize("terminal", [False, True])
def test_it_says_what_is_trained_and_leaves_a_line_for_each_epoch(tmp_path, terminal):
    console = Console(file=io.StringIO(), force_terminal=terminal, width=200)
    config = replace(TINY, epochs=2, out=tmp_path, backend="reference", accelerator="cpu")
    run = train(config, console=console)
    text = Text.from_ansi(console.file.getvalue()).plain
    parameters = sum(w.numel() for w in run.model().parameters())
    assert f"gamma, 6 neurons, {parameters:,} parameters, on digits: 350 trials" in text
    assert "on cpu by plain torch" in text and str(tmp_path) in text
    for row in pd.read_parquet(run.metrics_path).to_dict("records"):
        line = f"epoch {row['epoch'] + 1:.0f}  train loss {row['train_loss']:.4f}"
        assert text.count(line) == 1


def same(a: Run, b: Run) -> None:
    """Weights, metrics (but for seconds) and the optimiser's state are equal, bit for bit."""
    left, right = load_file(a.weights_path), load_file(b.weights_path)
    assert left.keys() == right.keys()
    for name in left:
        assert torch.equal(left[name], right[name]), name
    tables = [pd.read_parquet(run.metrics_path).drop(columns="seconds") for run in (a, b)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    states = [torch.load(run.checkpoint_path, weights_only=True) for run in (a, b)]
    for left, right in zip(
        *(s["optimizer_states"][0]["state"].values() for s in states), strict=True
    ):
        assert all(torch.equal(left[key], right[key]) for key in left)
    for name, value in states[0]["state_dict"].items():
        assert torch.equal(value, states[1]["state_dict"][name])


class Killed(RuntimeError):
    pass


def interrupt(monkeypatch, method: str, call: int) -> None:
    """Raise in the `call`-th call of a method of the training module."""
    original, count = getattr(training_module._Module, method), [0]

    def wrapped(self, *arguments):
        count[0] += 1
        if count[0] == call:
            raise Killed
        return original(self, *arguments)

    monkeypatch.setattr(training_module._Module, method, wrapped)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The run of each schedule that nothing interrupts."""
    return {
        schedule: train(replace(TINY, schedule=schedule, out=tmp_path_factory.mktemp(schedule)))
        for schedule in ("plateau", "one-cycle", "constant")
    }


@pytest.mark.parametrize(
    "schedule, method, call",
    [("plateau", "training_step", call) for call in (1, 3, 4, 5, 6, 12)]
    + [("one-cycle", "training_step", call) for call in (4, 6)]
    + [("constant", "training_step", 7)]
    + [("plateau", "validation_step", call) for call in (1, 6)]
    + [("plateau", "on_train_epoch_end", 2)],
)
def test_interrupted_is_uninterrupted(tmp_path, monkeypatch, undisturbed, schedule, method, call):
    cut = replace(TINY, schedule=schedule, checkpoint_seconds=0, out=tmp_path)
    with monkeypatch.context() as patch:
        interrupt(patch, method, call)
        with pytest.raises(Killed):
            train(cut)
    assert Run(cut.folder).record()["state"] == "training"
    same(undisturbed[schedule], train(cut))


def test_interrupted_twice_with_rare_checkpoints(tmp_path, monkeypatch, undisturbed):
    cut = replace(TINY, out=tmp_path / "cut")
    for call in (7, 3):
        with monkeypatch.context() as patch:
            interrupt(patch, "training_step", call)
            with pytest.raises(Killed):
                train(cut)
    same(undisturbed["plateau"], train(cut))


@pytest.mark.long
def test_killed_process_goes_on(tmp_path):
    """SIGKILL at a random step, then the same command again."""
    options = ["digits", "--model", "arun", "--hidden-size", "6", "--controller-size", "3"]
    options += ["--epochs", "4", "--train-size", "350", "--lr", "0.01"]
    config = TrainConfig(
        "digits", "arun", hidden_size=6, controller_size=3, epochs=4, train_size=350, lr=0.01
    )
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    whole = train(replace(config, out=tmp_path / "whole"))
    cut = Run(tmp_path / "cut")
    command = [sys.executable, "-m", "adaptrnn.cli", "train", *options, "--out", str(cut.folder)]
    command += ["--checkpoint-seconds", "0"]
    process = subprocess.Popen(command, env=os.environ | threads, stdout=subprocess.DEVNULL)
    saves, last, target = 0, None, random.Random(time.time()).randint(2, 12)
    while saves < target and process.poll() is None:
        try:
            now = cut.checkpoint_path.stat().st_mtime_ns
        except FileNotFoundError:  # none yet, or the old one just makes room for the new
            now = None
        saves, last = saves + (now != last), now
    process.kill()
    assert process.wait() in (-signal.SIGKILL, 0)
    assert cut.record()["state"] == ("training" if process.returncode else "finished")
    subprocess.run(command, env=os.environ | threads, check=True, stdout=subprocess.DEVNULL)
    same(whole, cut)


@pytest.mark.long
@pytest.mark.parametrize("sent, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_process_says_so(tmp_path, sent, code):
    # a job that a shell started in the background inherits an ignored SIGINT, and rightly survives
    code_of_child = (
        "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "runpy.run_module('adaptrnn.cli', run_name='__main__', alter_sys=True)"
    )
    command = [sys.executable, "-c", code_of_child, "train", "digits", "--model", "gru"]
    command += ["--hidden-size", "6", "--epochs", "1000", "--out", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while not Run(tmp_path).checkpoint_path.exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(sent)
    _, errors = process.communicate()
    assert process.returncode == code and b"Traceback" not in errors
    assert b"the same command resumes from the" in errors
    assert Run(tmp_path).record()["state"] == "training"


def test_run_folder_holds_everything(tmp_path):
    config = replace(TINY, out=tmp_path / "run", schedule="one-cycle", clip=1.0)
    run = train(config)
    assert run.config() == config
    record, task = run.record(), load_task(config)
    assert record["task"]["split_hash"] == task.split_hash
    assert json.loads((run.folder / "permutation.json").read_text()) == task.permutation.tolist()
    assert record["versions"]["torch"] == torch.__version__ and record["state"] == "finished"
    table = pd.read_parquet(run.metrics_path)
    assert table["epoch"].tolist() == [0, 1, 2] and table["step"].tolist() == [4, 8, 12]
    assert record["validation_accuracy"] == table["validation_accuracy"].max()
    assert list((run.folder / "logs/tensorboard").glob("events*"))
    assert list((run.folder / "logs/csv").glob("*/metrics.csv"))
    # the weights are those of the best epoch: their validation accuracy is the one recorded
    from adaptrnn.evaluation import evaluate

    result = evaluate(run.model(), task, split="validation")
    assert result.accuracy == record["validation_accuracy"]
    assert not run.model().training
    # finished: not trained again
    before = run.weights_path.stat().st_mtime_ns
    train(config)
    assert run.weights_path.stat().st_mtime_ns == before


def test_metrics_are_means_over_the_split(tmp_path):
    """With a learning rate of nearly nothing they are those of the initial network."""
    config = replace(TINY, epochs=1, lr=1e-30, out=tmp_path)
    row = pd.read_parquet(train(config).metrics_path).iloc[0]
    task = load_task(config)
    model = build_model(config, task)
    for name, split in (("train", task.train), ("validation", task.validation)):
        scores = model(task.inputs(split.images))
        loss = torch.nn.functional.cross_entropy(scores, split.labels)
        # float32 sums over 64 steps in other batches
        assert abs(row[f"{name}_loss"] - loss.item()) < 1e-5
        hits = (scores.argmax(-1) == split.labels).double().mean().item()
        assert abs(row[f"{name}_accuracy"] - hits) < 1e-12


def test_schedules(tmp_path):
    rates = {}
    for schedule in ("constant", "one-cycle"):
        run = train(replace(TINY, schedule=schedule, out=tmp_path / schedule))
        rates[schedule] = pd.read_parquet(run.metrics_path)["lr"].tolist()
    assert rates["constant"] == [0.01] * 3
    # one-cycle rises over the first 30% of the steps, then falls towards 0
    assert rates["one-cycle"][0] > rates["one-cycle"][1] > rates["one-cycle"][2]
    assert rates["one-cycle"][2] < 1e-4


def test_training_learns(tmp_path):
    config = replace(TINY, hidden_size=24, epochs=25, train_size=None, schedule="one-cycle", clip=1)
    run = train(replace(config, out=tmp_path, lr=0.01))
    # 10 classes: chance is 10%
    assert run.record()["validation_accuracy"] > 0.5


def test_same_seed_same_run_and_other_seed_other_run(tmp_path):
    first = train(replace(TINY, out=tmp_path / "a"))
    same(first, train(replace(TINY, out=tmp_path / "b")))
    other = train(replace(TINY, out=tmp_path / "c", seed=1))
    weights = load_file(first.weights_path), load_file(other.weights_path)
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert first.record()["task"] == other.record()["task"]


def test_transplanted_controller_stays_bit_identical(tmp_path):
    arun = replace(TINY, model="arun", controller_size=3, epochs=1)
    donor = train(replace(arun, out=tmp_path / "donor"))
    config = replace(arun, seed=1, controller_from=donor.folder, out=tmp_path / "new")
    new = load_file(train(config).weights_path)
    old = load_file(donor.weights_path)
    names = [name for name in old if name.startswith("core.controller.")]
    assert len(names) == 6 and all(torch.equal(old[name], new[name]) for name in names)
    assert not torch.equal(old["core.weight_hh_l0"], new["core.weight_hh_l0"])
    with pytest.raises(InputError, match=r"controller=None: must be that of the run"):
        build_model(config, load_task(config))  # it reads no other run by itself
    plain = replace(config, model="gamma", controller_from=None, out=tmp_path / "plain", epochs=1)
    with pytest.raises(InputError, match="must be a run of the model arun"):
        donor_of(replace(config, controller_from=train(plain).folder))


def test_loss_that_is_not_finite(tmp_path, monkeypatch):
    config = replace(TINY, out=tmp_path, checkpoint_seconds=0)
    original = training_module._Module.training_step

    def poison(self, batch, index):
        if self.global_step == 6:
            with torch.no_grad():
                self.model.core.n_l0[2] = float("nan")
        return original(self, batch, index)

    monkeypatch.setattr(training_module._Module, "training_step", poison)
    with pytest.raises(TrainingError, match=r"epoch 1, batch 2 \(step 6\).*core.n_l0.*checkpoint"):
        train(config)
    monkeypatch.undo()
    kept = torch.load(Run(tmp_path).checkpoint_path, weights_only=True)
    assert all(value.isfinite().all() for value in kept["state_dict"].values())
    assert train(config).record()["state"] == "finished"


def test_a_folder_with_another_run(tmp_path):
    train(replace(TINY, out=tmp_path, epochs=1))
    with pytest.raises(InputError, match=r"another run: model='relu' \(there 'gamma'\)"):
        train(replace(TINY, out=tmp_path, epochs=1, model="relu"))


def test_damaged_files(tmp_path):
    run = train(replace(TINY, out=tmp_path, epochs=1))
    run.weights_path.write_bytes(run.weights_path.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"weights.safetensors: damaged"):
        run.model()
    run.weights_path.unlink()
    with pytest.raises(InputError, match="no weights yet"):
        run.model()
    run.config_path.write_text("{")
    with pytest.raises(InputError, match=r"config.json: damaged"):
        run.config()
    with pytest.raises(InputError, match="not a run"):
        Run(tmp_path / "nowhere").config()


def test_batches_cover_the_split_once_and_share_it():
    task = load_task(TINY)
    whole = torch.cat([y for _, y in Batches(task, task.train, 100, seed=3)])
    assert torch.equal(whole.sort().values, task.train.labels.sort().values)
    assert not torch.equal(whole, task.train.labels)
    # two devices: each takes half of every batch, the same number of images
    shares = [list(Batches(task, task.train, 101, 3, rank, 2)) for rank in (0, 1)]
    assert [len(y) for _, y in shares[0]] == [50, 50, 50, 23] == [len(y) for _, y in shares[1]]
    # without a seed, for validation, no image is left out, whatever does not divide
    for size, world in ((100, 2), (100, 3), (358, 2), (179, 3)):
        shares = [list(Batches(task, task.validation, size, None, r, world)) for r in range(world)]
        assert all(len(y) for share in shares for _, y in share)
        for rank, share in enumerate(shares):
            assert len(share) == len(Batches(task, task.validation, size, None, rank, world))
        seen = torch.cat([y for share in shares for _, y in share])
        assert torch.equal(seen.sort().values, task.validation.labels.sort().values)
    other = Batches(task, task.train, 100, seed=3)
    other.set_epoch(1)
    assert not torch.equal(whole, torch.cat([y for _, y in other]))
    with pytest.raises(InputError, match="batch_size=1"):
        Batches(task, task.train, 1, world=2)


@pytest.mark.parametrize("stop", [0, 1, 3, 4])
def test_batches_go_on_from_their_place(stop):
    task = load_task(TINY)
    whole = [y for _, y in Batches(task, task.train, 100, seed=0)]
    first = Batches(task, task.train, 100, seed=0)
    got = [y for _, (_, y) in zip(range(stop), first, strict=False)]
    second = Batches(task, task.train, 100, seed=0)
    second.load_state_dict({"epoch": 0, "position": len(got)})
    if stop < len(whole):
        got += [y for _, y in second]
    assert all(torch.equal(a, b) for a, b in zip(got, whole, strict=True))


def test_gpu_that_is_not_there(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(InputError, match="accelerator='gpu'"):
        train(replace(TINY, out=tmp_path, accelerator="gpu"))


@pytest.mark.slow
def test_two_processes_give_nearly_the_same(tmp_path):
    """DDP on two CPU processes: the same batches, gradients averaged; float32 sums reordered."""
    options = ["digits", "--model", "gamma", "--hidden-size", "6", "--epochs", "2", "--lr", "0.01"]
    options += ["--train-size", "300", "--accelerator", "cpu"]
    tables = []
    for devices in ("1", "2"):
        out = tmp_path / devices
        command = [sys.executable, "-m", "adaptrnn.cli", "train", *options, "--out", str(out)]
        subprocess.run([*command, "--devices", devices], check=True)
        tables.append(pd.read_parquet(Run(out).metrics_path))
    for name in ("train_loss", "validation_loss"):
        np.testing.assert_allclose(tables[0][name], tables[1][name], rtol=1e-4)


@pytest.mark.parametrize("gpu, precision", [(False, "32-true"), (True, "bf16-mixed")])
def test_bf16_is_autocast_on_a_gpu_only(gpu, precision, monkeypatch):
    """On a CPU the recurrent products alone are of bfloat16, by the kernels."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert training_module._lightning_precision(replace(TINY, precision="bf16")) == precision
    assert training_module._lightning_precision(TINY) == "32-true"
    there = replace(TINY, precision="bf16", accelerator="cpu")
    assert training_module._lightning_precision(there) == "32-true"


def test_a_checkpoint_of_another_device_is_read_on_this_one(tmp_path):
    """Every tensor comes to the CPU first; Lightning moves it to where it trains."""
    path = tmp_path / "checkpoint.ckpt"
    torch.save({"weight": torch.ones(2), "sums": [0.0]}, path)
    assert read_checkpoint(path)["weight"].device.type == "cpu"
    seen = {}

    def load(file, map_location, weights_only):
        seen.update(where=map_location, only=weights_only)
        return {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "load", load)
        read_checkpoint(path)
    assert seen == {"where": "cpu", "only": True}


def test_an_option_younger_than_the_run_has_its_default(tmp_path):
    """A run of before there was a precision is continued, in the precision it has."""
    there = to_dict(TINY)
    del there["precision"]
    run = Run(tmp_path)
    run.same_options(there, TINY)
    with pytest.raises(InputError, match=r"precision='bf16' \(there 'float32'\)"):
        run.same_options(there, replace(TINY, precision="bf16"))


def test_precision_reaches_the_layer():
    assert build_model(replace(TINY, precision="bf16"), load_task(TINY)).core.precision == "bf16"
    assert build_model(TINY, load_task(TINY)).core.precision == "float32"
    with pytest.raises(InputError, match="precision='bf61'"):
        replace(TINY, precision="bf61")
