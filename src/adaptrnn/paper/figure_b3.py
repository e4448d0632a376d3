"""Figure 3a, bottom, and B.3: only the f-I curves are trained again, on turned digits."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.heterogeneity import rotated
from adaptrnn.paper.item import Item, analysis_of
from adaptrnn.paper.notes import along
from adaptrnn.paper.ordering import images, known
from adaptrnn.paper.verdict import Claim, Verdict, part, verdict
from adaptrnn.run import Run

__all__ = ["ITEM", "judge", "measure"]

E15 = Claim(
    "E15",
    "Fig 3a, bottom; B.3",
    "On digits turned by 45 degrees, training only (n, s) again recovers more than a quarter of "
    "what was lost, and the neurons become more diverse.",
    "recovered fraction of the accuracy ≥ 0.25; all other parameters bit-identical; determinant of "
    "cov(n, s) grows",
)


def measure(run: Run) -> xr.Dataset:
    """Accuracy upright, turned and retrained, and n and s before and after.

    Returns:
        accuracy (stage); recovered; unchanged, 1 if every other number of the network stayed;
        n, s (training, neuron), det_covariance (training); images, in the test set.
    """
    found = analysis_of(run, "transfer")
    kept = (
        found[["n", "s"]].astype("float32").assign_coords(neuron=np.arange(found.sizes["neuron"]))
    )
    return kept.assign(
        accuracy=found.accuracy,
        recovered=found.recovered,
        det_covariance=found.det_covariance,
        unchanged=found.others_identical.astype(float),
        images=float(found.attrs["samples"][-1]),
    ).drop_attrs()


def judge(data: xr.Dataset) -> list[Verdict]:
    """E15, a value for each seed."""
    gamma = data.sel(role="psmnist", model="gamma")
    before, after = (gamma.det_covariance.sel(training=k, drop=True) for k in ("before", "after"))
    parts = [
        part("recovered fraction", gamma.recovered.values, lambda v: v >= 0.25),
        part(
            "other parameters bit-identical (1: yes)",
            gamma.unchanged.values,
            lambda v: v == 1,
            digits=".0f",
        ),
        part("det cov(n, s), after - before", (after - before).values, lambda v: v > 0, "", ".2g"),
    ]
    notes = []
    rates = along(100 * gamma.accuracy, "stage", ".1f")
    if rates:
        notes.append(f"Mean accuracy (%): {rates}; in the paper 94, 42 and 56, so 0.27.")
        notes.append(f"Trained again and tested on different images. {images(gamma['images'])}")
    return [verdict(E15, parts, " ".join(notes))]


def draw(data: xr.Dataset) -> Figure:
    """Seeds that have any number."""
    return rotated(known(data))


ITEM = Item(
    name="b3-rotated",
    title="Only gains and saturations trained again on turned digits",
    caption=(
        "Test digits turned by 45 degrees about their centre, half of them (as many of every "
        "class) to train n and s of RNN+gamma again, everything else frozen, the other half to "
        "test. a: (n, s) of every neuron of the first seed before and after; a line joins a "
        "neuron's two places. b: accuracy on the test half upright, turned, and turned after "
        "retraining; bars: mean over seeds; a line for each seed. Paper: Fig 3a, bottom, and B.3."
    ),
    roles=("psmnist",),
    models=("gamma",),
    analyses=("transfer",),
    measure=measure,
    draw=draw,
    judge=judge,
    functions=(
        "adaptrnn.analysis.transfer.rotated_digits",
        "adaptrnn.analysis.transfer.retrain_activation",
    ),
    tests=("tests/analysis/test_transfer.py",),
)
