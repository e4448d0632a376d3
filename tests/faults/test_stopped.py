"""Killed, told to end, interrupted: whatever stops a process, the same command goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import adaptrnn
from adaptrnn import InputError
from adaptrnn import training as training_module
from adaptrnn.config import to_dict
from adaptrnn.run import Run
from adaptrnn.training import train

# Each child is forked before torch has done anything, so that one import serves them all. It
# dies by SIGKILL in the `count`-th call of os.`call` that concerns the file `name`.
KILLED = textwrap.dedent("""
    import json, os, signal, sys, tempfile
    from pathlib import Path
    from adaptrnn.config import from_dict
    from adaptrnn.training import train

    values, points = json.loads(sys.argv[1]), json.loads(sys.argv[2])
    for name, call, count, out in points:
        pid = os.fork()
        if pid == 0:
            original, mkstemp, seen = getattr(os, call), tempfile.mkstemp, [0, None]

            def noted(*arguments, **options):
                handle, path = mkstemp(*arguments, **options)
                seen[1] = Path(path).name
                return handle, path

            def deadly(*arguments, **options):
                if seen[1] and seen[1].startswith(f".{name}."):
                    seen[0] += 1
                    if seen[0] == count:
                        os.kill(os.getpid(), signal.SIGKILL)
                return original(*arguments, **options)

            tempfile.mkstemp = noted
            setattr(os, call, deadly)
            train(from_dict(values | {"out": out, "checkpoint_seconds": 0.0}))
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
""")
POINTS = [
    ("config.json", "fsync", 1),  # before anything is there
    ("record.json", "replace", 1),
    ("checkpoint.ckpt", "fsync", 3),  # within the first epoch
    ("checkpoint.ckpt", "replace", 5),  # between the two renames
    ("weights.safetensors", "fsync", 1),
    ("metrics.parquet", "replace", 2),  # after the new weights, before the checkpoint
    ("record.json", "fsync", 3),  # all trained, not yet said
]


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_sigkill_while_a_file_is_written(tmp_path, tiny, undisturbed, same):
    points = [(*point, str(tmp_path / f"{i}")) for i, point in enumerate(POINTS)]
    command = [sys.executable, "-c", KILLED, json.dumps(to_dict(tiny)), json.dumps(points)]
    source = os.environ | {"PYTHONPATH": str(Path(adaptrnn.__file__).parents[1])}
    ended = subprocess.run(command, capture_output=True, text=True, env=source)
    assert ended.stdout.split() == [str(-signal.SIGKILL)] * len(POINTS), ended.stderr
    for *_, out in points:
        run = train(replace(tiny, out=out))
        same(undisturbed, run)
        assert not list(run.folder.glob(".*.*.*"))  # what the dead left half written


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("what", ["table", "data set", "weights"])
def test_an_error_while_a_result_is_written_leaves_the_old_one(run, monkeypatch, call, what):
    from adaptrnn.storage import read_dataset, write_dataset, write_table, write_weights

    path = {
        "table": run.evaluation_path,
        "data set": run.folder / "analysis" / "planted.nc",
        "weights": run.weights_path,
    }[what]
    before = path.read_bytes()

    def broken(*arguments):
        raise OSError(5, "Input/output error")

    write = {
        "table": lambda: write_table(path, run.metrics()),
        "data set": lambda: write_dataset(path, read_dataset(path) * 2),
        "weights": lambda: write_weights(path, {"a": torch.zeros(1)}),
    }[what]
    with monkeypatch.context() as patch:
        patch.setattr(os, call, broken)
        with pytest.raises(OSError, match=r"not written \(Input/output error\).*unchanged"):
            write()
    assert path.read_bytes() == before
    assert not list(path.parent.glob(f".{path.name}*"))
    write()
    assert path.read_bytes() != before


def _send(monkeypatch, sent: int, call: int) -> dict[str, float]:
    """Let this process get a signal in the `call`-th training step."""
    original, seen = training_module._Module.training_step, {"calls": 0}

    def step(self, *arguments):
        seen["calls"] += 1
        if seen["calls"] == call:
            seen["time"] = time.monotonic()
            os.kill(os.getpid(), sent)
        return original(self, *arguments)

    monkeypatch.setattr(training_module._Module, "training_step", step)
    return seen


def test_sigterm_saves_and_ends(tmp_path, tiny, undisturbed, same, monkeypatch):
    """No checkpoint is due for an hour: the one of the signal holds every step taken."""
    config = replace(tiny, out=tmp_path, checkpoint_seconds=3600)
    with monkeypatch.context() as patch:
        seen = _send(patch, signal.SIGTERM, 2)
        with pytest.raises(SystemExit) as ended:
            train(config)
    assert ended.value.code == 143 and seen["calls"] == 2  # the step begun was finished, no other
    kept = torch.load(Run(tmp_path).checkpoint_path, weights_only=True)
    assert kept["global_step"] == 2
    same(undisturbed, train(config))


def test_ctrl_c_stops_within_two_seconds(tmp_path, tiny, undisturbed, same, monkeypatch):
    config = replace(tiny, out=tmp_path, checkpoint_seconds=0)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patch:
            seen = _send(patch, signal.SIGINT, 6)
            with pytest.raises(KeyboardInterrupt):
                train(config)
            # what a user waits for; it takes a hundredth of it
            assert time.monotonic() - seen["time"] < 2
    finally:
        signal.signal(signal.SIGINT, handler)
    same(undisturbed, train(config))


def test_two_processes_on_one_folder(tmp_path, tiny, undisturbed, same):
    config = replace(tiny, out=tmp_path)
    hold = (
        "import sys; from filelock import FileLock; lock = FileLock(sys.argv[1]); lock.acquire();"
        "print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(tmp_path / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline().strip() == b"held"
        with pytest.raises(InputError, match=r"another process is training.*--out"):
            train(config)
        assert not Run(tmp_path).config_path.exists()  # nothing was touched
        other.kill()  # a killed process holds nothing
    same(undisturbed, train(config))
