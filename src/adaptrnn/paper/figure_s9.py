"""Figure S9 shows fractional orders of gains and saturations."""

from __future__ import annotations

from functools import partial

import xarray as xr

from adaptrnn.paper.figure4 import PROTOCOL_NOTE, SIGN_NOTE
from adaptrnn.paper.figure_s10 import DEPTH, SHARP, curves, draw
from adaptrnn.paper.item import Item
from adaptrnn.paper.verdict import Claim, Verdict, part, verdict

__all__ = ["ITEM", "judge"]

E37 = Claim(
    "E37",
    "Fig S9",
    "Gains and saturations have fractional orders too.",
    "The paper states nothing beyond the figure, so nothing is judged",
    {"psmnist": ("arun",)},
)


def judge(data: xr.Dataset) -> list[Verdict]:
    """Judge E37 by the paper's estimator; signs, and the scale-free estimator, are in the note."""
    arun = data.sel(role="psmnist", model="arun")
    shown, notes = [], []
    for signal, word in (("n", "gain n"), ("s", "saturation s")):
        for protocol in data.protocol.values.tolist():
            one = arun.sel(signal=signal, protocol=protocol)
            paper = one.sel(estimator="paper")
            at = f"fractional order of {word}, protocol {protocol}"
            text = f"{at}: standard deviation over neurons, median over drives"
            shown.append(part(text, paper["sd"].median("xi").values, least=0.05))
            sharp = paper["depth"].median("xi").values
            shown.append(part(f"{at}: {DEPTH}", sharp, "%", ".0f", least=SHARP))
            text = f"{at}: share of neurons with order > 0, mean over drives"
            shown.append(part(text, 100 * paper["positive"].mean("xi").values, "%", ".0f"))
            for estimator in data.estimator.values.tolist():
                mean, share, has = (
                    float(one[name].sel(estimator=estimator).mean())
                    for name in ("mean", "positive", "resolved")
                )
                if share == share:
                    notes.append(
                        f"By {_BY[estimator]} estimator in protocol {protocol}, the mean order of "
                        f"{signal} is {mean:+.2f}, {has:.0%} of the neurons have an order, and "
                        f"{share:.0%} of these integrate."
                    )
    control = (
        "The step has the size of the drive, and n and s move by far less. The paper's estimator "
        "takes this for a derivative, and the scale-free estimator does not."
    )
    return [verdict(E37, shown=shown, note=" ".join([*notes, control, PROTOCOL_NOTE, SIGN_NOTE]))]


_BY = {"paper": "the paper's", "scale-free": "the scale-free"}


ITEM = Item(
    name="s9-controls",
    title="Fractional orders of gains and saturations",
    caption=(
        "The curves are the error of the order of gain and saturation of ARUN relative to a step "
        "of drive, by the paper's estimator, as the mean over neurons relative to its least, "
        "against the order. They are darker for larger drives. Thick lines are means over seeds, "
        "and thin lines are seeds, for protocols A and B. An order > 0 integrates the step, and an "
        "order < 0 differentiates it. The paper shows this in Fig S9."
    ),
    alt=(
        "Error curves of gain and of saturation against the fractional order, in two protocols, "
        "for three drives."
    ),
    roles=("psmnist",),
    models=("arun",),
    analyses=("fractional",),
    measure=partial(curves, signals=("n", "s")),
    draw=draw,
    judge=judge,
    functions=("adaptrnn.analysis.fractional.fractional_order",),
    tests=("tests/analysis/test_fractional.py",),
)
