"""The command line is a thin layer that parses, calls and prints.

Heavy imports wait until they are needed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import importlib
import io
import os
import re
import signal
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adaptrnn._error import InputError, MissingExtraError, bad, missing_extra
from adaptrnn._parent import VARIABLE, end_with_parent
from adaptrnn._workers import workers

if TYPE_CHECKING:
    from rich.console import Console

    from adaptrnn.config import (
        BenchConfig,
        EvaluateConfig,
        ModelsConfig,
        ReportConfig,
        ReproduceConfig,
        TrainConfig,
    )

__all__ = ["main"]


def _train(config: TrainConfig, console: Console) -> None:
    from adaptrnn.preset import PRESETS
    from adaptrnn.training import show_score, train

    if config.task not in PRESETS and os.path.isfile(Path(config.task) / "config.json"):
        raise bad(
            "task",
            config.task,
            "the name of a task; this is a run",
            f"To resume it:  adaptrnn train --config {Path(config.task) / 'config.json'}",
        )
    run = train(config, console=console)
    if os.environ.get("LOCAL_RANK", "0") != "0":  # one of several processes speaks
        return
    record = run.record()
    console.print(
        f"{run.folder}: validation {show_score(record, name=True)}, "
        f"{record['parameters']:,} parameters, {record['seconds']:.0f} s. "
        f"Next: adaptrnn evaluate {run.folder}",
        highlight=False,
        soft_wrap=True,
    )


def _bench(config: BenchConfig, console: Console) -> None:
    if config.device == "cuda":
        from adaptrnn.bench_gpu import run_bench_gpu

        run_bench_gpu(config, console)
    else:
        from adaptrnn.bench import run_bench

        run_bench(config, console)


def _evaluate(config: EvaluateConfig, console: Console) -> None:
    from rich.table import Table

    from adaptrnn.evaluation import Evaluation, evaluate_run
    from adaptrnn.perturb import PAPER_PERTURBATIONS, parse_named
    from adaptrnn.run import runs_in

    chosen = parse_named(config.perturb) or PAPER_PERTURBATIONS
    runs = runs_in(config.runs)
    for run in runs:
        run.config()  # a wrong folder is found before any work
    for run in [run.on_task(config.task) for run in runs]:
        facts = run.record().get("task") or {}
        trials = "trials" if "answers" in facts else "images"
        columns = ("perturbation", facts.get("metric", "accuracy"), "loss", trials)
        table = Table(*columns, title=str(run.folder))

        def show(name: str, result: Evaluation, table: Table = table) -> None:
            table.add_row(name, str(result), f"{result.loss:.4f}", f"{result.images}")

        with console.status(f"evaluating {run.folder}"):
            evaluate_run(run, chosen, config.split, show)
        console.print(table)


def _models(config: ModelsConfig, console: Console) -> None:
    from adaptrnn.classifier import match_parameters
    from adaptrnn.model import MODELS

    for name, model in MODELS.items():
        console.print(f"{name:<14}{model.summary}", highlight=False, soft_wrap=True)
    console.print()
    sizes = match_parameters(MODELS, **dataclasses.asdict(config))
    console.print(str(sizes), highlight=False, soft_wrap=True)


def _reproduce(config: ReproduceConfig, console: Console) -> None:
    if config.from_results is not None:
        _begin_drawing()
    from adaptrnn.reproduce import run_reproduce

    run_reproduce(config, console)


def _report(config: ReportConfig, console: Console) -> None:
    _begin_drawing()
    from adaptrnn.reproduce import run_report

    run_report(config, console)


def _begin_drawing() -> None:
    """The processes that draw import what they need while this one does."""
    workers("adaptrnn.report.page")


@dataclass(frozen=True)
class _Command:
    """One command: its configuration, what it does, one line of help and examples."""

    config: str  # module:class, imported when the command is used
    run: str  # module:function of (config, console)
    extra: str  # of the package, that brings what it needs
    summary: str
    examples: tuple[str, ...]
    note: str = ""  # what its help says too


COMMANDS = {
    "train": _Command(
        "adaptrnn.config:TrainConfig",
        "adaptrnn.cli:_train",
        "train",
        "train a network, or resume a run that was interrupted",
        (
            "adaptrnn train digits --model arun --hidden-size 64 --controller-size 10 --lr 3e-3",
            "adaptrnn train psmnist --data-dir data --image-size 14 --model gamma --epochs 8",
            "adaptrnn train neurogym:PerceptualDecisionMaking --task-options dt=20 --model arun",
            "adaptrnn train ./my_task.py:task --model arun",
        ),
        "--config FILE.json takes task and options from a file, such as the config.json of a run; "
        "options given next to it replace those in the file.",
    ),
    "evaluate": _Command(
        "adaptrnn.config:EvaluateConfig",
        "adaptrnn.cli:_evaluate",
        "train",
        "measure accuracy and loss of trained runs, clean and perturbed",
        (
            "adaptrnn evaluate runs/digits-arun-seed0",
            "adaptrnn evaluate runs/* --perturb step:xi=5 noise contrast:amplitude=.8",
        ),
    ),
    "psychometric": _Command(
        "adaptrnn.config:PsychometricConfig",
        "adaptrnn.psychometric:run_psychometric",
        "paper",
        "draw accuracy against a condition of the trials, clean and under drive",
        (
            "adaptrnn psychometric runs/perceptual-decision-arun-seed0",
            "adaptrnn psychometric runs/* --perturb step:xi=1 step:xi=5",
        ),
    ),
    "record": _Command(
        "adaptrnn.config:RecordConfig",
        "adaptrnn.recording:run_record",
        "analysis",
        "record every internal signal over test trials, to netCDF and NWB",
        (
            "adaptrnn record runs/digits-arun-seed0",
            "adaptrnn record runs/digits-arun-seed0 --trials 200 --perturb step:xi=1 --nwb",
        ),
    ),
    "models": _Command(
        "adaptrnn.config:ModelsConfig",
        "adaptrnn.cli:_models",
        "train",
        "list the models, and their sizes at equal counts of parameters",
        ("adaptrnn models", "adaptrnn models --hidden-size 100 --controller-size 20"),
    ),
    "info": _Command(
        "adaptrnn.config:InfoConfig",
        "adaptrnn.info:run_info",
        "train",
        "print versions, and which implementation of the layers runs and why",
        ("adaptrnn info",),
    ),
    "analyze": _Command(
        "adaptrnn.config:AnalyzeConfig",
        "adaptrnn.laboratory.command:run_analyze",
        "paper",
        "analyse trained networks: Lyapunov exponents, fractional orders and more",
        (
            "adaptrnn analyze lyapunov runs/digits-arun-seed0",
            "adaptrnn analyze all runs/digits-arun-seed0 --draw",
        ),
    ),
    "bench": _Command(
        "adaptrnn.config:BenchConfig",
        "adaptrnn.cli:_bench",
        "train",
        "time our layers and those of torch in one run",
        ("adaptrnn bench", "adaptrnn bench --device cuda --json gpu.json"),
    ),
    "reproduce": _Command(
        "adaptrnn.config:ReproduceConfig",
        "adaptrnn.cli:_reproduce",
        "paper",
        "reproduce the paper: train, evaluate, draw, judge every claim, write a report",
        (
            "adaptrnn reproduce",
            "adaptrnn reproduce --profile laptop --data-dir data",
            "adaptrnn reproduce --profile paper --dry-run",
            "adaptrnn reproduce --from-results results/night",
        ),
    ),
    "collect": _Command(
        "adaptrnn.config:CollectConfig",
        "adaptrnn.reproduce:run_collect",
        "paper",
        "measure every figure and table on finished runs, and keep small tables",
        ("adaptrnn collect quick",),
    ),
    "report": _Command(
        "adaptrnn.config:ReportConfig",
        "adaptrnn.cli:_report",
        "paper",
        "draw and judge collected tables, and write the report",
        ("adaptrnn report results/night", "adaptrnn report results/night --docs docs"),
    ),
    "explore": _Command(
        "adaptrnn.config:ExploreConfig",
        "adaptrnn.explore.command:explore",
        "explore",
        "change an adaptive neuron by hand in the browser",
        ("adaptrnn explore", "adaptrnn explore runs/digits-arun-seed0"),
    ),
    "figure": _Command(
        "adaptrnn.config:FigureConfig",
        "adaptrnn.reproduce:run_figure",
        "paper",
        "draw one figure of the paper, from trained runs where it needs them",
        ("adaptrnn figure", "adaptrnn figure fig1-gamma --out gamma.svg"),
    ),
}


def _at(place: str, extra: str) -> Any:
    """What a text module:name names, or which extra to install for it."""
    module, _, name = place.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("adaptrnn"):
            raise
        raise missing_extra(error.name, extra) from error


def _take_config(words: Sequence[str]) -> tuple[list[str], Any]:
    """Words without --config FILE, and the configuration in the file; None without the option."""
    if "--config" not in words:
        return list(words), None
    place = words.index("--config")
    if place + 1 == len(words):
        raise InputError("--config: must be followed by a file. See  adaptrnn train --help")
    config = _at("adaptrnn.run:read_config", "train")(Path(words[place + 1]))
    return [*words[:place], *words[place + 2 :]], config


def _parse(config: Any, name: str, words: Sequence[str], description: str) -> Any:
    """The configuration that words give; what is wrong with them as one line."""
    said = io.StringIO()
    words, given = _take_config(words) if name == "train" else (words, None)
    default = {} if given is None else {"default": given}
    try:
        with contextlib.redirect_stderr(said):
            return _at("tyro:cli", "train")(
                config, prog=f"adaptrnn {name}", args=words, description=description, **default
            )
    except SystemExit as stop:
        if stop.code != 2:
            raise
        line, error = _one_line(said.getvalue()), stop.__context__
        while error is not None:  # an error of our own, which tyro breaks into rows
            line, error = str(error) if isinstance(error, InputError) else line, error.__context__
        for field in dataclasses.fields(config):
            if "Positional" not in str(field.type):
                option = "--" + field.name.replace("_", "-")
                line = re.sub(rf"^{field.name}=", f"{option}=", line)
        raise InputError(f"{line} See  adaptrnn {name} --help") from None


def _one_line(box: str) -> str:
    """What tyro says in a frame of several lines."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", box).splitlines()
    # a frame has two characters, lines or blanks; the title has one
    rows = [line[2:].rstrip(" │") for line in lines if line.startswith(("│ ", "  "))]
    parts: list[list[str]] = [[]]
    for row in rows:
        if row and set(row) <= {"─", "-"}:
            parts.append([])
        elif row and len(row) - len(row.lstrip()) <= 4:  # what is further in is help
            parts[-1].append(row.strip())
    if not rows:
        return " ".join(box.split())
    line = " ".join(parts[0])
    nearest = next((part for part in parts[1:] if part and part[0] == "Perhaps you meant:"), None)
    if nearest is not None:
        line += f". Did you mean {' or '.join(word.split()[0] for word in nearest[1:])}?"
    line = line.removeprefix("Error parsing ")
    for kind, allowed in (("int", "an integer"), ("float", "a number")):
        pattern = (
            rf"^(\S+): (?:invalid literal for {kind}\(\).*|could not convert.*{kind}): ('.*')$"
        )
        line = re.sub(pattern, rf"\1=\2: must be {allowed}.", line)
    union = re.match(r"(\S+): no type matching (\S+) could be instantiated from \['(.*?)'\]", line)
    if union is not None:
        option, kinds, given = union.groups()
        known = {"{None}": "None", "INT": "an integer", "FLOAT": "a number"}
        allowed = " or ".join(known.get(kind, kind) for kind in reversed(kinds.split("|")))
        line = f"{option}='{given}': must be {allowed}."
    return line if line.endswith((".", "?")) else f"{line}."


def _help(console: Console) -> None:
    console.print("usage: adaptrnn COMMAND [OPTIONS]\n", highlight=False, markup=False)
    console.print("Recurrent networks whose neurons learn their own f-I curves and adapt them.\n")
    indent = " " * (4 + max(map(len, COMMANDS)))
    for name, command in COMMANDS.items():
        start = f"  {name}".ljust(len(indent))
        rows = textwrap.wrap(
            command.summary, console.width, initial_indent=start, subsequent_indent=indent
        )
        console.print("\n".join(rows), highlight=False, soft_wrap=True)
    console.print("\nexamples:", highlight=False)
    for command in COMMANDS.values():
        console.print(f"  {command.examples[0]}", highlight=False, soft_wrap=True)
    console.print("\nadaptrnn COMMAND --help shows the options of a command.", highlight=False)


def _fail(console: Console, message: str, code: int) -> int:
    console.print(f"error: {message}", highlight=False, markup=False, soft_wrap=True)
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: the words after `adaptrnn`; default: those of this process.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong input, 130 interrupted (the same command resumes).

    Example:
        >>> main(["models", "--hidden-size", "64", "--controller-size", "10"])
        relu  ...
        0
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if os.environ.get(VARIABLE):
        end_with_parent()
    try:
        from rich.console import Console
    except ModuleNotFoundError:
        sys.stderr.write(
            "error: the command line needs the extra 'train': pip install 'adaptrnn[train]'\n"
        )
        return 2
    console, errors = Console(), Console(stderr=True)
    if not words or words[0] in ("-h", "--help", "help"):
        _help(console)
        return 0
    if words[0] == "--version":
        console.print(metadata.version("adaptrnn"), highlight=False)
        return 0
    name = words[0]
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1, 0.4)
        advice = f" Did you mean {near[0]!r}?" if near else ""
        message = f"there is no command {name!r}; the commands are: {', '.join(COMMANDS)}.{advice}"
        return _fail(errors, message, 2)
    command = COMMANDS[name]
    try:
        examples = "\n".join(f"    {example}" for example in command.examples)
        text = f"{command.summary[0].upper()}{command.summary[1:]}.\n\nexamples:\n{examples}"
        text += f"\n\n{command.note}" if command.note else ""
        config = _parse(_at(command.config, command.extra), name, words[1:], text)
        _at(command.run, command.extra)(config, console)
    except (InputError, MissingExtraError) as error:
        return _fail(errors, str(error), 2)
    except KeyboardInterrupt:
        return _fail(errors, "interrupted; the same command resumes from the last checkpoint.", 130)
    except SystemExit as stop:
        if stop.code != 128 + signal.SIGTERM:
            raise
        return _fail(
            errors, "terminated; the same command resumes from the saved state.", stop.code
        )
    except BrokenPipeError:  # the reader of the output has gone, as `head` does
        return 0
    except (RuntimeError, OSError) as error:
        if os.environ.get("ADAPTRNN_TRACEBACK"):
            raise
        return _fail(errors, f"{error} (ADAPTRNN_TRACEBACK=1 shows where.)", 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
