"""Figures S10 to S12 show how sharp the fractional order's error is, and the de-filtered rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adaptrnn.analysis.fractional import STEP_PROTOCOLS, fractional_derivative, fractional_order
from adaptrnn.figure.response import SIGNALS
from adaptrnn.figure.style import (
    colour,
    count_seeds,
    ink,
    letters,
    mean_and_seeds,
    shades,
    subplots,
    task_title,
)
from adaptrnn.paper.figure4 import SIGN_NOTE
from adaptrnn.paper.item import Item, RunData
from adaptrnn.paper.ordering import TASK_LABELS
from adaptrnn.paper.verdict import Claim, Verdict, part, verdict

__all__ = ["DEPTH", "ITEM", "SHARP", "curves", "depth", "draw", "judge", "measure"]

E38 = Claim(
    "E38",
    "Figs S10-S12",
    "The error has a sharp minimum over the order, at the same place in all seeds, in both tasks.",
    "The least error is at least 10% below the error of orders 0.25 away (ours). The standard "
    "deviation over seeds of the best order is at most 0.1 (ours)",
    {"psmnist": ("arun",), "scifar10-conv": ("arun",)},
)
ASIDE = 0.25
SHARP = 10.0
DEPTH = "how far the least error lies below that of orders 0.25 away, median over drives"
SHOWN_DRIVES = (1.0, 5.0, 30.0)
"""Drives whose curves are drawn."""


def depth(error: xr.DataArray) -> xr.DataArray:
    """Return how far the smallest error lies below the error 0.25 away, in percent of the latter.

    Of the two sides the flatter one counts; 0 if the least error is at the first or last order.

    Args:
        error: along "alpha", evenly spaced.

    Returns:
        0 to 100, NaN where the error is unknown.

    Example:
        >>> alpha = np.linspace(-1, 1, 201)
        >>> error = xr.DataArray(1 + 16 * (alpha - 0.1) ** 2, coords={"alpha": alpha})
        >>> round(float(depth(error)))
        50
    """
    known = error.notnull().all("alpha")
    filled = error.where(known, 1.0)
    alpha = error.alpha.values
    best = filled.argmin("alpha")
    shift = round(ASIDE / float(alpha[1] - alpha[0]))
    inner = (best > 0) & (best < len(alpha) - 1)
    sides = [filled.isel(alpha=(best + k).clip(0, len(alpha) - 1)) for k in (-shift, shift)]
    sides = [side.drop_vars("alpha") for side in sides]
    flat = xr.where(sides[0] < sides[1], sides[0], sides[1])
    fall = 100 * (1 - filled.min("alpha") / flat.where(flat > 0))
    return xr.where(inner, fall.fillna(0.0), 0.0).where(known)


def curves(run: RunData, signals: Sequence[str]) -> xr.Dataset:
    """Return the error over the order of signals of the interacting network, mean over neurons.

    Args:
        run: a run.
        signals: of h, n, s.

    Returns:
        error (protocol, estimator, signal, xi, alpha) at three drives; at all drives best, the
        order of least error, depth, its sharpness, and of the neurons' own orders mean, sd, share
        with order > 0 and share that has one, (protocol, estimator, signal, xi).
    """
    found = run.analyses["fractional"].sel(network="interacting", drop=True)
    found = found.sel(signal=list(signals))
    known = found.error.notnull().all("alpha")
    order = found.order
    has = order.notnull()
    result = xr.Dataset(
        {
            "error": found.error.sel(xi=list(SHOWN_DRIVES)).rename(xi="xi_shown"),
            "best": found.error.where(known, 1.0).idxmin("alpha").where(known),
            "depth": depth(found.error),
            "mean": order.mean("neuron"),
            "sd": order.std("neuron"),
            "positive": (order > 0).sum("neuron") / has.sum("neuron").where(has.any("neuron")),
            "resolved": has.mean("neuron"),
        }
    ).astype("float32")
    # to the last digit the same in every run, so that runs can be put side by side
    coarse = result.isel(alpha=slice(None, None, 2))
    return coarse.assign_coords(alpha=coarse.alpha.values.round(6))


def measure(run: RunData) -> xr.Dataset:
    """Measure error curves of the rates, and the mean rate de-filtered by its own order.

    Returns:
        What `curves` does; defiltered and drive (time), in protocol A at the middle drive shown:
        Re D^alpha r(t) - Re D^alpha r(25) of the mean rate r over neurons, and what it should be;
        defiltered_order, the alpha.
    """
    result = curves(run, ["h"])
    xi, plan = SHOWN_DRIVES[1], STEP_PROTOCOLS["A"]
    rate = run.analyses["fractional"].response.sel(network="interacting", xi=xi).values
    step = plan.stimulus(xi)
    alpha = float(fractional_order(rate, step, protocol=plan).order)
    back = fractional_derivative(rate, alpha)
    result["defiltered"] = "time", (back - back[plan.reference]).astype(np.float32)
    result["drive"] = "time", step.astype(np.float32)
    result["defiltered_order"] = alpha
    return result.assign_coords(time=np.arange(plan.steps))


def judge(data: xr.Dataset) -> list[Verdict]:
    """Judge E38 by the paper's estimator, for each task and protocol."""
    at = data.sel(model="arun", signal="h", estimator="paper")
    parts, notes = [], []
    for role in data.role.values.tolist():
        for protocol in data.protocol.values.tolist():
            one = at.sel(role=role, protocol=protocol)
            sharp = one.depth.median("xi").values
            where = f"{TASK_LABELS[role]}, protocol {protocol}"
            parts.append(part(f"{where}: {DEPTH}", sharp, "%", ".0f", least=SHARP))
            count = int(one.best.notnull().any("xi").sum())
            spread = one.best.std("seed", ddof=1).mean("xi") if count > 1 else np.nan
            text = f"{where}: standard deviation over seeds of the best order, mean over drives"
            parts.append(part(text, float(spread), digits=".3f", most=0.1))
        alpha = at.defiltered_order.sel(role=role).mean()
        if bool(alpha.notnull()):
            notes.append(
                f"On {TASK_LABELS[role]}, the order of the mean rate in protocol A at ξ = 5 is "
                f"{float(alpha):+.2f}."
            )
    return [verdict(E38, parts, note=" ".join([*notes, SIGN_NOTE]))]


def draw(data: xr.Dataset) -> Figure:
    """Draw the error against the order, relative to the least error, and de-filtered activity.

    Args:
        data: `error` (role, model, seed, protocol, estimator, signal, xi_shown, alpha) of one
            model; and perhaps `defiltered` (role, model, seed, time) with `drive` (role, model,
            seed, time). A task without data is left out.

    Returns:
        The figure: a row for each task, a column for each signal and protocol, then the overlay;
        of each drive the mean over seeds, and a thin line for each seed.
    """
    data = data.isel(model=0).sel(estimator="paper")
    known = data.error.notnull().any([name for name in data.error.dims if name != "role"])
    data = data.isel(role=known.values) if bool(known.any()) else data
    roles, overlay = data.role.values.tolist(), "defiltered" in data
    panels = [(s, p) for s in data.signal.values.tolist() for p in data.protocol.values.tolist()]
    columns = len(panels) + overlay
    height = 0.6 + 2.3 * len(roles)
    figure, axes = subplots(len(roles), columns, width=max(7.5, 2.5 * columns), height=height)
    tones = shades(data.sizes["xi_shown"])
    for row, role in zip(axes, roles, strict=True):
        for axis, (signal, protocol) in zip(row, panels, strict=False):
            panel = data.error.sel(role=role, signal=signal, protocol=protocol)
            for xi, tone in zip(data.xi_shown.values, tones, strict=True):
                one, label = panel.sel(xi_shown=xi), f"ξ = {xi:g}"
                mean_and_seeds(axis, one / one.min("alpha"), "alpha", color=tone, label=label)
            axis.axvline(0, color=ink(), lw=0.6, ls=":")
            axis.set(yscale="log", xlabel=r"order $\alpha$")
            axis.set_title(f"{SIGNALS[signal]}, protocol {protocol}")
            most = float((panel / panel.min("alpha")).mean("seed").max())
            if most < 2:
                flat = f"flat: at most {most:.2f} times\nthe least error"
                axis.text(0.5, 0.5, flat, transform=axis.transAxes, ha="center", fontsize=8)
            axis.set_ylim(0.9, 100)
            axis.yaxis.set_major_formatter("{x:g}")
        count_seeds(row[0], data.error.sel(role=role), "seed", (0.03, 0.03))
        task = task_title(data, role)
        row[0].set_ylabel(f"{task}\nerror / least error")
        if overlay:
            _overlay(row[-1], data.sel(role=role))
    letters(axes)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(handles))
    return figure


def _overlay(axis: Axes, data: xr.Dataset) -> None:
    """The de-filtered rate over the step that it should be."""
    mean_and_seeds(axis, data.defiltered, "time", color=colour("arun"))
    drive = data.drive.max("seed")
    axis.plot(data.time, drive, color=ink(), lw=1.2, ls="--")
    axis.set(xlabel="time (steps)", title="de-filtered rate, step (- -)")


ITEM = Item(
    name="s10-error",
    title="Error of the fractional order",
    caption=(
        "There is a row for each task. The panels with protocol A or B show the error of the order "
        "of the rates of ARUN by the paper's estimator, as the mean over neurons relative to its "
        "least, against the order, and are darker for larger drives. Thick lines are means over "
        "seeds, and thin lines are seeds. The last column shows the mean rate over neurons under a "
        "step of ξ = 5 in protocol A, de-filtered by the order fitted to it, and the step itself "
        "(dashed). An order > 0 integrates the step, and an order < 0 differentiates it. The paper "
        "shows this in Figs S10 to S12."
    ),
    alt=(
        "Error curves against the fractional order for three drives, each with its minimum, sharp "
        "or flat, a row for each task, and next to them the de-filtered mean rate over the step."
    ),
    roles=("psmnist", "scifar10-conv"),
    models=("arun",),
    analyses=("fractional",),
    measure=measure,
    draw=draw,
    judge=judge,
    functions=(
        "adaptrnn.analysis.fractional.fractional_order",
        "adaptrnn.analysis.fractional.fractional_derivative",
    ),
    tests=("tests/analysis/test_fractional.py",),
)
