"""Table 1: accuracy of every model, clean and under the three perturbations, on every task."""

from __future__ import annotations

import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.accuracy import accuracy
from adaptrnn.figure.style import LABELS
from adaptrnn.paper.item import ROLES, Item, Table, evaluation_of
from adaptrnn.paper.ordering import ahead, baselines, images, known, listing, more
from adaptrnn.paper.verdict import Claim, Part, Verdict, part, verdict
from adaptrnn.perturb import PAPER_PERTURBATIONS
from adaptrnn.run import Run

__all__ = ["ITEM", "MODELS", "judge", "measure", "table"]

MODELS = ("relu", "linear", "gamma-shared", "gamma", "arun", "lstm", "gru")
ALIKE = 2.0
"""Percentage points within which two accuracies count as about equal."""

E03 = Claim(
    "E03",
    "Table 1",
    "psMNIST, clean: RNN+gamma is better than ReLU, LSTM and GRU; ARUN is about as good as "
    "RNN+gamma.",
    "ordering; about equal: within 2 pp",
)
E04 = Claim(
    "E04",
    "Table 1",
    "sCIFAR10, linear encoder: GRU is best by far; RNN+gamma is better than ReLU and LSTM.",
    "ordering",
)
E05 = Claim(
    "E05",
    "Table 1",
    "sCIFAR10, convolutional encoder: all models similar, all higher than with the linear one.",
    "conv - linear ≥ 10 pp for every model; spread over models ≤ 5 pp",
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


def measure(run: Run) -> xr.Dataset:
    """Accuracy, loss and images on the whole test split, (condition,)."""
    return evaluation_of(run, PAPER_PERTURBATIONS)


def judge(data: xr.Dataset) -> list[Verdict]:
    """E03 to E08."""
    percent = 100 * data.accuracy
    clean = percent.sel(condition="clean", drop=True)
    return [
        _clean(clean.sel(role="psmnist", drop=True), data),
        _linear(clean.sel(role="scifar10", drop=True), data),
        _encoders(clean),
        *(
            _perturbed(claim, clean, percent.sel(condition=condition, drop=True), data)
            for claim, condition in ((E06, "noisy-drive"), (E07, "step-drive"), (E08, "contrast"))
        ),
    ]


def _clean(clean: xr.DataArray, data: xr.Dataset) -> Verdict:
    gamma = clean.sel(model="gamma", drop=True)
    parts = baselines("accuracy", clean, "gamma", " pp", "+.1f")
    for name in ("lstm", "gru"):
        other = clean.sel(model=name, drop=True)
        parts.append(more(f"accuracy: RNN+gamma - {LABELS[name]}", gamma - other))
    apart = abs(clean.sel(model="arun", drop=True) - gamma)
    parts.append(part("|ARUN - RNN+gamma|", apart.values, lambda d: d <= ALIKE, " pp", ".1f"))
    return verdict(E03, parts, _note("psmnist", clean, data, "RNN+gamma in the paper: about 94%."))


def _linear(clean: xr.DataArray, data: xr.Dataset) -> Verdict:
    parts = ahead("gru", clean, max, "accuracy")
    parts += baselines("accuracy", clean, "gamma", " pp", "+.1f")
    lstm = clean.sel(model="gamma", drop=True) - clean.sel(model="lstm", drop=True)
    parts.append(more("accuracy: RNN+gamma - LSTM", lstm))
    return verdict(E04, parts, _note("scifar10", clean, data))


def _encoders(clean: xr.DataArray) -> Verdict:
    conv, linear = (clean.sel(role=name, drop=True) for name in ("scifar10-conv", "scifar10"))
    parts: list[Part] = []
    for name, left_out in (("ReLU", "linear"), ("linear", "relu")):
        kept = [model for model in MODELS if model != left_out]
        gain = (conv - linear).sel(model=kept).min("model", skipna=False)
        rates = conv.sel(model=kept)
        spread = rates.max("model", skipna=False) - rates.min("model", skipna=False)
        text = f"baseline {name}: conv - linear, least over models"
        parts.append(part(text, gain.values, lambda d: d >= 10, " pp", "+.1f"))
        text = f"baseline {name}: conv, spread over models"
        parts.append(part(text, spread.values, lambda d: d <= 5, " pp", ".1f"))
    words = (
        listing("conv, mean accuracy (%)", conv),
        listing("conv - linear, mean (pp)", conv - linear, "+.1f"),
    )
    return verdict(E05, parts, " ".join(word for word in words if word))


def _perturbed(
    claim: Claim, clean: xr.DataArray, perturbed: xr.DataArray, data: xr.Dataset
) -> Verdict:
    """Judged on psmnist; the numbers of the other tasks stand in the note."""
    drops = clean - perturbed
    drop, rates = (values.sel(role="psmnist", drop=True) for values in (drops, perturbed))
    parts = ahead("arun", drop, min, "drop")
    if claim is E06:
        halved = drop.where(drop.model == "arun", drop / 2)
        parts += ahead("arun", halved, min, "drop, the others' halved")
    if claim is E07:
        parts += ahead("arun", rates, max, "accuracy")
    if claim is E08:
        parts += ahead("gamma", drop, min, "drop", others=("relu", "lstm", "gru"))
    notes = ["Judged on psmnist."]
    for role in known(data).role.values:
        one = perturbed.sel(role=role, drop=True)
        notes.append(listing(f"{role}: mean drop (pp)", drops.sel(role=role, drop=True)))
        notes.append(listing("Mean accuracy left (%)", one))
    notes.append(images(data["images"].sel(role="psmnist")))
    return verdict(claim, parts, " ".join(note for note in notes if note))


def _note(role: str, clean: xr.DataArray, data: xr.Dataset, paper: str = "") -> str:
    words = [listing("Mean accuracy (%)", clean), paper, images(data["images"].sel(role=role))]
    return " ".join(word for word in words if word)


def draw(data: xr.Dataset) -> Figure:
    """Tasks and models that have any number."""
    return accuracy(known(data))


def table(data: xr.Dataset) -> Table:
    """Accuracy of each model in each condition: mean over seeds, least to greatest."""
    data, rows = known(data), []
    for role in data.role.values:
        for model in data.model.values:
            cells = [str(role), LABELS[str(model)]]
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
        "Accuracy in percent on the whole test split, a row of panels for each task: a dot for "
        "each seed, a line at the mean; in the table mean (least to greatest; number of seeds). "
        "The networks were trained without perturbation. Noisy drive: N(5, variance 2) onto every "
        "neuron; step drive: ξ = 1; both during the second quarter of the sequence. Contrast: the "
        "stimulus times 1 + 0.5 sin(2πt/T). Paper: Table 1."
    ),
    roles=ROLES,
    models=MODELS,
    conditions=PAPER_PERTURBATIONS,
    measure=measure,
    draw=draw,
    judge=judge,
    functions=("adaptrnn.evaluation.evaluate", "adaptrnn.perturb.StepDrive"),
    tests=("tests/test_evaluation.py", "tests/test_perturb.py"),
    table=table,
)
