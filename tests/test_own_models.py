"""The model of another package that a page shows, on the command line, in new processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from adaptrnn import InputError
from adaptrnn.run import Run

PAGE = Path(__file__).parent.parent / "docs" / "howto" / "cell.md"
# seven processes that import torch: seconds where cores are free, minutes where they are shared
pytestmark = pytest.mark.timeout(900)

TRAIN = ("train", "digits", "--model", "lstm-cell", "--hidden-size", "8", "--epochs", "8")


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """Start a command where the page's package is installed, in a process and folder of its own."""
    package, runs = tmp_path_factory.mktemp("package"), tmp_path_factory.mktemp("runs")
    text = PAGE.read_text()
    (code,) = [
        one for one in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "Model(" in one
    ]
    (package / "my_cell.py").write_text(code.replace("register_model(Model(", "(Model("))
    ((group, name, place),) = re.findall(r'entry-points\."(.*?)"\]\n(.*?) = "(.*?)"\n', text)
    facts = package / "my_cell-1.0.dist-info"  # what `pip install` writes
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: my-cell\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[{group}]\n{name} = {place}\n")
    path = os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}

    def start(*words):
        command = [sys.executable, "-m", "adaptrnn.cli", *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen(command, cwd=runs, env=environment, text=True, **pipes)

    start.folder = runs
    return start


def output_of(process):
    text, _ = process.communicate()
    assert process.returncode == 0, text
    return text


@pytest.fixture(scope="module")
def run(command):
    """A run of the model, trained by the command line."""
    output_of(command(*TRAIN, "--train-size", "200", "--out", "whole"))
    return Run(command.folder / "whole")


@pytest.mark.long
def test_every_command_knows_an_installed_model(command, run):
    """It is listed with a size, and a run of it is evaluated, analysed and drawn."""
    listed = output_of(command("models"))
    assert "torch's LSTM cell" in listed and re.search(r"^lstm-cell .*%", listed, re.MULTILINE)
    assert "step:xi=1" in output_of(command("evaluate", "whole", "--perturb", "step:xi=1"))
    output_of(command("analyze", "step_response", "whole", "--draw"))
    picture = run.folder / "analysis" / "step_response.png"
    assert picture.read_bytes()[:4] == b"\x89PNG" and picture.stat().st_size > 10_000


@pytest.mark.long
def test_where_the_package_is_missing_the_run_says_so(run):
    with pytest.raises(InputError, match=r"config\.json: model='lstm-cell': must be one of "):
        run.model()


@pytest.mark.long
def test_a_killed_run_of_an_installed_model_resumes_bit_for_bit(command, run):
    """The same steps run in the same order, so the weights are the same, not only close."""
    words = (*TRAIN, "--train-size", "200", "--out", "killed")
    process = command(*words, "--checkpoint-seconds", "0")
    killed, deadline = Run(command.folder / "killed"), time.monotonic() + 400
    while not killed.checkpoint_path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert killed.record()["state"] == "training"
    output_of(command(*words))
    first, second = run.weights(), killed.weights()
    assert first.keys() == second.keys() and "core.cell.weight_hh" in first
    assert all(torch.equal(first[name], second[name]) for name in first)
