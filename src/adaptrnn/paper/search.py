"""The learning rate of each model of a profile: the same small search for each.

    python -m adaptrnn.paper.search quick

trains every model at each of the same peak rates for the profile's budget, over seeds that the
profile does not report, and prints the mean validation accuracies; the best goes into the profile.
The test split is never looked at.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from adaptrnn.config import TrainConfig
from adaptrnn.paper.jobs import Job, processors, run_jobs
from adaptrnn.paper.profile import Profile, load_profile
from adaptrnn.run import Run
from adaptrnn.training import train

__all__ = ["RATES", "SEEDS", "search"]

RATES = (5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2)
SEEDS = (1001, 1002, 1003, 1004)


def search(
    profile: Profile,
    folder: Path,
    rates: tuple[float, ...] = RATES,
    seeds: tuple[int, ...] = SEEDS,
    workers: int | None = None,
    console: Console | None = None,
) -> dict[str, dict[float, list[float]]]:
    """Validation accuracy of every model of a profile at each peak learning rate.

    Args:
        profile: the profile; its own rates are not used.
        folder: where the runs are kept; runs that are there are not repeated.
        rates: peak learning rates.
        seeds: seeds of training.
        workers: processes; default: one for each processor.
        console: where progress is shown.

    Returns:
        For each model and rate the validation accuracy of each seed (of the best epoch), NaN where
        training failed, for example because the loss was not finite.
    """
    configs: dict[tuple[str, float], list[TrainConfig]] = {}
    for rate in rates:
        models = {name: {**own, "lr": rate} for name, own in profile.models.items()}
        for config in dataclasses.replace(profile, seeds=seeds, models=models).configs(
            folder / f"lr{rate:g}"
        ):
            configs.setdefault((config.model, rate), []).append(config)
    flat = [config for group in configs.values() for config in group]
    jobs = [Job(str(config.folder), train, (config,)) for config in flat]
    news = (n for n in run_jobs(jobs, workers or processors()) if n and n.state != "started")
    for outcome in track(news, "searching", len(jobs), console=console, disable=console is None):
        if outcome.error and console is not None:
            console.print(f"{outcome.job.name}: {outcome.error}", markup=False, highlight=False)
    found: dict[str, dict[float, list[float]]] = {}
    for (model, rate), group in configs.items():
        records = [Run(config.folder).record() for config in group]
        accuracies = [record.get("validation_accuracy", np.nan) for record in records]
        found.setdefault(model, {})[rate] = accuracies
    return found


def main(arguments: list[str]) -> int:
    """Search for the profile that is named and print the table."""
    console, name = Console(), arguments[0] if arguments else "quick"
    profile = load_profile(name)
    found = search(profile, Path("runs") / f"search-{profile.name}", console=console)
    table = Table("model", *(f"{rate:g}" for rate in RATES), "best")
    for model, accuracies in found.items():
        means = {rate: float(np.mean(values)) for rate, values in accuracies.items()}
        best = max((rate for rate in means if np.isfinite(means[rate])), key=lambda r: means[r])
        table.add_row(model, *(f"{mean:.1%}" for mean in means.values()), f"{best:g}")
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
