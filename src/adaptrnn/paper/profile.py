"""Profiles: which networks are trained for the paper, how, and how many.

A profile is a YAML file; `quick` comes with the package. The file says what each entry means.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from adaptrnn._error import InputError, bad, choose
from adaptrnn._names import MODELS
from adaptrnn.classifier import ConvEncoder, Sizes, match_parameters
from adaptrnn.config import TrainConfig, from_dict
from adaptrnn.run import load_task

__all__ = ["PROFILES", "Profile", "load_profile"]

_FOLDER = Path(__file__).parent / "profiles"
PROFILES = tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))
"""Names of the profiles that come with the package."""


@dataclass(frozen=True)
class Profile:
    """A set of training runs: every model with every seed.

    Args:
        name: name of the profile.
        summary: one line on what it is.
        task: name of the task, see `adaptrnn.tasks.load`.
        seeds: seeds of training.
        hidden_size: neurons of the ARUN that all models are matched to.
        controller_size: units of its controller.
        train: options of `TrainConfig` for every model.
        models: for each model, options of its own.

    Raises:
        InputError: no seeds, no models, or a model that does not exist.
    """

    name: str
    summary: str
    task: str
    seeds: tuple[int, ...]
    hidden_size: int
    controller_size: int
    train: Mapping[str, Any]
    models: Mapping[str, Mapping[str, Any]]

    def __post_init__(self) -> None:
        for argument in ("seeds", "models"):
            if not getattr(self, argument):
                raise bad(f"{self.name}: {argument}", getattr(self, argument), "at least one")
        if len(set(self.seeds)) < len(self.seeds):
            raise bad(f"{self.name}: seeds", self.seeds, "different from each other")
        for model in self.models:
            choose(f"{self.name}: model", model, MODELS)

    def sizes(self) -> Sizes:
        """Hidden sizes that give all models nearly the same number of parameters."""
        task = load_task(self._config("arun", self.seeds[0], {}))
        features = ConvEncoder.features if task.kind == "image" else task.input_size
        return match_parameters(
            self.models, features, task.num_classes, self.hidden_size, self.controller_size
        )

    def configs(self, folder: Path) -> list[TrainConfig]:
        """The runs: one configuration for each model and seed.

        Args:
            folder: where the runs are kept, each in TASK-MODEL-seedSEED.

        Returns:
            The configurations, checked.

        Raises:
            InputError: an option that `TrainConfig` does not take.
        """
        sizes = self.sizes()
        found = []
        for model in self.models:
            for seed in self.seeds:
                config = self._config(model, seed, {"hidden_size": sizes[model]})
                found.append(dataclasses.replace(config, out=folder / config.folder.name))
        return found

    def _config(self, model: str, seed: int, more: Mapping[str, Any]) -> TrainConfig:
        given = {"task": self.task, **self.train, "model": model, "seed": seed}
        given |= {"controller_size": self.controller_size, **more, **self.models.get(model, {})}
        return from_dict(given, f"profile {self.name}, {model}")


def load_profile(name: str | Path) -> Profile:
    """Read a profile.

    Args:
        name: a name in `PROFILES`, or the path of a YAML file of the same form.

    Returns:
        The profile.

    Raises:
        InputError: no such profile; a file with an entry that is unknown, missing or wrong.

    Example:
        >>> profile = load_profile("quick")
        >>> profile.task, profile.seeds, len(profile.models)
        ('digits', (0, 1, 2), 7)
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = _FOLDER / f"{choose('profile', str(name), PROFILES)}.yaml"
    try:
        values = yaml.safe_load(path.read_text())
    except OSError as error:
        raise bad("profile", str(path), "a file that can be read", f"{error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise bad(str(path), values, "a mapping of entries to values")
    known = [field.name for field in dataclasses.fields(Profile) if field.name != "name"]
    for entry in values:
        choose(f"{path}: entry", entry, known)
    for entry in known:
        if entry not in values:
            raise InputError(f"{path}: {entry} is missing. A profile has: {', '.join(known)}.")
        if not isinstance(values[entry], _KINDS[entry]):
            raise bad(f"{path}: {entry}", values[entry], _KIND_NAMES[_KINDS[entry]])
    if not all(isinstance(options, dict) for options in values["models"].values()):
        raise bad(f"{path}: models", values["models"], "each a mapping of options, perhaps {}")
    return Profile(path.stem, **{**values, "seeds": tuple(values["seeds"])})


_KINDS: dict[str, type] = {
    "summary": str,
    "task": str,
    "seeds": list,
    "hidden_size": int,
    "controller_size": int,
    "train": dict,
    "models": dict,
}
_KIND_NAMES = {str: "a text", list: "a list", int: "an integer", dict: "a mapping"}
