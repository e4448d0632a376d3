"""The protocols by name, one of another package among them, and what they measure."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

from adaptrnn import ARUN, RNN, Analysis, InputError, SequenceModel, gamma, register_analysis
from adaptrnn.activation import gamma_dx
from adaptrnn.analysis.response import step_response
from adaptrnn.cli import main
from adaptrnn.evaluation import evaluate
from adaptrnn.figure.style import style, subplots
from adaptrnn.laboratory import analyze, protocol
from adaptrnn.laboratory.command import read_analysis
from adaptrnn.laboratory.drawing import DRAWINGS
from adaptrnn.laboratory.protocol import ANALYSES
from adaptrnn.model import MODELS
from adaptrnn.perturb import StepDrive
from adaptrnn.tasks import load


def measure(subject):
    """How large are the rates at the last step?"""
    rates = subject.core(subject.inputs(4))[0].detach()
    return xr.Dataset({"rate": ("neuron", rates[-1].mean(0).numpy())})


def draw(data):
    figure, axes = subplots(1, 1)
    axes[0, 0].plot(data.rate)
    return figure


@pytest.fixture
def last_rate():
    yield register_analysis(Analysis("last_rate", measure, "rates", draw=draw))
    ANALYSES.remove("last_rate")


def test_every_analysis_has_models():
    assert all(analysis.models for analysis in ANALYSES.values())


def test_the_models_of_an_analysis_are_those_with_what_it_needs():
    """As the paper's rows say: Fig 3 and 4 need n and s, Fig 5a a controller, Fig 5d a square W."""
    curves = ("gamma-shared", "gamma", "arun")
    assert ANALYSES["heterogeneity"].models == ANALYSES["noise"].models == curves
    assert ANALYSES["controller_manifold"].models == ("arun",)
    assert set(MODELS) - set(ANALYSES["spectrum"].models) == {"lstm", "gru"}
    assert ANALYSES["lyapunov"].models == tuple(MODELS)


def test_a_registered_analysis_is_listed_made_kept_and_drawn(last_rate, tmp_path, capsys):
    """Its numbers are those of the network's own call on the same test trials."""
    task = load("adding", parameters={"steps": 6, "test_size": 4})
    network = SequenceModel(RNN(2, 5), 1)
    found = analyze(network, task, ["last_rate"], out=tmp_path, draw=True)["last_rate"]
    with torch.no_grad():
        rates = network.core(task.test.inputs)[0][-1].mean(0)
    # the same operations on the same numbers, in another order of trials at most
    np.testing.assert_allclose(found.rate, rates, rtol=1e-6, atol=1e-7)
    kept = read_analysis(tmp_path / "last_rate.nc")
    assert np.array_equal(kept.rate, found.rate) and kept.attrs["analysis"] == "last_rate"
    assert (tmp_path / "last_rate.png").read_bytes()[:4] == b"\x89PNG"
    assert main(["analyze"]) == 0
    assert "How large are the rates at the last step?" in capsys.readouterr().out


def test_an_analysis_without_a_drawing_says_so(tmp_path):
    register_analysis(Analysis("plain", measure))
    try:
        task = load("adding", parameters={"steps": 6, "test_size": 4})
        with pytest.raises(InputError, match="draw='plain': must be an analysis that has"):
            analyze(ARUN(2, 3, controller_size=2), task, ["plain"], out=tmp_path, draw=True)
    finally:
        ANALYSES.remove("plain")


def test_names_that_cannot_be_registered():
    for name in ("lyapunov", "all"):
        with pytest.raises(InputError, match="other than the analysis names of adaptrnn"):
            register_analysis(Analysis(name, measure))


def test_step_response_within_the_trained_length(results, subject):
    """Sequences of digits have 64 steps, so before, during and after the step last 16 each."""
    found = results["step_response"]
    assert list(found.attrs["step_trained"]) == [16, 32] and list(found.attrs["step"]) == [200, 400]
    assert (found.sizes["time"], found.sizes["time_trained"]) == (600, 48)
    again = step_response(subject("arun").core, durations=(16, 16, 16))
    for name in "nsh":
        np.testing.assert_array_equal(found[f"{name}_trained"], again[name])
        np.testing.assert_array_equal(found[f"{name}_mean_r2_trained"], again[f"{name}_mean_r2"])


@pytest.mark.long
@pytest.mark.parametrize("model", ["relu", "gamma-shared", "lstm", "gru"])
def test_every_analysis_works_for_the_models_that_it_names(model, subject):
    one = subject(model)
    for name in ("lyapunov", "jacobian", "step_response", "gain_scaling", "gradients"):
        found = ANALYSES[name].measure(one)
        with style():
            DRAWINGS[name](found)
    if model in ANALYSES["spectrum"].models:
        # the paper's first weights are orthogonal, in float32
        assert np.allclose(ANALYSES["spectrum"].measure(one).radius, 1, atol=1e-5)


def test_exponents_at_rest_are_those_of_the_fixed_point(results, subject):
    found = results["lyapunov"]
    fixed = found.lyapunov.sel(condition="fixed")
    # with constant n and s the whole state is h, so two definitions are one
    assert np.array_equal(fixed.sel(definition="full"), fixed.sel(definition="frozen"))
    one = replace(subject("arun"), effort=0.3)
    core, a = one.core, None
    trace = core.trace(torch.zeros(200, 1, 1))
    n, s, h = (getattr(trace, name)[-1, 0].double() for name in "nsh")
    weight = core.weight_hh_l0.detach().double()
    for _ in range(2000):
        a = weight @ h
        h = gamma(a, n, s)
    radius = torch.linalg.eigvals(gamma_dx(a, n, s)[:, None] * weight).abs().max().log().item()
    at_rest = ANALYSES["lyapunov"].measure(one).lyapunov
    # the first steps, until the tangent has turned, weigh one in 300
    value = at_rest.sel(definition="paper", condition="fixed", xi=0.0)
    assert math.isclose(float(value), radius, abs_tol=0.01)


def test_the_gradient_of_all_steps_is_torchs(results, subject):
    one = subject("arun")
    x, labels = one.trials(one.count(100, 2))
    loss = torch.nn.functional.cross_entropy(one.model(x), labels)
    (gradient,) = torch.autograd.grad(loss, one.core.weight_hh_l0)
    found = results["gradients"].sel(network="trained")
    # float32, sums in another order
    assert math.isclose(float(found.norm[0]), float(gradient.norm()), rel_tol=1e-4)
    assert math.isclose(float(found.loss), loss.item(), rel_tol=1e-5)


def test_robustness_agrees_with_an_evaluation(results, subject):
    one = subject("arun")
    part = replace(one.task, test=one.part(50))
    result = evaluate(one.model, part, StepDrive(5.0))
    at = results["robustness"].sel(xi=5.0)
    assert float(at.step_accuracy) == result.accuracy
    # the same sums in float32
    assert math.isclose(float(at.step_loss), result.loss, rel_tol=1e-6)


def test_retraining_leaves_the_rest_and_the_classes_balanced(results):
    found = results["transfer"]
    assert bool(found.others_identical) and found.attrs["degrees"] == 45
    assert len(set(found.attrs["samples"])) == 1 and found.attrs["samples"][0] % 10 == 0


def test_a_transplanted_controller_is_compared_with_the_donors(subject):
    donor = subject("arun").model
    same = replace(subject("arun", donor=donor), model=donor)
    found = ANALYSES["transfer"].measure(same)
    assert bool(found.controller_identical) and (found.difference == 0).all()
    other = ANALYSES["transfer"].measure(replace(same, model=same.initial))
    assert not bool(other.controller_identical)


def test_an_exponent_over_fewer_steps_where_rates_overflow(monkeypatch):
    """h -> 10 h leaves float64 after 308 steps, so 1000 steps are halved twice; ln 10 is exact."""
    core = RNN(1, 4, nonlinearity="linear", dtype=torch.float64)
    core.weight_hh_l0.data = 10 * torch.eye(4, dtype=torch.float64)
    found = protocol._largest(core, "paper", 1000, h=np.ones((1, 4)))
    assert found["steps"] == 250
    # a sum of 250 logarithms of about 2.3, each rounded to 2e-16 relative
    np.testing.assert_allclose(found["lyapunov"], np.log(10), rtol=1e-12)

    calls = []

    def refuse(*arguments, **options):
        calls.append(arguments)
        raise InputError("tolerance=nan: must be finite.")

    monkeypatch.setattr(protocol, "lyapunov", refuse)
    with pytest.raises(InputError, match="tolerance"):
        protocol._largest(core, "paper", 1000)
    assert len(calls) == 1  # another error that says "finite" is not answered by fewer steps
