"""Figure S18 and C.5 show how far back the gradient of the recurrent weights reaches."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from scipy.stats import rankdata

from adaptrnn.figure.gradient import gradients
from adaptrnn.figure.style import label_of
from adaptrnn.laboratory.drawing import by_length
from adaptrnn.paper.item import Item, RunData
from adaptrnn.paper.ordering import GATED, OTHER, PLAIN, drop_missing, mean_note
from adaptrnn.paper.table1 import COLUMNS
from adaptrnn.paper.verdict import Claim, Verdict, part, verdict

__all__ = ["ITEM", "fall", "judge", "measure", "monotone"]

E43 = Claim(
    "E43",
    "Fig S18, C.5",
    "The gradient of W_hh rises with the length over which it is accumulated in RNN+ReLU, and less "
    "so in RNN+gamma; in ARUN it rises, then falls, and at full length it is an order of magnitude "
    "below both.",
    "In trained RNN+ReLU and RNN+gamma the rank correlation of the gradient's norm with the "
    "length over which it is accumulated is above 0. In trained ARUN the norm at full length is "
    "below its greatest. At full length the norms of RNN+ReLU and of RNN+gamma are each at least "
    "10 times that of ARUN (at least 5 times counts as partly, ours)",
    {"psmnist": ("relu", "gamma", "arun")},
)

_NORM = "norm of the gradient dL/dW_hh"


def measure(run: RunData) -> xr.Dataset:
    """Measure the norm of dL/dW_hh against the number of steps over which it is accumulated.

    Returns:
        norm (network, length), length 1 to T; loss (network); images.
    """
    found = run.analyses["gradients"]
    kept = {"norm": by_length(found).norm.astype("float32"), "loss": found.loss}
    return xr.Dataset(kept).assign(images=float(found.attrs["images"])).drop_attrs()


def monotone(norm: xr.DataArray) -> xr.DataArray:
    """Return the rank correlation of a norm with its length: 1 if it only rises.

    Example:
        >>> float(monotone(xr.DataArray([1.0, 2.0, 5.0], coords={"length": [1, 2, 3]})))
        1.0
    """

    def one(values: np.ndarray) -> float:
        values = values[np.isfinite(values)]
        if len(values) < 2 or np.ptp(values) == 0:
            return float("nan")
        return float(np.corrcoef(rankdata(values), np.arange(len(values)))[0, 1])

    return xr.apply_ufunc(one, norm, input_core_dims=[["length"]], vectorize=True)


def fall(norm: xr.DataArray) -> xr.DataArray:
    """Return the norm at full length as a fraction of the largest: 1 if it never falls.

    Example:
        >>> float(fall(xr.DataArray([1.0, 4.0, 2.0], coords={"length": [1, 2, 3]})))
        0.5
    """
    return norm.isel(length=-1, drop=True) / norm.max("length")


def judge(data: xr.Dataset) -> list[Verdict]:
    """Judge E43 by rank correlations, the fall of ARUN, and ratios at full length."""
    norm = data.norm.sel(role="psmnist", network="trained", drop=True).astype(float)
    full = norm.isel(length=-1, drop=True)
    arun = norm.sel(model="arun", drop=True)
    parts, shown = [], []
    for name in PLAIN:
        rising = monotone(norm.sel(model=name, drop=True))
        text = f"rank correlation of {_NORM} with the steps accumulated, {label_of(name)}"
        parts.append(part(text, rising.values, "", ".3f", above=0))
        if name == "relu":
            shown.append(
                part(f"{text}, by the stricter threshold 0.9", rising.values, "", ".3f", least=0.9)
            )
    text = f"{_NORM} over all steps divided by the largest over numbers of steps, ARUN"
    falling = fall(arun)
    parts.append(part(text, falling.values, below=1))
    shown.append(part(f"{text}, by the stricter threshold 0.9", falling.values, most=0.9))
    for name in PLAIN:
        text = f"{_NORM} over all steps, {label_of(name)} divided by ARUN"
        ratio = full.sel(model=name, drop=True) / full.sel(model="arun", drop=True)
        parts.append(part(text, ratio.values, "", ".2g", least=10, partly=5, ratio=True))
    text = f"rank correlation of {_NORM} with the steps accumulated, {label_of('linear')}"
    shown.append(part(text, monotone(norm.sel(model="linear")).values, "", ".3f", least=0.9))
    for name in (*OTHER, *GATED):
        text = f"{_NORM} over all steps, {label_of(name)} divided by ARUN"
        ratio = full.sel(model=name, drop=True) / full.sel(model="arun", drop=True)
        shown.append(part(text, ratio.values, "", ".2g", least=10, partly=5, ratio=True))
    notes = []
    if bool(full.notnull().any()):
        what = f"At the full length of {norm.sizes['length']} steps, the mean norm"
        losses = data["loss"].sel(role="psmnist", network="trained", drop=True)
        notes = [
            mean_note(what, full, ".2g"),
            mean_note("A norm also grows with the loss, which in nats", losses, ".2g"),
            f"The gradient is that of a batch of {int(data['images'].min())} test images.",
        ]
    if bool(arun.notnull().any()):
        peak = arun.dropna("seed", how="all").idxmax("length")
        notes.append(
            f"On average over seeds, the norm of ARUN is greatest at a length of "
            f"{float(peak.mean()):.0f} steps."
        )
    return [verdict(E43, parts, shown, note=" ".join(notes))]


def draw(data: xr.Dataset) -> Figure:
    """Draw the models that have any number."""
    return gradients(drop_missing(data))


ITEM = Item(
    name="s18-gradients",
    title="How far back the gradient of the recurrent weights reaches",
    caption=(
        "The lines are the Frobenius norm of dL/dW_hh, where L is the cross entropy of a batch of "
        "test images (100, or as many as the verdict says), accumulated over the last steps of the "
        "sequence, as many as the axis says. The left panel is after training and the right one "
        "before it. Thick lines are geometric means over seeds, and thin lines are seeds. For LSTM "
        "and GRU, W_hh is that of all gates together. The paper shows this in Fig S18 and C.5."
    ),
    roles=("psmnist",),
    models=COLUMNS,
    analyses=("gradients",),
    alt=(
        "Norm of the gradient of the recurrent weights against the number of steps over which it "
        "is accumulated, a line for each model, after training on the left and before it on the "
        "right; both axes of norms are logarithmic."
    ),
    measure=measure,
    draw=draw,
    judge=judge,
    functions=("adaptrnn.analysis.gradient.gradient_norm",),
    tests=("tests/analysis/test_gradient.py",),
)
