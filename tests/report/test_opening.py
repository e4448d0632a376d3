"""The opening: numbers planted in tables come out in words, and what is missing is said."""

import dataclasses
import importlib

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from adaptrnn.figure.style import Drawing
from adaptrnn.paper.catalogue import ITEMS
from adaptrnn.paper.verdict import Claim, Part, Verdict
from adaptrnn.report.opening import findings, group, groups, headline, in_words, row_number

NO_RUNS = pd.DataFrame({"role": [], "task": [], "steps": []})
DIGITS = pd.DataFrame({"role": ["psmnist"], "task": ["digits"], "steps": [64]})
OPENING = {
    "table1": {"E06": "partly", "E07": "reproduced", "E08": "partly"},
    "fig2-drive": {"E10": "partly", "E11": "partly"},
    "fig2-contrast": {"E12": "partly", "E13": "not"},
    "s13-maps": {"E39": "partly"},
    "fig3-scaling": {"E16": "reproduced", "E17": "not", "E18": "partly"},
    "fig4-step": {"E19": "partly"},
    "fig4-orders": {"E20-23": "reproduced"},
    "fig4-tasks": {"E24": "partly"},
    "fig5-manifold": {"E26": "reproduced"},
    "fig5-levels": {"E27": "reproduced"},
    "prop1": {"E28": "reproduced"},
    "fig5-lyapunov": {"E29, E30": "not"},
    "fig5-spectrum": {"E31": "partly"},
    "s18-gradients": {"E43": "partly"},
    "fig3-heterogeneity": {"E14": "reproduced"},
    "b3-rotated": {"E15": "partly"},
    "s6-grid": {"E35": "partly"},
    "b1-shared": {"E40": "reproduced"},
}
"""The verdicts of night, by the item that they rest on."""
HOLDS = {"reproduced": "yes", "partly": "weakly", "not": "no", "no data": "no data"}


def verdict(name="E01", outcome="reproduced", place="Fig 1a", quantity="q"):
    part = Part(quantity, "" if outcome == "no data" else "1", "", "", HOLDS[outcome])
    return Verdict(Claim(name, place, "a claim", "a criterion"), (part,), note="Mean on psMNIST.")


def curves(**levels):
    """Accuracy that is the same at every drive, by model."""
    xi, seeds = [0.0, 1.0, 5.0, 30.0], [0, 1]
    values = [np.full((2, 4), level) for level in levels.values()]
    coords = {"role": ["psmnist"], "model": list(levels), "seed": seeds, "xi": xi}
    dims = ("role", "model", "seed", "xi")
    accuracy = xr.DataArray(np.array(values)[None], coords, dims)
    return xr.Dataset({"accuracy": accuracy, "loss": 1 + 0 * accuracy, "images": accuracy})


def test_the_mean_over_the_drive_is_said_for_each_network_and_the_best_is_named():
    results = {"fig2-drive": curves(arun=0.8, gamma=0.4, relu=0.2)}
    robust = findings(results, [], DIGITS)[0]
    assert "80% for ARUN, 40% for RNN+gamma and 20% for RNN (ReLU)" in robust.sentence
    assert "(8x8 digits, 64 steps)" in robust.sentence and "Best of all" not in robust.sentence
    assert Drawing(robust.draw).save("svg").count(b"<image") == 1  # a digit
    results = {"fig2-drive": curves(arun=0.8, gru=0.9)}
    assert "Best of all is GRU with 90%" in findings(results, [], DIGITS)[0].sentence


def test_the_number_that_carries_it_is_the_least_and_leads_to_its_row():
    results = {"fig2-drive": curves(arun=0.8, gamma=0.4, relu=0.2)}
    judged = ITEMS["fig2-drive"].judge(results["fig2-drive"])
    pairs = [(one, "fig2-drive") for one in judged]
    (number,) = findings(results, pairs, DIGITS)[0].numbers
    assert number.part.number == "+40.0 pp" and "RNN+gamma" in number.part.quantity
    assert number.anchor == "claim-E10-fig2-drive" and number.claim == "E10"


def test_without_tables_each_says_so_and_is_drawn():
    found = findings({}, [], NO_RUNS)
    assert [one.name for one in found] == ["robust", "biology", "why", "learned"]
    for one in found:
        assert one.claim.startswith("The paper ")
        assert one.sentence.startswith("Our runs say nothing about ") and not one.numbers
        assert ", because numbers are missing. This profile has no " in one.sentence
        assert Drawing(one.draw).save("svg").startswith(b"<?xml")


@pytest.mark.parametrize(
    ("outcomes", "sentence"),
    [
        (
            ("reproduced",) * 3,
            "Our runs agree with the paper on the manifold of the controller's states (E26), the "
            "slope at the drive (E27) and the largest exponent (E29, E30). Our runs say nothing "
            "about the variance of a neuron's output (E28), ",
        ),
        (
            ("reproduced", "partly", "not"),
            "Our runs agree with the paper on the manifold of the controller's states (E26). They "
            "agree only in part on the slope at the drive (E27). They do not agree on the largest "
            "exponent (E29, E30). Our runs say nothing about ",
        ),
        (
            ("partly", "no data", "partly"),
            "Our runs agree with the paper only in part on the manifold of the controller's states "
            "(E26) and the largest exponent (E29, E30). Our runs say nothing about the slope at "
            "the drive (E27), ",
        ),
        (
            ("not", "not trained enough", "not judged"),
            "Our runs do not agree with the paper on the manifold of the controller's states "
            "(E26). Our runs say nothing about the slope at the drive (E27), because a network has "
            "not learned its task. ",
        ),
    ],
)
def test_the_first_sentence_says_whether_our_runs_agree(outcomes, sentence):
    claims = [("E26", "manifold"), ("E27", "levels"), ("E29, E30", "lyapunov")]
    pairs = []
    for (name, item), outcome in zip(claims, outcomes, strict=True):
        untrained = outcome == "not trained enough"
        one = verdict(name, "not" if untrained or outcome == "not judged" else outcome)
        if untrained:
            one = dataclasses.replace(one, untrained="ARUN")
        if outcome == "not judged":
            one = dataclasses.replace(one, parts=(), shown=one.parts)
        assert one.outcome == outcome
        pairs.append((one, f"fig5-{item}"))
    why = next(one for one in findings({}, pairs, NO_RUNS) if one.name == "why")
    assert why.sentence.startswith(sentence)
    assert "near 0" in why.claim and why.claim.startswith("The paper explains")


def test_every_verdict_of_a_topic_is_in_its_sentence():
    """No claim of the figures that a finding is about is left out, whatever came out of it."""
    claims = [
        value
        for name in {item.judge.__module__ for item in ITEMS.values()}
        for value in vars(importlib.import_module(name)).values()
        if isinstance(value, Claim) and value.networks
    ]
    figures = ("Figure 2", "Figure 3", "Figure 4", "Figure 5", "Proposition 1")
    wanted = {one.id for one in claims if group(one.place) in figures}
    wanted -= {"E25", "E28"}  # our questions; that of E28 about trained networks
    pairs = [
        (verdict(claim, outcome), item)
        for item, ids in OPENING.items()
        for claim, outcome in ids.items()
    ]
    found = findings({}, pairs, NO_RUNS)
    assert not any("say nothing" in one.sentence for one in found)
    said = "".join(one.sentence for one in found)
    assert all(f"({name})" in said for name in wanted)
    robust, biology, _, learned = (one.sentence for one in found)
    assert robust.startswith("Our runs agree with the paper on a step of drive (E07). They agree ")
    assert robust.count("They do not agree on the size of the contrast on sCIFAR10 (E13). ") == 1
    assert "They do not agree on the saturation as an exponential of the noise (E17). " in biology
    assert "agree only in part on learning turned digits by the curves alone (E15) and" in learned


def test_networks_that_are_missing_are_named():
    results = {"fig2-drive": curves(arun=0.8, gamma=np.nan)}
    sentence = findings(results, [], DIGITS)[0].sentence
    assert "80% for ARUN (8x8" in sentence


def test_the_lead_counts_the_verdicts():
    pairs = [(verdict(outcome=name), "x") for name in ("reproduced", "reproduced", "not")]
    pairs += [(verdict(outcome="no data"), "x")]
    first, second = headline(pairs, DIGITS)
    assert first.endswith(".") and second.startswith("Of 3 claims that were judged here, on 1 net")
    assert "2 hold, 0 hold in part and 1 does not; 1 more could not be judged." in second
    assert "8x8 digits, 64 steps" in second


def test_digits_are_not_called_psmnist_but_the_claim_keeps_its_words():
    one = verdict(quantity="psMNIST, mean accuracy")
    ((said, _),) = in_words([(one, "x")], DIGITS)
    assert said.parts[0].quantity == "8x8 digits, mean accuracy"
    assert said.note == "Mean on 8x8 digits." and said.claim == one.claim
    assert in_words([(one, "x")], NO_RUNS) == [(one, "x")]


def test_every_claim_stands_once_in_the_map():
    places = ("Fig S6a", "Fig 2b", "Table 1", "Fig 5a", "Proposition 1", "Fig 2c")
    pairs = [(verdict(f"E{k}", place=place), "item") for k, place in enumerate(places)]
    found = groups(pairs)
    assert list(found) == ["Table 1", "Figure 2", "Figure 5", "Proposition 1", "Supplement"]
    rows = [anchor for cells in found.values() for anchor, _ in cells]
    assert sorted(rows) == [f"claim-E{k}-item" for k in range(6)]


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("Table 1; Fig 2b, bottom", "Table 1"),
        ("Fig 2b, top", "Figure 2"),
        ("Fig 3a, bottom; B.3", "Figure 3"),
        ("control of Fig 4d", "Figure 4"),
        ("Proposition 1, trained", "Proposition 1"),
        ("Fig S17, C.4", "Supplement"),
        ("Appendix D", "Supplement"),
    ],
)
def test_places_are_grouped_by_the_figures_of_the_paper(place, name):
    assert group(place) == name


def test_the_number_of_a_row_is_of_the_part_that_fails():
    parts = tuple(Part(h, f"{k}", "", "", h) for k, h in enumerate(("yes", "weakly", "no")))
    claim = Claim("E", "", "", "")
    assert row_number(Verdict(claim, parts)).number == "2"
    assert row_number(Verdict(claim, parts[:2])).number == "1"
    assert row_number(Verdict(claim, (), parts)).number == "0"
    assert row_number(Verdict(claim, (Part("q", "", "", "", "no data"),))) is None
