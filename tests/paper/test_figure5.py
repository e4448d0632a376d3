"""Figure 5: verdicts on planted states, distances, exponents and eigenvalues; real protocols."""

import numpy as np
import pytest
import torch
import xarray as xr

from adaptrnn.config import TrainConfig
from adaptrnn.laboratory.protocol import ANALYSES
from adaptrnn.laboratory.subject import Subject
from adaptrnn.paper import figure5
from adaptrnn.run import build_model, load_task


def outcomes(verdicts):
    return [one.outcome for one in verdicts]


@pytest.mark.long
@pytest.mark.parametrize(
    "item", [figure5.MANIFOLD, figure5.LEVELS, figure5.EXPONENTS, figure5.SPECTRUM]
)
def test_measures_of_the_protocols_are_drawn_and_judged(item, collected, holds):
    data = collected(item)
    holds(item, data)
    assert data.nbytes < 100_000  # 2 seeds; the tables of all items go into one repository


@pytest.mark.parametrize(
    ("share", "monotone", "correlation", "expected"),
    [
        ([0.8, 0.15], 1.0, -1.0, "reproduced"),
        ([0.8, 0.15], 1.0, 0.2, "reproduced"),  # the rank correlation is only shown
        ([0.5, 0.15], 1.0, 1.0, "partly"),
        ([0.5, 0.15], 0.0, 0.2, "not"),
    ],
)
def test_manifold(collected, share, monotone, correlation, expected):
    data = collected(figure5.MANIFOLD)
    shares = xr.DataArray(share, {"component": data.component}).broadcast_like(data["share"])
    planted = data.assign(
        share=shares,
        monotone=xr.full_like(data.monotone, monotone),
        rank_correlation=xr.full_like(data.rank_correlation, correlation),
    )
    assert outcomes(figure5.judge_manifold(planted)) == [expected]


def planted_levels(data, low, high):
    """Mean (n, s) whose slope at xi is 1 - eps plus a distance; neurons spread about it.

    For n = 50 the slope at xi >= 0.5 is 1 - s to 1e-9: exp(-25), so s is eps minus the distance.
    """
    distance = xr.where(data.xi >= 5, high, low)
    spread = xr.DataArray([-0.2, 0.2] * (data.sizes["neuron"] // 2), {"neuron": data.neuron})
    s = (data.epsilon - distance + spread).broadcast_like(data.s)
    rms = xr.full_like(data.residual, 0.2)
    return data.assign(n=xr.full_like(data.n, 50.0), s=s, residual=rms)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.1, 0.01, "reproduced"), (0.2, 0.07, "partly"), (0.01, 0.07, "not")],
)
def test_levels(collected, low, high, expected):
    data = planted_levels(collected(figure5.LEVELS), low, high)
    (found,) = figure5.judge_levels(data)
    assert found.outcome == expected
    # the spread over neurons is shown, and decides nothing
    assert {part.holds for part in found.shown if "neurons" in part.quantity} == {"no"}
    # the drive at which eps was fitted says nothing about the prediction
    spoiled = data.assign(s=data.s.where(data.xi != 10, 9.0))
    assert outcomes(figure5.judge_levels(spoiled)) == [expected]


def exponents(data, arun, relu, gamma):
    """The same exponents at all drives and delays, by every definition."""
    names = {"model": ["relu", "gamma", "arun"]}
    values = xr.DataArray([relu, gamma, arun], names)
    kept = (data.condition == "fixed") | (data.model == "arun")
    return data.assign(
        after_onset=values.broadcast_like(data.after_onset),
        lyapunov=values.broadcast_like(data.lyapunov).where(kept),
    )


@pytest.mark.parametrize(
    ("arun", "relu", "gamma", "expected"),
    [
        (-0.001, -0.05, 0.2, "reproduced"),
        (-0.001, -0.005, 0.2, "partly"),
        (0.1, -0.5, 0.2, "not"),
        (0.0, -0.5, 0.2, "reproduced"),  # exactly at the edge
        (-0.1, -np.inf, 2.0, "reproduced"),  # silenced
    ],
)
def test_exponents(collected, arun, relu, gamma, expected):
    data = exponents(collected(figure5.EXPONENTS), arun, relu, gamma)
    assert outcomes(figure5.judge_exponents(data)) == [expected]


def test_other_definitions_and_the_course_after_the_onset_are_shown_only(collected):
    data = exponents(collected(figure5.EXPONENTS), -0.001, -0.5, 0.2)
    other = data.lyapunov.where(data.definition == "paper", -0.5)
    away = data.assign(lyapunov=other, after_onset=xr.full_like(data.after_onset, 1.0))
    (found,) = figure5.judge_exponents(away)
    assert found.outcome == "reproduced"
    assert {p.holds for p in found.shown if "full" in p.quantity or "steps" in p.quantity} == {"no"}


def test_without_the_networks_that_do_not_adapt_there_is_no_data(collected):
    data = collected(figure5.EXPONENTS, models=["arun"])
    assert outcomes(figure5.judge_exponents(data)) == ["no data"]


def test_exponents_of_a_relu_network_are_those_of_its_matrix():
    """Degree one: from any driven state a positive matrix keeps every unit active.

    So the Jacobian is W itself and the largest exponent ln of its Perron eigenvalue, whatever the
    drive was, by the paper's definition as after the onset. The power method forgets the second
    eigenvalue, at most 0.1 of the first here, within the steps that do not count; what is left is
    rounding in float32 weights (6e-8).
    """
    config = TrainConfig("digits", model="relu", hidden_size=8, train_size=50)
    task = load_task(config)
    model = build_model(config, task).eval()
    with torch.no_grad():
        weight = 1 + 0.1 * torch.rand(8, 8, generator=torch.Generator().manual_seed(0))
        largest = float(torch.linalg.eigvals(weight.double()).abs().max())
        model.core.weight_hh_l0.copy_(1.02 / largest * weight)
        model.core.bias_ih_l0.fill_(0.1)
    found = ANALYSES["lyapunov"].measure(Subject("relu", model, model, task, effort=0.05))
    paper = found.lyapunov.sel(definition="paper", condition="fixed")
    np.testing.assert_allclose(paper, np.log(1.02), atol=1e-6)
    np.testing.assert_allclose(found.after_onset, np.log(1.02), atol=1e-6)
    assert found.after_onset.dims == ("xi_onset", "delay")


def test_a_relu_network_that_only_turns_neither_grows_nor_shrinks():
    """A permutation of positive states: every exponent is 0, from each driven state."""
    config = TrainConfig("digits", model="relu", hidden_size=8, train_size=50)
    task = load_task(config)
    model = build_model(config, task).eval()
    with torch.no_grad():
        model.core.weight_hh_l0.copy_(torch.eye(8).roll(1, 0))
        model.core.bias_ih_l0.fill_(0.1)
    found = ANALYSES["lyapunov"].measure(Subject("relu", model, model, task, effort=0.05))
    np.testing.assert_allclose(found.lyapunov.sel(definition="paper"), 0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("arun", "relu", "gamma", "expected"),
    [
        (1.3, 1.2, 1.01, "reproduced"),
        (1.3, 1.2, 1.28, "partly"),
        (1.01, 1.2, 1.0, "not"),
    ],
)
def test_spectrum(collected, arun, relu, gamma, expected):
    data = collected(figure5.SPECTRUM)
    # linear and shared networks are shown only
    values = {"relu": relu, "gamma": gamma, "arun": arun, "linear": 9.0, "gamma-shared": 9.0}
    radius = xr.DataArray([values[m] for m in data.model.values], {"model": data.model})
    planted = data.assign(radius=radius.broadcast_like(data.radius))
    assert outcomes(figure5.judge_spectrum(planted)) == [expected]


def test_radius_without_the_other_network_is_no_data(collected):
    data = collected(figure5.SPECTRUM, models=["arun"])
    assert outcomes(figure5.judge_spectrum(data)) == ["no data"]
