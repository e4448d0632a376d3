"""What the analyses of tiny networks give, collected as an item wants it."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest
import xarray as xr

from adaptrnn.config import TrainConfig
from adaptrnn.figure.style import render
from adaptrnn.laboratory.protocol import ANALYSES
from adaptrnn.laboratory.subject import Subject
from adaptrnn.paper.item import RunData, combine
from adaptrnn.run import build_model, load_task

SEEDS = (0, 1)


@cache
def _analysis(name: str, model: str, seed: int) -> xr.Dataset:
    config = TrainConfig(
        "digits", model=model, hidden_size=8, controller_size=3, n="5", seed=seed, train_size=50
    )
    task = load_task(config)
    first, last = build_model(config, task).eval(), build_model(config, task).eval()
    return ANALYSES[name].measure(Subject(model, last, first, task, effort=0.05))


@pytest.fixture
def collected():
    """A function: an item's measures, combined over its roles, models and two seeds.

    The networks are untrained, the analyses those of the real protocols with little effort.
    """

    def of(item, roles=None, models=None):
        return combine(
            item,
            (
                (role, data_of(item, model, seed))
                for role in roles or item.roles
                for model in models or item.models
                for seed in SEEDS
            ),
        )

    of.data = data_of
    return of


def data_of(item, model="arun", seed=0):
    """What an item measures of one run: what it does not name is not there."""
    config = TrainConfig("digits", model=model, seed=seed)
    analyses = {name: _analysis(name, model, seed) for name in item.analyses}
    return RunData(config, analyses=analyses, name="runs/one")


def empty(data: xr.Dataset) -> xr.Dataset:
    """The same data set without a number."""
    return data.map(lambda values: values.astype(float) * np.nan, keep_attrs=True)


def _whole(text):
    """Whether a text is whole sentences, each with at most one colon or semicolon."""
    bare, count = text, 1
    while count:  # formulas in brackets within brackets have signs of their own
        bare, count = re.subn(r"\([^()]*\)", "", bare)
    sentences = re.split(r"(?<=\.) ", bare)
    return all(
        one[:1].isupper() and one.endswith(".") and one.count(":") + one.count(";") <= 1
        for one in sentences
    )


@pytest.fixture
def whole():
    """A function: whether a text is whole sentences, as far as its signs tell."""
    return _whole


@pytest.fixture
def holds():
    """A function: draws and judges an item's data whole, with seeds missing, and empty."""

    def check(item, data):
        light, dark = render(item.draw, data), render(item.draw, data, dark=True)
        assert light.startswith(b"<?xml") and light != dark
        whole = item.judge(data)
        assert all(part.holds != "no data" for one in whole for part in one.parts)
        for one in whole:
            assert not one.note or _whole(one.note), one.note
        nothing = empty(data)
        render(item.draw, nothing)
        for one in item.judge(nothing):
            assert one.outcome == "no data", one.claim
            assert "nan" not in one.note.lower(), one.note
        if "seed" in data.dims:
            half = data.where(data.seed == data.seed[0]).assign_coords(data.coords)
            render(item.draw, half)
            item.judge(half)
        assert item.functions and item.tests
        return whole

    return check
