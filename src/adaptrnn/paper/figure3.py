"""Figure 3a, top: gains and saturations of the neurons after training from one shared start."""

from __future__ import annotations

from collections.abc import Callable

import xarray as xr

from adaptrnn.figure.heterogeneity import heterogeneity
from adaptrnn.paper.item import Item
from adaptrnn.paper.verdict import Claim, Verdict, part, verdict
from adaptrnn.run import Run, build_model

E14 = Claim(
    "E14",
    "Fig 3a",
    "From a homogeneous start, training makes the neurons' (n, s) heterogeneous.",
    "standard deviation over neurons: n > 0.05, s > 0.001",
)


def measure(run: Run) -> xr.Dataset:
    """N and s of every neuron after training and before, (neuron,)."""
    task = run.task()
    found = {}
    for suffix, model in (("", run.model(task)), ("_initial", build_model(run.config(), task))):
        for name in ("n", "s"):
            found[name + suffix] = "neuron", getattr(model.core, f"{name}_l0").detach().numpy()
    return xr.Dataset(found)


def judge(data: xr.Dataset) -> list[Verdict]:
    """E14: standard deviation over neurons, a value for each seed; 0 before training."""
    one = data.sel(model="gamma").astype(float)
    parts = [
        part(f"sd({name}) over neurons", one[name].std("neuron").values, _above(least), "", digits)
        for name, least, digits in (("n", 0.05, ".3f"), ("s", 0.001, ".4f"))
    ]
    before = [float(one[f"{name}_initial"].std("neuron").max()) for name in ("n", "s")]
    return [verdict(E14, parts, f"Before training: sd(n) = {before[0]:g}, sd(s) = {before[1]:g}.")]


def _above(least: float) -> Callable[[float], bool]:
    return lambda value: value > least


ITEM = Item(
    name="fig3-heterogeneity",
    title="Learned gain and saturation of every neuron",
    caption=(
        "Gain n and saturation s of every neuron of RNN+gamma after training; the cross marks the "
        "one pair that all neurons started from. Paper: Fig 3a, top."
    ),
    models=("gamma",),
    measure=measure,
    draw=heterogeneity,
    judge=judge,
)
