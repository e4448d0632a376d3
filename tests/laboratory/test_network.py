"""`analyze` in Python: networks of anyone, with or without a readout, on tasks of trials."""

from __future__ import annotations

import copy
import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from adaptrnn import ARUN, InputError, SequenceModel, Task, Trials
from adaptrnn.analysis.jacobian import jacobian_product
from adaptrnn.analysis.lyapunov_exponent import ConvergenceWarning, lyapunov
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
    said = []
    every = analyze(step, task, state=start, effort=0.01, say=said.append)
    assert {"lyapunov", "jacobian", "step_response"} <= every.keys()
    skipped = {text.split(":")[0] for text in said if "skipped" in text}
    assert {"heterogeneity", "noise", "robustness"} <= skipped
    assert skipped == set(ANALYSES) - every.keys()
    with pytest.raises(InputError, match="network='step': must be a module that answers the task"):
        analyze(step, task, ["robustness"], state=start, effort=0.01)


def unequal(pad, lengths):
    """Trials of these lengths, and `pad` after the end of each."""
    random_ = np.random.RandomState(0)
    x = random_.normal(size=(24, len(lengths), 2))
    after = np.arange(24)[:, None] >= lengths
    y = (np.cumsum(x.sum(2), 0) > 0).astype(int)
    trials = Trials(np.where(after[..., None], pad, x), y, lengths=np.array(lengths))
    return Task("unequal", trials, trials, trials)


@pytest.mark.parametrize("make", [lambda: ARUN(2, 6, controller_size=3), lambda: nn.GRU(2, 6)])
def test_no_analysis_depends_on_the_padding(make):
    """Each trial is measured as if it were alone, cut at its end."""
    lengths = [1, 4, 7, 24, 16, 24, 20, 12, 5, 9]
    torch.manual_seed(0)
    model = SequenceModel(make(), 2)
    wanted = {"lyapunov": 0.05, "gradients": 0.05, "jacobian": 1.0}  # with 2, 5 and 4 trials
    wanted |= {"heterogeneity": 0.05} if isinstance(model.core, ARUN) else {}  # all ten
    first, other = (
        {
            name: analyze(model, unequal(pad, lengths), [name], effort=effort)[name].drop_attrs()
            for name, effort in wanted.items()
        }
        for pad in (0.0, np.nan)
    )
    for name in wanted:
        xr.testing.assert_identical(other[name], first[name])
    x = unequal(0.0, lengths).test.inputs
    # trials 0 and 9, of 1 and 9 steps
    on_task = first["lyapunov"].on_task.values
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        alone = lyapunov(model.core, x[:9, [9]], burn_in=1, interval=4)
    # the same operations in the same order
    assert math.isnan(on_task[0]) and on_task[1:].tolist() == [alone.lyapunov.item()]
    jacobian = first["jacobian"]
    assert jacobian.length.values.tolist() == [1, 24, 20, 9]  # trials 0, 3, 6 and 9
    assert jacobian.step_norm.notnull().sum("step").values.tolist() == [1, 24, 20, 9]
    if isinstance(model.core, ARUN):
        trace = model.core.trace(x)
        kept = torch.arange(24)[:, None] < torch.tensor(lengths)
        # float32 sums in another order
        np.testing.assert_allclose(
            first["heterogeneity"].n, trace.n[kept].mean(0).detach(), rtol=1e-5
        )
    else:
        product = jacobian_product(model.core, x[:9, [9]])
        mine = jacobian.exponent.isel(image=3).dropna("time")
        truth = product.exponent.isel(sample=0).sel(time=mine.time)
        # float64 products in batches of another size
        np.testing.assert_allclose(mine, truth, rtol=1e-9)


class Transposing(nn.Module):
    """A network of the user's own around a core that is batch first."""

    def __init__(self, core, right):
        super().__init__()
        self.core, self.right, self.readout = core, right, nn.Linear(5, 3)

    def forward(self, x, drive=None):
        assert drive is None
        if self.right:
            x = x.transpose(0, 1)
        scores = self.readout(self.core(x)[0])
        return scores.transpose(0, 1) if self.right else scores


def test_a_core_that_is_batch_first_gives_the_same():
    task = load("perceptual-decision", parameters=SMALL)
    torch.manual_seed(0)
    core = ARUN(3, 5, controller_size=3)
    first = ARUN(3, 5, controller_size=3, batch_first=True)
    first.load_state_dict(core.state_dict())
    for name in ("heterogeneity", "jacobian", "gradients", "lyapunov"):
        one, other = (
            analyze(model, task, [name], effort=0.05)[name].drop_attrs()
            for model in (Transposing(core, False), Transposing(first, True))
        )
        if name == "gradients":  # its readout has other weights
            one, other = (part.drop_vars(["norm", "contribution", "loss"]) for part in (one, other))
        # float32 sums over time and trials in another order
        xr.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["lyapunov", "jacobian", "heterogeneity", "gradients", "robustness"]
)
def test_a_network_in_double_precision(name):
    task = load("perceptual-decision", parameters=SMALL)
    torch.manual_seed(0)
    model = SequenceModel(ARUN(3, 5, controller_size=3), 3)
    single, double = (
        analyze(one, task, [name], effort=0.02)[name]
        for one in (model, copy.deepcopy(model).double())
    )
    for key in {"on_task", "step_norm", "n_mean", "norm", "step_loss"} & set(single.data_vars):
        # rounding of float32
        np.testing.assert_allclose(double[key], single[key], rtol=1e-3, atol=1e-4)


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
