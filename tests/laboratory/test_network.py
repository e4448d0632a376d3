"""`analyze` in Python: networks of anyone, with or without a readout, on tasks of trials."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from adaptrnn import ARUN, InputError, SequenceModel, Task, Trials
from adaptrnn.evaluation import evaluate
from adaptrnn.laboratory import analyze
from adaptrnn.laboratory.protocol import ANALYSES
from adaptrnn.tasks import load

SMALL = {"test_size": 40, "validation_size": 30}


@pytest.mark.long
def test_the_laboratory_takes_any_module(tmp_path, monkeypatch):
    task = load("perceptual-decision", parameters=SMALL)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.GRU(3, 6)
            self.readout = nn.Linear(6, 3)

        def forward(self, x):
            return self.readout(self.inner(x)[0])

    torch.manual_seed(3)
    found = analyze(Net(), task, effort=0.02, out=tmp_path, draw=True)
    assert {"lyapunov", "jacobian", "step_response", "gradients"} <= found.keys()
    assert "noise" not in found and (tmp_path / "lyapunov.png").exists()
    with pytest.raises(InputError, match="network='GRU': must be an RNN with"):
        analyze(Net(), task, ["noise"])
    with pytest.raises(InputError, match=r"network='Net': must be .* module\(x, drive\)"):
        analyze(Net(), task, ["robustness"])
    with pytest.raises(InputError, match="network='LSTM': must be a module with its readout"):
        analyze(nn.LSTM(3, 5), task, ["gradients"])
    # what is wrong in our own code is not taken for a network that lacks something
    with monkeypatch.context() as patch:
        broken = replace(ANALYSES["jacobian"], measure=lambda subject: subject.nothing)
        patch.setitem(ANALYSES.built_in, "jacobian", broken)
        with pytest.raises(AttributeError, match="nothing"):
            analyze(Net(), task, effort=0.02)
    model = SequenceModel(ARUN(3, 5, controller_size=3), 3)
    every = analyze(model, task, effort=0.02)
    assert every.keys() == set(ANALYSES) - {"transfer"}
    with pytest.raises(InputError, match="0 recurrent layers"):
        analyze(nn.Linear(3, 3), task, ["lyapunov"])


def test_the_laboratory_takes_a_step_function():
    """A linear map: its exponent is the log of its spectral radius, 0.9."""
    task = load("perceptual-decision", parameters=SMALL)
    turn = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64))[0]
    into = torch.randn(4, 3, dtype=torch.float64)

    def step(x, state, drive=None):
        state = 0.9 * state @ turn.T + (0 if x is None else x.to(into) @ into.T)
        return state if drive is None else state + drive

    start = torch.zeros(1, 4, dtype=torch.float64)
    found = analyze(step, task, ["lyapunov"], state=start, effort=0.04)["lyapunov"]
    # every step stretches every tangent by 0.9 exactly
    np.testing.assert_allclose(found.on_task, math.log(0.9), atol=1e-9)
    assert isinstance(found, xr.Dataset)


def test_regression_in_the_laboratory(tmp_path):
    random_ = np.random.RandomState(0)
    x = random_.normal(size=(12, 30, 1))
    trials = Trials(x, np.cumsum(x, 0))
    task = Task("integrate", trials, trials, trials)
    model = SequenceModel(ARUN(1, 5, controller_size=3), 1)
    found = analyze(model, task, ["robustness", "gradients"], effort=0.02, out=tmp_path, draw=True)
    clean = evaluate(model, task.with_test(trials[torch.linspace(0, 29, 20).long()]))
    assert math.isclose(float(found["robustness"].step_error[0]), clean.error, rel_tol=1e-6)
    assert found["gradients"].attrs["definition"].endswith("all steps that have weight")
