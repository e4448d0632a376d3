"""Figure 4a: gains and saturations of the adaptive network under steps of drive."""

from __future__ import annotations

import xarray as xr

from adaptrnn.analysis.step_response import step_response
from adaptrnn.figure.response import response
from adaptrnn.paper.item import Item
from adaptrnn.paper.verdict import Claim, Verdict, part, verdict
from adaptrnn.run import Run

E19 = Claim(
    "E19",
    "Fig 4a",
    "Under a step of drive n and s jump, then decay exponentially to a steady state that depends "
    "on ξ.",
    "exponential fit R² ≥ 0.9",
)

SIGNALS = ("n", "s", "h")


def measure(run: Run) -> xr.Dataset:
    """Mean over neurons of n, s, h (time, xi), and of each neuron's the fit, (xi, neuron)."""
    found = step_response(run.model().core)
    kept = [f"{name}_{key}" for name in SIGNALS for key in ("r2", "tau", "steady", "jump")]
    means = {f"{name}_mean": found[name].mean("neuron") for name in SIGNALS}
    return found[kept].assign(means)


def judge(data: xr.Dataset) -> list[Verdict]:
    """E19: the middle one of the R² of all neurons and drives, for each seed."""
    arun = data.sel(model="arun")
    parts, notes = [], []
    for name in ("n", "s"):
        r2 = arun[f"{name}_r2"].median(["xi", "neuron"]).values
        parts.append(part(f"R² of {name}, median", r2, lambda value: value >= 0.9))
        tau = float(arun[f"{name}_tau"].median())
        steady = arun[f"{name}_steady"].mean(["neuron", "seed"])
        ends = [f"{float(steady[i]):.3g} at ξ = {float(steady.xi[i]):g}" for i in (0, -1)]
        notes.append(f"{name}: time constant {tau:.1f} steps; steady {' and '.join(ends)}.")
    return [verdict(E19, parts, " ".join(notes))]


ITEM = Item(
    name="fig4-step",
    title="Gain, saturation and rate under steps of drive",
    caption=(
        "Mean over the neurons of ARUN of gain, saturation and rate while a drive ξ is switched on "
        "at step 200 and off at step 400 (dotted), with no other input; a column for each seed. "
        "Paper: Fig 4a."
    ),
    models=("arun",),
    measure=measure,
    draw=response,
    judge=judge,
)
