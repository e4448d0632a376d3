"""Profiles: read, checked, expanded into runs."""

from pathlib import Path

import pytest
import yaml

from adaptrnn._error import InputError
from adaptrnn.paper.plan import Plan
from adaptrnn.paper.profile import PROFILES, load_profile
from adaptrnn.perturb import StepDrive

GOOD = {
    "summary": "a test",
    "seeds": [3, 4],
    "hidden_size": 64,
    "controller_size": 10,
    "train": {"epochs": 2},
    "roles": {"psmnist": {"task": "digits", "models": {"gamma": {"lr": 0.01}, "gru": {}}}},
}


def models(values: object) -> dict:
    return {"roles": {"psmnist": {"task": "digits", "models": values}}}


def written(folder: Path, values: object) -> Path:
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_of_the_package_gives_runs_of_matched_size(name):
    profile = load_profile(name)
    runs = profile.runs()
    assert len({run.name for run in runs}) == len(runs)
    assert all(run.config.folder == Path(run.name) for run in runs)
    for role in profile.roles:
        # the promise of the report: within 2% of the same number of parameters
        assert all(abs(row[2]) <= 0.02 for row in profile.sizes(role).rows.values())
    names = [run.name for run in runs]
    for place, run in enumerate(runs):
        assert not run.donor or names.index(run.donor) < place
        assert (run.variant == "transplant") == bool(run.donor)


def test_own_profile(tmp_path):
    profile = load_profile(written(tmp_path, GOOD))
    runs = profile.runs()
    assert profile.name == "own"
    assert [(r.config.model, r.config.seed, r.config.lr, r.config.epochs) for r in runs] == [
        ("gamma", 3, 0.01, 2),
        ("gamma", 4, 0.01, 2),
        ("gru", 3, None, 2),
        ("gru", 4, None, 2),
    ]
    assert runs[0].name == "psmnist-gamma-seed3"
    assert runs[2].config.hidden_size == profile.sizes("psmnist")["gru"]


def test_seeds_of_a_model_grid_and_transplants(tmp_path):
    values = models({"arun": {"seeds": [3, 4, 5]}, "gamma-shared": {}})
    values["grid"] = {"n": [1, 2.5], "s": [0], "seeds": [7], "train": {"epochs": 9}}
    runs = load_profile(written(tmp_path, GOOD | values | {"transplant": True})).runs()
    count = {variant: sum(run.variant == variant for run in runs) for variant in ("", "grid")}
    assert count == {"": 5, "grid": 4}
    grid = [run.config for run in runs if run.variant == "grid"]
    assert {(c.n, c.s, c.learn_curve, c.seed, c.epochs) for c in grid} == {
        (n, 0.0, learn, 7, 9) for n in ("1", "2.5") for learn in (True, False)
    }
    transplants = [run for run in runs if run.variant == "transplant"]
    # each seed of the profile, never with its own controller
    assert [(run.config.seed, run.donor) for run in transplants] == [
        (3, "psmnist-arun-seed4"),
        (4, "psmnist-arun-seed3"),
    ]
    assert [str(run.config.controller_from) for run in transplants] == [
        run.donor for run in transplants
    ]


def test_initial_matrices_and_a_ladder(tmp_path):
    values = models({"arun": {"lr": 0.02}, "gamma": {}, "gru": {}})
    values["initial"] = {"models": ["gamma"], "recurrent_init": ["uniform"], "seeds": [7, 8]}
    rungs = [
        {"hidden_size": 30, "controller_size": 5},
        {"hidden_size": 64, "controller_size": 10, "train": {"image_size": 4}},
    ]
    values["ladder"] = {"models": ["arun", "gamma"], "seeds": [7], "rungs": rungs}
    profile = load_profile(written(tmp_path, GOOD | values))
    runs = profile.runs()
    first = [run.config for run in runs if run.variant == "initial"]
    assert [(c.model, c.recurrent_init, c.seed) for c in first] == [
        ("gamma", "uniform", 7),
        ("gamma", "uniform", 8),
    ]
    steps = {run.name: run.config for run in runs if run.variant == "ladder"}
    small = steps["psmnist-arun-n30-g5-pfull-seed7"]
    assert (small.hidden_size, small.controller_size, small.lr) == (30, 5, 0.02)
    large = steps["psmnist-gamma-n64-g10-p4-seed7"]
    assert large.image_size == 4 and large.hidden_size == profile.sizes("psmnist")["gamma"]
    assert len(steps) == 4


def test_what_a_profile_may_do_without_asks_nothing_of_its_other_runs():
    """The ladder takes the profile's own networks too, but only where there is a ladder."""
    night, laptop = Plan.of("night"), Plan.of("laptop")
    assert "fractional" in night.analyses("psmnist-gamma-seed0")
    assert "fractional" not in laptop.analyses("psmnist-gamma-seed0")
    thirty = StepDrive(30.0)
    assert thirty in night.conditions("psmnist-relu-seed0").values()
    assert thirty not in laptop.conditions("psmnist-relu-seed0").values()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": [1]}, "Did you mean 'seeds'"),
        ({"seeds": []}, "at least one"),
        ({"seeds": [1, 1]}, "all different"),
        ({"hidden_size": "big"}, "an integer"),
        (models({"gama": {}}), "Did you mean 'gamma'"),
        (models({"gamma": 3}), "mapping of options"),
        (models({"gamma": {"seeds": []}}), "at least one"),
        (models({}), "at least one"),
        ({"roles": {"mnist": {"task": "digits", "models": {"gru": {}}}}}, "Did you mean 'psmnist'"),
        ({"grid": {"n": [1]}}, "grid: s is missing"),
        ({"initial": {"models": ["gamma"]}}, "recurrent_init is missing"),
        (
            {"initial": {"models": ["arun"], "recurrent_init": ["uniform"], "seeds": [1]}},
            "initial: model='arun'",
        ),
        ({"ladder": {"models": ["gru"], "seeds": [1], "rungs": [{}]}}, "hidden_size is missing"),
        ({"train": {"epoch": 3}}, "Did you mean 'epochs'"),
        ({"train": {"epochs": "3"}}, "an integer"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, change, words):
    with pytest.raises(InputError, match=words):
        load_profile(written(tmp_path, GOOD | change)).runs()


def test_missing_files_and_entries_are_named(tmp_path):
    with pytest.raises(InputError, match="roles is missing"):
        load_profile(written(tmp_path, {k: v for k, v in GOOD.items() if k != "roles"}))
    with pytest.raises(InputError, match="No such file"):
        load_profile(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="Did you mean 'quick'"):
        load_profile("quik")
    (tmp_path / "bad.yaml").write_text("a: [1")
    with pytest.raises(InputError, match="not YAML"):
        load_profile(tmp_path / "bad.yaml")
