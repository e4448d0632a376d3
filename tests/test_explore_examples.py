"""The example notebooks run as scripts, and what they say is so."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name: str) -> dict[str, Any]:
    """The names that the cells of a notebook define, run as `python examples/NAME.py` runs it."""
    pytest.importorskip("marimo", reason="marimo is not installed")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # two wait for each other where other processes share the cores
    try:
        _, names = runpy.run_path(str(EXAMPLES / name))["app"].run()
    finally:
        torch.set_num_threads(threads)
    return dict(names)


def test_explore(capsys):
    found = run("explore.py")
    n, s, x = 5.0, 0.2, 1.0
    rate = (1 - s) * np.log1p(np.exp(n * x)) / n + s / (1 + np.exp(-n * x))
    assert found["numbers"].rate == pytest.approx(rate, rel=1e-12)
    assert found["seen"].neuron.values.tolist() == [20]
    assert "order, scale-free" in capsys.readouterr().out


def test_reproduce_figure(capsys):
    found = run("reproduce_figure.py")
    # with n and s frozen, a network that is linear has variance xi^2, slope 2; this one's curves
    # bend up and its recurrence adds to that, so the slope is above 2, and adaptation takes it down
    assert found["slopes"][1] > 2 and found["slopes"][0] < found["slopes"][1]
    assert capsys.readouterr().out.count("in this network") == len(found["verdicts"]) == 3


@pytest.mark.long
def test_swap_layer():
    results = run("swap_layer.py")["results"]
    torchs, ours = results["nn.RNN, relu"], results["adaptrnn.RNN, relu"]
    # the same numbers to start with; rounding differs and grows over 168 steps of training
    assert np.allclose(torchs, ours, atol=0.1)
    for layer, values in results.items():
        # ten classes: a tenth by chance
        assert (values[:, 0] > 0.5).all(), layer


@pytest.mark.long
def test_probe_gru():
    found = run("probe_gru.py")
    # the running mean's target has variance of about 1; it was learned
    assert found["losses"][-1] < 0.05
    # a mean over time is an integral: every order that was found is above 0
    assert (found["order"].dropna("neuron") > 0).all()
    assert found["largest"] < 0
