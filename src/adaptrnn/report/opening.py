"""A visitor first reads two sentences, and a finding for each of the paper's four claims.

Every number is taken from the tables or the verdicts; where a profile has none, the words say so.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

from adaptrnn.analysis.robustness import area
from adaptrnn.figure import opening as figures
from adaptrnn.figure.style import label_of
from adaptrnn.paper.note import enumerated
from adaptrnn.paper.ordering import GATED, OTHER, PLAIN, TASK_LABELS
from adaptrnn.paper.store import task_words
from adaptrnn.paper.verdict import Part, Verdict
from adaptrnn.preset import preset_of

__all__ = [
    "LEGEND",
    "SIGNS",
    "Finding",
    "Number",
    "anchors",
    "findings",
    "group",
    "groups",
    "headline",
    "in_words",
    "row_number",
]

Verdicts = Sequence[tuple[Verdict, str]]
Tables = Mapping[str, xr.Dataset]

SIGNS = {
    "reproduced": "✓",
    "partly": "½",
    "not": "✗",
    "not trained enough": "T",
    "no data": "–",
    "not judged": "?",
}
"""The sign of each verdict, so that its colour need not be seen."""

LEGEND = (
    "A claim is judged by what the paper's text says, and a threshold that the text does not give "
    "is marked as ours. The judged parts decide, by their means over seeds; the mean of a ratio is "
    "geometric. A part says yes if its "
    "mean meets the threshold by at least one standard error, which is paired where seeds pair. It "
    "says weakly if its mean meets the threshold by less, or if there is one seed only. The "
    "verdict is “reproduced” if every judged part says yes, “not” if every one says no, and "
    "“partly” if the parts are between. It is “not trained enough” if a network that is judged has "
    "not learned its task: no model of the task reaches 30%, or this one has less than half of the "
    "best accuracy. It is “no data” if numbers are missing, and “not judged” if the paper states "
    "nothing that could fail. Rows under “also shown” never decide: they are stricter tests, other "
    "baselines, other readings and questions of ours."
)
"""How the verdict of a claim comes about."""


@dataclass(frozen=True)
class Number:
    """A number carries a finding.

    Attributes:
        part: the part of a claim: quantity, number, interval.
        claim: the claim's identifier.
        outcome: the claim's verdict.
        anchor: of the claim's row.
    """

    part: Part
    claim: str
    outcome: str
    anchor: str


@dataclass(frozen=True)
class Finding:
    """A finding says what came out of one of the paper's four claims.

    Attributes:
        name: one word; also of its picture's file.
        claim: what the paper says, in a few words.
        sentence: whether our runs agree, and what came out here.
        numbers: what carries it.
        draw: its picture.
        alt: what is seen in it.
    """

    name: str
    claim: str
    sentence: str
    numbers: tuple[Number, ...]
    draw: Callable[[], Figure]
    alt: str


def headline(verdicts: Verdicts, runs: pd.DataFrame) -> tuple[str, str]:
    """Return two sentences: what the paper did, and how much of it holds here.

    Args:
        verdicts: all verdicts, each with its item.
        runs: the networks, see `adaptrnn.paper.collect`.

    Returns:
        The sentences.
    """
    outcomes = [verdict.outcome for verdict, _ in verdicts]
    yes, some, no = (outcomes.count(name) for name in ("reproduced", "partly", "not"))
    first = (
        "Geadah and colleagues let every neuron of a recurrent network learn its own f-I curve, "
        "and adapt it while the network runs; they report that this makes the network robust to "
        "inputs that it never met, by means that biology uses too."
    )
    open_ones = outcomes.count("not trained enough") + outcomes.count("no data")
    more = f"; {open_ones} more could not be judged" if open_ones else ""
    tasks = list(dict.fromkeys(task_words(runs).values()))
    shown = f" ({'; '.join(tasks)})" if tasks else ""
    second = (
        f"Of {yes + some + no} claims that were judged here, on {len(runs)} networks{shown}, "
        f"{yes} hold{'s' if yes == 1 else ''}, {some} hold{'s' if some == 1 else ''} in part and "
        f"{no} do{'es' if no == 1 else ''} not{more}."
    )
    return first, second


def in_words(verdicts: Verdicts, runs: pd.DataFrame) -> list[tuple[Verdict, str]]:
    """Return verdicts whose quantities name the task that was trained.

    Args:
        verdicts: all verdicts, each with its item.
        runs: the networks.

    Returns:
        The same; the claims keep the paper's words.
    """
    names = runs.groupby("role", sort=False).task.first() if len(runs) else pd.Series(dtype=str)
    other = {
        TASK_LABELS[role]: preset_of(task).label
        for role, task in names.items()
        if role in TASK_LABELS and preset_of(task).label != TASK_LABELS[role]
    }
    if not other:
        return list(verdicts)
    pattern = re.compile("|".join(re.escape(name) + r"(?![\w( ]*\()" for name in other))

    def said(text: str) -> str:
        return pattern.sub(lambda match: other[match[0]], text)

    def each(parts: tuple[Part, ...]) -> tuple[Part, ...]:
        return tuple(dataclasses.replace(part, quantity=said(part.quantity)) for part in parts)

    return [
        (
            dataclasses.replace(
                one,
                parts=each(one.parts),
                shown=each(one.shown),
                checks=each(one.checks),
                note=said(one.note),
                untrained=said(one.untrained),
            ),
            name,
        )
        for one, name in verdicts
    ]


def anchors(verdicts: Verdicts) -> list[str]:
    """Return the anchor of each claim's row: claim and figure, which together are unique."""
    return [
        "claim-" + re.sub(r"\W+", "-", f"{verdict.claim.id}-{name}") for verdict, name in verdicts
    ]


def group(place: str) -> str:
    """Return under which of the paper's figures a claim is listed.

    Args:
        place: the claim's place in the paper.

    Example:
        >>> group("Fig 3a, bottom; B.3"), group("text of Fig 3b"), group("Figs S10-S12")
        ('Figure 3', 'Figure 3', 'Supplement')
    """
    if match := re.search(r"Fig (\d)", place):
        return f"Figure {match[1]}" if not place.startswith("Table") else "Table 1"
    if match := re.match(r"Table \d|Proposition \d", place):
        return match[0]
    return "Supplement"


def groups(verdicts: Verdicts) -> dict[str, list[tuple[str, Verdict]]]:
    """Return verdicts by the paper's figure, in the paper's order, with each row's anchor."""
    found: dict[str, list[tuple[str, Verdict]]] = {}
    for anchor, (verdict, _) in zip(anchors(verdicts), verdicts, strict=True):
        found.setdefault(group(verdict.claim.place), []).append((anchor, verdict))
    order = sorted(found, key=lambda name: _ORDER.get(name, 5))
    return {name: found[name] for name in order}


_ORDER = {"Figure 1": 0, "Table 1": 1, "Figure 2": 2, "Figure 3": 3, "Figure 4": 4}
_ORDER |= {"Figure 5": 6, "Proposition 1": 7, "Supplement": 8}


def row_number(verdict: Verdict) -> Part | None:
    """Return the one number of a claim's row: of the first part that fails, or of the first.

    Args:
        verdict: the verdict.

    Returns:
        A judged part with a number, or else one that is shown; None without any number.
    """
    known = [part for part in verdict.parts if part.number]
    for holds in ("no", "weakly"):
        for part in known:
            if part.holds == holds:
                return part
    return next(iter([*known, *verdict.shown]), None)


def findings(results: Tables, verdicts: Verdicts, runs: pd.DataFrame) -> list[Finding]:
    """Return the four findings, each from the tables that are there.

    Args:
        results: the collected measures by item.
        verdicts: all verdicts, each with its item.
        runs: the networks.

    Returns:
        What was found of: robustness, adaptation as in biology, its explanation, learned curves.
    """
    tasks = task_words(runs)
    return [
        _robust(results, verdicts, tasks.get("psmnist", TASK_LABELS["psmnist"]), _image(runs)),
        _adaptation(results, verdicts),
        _explanation(results, verdicts),
        _learned(results, verdicts),
    ]


def _parts(
    verdicts: Verdicts, item: str, claim: str, among: str = "", count: int = 1
) -> tuple[Number, ...]:
    """Judged parts of a claim whose quantity holds some words; the least numbers first."""
    found = []
    for anchor, (verdict, name) in zip(anchors(verdicts), verdicts, strict=True):
        if name == item and verdict.claim.id == claim:
            found += [
                Number(part, claim, verdict.outcome, anchor)
                for part in verdict.parts
                if among in part.quantity
            ]
    known = [number for number in found if number.part.number]
    return tuple((known or found)[:count])


def _agreement(verdicts: Verdicts, item_claim_topic: Sequence[tuple[str, str, str]]) -> str:
    """Whether our runs agree with the paper on each topic, by the verdict of an item's claim.

    There is a sentence for what holds, one for what holds in part, and one for what does not.
    """
    topics: dict[str, list[str]] = {}
    for item, claim, topic in item_claim_topic:
        of_claim = (one.outcome for one, name in verdicts if (name, one.claim.id) == (item, claim))
        topics.setdefault(next(of_claim, "no data"), []).append(f"{topic} ({claim})")
    judged = [f"{words} {enumerated(topics[o])}." for o, words in _AGREE.items() if o in topics]
    said = [f"They {text}" for text in judged]
    if judged:
        said[0] = "Our runs " + judged[0].replace("agree", "agree with the paper", 1)
    said += [
        f"Our runs say nothing about {enumerated(topics[outcome])}, because {reason}."
        for outcome, reason in _SILENT.items()
        if outcome in topics
    ]
    return " ".join(said) + " "


_AGREE = {
    "reproduced": "agree on",
    "partly": "agree only in part on",
    "not": "do not agree on",
}
_SILENT = {
    "not trained enough": "a network has not learned its task",
    "no data": "numbers are missing",
    "not judged": "nothing of it is judged",
}


def _value(number: Number) -> float:
    """A number as a number; nothing is greater than what is not known."""
    match = re.match(r"[-+\d.e]+", number.part.number)
    return float(match[0]) if match else np.inf


def _at(results: Tables, item: str, model: str | None = None) -> xr.Dataset | None:
    """A table on psMNIST, or what stands for it, and perhaps of one model; None if it has none."""
    data = results.get(item)
    if data is None or "psmnist" not in data.role:
        return None
    one = data.sel(role="psmnist", drop=True)
    if model is not None:
        if model not in one.model:
            return None
        one = one.sel(model=model, drop=True)
    numbers = [values for values in one.data_vars.values() if "seed" in values.dims]
    return one if any(bool(values.notnull().any()) for values in numbers) else None


def _image(runs: pd.DataFrame) -> xr.DataArray | None:
    """An image of the task, (row, column), where it needs no data from elsewhere: the digits."""
    if not len(runs[(runs.role == "psmnist") & (runs.task == "digits")]):
        return None
    return xr.DataArray(load_digits().images[0] / 16, dims=("row", "column"))


def _robust(results: Tables, verdicts: Verdicts, task: str, image: xr.DataArray | None) -> Finding:
    data = _at(results, "fig2-drive")
    if data is not None and image is not None:
        data = data.assign(image=image)
    numbers = _parts(verdicts, "fig2-drive", "E10", "mean accuracy", 9)
    numbers = tuple(sorted(numbers, key=_value)[:1])
    sentence = _NONE.format("accuracy against the drive")
    if data is not None:
        mean = 100 * area(data.accuracy, "xi").mean("seed")
        known = {str(m): float(mean.sel(model=m)) for m in mean.model.values}
        known = {model: value for model, value in known.items() if np.isfinite(value)}
        if known:
            said = enumerated(
                [f"{known[m]:.0f}% for {label_of(m)}" for m in ("arun", *PLAIN[::-1]) if m in known]
            )
            span = f"{float(data.xi.min()):g} to {float(data.xi.max()):g}"
            sentence = (
                f"Under a step of drive that no network met in training, test accuracy averaged "
                f"over ξ from {span} is {said} ({task})."
            )
            best = max(known, key=lambda name: known[name])
            if best in (*OTHER, *GATED):
                sentence += (
                    f" Best of all is {label_of(best)} with {known[best]:.0f}%, which the paper "
                    "leaves out of this comparison."
                )
    topics = [
        ("table1", "E06", "the noisy drive"),
        ("table1", "E07", "a step of drive"),
        ("fig2-drive", "E10", "the size of the drive on psMNIST"),
        ("fig2-drive", "E11", "the size of the drive on sCIFAR10"),
        ("table1", "E08", "a changed contrast"),
        ("fig2-contrast", "E12", "the size of the contrast on psMNIST"),
        ("fig2-contrast", "E13", "the size of the contrast on sCIFAR10"),
        ("s13-maps", "E39", "the length of the drive and the phase of the contrast"),
    ]
    seen = "Accuracy and loss of RNN (ReLU), RNN+gamma and ARUN against the drive from 0 to 30. "
    return Finding(
        "robust",
        "The paper finds that adaptation makes a network robust to a drive or a contrast that it "
        "never met",
        _agreement(verdicts, topics) + sentence,
        numbers,
        partial(figures.robust, _empty("accuracy", "loss") if data is None else data),
        seen + sentence,
    )


def _empty(*names: str) -> xr.Dataset:
    """A table without any network."""
    coords = {"model": np.array([], dtype=str), "seed": [0], "xi": [0.0, 30.0]}
    shape = ("model", "seed", "xi")
    return xr.Dataset({name: (shape, np.empty((0, 1, 2))) for name in names}, coords)


def _adaptation(results: Tables, verdicts: Verdicts) -> Finding:
    scaling, orders = _at(results, "fig3-scaling", "arun"), _at(results, "fig4-orders", "arun")
    numbers = (
        *_parts(verdicts, "fig3-scaling", "E16", "R²"),
        *_parts(verdicts, "fig3-scaling", "E17", "R²"),
        *_parts(
            verdicts, "fig4-orders", "E20-23", "protocol A: fractional order alpha, isolated minus"
        ),
    )
    said = []
    if scaling is not None:
        scaling = scaling.sel(shape="power")
        ends = scaling.n_steady.mean("seed")
        said.append(
            f"as noise grows from {float(ends.xi[0]):g} to {float(ends.xi[-1]):g} the mean gain of "
            f"ARUN changes from {float(ends[0]):.2f} to {float(ends[-1]):.2f}"
        )
    if orders is not None:
        orders = orders.sel(estimator="paper", protocol="A")
        has = orders.order.notnull().sum(["xi", "neuron"])
        share = 100 * (orders.order > 0).sum(["xi", "neuron"]) / has.where(has > 0)
        inside, alone = (
            float(share.sel(network=name).mean("seed")) for name in ("interacting", "isolated")
        )
        said.append(
            f"{inside:.0f}% of its neurons integrate a step of drive in the network, and "
            f"{alone:.0f}% do so when isolated"
        )
    words = _sentence("; ".join(said)) if said else _NONE.format("gain scaling or orders of ARUN")
    topics = [
        ("fig3-scaling", "E16", "the gain as a power law of the noise"),
        ("fig3-scaling", "E17", "the saturation as an exponential of the noise"),
        ("fig3-scaling", "E18", "the range of the output"),
        ("fig4-step", "E19", "the course of gain and saturation after a step"),
        ("fig4-orders", "E20-23", "the fractional orders in the network and isolated"),
        ("fig4-tasks", "E24", "how the orders depend on task and drive"),
    ]
    seen = (
        "Left: steady gain of ARUN against the size of the noise, with power laws. Right: "
        "histograms of the neurons' fractional orders, in the network and isolated. "
    )
    return Finding(
        "biology",
        "The paper finds gain scaling and fractional order, as in biology",
        _agreement(verdicts, topics) + words,
        numbers,
        partial(figures.adaptation, scaling, orders),
        seen + words,
    )


def _explanation(results: Tables, verdicts: Verdicts) -> Finding:
    line, levels = _at(results, "fig5-manifold", "arun"), _at(results, "fig5-levels", "arun")
    exponents = _at(results, "fig5-lyapunov")
    ratios = _parts(verdicts, "fig5-lyapunov", "E29, E30", "ξ = 30", 9)
    numbers = (
        *_parts(verdicts, "fig5-manifold", "E26", "share of the variance"),
        *_parts(verdicts, "fig5-levels", "E27", "largest over ξ ≥ 5"),
        *sorted(ratios, key=_value)[:1],
    )
    said = []
    if line is not None:
        share = 100 * float(line["share"].sum("component", min_count=1).mean("seed"))
        said.append(f"two components hold {share:.0f}% of the variance of the controller's states")
        line = line.isel(seed=_first(line.steady))
    if levels is not None:
        levels = levels.sel(stage="steady").isel(seed=[_first(levels.n)])
        distance = _parts(verdicts, "fig5-levels", "E27", "largest over ξ ≥ 5")
        if distance and distance[0].part.number:
            said.append(
                "at drives of 5 and more the slope at the mean (n, s) that it sets is within "
                f"{distance[0].part.number} of 1 - ε"
            )
    size = None
    if exponents is not None:
        paper = abs(exponents.lyapunov.sel(definition="paper"))
        condition = {m: "adaptive" if m == "arun" else "fixed" for m in exponents.model.values}
        held = [m for m, name in condition.items() if name in paper.condition]
        own = [paper.sel(model=m, condition=condition[m], drop=True) for m in held]
        if own:
            over = xr.DataArray(held, dims="model", name="model")
            size = xr.concat(own, over, coords="minimal", compat="override").rename("size")
            last = size.isel(xi=-1).mean("seed")
            each = [
                f"{float(last.sel(model=m)):.2g} for {label_of(m)}"
                for m in ("arun", *PLAIN[::-1])
                if m in last.model and np.isfinite(float(last.sel(model=m)))
            ]
            if each:
                drive = float(size.xi[-1])
                said.append(
                    f"the largest exponent at ξ = {drive:g} has a size of {enumerated(each)}"
                )
    words = _sentence("; ".join(said)) if said else _NONE.format("controllers or exponents")
    topics = [
        ("fig5-manifold", "E26", "the manifold of the controller's states"),
        ("fig5-levels", "E27", "the slope at the drive"),
        ("prop1", "E28", "the variance of a neuron's output"),
        ("fig5-lyapunov", "E29, E30", "the largest exponent"),
        ("fig5-spectrum", "E31", "the eigenvalues of the recurrent weights"),
        ("s18-gradients", "E43", "the gradient of the recurrent weights"),
    ]
    absent = [] if size is None else [label_of(m) for m in PLAIN if not _has(size, m)]
    if absent:
        words += f" This profile has no exponents of {enumerated(absent)}."
    seen = (
        "Left: steady states of the controller for ten currents in two principal components. "
        "Middle: gain and saturation of the neurons, faint, and their means, ringed, under each "
        "drive on the level sets of the slope. Right: "
        "size of the largest exponent against the drive. "
    )
    return Finding(
        "why",
        "The paper explains the robustness by a controller that keeps the slope at the drive near "
        "1 and the largest exponent near 0",
        _agreement(verdicts, topics) + words,
        numbers,
        partial(figures.explanation, line, levels, None if size is None else size.to_dataset()),
        seen + words,
    )


def _learned(results: Tables, verdicts: Verdicts) -> Finding:
    data = _at(results, "fig3-heterogeneity", "gamma")
    against = _parts(verdicts, "s6-grid", "E35", "", 9)
    numbers = (
        *_parts(verdicts, "fig3-heterogeneity", "E14", "", 2),
        *sorted(against, key=_value)[:1],
    )
    words = _NONE.format("learned curves of RNN+gamma")
    if data is not None:
        least = max(float(data[f"{name}_initial"].std("neuron").max()) for name in "ns")
        start = "alike" if least < 1e-4 else "nearly alike"
        middle = {
            k: data[k].quantile(0.95, "neuron") - data[k].quantile(0.05, "neuron") for k in "ns"
        }
        wide = [f"{float(middle[name].mean('seed')):.2f} in {name}" for name in "ns"]
        words = (
            f"All neurons of an RNN+gamma start {start} (cross); after training the middle nine "
            f"tenths of them spread over {enumerated(wide)}."
        )
    topics = [
        ("fig3-heterogeneity", "E14", "differences between neurons"),
        ("b3-rotated", "E15", "learning turned digits by the curves alone"),
        ("s6-grid", "E35", "learned curves in place of traditional ones"),
        ("b1-shared", "E40", "a curve for each neuron in place of one for all"),
    ]
    nothing = xr.Dataset({"n": (("seed", "neuron"), np.full((1, 1), np.nan))}, {"seed": [0]})
    return Finding(
        "learned",
        "The paper finds that learned curves make equal neurons different, and networks better",
        _agreement(verdicts, topics) + words,
        numbers,
        partial(figures.learned, nothing if data is None else data),
        "Gain and saturation of every neuron after training, in three networks. " + words,
    )


_NONE = "This profile has no {}."


def _first(values: xr.DataArray) -> int:
    """The first seed that has all of its numbers."""
    known = values.notnull().all([name for name in values.dims if name != "seed"])
    return int(np.argmax(known.values))


def _has(values: xr.DataArray, model: str) -> bool:
    return model in values.model and bool(values.sel(model=model).notnull().any())


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."
