"""Analyse trained runs: each result becomes a netCDF file in the run's folder, and a picture.

RUN/analysis/NAME.nc   what the analysis found, with all that made it in its attributes
RUN/analysis/NAME.png  the picture (--draw)
"""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from adaptrnn._error import InputError, bad, choose, require
from adaptrnn.config import AnalyzeConfig, to_dict
from adaptrnn.laboratory.protocol import ANALYSES
from adaptrnn.laboratory.subject import Subject, subject_of_run
from adaptrnn.model import MODELS, OWN_MODEL
from adaptrnn.run import Run, runs_in, versions
from adaptrnn.storage import hash_file, read_dataset, write_dataset

if TYPE_CHECKING:
    import xarray as xr
    from rich.console import Console

__all__ = ["read_analysis", "run_analyze"]


def run_analyze(config: AnalyzeConfig, console: Console) -> list[Path]:
    """Analyse trained runs by the standard protocols, or list the analyses.

    A result that is there, of the same weights, seed and version, is not computed again. With "all"
    an analysis that a network cannot have is passed over, and the reason is printed.

    Args:
        config: which analysis, of which runs.
        console: where progress and the names of the files are printed.

    Returns:
        The netCDF files, also those that were already there.

    Raises:
        InputError: an unknown analysis; a folder that is not a finished run; a network without
            what a named analysis needs; a damaged file.

    Example:
        >>> from rich.console import Console
        >>> run_analyze(AnalyzeConfig(), Console(width=100))
        lyapunov ...
        []
    """
    require("xarray", "analysis")
    if config.draw:
        require("matplotlib", "paper")

    if not config.name:
        for name, analysis in ANALYSES.items():
            summary = (analysis.measure.__doc__ or "").splitlines()[0]
            console.print(f"{name:<20}{summary}", highlight=False, markup=False, soft_wrap=True)
        return []
    if config.name not in ANALYSES and os.path.isfile(Path(config.name) / "config.json"):
        example = f"adaptrnn analyze lyapunov {config.name}"
        allowed = "the name of an analysis, which comes before the runs"
        raise bad("analysis", config.name, allowed, f"For example  {example}")
    wanted = config.name.split(",")
    for name in wanted:
        choose("analysis", name, (*ANALYSES, "all"))
    runs = runs_in(config.runs)
    names = list(ANALYSES) if "all" in wanted else wanted
    for run in runs:  # what cannot work is found before any work
        for lacks in [_lacks(name, run) for name in wanted]:
            if lacks is not None:
                raise InputError(f"{run.folder}: {lacks}")
        if not run.weights_path.exists():
            raise InputError(
                f"{run.folder}: no weights yet. Train it: adaptrnn train ... --out {run.folder}"
            )
    done: list[Path] = []
    for run in runs:
        subject: Subject | None = None
        for name in names:
            lacks = _lacks(name, run)
            if lacks is not None:
                _say_skipped(console, run, name, lacks)
                continue
            path, stamp = _path(run, name), _stamp(run, config)
            data = None if config.force or not path.exists() else read_analysis(path)
            if data is not None and all(data.attrs.get(k) == v for k, v in stamp.items()):
                note = "already there"
            else:
                if subject is None:
                    subject = subject_of_run(run.on_task(config.task), config.seed, config.effort)
                try:
                    data = _measure(name, subject, console)
                except InputError as error:
                    if "all" not in wanted:
                        raise InputError(f"{run.folder}: {name}: {error}") from error
                    _say_skipped(console, run, name, error)
                    continue
                command = shlex.join(_command(dataclasses.replace(config, name=name), run))
                data = data.assign_attrs(stamp | _origin(run, command))
                write_dataset(path, data)
                note = f"{data.attrs['seconds']:.1f} s"
            console.print(f"{path} ({note})", highlight=False, markup=False, soft_wrap=True)
            if config.draw:
                picture = path.with_suffix(".png")
                from adaptrnn.laboratory.drawing import draw_to

                draw_to(picture, name, data)
                console.print(str(picture), highlight=False, markup=False, soft_wrap=True)
            done.append(path)
    return done


def read_analysis(path: Path) -> xr.Dataset:
    """Read what `adaptrnn analyze` wrote.

    Args:
        path: RUN/analysis/NAME.nc.

    Returns:
        The data set.

    Raises:
        InputError: there is no such file, or it is damaged.

    Example:
        >>> read_analysis(Path("nowhere/analysis/spectrum.nc"))
        Traceback (most recent call last):
        adaptrnn._error.InputError: nowhere/analysis/spectrum.nc: there is no such file. Run ...
    """
    if not path.exists():
        run = path.parent.parent
        raise InputError(f"{path}: there is no such file. Run  adaptrnn analyze {path.stem} {run}")
    return read_dataset(path, "Write it again with --force.")


def _path(run: Run, name: str) -> Path:
    return run.folder / "analysis" / f"{name}.nc"


def _lacks(name: str, run: Run) -> str | None:
    """Why an analysis cannot be made of a run; None if it can."""
    config = run.config()
    if name == "all":
        return None
    analysis = ANALYSES[name]
    if config.model == OWN_MODEL:
        return (
            f"{name}: the network was given in Python; analyze it there: "
            "adaptrnn.laboratory.analyze(run, task)."
        )
    model = MODELS[config.model]
    if not analysis.suits(model):
        allowed = ", ".join(analysis.models)
        return f"{name} needs a network with {analysis.needs} ({allowed}), this is {config.model}."
    if name == "transfer" and model.has_controller and config.controller_from is None:
        return (
            "transfer needs trained n and s (gamma, gamma-shared) or an arun with a transplanted "
            "controller; train one with --controller-from."
        )
    if name == "transfer" and "answers" in (run.record().get("task") or {}):
        return f"transfer turns images, and the task {config.task} has none."
    return None


def _say_skipped(console: Console, run: Run, name: str, reason: object) -> None:
    text = f"{run.folder}: {name}: skipped; {reason}"
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _measure(name: str, subject: Subject, console: Console) -> xr.Dataset:
    """The data set; its parts are shown as they begin."""
    with console.status(name) as status:
        heard = dataclasses.replace(subject, say=lambda text: status.update(f"{name}: {text}"))
        return ANALYSES[name].timed_measure(heard)


def _stamp(run: Run, config: AnalyzeConfig) -> dict[str, Any]:
    """What a kept result must agree in."""
    source = run.config().controller_from
    stamp: dict[str, Any] = {"weights_hash": hash_file(run.weights_path)}
    if source is not None and Run(source).weights_path.exists():
        stamp["donor_hash"] = hash_file(Run(source).weights_path)
    stamp |= {"analysis_seed": config.seed, "effort": float(config.effort)}
    return stamp | {"adaptrnn": versions()["adaptrnn"]}


def _origin(run: Run, command: str) -> dict[str, Any]:
    """Where a result comes from."""
    task = run.record().get("task", {})
    return {
        "command": command,
        "config": json.dumps(to_dict(run.config())),
        "versions": json.dumps(versions()),
        "split_hash": str(task.get("split_hash")),
        "permutation_hash": str(task.get("permutation_hash")),
        "threads": torch.get_num_threads(),
    }


def _command(config: AnalyzeConfig, run: Run) -> list[str]:
    words = ["adaptrnn", "analyze", config.name, str(run.folder)]
    words += ["--seed", str(config.seed)] if config.seed else []
    words += ["--task", config.task] if config.task else []
    return words + (["--effort", f"{config.effort:g}"] if config.effort != 1 else [])
