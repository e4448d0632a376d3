"""Write the page's pieces as HTML. Every text is escaped: names and facts of a run are not ours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import xarray as xr

from adaptrnn.explore.curve import EPSILON, Numbers
from adaptrnn.explore.neuron import PLAN

__all__ = ["card", "curve_tiles", "note", "number", "orders_table"]

NAMES = ("first", "second", "third", "fourth")


def number(value: float, digits: int = 3) -> str:
    """Write a number with a count of decimals, or a dash for none.

    Example:
        >>> number(0.12345), number(-0.0001), number(float("nan"))
        ('0.123', '0.000', '–')
    """
    if not math.isfinite(value):
        return "–"
    return f"{round(value, digits) + 0.0:.{digits}f}"  # + 0.0: no minus before zero


def note(text: str, kind: str = "plain") -> str:
    """Write a line of text, of kind "plain" or "warning".

    Example:
        >>> note("<b>")
        '<p class="adaptrnn-note adaptrnn-plain">&lt;b&gt;</p>'
    """
    return f'<p class="adaptrnn-note adaptrnn-{escape(kind)}">{escape(text)}</p>'


def curve_tiles(found: Numbers, x: float) -> str:
    """Write the numbers of one f-I curve at the current x."""
    grows = found.slope > 1
    tiles = (
        ("rate", f"rate γ at x = {x:g}", found.rate, ""),
        (
            "slope",
            f"slope γ′ at x = {x:g}",
            found.slope,
            "noise grows" if grows else "noise does not grow",
        ),
        (
            "steepest",
            "steepest slope",
            found.steepest,
            "expands somewhere" if found.steepest > 1 else "contracts everywhere",
        ),
        ("edge", f"s on Λ({x:g}) at this n", found.edge, f"there the slope is 1 − {EPSILON}"),
    )
    return _tiles([(f"adaptrnn-{name}", label, number(v), text) for name, label, v, text in tiles])


def orders_table(seen: xr.Dataset, found: xr.Dataset) -> str:
    """Write what neurons do at the end of the drive, and the orders of their rates.

    Args:
        seen: of `neuron.neuron_signals`.
        found: of `neuron.order_curves`.

    Returns:
        A table with one row a neuron.
    """
    last = seen.isel(time=PLAN.drive[1] - 1)
    head = ("neuron", "n", "s", "slope γ′", "order, paper's", "memoryless", "order, scale-free")
    rows = []
    for row, neuron in enumerate(seen.neuron.values.tolist()):
        end, paper = last.isel(neuron=row), found.isel(estimator=0, neuron=row)
        free = found.isel(estimator=1, neuron=row)
        values = [end.n, end.s, end.slope, paper.order, paper.null_order, free.order]
        edges = [0, 0, 0, paper.at_edge, 0, free.at_edge]
        texts = [
            ("≥ " if value > 0 else "≤ ") + number(float(value), 2)
            if float(edge) == 1
            else number(float(value), 3 if column < 3 else 2)
            for column, (value, edge) in enumerate(zip(values, edges, strict=True))
        ]
        mark = f'<span class="adaptrnn-mark adaptrnn-{NAMES[row]}"></span>{neuron}'
        cells = "".join(
            f'<td id="adaptrnn-{neuron}-{column}">{escape(text)}</td>'
            for column, text in enumerate(texts)
        )
        rows.append(f"<tr><th>{mark}</th>{cells}</tr>")
    top = "".join(f"<th>{escape(text)}</th>" for text in head)
    body = "".join(rows)
    table = f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody>"
    table = f'<table class="adaptrnn-numbers">{table}</table>'
    # it scrolls on a narrow screen, so it can be reached by the keyboard
    named = 'class="adaptrnn-table" tabindex="0" role="group" aria-label="neurons under the drive"'
    return f"<div {named}>{table}</div>"


def card(facts: Mapping[str, str]) -> str:
    """Write what is known of a network.

    Example:
        >>> "<script>" in card({"task": "<script>alert(1)</script>"})
        False
    """
    items = "".join(
        f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in facts.items()
    )
    return f'<dl class="adaptrnn-card">{items}</dl>'


def _tiles(tiles: Sequence[tuple[str, str, str, str]]) -> str:
    """Each an id, a label, a value and a few words."""
    parts = [
        f'<div class="adaptrnn-tile"><span>{escape(label)}</span>'
        f'<b id="{escape(name)}">{escape(value)}</b><small>{escape(text)}</small></div>'
        for name, label, value, text in tiles
    ]
    return f'<div class="adaptrnn-tiles">{"".join(parts)}</div>'
