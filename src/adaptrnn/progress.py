"""Show jobs, accuracies so far, and the time left while `adaptrnn reproduce` runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from adaptrnn._error import InputError
from adaptrnn.figure.style import label_of
from adaptrnn.paper.plan import Plan
from adaptrnn.preset import preset_of
from adaptrnn.run import Run

__all__ = ["Board", "duration"]

STEPS = ("train", "evaluate", "analyze")
PRIOR = 30.0
"""Seconds for which the estimate of the plan is believed before any job has ended."""


@dataclass
class Board:
    """A board shows the jobs of a plan while they run.

    Args:
        plan: the plan.
        folder: of the runs.
        cores: jobs at a time.
        now: gives the time, in seconds.
    """

    plan: Plan
    folder: Path
    cores: int
    now: Callable[[], float] = time.monotonic
    done: int = 0
    total: int = 0
    _running: dict[str, float] = field(default_factory=dict)
    _estimated: float = PRIOR
    _measured: float = PRIOR

    def __post_init__(self) -> None:
        names = {"train": list(self.plan.runs)}
        names |= {"evaluate": self.plan.evaluated(), "analyze": self.plan.analysed()}
        self._cost = {
            f"{step} {name}": self.plan.cost(step, name).seconds
            for step in STEPS
            for name in names[step]
        }
        self._cost |= {"collect": 5 + 0.2 * len(self.plan.runs), "report": 60.0}
        self._waiting = {
            job: seconds
            for job, seconds in self._cost.items()
            if not (self.folder / "done" / job.replace(" ", "/")).exists()
        }

    def start(self, job: str) -> None:
        """Note that a job has started."""
        self._running[job] = self.now()

    def end(self, job: str, failed: bool = False) -> str:
        """Note that a job has ended.

        Args:
            job: its name.
            failed: whether without success; then nothing is learned of the time that jobs take.

        Returns:
            A line: how many are done, the job, what came out and what is left.
        """
        begin = self._running.pop(job, None)
        cost = self._waiting.pop(job, None)
        words = [self._score(job)] if self._score(job) else []
        if begin is not None:
            seconds = self.now() - begin
            words.append(duration(seconds))
            if cost is not None and not failed:
                self._estimated += cost
                self._measured += seconds
        more = f": {', '.join(words)}" if words else ""
        left = f"; about {duration(self.left())} left" if self._waiting else ""
        return f"{self.done:>4}/{self.total} {job}{more}{left}"

    def left(self) -> float:
        """Return the seconds until all is done: the plan's estimate, scaled by the jobs so far."""
        pace = self._measured / self._estimated
        each = {}
        for job, cost in list(self._waiting.items()):  # another thread asks too
            spent = self.now() - self._running[job] if job in self._running else 0.0
            each[job] = max(cost * pace - spent, 0.05 * cost * pace)
        last = sum(each.pop(job, 0.0) for job in ("collect", "report"))
        return max(sum(each.values()) / self.cores, max(each.values(), default=0.0)) + last

    def table(self) -> Group:
        """Return the table of the jobs that run, and a line on all jobs."""
        table = Table("job", "task", "model", "seed", "epoch", "accuracy so far", "time", box=None)
        for job, begin in list(self._running.items()):
            step, _, name = job.partition(" ")
            task, model, seed = self._what(name)
            epoch, score = self._learned(job)
            table.add_row(step, task, model, seed, epoch, score, duration(self.now() - begin))
        if not self.total:
            return Group(table, Text("Snakemake reads the plan."))
        left = f"about {duration(self.left())} left" if self._waiting else "nothing left"
        return Group(table, Text(f"{self.done} of {self.total} jobs done, {left}."))

    def _what(self, name: str) -> tuple[str, str, str]:
        """Task, model and seed of a run, or of the runs of a unit, in words."""
        members = self.plan.units.get(name, (name,)) if name not in self.plan.runs else (name,)
        if not name or members[0] not in self.plan.runs:
            return "", "", ""
        run = self.plan.runs[members[0]]
        seed = str(run.config.seed) if len(members) == 1 else f"{len(members)} networks"
        model = label_of(run.config.model)
        variant = f", {run.variant}" if run.variant else ""
        return preset_of(run.config.task).label, model + variant, seed

    def _learned(self, job: str) -> tuple[str, str]:
        """Epoch, and best validation accuracy or least error so far, of a training."""
        step, _, name = job.partition(" ")
        if step != "train" or name not in self.plan.runs:
            return "", ""
        epochs = self.plan.runs[name].config.epochs
        try:
            rows = Run(self.folder / name).metrics()
        except InputError:  # no epoch has ended
            return f"0/{epochs}", ""
        if "validation_error" in rows:
            return f"{len(rows)}/{epochs}", f"error {rows.validation_error.min():.4g}"
        return f"{len(rows)}/{epochs}", f"{rows.validation_accuracy.max():.1%}"

    def _score(self, job: str) -> str:
        score = self._learned(job)[1]
        return score if not score or score.startswith("error") else f"accuracy {score}"


def duration(seconds: float) -> str:
    """Return a duration in a few words.

    Example:
        >>> duration(8.2), duration(95.0), duration(7300.0)
        ('8 s', '1 min 35 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
