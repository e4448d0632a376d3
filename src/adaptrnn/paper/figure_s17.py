"""Figure S17 and C.4 put the frozen controller of one network into a new one."""

from __future__ import annotations

import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.transfer import transplanted
from adaptrnn.laboratory.drawing import both_controllers
from adaptrnn.paper.item import Item, RunData
from adaptrnn.paper.note import means_along
from adaptrnn.paper.ordering import drop_missing, image_note
from adaptrnn.paper.table1 import IN_WORDS
from adaptrnn.paper.verdict import Claim, Verdict, part, verdict

__all__ = ["ITEM", "judge", "measure"]

E42 = Claim(
    "E42",
    "Fig S17, C.4",
    "A network trained with the frozen controller of another has for all practical purposes the "
    "same performance and robustness as one with its own.",
    "The accuracy with the network's own controller is above that with the transplanted one by at "
    "most 2 pp without perturbation, and by at most 5 pp under each perturbation (ours)",
    {"psmnist": ("arun",)},
)


def measure(run: RunData) -> xr.Dataset:
    """Measure accuracy with the own and with the transplanted controller.

    Returns:
        accuracy (controller, condition): own, of the donor; transplanted, of the run; unchanged, 1
        if the run's controller is the donor's, bit for bit; images, in the test set.
    """
    found = run.analyses["transfer"]
    return xr.Dataset(
        {
            "accuracy": both_controllers(found),
            "unchanged": found.controller_identical.astype(float),
            "images": float(found.attrs["images"]),
        }
    ).drop_attrs()


CONTROLLERS = ("own", "transplanted")


def judge(data: xr.Dataset) -> list[Verdict]:
    """Judge E42, with a value for each seed of the new network."""
    arun = data.sel(role="psmnist", model="arun")
    own, other = (100 * arun.accuracy.sel(controller=name, drop=True) for name in CONTROLLERS)
    parts = []
    for condition in data.condition.values.tolist():
        most = 2.0 if condition == "clean" else 5.0
        loss = (own - other).sel(condition=condition)
        text = (
            f"accuracy {IN_WORDS[condition]}, with its own controller minus with the transplanted "
            "one"
        )
        parts.append(part(text, loss.values, " pp", "+.1f", most=most))
    text = "the transplanted controller is bit-identical to the donor's (1: yes, in every seed)"
    checks = [part(text, arun.unchanged.min().values, "", ".0f", least=1)]
    notes = []
    if bool(own.notnull().any()):
        for whose, values in (("its own", own), ("the transplanted", other)):
            means = means_along(values, "condition", ".1f", link="", words=IN_WORDS)
            notes.append(f"With {whose} controller, the mean accuracy in % is {means}.")
        notes.append(image_note(arun["images"]))
    return [verdict(E42, parts, checks=checks, note=" ".join(notes))]


def draw(data: xr.Dataset) -> Figure:
    """Draw the seeds that have any number."""
    return transplanted(drop_missing(data))


ITEM = Item(
    name="s17-transplant",
    title="The controller of another network",
    caption=(
        "The dots are the test accuracy of an ARUN that trained its own controller (own, the "
        "donor), and of new networks from another seed (transplanted), which got the donor's "
        "controller frozen and trained everything else. A line joins each donor and its recipient. "
        "The conditions are those of Table 1. The paper shows this in Fig S17 and C.4."
    ),
    roles=("psmnist",),
    models=("arun",),
    variant="transplant",
    analyses=("transfer",),
    alt=(
        "Test accuracy clean and under three perturbations: hollow dots for networks with their "
        "own controller, filled dots for networks with a transplanted one, joined in pairs."
    ),
    measure=measure,
    draw=draw,
    judge=judge,
    functions=(
        "adaptrnn.analysis.transfer.transplant",
        "adaptrnn.analysis.transfer.compare_transplant",
    ),
    tests=("tests/analysis/test_transfer.py",),
)
