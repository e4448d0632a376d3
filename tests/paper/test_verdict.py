"""Verdicts: each outcome is reached by numbers planted for it, and by no others."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from adaptrnn.paper.verdict import Claim, Part, part, verdict

CLAIM = Claim("E00", "Fig 0", "It holds.", "x > 0")


def outcome(*holds):
    return verdict(CLAIM, [Part("q", "1", "", value) for value in holds]).outcome


def test_outcome_from_parts():
    assert outcome("yes", "yes") == "reproduced"
    assert outcome("yes", "no") == "partly"
    assert outcome("on average") == "partly"
    assert outcome("yes", "on average") == "partly"
    assert outcome("no", "no") == "not"
    assert outcome("yes", "no data") == "no data"
    assert outcome() == "no data"


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=6))
def test_part_holds_by_seeds_then_by_their_mean(values):
    found = part("q", values, lambda v: v > 0).holds
    if min(values) > 0:
        assert found == "yes"
    else:
        assert found == ("on average" if np.mean(values) > 0 else "no")


def test_part_leaves_out_missing_seeds_and_says_how_many_there_are():
    found = part("q", [1.0, np.nan, 3.0], lambda v: v > 0, " pp", "+.1f")
    assert found == Part("q", "+2.0 pp", "+1.0 to +3.0 (2)", "yes")
    assert part("q", [np.nan], lambda v: v > 0).holds == "no data"
    assert part("q", [-0.0], lambda v: v > 0, digits="+.1f").number == "0.0"
