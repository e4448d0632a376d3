"""Write pages of the documentation from results: what came out, and where each claim is computed.

docs/reference/results.md     every claim, the number, its spread, the verdict
docs/reference/figures.md     every figure, small, with what it says and the command that draws it
docs/reference/paper-map.md   equation, figure, claim -> function -> test -> command -> number
docs/images/results/          the figures
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.style import Drawing
from adaptrnn.paper.catalogue import ITEMS
from adaptrnn.paper.change import RULE, changes
from adaptrnn.paper.cost import hours
from adaptrnn.paper.equation import EQUATIONS
from adaptrnn.paper.gate import in_order
from adaptrnn.paper.item import Table
from adaptrnn.paper.learning import with_used_rates
from adaptrnn.paper.store import read_results
from adaptrnn.paper.verdict import OUTCOMES, Part, Verdict
from adaptrnn.report.difference import difference_table
from adaptrnn.report.opening import (
    LEGEND,
    SIGNS,
    Finding,
    anchors,
    findings,
    groups,
    headline,
    in_words,
    row_number,
)
from adaptrnn.report.origin import (
    caveats,
    costs_in_words,
    machines_in_words,
    present_command,
    profile_in_words,
)
from adaptrnn.report.picture import merge, webp
from adaptrnn.storage import write_atomic

__all__ = ["write_docs"]


def write_docs(results: Path, docs: Path) -> list[Path]:
    """Write reference/results.md, reference/figures.md, reference/paper-map.md and the figures.

    Args:
        results: folder of the results, see `adaptrnn.paper.store`.
        docs: folder of the documentation.

    Returns:
        The pages.
    """
    tables, runs, manifest = read_results(results)
    tables = with_used_rates(tables, runs)
    found = [
        (verdict, name)
        for name, item in ITEMS.items()
        if name in tables
        for verdict in item.judge(tables[name])
    ]
    verdicts = in_words(in_order(found, tables), runs)
    opening = findings(tables, verdicts, runs)
    figures = docs / "images" / "results"
    draws = {f"opening-{one.name}": one.draw for one in opening}
    draws |= {n: partial(item.draw, tables[n]) for n, item in ITEMS.items() if n in tables}
    files = {name: _picture(figures, name, draw) for name, draw in draws.items()}
    pages = {
        "reference/results.md": _results(tables, runs, manifest, verdicts, opening, files),
        "reference/figures.md": _contact_sheet(manifest, verdicts, files),
        "reference/paper-map.md": _map(manifest["profile"], verdicts),
    }
    for name, text in pages.items():
        write_atomic(docs / name, text.encode())
    return [docs / name for name in pages]


def _picture(folder: Path, name: str, draw: Callable[[], Figure]) -> str:
    """Write a drawing as SVG, for light and dark pages, or as WebP if that is smaller.

    Returns:
        The name of the file.
    """
    drawing = Drawing(draw)
    image = webp(drawing.save("png"), PAGE_WIDTH)
    vector = merge(drawing.save("svg"), drawing.save("svg", dark=True))
    if vector is not None and len(vector) >= len(image):
        vector = None
    for old in folder.glob(f"{name}.*"):
        old.unlink()
    file = f"{name}.webp" if vector is None else f"{name}.svg"
    write_atomic(folder / file, vector or image)
    return file


PAGE_WIDTH = 900
"""Pixels across an image: a page of the documentation is narrower."""


def _contact_sheet(
    manifest: Mapping[str, Any],
    verdicts: Sequence[tuple[Verdict, str]],
    files: Mapping[str, str],
) -> str:
    """All figures on one page, each with what it says and the command that draws it."""
    profile, marks = manifest["profile"], manifest.get("marks", {})
    lines = [
        "# All figures",
        "",
        f"These are all figures of profile `{profile}`: what came out, what is seen, and the "
        "command that draws the figure again. A click on a picture opens it alone. "
        "[Which claims hold](results.md) has the numbers behind each. This page was written by "
        f"`adaptrnn report results/{profile} --docs docs`.",
        "",
        '<div class="sheet" markdown="1">',
        "",
    ]
    places = list(zip(anchors(verdicts), verdicts, strict=True))
    for name, item in ITEMS.items():
        if name not in files:
            continue
        seen, path = html.escape(item.alt or item.title), f"../images/results/{files[name]}"
        said = [
            (f"{SIGNS[one.outcome]} [{one.claim.id}](results.md#{anchor})", one)
            for anchor, (one, of) in places
            if of == name
        ]
        if said:
            mark, first = said[0]
            sentence = f"{mark}, {first.outcome}: {_cell(first.claim.text)}"
            sentence += "".join(f" {mark}, {one.outcome}." for mark, one in said[1:])
        else:
            sentence = _cell(item.caption.partition(". ")[0].rstrip(".") + ".")
        if name in marks:
            sentence += f" [Not to be trusted as it is.](results.md#{name})"
        runs = f" runs/{profile}/*" if item.roles else ""
        lines += [
            '<div markdown="1">',
            "",
            f"**[{_cell(item.title)}](results.md#{name})**",
            "",
            f'<a href="{path}"><img src="{path}" alt="{seen}" width="420" loading="lazy"></a>',
            "",
            sentence,
            "",
            f"<small>What is seen: {seen}</small>",
            "",
            f"`{item.made_by or f'adaptrnn figure {name}{runs}'}`",
            "",
            "</div>",
            "",
        ]
    return "\n".join([*lines, "</div>"]) + "\n"


def _results(
    tables: dict[str, xr.Dataset],
    runs: pd.DataFrame,
    manifest: dict[str, Any],
    verdicts: list[tuple[Verdict, str]],
    opening: list[Finding],
    files: Mapping[str, str],
) -> str:
    profile, machine = manifest["profile"], manifest["processor"]
    recorded = manifest.get("command", "")
    tally = {o: sum(verdict.outcome == o for verdict, _ in verdicts) for o in OUTCOMES}
    wall = f"{hours(manifest['wall_seconds'])} in all, " if "wall_seconds" in manifest else ""
    if manifest.get("sittings", 1) > 1:
        wall += f"in {manifest['sittings']} sittings, "
    lines = ["# Which claims hold", "", " ".join(headline(verdicts, runs)), ""]
    for one in opening:
        lines += _finding(one, files[f"opening-{one.name}"])
    lines += [
        "A number is a mean over seeds (of a ratio the geometric mean), with its 95% interval. "
        "“Includes” says that the seeds are too few to exclude that value.",
        "",
        "## Map of verdicts",
        "",
        "| where in the paper | verdicts |",
        "| --- | --- |",
    ]
    for name, cells in groups(verdicts).items():
        marks = (
            f"[{_SQUARES[verdict.outcome]}{SIGNS[verdict.outcome]} {verdict.claim.id}](#{anchor})"
            for anchor, verdict in cells
        )
        lines.append(f"| {name} | {' · '.join(marks)} |")
    counts = (
        f"{_SQUARES[outcome]}{SIGNS[outcome]} {count} {outcome}"
        for outcome, count in tally.items()
        if count
    )
    lines += ["", ", ".join(counts) + ".", ""]
    if manifest["missing"]:
        lines += ["Missing:", ""]
        lines += [f"- {name}: {reason}" for name, reason in manifest["missing"].items()] + [""]
    lines += [
        "## Claim by claim",
        "",
        f"{LEGEND} Each row opens on a click.",
        "",
    ]
    for anchor, (verdict, name) in zip(anchors(verdicts), verdicts, strict=True):
        lines += _claim(verdict, name, anchor)
    lines += [
        "## How this page was made",
        "",
        f"Profile `{profile}`: {profile_in_words(profile, manifest['summary'])}. This page was "
        f"written by a command from the tables in `results/{profile}`. They are made by",
        "",
        "```console",
        present_command(profile, recorded),
        f"adaptrnn report results/{manifest['profile']} --docs docs",
        "```",
        "",
        f"There are {len(runs)} networks. "
        + " ".join(
            [
                machines_in_words(manifest.get("machines", {})),
                f"The tables were collected on {machine['name']}, {machine['cores']} cores, "
                f"{machine['memory_gb']:g} GB. The recorded costs are: {wall}"
                f"{costs_in_words(manifest['jobs'])}.",
                *caveats(profile, recorded, manifest["jobs"], len(runs)),
            ]
        ).strip(),
        "",
        "The figures are drawn again, and the report is written, from the tables alone by "
        f"`adaptrnn reproduce --from-results results/{manifest['profile']}`.",
        "",
    ]
    lines += ["## What was changed, and why", "", RULE, ""]
    lines += _table(changes(verdict for verdict, _ in verdicts))
    lines += ["", "## Where the released scripts differ from the paper's text", ""]
    lines += _table(difference_table(tables))
    lines += ["", "## Figures", ""]
    for name, item in ITEMS.items():
        if name not in tables:
            continue
        lines += [f'<a id="{name}"></a>', "", f"### {item.title}", ""]
        seen = _cell(item.alt or item.title)
        lines += [f"![{seen}](../images/results/{files[name]})", "", item.caption, ""]
        if name in manifest.get("marks", {}):
            lines += [f"**Not to be trusted as it is.** {manifest['marks'][name]}", ""]
        if item.table is not None:
            lines += ["", *_table(item.table(tables[name]))]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


_SQUARES = {"reproduced": "🟦", "partly": "🟨", "not": "🟥"} | dict.fromkeys(OUTCOMES[3:], "⬜")
"""Colours that a page of plain Markdown can show."""


def _finding(one: Finding, file: str) -> list[str]:
    """One of the four findings: what the paper says, a picture, a sentence and its numbers."""
    lines = [
        f"### {one.claim}",
        "",
        f"![{_cell(one.alt)}](../images/results/{file})",
    ]
    lines += ["", one.sentence, ""]
    for number in one.numbers:
        part = number.part
        value = f"**{part.number}**" if part.number else "No number"
        interval = f" ({part.interval})" if part.interval else ""
        lines.append(
            f"- {value}{interval}: {_cell(part.quantity)}. [{number.claim}](#{number.anchor}): "
            f"{SIGNS[number.outcome]} {number.outcome}"
        )
    return [*lines, ""]


def _claim(verdict: Verdict, name: str, anchor: str) -> list[str]:
    """One claim, folded: what is judged, what is checked, what is shown."""
    claim, first = verdict.claim, row_number(verdict)
    number = f" <strong>{_html(first.number)}</strong> {_html(first.quantity)}" if first else ""
    lines = [
        f'<details id="{anchor}" markdown="1">',
        f"<summary>{_SQUARES[verdict.outcome]}{SIGNS[verdict.outcome]} <strong>{claim.id}</strong> "
        f"{verdict.outcome}: {_html(claim.text)}{number}</summary>",
        "",
        f"{_cell(claim.place)}. [Figure](#{name})",
        "",
        f"Criterion: {_cell(claim.criterion)}."
        + (f" Not trained enough: {_cell(verdict.untrained)}" if verdict.untrained else ""),
        "",
    ]
    if verdict.parts:
        lines += [*_parts("judged", verdict.parts), ""]
    for check in verdict.checks:
        text = f"{check.number}, {_MARK[check.holds]}" if check.number else "no data"
        lines += [f"Check of the code: {_cell(check.quantity)}: {text}.", ""]
    if verdict.shown:
        lines += [*_parts("also shown, without deciding", verdict.shown), ""]
    if verdict.note:
        lines += [_cell(verdict.note), ""]
    return [*lines, "</details>", ""]


def _parts(heading: str, parts: Sequence[Part]) -> list[str]:
    rows = [(p.quantity, p.number, p.interval, p.spread, _MARK[p.holds]) for p in parts]
    header = (heading, "mean over seeds", "95% interval", "least to greatest (n)", "holds")
    return _table(Table(header, tuple(rows)))


def _table(table: Table) -> list[str]:
    lines = ["| " + " | ".join(table.header) + " |", "|" + " --- |" * len(table.header)]
    return lines + ["| " + " | ".join(map(_cell, row)) + " |" for row in table.rows]


_MARK = {"yes": "yes", "weakly": "weakly", "no": "**no**", "no data": "no data", "": ""}


def _map(profile: str, verdicts: list[tuple[Verdict, str]]) -> str:
    lines = [
        "# Map of the paper",
        "",
        "This page says where each equation and each claim of the paper is computed, which test "
        "holds it to a ground truth, which command shows it, and what came out of profile "
        f"`{profile}`. It was written by `adaptrnn report results/{profile} --docs docs`.",
        "",
        "## Equations",
        "",
        "| equation | function | test |",
        "| --- | --- | --- |",
    ]
    lines += [f"| {_cell(text)} | `{function}` | `{test}` |" for text, function, test in EQUATIONS]
    lines += [
        "",
        "## Claims",
        "",
        "| claim | figure | functions | tests | command | ours | verdict |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for verdict, name in verdicts:
        item = ITEMS[name]
        functions = "<br>".join(f"`{one}`" for one in item.functions)
        tests = "<br>".join(f"`{one}`" for one in item.tests)
        runs = f" runs/{profile}/*" if item.roles else ""
        first = row_number(verdict) if verdict.parts else None
        number = f"{_cell(first.quantity)}: {first.number}" if first else ""
        lines.append(
            f"| [{verdict.claim.id}](results.md#{name}) | {_cell(verdict.claim.place)} "
            f"| {functions} | {tests} | `adaptrnn figure {name}{runs}` | {number} "
            f"| {verdict.outcome} |"
        )
    return "\n".join(lines) + "\n"


def _html(text: str) -> str:
    """A text within HTML, on one line."""
    return html.escape(text.replace("\n", " "), quote=False)


def _cell(text: str) -> str:
    """A text that breaks no table."""
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
