"""Figure S9: fractional orders of gains and saturations."""

from __future__ import annotations

from functools import partial

import xarray as xr

from adaptrnn.figure.orders import error_curves
from adaptrnn.paper.figure4 import PROTOCOLS, SIGN
from adaptrnn.paper.figure_s10 import SHARP, curves
from adaptrnn.paper.item import Item
from adaptrnn.paper.verdict import Claim, Verdict, part, verdict

__all__ = ["ITEM", "judge"]

E37 = Claim(
    "E37",
    "Fig S9",
    "Gains and saturations too have fractional orders, which differ between neurons.",
    "sd over neurons ≥ 0.05 (ours, as E20); sharp minimum: least error ≥ 10% below that 0.25 away "
    "(ours)",
)


def judge(data: xr.Dataset) -> list[Verdict]:
    """E37 by the paper's estimator; signs, and the scale-free estimator, in the note."""
    arun = data.sel(role="psmnist", model="arun")
    parts, notes = [], []
    for signal in ("n", "s"):
        for protocol in data.protocol.values.tolist():
            one = arun.sel(signal=signal, protocol=protocol)
            paper = one.sel(estimator="paper")
            text = f"{signal}, {protocol}: sd over neurons, median over drives"
            parts.append(part(text, paper["sd"].median("xi").values, lambda v: v >= 0.05))
            text = f"{signal}, {protocol}: depth of the minimum, median over drives"
            sharp = paper["depth"].median("xi").values
            parts.append(part(text, sharp, lambda v: v >= SHARP, "%", ".0f"))
            words = []
            for estimator in data.estimator.values.tolist():
                mean, share, has = (
                    float(one[name].sel(estimator=estimator).mean())
                    for name in ("mean", "positive", "resolved")
                )
                if share == share:
                    words.append(
                        f"{estimator}: mean {mean:+.2f}, {share:.0%} integrate, {has:.0%} have one"
                    )
            if words:
                notes.append(f"Orders of {signal} in {protocol}, {'; '.join(words)}.")
    control = (
        "The step has the size of the drive, n and s move by far less, which the paper's estimator "
        "takes for a derivative; the scale-free one does not."
    )
    return [verdict(E37, parts, " ".join([*notes, control, PROTOCOLS, SIGN]))]


ITEM = Item(
    name="s9-controls",
    title="Fractional orders of gains and saturations",
    caption=(
        "Error of the order of gain and saturation of ARUN relative to a step of drive, by the "
        "paper's estimator, mean over neurons, relative to its least, against the order; a line "
        "for each seed, darker for larger drives; protocols A and B. Order > 0 integrates, order "
        "< 0 differentiates the step. Paper: Fig S9."
    ),
    roles=("psmnist",),
    models=("arun",),
    analyses=("fractional",),
    measure=partial(curves, signals=("n", "s")),
    draw=error_curves,
    judge=judge,
    functions=("adaptrnn.analysis.fractional.fractional_order",),
    tests=("tests/analysis/test_fractional.py",),
)
