"""The examples run as they stand."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np

from adaptrnn.config import TrainConfig
from adaptrnn.tasks import load
from adaptrnn.training import train

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_gru_cell(capsys):
    path = EXAMPLES / "gru_cell.py"
    # the networks know nothing of this package: only analyses are imported from it
    imported = re.findall(r"^from (adaptrnn\S*)", path.read_text(), re.MULTILINE)
    assert {name.split(".")[1] for name in imported} == {"analysis"}
    found = runpy.run_path(str(path))["main"]()
    assert found.sizes["seed"] == 3 and all(np.isfinite(found.to_array()).values.ravel())
    # of ten classes; a tenth by chance
    assert (found["accuracy"] > 0.8).all() and (found["accuracy, area over noise"] > 0.3).all()
    # two copies under the same digits come together, else nothing could be read
    assert (found["largest exponent, digits"] < 0).all()
    printed = capsys.readouterr().out
    assert "95% by t over 3 seeds" in printed
    # what does not apply says what it needs
    for name in ("heterogeneity", "controller_manifold", "units_in_plane", "transfer"):
        assert re.search(rf"^{name}: \w+=.*: must be ", printed, re.MULTILINE)


def test_the_plain_loop_trains_as_the_command_does(tmp_path):
    plain = runpy.run_path(str(EXAMPLES / "train_plain.py"))
    task = load("digits")
    model = plain["build"](task, 12, 3, seed=5)
    losses = plain["train"](model, task, epochs=3, rate=5e-3, clip=1.0, seed=5)
    config = TrainConfig(
        "digits",
        hidden_size=12,
        controller_size=3,
        epochs=3,
        lr=5e-3,
        schedule="one-cycle",
        clip=1.0,
        seed=5,
        out=tmp_path / "run",
    )
    run = train(config)
    # the same operations in the same order in one process; 1e-5 leaves room for a sum of another
    # order in one library call, and another order of the images would change the third digit
    np.testing.assert_allclose(losses, run.metrics()["train_loss"], rtol=1e-5)
    accuracy = plain["evaluate"](model, task, task.validation, xi=0.0)
    assert accuracy == run.metrics()["validation_accuracy"].iloc[-1]
