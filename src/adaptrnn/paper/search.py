"""Find the learning rate of each model of a profile by the same small search.

    python -m adaptrnn.paper.search quick
    python -m adaptrnn.paper.search laptop --data-dir DATA --rates 5e-4 2e-3 6e-3 2e-2 --seeds 1001

trains every model at each of the same peak rates, over seeds that the profile does not report, and
prints the mean validation accuracies. The test split is never looked at. The accuracies are kept in
learning-rates.parquet, to which a search of other tasks or rates is added; `adaptrnn collect` takes
the table into the results if it lies in their folder (--out), and the report draws it.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import math
import multiprocessing
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from rich.console import Console
from rich.progress import track
from rich.table import Table

from adaptrnn._error import InputError, choose
from adaptrnn.config import TrainConfig
from adaptrnn.paper.profile import Profile, load_profile
from adaptrnn.paper.store import read_about, read_alone, write_alone
from adaptrnn.run import Run, versions
from adaptrnn.training import train

__all__ = ["RATES", "SEEDS", "choose_rate", "keep_table", "search_rates"]

RATES = (5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2)
SEEDS = (1001, 1002, 1003, 1004)


def search_rates(
    profile: Profile,
    folder: Path,
    rates: tuple[float, ...] = RATES,
    seeds: tuple[int, ...] = SEEDS,
    workers: int = 2,
    data_dir: Path | None = None,
    train_options: Mapping[str, object] | None = None,
    console: Console | None = None,
) -> dict[tuple[str, str], dict[float, list[float]]]:
    """Compute the validation accuracy of every model of a profile at each peak learning rate.

    Args:
        profile: the profile; its own rates are not used.
        folder: where the runs are kept; runs that are there are not repeated.
        rates: peak learning rates.
        seeds: seeds of training.
        workers: processes, of one thread each.
        data_dir: folder of the data.
        train_options: options of `TrainConfig` instead of the profile's, e.g. fewer epochs.
        console: where progress is shown.

    Returns:
        For each task's role and model, and each rate, the validation accuracy of each seed (of the
        best epoch), NaN where training failed, for example because the loss was not finite.

    Raises:
        InputError: a training did not begin; the message has the reason.
    """
    plain = dataclasses.replace(profile, seeds=seeds, grid=None, transplant=False)
    configs: dict[tuple[str, str, float], list[TrainConfig]] = {}
    options = train_options or {}  # also in place of a model's own
    for rate in rates:
        roles = {
            name: dataclasses.replace(
                role,
                models={m: {**_own(own), **options, "lr": rate} for m, own in role.models.items()},
            )
            for name, role in plain.roles.items()
        }
        for run in dataclasses.replace(plain, roles=roles).runs(data_dir):
            config = dataclasses.replace(run.config, out=folder / f"lr{rate:g}" / run.name)
            configs.setdefault((run.role, config.model, rate), []).append(config)
    flat = [config for group in configs.values() for config in group]
    failed: dict[str, BaseException] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, torch.set_num_threads, (1,)) as pool:
        jobs = {pool.submit(train, config): str(config.folder) for config in flat}
        for job in track(as_completed(jobs), "searching", len(jobs), console=console):
            if (error := job.exception()) is not None:
                failed[jobs[job]] = error
                if console is not None:
                    console.print(f"{jobs[job]}: {error}", markup=False, highlight=False)
    for name, error in failed.items():
        if not (Path(name) / "record.json").exists():
            raise InputError(f"{name}: training ended before it began: {error}") from error
    found: dict[tuple[str, str], dict[float, list[float]]] = {}
    for (role, model, rate), group in configs.items():
        records = [Run(config.folder).record() for config in group]
        accuracies = [record.get("validation_accuracy", np.nan) for record in records]
        found.setdefault((role, model), {})[rate] = accuracies
    return found


def keep_table(
    found: Mapping[tuple[str, str], Mapping[float, Sequence[float]]],
    seeds: Sequence[int],
    folder: Path,
    about: Mapping[str, object],
) -> xr.Dataset:
    """Write the table of a search, together with what an earlier one found.

    Args:
        found: what `search_rates` gave.
        seeds: the seeds it used.
        folder: gets learning-rates.parquet, with its checksum in learning-rates.json.
        about: what else should be known of this search; it is kept for each of its tasks.

    Returns:
        accuracy (role, model, rate, seed), 0 to 1, on the validation split; NaN where training
        failed or was not tried.
    """
    parts = [
        xr.Dataset(
            {"accuracy": (("role", "model", "rate", "seed"), [[[list(values)]]])},
            {"role": [role], "model": [model], "rate": [rate], "seed": list(seeds)},
        )
        for (role, model), by_rate in found.items()
        for rate, values in by_rate.items()
    ]
    path = folder / "learning-rates.parquet"
    before = read_alone(path)
    known = parts if before is None else [*parts, before]
    # the first that has a number counts: what was found now before what was known
    table = functools.reduce(lambda one, other: one.combine_first(other), known)
    searches = {} if before is None else read_about(path)["searches"]
    searches |= {role: dict(about) for role, _ in found}
    folder.mkdir(parents=True, exist_ok=True)
    write_alone(path, table, {"searches": searches})
    return table


def _own(options: Mapping[str, object]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in ("lr", "seeds")}


def choose_rate(means: Mapping[float, float], within: float = 0.0) -> float:
    """Return the smallest rate whose mean validation accuracy is nearly the best.

    Args:
        means: mean validation accuracy (0 to 1) of each rate; NaN where training failed.
        within: how much worse than the best is as good.

    Returns:
        The rate; NaN if training failed at every one.

    Example:
        >>> choose_rate({0.001: 0.80, 0.002: 0.90, 0.006: 0.905, 0.02: float("nan")}, within=0.01)
        0.002
    """
    trained = {rate: mean for rate, mean in means.items() if not math.isnan(mean)}
    best = max(trained.values(), default=math.nan)
    return min((rate for rate in trained if trained[rate] >= best - within), default=math.nan)


def main(arguments: list[str]) -> int:
    """Run the search for the profile that is named and print the table."""
    parser = argparse.ArgumentParser(prog="python -m adaptrnn.paper.search", description=__doc__)
    parser.add_argument("profile", nargs="?", default="quick")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--roles", nargs="+", help="tasks of the profile; default all of them")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--epochs", type=int, help="instead of the profile's")
    parser.add_argument("--train-size", type=int, help="instead of the profile's")
    parser.add_argument("--within", type=float, default=0.0, help="accuracy that is as good")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, help="folder of the table; default that of the runs")
    given = parser.parse_args(arguments)
    console = Console()
    try:
        profile = load_profile(given.profile)
        for name in given.roles or ():
            choose("--roles", name, profile.roles)
    except InputError as error:
        parser.error(str(error))
    kept = {name: profile.roles[name] for name in given.roles or profile.roles}
    profile = dataclasses.replace(profile, roles=kept, grid=None, transplant=False)
    options = {"epochs": given.epochs, "train_size": given.train_size}
    folder = Path("runs") / f"search-{profile.name}"
    found = search_rates(
        profile,
        folder,
        tuple(given.rates),
        tuple(given.seeds),
        given.workers,
        given.data_dir,
        {name: value for name, value in options.items() if value is not None},
        console,
    )
    about = {"profile": profile.name, "options": options, "seeds": list(given.seeds)}
    keep_table(found, given.seeds, given.out or folder, {**about, "versions": versions()})
    table = Table("task", "model", *(f"{rate:g}" for rate in given.rates), "chosen")
    for (role, model), accuracies in found.items():
        means = {rate: float(np.mean(values)) for rate, values in accuracies.items()}
        shown = (f"{mean:.1%}" for mean in means.values())
        table.add_row(role, model, *shown, f"{choose_rate(means, given.within):g}")
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
