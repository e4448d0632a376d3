"""Profiles: read, checked, expanded into runs."""

from pathlib import Path

import pytest
import yaml

from adaptrnn._error import InputError
from adaptrnn.paper.profile import PROFILES, load_profile

GOOD = {
    "summary": "a test",
    "task": "digits",
    "seeds": [3, 4],
    "hidden_size": 64,
    "controller_size": 10,
    "train": {"epochs": 2},
    "models": {"gamma": {"lr": 0.01}, "gru": {}},
}


def written(folder: Path, values: object) -> Path:
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_every_profile_of_the_package_gives_runs_of_matched_size():
    for name in PROFILES:
        profile = load_profile(name)
        configs = profile.configs(Path("runs"))
        assert len(configs) == len(profile.models) * len(profile.seeds)
        assert len({config.folder for config in configs}) == len(configs)
        # the promise of the report: within 2% of the same number of parameters
        assert all(abs(row[2]) <= 0.02 for row in profile.sizes().rows.values())


def test_own_profile(tmp_path):
    profile = load_profile(written(tmp_path, GOOD))
    configs = profile.configs(tmp_path)
    assert profile.name == "own"
    assert [(c.model, c.seed, c.lr, c.epochs) for c in configs] == [
        ("gamma", 3, 0.01, 2),
        ("gamma", 4, 0.01, 2),
        ("gru", 3, None, 2),
        ("gru", 4, None, 2),
    ]
    assert configs[0].folder == tmp_path / "digits-gamma-seed3"
    assert configs[2].hidden_size == profile.sizes()["gru"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": [1]}, "Did you mean 'seeds'"),
        ({"seeds": []}, "at least one"),
        ({"seeds": [1, 1]}, "different from each other"),
        ({"hidden_size": "big"}, "an integer"),
        ({"models": {"gama": {}}}, "Did you mean 'gamma'"),
        ({"models": {"gamma": 3}}, "mapping of options"),
        ({"train": {"epoch": 3}}, "Did you mean 'epochs'"),
        ({"train": {"epochs": "3"}}, "an integer"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, change, words):
    with pytest.raises(InputError, match=words):
        load_profile(written(tmp_path, GOOD | change)).configs(tmp_path)


def test_missing_files_and_entries_are_named(tmp_path):
    with pytest.raises(InputError, match="models is missing"):
        load_profile(written(tmp_path, {k: v for k, v in GOOD.items() if k != "models"}))
    with pytest.raises(InputError, match="No such file"):
        load_profile(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="Did you mean 'quick'"):
        load_profile("quik")
    (tmp_path / "bad.yaml").write_text("a: [1")
    with pytest.raises(InputError, match="not YAML"):
        load_profile(tmp_path / "bad.yaml")
