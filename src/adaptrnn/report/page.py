"""One self-contained HTML page: verdicts first, then figures, methods, versions and costs.

Nothing on the page is loaded from elsewhere: figures are in it, each for a light and a dark page.
Every text that comes from a run or a file is escaped.
"""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import xarray as xr
from rich.console import Console

from adaptrnn.config import TrainConfig
from adaptrnn.figure.style import LABELS, render
from adaptrnn.paper.catalogue import ITEMS
from adaptrnn.paper.item import Item, Table, collect
from adaptrnn.paper.profile import Profile
from adaptrnn.paper.verdict import OUTCOMES, Verdict
from adaptrnn.run import Run, write_atomic, write_dataset

__all__ = ["Page", "Section", "render_page", "write_report"]


@dataclass(frozen=True)
class Section:
    """One figure or table on the page.

    Attributes:
        name: its name, which is also its anchor.
        title: a few words.
        caption: plain text.
        light: the figure for a light page, svg.
        dark: the figure for a dark page, svg.
        table: a table under the figure, or None.
        files: links relative to the page, e.g. the data behind it.
        command: what draws the figure again.
    """

    name: str
    title: str
    caption: str
    light: bytes
    dark: bytes
    table: Table | None = None
    files: tuple[str, ...] = ()
    command: str = ""


@dataclass(frozen=True)
class Page:
    """All that stands on the page.

    Attributes:
        profile: name of the profile.
        summary: one line on it.
        command: what was run.
        scope: what the results are about and what not, plain text.
        verdicts: each with the name of the section it rests on.
        sections: figures and tables.
        failures: jobs or figures that failed, each with the reason.
        networks: models, their sizes, training and cost.
        methods: pairs of what and how.
        versions: libraries and machine.
        costs: pairs of what and how much.
    """

    profile: str
    summary: str
    command: str
    scope: str
    verdicts: tuple[tuple[Verdict, str], ...] = ()
    sections: tuple[Section, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    networks: Table = field(default_factory=lambda: Table((), ()))
    methods: tuple[tuple[str, str], ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    costs: tuple[tuple[str, str], ...] = ()


def render_page(page: Page) -> str:
    """The page as HTML.

    Args:
        page: what stands on it.

    Returns:
        The HTML, complete.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = _data_uri
    tally = {o: sum(verdict.outcome == o for verdict, _ in page.verdicts) for o in OUTCOMES}
    commands = {section.name: section.command for section in page.sections}
    return environment.get_template("page.html").render(page=page, tally=tally, commands=commands)


def _data_uri(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode()


def write_report(
    profile: Profile,
    configs: Sequence[TrainConfig],
    folder: Path,
    failures: Mapping[str, str],
    command: str,
    seconds: Callable[[], float],
    console: Console,
) -> Path:
    """Draw all figures, judge all claims and write the page with the files beside it.

    Args:
        profile: what was run.
        configs: its runs; those that are not finished are left out.
        folder: gets index.html, figures/NAME.svg and .pdf, data/NAME.nc and .csv.
        failures: jobs that failed, with the reason.
        command: the command line.
        seconds: wall time so far.
        console: where progress is shown.

    Returns:
        index.html.
    """
    runs = [Run(config.folder) for config in configs]
    runs = [run for run in runs if _finished(run)]
    where = configs[0].folder.parent
    problems, sections, verdicts = dict(failures), [], []
    for item in ITEMS.values():
        with console.status(f"drawing {item.name}"):
            try:
                data = collect(item, runs)
                if data is None:
                    problems[item.name] = "none of the runs that it needs is there"
                    continue
                sections.append(_section(item, data, folder, where))
                verdicts += [(verdict, item.name) for verdict in item.judge(data)]
            except Exception as error:  # one figure must not take the others with it
                problems[item.name] = f"{type(error).__name__}: {error}"
    _write_verdicts(folder / "data" / "verdicts.csv", [verdict for verdict, _ in verdicts])
    page = Page(
        profile=profile.name,
        summary=profile.summary,
        command=command,
        scope=_SCOPE.get(profile.task, ""),
        verdicts=tuple(verdicts),
        sections=tuple(sections),
        failures=problems,
        networks=_networks(runs),
        methods=_methods(profile, runs),
        versions=_versions(runs),
        costs=_costs(runs, seconds()),
    )
    path = folder / "index.html"
    write_atomic(path, render_page(page).encode())
    return path


_SCOPE = {
    "digits": "These are small networks (about 5,000 parameters) on small images (8x8 handwritten "
    "digits, 64 steps). This is not the paper's task (psMNIST, 784 steps; 400 neurons, 165,000 "
    "parameters): a verdict here says whether the effect shows in a small network, not whether it "
    "does in the paper's. A claim that does not hold here is kept, with its numbers."
}


def _finished(run: Run) -> bool:
    try:
        return bool(run.record()["state"] == "finished")
    except (ValueError, KeyError):  # never started
        return False


def _section(item: Item, data: xr.Dataset, folder: Path, where: Path) -> Section:
    light, dark = (render(item.draw, data, "svg", dark=value) for value in (False, True))
    files = [f"figures/{item.name}.svg", f"figures/{item.name}.pdf", f"data/{item.name}.nc"]
    write_atomic(folder / files[0], light)
    write_atomic(folder / files[1], render(item.draw, data, "pdf"))
    write_dataset(folder / files[2], data)
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for name, values in data.data_vars.items():
        groups.setdefault(values.dims, []).append(name)
    for dims, names in groups.items():
        if dims:
            suffix = "" if len(groups) == 1 else "." + "-".join(map(str, dims))
            files.append(f"data/{item.name}{suffix}.csv")
            table = data[names].to_dataframe().dropna(how="all").to_csv()
            write_atomic(folder / files[-1], table.encode())
    runs = f" {where}/*" if item.models else ""
    return Section(
        name=item.name,
        title=item.title,
        caption=item.caption,
        light=light,
        dark=dark,
        table=item.table(data) if item.table is not None else None,
        files=tuple(files),
        command=f"adaptrnn figure {item.name}{runs}",
    )


def _write_verdicts(path: Path, verdicts: Sequence[Verdict]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "place", "verdict", "quantity", "number", "spread", "holds"])
    for verdict in verdicts:
        claim = verdict.claim
        for part in verdict.parts:
            row = [part.quantity, part.number, part.spread, part.holds]
            writer.writerow([claim.id, claim.place, verdict.outcome, *row])
    write_atomic(path, text.getvalue().encode())


def _networks(runs: Sequence[Run]) -> Table:
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.config().model, []).append(run)
    rows = []
    for model, group in groups.items():
        records, config = [run.record() for run in group], group[0].config()
        best = [100 * record["validation_accuracy"] for record in records]
        seconds = [record["seconds"] for record in records]
        rows.append(
            (
                LABELS[model],
                str(records[0]["hidden_size"]),
                f"{records[0]['parameters']:,}",
                f"{config.learning_rate:g}",
                ", ".join(str(run.config().seed) for run in group),
                f"{sum(best) / len(best):.1f} ({min(best):.1f} to {max(best):.1f})",
                f"{sum(seconds) / len(seconds):.0f}",
            )
        )
    header = ("model", "neurons", "parameters", "peak learning rate", "seeds")
    return Table((*header, "validation accuracy (%)", "training (s)"), tuple(rows))


def _methods(profile: Profile, runs: Sequence[Run]) -> tuple[tuple[str, str], ...]:
    if not runs:
        return ()
    config, task = runs[0].config(), runs[0].record()["task"]
    clip = f"gradient norm clipped at {config.clip:g}" if config.clip else "no clipping"
    order = "in a fixed random order" if task["permuted"] else "row by row"
    return (
        (
            "Data",
            f"{task['source']}: {task['train_size']:,} images to train on, "
            f"{task['validation_size']:,} to choose by, {task['test_size']:,} to report on; "
            f"{task['sequence_length'] or 64} steps, pixels {order}. The split and "
            "the order do not depend on the seed.",
        ),
        ("Split", f"SHA-256 {task['split_hash']}"),
        ("Order of pixels", f"SHA-256 {task['permutation_hash'] or 'none'}"),
        (
            "Models",
            "Matched in their number of parameters to within 2% of the ARUN with "
            f"{profile.hidden_size} neurons and {profile.controller_size} controller units. "
            "RNN+gamma starts from one (n, s) shared by all neurons.",
        ),
        (
            "Training",
            f"Adam, {config.epochs} epochs, batches of {config.batch_size}, {config.schedule} "
            f"learning rate, {clip}; cross entropy at the last step. Weights of the epoch with the "
            "best validation accuracy.",
        ),
        (
            "Learning rate",
            "For each model the best of the same set of peak rates by validation accuracy, over "
            "seeds that are not reported (python -m adaptrnn.paper.search).",
        ),
        (
            "Evaluation",
            "On the whole test split, networks as trained. A drive is added to the current of "
            "every neuron (LSTM, GRU: to every gate) between 200/784 and 400/784 of the sequence.",
        ),
        (
            "Verdicts",
            "Criteria are this project's, not the paper's. Spread: least and greatest value over "
            "seeds. Reproduced: every part of the criterion holds in every seed; partly: some part "
            "holds, at least on average; not: none does. Models of equal seed are compared pair by "
            "pair: they saw the images in the same order.",
        ),
    )


def _versions(runs: Sequence[Run]) -> tuple[tuple[str, str], ...]:
    if not runs:
        return ()
    record = runs[0].record()
    hardware = [(name, str(value)) for name, value in record["hardware"].items()]
    return (*record["versions"].items(), *hardware)


def _costs(runs: Sequence[Run], seconds: float) -> tuple[tuple[str, str], ...]:
    training = sum(run.record()["seconds"] for run in runs)
    return (
        ("networks", str(len(runs))),
        ("training, one processor each, in all", f"{training:.0f} s"),
        ("wall time of this command", f"{seconds:.0f} s"),
    )
