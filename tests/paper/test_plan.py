"""The plan: commands that the command line understands, in a graph that leaves nothing out."""

import dataclasses

import pytest
import tyro

from adaptrnn.config import AnalyzeConfig, EvaluateConfig, TrainConfig
from adaptrnn.laboratory.protocol import ANALYSES
from adaptrnn.paper.catalogue import ITEMS
from adaptrnn.paper.cost import multiply_adds, training_cost
from adaptrnn.paper.plan import Plan
from adaptrnn.paper.profile import PROFILES
from adaptrnn.perturb import parse_named
from adaptrnn.run import read_config


@pytest.fixture(scope="module", params=PROFILES)
def plan(request):
    return Plan.of(request.param)


@pytest.mark.long
def test_commands_are_read_back_as_the_configurations(plan, tmp_path):
    plan.write(tmp_path)
    for name, run in plan.runs.items():
        command, option, file = plan.train(name)
        assert (command, option) == ("train", "--config")
        assert read_config(tmp_path / file) == run.config
    for unit in plan.evaluated():
        words = plan.evaluate(unit)
        assert parse_named(tyro.cli(EvaluateConfig, args=words[1:]).perturb) == plan.conditions(
            unit
        )
    for unit in plan.analysed():
        config = tyro.cli(AnalyzeConfig, args=plan.analyze(unit)[1:])
        assert set(config.name.split(",")) <= set(ANALYSES)
        for run in (plan.runs[one] for one in plan.units[unit]):
            for name in config.name.split(","):
                assert run.config.model in ANALYSES[name].models


def test_every_run_is_in_one_unit_and_every_item_gets_what_it_needs(plan):
    members = [name for unit in plan.units.values() for name in unit]
    assert sorted(members) == sorted(plan.runs)
    variants = {run.variant for run in plan.runs.values()}
    for item in ITEMS.values():
        if item.optional and item.variant not in variants:
            continue  # the profile does without it, and nothing is made for it
        for unit, names in plan.units.items():
            run = plan.runs[names[0]]
            if item.needs(run.role, run.config.model, run.variant):
                # by the same name, so that a table has the name that the item gives
                assert item.conditions.items() <= plan.conditions(unit).items()
                assert set(item.analyses) <= set(plan.analyses(unit))


def test_a_plan_costs_more_with_more_epochs_and_neurons():
    config = TrainConfig("psmnist", model="arun", hidden_size=100, controller_size=20, epochs=10)
    twice = dataclasses.replace(config, epochs=20)
    larger = dataclasses.replace(config, hidden_size=200)
    small, long, wide = (training_cost(c) for c in (config, twice, larger))
    # linear in epochs but for the start, at least as fast as N (N + G^2 + 3 G)
    assert long.seconds == pytest.approx(2 * small.seconds, rel=0.02)
    law = multiply_adds(larger) / multiply_adds(config)
    assert wide.seconds == pytest.approx(law * small.seconds, rel=0.1)
