"""The gate before judging: has every network that a claim is judged on learned its task?

A task on which no model is clearly above chance says nothing about any model, and a network that
has not learned its task says nothing about its kind. Either gives the verdict "not trained enough",
whatever the numbers are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import xarray as xr

from adaptrnn.figure.style import label_of
from adaptrnn.paper.note import enumerated
from adaptrnn.paper.ordering import TASK_LABELS
from adaptrnn.paper.verdict import Claim, Verdict

__all__ = ["LEAST", "in_order", "untrained"]

LEAST = 0.3
"""Accuracy of the best model on a task of ten classes: twice chance, and ten points."""
SHARE = 0.5
"""Of the best model's accuracy, what a model must reach."""


def untrained(claim: Claim, accuracy: xr.DataArray) -> str:
    """Return which networks of a claim have not learned their task.

    Args:
        claim: the claim, with the networks that it is judged on.
        accuracy: clean accuracy on the test split, 0 to 1, (role, model), mean over seeds; NaN
            where there is no network.

    Returns:
        A sentence; empty if all have learned it, or are not there.

    Example:
        >>> claim = Claim("E07", "Table 1", "", "", {"scifar10": ("arun", "lstm")})
        >>> names = {"role": ["scifar10"], "model": ["gru", "arun", "lstm"]}
        >>> untrained(claim, xr.DataArray([[0.36, 0.25, 0.12]], names))
        'On sCIFAR10, LSTM has 12.0%, less than half of the best (36.0%).'
        >>> untrained(claim, xr.DataArray([[0.27, 0.25, 0.12]], names))
        'On sCIFAR10, no model reaches 30% (the best has 27.0%).'
    """
    words = []
    for role, models in claim.networks.items():
        if role not in accuracy.role:
            continue
        one = accuracy.sel(role=role, drop=True)
        best = float(one.max())
        if best != best:
            continue
        if best < LEAST:
            words.append(
                f"On {TASK_LABELS[role]}, no model reaches {LEAST:.0%} (the best has {best:.1%})."
            )
            continue
        slow = [
            f"{label_of(model)} has {float(one.sel(model=model)):.1%}"
            for model in models
            if model in one.model and float(one.sel(model=model)) < SHARE * best
        ]
        if slow:
            words.append(
                f"On {TASK_LABELS[role]}, {enumerated(slow)}, less than half of the best "
                f"({best:.1%})."
            )
    return " ".join(words)


def in_order(
    verdicts: Iterable[tuple[Verdict, str]], tables: Mapping[str, xr.Dataset]
) -> list[tuple[Verdict, str]]:
    """Return verdicts by claim, with a mark where a network has not learned its task.

    Args:
        verdicts: verdicts of any items, each with the item's name.
        tables: the collected measures by item; without table1 nothing is known, or marked.

    Returns:
        The verdicts with the same names, in the order of the claims.
    """
    pairs = sorted(verdicts, key=lambda pair: pair[0].claim.id)
    if "table1" not in tables:
        return pairs
    clean = tables["table1"].accuracy.sel(condition="clean", drop=True).mean("seed")
    return [
        (dataclasses.replace(one, untrained=one.untrained or untrained(one.claim, clean)), name)
        for one, name in pairs
    ]
