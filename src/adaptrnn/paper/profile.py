"""A profile says which networks are trained for the paper, how, and how many.

A profile is a YAML file; `quick`, `laptop`, `night` and `paper` come with the package. The files
say what each entry means.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from adaptrnn._error import InputError, bad, choose
from adaptrnn.classifier import ConvEncoder, Sizes, match_parameters
from adaptrnn.config import TrainConfig, check_type, from_dict
from adaptrnn.model import MODELS
from adaptrnn.paper.item import ROLES
from adaptrnn.preset import PRESETS
from adaptrnn.run import load_task

__all__ = [
    "PROFILES",
    "Grid",
    "Initial",
    "Ladder",
    "PlannedRun",
    "Profile",
    "Role",
    "Rung",
    "load_profile",
]

_FOLDER = Path(__file__).parent / "profiles"
PROFILES = tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))
"""Names of the profiles that come with the package."""


@dataclass(frozen=True)
class Role:
    """A role is the task that stands for one of the paper's, and how networks are trained on it.

    Args:
        task: name of the task, see `adaptrnn.tasks.load`.
        models: for each model, options of its own; `seeds` among them replaces the profile's.
        train: options of `TrainConfig` for every model.
        effort: images, trials and steps of analyses relative to the standard protocol.
    """

    task: str
    models: Mapping[str, Mapping[str, object]]
    train: Mapping[str, object] = field(default_factory=dict)
    effort: float = 1.0


@dataclass(frozen=True)
class Grid:
    """A grid has static networks of one shared (n, s), trained from all its points (Fig S6c, d).

    Args:
        n: initial gains.
        s: initial saturations.
        seeds: seeds of training.
        train: options of `TrainConfig` for every one of them.
    """

    n: tuple[float, ...]
    s: tuple[float, ...]
    seeds: tuple[int, ...]
    train: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Initial:
    """Networks on psmnist are trained from other initial recurrent matrices than the paper's.

    Together with the networks of the profile, which start from the paper's, they tell what the
    f-I curve contributes and what the initial matrix does.

    Args:
        models: the models.
        recurrent_init: the other initial matrices, see `TrainConfig`.
        seeds: seeds of training.
        train: options of `TrainConfig` for every one of them.
    """

    models: tuple[str, ...]
    recurrent_init: tuple[str, ...]
    seeds: tuple[int, ...]
    train: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Rung:
    """A rung is one size of the ladder.

    Args:
        hidden_size: neurons of the ARUN that the models are matched to.
        controller_size: units of its controller.
        train: options of `TrainConfig` that differ from those of psmnist.
    """

    hidden_size: int
    controller_size: int
    train: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Ladder:
    """A ladder has networks on psmnist of other sizes and sequence lengths than the profile's.

    Args:
        models: the models.
        seeds: seeds of training.
        rungs: the sizes.
    """

    models: tuple[str, ...]
    seeds: tuple[int, ...]
    rungs: tuple[Rung, ...]


@dataclass(frozen=True)
class PlannedRun:
    """A planned run is one network to be trained.

    Attributes:
        name: of its folder.
        role: of the paper's tasks, the one it is trained for.
        variant: "", "grid", "transplant", "initial" or "ladder", see `adaptrnn.paper.item.Item`.
        config: its configuration; the folder is its name.
        donor: name of the run that must be there before, or "".
    """

    name: str
    role: str
    variant: str
    config: TrainConfig
    donor: str = ""


@dataclass(frozen=True)
class Profile:
    """A profile is a set of training runs.

    Args:
        name: name of the profile.
        summary: one line on what it is.
        seeds: seeds of training.
        hidden_size: neurons of the ARUN that all models are matched to.
        controller_size: units of its controller.
        roles: the tasks, by what they stand for in the paper.
        train: options of `TrainConfig` for every run.
        grid: networks trained from a grid of (n, s), or None.
        initial: networks from other initial recurrent matrices, or None.
        ladder: networks of other sizes, or None.
        transplant: whether the ARUN of each seed is trained again with the controller of another.
        together: whether all seeds of a model are evaluated and analysed in one process, which
            saves the start of the others where each takes seconds.

    Raises:
        InputError: no seeds, no models, or a role or model that does not exist.
    """

    name: str
    summary: str
    seeds: tuple[int, ...]
    hidden_size: int
    controller_size: int
    roles: Mapping[str, Role]
    train: Mapping[str, object] = field(default_factory=dict)
    grid: Grid | None = None
    initial: Initial | None = None
    ladder: Ladder | None = None
    transplant: bool = False
    together: bool = False

    def __post_init__(self) -> None:
        self._check_seeds("seeds", self.seeds)
        if not self.roles:
            raise bad(f"{self.name}: roles", {}, "at least one")
        for name, role in self.roles.items():
            choose(f"{self.name}: role", name, ROLES)
            if not role.models:
                raise bad(f"{self.name}: {name}: models", {}, "at least one")
            for model, own in role.models.items():
                choose(f"{self.name}: {name}: model", model, MODELS)
                self._check_seeds(f"{name}: {model}: seeds", own.get("seeds", self.seeds))
        if self.grid is not None:
            self._check_seeds("grid: seeds", self.grid.seeds)
            for axis in ("n", "s"):
                if not getattr(self.grid, axis):
                    raise bad(f"{self.name}: grid: {axis}", [], "at least one")
        extra = [one for one in (self.initial, self.ladder) if one is not None]
        for one in extra:
            name = type(one).__name__.lower()
            self._check_seeds(f"{name}: seeds", one.seeds)
            for model in one.models:
                choose(f"{self.name}: {name}: model", model, self._psmnist())
        if (self.grid is not None or self.transplant or extra) and "psmnist" not in self.roles:
            advice = "psmnist for grid, transplant, initial and ladder"
            raise bad(f"{self.name}: roles", list(self.roles), advice)

    def _psmnist(self) -> list[str]:
        """Models of the task that stands for psMNIST."""
        return list(self.roles["psmnist"].models) if "psmnist" in self.roles else list(MODELS)

    def _check_seeds(self, name: str, seeds: object) -> None:
        if not isinstance(seeds, list | tuple) or not all(type(seed) is int for seed in seeds):
            raise bad(f"{self.name}: {name}", seeds, "a list of integers")
        if not seeds or len(set(seeds)) < len(seeds):
            raise bad(f"{self.name}: {name}", seeds, "at least one, all different")

    def sizes(self, role: str, data_dir: Path | None = None) -> Sizes:
        """Return hidden sizes that give all models of a role nearly equal numbers of parameters."""
        features = ConvEncoder.features if PRESETS[role].kind == "image" else 1
        classes, name = 10, self.roles[role].task
        if name not in PRESETS:  # a data set of the hub
            given = {"task": name, **self.train, **self.roles[role].train}
            task = load_task(from_dict(given | _folder(data_dir), f"profile {self.name}, {role}"))
            classes, features = task.output_size, features if features > 1 else task.input_size
        models = self.roles[role].models
        return match_parameters(models, features, classes, self.hidden_size, self.controller_size)

    def runs(self, data_dir: Path | None = None, backend: str = "auto") -> list[PlannedRun]:
        """Return the networks to be trained.

        Args:
            data_dir: folder of the data, see `TrainConfig`.
            backend: implementation of the recurrent layers.

        Returns:
            The runs: donors before those that need them.

        Raises:
            InputError: an option that `TrainConfig` does not take; data that are not there.
        """
        found: list[PlannedRun] = []
        common = {**_folder(data_dir), "backend": backend, "controller_size": self.controller_size}
        for name, role in self.roles.items():
            sizes = self.sizes(name, data_dir)
            for model, own in role.models.items():
                options = {k: v for k, v in own.items() if k != "seeds"}
                base = {"task": role.task, **common, **self.train, **role.train}
                base |= {"model": model, "hidden_size": sizes[model], **options}
                seeds: Any = own.get("seeds", self.seeds)
                for seed in seeds:
                    found.append(self._run(name, "", f"{model}-seed{seed}", base, seed))
                if name == "psmnist" and model == "arun" and self.transplant and len(seeds) > 1:
                    found += self._transplants(name, base, seeds[: len(self.seeds)])
                if name == "psmnist" and model == "gamma-shared" and self.grid is not None:
                    found += self._grid(name, base, self.grid)
                if name == "psmnist" and self.initial is not None and model in self.initial.models:
                    found += self._initial(name, base, self.initial)
                if name == "psmnist" and self.ladder is not None and model in self.ladder.models:
                    found += self._ladder(name, base, self.ladder)
        return found

    def _initial(self, role: str, base: Mapping[str, object], plan: Initial) -> list[PlannedRun]:
        found = []
        for init in plan.recurrent_init:
            options = {**base, **plan.train, "recurrent_init": init}
            for seed in plan.seeds:
                label = f"{base['model']}-{init}-seed{seed}"
                found.append(self._run(role, "initial", label, options, seed))
        return found

    def _ladder(self, role: str, base: Mapping[str, object], ladder: Ladder) -> list[PlannedRun]:
        found, model = [], str(base["model"])
        for rung in ladder.rungs:
            n, g = rung.hidden_size, rung.controller_size
            size = match_parameters(ladder.models, 1, 10, n, g)[model]
            options = {**base, "hidden_size": size, "controller_size": g, **rung.train}
            pixels = options.get("image_size") or "full"
            for seed in ladder.seeds:
                label = f"{model}-n{n}-g{g}-p{pixels}-seed{seed}"
                found.append(self._run(role, "ladder", label, options, seed))
        return found

    def _transplants(
        self, role: str, base: Mapping[str, object], seeds: tuple[int, ...]
    ) -> list[PlannedRun]:
        found = []
        for place, seed in enumerate(seeds):
            donor = f"{role}-arun-seed{seeds[place - 1]}"
            options = {**base, "controller_from": donor}
            label = f"arun-controller{seeds[place - 1]}-seed{seed}"
            found.append(self._run(role, "transplant", label, options, seed, donor))
        return found

    def _grid(self, role: str, base: Mapping[str, object], grid: Grid) -> list[PlannedRun]:
        found = []
        for learn in (False, True):
            for n in grid.n:
                for s in grid.s:
                    options = {**base, **grid.train, "learn_curve": learn}
                    options |= {"n": f"{n:g}", "s": float(s)}
                    kind = "learned" if learn else "fixed"
                    for seed in grid.seeds:
                        label = f"gamma-shared-n{n:g}-s{s:g}-{kind}-seed{seed}"
                        found.append(self._run(role, "grid", label, options, seed))
        return found

    def _run(
        self,
        role: str,
        variant: str,
        label: str,
        options: Mapping[str, object],
        seed: int,
        donor: str = "",
    ) -> PlannedRun:
        name = f"{role}-{label}"
        values = {**options, "seed": seed, "out": name}
        return PlannedRun(
            name, role, variant, from_dict(values, f"profile {self.name}, {name}"), donor
        )


def _folder(data_dir: Path | None) -> dict[str, str]:
    return {} if data_dir is None else {"data_dir": str(data_dir)}


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
        >>> profile.roles["psmnist"].task, profile.seeds, len(profile.roles["psmnist"].models)
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
    values = _entries(values, Profile, str(path), skip=("name",))
    roles = values["roles"]
    values["roles"] = {
        name: Role(**_entries(one, Role, f"{path}: roles: {name}")) for name, one in roles.items()
    }
    for role, one in values["roles"].items():
        if not all(isinstance(options, dict) for options in one.models.values()):
            raise bad(f"{path}: {role}: models", one.models, "each a mapping of options, or {}")
    for name, kind in (("initial", Initial), ("grid", Grid)):
        if values.get(name) is not None:
            values[name] = kind(**_entries(values[name], kind, f"{path}: {name}"))
    if values.get("ladder") is not None:
        ladder = _entries(values["ladder"], Ladder, f"{path}: ladder")
        rungs = [Rung(**_entries(one, Rung, f"{path}: ladder: rungs")) for one in ladder["rungs"]]
        values["ladder"] = Ladder(**{**ladder, "rungs": tuple(rungs)})
    return Profile(path.stem, **values)


def _entries(values: object, kind: type, where: str, skip: tuple[str, ...] = ()) -> dict[str, Any]:
    """A mapping's entries as arguments of a dataclass, checked for names and types."""
    fields = {f.name: f for f in dataclasses.fields(kind) if f.name not in skip}
    if not isinstance(values, dict):
        raise bad(where, values, "a mapping of entries to values")
    for entry in values:
        choose(f"{where}: entry", entry, list(fields))
    for name, one in fields.items():
        needed = one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
        if name not in values and needed:
            raise InputError(f"{where}: {name} is missing. It has: {', '.join(fields)}.")
        if name in values:
            check_type(f"{where}: {name}", values[name], one)
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
