"""One command reproduces the paper: Snakemake runs a workflow, then come tables and report."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from adaptrnn._error import InputError, bad, choose, require
from adaptrnn._parent import VARIABLE
from adaptrnn.config import (
    AnalyzeConfig,
    CollectConfig,
    FigureConfig,
    ReportConfig,
    ReproduceConfig,
)
from adaptrnn.evaluation import evaluate_run
from adaptrnn.figure.style import FORMATS, render
from adaptrnn.laboratory.command import run_analyze
from adaptrnn.lock import locked
from adaptrnn.paper.catalogue import ITEMS
from adaptrnn.paper.collect import collect_results
from adaptrnn.paper.cost import hours
from adaptrnn.paper.item import ROLES, combine, read_runs
from adaptrnn.paper.plan import Plan
from adaptrnn.paper.profile import PlannedRun
from adaptrnn.progress import Board
from adaptrnn.report.markdown import write_docs
from adaptrnn.report.page import write_report
from adaptrnn.report.summary import summary_lines
from adaptrnn.run import Run, load_task
from adaptrnn.storage import read_json, write_atomic, write_json

__all__ = ["run_collect", "run_figure", "run_report", "run_reproduce"]

SNAKEFILE = Path(__file__).parent / "workflow" / "Snakefile"


def run_figure(config: FigureConfig, console: Console) -> Path | None:
    """Draw one figure of the paper, or list the figures.

    What the figure needs of the runs, evaluations and analyses, is made where it is missing.

    Args:
        config: which figure, of which runs.
        console: where the list or the name of the file is printed.

    Returns:
        The file; None if the figures were listed.

    Raises:
        InputError: an unknown figure or format; runs that are needed are missing or unusable.

    Example:
        >>> from rich.console import Console
        >>> run_figure(FigureConfig(), Console(width=100))
        table1 ...
    """
    if not config.name:
        for item in ITEMS.values():
            kind = _KINDS[item.variant]
            needs = f"{kind} of {', '.join(item.models)}" if item.roles else "no runs"
            console.print(
                f"{item.name:<22}{item.title}; needs {needs}", highlight=False, soft_wrap=True
            )
        return None
    item = ITEMS[choose("figure", config.name, ITEMS)]
    path = Path(f"{item.name}.png") if config.out is None else config.out
    if config.out is None and path.exists():
        raise InputError(
            f"{path}: the file already exists. Choose another file, or overwrite it, by --out."
        )
    format = choose("format", path.suffix.lstrip(".").lower(), FORMATS)
    found = [(*_part(run), run) for run in map(Run, config.runs)]
    wanted = [one for one in found if item.needs(one[0], one[2].config().model, one[1])]
    if item.roles and not wanted:
        advice = f"Give folders that `adaptrnn train` made with --model {item.models[0]}."
        shown = [str(folder) for folder in config.runs]
        raise bad("runs", shown, f"runs of {', '.join(item.models)}", advice)
    for *_, run in wanted if item.conditions else []:
        with console.status(f"evaluating {run.folder}"):
            evaluate_run(run, item.conditions)
    for name in item.analyses:
        run_analyze(AnalyzeConfig(name, tuple(run.folder for *_, run in wanted)), console)
    data = combine(item, read_runs(item, wanted))
    assert data is not None  # there are runs, or none is needed
    write_atomic(path, render(item.draw, data, format, config.dark))
    console.print(str(path), highlight=False, soft_wrap=True)
    return path


_KINDS = {
    "": "runs",
    "grid": "runs of a grid",
    "transplant": "transplants",
    "initial": "runs from other initial matrices",
    "ladder": "runs of other sizes",
}


def _part(run: Run) -> tuple[str, str]:
    """Role and variant of a run that is compared with no other."""
    config = run.config()
    role = config.task if config.task in ROLES else ROLES[0]
    if config.controller_from is not None:
        return role, "transplant"
    if config.recurrent_init != "henaff":
        return role, "initial"
    fixed = config.model == "gamma-shared" and config.initial_gain not in ("paper", "code")
    return role, "grid" if fixed else ""


def run_collect(config: CollectConfig, console: Console) -> Path:
    """Measure every figure and table on finished runs and write the tables.

    Args:
        config: of which profile, from where to where.
        console: where it is said what is missing.

    Returns:
        The folder of the results.
    """
    plan = Plan.of(config.profile, str(config.data_dir or ""))
    folder = config.runs or Path("runs") / plan.profile.name
    out = config.out or folder / "results"
    for name, reason in collect_results(plan, folder, out, _sittings(folder)).items():
        console.print(f"missing: {name}: {reason}", markup=False, highlight=False, soft_wrap=True)
    console.print(str(out), highlight=False, soft_wrap=True)
    return out


def run_report(config: ReportConfig, console: Console) -> Path:
    """Draw, judge and write the report of collected results, and the pages of the documentation.

    Args:
        config: of which results, where to.
        console: where progress is shown.

    Returns:
        The report, index.html.
    """
    begin = time.monotonic()
    path = write_report(config.results, config.out, console)
    if config.docs is not None:
        write_docs(config.results, config.docs)
    console.print(f"Report written in {time.monotonic() - begin:.0f} s.", highlight=False)
    _say(summary_lines(config.out), console)
    return path


def _say(lines: Iterable[str], console: Console) -> None:
    """Print lines as they are."""
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def run_reproduce(config: ReproduceConfig, console: Console) -> Path | None:
    """Train all networks of a profile, evaluate and analyse them, and write the report.

    Started again, it resumes: what is finished is not repeated, and a run that was cut off resumes
    from its checkpoint.

    Args:
        config: what to reproduce.
        console: where progress is shown.

    Returns:
        The report, index.html; None after a dry run.

    Raises:
        InputError: an unknown profile, an option in it that is wrong, or another process that works
            in the same folder.
        RuntimeError: a job failed. All others were done and the report says what is missing.
    """
    if config.from_results is not None:
        return run_report(ReportConfig(config.from_results, config.report), console)
    for module in ("pytorch_lightning", "snakemake"):  # which the jobs need
        require(module, "paper")
    plan = Plan.of(config.profile, str(config.data_dir or ""), config.backend)
    if config.dry_run:
        _show(plan, config, console)
        return None
    cores = config.cores or _processors()
    console.print(
        f"Profile {plan.profile.name}: {plan.profile.summary}. {len(plan.runs)} networks, {cores} "
        f"jobs at a time, all kept in {config.folder}.",
        highlight=False,
    )
    with locked(config.folder, "reproducing the paper there"):
        _begin(config)
        _once(plan, console)
        failed = _snakemake(plan, config, cores, console)
        if failed:
            run_collect(
                CollectConfig(config.profile, config.folder, None, config.data_dir), console
            )
            run_report(ReportConfig(config.folder / "results", config.report), console)
    path = config.report / "index.html"
    if failed:
        raise RuntimeError(
            f"{len(failed)} jobs failed: {'; '.join(failed)}. The report was made of the others; "
            "the same command tries these jobs again."
        )
    _say(summary_lines(config.report), console)
    return path


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin(config: ReproduceConfig) -> None:
    """Note in the folder when, and by which command, work on it began."""
    path = config.folder / "sittings.json"
    kept = read_json(path) if path.exists() else []
    write_json(path, [*kept, {"begin": time.time(), "command": _command(config)}])


def _sittings(folder: Path) -> dict[str, object]:
    """What the manifest says of the sittings: wall time is known where there was one."""
    path = folder / "sittings.json"
    if not path.exists():
        return {}
    kept = read_json(path)
    found: dict[str, object] = {"sittings": len(kept), "command": kept[-1]["command"]}
    if len(kept) == 1:
        found["wall_seconds"] = round(time.time() - kept[0]["begin"], 1)
    return found


def _once(plan: Plan, console: Console) -> None:
    """Decode each data set once, before several jobs would do it at the same time."""
    for role in plan.profile.roles:
        first = next(run for run in plan.runs.values() if run.role == role)
        with console.status(f"reading the data for {role}"):
            load_task(first.config)


def _snakemake(plan: Plan, config: ReproduceConfig, cores: int, console: Console) -> list[str]:
    """Run the workflow with a live table of its jobs; give the jobs that failed."""
    profile = config.profile
    if profile.endswith((".yaml", ".yml")):
        profile = str(Path(profile).resolve())
    settings = {"profile": profile, "report": str(config.report.resolve())}
    settings["backend"] = config.backend
    if config.data_dir is not None:
        settings["data_dir"] = str(config.data_dir.resolve())
    words = [sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE)]
    words += ["--directory", str(config.folder), "--cores", str(cores), "--keep-going"]
    # the folder is locked by this process, and an interrupted job resumes from what it kept
    words += ["--nolock", "--rerun-incomplete"]
    words += ["--config", *(f"{key}={value}" for key, value in settings.items())]
    words += shlex.split(config.snakemake)
    board = Board(plan, config.folder, cores)
    live: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
    if console.is_terminal:
        live = Live(
            console=console, get_renderable=board.table, refresh_per_second=2, transient=True
        )
    failed: dict[str, str] = {}
    log: list[str] = []
    process = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, VARIABLE: "1"},
    )
    try:
        with live:
            for job, state, board.done, board.total in _events(process, log):
                if state == "started":
                    board.start(job)
                    continue
                line = board.end(job, state == "failed")
                if state == "failed":
                    failed[job] = _reason(config.folder, job)
                    line += f"; failed: {failed[job]}"
                _say([line], console)
    except BaseException:
        # Ctrl-C reached Snakemake too; it is given a moment to end its jobs
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1.5)
        process.kill()  # its jobs end with it
        process.wait()
        raise
    finally:
        if process.stdout is not None:
            process.stdout.close()
    if process.wait() and not failed:
        tail = "\n".join(log[-15:])
        raise RuntimeError(f"Snakemake ended with code {process.returncode}:\n{tail}")
    return [f"{job} ({reason})" for job, reason in failed.items()]


def _events(process: subprocess.Popen[str], log: list[str]) -> Iterator[tuple[str, str, int, int]]:
    """Job, state ("started", "done", "failed"), jobs done and jobs in all, as Snakemake says."""
    names: dict[str, str] = {}
    rule, number, failing, done, total, finished = "", "", False, 0, 0, ""
    assert process.stdout is not None
    for line in process.stdout:
        text = line.strip()
        log.append(line.rstrip())
        if match := re.match(r"(Error in |local)?rule (\w+):$", text):
            rule, failing = match[2], match[1] == "Error in "
        elif match := re.match(r"jobid: (\d+)$", text):
            number = match[1]
            names.setdefault(number, rule)
            if rule in ("collect", "report") and not failing:
                yield rule, "started", done, total
            if failing:
                failing = False
                yield names[number], "failed", done, total
        elif match := re.match(r"wildcards: name=(.+)$", text):
            names[number] = f"{rule} {match[1]}"
            yield names[number], "started", done, total
        elif match := re.match(r"Finished jobid: (\d+)", text):
            finished = names.get(match[1], "")
        elif match := re.match(r"(\d+) of (\d+) steps", text):
            done, total = int(match[1]), int(match[2])
            if finished not in ("", "all"):
                yield finished, "done", done, total


def _reason(folder: Path, job: str) -> str:
    """The last line of a job's log."""
    path = folder / "logs" / f"{job.replace(' ', '/')}.log"
    try:
        lines = [line.strip() for line in path.read_text(errors="replace").splitlines()]
    except OSError:
        return f"no log at {path}"
    said = " ".join(line for line in lines[-6:] if line)
    return f"{said[-500:]} [{path}]" if said else f"see {path}"


def _show(plan: Plan, config: ReproduceConfig, console: Console) -> None:
    """Print the jobs of a plan and an estimate of what they cost."""
    table = Table("step", "task", "networks", "jobs", "each", "in all", "memory of one")
    total, disk, longest, seed, once = 0.0, 0.0, 0.0, 0.0, 0.0

    def members(name: str) -> int:
        return len(plan.units[name])

    def run_of(name: str) -> PlannedRun:
        return plan.runs[name] if name in plan.runs else plan.runs[plan.units[name][0]]

    for step, names in (
        ("train", list(plan.runs)),
        ("evaluate", plan.evaluated()),
        ("analyze", plan.analysed()),
    ):
        groups: dict[tuple[str, str], list[str]] = {}
        for name in names:
            run = run_of(name)
            kind = " ".join(part for part in (run.config.model, run.variant) if part)
            groups.setdefault((run.role, kind), []).append(name)
        for (role, kind), group in groups.items():
            costs = [plan.cost(step, name) for name in group]
            seconds = sum(cost.seconds for cost in costs)
            each, memory = max(c.seconds for c in costs), max(c.memory for c in costs)
            total, longest = total + seconds, max(longest, each)
            disk += sum(cost.disk for cost in costs)
            if run_of(group[0]).variant == "grid":
                once += seconds
            else:
                seed += seconds / (len(group) if step == "train" else sum(map(members, group)))
            row = (step, role, kind, str(len(group)), hours(each), hours(seconds))
            table.add_row(*row, f"{memory:.0f} MB")
    console.print(table)
    cores = config.cores or _processors()
    jobs = len(plan.runs) + len(plan.evaluated()) + len(plan.analysed()) + 2
    wall = max(total / cores, longest)
    more = ", ".join(f"{count:,} seeds {hours(once + count * seed)}" for count in (10, 100, 1000))
    lines = (
        f"Profile {plan.profile.name}: {plan.profile.summary}.",
        f"{jobs} jobs, {hours(total)} of one processor, about {hours(wall)} on {cores} of them; "
        f"{disk / 1000:.1f} GB of disk.",
        f"One processor would take, with {more}.",
        "This estimate uses the speeds of an older processor, which takes twice as long as that of "
        "docs/reference/benchmarks.md. It is good to a factor of two, and a GPU is not in it.",
        "Nothing was done. The jobs one by one: adaptrnn reproduce ... --snakemake=--dry-run",
    )
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def _command(config: ReproduceConfig) -> str:
    """The command line of a configuration; without the folders of this machine."""
    words = ["adaptrnn", "reproduce", "--profile", Path(config.profile).name]
    if config.data_dir is not None:
        words += ["--data-dir", "DATA"]
    if config.backend != "auto":
        words += ["--backend", config.backend]
    if config.snakemake:
        words += ["--snakemake", shlex.quote(config.snakemake)]
    return " ".join(words)
