"""Pages of the documentation written from results: what came out, and where each claim is computed.

docs/results.md     every claim, the number, its spread, the verdict
docs/paper-map.md   equation, figure, claim -> function -> test -> command -> number
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr
from PIL import Image

from adaptrnn.figure.style import render
from adaptrnn.paper.catalogue import ITEMS
from adaptrnn.paper.cost import hours
from adaptrnn.paper.equations import EQUATIONS
from adaptrnn.paper.store import read_results
from adaptrnn.paper.verdict import OUTCOMES, Verdict
from adaptrnn.report.differences import differences
from adaptrnn.run import write_atomic

__all__ = ["write_docs"]


def write_docs(results: Path, docs: Path) -> list[Path]:
    """Write results.md, with its figures, and paper-map.md.

    Args:
        results: folder of the results, see `adaptrnn.paper.store`.
        docs: folder of the documentation.

    Returns:
        The pages.
    """
    tables, runs, manifest = read_results(results)
    verdicts = [
        (verdict, name)
        for name, item in ITEMS.items()
        if name in tables
        for verdict in item.judge(tables[name])
    ]
    verdicts.sort(key=lambda pair: pair[0].claim.id)
    figures = docs / "images" / "results"
    for name, item in ITEMS.items():
        if name in tables:
            write_atomic(figures / f"{name}.png", _small(render(item.draw, tables[name], "png")))
    pages = {
        "results.md": _results(tables, runs, manifest, verdicts),
        "paper-map.md": _map(manifest["profile"], verdicts),
    }
    for name, text in pages.items():
        write_atomic(docs / name, text.encode())
    return [docs / name for name in pages]


def _small(png: bytes) -> bytes:
    """The picture with 128 colours: a third of the bytes, and these drawings lose nothing."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    content = io.BytesIO()
    picture.quantize(128).save(content, "png", optimize=True)
    return content.getvalue()


def _results(
    tables: dict[str, xr.Dataset],
    runs: pd.DataFrame,
    manifest: dict[str, Any],
    verdicts: list[tuple[Verdict, str]],
) -> str:
    machine, jobs = manifest["processor"], dict(manifest["jobs"])
    disk = jobs.pop("disk", {})
    tally = {o: sum(verdict.outcome == o for verdict, _ in verdicts) for o in OUTCOMES}
    wall = f"{hours(manifest['wall_seconds'])} in all, " if "wall_seconds" in manifest else ""
    if manifest.get("sittings", 1) > 1:
        wall += f"in {manifest['sittings']} sittings, "
    spent = "; ".join(
        f"{step} {one['jobs']} jobs, {hours(one['seconds'])}" for step, one in jobs.items()
    )
    lines = [
        "# Which claims hold",
        "",
        f"Profile `{manifest['profile']}`: {manifest['summary']}. Written by a command from the "
        f"tables in `results/{manifest['profile']}`, which was made by",
        "",
        "```console",
        manifest.get("command", ""),
        f"adaptrnn report results/{manifest['profile']} --docs docs",
        "```",
        "",
        f"on {machine['name']}, {machine['cores']} cores, {machine['memory_gb']:g} GB: {wall}"
        f"{len(runs)} networks; {spent}; {disk.get('megabytes', 0):g} MB of disk. The figures are "
        "drawn again, and the report is written, from the tables alone by "
        f"`adaptrnn reproduce --from-results results/{manifest['profile']}`.",
        "",
        "The criteria are this project's, not the paper's. Reproduced: every part holds in every "
        "seed; partly: some part holds, at least on average; not: none does.",
        "",
        ", ".join(f"{count} {outcome}" for outcome, count in tally.items() if count) + ".",
        "",
        "| claim | paper | verdict | ours: quantity, mean (spread; n) |",
        "| --- | --- | --- | --- |",
    ]
    for verdict, name in verdicts:
        parts = "<br>".join(
            f"{_cell(p.quantity)}: {p.number}"
            + (f" ({p.spread})" if p.spread else "")
            + f" {_MARK[p.holds]}"
            for p in verdict.parts
        )
        claim = verdict.claim
        lines.append(
            f"| [{claim.id}](#{name}) {_cell(claim.place)} | {_cell(claim.text)} Criterion: "
            f"{_cell(claim.criterion)}. | {verdict.outcome} | {parts} |"
        )
    if manifest["missing"]:
        lines += ["", "Missing:", ""]
        lines += [f"- {name}: {reason}" for name, reason in manifest["missing"].items()]
    lines += ["", "## Where the released scripts differ from the paper's text", ""]
    table = differences(tables)
    lines += ["| " + " | ".join(table.header) + " |", "| --- | --- | --- | --- |"]
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in table.rows]
    lines += ["", "## Figures", ""]
    for name, item in ITEMS.items():
        if name not in tables:
            continue
        lines += [f'<a id="{name}"></a>', "", f"### {item.title}", ""]
        lines += [f"![{item.title}](images/results/{name}.png)", "", item.caption, ""]
        if name in manifest.get("marks", {}):
            lines += [f"**Not to be trusted as it is.** {manifest['marks'][name]}", ""]
        notes = [(v.claim.id, v.note) for v, owner in verdicts if owner == name and v.note]
        lines += [f"- {claim}: {note}" for claim, note in notes]
        if item.table is not None:
            found = item.table(tables[name])
            lines += ["", "| " + " | ".join(found.header) + " |"]
            lines += ["|" + " --- |" * len(found.header)]
            lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in found.rows]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


_MARK = {"yes": "yes", "on average": "on average", "no": "**no**", "no data": "no data"}


def _map(profile: str, verdicts: list[tuple[Verdict, str]]) -> str:
    lines = [
        "# Map of the paper",
        "",
        "Where each equation and each claim of the paper is computed, which test holds it to a "
        f"ground truth, which command shows it, and what came out of profile `{profile}`. Written "
        f"by `adaptrnn report results/{profile} --docs docs`.",
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
        first = verdict.parts[0] if verdict.parts else None
        number = f"{_cell(first.quantity)}: {first.number}" if first else ""
        lines.append(
            f"| [{verdict.claim.id}](results.md#{name}) | {_cell(verdict.claim.place)} "
            f"| {functions} | {tests} | `adaptrnn figure {name}{runs}` | {number} "
            f"| {verdict.outcome} |"
        )
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """A text that breaks no table."""
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
