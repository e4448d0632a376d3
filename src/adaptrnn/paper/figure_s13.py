"""Figures S13 to S16: accuracy and loss over two properties of a drive and of a contrast."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.analysis.robustness import compare
from adaptrnn.figure.robustness import heat_maps
from adaptrnn.figure.style import label_of
from adaptrnn.paper.item import ROLES, Item, RunData
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

__all__ = ["ITEM", "judge", "measure"]

E39 = Claim(
    "E39",
    "Figs S13 to S16",
    "On psMNIST, over phase and amplitude of a contrast ARUN is best; over amplitude and length of "
    "a drive its loss is an order of magnitude below the other RNNs'. On sCIFAR10 the trends are "
    "similar, without significant differences.",
    "psMNIST. Contrast: mean decrease of accuracy of ARUN below the next best's. Drive: loss of "
    "the better of RNN+ReLU and RNN+gamma divided by that of ARUN, median over the map, at least "
    "10",
    {"psmnist": (*PLAIN, *GATED, "arun")},
)
MAPS = ("drive", "contrast")


def measure(run: RunData) -> xr.Dataset:
    """Accuracy and loss as maps, and on how many images.

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
    """E39 on psmnist; the other tasks, shares of cells and other models are shown."""
    parts: list[Part] = []
    shown: list[Part] = []
    notes: list[str] = []
    data = data.reindex(model=list(COLUMNS))
    for role in data.role.values.tolist():
        one, task = data.sel(role=role, drop=True).astype(float), TASK_LABELS[role]
        lost = 100 * _decrease(one)
        what = f"{task}, contrast: mean decrease of accuracy over the map"
        ratios = [_ratio(one.drive_loss, task, name, models) for name, models in _LOSSES.items()]
        judged = [lead_over_next("arun", (*PLAIN, *GATED), lost, min, what), ratios[0]]
        more = [*leads("arun", (*PLAIN, *GATED, *OTHER), lost, min, what), *ratios[1:]]
        for kind in MAPS:
            for name in ("accuracy", "loss"):
                more += _shares(one[f"{kind}_{name}"], f"{task}, {kind}, {name}")
        if role == "psmnist":
            parts, shown = judged, more + shown
        else:
            shown += [*judged, *more]
    count = data["images"].min()
    if bool(count.notnull()):
        notes.append(f"{int(count)} test images in a cell: close accuracies are in chance order.")
    return [verdict(E39, parts, shown, note=" ".join(notes))]


def _decrease(one: xr.Dataset) -> xr.DataArray:
    """Clean accuracy minus the mean over the map of contrasts, (model, seed)."""
    mean = one.contrast_accuracy.mean(["map_phase", "map_amplitude"], skipna=False)
    if "clean_accuracy" not in one:  # a table of an earlier version
        return mean * float("nan")
    return one.clean_accuracy - mean


def _ratio(loss: xr.DataArray, task: str, name: str, models: Sequence[str]) -> Part:
    """Loss of the best of some models over that of ARUN, the median over the map, (seed,)."""
    best = loss.sel(model=list(models)).min("model", skipna=False)
    ratio = (best / loss.sel(model="arun", drop=True)).median(
        ["map_xi", "map_length"], skipna=False
    )
    text = f"{task}, drive: loss of {name} divided by that of ARUN, median over the map"
    return part(text, ratio.values, "", ".2f", least=10, ratio=True)


_LOSSES: dict[str, Sequence[str]] = {
    "the better of RNN (ReLU) and RNN+gamma": PLAIN,
    "the best of all but RNN (linear)": (*PLAIN, "gamma-shared", *GATED),
    "the best of all but RNN (ReLU)": ("gamma", *OTHER, *GATED),
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
        text = f"{what}: share of cells in which ARUN is best, against {label}"
        found.append(part(text, shares, "%", ".0f", least=50))
    return found


_RIVALS: dict[str, Sequence[str]] = {
    "RNN (ReLU) and RNN+gamma": PLAIN,
    "all but RNN (linear)": (*PLAIN, "gamma-shared", *GATED),
    "all but RNN (ReLU)": ("gamma", *OTHER, *GATED),
}


def draw(data: xr.Dataset) -> Figure:
    """Tasks and models that have any number."""
    return heat_maps(drop_missing(data))


ITEM = Item(
    name="s13-maps",
    title="Accuracy and loss over two properties of a perturbation",
    caption=(
        "Test accuracy and loss of networks trained without perturbation, means over seeds, a "
        "column for each model; light is good in every map, grey is no data. Drive: a step of ξ "
        "onto every neuron from 200/784 of the sequence on, over its amplitude and its length as a "
        "fraction of the sequence. Contrast: the stimulus times 1 + A sin(2πt/T + phase). 250 test "
        "images in every cell, evenly spaced in the split, or as many as the verdict says. Losses "
        "beyond 0.1 to 100 nats have the colours of the ends. Paper: Figs S13 to S16."
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
