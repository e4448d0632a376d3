"""Configurations: plain values and back, one error for what is wrong, sums of options."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptrnn import InputError, config
from adaptrnn.config import TrainConfig, from_dict, to_dict

PATHS = st.none() | st.sampled_from([Path("a/b"), Path("c.json")])
CONFIGS = st.builds(
    TrainConfig,
    task=st.sampled_from(["digits", "psmnist", "owner/name", "adding"]),
    model=st.sampled_from(["relu", "gamma", "gamma-shared", "lstm"]),
    out=PATHS,
    data_dir=PATHS,
    image_size=st.none() | st.integers(1, 99),
    hidden_size=st.none() | st.integers(1, 2**16),
    n=st.sampled_from(["paper", "code", "5", "-0.25"]),
    s=st.floats(-9, 9),
    learn_curve=st.booleans(),
    lr=st.none() | st.floats(1e-9, 1e9),
    clip=st.none() | st.floats(1e-9, 1e9),
    seed=st.integers(0, 2**32 - 1),
    task_options=st.lists(st.sampled_from(["a=1", "b=[1, 2]", "c=x"]), unique=True).map(tuple),
)


@given(CONFIGS)
@settings(deadline=None)
def test_a_configuration_comes_back_from_json(given_config):
    text = json.dumps(to_dict(given_config))
    assert from_dict(json.loads(text)) == given_config


@given(CONFIGS, st.sampled_from([f.name for f in dataclasses.fields(TrainConfig)]))
@settings(deadline=None)
def test_a_value_of_a_wrong_type_names_its_option(given_config, name):
    with pytest.raises(InputError, match=f"config: {name}="):
        from_dict(to_dict(given_config) | {name: {"a": 1}})


def test_options_that_are_missing_have_their_default():
    """So that a run of before there was an option is still read."""
    assert from_dict({"task": "digits"}) == TrainConfig("digits")


@pytest.mark.parametrize(
    ("task", "folder"),
    [
        ("digits", "digits-arun-seed3"),
        ("owner/name", "owner-name-arun-seed3"),
        ("neurogym:Go-v0", "neurogym-Go-v0-arun-seed3"),
        ("./there/mine.py:task", "mine-task-arun-seed3"),
    ],
)
def test_a_run_is_kept_under_its_own_name(task, folder):
    assert TrainConfig(task, seed=3).folder == Path("runs") / folder
    assert TrainConfig(task, seed=3, out=Path("x")).folder == Path("x")


@pytest.mark.parametrize(
    "options",
    [
        {"model": "arum"},
        {"epochs": 0},
        {"hidden_size": 2**16 + 1},
        {"lr": 0.0},
        {"lr": float("nan")},
        {"clip": float("inf")},
        {"seed": -1},
        {"n": "0"},
        {"memory_budget": -1},
        {"task_options": ("steps",)},
        {"task_options": ("a=1", "a=2")},
        {"model": "gamma", "controller_from": Path("run")},
    ],
)
def test_a_value_out_of_its_range_names_its_option(options):
    with pytest.raises(InputError, match=f"{list(options)[-1]}="):
        TrainConfig("digits", **options)


def test_every_configuration_is_frozen_and_every_option_is_described():
    """The descriptions are what --help shows."""
    source = Path(config.__file__).read_text()
    classes = [getattr(config, name) for name in config.__all__ if name.endswith("Config")]
    assert len(classes) > 10
    for one in classes:
        assert one.__dataclass_params__.frozen and one.__doc__
        body = source.partition(f"class {one.__name__}:")[2].partition("\n@dataclass")[0]
        for field in dataclasses.fields(one):
            line = body.partition(f"    {field.name}: ")[2].partition("\n")[2]
            assert line.startswith('    """'), f"{one.__name__}.{field.name}"
