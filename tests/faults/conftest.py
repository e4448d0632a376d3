"""A small run, its undisturbed twin, full and read-only file systems."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from adaptrnn.config import TrainConfig
from adaptrnn.evaluation import evaluate_run
from adaptrnn.perturb import StepDrive
from adaptrnn.run import Run
from adaptrnn.storage import read_weights, write_dataset
from adaptrnn.training import train

# 2 epochs of 4 batches
TINY = TrainConfig(
    "digits", "gamma", hidden_size=5, epochs=2, batch_size=100, train_size=350, lr=0.01
)


@pytest.fixture(scope="session")
def tiny() -> TrainConfig:
    """The configuration of the runs that these tests disturb."""
    return TINY


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> Run:
    """The run that nothing disturbs, evaluated under one drive; not to be changed."""
    run = train(replace(TINY, out=tmp_path_factory.mktemp("undisturbed")))
    evaluate_run(run, {"step": StepDrive(1.0)})
    data = xr.Dataset(
        {"a": (("unit", "part"), np.arange(6.0).reshape(3, 2)), "flag": ("unit", [True, False, 1])},
        {"part": ["first", "zweite \u00e4"]},
        {"command": "adaptrnn analyze", "seed": 3, "seconds": 0.25},
    )
    write_dataset(run.folder / "analysis" / "planted.nc", data)
    return run


@pytest.fixture
def run(undisturbed, tmp_path) -> Run:
    """A copy of it to be damaged."""
    shutil.copytree(undisturbed.folder, tmp_path / "run")
    return Run(tmp_path / "run")


def _same(a: Run, b: Run) -> None:
    left, right = read_weights(a.weights_path), read_weights(b.weights_path)
    assert left.keys() == right.keys() and len(left) > 4
    assert all(torch.equal(left[name], right[name]) for name in left)
    tables = [run.metrics().drop(columns="seconds") for run in (a, b)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)


@pytest.fixture
def same():
    """(run, run): weights and metrics, but for seconds, are equal bit for bit, or fail."""
    return _same


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of 2 MiB, or skip."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no small file system: mounting a tmpfs is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def fill():
    """(folder) -> the file that takes all the space that is left."""

    def fill(folder: Path) -> Path:
        filler = folder / "filler"
        with filler.open("wb", buffering=0) as file:
            for size in (65536, 4096, 1):
                try:
                    while file.write(b"x" * size) == size:
                        pass
                except OSError:
                    pass
        return filler

    return fill


@pytest.fixture
def read_only() -> Iterator:
    """(folder) makes it read-only until the test ends, for root too; or skips."""
    undo = []

    def make(folder: Path) -> None:
        if os.geteuid():
            folder.chmod(0o555)
            undo.append(lambda: folder.chmod(0o755))
            return
        mount = ["mount", "--bind", str(folder), str(folder)]
        if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("root writes everywhere, and a read-only mount is not allowed here")
        undo.append(lambda: subprocess.run(["umount", "-l", str(folder)], check=True))
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)

    yield make
    for action in undo:
        action()
