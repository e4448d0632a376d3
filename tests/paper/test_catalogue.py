"""The catalogue: every row of the paper once, and nothing named that is not there."""

import importlib
import re
from pathlib import Path

import pytest

from adaptrnn.laboratory.protocol import ANALYSES
from adaptrnn.paper.catalogue import ITEMS
from adaptrnn.paper.verdict import Claim

ROOT = Path(__file__).parents[2]


def claims() -> set[int]:
    """Numbers of all rows that have a claim, e.g. from "E10, E11" or "E20-23"."""
    names = {path.stem for path in (ROOT / "src/adaptrnn/paper").glob("*.py")} - {"__init__"}
    values = [
        value
        for name in names
        for value in vars(importlib.import_module(f"adaptrnn.paper.{name}")).values()
    ]
    found: set[int] = set()
    for claim in (value for value in values if isinstance(value, Claim)):
        for first, last in re.findall(r"E(\d\d)(?:[-\N{EN DASH}]E?(\d\d))?", claim.id):
            found |= set(range(int(first), int(last or first) + 1))
    return found


def test_every_row_of_the_paper_has_a_claim():
    # E36 and E41 do not exist; S7 and S8 are described nowhere
    assert claims() == set(range(1, 45)) - {9, 36, 41}


@pytest.mark.parametrize("item", ITEMS.values(), ids=list(ITEMS))
def test_what_an_item_names_is_there(item):
    assert set(item.analyses) <= set(ANALYSES)
    for name in item.functions:
        module, _, function = name.rpartition(".")
        assert callable(getattr(importlib.import_module(module), function)), name
    for name in item.tests:
        assert (ROOT / name).is_file(), name
    assert item.functions and item.tests
    assert all(ANALYSES[name].models for name in item.analyses)
    if item.variant != "transplant":
        assert all(set(item.models) <= set(ANALYSES[name].models) for name in item.analyses)


@pytest.mark.parametrize("item", ITEMS.values(), ids=list(ITEMS))
def test_every_figure_says_what_is_seen(item):
    """For readers who cannot see it: whole sentences, and neither its title nor its caption."""
    assert len(item.alt.split()) >= 12 and item.alt.endswith(".")
    assert item.alt not in item.caption and not item.alt.startswith(item.title)


@pytest.mark.parametrize("item", ITEMS.values(), ids=list(ITEMS))
def test_every_caption_is_whole_sentences(item, whole):
    assert whole(item.caption)
