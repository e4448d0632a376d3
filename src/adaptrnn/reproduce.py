"""The paper from one command: train, evaluate, measure, draw, judge, report."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from adaptrnn._error import bad, choose
from adaptrnn.config import TrainConfig

if TYPE_CHECKING:
    from rich.console import Console

    from adaptrnn.paper.jobs import Job, Outcome

__all__ = ["FigureConfig", "ReproduceConfig", "figure", "reproduce"]


@dataclass(frozen=True)
class ReproduceConfig:
    """Which part of the paper is reproduced, and where to."""

    profile: str = "quick"
    """quick (bundled digits, minutes), or a YAML file of the same form."""
    out: Path | None = None
    """Folder of the runs; default runs/PROFILE. What is there already is not done again."""
    report: Path = Path("report")
    """Folder of the report: index.html, figures/ (svg, pdf) and data/ (csv)."""
    workers: int | None = None
    """Processes that train at a time, one thread each; default: one for each processor."""
    backend: str = "auto"
    """Implementation of the recurrent layers: auto takes the fastest that can."""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise bad("workers", self.workers, "an integer >= 1")

    @property
    def folder(self) -> Path:
        """Where the runs are kept."""
        return Path("runs") / Path(self.profile).stem if self.out is None else self.out


@dataclass(frozen=True)
class FigureConfig:
    """Which figure is drawn, of which runs."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")] = ""
    """Name of the figure; without one the names are listed."""
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN...")] = ()
    """Folders of trained runs; those of models that the figure does not show are passed over."""
    out: Path | None = None
    """File to write, .svg, .pdf or .png; default NAME.png."""
    dark: bool = False
    """For a dark page."""


def figure(config: FigureConfig, console: Console) -> Path | None:
    """Draw one figure of the paper, or list the figures.

    Args:
        config: which figure, of which runs.
        console: where the list or the name of the file is printed.

    Returns:
        The file; None if the figures were listed.

    Raises:
        InputError: an unknown figure or format; runs that are needed are missing or unusable.

    Example:
        >>> from rich.console import Console
        >>> figure(FigureConfig(), Console(width=100))
        fig1-gamma ...
    """
    from adaptrnn._error import require

    require("matplotlib", "paper")
    from adaptrnn.figure.style import FORMATS, render
    from adaptrnn.paper.catalogue import ITEMS
    from adaptrnn.paper.item import collect
    from adaptrnn.run import Run, write_atomic

    if not config.name:
        for item in ITEMS.values():
            needs = f"runs of {', '.join(item.models)}" if item.models else "no runs"
            console.print(f"{item.name:<20}{item.title}; needs {needs}", highlight=False)
        return None
    item = ITEMS[choose("figure", config.name, ITEMS)]
    path = Path(f"{item.name}.png") if config.out is None else config.out
    format = choose("format", path.suffix.lstrip(".").lower(), FORMATS)
    runs = [Run(folder) for folder in config.runs]
    data = collect(item, runs)
    if data is None:
        advice = f"Give folders that `adaptrnn train` made with --model {item.models[0]}."
        shown = [str(folder) for folder in config.runs]
        raise bad("runs", shown, f"runs of {', '.join(item.models)}", advice)
    write_atomic(path, render(item.draw, data, format, config.dark))
    console.print(str(path), highlight=False, soft_wrap=True)
    return path


def reproduce(config: ReproduceConfig, console: Console) -> Path:
    """Train all networks of a profile, measure them, and write the report.

    Started again, it goes on where it was: finished runs and measures are not repeated, a run that
    was cut off goes on from its checkpoint.

    Args:
        config: what to reproduce.
        console: where progress is shown.

    Returns:
        The report, index.html.

    Raises:
        InputError: an unknown profile, an option in it that is wrong.
        RuntimeError: a job failed. All others were done and the report says what is missing.
    """
    from adaptrnn._error import require

    for module in ("matplotlib", "jinja2", "xarray", "pytorch_lightning"):
        require(module, "paper")
    from adaptrnn.paper.jobs import Job, processors
    from adaptrnn.paper.profile import load_profile
    from adaptrnn.report.page import write_report
    from adaptrnn.run import load_task

    begin = time.monotonic()
    profile = load_profile(config.profile)
    configs = [
        dataclasses.replace(c, backend=config.backend) for c in profile.configs(config.folder)
    ]
    load_task(configs[0])  # decoded once, before the workers all do it
    workers = min(config.workers or processors(), len(configs))
    console.print(
        f"Profile {profile.name}: {profile.summary}. {len(configs)} networks, {workers} at a time, "
        f"kept in {config.folder}.",
        highlight=False,
    )
    longest_first = sorted(configs, key=_cost, reverse=True)
    jobs = [Job(c.folder.name, train_and_measure, (c,)) for c in longest_first]
    failures = _run(jobs, workers, console)
    path = write_report(
        profile,
        configs,
        config.report,
        failures={outcome.job.name: outcome.error for outcome in failures},
        seconds=lambda: time.monotonic() - begin,
        command=_command(config),
        console=console,
    )
    console.print(f"Report: {path} ({time.monotonic() - begin:.0f} s)", highlight=False)
    if failures:
        names = ", ".join(outcome.job.name for outcome in failures)
        raise RuntimeError(
            f"{len(failures)} of {len(jobs)} jobs failed: {names}. The report was made of the "
            "others; the same command tries these again."
        )
    return path


def train_and_measure(config: TrainConfig) -> None:
    """One job: train a network, then measure all that figures and tables need of it.

    Args:
        config: the run.
    """
    from adaptrnn.paper.catalogue import ITEMS
    from adaptrnn.paper.item import measured
    from adaptrnn.training import train

    run = train(config)
    for item in ITEMS.values():
        if config.model in item.models:
            measured(item, run)


# seconds of an epoch relative to each other, for the order of jobs and the time left
_COST = {"arun": 3.0, "gamma": 3.0, "gamma-shared": 3.0, "gru": 1.5}


def _cost(config: TrainConfig) -> float:
    return config.epochs * _COST.get(config.model, 1.0)


def _run(jobs: Sequence[Job], workers: int, console: Console) -> list[Outcome]:
    """Run the jobs with one bar over all of them; print each as it ends; give the failures."""
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from adaptrnn.paper.jobs import run_jobs

    failures: list[Outcome] = []
    running: dict[str, Job] = {}
    done = 0.0
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f}%"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[running]}"),
        console=console,
        transient=True,
        speed_estimate_period=300,
        disable=not console.is_terminal,
    )
    with progress:
        bar = progress.add_task(
            f"0/{len(jobs)} networks",
            total=sum(_cost(job.arguments[0]) for job in jobs),
            running="",
        )
        ended = 0
        for outcome in run_jobs(jobs, workers):
            if outcome is not None and outcome.state == "started":
                running[outcome.job.name] = outcome.job
            elif outcome is not None:
                del running[outcome.job.name]
                ended += 1
                done += _cost(outcome.job.arguments[0])
                if outcome.state == "failed":
                    failures.append(outcome)
                console.print(_line(outcome, ended, len(jobs)), markup=False, highlight=False)
            progress.update(
                bar,
                completed=done + sum(_done(job) for job in running.values()),
                description=f"{ended}/{len(jobs)} networks",
                running=", ".join(running),
            )
    return failures


def _done(job: Job) -> float:
    """Cost of the epochs that a job has behind it, read from its run's folder."""
    from pyarrow import parquet

    from adaptrnn.run import Run

    config = job.arguments[0]
    try:
        epochs = parquet.read_metadata(Run(config.folder).metrics_path).num_rows
    except (OSError, ValueError):  # not there yet
        return 0.0
    return _cost(config) * min(1.0, epochs / config.epochs)


def _line(outcome: Outcome, ended: int, total: int) -> str:
    from adaptrnn.run import Run

    head = f"{ended:>3}/{total} {outcome.job.name:<30}"
    if outcome.state == "failed":
        return f"{head}failed: {outcome.error}"
    record = Run(outcome.job.arguments[0].folder).record()
    accuracy, seconds = record["validation_accuracy"], record["seconds"]
    return f"{head}validation accuracy {accuracy:.1%}, {seconds:.0f} s of training"


def _command(config: ReproduceConfig) -> str:
    """The command line of a configuration."""
    words = ["adaptrnn reproduce"]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value != field.default or field.name == "profile":
            words.append(f"--{field.name} {value}")
    return " ".join(words)
