"""Figures S13 to S16: accuracy and loss over two properties of a drive and of a contrast."""

from __future__ import annotations

import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.analysis.robustness import compare
from adaptrnn.figure.robustness import heat_maps
from adaptrnn.figure.style import LABELS
from adaptrnn.paper.item import ROLES, Item, analysis_of
from adaptrnn.paper.ordering import BASELINES, known, roles
from adaptrnn.paper.table1 import MODELS
from adaptrnn.paper.verdict import Claim, Part, Verdict, part, verdict
from adaptrnn.run import Run

__all__ = ["ITEM", "judge", "measure"]

E39 = Claim(
    "E39",
    "Figs S13 to S16",
    "Over amplitude and length of a drive, and phase and amplitude of a contrast, ARUN is best; "
    "under drive its loss is 10 times lower.",
    "ARUN best in at least half of the cells; median ratio of the next best's loss to ARUN's under "
    "drive ≥ 10",
)
MAPS = ("drive", "contrast")


def measure(run: Run) -> xr.Dataset:
    """Accuracy and loss as maps, and on how many images.

    Returns:
        drive_accuracy, drive_loss (map_xi, map_length), contrast_accuracy, contrast_loss
        (map_phase, map_amplitude); images.
    """
    found = analysis_of(run, "robustness")
    kept = {
        f"{kind}_{name}": found[f"{kind}_map_{name}"].astype("float32")
        for kind in MAPS
        for name in ("accuracy", "loss")
    }
    result = xr.Dataset(kept).assign(images=float(found.attrs["drive_map_images"]))
    return result.drop_attrs()


def judge(data: xr.Dataset) -> list[Verdict]:
    """E39: shares of cells, and ratios of losses, by either reading of the baseline."""
    parts, notes = [], []
    for role in roles(data):
        one = data.sel(role=role, drop=True)
        for kind in MAPS:
            for name in ("accuracy", "loss"):
                parts += _share(one[f"{kind}_{name}"].astype(float), f"{role}, {kind}, {name}")
        ratio, text = _ratios(one.drive_loss.astype(float), role)
        parts += ratio
        notes.append(text)
    count = data["images"].min()
    if bool(count.notnull()):
        notes.append(f"{int(count)} test images in a cell: close accuracies are in chance order.")
    return [verdict(E39, parts, " ".join(note for note in notes if note))]


def _share(values: xr.DataArray, what: str) -> list[Part]:
    """Share of the cells in which ARUN is best, by each reading, (seed,)."""
    better = "higher" if what.endswith("accuracy") else "lower"
    found = []
    for left_out, label in zip(reversed(BASELINES), BASELINES, strict=True):
        rest = values.sel(model=[name for name in MODELS if name != left_out])
        complete = rest.notnull().all([dim for dim in rest.dims if dim != "seed"])
        shares = [
            100 * float(compare(rest.isel(seed=k, drop=True), "arun", better=better).share_best)
            if bool(complete[k])
            else float("nan")
            for k in range(rest.sizes["seed"])
        ]
        text = f"{what}: cells in which ARUN is best, baseline {LABELS[label]}"
        found.append(part(text, shares, lambda v: v >= 50, "%", ".0f"))
    return found


def _ratios(loss: xr.DataArray, role: str) -> tuple[list[Part], str]:
    """Median over cells of the loss of the best other over that of ARUN, (seed,)."""
    arun, cells = loss.sel(model="arun", drop=True), ["map_xi", "map_length"]
    parts = []
    for left_out, label in zip(reversed(BASELINES), BASELINES, strict=True):
        names = [name for name in MODELS if name not in ("arun", left_out)]
        best = loss.sel(model=names).min("model", skipna=False)
        ratio = (best / arun).median(cells, skipna=False)
        text = f"{role}, drive: best other's loss / ARUN's, median, baseline {LABELS[label]}"
        parts.append(part(text, ratio.values, lambda v: v >= 10, "", ".2f"))
    each = (loss / arun).median(cells).mean("seed").dropna("model")
    words = [
        f"{LABELS[str(name)]} {float(each.sel(model=name)):.2g}"
        for name in each.model.values
        if name != "arun"
    ]
    text = f"{role}: median ratio of loss under drive to ARUN's: {', '.join(words)}."
    return parts, text if words else ""


def draw(data: xr.Dataset) -> Figure:
    """Tasks and models that have any number."""
    return heat_maps(known(data))


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
    models=MODELS,
    analyses=("robustness",),
    measure=measure,
    draw=draw,
    judge=judge,
    functions=("adaptrnn.analysis.robustness.sweep", "adaptrnn.analysis.robustness.compare"),
    tests=("tests/analysis/test_robustness.py",),
)
