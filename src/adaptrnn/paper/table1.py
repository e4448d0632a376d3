"""Table 1: accuracy of every model, clean and under the three perturbations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from adaptrnn.analysis.statistics import unpaired_test
from adaptrnn.evaluation import evaluate_run
from adaptrnn.figure.accuracy import accuracy
from adaptrnn.figure.style import LABELS
from adaptrnn.paper.item import Item, Table
from adaptrnn.paper.verdict import Claim, Part, Verdict, part, verdict
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
    "ARUN loses less than half of what the next best loses",
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
    drop = clean - percent

    def more(quantity: str, difference: xr.DataArray) -> Part:
        return part(quantity, difference.values, lambda d: d > 0, " pp", "+.1f")

    gamma = clean.sel(model="gamma")
    parts = [
        more(f"RNN+gamma - {LABELS[model]}", gamma - clean.sel(model=model))
        for model in ("relu", "lstm", "gru")
    ]
    equal = abs(clean.sel(model="arun") - gamma)
    near = part("|ARUN - RNN+gamma|", equal.values, lambda d: d <= ALIKE, " pp", ".1f")
    verdicts = [verdict(E03, [*parts, near])]

    others = [model for model in MODELS if model != "arun"]
    rest = [model for model in others if not model.startswith("gamma")]
    for claim, condition in ((E06, "noisy-drive"), (E07, "step-drive"), (E08, "contrast")):
        losses = drop.sel(condition=condition, drop=True)
        arun = losses.sel(model="arun")
        best, least = _next(losses, others, min)
        parts = [more(f"loss of {best} (next best) - loss of ARUN", least - arun)]
        if claim is E06:
            ratio = (arun / least.where(least > 0)).values
            parts.append(part("loss of ARUN / loss of the next best", ratio, lambda r: r < 0.5))
        elif claim is E07:
            driven = percent.sel(condition=condition, drop=True)
            best, most = _next(driven, others, max)
            parts.append(
                more(f"driven: ARUN - {best} (next best)", driven.sel(model="arun") - most)
            )
        else:
            best, third = _next(losses, rest, min)
            second = losses.sel(model="gamma")
            parts.append(
                more(f"loss of {best} (best of the others) - loss of RNN+gamma", third - second)
            )
        verdicts.append(verdict(claim, parts, _losses(losses.mean("seed"))))
    verdicts.append(_heterogeneous(gamma, clean.sel(model="gamma-shared")))
    return verdicts


def _next(
    values: xr.DataArray, models: list[str], better: Callable[..., str]
) -> tuple[str, xr.DataArray]:
    """Label and values of the best of some models on average; without data if one has none."""
    mean = values.sel(model=models).mean("seed")
    known = bool(mean.notnull().all())
    best = better(models, key=lambda model: float(mean.sel(model=model))) if known else models[0]
    return LABELS[best] if known else "the others", values.sel(model=best).where(known)


def _losses(mean: xr.DataArray) -> str:
    shown = [
        f"{LABELS[str(model)]} {float(mean.sel(model=model)):.1f}"
        for model in mean.model.values
        if np.isfinite(mean.sel(model=model))
    ]
    return f"Mean loss of accuracy (pp): {', '.join(shown)}."


def _heterogeneous(gamma: xr.DataArray, shared: xr.DataArray) -> Verdict:
    both = gamma.notnull() & shared.notnull()
    parts = [part("per neuron - shared", (gamma - shared).values, lambda d: d > 0, " pp", "+.1f")]
    if int(both.sum()) > 1:
        test = unpaired_test(gamma[both.values], shared[both.values])
        p = [float(test.p_t)]
        parts.append(part("Welch's test, p", p, lambda value: value > 0.05, digits=".2f"))
    return verdict(E40, parts, "With few seeds a small difference cannot be significant.")


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
