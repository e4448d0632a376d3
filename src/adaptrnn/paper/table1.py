"""Table 1 has the accuracy of every model, clean and under three perturbations, on every task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.analysis.statistic import paired_test
from adaptrnn.figure.accuracy import accuracy_bars
from adaptrnn.figure.style import label_of
from adaptrnn.paper.item import ROLES, Item, RunData, Table
from adaptrnn.paper.ordering import (
    GATED,
    OTHER,
    PLAIN,
    TASK_LABELS,
    best_model,
    drop_missing,
    image_note,
    lead_over_next,
    leads,
    mean_note,
    paired_difference,
)
from adaptrnn.paper.verdict import Claim, Part, Verdict, part, verdict
from adaptrnn.perturb import PAPER_PERTURBATIONS

__all__ = ["COLUMNS", "ITEM", "judge", "measure", "table"]

COLUMNS = ("relu", "linear", "gamma-shared", "gamma", "arun", "lstm", "gru")
COMPARED = ("relu", "gamma", "arun", "lstm", "gru")
"""The models of the paper's table."""
ALIKE = 2.0
"""Percentage points within which two accuracies count as about equal (ours)."""
PAPER_GAMMA = 94.0
"""Accuracy (%) of RNN+gamma on psMNIST in the paper, about; the one of its values that is known."""

E03 = Claim(
    "E03",
    "Table 1",
    "On unperturbed psMNIST, RNN+gamma is better than RNN+ReLU, LSTM and GRU; RNN+gamma and ARUN "
    "do not differ significantly.",
    "The accuracy of RNN+gamma is above those of RNN+ReLU, LSTM and GRU. RNN+gamma and ARUN "
    "differ with p > 0.05 (paired t-test), or by at most 2 pp on average (ours)",
    {"psmnist": COMPARED},
)
E04 = Claim(
    "E04",
    "Table 1",
    "On sCIFAR10 with the linear encoder GRU is best by far; RNN+gamma is better than RNN+ReLU and "
    "LSTM.",
    "The accuracy of GRU is at least 3 pp (ours) above that of the next best model. The accuracy "
    "of RNN+gamma is above those of RNN+ReLU and LSTM",
    {"scifar10": COMPARED},
)
E05 = Claim(
    "E05",
    "Table 1",
    "On sCIFAR10 the convolutional encoder raises every model significantly, and all models become "
    "similar.",
    "The accuracy with the convolutional minus that with the linear encoder is above 0 for every "
    "model, and at least 10 pp (ours) in the mean over models. With the convolutional encoder the "
    "best model is at most 5 pp (ours) above the worst",
    {"scifar10": COMPARED, "scifar10-conv": COMPARED},
)
E06 = Claim(
    "E06",
    "Table 1",
    "On psMNIST under noisy drive ARUN outperforms the other architectures without gates.",
    "Under the noisy drive the accuracy of ARUN is above those of RNN+gamma and RNN+ReLU, and it "
    "drops at most half as much as that of the next best of them (ours)",
    {"psmnist": (*PLAIN, "arun")},
)
E07 = Claim(
    "E07",
    "Table 1",
    "On psMNIST under a step of drive (ξ = 1) ARUN is the most robust architecture without gates.",
    "Under the step of drive the accuracy of ARUN is above those of RNN+gamma and RNN+ReLU",
    {"psmnist": (*PLAIN, "arun")},
)
E08 = Claim(
    "E08",
    "Table 1; Fig 2b, bottom",
    "On psMNIST under sinusoidal contrast (A = 0.5) ARUN loses least, and RNN+gamma is second.",
    "The accuracy of ARUN drops less than that of the next best model. The accuracy of RNN+gamma "
    "drops less than that of the best of RNN+ReLU, LSTM and GRU",
    {"psmnist": COMPARED},
)
UNDER = {
    "noisy-drive": "a noisy drive",
    "step-drive": "a step of drive",
    "contrast": "changed contrast",
}
"""The perturbations in words, by the name of the condition."""
IN_WORDS = {"clean": "without perturbation"} | {k: f"under {name}" for k, name in UNDER.items()}
"""The conditions in words, by name."""
_CONV = f"{TASK_LABELS['scifar10']}, clean accuracy, convolutional minus linear encoder"


def measure(run: RunData) -> xr.Dataset:
    """Return accuracy, loss and images on the whole test split, (condition,)."""
    return run.evaluation


def judge(data: xr.Dataset) -> list[Verdict]:
    """Judge E03 to E08."""
    percent = 100 * data.accuracy.reindex(model=list(COLUMNS))
    clean = percent.sel(condition="clean", drop=True)
    return [
        _clean(clean.sel(role="psmnist", drop=True), data),
        _linear(clean.sel(role="scifar10", drop=True), data),
        _encoders(clean),
        *(
            _perturbed(claim, condition, percent, data)
            for claim, condition in ((E06, "noisy-drive"), (E07, "step-drive"), (E08, "contrast"))
        ),
    ]


def _clean(clean: xr.DataArray, data: xr.Dataset) -> Verdict:
    what = f"{TASK_LABELS['psmnist']}, clean accuracy"
    parts = [*leads("gamma", ("relu", *GATED), clean, max, what), _alike(clean, what)]
    difference = paired_difference(clean, "arun", "gamma")
    shown = [
        *leads("gamma", OTHER, clean, max, what),
        part(f"{what}, ARUN minus RNN+gamma", difference.values, " pp", "+.1f"),
        part(
            f"{what}, size of the difference between ARUN and RNN+gamma in each seed",
            abs(difference).values,
            " pp",
            ".1f",
            most=ALIKE,
        ),
    ]
    paper = f"In the paper, RNN+gamma reaches about {PAPER_GAMMA:g}%."
    note = _note("psmnist", clean, data, paper)
    return verdict(E03, parts, shown, note=note)


def _alike(clean: xr.DataArray, what: str) -> Part:
    """Either the paired t-test finds no difference, or the means are within 2 pp."""
    pair = clean.sel(model=["arun", "gamma"]).dropna("seed")
    gap = (
        abs(float(paired_difference(pair, "arun", "gamma").mean()))
        if pair.sizes["seed"]
        else np.nan
    )
    if pair.sizes["seed"] > 1:
        test = paired_test(*(pair.sel(model=m, drop=True) for m in ("arun", "gamma")))
        p = float(test.p_t)
        if p > 0.05:
            size = pair.sizes["seed"]
            text = f"{what}, p-value of ARUN minus RNN+gamma (paired t-test, n = {size})"
            return part(text, p, digits=".3f", above=0.05)
    text = f"{what}, size of the mean difference between ARUN and RNN+gamma"
    return part(text, gap, " pp", ".1f", most=ALIKE)


def _linear(clean: xr.DataArray, data: xr.Dataset) -> Verdict:
    what = f"{TASK_LABELS['scifar10']}, clean accuracy"
    others = [name for name in COMPARED if name != "gru"]
    best = best_model(clean, others, max)
    far = part(f"{what}, GRU against the next best", np.nan, least=3)
    if best is not None:
        text = f"{what}, GRU minus {label_of(best)} (next best)"
        far = part(text, paired_difference(clean, "gru", best).values, " pp", "+.1f", least=3)
    parts = [far, *leads("gamma", ("relu", "lstm"), clean, max, what)]
    shown = [*leads("gru", OTHER, clean, max, what), *leads("gamma", OTHER, clean, max, what)]
    return verdict(E04, parts, shown, note=_note("scifar10", clean, data))


def _encoders(clean: xr.DataArray) -> Verdict:
    conv, linear = (clean.sel(role=name, drop=True) for name in ("scifar10-conv", "scifar10"))
    gain = conv - linear
    parts = [_gain(gain, model) for model in COMPARED]
    mean = gain.sel(model=list(COMPARED)).mean("model", skipna=False)
    text = f"{_CONV}, mean over models"
    parts.append(part(text, mean.values, " pp", "+.1f", least=10))
    parts.append(_spread(conv, COMPARED, ""))
    shown = [_gain(gain, model) for model in OTHER]
    shown.append(
        _spread(
            conv, [m for m in COLUMNS if m != "relu"], ", with RNN (linear) in place of RNN (ReLU)"
        )
    )
    least = gain.sel(model=list(COMPARED)).min("model", skipna=False)
    text = f"{_CONV}, smallest over models in each seed"
    shown.append(part(text, least.values, " pp", "+.1f", least=10))
    notes = (
        mean_note("With the convolutional encoder, the mean accuracy in %", conv),
        mean_note(
            "The mean accuracy with the convolutional encoder minus that with the linear encoder, "
            "in percentage points,",
            gain,
            "+.1f",
        ),
    )
    return verdict(E05, parts, shown, note=" ".join(word for word in notes if word))


def _gain(gain: xr.DataArray, model: str) -> Part:
    text = f"{_CONV}, of {label_of(model)}"
    return part(text, gain.sel(model=model).values, " pp", "+.1f", above=0)


def _spread(conv: xr.DataArray, models: Sequence[str], label: str) -> Part:
    """Difference of the best and the worst of the models' means, over the seeds of both."""
    what = f"{TASK_LABELS['scifar10-conv']}, clean accuracy"
    best, worst = (best_model(conv, models, better) for better in (max, min))
    if best is None or worst is None:
        return part(f"{what}, best minus worst model{label}", np.nan, most=5)
    text = f"{what}, best model ({label_of(best)}) minus worst ({label_of(worst)}){label}"
    return part(text, paired_difference(conv, best, worst).values, " pp", "+.1f", most=5)


def _perturbed(claim: Claim, condition: str, percent: xr.DataArray, data: xr.Dataset) -> Verdict:
    """Judged on psmnist; the other tasks are shown."""
    perturbed = percent.sel(condition=condition, drop=True)
    drops = percent.sel(condition="clean", drop=True) - perturbed
    parts: list[Part] = []
    shown: list[Part] = []
    notes: list[str] = []
    for role in drop_missing(data).role.values.tolist():
        task = TASK_LABELS[role]
        drop, left = (values.sel(role=role, drop=True) for values in (drops, perturbed))
        under = UNDER[condition]
        what = {
            "drop": f"{task}, drop of accuracy under {under}",
            "left": f"{task}, accuracy under {under}",
        }
        if claim is E08:
            others = (*PLAIN, *GATED)
            judged = [
                lead_over_next("arun", others, drop, min, what["drop"]),
                lead_over_next("gamma", ("relu", *GATED), drop, min, what["drop"]),
            ]
            more = leads("arun", (*others, *OTHER), drop, min, what["drop"])
            more += leads("gamma", ("relu", *GATED, *OTHER), drop, min, what["drop"])
        else:
            judged = leads("arun", PLAIN, left, max, what["left"])
            more = leads("arun", (*OTHER, *GATED), left, max, what["left"])
            more += leads("arun", (*PLAIN, *OTHER, *GATED), drop, min, what["drop"])
            if claim is E06:
                halved = drop.where(drop.model == "arun", drop / 2)
                text = f"{what['drop']} (the other network's drop halved)"
                judged.append(lead_over_next("arun", PLAIN, halved, min, text))
                more += leads("arun", (*PLAIN, *OTHER, *GATED), halved, min, text)
        if role == "psmnist":
            parts = judged
            shown = more + shown
        else:
            shown += judged
        lost = f"On {task}, the mean drop of accuracy under {under}, in percentage points,"
        notes.append(mean_note(lost, drop))
        notes.append(mean_note("The mean accuracy that is left, in %,", left))
    notes.append(image_note(data["images"].sel(role="psmnist")))
    return verdict(claim, parts, shown, note=" ".join(note for note in notes if note))


def _note(role: str, clean: xr.DataArray, data: xr.Dataset, paper: str = "") -> str:
    words = [
        mean_note("The mean accuracy in %", clean),
        paper,
        image_note(data["images"].sel(role=role)),
    ]
    return " ".join(word for word in words if word)


def draw(data: xr.Dataset) -> Figure:
    """Draw the tasks and models that have any number."""
    return accuracy_bars(drop_missing(data), {("psMNIST", "clean", "gamma"): PAPER_GAMMA})


def table(data: xr.Dataset) -> Table:
    """Return the accuracy of each model in each condition: mean over seeds, least to greatest."""
    data, rows = drop_missing(data), []
    for role in data.role.values:
        for model in data.model.values:
            cells = [str(role), label_of(str(model))]
            for condition in data.condition.values:
                one = data.accuracy.sel(role=role, model=model, condition=condition)
                cells.append(_cell(100 * one.dropna("seed")))
            if any(cells[2:]):
                rows.append(tuple(cell or "no data" for cell in cells))
    conditions = (str(condition) for condition in data.condition.values)
    return Table(("task", "model", *conditions), tuple(rows))


def _cell(values: xr.DataArray) -> str:
    if not len(values):
        return ""
    mean, low, high = (float(v) for v in (values.mean(), values.min(), values.max()))
    return (
        f"{mean:.1f} ({low:.1f} to {high:.1f}; {len(values)})" if len(values) > 1 else f"{mean:.1f}"
    )


ITEM = Item(
    name="table1",
    title="Accuracy, clean and perturbed",
    caption=(
        "The panels show the accuracy in percent on the whole test split, in a row for each task, "
        "each panel with a scale of its own. There is a dot for each seed, a line at the mean, and "
        "the mean in numbers. The dotted line is chance, and the star is the paper's own value, "
        "about 94%, of RNN+gamma with 400 neurons on 784 steps. The table has the mean with, in "
        "brackets, the least and the greatest value and the number of seeds. The networks were "
        "trained without perturbation. The noisy drive is N(5, variance 2) onto every neuron and "
        "the step drive is ξ = 1, both during the second quarter of the sequence. For the "
        "contrast, the stimulus is multiplied by 1 + 0.5 sin(2πt/T). The paper shows this in Table "
        "1."
    ),
    alt=(
        "Dots for the test accuracy of seven models, a row of panels for each task and a column "
        "for each condition: clean, noisy drive, step of drive and contrast; the mean over seeds "
        "stands in numbers at the right of each row."
    ),
    roles=ROLES,
    models=COLUMNS,
    conditions=PAPER_PERTURBATIONS,
    measure=measure,
    draw=draw,
    judge=judge,
    functions=("adaptrnn.evaluation.evaluate", "adaptrnn.perturb.StepDrive"),
    tests=("tests/test_evaluation.py", "tests/test_perturb.py"),
    table=table,
)
