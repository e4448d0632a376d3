"""Table 1: accuracy of every model, clean and under the three perturbations."""

from __future__ import annotations

import xarray as xr

from adaptrnn.analysis.statistics import unpaired_test
from adaptrnn.evaluation import evaluate_run
from adaptrnn.figure.accuracy import accuracy
from adaptrnn.figure.style import LABELS
from adaptrnn.paper.item import Item, Table
from adaptrnn.paper.ordering import ahead, listing, more
from adaptrnn.paper.verdict import Claim, Verdict, part, verdict
from adaptrnn.perturb import PAPER_PERTURBATIONS
from adaptrnn.run import Run

MODELS = ("relu", "linear", "gamma-shared", "gamma", "arun", "lstm", "gru")
ALIKE = 2.0
"""Percentage points within which two accuracies count as about equal."""

E03 = Claim(
    "E03",
    "Table 1",
    "Clean: RNN+gamma is better than ReLU, LSTM and GRU; ARUN is about as good as RNN+gamma.",
    "ordering; about equal: within 2 pp",
)
E06 = Claim(
    "E06",
    "Table 1",
    "Under noisy drive ARUN is the most robust by far.",
    "drop of ARUN less than half of the next best's",
)
E07 = Claim("E07", "Table 1", "Under a step of drive (ξ = 1) ARUN is the most robust.", "ordering")
E08 = Claim(
    "E08",
    "Table 1",
    "Under sinusoidal contrast (A = 0.5) ARUN loses least, RNN+gamma is second.",
    "ordering",
)
E40 = Claim(
    "E40",
    "Supplement B.1",
    "Per-neuron (n, s) are slightly better than shared ones, not significantly.",
    "difference > 0, Welch's test p > 0.05",
)


def measure(run: Run) -> xr.Dataset:
    """Accuracy and loss on the test split, (condition,)."""
    rows = evaluate_run(run, PAPER_PERTURBATIONS)
    return xr.Dataset(
        {name: ("condition", rows[name].to_numpy()) for name in ("accuracy", "loss", "images")},
        coords={"condition": rows["name"].to_list()},
    )


def judge(data: xr.Dataset) -> list[Verdict]:
    """E03, E06, E07, E08 and E40."""
    percent = 100 * data.accuracy.reindex(model=list(MODELS))
    clean = percent.sel(condition="clean", drop=True)
    gamma = clean.sel(model="gamma")
    better = [
        more(f"RNN+gamma - {LABELS[model]}", gamma - clean.sel(model=model))
        for model in ("relu", "linear", "lstm", "gru")
    ]
    apart = abs(clean.sel(model="arun") - gamma)
    alike = part("|ARUN - RNN+gamma|", apart.values, lambda d: d <= ALIKE, " pp", ".1f")
    verdicts = [verdict(E03, [*better, alike], listing("Mean accuracy (%)", clean))]

    rest = ("relu", "lstm", "gru")
    for claim, condition in ((E06, "noisy-drive"), (E07, "step-drive"), (E08, "contrast")):
        perturbed = percent.sel(condition=condition, drop=True)
        drop = clean - perturbed
        parts = ahead("arun", drop, min, "drop")
        if claim is E06:
            halved = drop.where(drop.model == "arun", drop / 2)
            parts += ahead("arun", halved, min, "drop, the others' halved")
        if claim is E07:
            parts += ahead("arun", perturbed, max, "accuracy")
        if claim is E08:
            parts += ahead("gamma", drop, min, "drop", others=rest)
        verdicts.append(verdict(claim, parts, listing("Mean drop of accuracy (pp)", drop)))

    shared = clean.sel(model="gamma-shared")
    parts = [more("per neuron - shared", gamma - shared)]
    both = (gamma.notnull() & shared.notnull()).values
    if both.sum() > 1:
        p = [float(unpaired_test(gamma.values[both], shared.values[both]).p_t)]
        parts.append(part("Welch's test, p", p, lambda value: value > 0.05))
    note = "With few seeds a small difference cannot be significant."
    verdicts.append(verdict(E40, parts, note))
    return verdicts


def table(data: xr.Dataset) -> Table:
    """Accuracy of each model in each condition: mean over seeds, least to greatest."""
    rows = []
    for model in data.model.values:
        cells = [LABELS[model]]
        for condition in data.condition.values:
            values = 100 * data.accuracy.sel(model=model, condition=condition).dropna("seed")
            if len(values):
                mean, low, high = (float(v) for v in (values.mean(), values.min(), values.max()))
                cells.append(f"{mean:.1f} ({low:.1f} to {high:.1f})")
            else:
                cells.append("no data")
        rows.append(tuple(cells))
    return Table(("model", *(str(c) for c in data.condition.values)), tuple(rows))


ITEM = Item(
    name="table1",
    title="Accuracy, clean and perturbed",
    caption=(
        "Test accuracy in percent: a dot for each seed, a line at the mean. Noisy drive: N(5, "
        "variance 2) onto every neuron; step drive: ξ = 1; both during the second quarter of the "
        "sequence. Contrast: the stimulus times 1 + 0.5 sin(2πt/T). Paper: Table 1."
    ),
    models=MODELS,
    measure=measure,
    draw=accuracy,
    judge=judge,
    table=table,
)
