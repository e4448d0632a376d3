"""The search for learning rates."""

import dataclasses
import math
import re
from contextlib import redirect_stderr
from io import StringIO

import pytest

from adaptrnn.paper.profile import load_profile
from adaptrnn.paper.search import choose_rate, main, search


def test_an_unknown_task_is_one_error():
    printed = StringIO()
    with redirect_stderr(printed), pytest.raises(SystemExit) as stopped:
        main(["laptop", "--roles", "scifar"])
    assert stopped.value.code == 2
    assert re.search(r"--roles='scifar': must be one of .*'scifar10-conv'", printed.getvalue())


def test_every_model_is_trained_at_the_same_rates(tmp_path):
    profile = load_profile("quick")
    roles = {name: profile.roles[name] for name in list(profile.roles)[:1]}
    profile = dataclasses.replace(profile, roles=roles, grid=None, transplant=False)
    options = {"epochs": 1, "train_size": 100}
    found = search(profile, tmp_path, (1e-3, 1e-2), (1001,), train_options=options)
    models = [(role, model) for role, own in profile.roles.items() for model in own.models]
    assert list(found) == models
    for accuracies in found.values():
        assert list(accuracies) == [1e-3, 1e-2]
        assert all(0 <= value <= 1 for values in accuracies.values() for value in values)
    seeds = {path.name for path in tmp_path.glob("lr0.001/*")}
    assert len(seeds) == len(models) and all(name.endswith("seed1001") for name in seeds)


def test_a_model_that_cannot_be_trained_has_no_rate():
    assert math.isnan(choose_rate({1e-3: math.nan, 1e-2: math.nan}))
    assert choose_rate({1e-3: math.nan, 1e-2: 0.5}) == 1e-2
