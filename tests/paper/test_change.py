"""The table of changed criteria: each has a claim, and says what decides now."""

from __future__ import annotations

from adaptrnn.paper.catalogue import ITEMS
from adaptrnn.paper.change import CHANGES, changes
from adaptrnn.paper.item import Item
from adaptrnn.paper.verdict import OUTCOMES, Claim, Part, Verdict


def claims_of(item: Item) -> set[str]:
    """The claims that an item judges, from the file that it is in."""
    names = vars(__import__(item.judge.__module__, fromlist=["judge"]))
    return {value.id for value in names.values() if isinstance(value, Claim)}


def test_every_change_is_of_a_claim_that_is_judged():
    judged = set().union(*map(claims_of, ITEMS.values()))
    assert CHANGES.keys() <= judged
    for change in CHANGES.values():
        assert set(change.verdict.split(", ")) <= set(OUTCOMES)


def test_a_row_has_the_verdicts_of_now_and_no_row_is_made_up():
    claim = Claim("E03", "Table 1", "text", "the criterion of now")
    parts = [(Part("q", "1", "", "", holds),) for holds in ("yes", "no")]
    other = Verdict(Claim("E99", "", "", ""), parts[0])
    table = changes([Verdict(claim, part) for part in parts] + [other])
    (row,) = table.rows
    assert len(row) == len(table.header)
    assert row[0].startswith("E03") and row[3] == "the criterion of now"
    assert row[4] == "reproduced, not"
