"""One self-contained HTML page has what was found, a map of verdicts, the claims, the figures.

Nothing on the page is loaded from elsewhere: figures are in it, each for a light and a dark page.
The page's own script, which searches in the claims, is the only one that may run in it, and the
page works without. Every text that comes from a run or a file is escaped.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import pandas as pd
import xarray as xr
from markupsafe import Markup
from matplotlib.figure import Figure
from rich.console import Console

from adaptrnn._workers import workers
from adaptrnn.figure.style import Drawing, label_of
from adaptrnn.paper.catalogue import ITEMS
from adaptrnn.paper.change import RULE, changes
from adaptrnn.paper.cost import hours
from adaptrnn.paper.gate import in_order
from adaptrnn.paper.item import Item, Table
from adaptrnn.paper.learning import with_used_rates
from adaptrnn.paper.store import read_results, task_words
from adaptrnn.paper.verdict import OUTCOMES, Verdict
from adaptrnn.report.difference import difference_table
from adaptrnn.report.opening import (
    LEGEND,
    SIGNS,
    Finding,
    Number,
    anchors,
    findings,
    groups,
    headline,
    in_words,
    row_number,
)
from adaptrnn.report.origin import caveats, present_command, profile_in_words
from adaptrnn.report.picture import Picture, embed
from adaptrnn.storage import write_atomic

__all__ = ["Card", "Page", "Section", "render_page", "write_report"]


@dataclass(frozen=True)
class Card:
    """A card has one of the findings that the page opens with.

    Attributes:
        name: its anchor.
        claim: what the paper says, in a few words.
        sentence: what came out.
        numbers: what carries it, each with the row of its claim.
        picture: of it.
        alt: what is seen in the picture.
    """

    name: str
    claim: str
    sentence: str
    numbers: tuple[Number, ...]
    picture: Picture
    alt: str


@dataclass(frozen=True)
class Section:
    """A section has one figure or table of the page.

    Attributes:
        name: its name, which is also its anchor.
        title: a few words.
        caption: plain text.
        picture: the figure.
        table: a table under the figure, or None.
        files: links relative to the page, e.g. the data behind it.
        command: what draws the figure again.
        alt: what is seen in the figure; without it the title stands in its place.
    """

    name: str
    title: str
    caption: str
    picture: Picture
    table: Table | None = None
    files: tuple[str, ...] = ()
    command: str = ""
    alt: str = ""


@dataclass(frozen=True)
class Page:
    """A page is given by everything that is on it.

    Attributes:
        profile: name of the profile.
        summary: one line on it.
        command: what was run.
        scope: what the results are about and what not, plain text.
        lead: the first sentences.
        findings: what was found of the paper's four claims.
        verdicts: each with the name of the section it rests on.
        sections: figures and tables.
        failures: jobs or figures that failed, each with the reason.
        networks: models, their sizes, training and cost.
        methods: pairs of what and how.
        changes: criteria that changed, with the verdicts before and now.
        rule: what changed for all claims alike.
        differences: between the paper's text and the released scripts, with what each changes.
        versions: libraries and machine.
        costs: pairs of what and how much.
    """

    profile: str
    summary: str
    command: str
    scope: str
    lead: tuple[str, ...] = ()
    findings: tuple[Card, ...] = ()
    verdicts: tuple[tuple[Verdict, str], ...] = ()
    sections: tuple[Section, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    networks: Table = field(default_factory=lambda: Table((), ()))
    methods: tuple[tuple[str, str], ...] = ()
    changes: Table = field(default_factory=lambda: Table((), ()))
    rule: str = ""
    differences: Table = field(default_factory=lambda: Table((), ()))
    versions: tuple[tuple[str, str], ...] = ()
    costs: tuple[tuple[str, str], ...] = ()


def render_page(page: Page) -> str:
    """Return the page as HTML.

    Args:
        page: what is on it.

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
    environment.filters["uri"] = Markup  # an image's URI has no sign that ends an attribute
    script = (Path(__file__).parent / "page.js").read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    tally = {o: sum(verdict.outcome == o for verdict, _ in page.verdicts) for o in OUTCOMES}
    places = zip(anchors(page.verdicts), page.verdicts, strict=True)
    return environment.get_template("page.html").render(
        page=page,
        tally=tally,
        signs=SIGNS,
        legend=LEGEND,
        groups=groups(page.verdicts),
        rows=[(place, one, name, row_number(one)) for place, (one, name) in places],
        commands={section.name: section.command for section in page.sections},
        script=Markup(script),
        script_hash=f"sha256-{digest}",
    )


def write_report(results: Path, folder: Path, console: Console) -> Path:
    """Draw all figures of collected results, judge all claims and write the page and its files.

    Args:
        results: folder of the results, see `adaptrnn.paper.store`.
        folder: gets index.html, figures/NAME.svg and .pdf, data/NAME.csv and verdicts.csv.
        console: where progress is shown.

    Returns:
        index.html.

    Raises:
        InputError: no results there, or a damaged table.
    """
    tables, runs, manifest = read_results(results)
    tables = with_used_rates(tables, runs)
    problems, sections, verdicts = dict(manifest["missing"]), [], []
    for name, item in ITEMS.items():
        if name not in tables and not item.optional:
            problems.setdefault(name, "not in these results")
    count = max(1, min(os.cpu_count() or 1, len(tables) // 4))
    with ProcessPoolExecutor(count, workers(__name__)) as pool, console.status("drawing"):
        jobs = {
            name: pool.submit(_item, name, tables[name], folder, manifest["profile"])
            for name in ITEMS
            if name in tables
        }
        for name, job in jobs.items():
            try:
                section, found = job.result()
            except Exception as error:  # one figure must not take the others with it
                problems[name] = f"{type(error).__name__}: {error}"
                continue
            mark = manifest.get("marks", {}).get(name)
            if mark is not None:
                caption = f"{section.caption} Not to be trusted as it is: {mark}"
                section = replace(section, caption=caption)
            sections.append(section)
            verdicts += [(verdict, name) for verdict in found]
        verdicts = in_words(in_order(verdicts, tables), runs)
        opening = findings(tables, verdicts, runs)
        pictures = list(pool.map(_card_picture, [found.draw for found in opening]))
    _write_verdicts(folder / "data" / "verdicts.csv", [verdict for verdict, _ in verdicts])
    page = Page(
        profile=manifest["profile"],
        summary=profile_in_words(manifest["profile"], manifest["summary"]),
        command=present_command(manifest["profile"], manifest.get("command", "")),
        scope=_SCOPE.get(manifest["profile"], ""),
        lead=headline(verdicts, runs),
        findings=_cards(opening, pictures),
        verdicts=tuple(verdicts),
        sections=tuple(sections),
        failures=problems,
        networks=_networks(runs),
        methods=_methods(manifest, runs),
        changes=changes(verdict for verdict, _ in verdicts),
        rule=RULE,
        differences=difference_table(tables),
        versions=_versions(manifest),
        costs=_costs(manifest, runs),
    )
    path = folder / "index.html"
    write_atomic(path, render_page(page).encode())
    return path


_SCOPE = {
    "quick": "These are small networks (about 5,000 parameters) on small images (8x8 handwritten "
    "digits, 64 steps). This is not the paper's task (psMNIST, 784 steps; 400 neurons, 165,000 "
    "parameters): a verdict here says whether the effect shows in a small network, not whether it "
    "does in the paper's. Wherever a row says psMNIST, these digits are used instead. A claim that "
    "does not hold here is kept, with its numbers.",
    "laptop": "Real MNIST and CIFAR-10, smaller than the paper's: 14x14 pixels (196 steps) instead "
    "of 28x28 (784), 16x16 instead of 32x32, 100 neurons instead of 400, and no convolutional "
    "encoder. The validation curves on this page show how far the networks have learned. A claim "
    "that does not hold here is kept, with its numbers.",
    "night": "Real MNIST and CIFAR-10, smaller than the paper's: 14x14 pixels (196 steps) instead "
    "of 28x28 (784), 16x16 instead of 32x32 with the linear encoder, 100 neurons instead of 400. "
    "The validation curves on this page show how far the networks have learned. A claim that does "
    "not hold here is kept, with its numbers.",
}


def _cards(found: Sequence[Finding], pictures: Sequence[Picture]) -> tuple[Card, ...]:
    """The findings with their pictures."""
    return tuple(
        Card(one.name, one.claim, one.sentence, one.numbers, picture, one.alt)
        for one, picture in zip(found, pictures, strict=True)
    )


def _card_picture(draw: Callable[[], Figure]) -> Picture:
    """The picture of one finding; called in another process."""
    return embed(Drawing(draw))


def _item(name: str, data: xr.Dataset, folder: Path, profile: str) -> tuple[Section, list[Verdict]]:
    """One figure, drawn and judged; called in another process."""
    item = ITEMS[name]
    return _section(item, data, folder, profile), item.judge(data)


def _section(item: Item, data: xr.Dataset, folder: Path, profile: str) -> Section:
    files = [f"figures/{item.name}.svg", f"figures/{item.name}.pdf"]
    drawing = Drawing(partial(item.draw, data))
    for file in files:
        write_atomic(folder / file, drawing.save(file[-3:]))
    alike: dict[tuple[Any, ...], list[Any]] = {}
    for name, values in data.data_vars.items():
        alike.setdefault(values.dims, []).append(name)
    for dims, names in alike.items():
        if dims:
            suffix = "" if len(alike) == 1 else "." + "-".join(map(str, dims))
            files.append(f"data/{item.name}{suffix}.csv")
            table = data[names].to_dataframe().dropna(how="all").to_csv()
            write_atomic(folder / files[-1], table.encode())
    runs = f" runs/{profile}/*" if item.models else ""
    return Section(
        name=item.name,
        title=item.title,
        caption=item.caption,
        picture=embed(drawing),
        table=item.table(data) if item.table is not None else None,
        files=tuple(files),
        command=f"adaptrnn figure {item.name}{runs}",
        alt=item.alt,
    )


def _write_verdicts(path: Path, verdicts: Sequence[Verdict]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    numbers = ["quantity", "number", "interval", "spread", "holds"]
    writer.writerow(["id", "place", "verdict", "kind", *numbers])
    for verdict in verdicts:
        claim = verdict.claim
        kinds = (("judged", verdict.parts), ("shown", verdict.shown), ("check", verdict.checks))
        for kind, parts in kinds:
            for part in parts:
                row = [getattr(part, name) for name in numbers]
                writer.writerow([claim.id, claim.place, verdict.outcome, kind, *row])
    write_atomic(path, text.getvalue().encode())


_VARIANTS = {
    "": "",
    "grid": ", grid of (n, s)",
    "transplant": ", transplant",
    "initial": ", other initial W_hh",
    "ladder": ", other sizes",
}


def _networks(runs: pd.DataFrame) -> Table:
    rows, tasks = [], task_words(runs)
    for (role, variant, model), group in runs.groupby(["role", "variant", "model"], sort=False):
        best = 100 * group.validation_accuracy
        name = label_of(str(model)) + _VARIANTS[str(variant)]
        seeds = sorted(set(group.seed))
        rows.append(
            (
                tasks[str(role)],
                name,
                str(group.hidden_size.iloc[0]),
                f"{group.parameters.iloc[0]:,}",
                f"{group.learning_rate.iloc[0]:g}",
                str(len(group))
                if variant in ("grid", "initial", "ladder")
                else ", ".join(map(str, seeds)),
                f"{best.mean():.1f} ({best.min():.1f} to {best.max():.1f})",
                f"{group.seconds.mean():.0f}",
            )
        )
    header = ("task", "model", "neurons", "parameters", "peak learning rate", "seeds")
    return Table((*header, "validation accuracy (%)", "training (s)"), tuple(rows))


def _epochs(group: pd.DataFrame) -> str:
    """Say how many epochs the networks of one task were trained, such as "30 epochs (GRU: 120)"."""
    common = group.epochs.mode()[0]
    others = group[group.epochs != common].groupby("epochs").model.unique()
    words = [f"{', '.join(map(label_of, models))}: {count}" for count, models in others.items()]
    return f"{common} epochs ({'; '.join(words)})" if words else f"{common} epochs"


def _methods(manifest: Mapping[str, Any], runs: pd.DataFrame) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    tasks = task_words(runs)
    for role, group in runs[runs.variant == ""].groupby("role", sort=False):
        one = SimpleNamespace(**group.iloc[0].to_dict())
        clip = f"gradient norm clipped at {one.clip:g}" if one.clip == one.clip else "no clipping"
        order = "in a fixed random order" if one.permuted else "row by row"
        what = f"{one.steps} steps, pixels {order}" if one.steps else "images, encoded end to end"
        found.append(
            (
                f"Task: {tasks[str(role)]}",
                f"{one.source}: {one.images_train:,} images to train on, "
                f"{one.images_validation:,} to choose by, {one.images_test:,} to report on; "
                f"{what}. Adam, {_epochs(group)}, batches of {one.batch_size}, {one.schedule} "
                f"learning rate, {clip}; cross entropy at the last step. Weights of the epoch "
                f"with the best validation accuracy. Split SHA-256 {one.split_hash[:16]}, "
                f"order of pixels {one.permutation_hash[:16] or 'none'}; neither depends on the "
                "seed.",
            )
        )
    return (
        *found,
        (
            "Models",
            "Matched in their number of parameters to within 2% of the ARUN with "
            f"{manifest['hidden_size']} neurons and {manifest['controller_size']} controller "
            "units. RNN+gamma starts from one (n, s) shared by all neurons.",
        ),
        (
            "Learning rate",
            "For each model from the same set of peak rates by validation accuracy, over seeds "
            "that are not reported (python -m adaptrnn.paper.search; the profile says how).",
        ),
        (
            "Evaluation",
            "Table 1 on the whole test split, curves and maps on part of it, networks as trained. "
            "A drive is added to the current of every neuron (LSTM, GRU: to every gate) between "
            "200/784 and 400/784 of the sequence.",
        ),
        (
            "Verdicts",
            "A claim is judged by what the paper's text says; a threshold that the text does not "
            "give is marked as ours. A part holds if the mean over seeds meets its threshold by at "
            "least one standard error. Models of equal seed are compared pair by pair: they saw "
            "the images in the same order. Intervals are Student's, 95%, over seeds. A task on "
            "which no model reaches 30%, or a model with less than half of the best accuracy, is "
            "not judged.",
        ),
    )


def _versions(manifest: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    machine = {**manifest["hardware"], **manifest.get("processor", {})}
    trained = [f"{count} with {commit}" for commit, count in manifest.get("commits", {}).items()]
    networks = [("networks trained", ", ".join(trained))] if trained else []
    places = [f"{count} on {name}" for name, count in manifest.get("machines", {}).items()]
    networks += [("machines that trained", "; ".join(places))] if places else []
    facts = [(name, str(value)) for name, value in machine.items()]
    return (*manifest["versions"].items(), *networks, *facts)


def _costs(manifest: Mapping[str, Any], runs: pd.DataFrame) -> tuple[tuple[str, str], ...]:
    jobs = dict(manifest["jobs"])
    disk = jobs.pop("disk", None)
    found = [("networks", str(len(runs)))]
    for step, cost in jobs.items():
        text = f"{cost['jobs']} jobs, {hours(cost['seconds'])}, at most {cost['memory_mb']:g} MB"
        found.append((f"{step}, one processor each", text))
    if "wall_seconds" in manifest:
        sittings = manifest.get("sittings", 1)
        more = "" if sittings == 1 else f", in {sittings} sittings"
        found.append(("wall time", hours(manifest["wall_seconds"]) + more))
    if disk:
        found.append(("disk", f"{disk['megabytes']:g} MB in {disk['files']} files"))
    command = manifest.get("command", "")
    said = caveats(manifest["profile"], command, manifest["jobs"], len(runs))
    found += [("note", text) for text in said]
    return tuple(found)
