"""Figures S13 to S16 show accuracy and loss over two properties of a drive and of a contrast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.analysis.robustness import compare
from adaptrnn.figure.map import cells
from adaptrnn.figure.style import label_of, letters, subplots, task_title
from adaptrnn.paper.item import ROLES, Item, RunData
from adaptrnn.paper.note import enumerated
from adaptrnn.paper.ordering import (
    GATED,
    OTHER,
    PLAIN,
    TASK_LABELS,
    drop_missing,
    lead_over_next,
    leads,
)
from adaptrnn.paper.table1 import COLUMNS
from adaptrnn.paper.verdict import Claim, Part, Verdict, part, verdict

__all__ = ["ITEM", "advantage", "judge", "measure"]

E39 = Claim(
    "E39",
    "Figs S13 to S16",
    "On psMNIST, over phase and amplitude of a contrast ARUN is best; over amplitude and length of "
    "a drive its loss is an order of magnitude below the other RNNs'. On sCIFAR10 the trends are "
    "similar, without significant differences.",
    "On psMNIST, over the map of contrasts, the accuracy of ARUN decreases less on average than "
    "that of the next best network. Over the map of drives, the loss of the better of RNN+ReLU "
    "and RNN+gamma divided by that of ARUN is at least 10 in the median",
    {"psmnist": (*PLAIN, *GATED, "arun")},
)
MAPS = ("drive", "contrast")
TENFOLD = 10.0
"""How many times the loss of the next best network should be that of ARUN."""


def measure(run: RunData) -> xr.Dataset:
    """Measure accuracy and loss as maps, and on how many images.

    Returns:
        drive_accuracy, drive_loss (map_xi, map_length), contrast_accuracy, contrast_loss
        (map_phase, map_amplitude); clean_accuracy, without contrast; images.
    """
    found = run.analyses["robustness"]
    kept = {
        f"{kind}_{name}": found[f"{kind}_map_{name}"].astype("float32")
        for kind in MAPS
        for name in ("accuracy", "loss")
    }
    clean = found.contrast_accuracy.sel(amplitude=0.0, drop=True)
    result = xr.Dataset(kept).assign(images=float(found.attrs["drive_map_images"]))
    result["clean_accuracy"] = clean.astype("float32")
    return result.drop_attrs()


def judge(data: xr.Dataset) -> list[Verdict]:
    """Judge E39 on psmnist; the other tasks, shares of cells and other models are shown."""
    parts: list[Part] = []
    shown: list[Part] = []
    notes: list[str] = []
    data = data.reindex(model=list(COLUMNS))
    for role in data.role.values.tolist():
        one, task = data.sel(role=role, drop=True).astype(float), TASK_LABELS[role]
        lost = 100 * _decrease(one)
        what = f"{task}, contrast: mean decrease of accuracy over the map of phase and amplitude"
        ratios = [_ratio(one.drive_loss, task, name, models) for name, models in _LOSSES.items()]
        judged = [lead_over_next("arun", (*PLAIN, *GATED), lost, min, what), ratios[0]]
        more = [*leads("arun", (*PLAIN, *GATED, *OTHER), lost, min, what), *ratios[1:]]
        for kind in MAPS:
            for name in ("accuracy", "loss"):
                more += _shares(one[f"{kind}_{name}"], f"{task}, {kind}, {name}")
        if role == "psmnist":
            parts, shown = judged, more + shown
            notes.append(_means(_over_map(one.drive_loss, PLAIN).values))
        else:
            shown += [*judged, *more]
    images = data["images"].min([dim for dim in data["images"].dims if dim != "role"])
    counts = [
        f"{int(count)} on {TASK_LABELS[str(role)]}"
        for role, count in zip(images.role.values, images.values, strict=True)
        if np.isfinite(count)
    ]
    if counts:
        notes.append(
            f"The test images of each cell are {enumerated(counts)}, so the order of close "
            "accuracies is due to chance."
        )
    return [verdict(E39, parts, shown, note=" ".join(note for note in notes if note))]


def _decrease(one: xr.Dataset) -> xr.DataArray:
    """Clean accuracy minus the mean over the map of contrasts, (model, seed)."""
    mean = one.contrast_accuracy.mean(["map_phase", "map_amplitude"], skipna=False)
    if "clean_accuracy" not in one:  # a table of an earlier version
        return mean * float("nan")
    return one.clean_accuracy - mean


def _ratio(loss: xr.DataArray, task: str, name: str, models: Sequence[str]) -> Part:
    """Loss of the best of some models over that of ARUN, the median over the map, (seed,)."""
    ratio = _over_map(loss, models)
    text = (
        f"{task}, drive: loss of {name} divided by that of ARUN, median over the map of amplitude "
        "and length"
    )
    return part(text, ratio.values, "", ".2f", least=TENFOLD, ratio=True)


def _over_map(loss: xr.DataArray, models: Sequence[str]) -> xr.DataArray:
    """Loss of the best of some models over that of ARUN, median over the map, (seed,)."""
    best = loss.sel(model=list(models)).min("model", skipna=False)
    ratio = best / loss.sel(model="arun", drop=True)
    return ratio.median(["map_xi", "map_length"], skipna=False)


def _means(ratios: np.ndarray) -> str:
    """Say by which means over seeds the ratios reach the threshold, if these do not agree."""
    known = ratios[np.isfinite(ratios) & (ratios > 0)]
    if not len(known):
        return ""
    means = {
        "geometric mean": float(np.exp(np.log(known).mean())),
        "median": float(np.median(known)),
        "arithmetic mean": float(known.mean()),
    }
    if len({mean >= TENFOLD for mean in means.values()}) == 1:
        return ""
    said = enumerated([f"the {name} is {mean:.3g}" for name, mean in means.items()])
    return (
        "The verdict on the drive depends on the kind of mean. The ratios are, seed by seed, "
        f"{enumerated([f'{ratio:.2g}' for ratio in known])}. Of these {said}."
    )


_LOSSES: dict[str, Sequence[str]] = {
    "the better of RNN (ReLU) and RNN+gamma": PLAIN,
    "the best of all other networks but RNN (linear)": (*PLAIN, "gamma-shared", *GATED),
    "the best of all other networks but RNN (ReLU)": ("gamma", *OTHER, *GATED),
    **{label_of(name): (name,) for name in (*PLAIN, *OTHER, *GATED)},
}


def _shares(values: xr.DataArray, what: str) -> list[Part]:
    """Share of the cells in which ARUN is best, among all and among models without gates."""
    found = []
    for label, others in _RIVALS.items():
        names = [name for name in COLUMNS if name == "arun" or name in others]
        rest = values.sel(model=names)
        complete = rest.notnull().all([dim for dim in rest.dims if dim != "seed"])
        better = "higher" if what.endswith("accuracy") else "lower"
        shares = [
            100 * float(compare(rest.isel(seed=k, drop=True), "arun", better=better).share_best)
            if bool(complete[k])
            else float("nan")
            for k in range(rest.sizes["seed"])
        ]
        text = f"{what}: share of cells of the map in which ARUN is best, compared with {label}"
        found.append(part(text, shares, "%", ".0f", least=50))
    return found


_RIVALS: dict[str, Sequence[str]] = {
    "RNN (ReLU) and RNN+gamma": PLAIN,
    "all other networks but RNN (linear)": (*PLAIN, "gamma-shared", *GATED),
    "all other networks but RNN (ReLU)": ("gamma", *OTHER, *GATED),
}


def advantage(data: xr.Dataset, kind: str, name: str) -> xr.DataArray:
    """Return how much better ARUN is than the best network that the paper compares with it.

    Args:
        data: collected measures.
        kind: "drive", compared with RNN (ReLU) and RNN+gamma, or "contrast", with LSTM and GRU too.
        name: "accuracy": percentage points of ARUN above the best other; "loss": the best other's
            loss divided by ARUN's, as log10.

    Returns:
        (role, seed, ...) above 0 where ARUN is better; the best other is that of the same seed.
    """
    others = [m for m in (*PLAIN, *(GATED if kind == "contrast" else ())) if m in data.model]
    values = data[f"{kind}_{name}"].astype(float)
    if "arun" not in data.model or not others:
        return values.isel(model=0, drop=True) * np.nan
    arun, rest = values.sel(model="arun", drop=True), values.sel(model=others)
    if name == "accuracy":
        return 100 * (arun - rest.max("model"))
    floor = np.finfo(np.float32).tiny  # a loss of 0 has no logarithm
    ratio = rest.min("model").clip(floor) / arun.clip(floor)
    return xr.apply_ufunc(np.log10, ratio)


def draw(data: xr.Dataset) -> Figure:
    """Draw ARUN minus the best other network in every cell, a column for each task.

    Args:
        data: `drive_accuracy`, `drive_loss` (role, model, seed, map_xi, map_length) and
            `contrast_accuracy`, `contrast_loss` (role, model, seed, map_phase, map_amplitude).

    Returns:
        The figure: means over seeds, blue where ARUN is better.
    """
    data = drop_missing(data)
    roles, rows = data.role.values.tolist(), [(k, n) for k in MAPS for n in ("accuracy", "loss")]
    width = 1.6 + 2.7 * len(roles)
    figure, axes = subplots(len(rows), len(roles), width=width, height=8.6, sharey="row")
    for row, (kind, name) in zip(axes, rows, strict=True):
        x, y, x_label, y_label = _AXES[kind]
        values = advantage(data, kind, name)
        most, digits = _SCALES[kind, name]
        scale: dict[str, Any] = {"cmap": "RdBu", "vmin": -most, "vmax": most}
        for axis, role in zip(row, roles, strict=True):
            shown = cells(axis, values.sel(role=role), y, x, digits, **scale)
            axis.set_xlabel(x_label)
        row[0].set_ylabel(f"{kind}: {name}\n{y_label}")
        figure.colorbar(
            shown, ax=row.tolist(), fraction=0.03, pad=0.01, extend="both", label=_LABELS[name]
        )
    letters(axes)
    for axis, role in zip(axes[0], roles, strict=True):
        seeds = drop_missing(data.sel(role=[role])).sizes["seed"]
        axis.set_title(f"{task_title(data, role)}\nn = {seeds} seed{'' if seeds == 1 else 's'}")
    return figure


_AXES = {
    "drive": ("map_length", "map_xi", "length of the drive / T", "drive ξ"),
    "contrast": ("map_phase", "map_amplitude", "phase / π", "contrast A"),
}
"""Axes of the maps, horizontal and vertical, and their labels."""
_SCALES = {
    ("drive", "accuracy"): (40.0, "+.0f"),
    ("drive", "loss"): (1.5, "+.1f"),
    ("contrast", "accuracy"): (15.0, "+.0f"),
    ("contrast", "loss"): (0.3, "+.2f"),
}
"""Ends of the colours and format of the numbers, by kind of perturbation and quantity."""
_LABELS = {
    "accuracy": "ARUN minus best other (pp)",
    "loss": "log10 (best other / ARUN)",
}


ITEM = Item(
    name="s13-maps",
    title="Accuracy and loss of ARUN next to the best other network, over two properties",
    caption=(
        "The maps show how much better (blue) or worse (red) ARUN is than the best other network, "
        "of those that the paper compares. These are RNN (ReLU) and RNN+gamma under drive, and "
        "LSTM and GRU too under contrast. There is a column for each task, and values are means "
        "over seeds. Accuracies are in percentage points, and losses are log10 of the ratio, so "
        "+1.0 is a loss ten times smaller. The drive is a step of ξ onto every neuron from 200/784 "
        "of the sequence on, over its amplitude and its length as a fraction of the sequence. For "
        "the contrast, the stimulus is multiplied by 1 + A sin(2πt/T + phase). Every cell has 250 "
        "test images, evenly spaced in the split, or as many as the verdict says. The paper shows "
        "this in Figs S13 to S16."
    ),
    alt=(
        "Maps in numbered cells, a column for each task: accuracy and loss of ARUN next to the "
        "best other network, over size and length of a drive (upper two rows) and over phase and "
        "amplitude of a contrast (lower two rows); blue cells are those where ARUN is better."
    ),
    roles=ROLES,
    models=COLUMNS,
    analyses=("robustness",),
    measure=measure,
    draw=draw,
    judge=judge,
    functions=("adaptrnn.analysis.robustness.sweep", "adaptrnn.analysis.robustness.compare"),
    tests=("tests/analysis/test_robustness.py",),
)
