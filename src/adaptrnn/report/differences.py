"""Where do the authors' released scripts differ from the text, and what does that change here?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from adaptrnn.figure.style import label_of
from adaptrnn.paper.item import Table
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
        parts.append(f"{condition} {both[0]:.1f} / {both[1]:.1f} / {both[2]:.1f}")
    labels = f"{label_of('linear')} / {label_of('relu')} / ARUN"
    return f"Test accuracy in %, {labels}: {', '.join(parts)}."


def _shared(results: Tables) -> str:
    accuracy = 100 * results["table1"].accuracy.sel(role="psmnist", condition="clean")
    gap = accuracy.sel(model="gamma") - accuracy.sel(model="gamma-shared")
    values = gap.dropna("seed").values
    if not len(values):
        raise ValueError("no pairs")
    return (
        f"Per-neuron minus shared (n, s), both learned: {values.mean():+.1f} pp of test accuracy "
        f"({values.min():+.1f} to {values.max():+.1f}, {len(values)} seeds)."
    )


def _definitions(results: Tables) -> str:
    data = results["fig5-lyapunov"].sel(model="arun", role="psmnist")
    found = []
    for definition in data.definition.values:
        values = data.lyapunov.sel(definition=definition, condition="adaptive").isel(xi=-1)
        mean = float(values.mean("seed"))
        if not np.isfinite(mean):
            raise ValueError(definition)
        found.append(f"{definition} {mean:+.3g}")
    drive = float(data.xi[-1])
    return (
        f"Largest exponent of ARUN at ξ = {drive:g}, per step, natural logarithm: "
        f"{', '.join(found)}. In log2 each is 1.44 times as large."
    )


def _nothing(text: str) -> Callable[[Tables], str]:
    return lambda results: text


_DIFFERENCES: tuple[tuple[str, str, str, Callable[[Tables], str]], ...] = (
    (
        "The baseline is a ReLU network.",
        "It is linear: its nonlinearity ends up as None.",
        "Both are trained and named; claims against “RNN+ReLU” are judged against the ReLU "
        "network; the linear one is shown.",
        _linear,
    ),
    (
        "Static n and s: one for each neuron or shared, learned.",
        "Scalars, never learned from the command line.",
        "Shared and per neuron, learned; a grid of fixed ones too.",
        _shared,
    ),
    (
        "W_hh starts as a random orthogonal matrix.",
        "Block-diagonal rotations of pairs (Henaff).",
        "Henaff as the scripts; --recurrent-init haar for all orthogonal matrices alike.",
        _nothing("Not run both ways in this profile."),
    ),
    (
        "Norm of the Jacobian: expected spectral norm over random states.",
        "An infinity norm of a vector on task data.",
        "The text's.",
        _nothing("The two are different quantities; the scripts' is not computed."),
    ),
    (
        "Lyapunov exponents of the network.",
        "Autonomous, without bias; log2; NaN dropped.",
        "Natural logarithm; three definitions by name; NaN is an error.",
        _definitions,
    ),
    (
        "One protocol for the fractional order.",
        "Two: 150 steps with noise 0.1, and 300 steps with noise 5.",
        "Both, named A and B.",
        _nothing("Both are in the figures and verdicts of Fig 4."),
    ),
    (
        "Perturbations during 200 ≤ t < 400.",
        "Step 201 to 399, noise 200 to 399.",
        "200 ≤ t < 400 for all, scaled with the length of the sequence.",
        _nothing("At most one step in 784."),
    ),
    (
        "Test loss.",
        "Of the last batch.",
        "Of the whole split.",
        _nothing("The last of many batches of 100: a noisy estimate of the same."),
    ),
)
