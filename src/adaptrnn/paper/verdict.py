"""A claim is what the paper says; a verdict is what came out, by the claim's criterion.

A verdict is about means over seeds. It rests on judged parts, each a quantity with a threshold.

    yes      the mean over seeds meets the threshold, by at least one standard error
    weakly   it meets the threshold by less than that, or there is only one seed
    no       it does not meet the threshold

    reproduced          every judged part says yes
    partly              anything between
    not                 every judged part says no
    not trained enough  a network that is judged has not learned its task (`adaptrnn.paper.gate`)
    no data             numbers that it needs are missing
    not judged          the paper states nothing that could fail

Parts that are only shown stand next to the judged ones and never decide: stricter tests, other
baselines, other readings. Checks of the code (is a frozen controller bit-identical?) say whether
the numbers can be trusted; they are no part of a claim.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from adaptrnn.analysis.statistic import interval

__all__ = ["OUTCOMES", "Claim", "Part", "Verdict", "part", "verdict"]

OUTCOMES = ("reproduced", "partly", "not", "not trained enough", "no data", "not judged")


@dataclass(frozen=True)
class Claim:
    """A claim is what the paper says, with the criterion by which it is judged.

    Args:
        id: E01 to E44.
        place: figure or table of the paper.
        text: the claim.
        criterion: when it counts as reproduced, in sentences; the last one without its full stop.
        networks: the models that are judged, by the task's role; they must have learned it.
    """

    id: str
    place: str
    text: str
    criterion: str
    networks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """A part is one quantity that is judged, shown or checked.

    Attributes:
        quantity: what it is.
        number: mean over seeds, with its unit.
        interval: the 95% interval of that mean (Student's t over seeds), and the threshold if it
            lies inside: then the seeds are too few to exclude it. Empty for an exact value.
        spread: least and greatest value over seeds, and their number; empty for one value.
        holds: "yes", "weakly", "no" or "no data"; empty for a quantity without a threshold.
    """

    quantity: str
    number: str
    interval: str
    spread: str
    holds: str


@dataclass(frozen=True)
class Verdict:
    """A verdict says what came out for one claim.

    Attributes:
        claim: the claim.
        parts: the judged parts.
        shown: what is printed next to them and does not decide.
        checks: checks of the code.
        note: what else a reader should know.
        untrained: networks that have not learned their task, in words; see `adaptrnn.paper.gate`.
    """

    claim: Claim
    parts: tuple[Part, ...]
    shown: tuple[Part, ...] = ()
    checks: tuple[Part, ...] = ()
    note: str = ""
    untrained: str = ""

    @property
    def outcome(self) -> str:
        """Return one of `OUTCOMES`."""
        holds = [part.holds for part in self.parts]
        if not holds and any(part.number for part in self.shown):
            return "not judged"
        if not holds or "no data" in holds:
            return "no data"
        if self.untrained:
            return "not trained enough"
        if all(value == "yes" for value in holds):
            return "reproduced"
        return "not" if all(value == "no" for value in holds) else "partly"


def part(
    quantity: str,
    values: ArrayLike,
    unit: str = "",
    digits: str = ".2f",
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
    partly: float | None = None,
    ratio: bool = False,
) -> Part:
    """Compare one quantity with its threshold.

    Args:
        quantity: what it is, so that a reader who sees only this row understands it.
        values: its value for every seed, (seed,), NaN where a run is missing; a single number,
            (), is exact: it has no seeds and no standard error.
        unit: put behind numbers.
        digits: format of numbers.
        above: the mean must be greater than this.
        least: the mean must be this at least.
        below: the mean must be less than this.
        most: the mean must be this at most.
        partly: a weaker threshold of the same direction; a mean that meets only this one holds
            weakly.
        ratio: the values are ratios, > 0: mean, standard error and interval are of their
            logarithms, so the mean is geometric, and the quantity says so.

    Returns:
        The part; without any threshold it is only a number to be shown.

    Example:
        >>> found = part("accuracy, a - b", [1.0, 2.0, 3.0], " pp", "+.1f", above=0)
        >>> found.number, found.interval, found.spread, found.holds
        ('+2.0 pp', '-0.5 to +4.5, includes 0', '+1.0 to +3.0 (3)', 'yes')
    """
    threshold = _threshold(above=above, least=least, below=below, most=most)
    quantity += " (geometric mean)" if ratio else ""
    found = np.asarray(values, dtype=float)
    exact = found.ndim == 0
    found = found[np.isfinite(found)]
    if ratio:
        found = np.log(found[found > 0])
    if not len(found):
        return Part(quantity, "", "", "", "no data" if threshold else "")
    back = math.exp if ratio else float
    mean, count = float(found.mean()), len(found)
    error = float(found.std(ddof=1)) / math.sqrt(count) if count > 1 else 0.0 if exact else math.nan
    low = high = math.nan
    if count > 1 and np.ptp(found) > 0:
        whole = interval(found)
        low, high = float(whole.low), float(whole.high)
    holds = ""
    text = "" if math.isnan(low) else f"{_text(back(low), digits)} to {_text(back(high), digits)}"
    if threshold is not None:
        limit, sign, strict = threshold
        holds = _holds(sign * (mean - _scaled(limit, ratio)), error, strict)
        if partly is not None and holds == "no":
            weaker = _holds(sign * (mean - _scaled(partly, ratio)), error, strict)
            holds = "no" if weaker == "no" else "weakly"
        if text and low <= _scaled(limit, ratio) <= high:
            text += f", includes {limit:g}"
    ends = (_text(back(float(value)), digits) for value in (found.min(), found.max()))
    spread = f"{' to '.join(ends)} ({count})" if count > 1 else "" if exact else "one seed"
    return Part(quantity, _text(back(mean), digits) + unit, text, spread, holds)


def _threshold(**limits: float | None) -> tuple[float, int, bool] | None:
    """The one threshold given: its value, its direction, and whether equality falls short."""
    for name, value in limits.items():
        if value is not None:
            return value, 1 if name in ("above", "least") else -1, name in ("above", "below")
    return None


def _scaled(limit: float, ratio: bool) -> float:
    return math.log(limit) if ratio else limit


def _holds(margin: float, error: float, strict: bool) -> str:
    """By how much a mean meets a threshold, against its standard error; NaN for one seed."""
    if margin < 0 or (strict and margin == 0):
        return "no"
    return "yes" if margin >= error else "weakly"


def _text(value: float, digits: str) -> str:
    """A number without a minus or plus before zero."""
    text = f"{value:{digits}}"
    return text.lstrip("+-") if float(text.rstrip("%")) == 0 else text


def verdict(
    claim: Claim,
    parts: Sequence[Part] = (),
    shown: Sequence[Part] = (),
    checks: Sequence[Part] = (),
    note: str = "",
) -> Verdict:
    """Join parts to a verdict; see `Verdict`. Shown parts without a number are left out."""
    return Verdict(claim, tuple(parts), tuple(p for p in shown if p.number), tuple(checks), note)
