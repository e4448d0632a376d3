"""A plan lists what is done for a profile, job by job: each job is one command of `adaptrnn`.

The workflow (workflow/Snakefile) asks the plan for its jobs and commands; Snakemake does the rest.
All paths are relative to the folder of the runs, in which every command runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from adaptrnn.config import to_dict
from adaptrnn.laboratory.protocol import ANALYSES
from adaptrnn.paper.catalogue import ITEMS
from adaptrnn.paper.cost import Cost, analysis_cost, evaluation_cost, training_cost
from adaptrnn.paper.item import Item
from adaptrnn.paper.profile import PlannedRun, Profile, load_profile
from adaptrnn.perturb import Perturbation
from adaptrnn.storage import write_json

__all__ = ["Plan"]


@dataclass(frozen=True)
class Plan:
    """A plan holds the jobs of a profile.

    Args:
        profile: the profile.
        data_dir: folder of the data, absolute; None for the hub.
        backend: implementation of the recurrent layers.
    """

    profile: Profile
    data_dir: Path | None = None
    backend: str = "auto"

    @classmethod
    def of(cls, profile: str, data_dir: str = "", backend: str = "auto") -> Plan:
        """Make the plan from texts, as Snakemake's configuration has them."""
        folder = Path(data_dir).resolve() if data_dir else None
        return cls(load_profile(profile), folder, backend)

    @cached_property
    def runs(self) -> dict[str, PlannedRun]:
        """Return the networks to be trained, by name."""
        return {run.name: run for run in self.profile.runs(self.data_dir, self.backend)}

    @cached_property
    def units(self) -> dict[str, tuple[str, ...]]:
        """Return the runs that are evaluated, or analysed, in one process, by the unit's name."""
        if not self.profile.together:
            return {name: (name,) for name in self.runs}
        groups: dict[str, list[str]] = {}
        for run in self.runs.values():
            parts = (run.role, run.config.model, run.variant)
            groups.setdefault("-".join(part for part in parts if part), []).append(run.name)
        return {name: tuple(names) for name, names in groups.items()}

    def items(self, run: PlannedRun) -> list[Item]:
        """Return the figures and tables that need a run."""
        variants = {one.variant for one in self.runs.values()}
        return [
            item
            for item in ITEMS.values()
            if item.needs(run.role, run.config.model, run.variant)
            and (item.variant in variants or not item.optional)
        ]

    def conditions(self, unit: str) -> dict[str, Perturbation]:
        """Return the perturbations of a unit, each with the name that items give it."""
        found: dict[str, Perturbation] = {}
        for item in self.items(self.runs[self.units[unit][0]]):
            found |= item.conditions
        return found

    def analyses(self, unit: str) -> list[str]:
        """Return the names of the analyses of a unit."""
        items = self.items(self.runs[self.units[unit][0]])
        wanted = {name for item in items for name in item.analyses}
        return [name for name in ANALYSES if name in wanted]

    def write(self, folder: Path) -> None:
        """Write the configuration of every network, which `train` names, to a folder of runs."""
        for name, run in self.runs.items():
            write_json(folder / self._config(name), to_dict(run.config))

    def train(self, name: str) -> list[str]:
        """Return the command that trains a network."""
        return ["train", "--config", self._config(name)]

    @staticmethod
    def _config(name: str) -> str:
        return f"configs/{name}.json"

    def evaluate(self, unit: str) -> list[str]:
        """Return the command that evaluates a unit."""
        named = [f"{name}={one}" for name, one in self.conditions(unit).items()]
        return ["evaluate", *self.units[unit], "--perturb", *named]

    def analyze(self, unit: str) -> list[str]:
        """Return the command that analyses a unit."""
        effort = self.profile.roles[self.runs[self.units[unit][0]].role].effort
        more = [] if effort == 1 else ["--effort", f"{effort:g}"]
        return ["analyze", ",".join(self.analyses(unit)), *self.units[unit], *more]

    def evaluated(self) -> list[str]:
        """Return the names of the units that are evaluated."""
        return [unit for unit in self.units if self.conditions(unit)]

    def analysed(self) -> list[str]:
        """Return the names of the units that are analysed."""
        return [unit for unit in self.units if self.analyses(unit)]

    def cost(self, step: str, name: str) -> Cost:
        """Estimate processor time, memory and disk of a job.

        Args:
            step: "train", "evaluate" or "analyze".
            name: of the run or the unit.
        """
        if step == "train":
            return training_cost(self.runs[name].config)
        runs = [self.runs[one] for one in self.units[name]]
        if step == "evaluate":
            each = [evaluation_cost(run.config, len(self.conditions(name))) for run in runs]
        else:
            effort = self.profile.roles[runs[0].role].effort
            each = [analysis_cost(run.config, self.analyses(name), effort) for run in runs]
        return Cost(
            sum(cost.seconds for cost in each),
            max(cost.memory for cost in each),
            sum(cost.disk for cost in each),
        )


def adaptrnn_command(words: Sequence[str]) -> list[str]:
    """Return a command of `adaptrnn` that runs under this Python."""
    return [sys.executable, "-m", "adaptrnn.cli", *words]
