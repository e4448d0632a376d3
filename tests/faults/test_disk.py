"""A full disk, a read-only folder, a cut file, a flipped byte: seen, said, and nothing lost."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from adaptrnn import InputError
from adaptrnn import training as training_module
from adaptrnn.cli import main
from adaptrnn.evaluation import evaluate_run, read_evaluations
from adaptrnn.perturb import StepDrive
from adaptrnn.run import Run
from adaptrnn.storage import WriteError, read_dataset, read_weights, write_atomic
from adaptrnn.training import TrainingError, train


def test_full_disk_while_training(small_disk, fill, tiny, undisturbed, same, monkeypatch):
    config = replace(tiny, out=small_disk / "run", checkpoint_seconds=0)
    original = training_module._Module.training_step

    def step(self, batch, index):
        if self.global_step == 5:
            fill(small_disk)
        return original(self, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(training_module._Module, "training_step", step)
        with pytest.raises(TrainingError, match=r"disk is full.*same command again"):
            train(config)
    (small_disk / "filler").unlink()
    assert torch.load(Run(config.out).checkpoint_path, weights_only=True)["global_step"] == 5
    same(undisturbed, train(config))


def test_full_disk_while_a_result_is_written(small_disk, fill, run):
    path = small_disk / "result"
    write_atomic(path, b"old" * 20000)
    filler = fill(small_disk)
    with pytest.raises(WriteError, match=r"No space left.*unchanged.*Free space"):
        write_atomic(path, b"new" * 20000)
    assert path.read_bytes() == b"old" * 20000
    assert sorted(small_disk.iterdir()) == [filler, path]
    filler.unlink()
    write_atomic(path, b"new" * 20000)
    assert path.read_bytes() == b"new" * 20000


def test_read_only_folder(run, tiny, read_only, capsys):
    files = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    read_only(run.folder)
    with pytest.raises(InputError, match=r"cannot be written.*--out"):
        train(replace(tiny, out=run.folder, epochs=3))
    # what is there can be read; a new row is computed, and cannot be kept
    assert len(evaluate_run(run, {"step": StepDrive(1.0)})) == 1
    assert main(["evaluate", str(run.folder), "--perturb", "step:xi=2"]) == 1
    assert "not written (Read-only file system)" in capsys.readouterr().err.replace(
        "Permission denied", "Read-only file system"
    )
    assert {path: path.read_bytes() for path in files} == files


def _damaged(data: bytes, count: int, seed: int):
    """Cut files and files with one bit flipped."""
    chance = random.Random(seed)
    for length in {0, 1, len(data) // 3, len(data) - 1}:
        yield data[:length]
    for _ in range(count):
        place = chance.randrange(len(data))
        yield data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]


def _weights(run: Run):
    return {name: value.numpy() for name, value in read_weights(run.weights_path).items()}


READ = {
    "weights.safetensors": _weights,
    "config.json": Run.config,
    "record.json": Run.record,
    "metrics.parquet": Run.metrics,
    "evaluation.parquet": read_evaluations,
    "analysis/planted.nc": lambda run: read_dataset(run.folder / "analysis" / "planted.nc"),
}


def equal(a, b) -> bool:
    """The content of b is that of a; a hash's name that was hit may stand there as one more."""
    if isinstance(a, pd.DataFrame):
        return a.equals(b)
    if isinstance(a, xr.Dataset):
        return a.identical(b)
    if isinstance(a, dict) and all(isinstance(value, np.ndarray) for value in a.values()):
        return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
    if isinstance(a, dict):
        return len(a) <= len(b) + 1 and all(a[name] == b[name] for name in b)
    return a == b


@pytest.mark.parametrize("name", READ)
def test_a_cut_or_flipped_file_is_noticed_or_the_same(run, name):
    path = run.folder / name
    whole, right = path.read_bytes(), READ[name](run)
    noticed = 0
    for data in _damaged(whole, 150, seed=0):
        path.write_bytes(data)
        try:
            assert equal(READ[name](run), right)
        except InputError as error:
            noticed += 1
            assert str(path) in str(error)
    assert noticed > 20
    path.write_bytes(whole)
    assert equal(READ[name](run), right)


@pytest.mark.parametrize(
    "name", ["weights.safetensors", "metrics.parquet", "config.json", "record.json"]
)
def test_what_a_message_says_mends_a_damaged_file(run, tiny, undisturbed, same, name):
    path = run.folder / name
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"Delete it and give the training command again"):
        READ[name](run)
    path.unlink()
    same(undisturbed, train(replace(tiny, out=run.folder)))


def test_a_damaged_table_of_evaluations_is_made_again(run, undisturbed):
    run.evaluation_path.write_bytes(run.evaluation_path.read_bytes()[:-9])
    with pytest.raises(InputError, match="Delete it and evaluate again"):
        evaluate_run(run, {"step": StepDrive(1.0)})
    run.evaluation_path.unlink()
    evaluate_run(run, {"step": StepDrive(1.0)})
    assert equal(read_evaluations(run), read_evaluations(undisturbed))


def _flip_weights(path: Path) -> None:
    """One bit in the middle of the first weights that a checkpoint holds."""
    data = path.read_bytes()
    place = data.index(b"data/0") + 400
    path.write_bytes(data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :])


def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    tmp_path, tiny, undisturbed, same, monkeypatch, caplog
):
    config, run = replace(tiny, out=tmp_path, checkpoint_seconds=0), Run(tmp_path)
    original = training_module._Module.training_step

    def step(self, batch, index):
        if self.global_step == 6:
            raise RuntimeError("stopped")
        return original(self, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(training_module._Module, "training_step", step)
        with pytest.raises(RuntimeError, match="stopped"):
            train(config)
    before = run.previous_checkpoint_path.read_bytes()
    _flip_weights(run.checkpoint_path)
    torch.load(run.checkpoint_path, weights_only=True)  # torch sees nothing
    _flip_weights(run.previous_checkpoint_path)
    with pytest.raises(InputError, match=r"checkpoint.*damaged \(the checksum"):
        train(config)
    run.previous_checkpoint_path.write_bytes(before)
    same(undisturbed, train(config))
    assert "checkpoint.previous.ckpt, is used" in caplog.text


def test_a_checkpoint_of_another_configuration_is_refused(run, tiny):
    run.config_path.unlink()
    run.weights_path.unlink()
    with pytest.raises(InputError, match=r"another run: lr=0.02 \(there 0.01\)"):
        train(replace(tiny, lr=0.02, out=run.folder))


def test_a_data_set_that_lost_its_hash_is_not_read(run):
    """One byte wrong in the data and one in the name of the hash behind them."""
    path = run.folder / "analysis" / "planted.nc"
    content = bytearray(path.read_bytes())
    data = read_dataset(path)
    place = content.index(data.a.values.tobytes())
    name = content.rindex(b"adaptrnn sha256 ")
    for places in ([name], [name, place]):
        damaged = bytearray(content)
        for at in places:
            damaged[at] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"planted\.nc: damaged \(the hash .* is missing\)"):
            read_dataset(path)
    path.write_bytes(content)
    assert read_dataset(path).identical(data)
