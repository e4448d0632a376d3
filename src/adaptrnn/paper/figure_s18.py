"""Figure S18 and C.5: how far back the gradient of the recurrent weights reaches."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from scipy.stats import rankdata

from adaptrnn.figure.gradients import gradients
from adaptrnn.figure.style import LABELS
from adaptrnn.paper.item import Item, analysis_of
from adaptrnn.paper.ordering import BASELINES, known
from adaptrnn.paper.table1 import MODELS
from adaptrnn.paper.verdict import Claim, Verdict, part, verdict
from adaptrnn.run import Run

__all__ = ["ITEM", "fall", "judge", "measure", "monotone"]

E43 = Claim(
    "E43",
    "Fig S18, C.5",
    "The longer the gradient of W_hh is accumulated, the larger in the ReLU network; in ARUN it "
    "rises, then falls, and is about 10 times smaller at full length.",
    "trained networks. ReLU: rank correlation of norm and length ≥ 0.9; ARUN: norm at full length "
    "≤ 0.9 of the greatest; norm of ReLU / norm of ARUN at full length ≥ 5",
)


def measure(run: Run) -> xr.Dataset:
    """Norm of dL/dW_hh against the number of steps over which it is accumulated.

    Returns:
        norm (network, length), length 1 to T; loss (network); images.
    """
    found = analysis_of(run, "gradients")
    norm = found.norm.swap_dims(time="length").drop_vars("time").sortby("length")
    kept = {"norm": norm.astype("float32"), "loss": found.loss}
    return xr.Dataset(kept).assign(images=float(found.attrs["images"])).drop_attrs()


def monotone(norm: xr.DataArray) -> xr.DataArray:
    """Rank correlation of a norm with its length: 1 if it only rises.

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
    """Norm at full length as a fraction of the greatest: 1 if it never falls.

    Example:
        >>> float(fall(xr.DataArray([1.0, 4.0, 2.0], coords={"length": [1, 2, 3]})))
        0.5
    """
    return norm.isel(length=-1, drop=True) / norm.max("length")


def judge(data: xr.Dataset) -> list[Verdict]:
    """E43 by both readings of the baseline, a value for each seed."""
    norm = data.norm.sel(role="psmnist", network="trained", drop=True).astype(float)
    full = norm.isel(length=-1, drop=True)
    arun = norm.sel(model="arun", drop=True)
    parts = []
    for name in BASELINES:
        rising = monotone(norm.sel(model=name, drop=True))
        text = f"{LABELS[name]}: rank correlation of norm and length"
        parts.append(part(text, rising.values, lambda v: v >= 0.9, "", ".3f"))
    text = "ARUN: norm at full length / greatest"
    parts.append(part(text, fall(arun).values, lambda v: v <= 0.9))
    for name in BASELINES:
        ratio = full.sel(model=name, drop=True) / full.sel(model="arun", drop=True)
        text = f"norm at full length, {LABELS[name]} / ARUN"
        parts.append(part(text, ratio.values, lambda v: v >= 5, "", ".2g"))
    notes = []
    means = full.mean("seed").dropna("model")
    if means.size:
        each = (f"{LABELS[str(m)]} {float(means.sel(model=m)):.2g}" for m in means.model.values)
        notes.append(f"Mean norm at full length, {norm.sizes['length']} steps: {'; '.join(each)}.")
        losses = data["loss"].sel(role="psmnist", network="trained").mean("seed").dropna("model")
        each = (f"{LABELS[str(m)]} {float(losses.sel(model=m)):.2g}" for m in losses.model.values)
        notes.append(f"A norm also grows with the loss, here (nats): {'; '.join(each)}.")
        notes.append(f"Batch of {int(data['images'].min())} test images.")
    if bool(arun.notnull().any()):
        peak = arun.dropna("seed", how="all").idxmax("length")
        notes.append(f"ARUN's norm is greatest at a length of {float(peak.mean()):.0f} steps.")
    return [verdict(E43, parts, " ".join(notes))]


def draw(data: xr.Dataset) -> Figure:
    """Models that have any number."""
    return gradients(known(data))


ITEM = Item(
    name="s18-gradients",
    title="How far back the gradient of the recurrent weights reaches",
    caption=(
        "Frobenius norm of dL/dW_hh, L the cross entropy of a batch of test images (100, or as "
        "many as the verdict says), accumulated over the last so many steps of the sequence, of "
        "the networks before training (left) and after it (right). Line: geometric mean over "
        "seeds; band: from the least to the greatest. Of LSTM and GRU W_hh of all gates together. "
        "Paper: Fig S18, C.5."
    ),
    roles=("psmnist",),
    models=MODELS,
    analyses=("gradients",),
    measure=measure,
    draw=draw,
    judge=judge,
    functions=("adaptrnn.analysis.gradients.gradient_norm",),
    tests=("tests/analysis/test_gradients.py",),
)
