"""Estimates of cost: their laws, and that a plan never costs less with more to do."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptrnn.config import TrainConfig
from adaptrnn.laboratory.protocol import ANALYSES
from adaptrnn.paper.cost import (
    STARTUP,
    analysis_cost,
    evaluation_cost,
    hours,
    multiply_adds,
    neuron_number,
    sequence_steps,
    training_cost,
)

MODELS = st.sampled_from(["arun", "gamma", "relu", "lstm", "gru"])


@given(MODELS, st.sampled_from(["digits", "psmnist", "scifar10-conv"]), st.integers(2, 400))
@settings(deadline=None)
def test_more_epochs_neurons_or_images_cost_more(model, task, neurons):
    config = TrainConfig(task, model, hidden_size=neurons, controller_size=5, train_size=100)
    cost = training_cost(config)
    assert cost.seconds > STARTUP and cost.memory > 0 and cost.disk > 0
    for change in ({"epochs": 200}, {"hidden_size": 2 * neurons}, {"train_size": 200}):
        more = training_cost(dataclasses.replace(config, **change))
        assert more.seconds > cost.seconds and more.memory >= cost.memory
    # beyond the start, evaluation is linear in the number of perturbations
    one, five = (evaluation_cost(config, count).seconds - STARTUP for count in (1, 5))
    assert five == pytest.approx(5 * one)


def test_multiply_adds_are_those_of_the_equations():
    """N^2 of the recurrence; ARUN's controller adds N (G^2 + 3 G); gates are 4 or 3 networks."""
    plain = {"hidden_size": 7, "controller_size": 3}
    found = {m: multiply_adds(TrainConfig("digits", m, **plain)) for m in ("relu", "lstm", "gru")}
    assert found == {"relu": 49, "lstm": 4 * 49, "gru": 3 * 49}
    assert multiply_adds(TrainConfig("digits", "arun", **plain)) == 49 + 7 * (9 + 9)


def test_steps_and_neurons_are_those_of_the_paper():
    assert sequence_steps(TrainConfig("psmnist")) == 784
    assert sequence_steps(TrainConfig("psmnist", image_size=14)) == 196
    assert [neuron_number(TrainConfig("psmnist", model)) for model in ("arun", "lstm", "gru")] == [
        400,
        202,
        233,
    ]


@given(st.lists(st.sampled_from(sorted(ANALYSES)), unique=True), st.floats(0.01, 10))
@settings(deadline=None)
def test_analyses_add_up_and_scale_with_their_effort(names, effort):
    config = TrainConfig("psmnist", "gamma", hidden_size=50)
    whole = analysis_cost(config, names, effort).seconds - STARTUP
    each = sum(analysis_cost(config, [name], 1.0).seconds - STARTUP for name in names)
    assert whole == pytest.approx(effort * each)


@given(st.floats(60, 1e7), st.floats(60, 1e7))
@settings(deadline=None)
def test_a_longer_duration_is_not_said_to_be_shorter(one, other):
    unit = {"min": 60.0, "h": 3600.0, "days": 86_400.0}
    said = []
    for seconds in sorted((one, other)):
        number, word = hours(seconds).split()
        said.append(float(number) * unit[word])
        assert said[-1] == pytest.approx(seconds, rel=0.06)  # one digit behind the point
    assert said[0] <= said[1] * 1.06
