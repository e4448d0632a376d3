"""Verdicts: each outcome is reached by numbers planted for it, and by no others."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from adaptrnn.paper.verdict import Claim, Part, part, verdict

CLAIM = Claim("E00", "Fig 0", "It holds.", "x > 0")


def judged(*holds):
    return [Part("q", "1", "", "", value) for value in holds]


def outcome(*holds):
    return verdict(CLAIM, judged(*holds)).outcome


def test_outcome_from_parts():
    assert outcome("yes", "yes") == "reproduced"
    assert outcome("yes", "no") == "partly"
    assert outcome("weakly") == "partly"
    assert outcome("yes", "weakly") == "partly"
    assert outcome("no", "no") == "not"
    assert outcome("yes", "no data") == "no data"
    assert outcome() == "no data"


def test_what_is_shown_or_checked_never_decides():
    against = judged("no", "no")
    assert verdict(CLAIM, judged("yes"), against, against).outcome == "reproduced"
    assert verdict(CLAIM, judged("no"), judged("yes"), judged("yes")).outcome == "not"
    assert verdict(CLAIM, shown=against).outcome == "not judged"
    # a shown part without a number is left out, and leaves nothing to show
    assert verdict(CLAIM, shown=[part("q", [np.nan])]).outcome == "no data"


@pytest.mark.parametrize("holds", ["yes", "weakly", "no"])
def test_a_network_that_has_not_learned_is_not_judged(holds):
    one = dataclasses.replace(verdict(CLAIM, judged(holds)), untrained="psMNIST: GRU 12%.")
    assert one.outcome == "not trained enough"
    none = dataclasses.replace(verdict(CLAIM, judged("no data")), untrained="psMNIST: GRU 12%.")
    assert none.outcome == "no data"


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=6))
def test_a_part_holds_by_one_standard_error_of_the_mean(values):
    found = part("q", values, above=0).holds
    mean, error = np.mean(values), stats.sem(values)
    if mean <= 0:
        assert found == "no"
    elif mean > error * (1 + 1e-9):
        assert found == "yes"
    elif mean < error * (1 - 1e-9):
        assert found == "weakly"


def test_directions_of_thresholds():
    values = [1.0, 1.0, 1.0]
    assert part("q", values, least=1.0).holds == "yes"
    assert part("q", values, above=1.0).holds == "no"
    assert part("q", values, most=1.0).holds == "yes"
    assert part("q", values, below=1.0).holds == "no"
    assert part("q", values, below=1.1).holds == "yes"
    assert part("q", values).holds == ""


def test_one_seed_cannot_hold_by_a_standard_error_but_an_exact_value_can():
    assert part("q", [3.0], above=0).holds == "weakly"
    assert part("q", [3.0], above=0).spread == "one seed"
    assert part("q", 3.0, above=0).holds == "yes"
    assert part("q", [-3.0], above=0).holds == part("q", -3.0, above=0).holds == "no"


def test_the_interval_is_students_and_says_when_it_includes_the_threshold():
    values = [1.0, 2.0, 3.0]
    half = stats.t.ppf(0.975, 2) / math.sqrt(3)  # sd 1, n = 3
    assert part("q", values, above=0).interval == f"{2 - half:.2f} to {2 + half:.2f}, includes 0"
    assert part("q", values, above=-1).interval == f"{2 - half:.2f} to {2 + half:.2f}"


def test_ratios_are_compared_by_their_logarithms():
    found = part("q", [1.0, 100.0], "", ".0f", least=5, ratio=True)
    assert found.number == "10"  # geometric mean; sem of log10 is 1, so less than one above
    assert found.holds == "weakly"
    assert part("q", [9.0, 10.0, 12.0], least=10, ratio=True).holds == "weakly"
    # a weaker threshold counts as partly
    assert part("q", [6.0, 7.0], least=10, partly=5, ratio=True).holds == "weakly"
    assert part("q", [4.0, 4.5], least=10, partly=5, ratio=True).holds == "no"
    assert part("q", [40.0, 45.0], least=10, partly=5, ratio=True).holds == "yes"


def test_part_leaves_out_missing_seeds_and_says_how_many_there_are():
    found = part("q", [1.0, np.nan, 3.0], " pp", "+.1f", above=0)
    assert (found.number, found.spread, found.holds) == ("+2.0 pp", "+1.0 to +3.0 (2)", "yes")
    assert part("q", [np.nan], above=0).holds == "no data"
    assert part("q", [np.nan]).holds == ""
    assert part("q", [-0.0], "", "+.1f", above=0).number == "0.0"
