"""Turn trained, evaluated and analysed runs into the tables that figures and verdicts need."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import xarray as xr

from adaptrnn.kernels.native import processor
from adaptrnn.paper.catalogue import ITEMS
from adaptrnn.paper.item import Item, combine, read_runs
from adaptrnn.paper.plan import Plan
from adaptrnn.paper.profile import PlannedRun
from adaptrnn.paper.store import read_alone, write_results
from adaptrnn.run import Run, versions

__all__ = ["collect_results"]


def collect_results(
    plan: Plan,
    folder: Path,
    out: Path,
    facts: Mapping[str, object] | None = None,
    items: Mapping[str, Item] = ITEMS,
) -> dict[str, str]:
    """Measure every item of the paper on the runs of a plan and write the tables.

    Args:
        plan: the plan.
        folder: of the runs.
        out: folder of the results, see `adaptrnn.paper.store`.
        facts: what else the manifest should say.
        items: the figures and tables by name; by default all of the paper.

    Returns:
        What is missing, with the reason: runs that have not finished, items that failed.
    """
    missing: dict[str, str] = {}
    runs: list[tuple[PlannedRun, Run]] = []
    untrained: Counter[str] = Counter()
    for name, planned in plan.runs.items():
        run = Run(folder / name)
        if _finished(run):
            runs.append((planned, run))
        else:
            untrained[f"{planned.role} {planned.config.model} {planned.variant}".strip()] += 1
    for kind, count in untrained.items():
        missing[kind] = f"{count} network{'s' if count > 1 else ''} not trained"
    found = {}
    for name, item in items.items():
        wanted = set(item.roles) & set(plan.profile.roles)
        if item.made_by:
            alone = _alone(name, (out, folder))
            if alone is not None:
                found[name] = alone
            continue
        if item.optional and not any(
            item.variant == planned.variant for planned in plan.runs.values()
        ):
            continue
        if item.roles and not wanted:
            missing[name] = f"needs {', '.join(item.roles)}, which the profile does not have"
            continue
        try:
            known = [(planned.role, planned.variant, run) for planned, run in runs]
            data = combine(item, read_runs(item, known))
        except Exception as error:  # one figure must not take the others with it
            reason = str(error).replace(f"{folder}{os.sep}", "")  # results go to other machines
            missing[name] = f"{type(error).__name__}: {reason}"
            continue
        if data is None:
            missing[name] = "none of the runs that it needs is there"
        else:
            found[name] = data
    rows = pd.DataFrame([_row(planned, run) for planned, run in runs], columns=list(_COLUMNS))
    manifest = {
        "profile": plan.profile.name,
        "summary": plan.profile.summary,
        "hidden_size": plan.profile.hidden_size,
        "controller_size": plan.profile.controller_size,
        "versions": versions(),
        "commits": _commits([run for _, run in runs]),
        "machines": _machines([run for _, run in runs]),
        "hardware": runs[0][1].record()["hardware"] if runs else {},
        "processor": _processor(),
        "missing": missing,
        "jobs": _jobs(folder),
        **(facts or {}),
    }
    write_results(out, found, rows, manifest)
    return missing


def _commits(runs: Sequence[Run]) -> dict[str, int]:
    """How many networks were trained with which commit of adaptrnn."""
    known = Counter(run.record()["versions"].get("commit", "not recorded") for run in runs)
    return dict(sorted(known.items()))


def _machines(runs: Sequence[Run]) -> dict[str, int]:
    """How many networks were trained on which kind of machine."""
    known = Counter(_machine(run.record()["hardware"]) for run in runs)
    return dict(sorted(known.items()))


def _machine(hardware: Mapping[str, Any]) -> str:
    """A machine in words; records before this version name neither the processor nor the GPU."""
    name = hardware.get("processor") or f"{hardware['system']} {hardware['machine']}"
    words = f"{name}, {hardware['processors']} processors"
    gpu = hardware.get("gpu") or "GPU"
    return f"{words}, {hardware['gpus']} {gpu}" if hardware["gpus"] else words


def _alone(name: str, folders: Sequence[Path]) -> xr.Dataset | None:
    """A table that another command wrote, from the first folder that has it."""
    for folder in folders:
        data = read_alone(folder / f"{name}.parquet")
        if data is not None:
            return data
    return None


def _finished(run: Run) -> bool:
    try:
        return bool(run.record()["state"] == "finished")
    except (ValueError, KeyError):  # never started
        return False


_COLUMNS = (
    *("name", "role", "variant", "model", "seed", "task", "source", "images_train"),
    *("images_validation", "images_test", "steps", "permuted", "split_hash", "permutation_hash"),
    *("hidden_size", "parameters", "learning_rate", "epochs", "batch_size", "schedule", "clip"),
    *("validation_accuracy", "seconds"),
)


def _row(planned: PlannedRun, run: Run) -> dict[str, Any]:
    """What stands in runs.parquet of one run."""
    config, record = run.config(), run.record()
    task = record["task"]
    return {
        "name": planned.name,
        "role": planned.role,
        "variant": planned.variant,
        "model": config.model,
        "seed": config.seed,
        "task": config.task,
        "source": task["source"],
        "images_train": task["train_size"],
        "images_validation": task["validation_size"],
        "images_test": task["test_size"],
        "steps": task["sequence_length"] or 0,
        "permuted": bool(task["permuted"]),
        "split_hash": task["split_hash"],
        "permutation_hash": task["permutation_hash"] or "",
        "hidden_size": record["hidden_size"],
        "parameters": record["parameters"],
        "learning_rate": config.learning_rate,
        "epochs": config.epochs,
        "batch_size": config.batch_size,
        "schedule": config.schedule,
        "clip": config.clip or float("nan"),
        "validation_accuracy": record["validation_accuracy"],
        "seconds": record["seconds"],
    }


def _jobs(folder: Path) -> dict[str, dict[str, float]]:
    """Number, seconds and greatest memory of the jobs of each step, as Snakemake measured them."""
    found = {}
    for step in ("train", "evaluate", "analyze"):
        tables: Sequence[pd.DataFrame] = [
            pd.read_csv(path, sep="\t", na_values="-")
            for path in sorted((folder / "cost" / step).glob("*.tsv"))
        ]
        if tables:
            whole = pd.concat(tables)
            found[step] = {
                "jobs": len(tables),
                "seconds": round(float(whole["s"].sum()), 1),
                "memory_mb": round(float(whole["max_rss"].max()), 0),
            }
    files = [path for path in folder.rglob("*") if path.is_file() and ".snakemake" not in str(path)]
    size = sum(path.stat().st_size for path in files) / 1e6
    return {**found, "disk": {"files": len(files), "megabytes": round(size, 1)}}


def _processor() -> dict[str, Any]:
    """Name, cores and memory of this machine's processor."""
    memory = round(psutil.virtual_memory().total / 2**30, 1)
    return {"name": processor(), "cores": psutil.cpu_count() or 0, "memory_gb": memory}
