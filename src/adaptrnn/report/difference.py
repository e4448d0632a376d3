"""Where do the authors' released scripts differ from the text, and what does that change here?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from adaptrnn.figure.style import label_of
from adaptrnn.paper.item import Table
from adaptrnn.paper.note import enumerated
from adaptrnn.paper.table1 import IN_WORDS
from adaptrnn.report.opening import Tables

__all__ = ["difference_table"]


def difference_table(results: Tables) -> Table:
    """Return the differences, what is done here, and what each changes in the numbers.

    Args:
        results: the collected measures by item.

    Returns:
        The table: text, scripts, here, change.
    """
    rows = []
    for text, scripts, here, change in _DIFFERENCES:
        try:
            said = change(results)
        except (KeyError, ValueError):  # not in these results
            said = "not in these results"
        rows.append((text, scripts, here, said))
    return Table(("paper's text", "released scripts", "here", "what it changes here"), tuple(rows))


def _linear(results: Tables) -> str:
    """Accuracy of the linear and of the ReLU network, clean and under each perturbation."""
    accuracy = 100 * results["table1"].accuracy.sel(role="psmnist")
    parts = []
    for condition in accuracy.condition.values:
        both = [
            float(accuracy.sel(model=model, condition=condition).mean("seed"))
            for model in ("linear", "relu", "arun")
        ]
        if not np.isfinite(both).all():
            raise ValueError(condition)
        words = IN_WORDS[str(condition)]
        parts.append(f"{both[0]:.1f} / {both[1]:.1f} / {both[2]:.1f} {words}")
    labels = f"{label_of('linear')} / {label_of('relu')} / ARUN"
    return f"The mean test accuracy in % of {labels} is {enumerated(parts)}."


def _shared(results: Tables) -> str:
    accuracy = 100 * results["table1"].accuracy.sel(role="psmnist", condition="clean")
    gap = accuracy.sel(model="gamma") - accuracy.sel(model="gamma-shared")
    values = gap.dropna("seed").values
    if not len(values):
        raise ValueError("no pairs")
    return (
        f"The test accuracy with learned (n, s) for each neuron minus that with learned shared "
        f"ones is {values.mean():+.1f} percentage points ({values.min():+.1f} to "
        f"{values.max():+.1f}, {len(values)} seeds)."
    )


def _definitions(results: Tables) -> str:
    data = results["fig5-lyapunov"].sel(model="arun", role="psmnist")
    found = []
    for definition in data.definition.values:
        values = data.lyapunov.sel(definition=definition, condition="adaptive").isel(xi=-1)
        mean = float(values.mean("seed"))
        if not np.isfinite(mean):
            raise ValueError(definition)
        found.append(f"{mean:+.3g} by the definition “{definition}”")
    drive = float(data.xi[-1])
    return (
        f"The mean largest exponent of ARUN at ξ = {drive:g}, per step and with the natural "
        f"logarithm, is {enumerated(found)}. In log2 each is 1.44 times as large."
    )


def _nothing(text: str) -> Callable[[Tables], str]:
    return lambda results: text


_DIFFERENCES: tuple[tuple[str, str, str, Callable[[Tables], str]], ...] = (
    (
        "The baseline is a ReLU network.",
        "The baseline is a linear network, because its nonlinearity ends up as None.",
        "Both are trained and named. Claims against “RNN+ReLU” are judged against the ReLU "
        "network, and the linear network is shown.",
        _linear,
    ),
    (
        "Static n and s are learned, one pair for each neuron or one that all share.",
        "Static n and s are scalars, which cannot be learned from the command line.",
        "Static n and s are learned, shared or one pair for each neuron. There is a grid of fixed "
        "ones too.",
        _shared,
    ),
    (
        "W_hh starts as a random orthogonal matrix.",
        "W_hh starts as block-diagonal rotations of pairs (Henaff).",
        "W_hh starts as in the scripts. With --recurrent-init haar every orthogonal matrix is "
        "equally likely.",
        _nothing("This profile does not train from both, so the change is not known."),
    ),
    (
        "The norm of the Jacobian is the expected spectral norm over random states.",
        "The norm of the Jacobian is an infinity norm of a vector on task data.",
        "The norm is that of the text.",
        _nothing("The two are different quantities, and that of the scripts is not computed."),
    ),
    (
        "Lyapunov exponents are those of the network.",
        "Lyapunov exponents are those of the autonomous network without bias, in log2, and a NaN "
        "is dropped.",
        "Lyapunov exponents are in the natural logarithm, by three definitions that have names, "
        "and a NaN is an error.",
        _definitions,
    ),
    (
        "There is one protocol for the fractional order.",
        "There are two protocols, one of 150 steps with noise 0.1 and one of 300 steps with noise "
        "5.",
        "Both protocols are used, with the names A and B.",
        _nothing("The figures and verdicts of Fig 4 have both protocols."),
    ),
    (
        "Perturbations last during 200 ≤ t < 400.",
        "A step of drive lasts from 201 to 399, and noise lasts from 200 to 399.",
        "All perturbations last during 200 ≤ t < 400, scaled with the length of the sequence.",
        _nothing("This changes at most one step in 784."),
    ),
    (
        "A test loss is given.",
        "The test loss is that of the last batch.",
        "The test loss is that of the whole split.",
        _nothing("The last of many batches of 100 gives a noisy estimate of the same loss."),
    ),
)
