"""Figure 1: the equalities hold, and a network that breaks them is found out."""

import pytest

from adaptrnn.paper import figure1


@pytest.fixture(scope="module")
def wired():
    return figure1.measure_wiring(draws=2)


def test_gamma_family(holds):
    found = holds(figure1.ITEM, figure1.measure())
    assert [v.outcome for v in found] == ["reproduced"]


def test_wiring_holds_for_random_networks(wired, holds):
    found = holds(figure1.WIRING, wired)
    assert [v.outcome for v in found] == ["reproduced"]


@pytest.mark.parametrize("name", ["static", "permuted", "foreign"])
def test_each_broken_equality_is_seen(wired, name):
    data = wired.assign({name: wired[name] + 1e-6})
    assert [v.outcome for v in figure1.judge_wiring(data)] == ["partly"]


def test_all_broken():
    data = figure1.measure_wiring(draws=1) + 1e-6
    assert figure1.judge_wiring(data.assign(own=0 * data.own))[0].outcome == "not"
