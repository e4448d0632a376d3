"""The examples run as they stand."""

from __future__ import annotations

import re
import runpy
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import torch

from adaptrnn.config import TrainConfig
from adaptrnn.tasks import load
from adaptrnn.training import train

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.long
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


def test_the_moving_picture_says_what_it_was_given():
    """Planted traces and accuracies stand in the picture; the committed one is small and whole."""
    picture = runpy.run_path(str(EXAMPLES / "animation.py"))
    drives, axis = picture["SHOWN"], picture["AXIS"]
    ramp = torch.linspace(0, 1, 50)[:, None]
    seen = {xi: (1 + ramp * torch.tensor([1.0, 2.0]), -ramp.expand(-1, 2)) for xi in drives}
    scores = {
        "arun": np.stack([np.linspace(0.9, 0.7, len(axis)), np.linspace(0.8, 0.6, len(axis))]),
        "relu": np.linspace(0.9, 0.1, len(axis))[None],
    }
    tree = ElementTree.fromstring(picture["draw"](seen, scores, "planted"))
    words = [node.text for node in tree.iter("{http://www.w3.org/2000/svg}text")]
    for xi in drives:
        assert f"ξ = {xi:g}" in words
        for rows in scores.values():
            assert f"{rows.mean(0)[axis.index(xi)]:.0%}" in words
    assert {"3.0", "1.0", "0.0", "-1.0"} <= set(words)  # ends of the axes of n and s
    lines = list(tree.iter("{http://www.w3.org/2000/svg}polyline"))
    assert len(lines) == 2 * 2 * len(drives) + (2 + 1) + (1 + 1)  # neurons; networks and means
    kept = EXAMPLES.parent / "docs" / "images" / "adaptation.svg"
    ElementTree.parse(kept)
    assert kept.stat().st_size < 1e6
