"""Claims and verdicts: what the paper says, by which criterion it is judged, what came out.

A verdict rests on parts, each a quantity with a value for every seed and a condition on it. Does a
part hold? "yes", in every seed; "on average", for the mean over seeds but not for each; or "no".

    reproduced  every part holds in every seed
    partly      some part holds, at least on average
    not         no part holds
    no data     runs that it needs are missing
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["OUTCOMES", "Claim", "Part", "Verdict", "part", "verdict"]

OUTCOMES = ("reproduced", "partly", "not", "no data")


@dataclass(frozen=True)
class Claim:
    """A claim of the paper.

    Args:
        id: E01 to E44.
        place: figure or table of the paper.
        text: the claim.
        criterion: when it counts as reproduced.
    """

    id: str
    place: str
    text: str
    criterion: str


@dataclass(frozen=True)
class Part:
    """One quantity that a claim rests on.

    Attributes:
        quantity: what it is.
        number: mean over seeds, with its unit.
        spread: least and greatest value over seeds, and their number; empty for one value.
        holds: "yes", "on average", "no" or "no data".
    """

    quantity: str
    number: str
    spread: str
    holds: str


@dataclass(frozen=True)
class Verdict:
    """What came out for one claim.

    Attributes:
        claim: the claim.
        parts: what it rests on.
        note: what else a reader should know.
    """

    claim: Claim
    parts: tuple[Part, ...]
    note: str = ""

    @property
    def outcome(self) -> str:
        """One of `OUTCOMES`."""
        holds = [part.holds for part in self.parts]
        if not holds or "no data" in holds:
            return "no data"
        if all(value == "yes" for value in holds):
            return "reproduced"
        return "not" if all(value == "no" for value in holds) else "partly"


def part(
    quantity: str,
    values: ArrayLike,
    condition: Callable[[float], bool],
    unit: str = "",
    digits: str = ".2f",
) -> Part:
    """Judge one quantity.

    Args:
        quantity: what it is.
        values: its value for every seed, (seed,); NaN where a run is missing.
        condition: whether a value fulfils the criterion.
        unit: put behind numbers.
        digits: format of numbers.

    Returns:
        The part.

    Example:
        >>> part("a - b", [1.0, 2.0, -0.5], lambda d: d > 0, " pp", "+.1f")
        Part(quantity='a - b', number='+0.8 pp', spread='-0.5 to +2.0 (3)', holds='on average')
    """
    found = np.asarray(values, dtype=float)
    found = found[np.isfinite(found)]
    if not len(found):
        return Part(quantity, "", "", "no data")
    mean, count = float(found.mean()), len(found)
    low, high = (_text(value, digits) for value in (found.min(), found.max()))
    if all(condition(float(value)) for value in found):
        holds = "yes"
    else:
        holds = "on average" if condition(mean) else "no"
    spread = f"{low} to {high} ({count})" if count > 1 else ""
    return Part(quantity, _text(mean, digits) + unit, spread, holds)


def _text(value: float, digits: str) -> str:
    """A number without a minus or plus before zero."""
    text = f"{value:{digits}}"
    return text.lstrip("+-") if float(text) == 0 else text


def verdict(claim: Claim, parts: Sequence[Part], note: str = "") -> Verdict:
    """Put parts together; see `Verdict`."""
    return Verdict(claim, tuple(parts), note)
