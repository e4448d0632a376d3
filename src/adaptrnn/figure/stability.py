"""Draw Lyapunov exponents and eigenvalues (Geadah et al. 2024, Fig 5c-e).

They are of one network or of many.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import SymmetricalLogLocator

from adaptrnn.figure.style import (
    colour,
    count_seeds,
    drive_axis,
    has_controller,
    ink,
    label_of,
    letters,
    marker,
    mean_and_seeds,
    muted,
    name_task,
    subplots,
)

__all__ = ["eigenvalues", "exponents"]

_LINEAR = 1e-3  # exponents smaller than this are drawn on a linear scale
_DEFINITIONS = {"paper": "no input, (n, s) held", "frozen": "driven, (n, s) held"}
_DEFINITIONS |= {"full": "driven, whole state"}


def exponents(data: xr.Dataset) -> Figure:
    """Draw largest exponents after the onset of each drive, and against the drive.

    Args:
        data: `lyapunov` (role, model, seed, definition, condition, xi); perhaps `error`, its
            standard error; perhaps `after_onset` (role, model, seed, xi_onset, delay); perhaps
            `on_task`, `on_task_error` (role, model, seed, image). Of one role; of one network,
            model and seed have length one.

    Returns:
        The figure: thick lines are means over seeds, hairs are seeds, and bars are standard errors
        where there is one seed. All panels have one scale, linear below 0.001 and in logarithms
        above. Full lines: n and s as the drive leaves them; dashed: n and s as at rest.
    """
    data = data.isel(role=0)
    models, definitions = data.model.values.tolist(), data.definition.values.tolist()
    onsets = data.xi_onset.values.tolist() if "after_onset" in data else []
    task = ["on_task"] if "on_task" in data else []
    rows = [row for row in (onsets, [*definitions, *task]) if row]
    shape = (len(rows), max(map(len, rows)))
    figure, axes = subplots(*shape, width=8, height=0.9 + 1.9 * len(rows), sharey=True)
    for axis, xi in zip(axes[0], onsets, strict=False):
        for model in models:
            values = data.after_onset.sel(xi_onset=xi, model=model)
            mean_and_seeds(axis, values, "delay", color=colour(model), marker=marker(model), ms=3)
        axis.set(title=f"onset of ξ = {xi:g}", xlabel="steps after the onset")
    for axis, definition in zip(axes[-1], definitions, strict=False):
        for model in models:
            for condition in data.condition.values[::-1]:
                at_rest = condition == "fixed" and has_controller(model)
                one = data.sel(definition=definition, condition=condition, model=model)
                look: dict[str, Any] = {"color": colour(model), "ls": "--" if at_rest else "-"}
                mean_and_seeds(axis, one.lyapunov, "xi", lw=1.2 if at_rest else 1.8, **look)
                if "error" in one and one.sizes["seed"] == 1:
                    bars = (one.lyapunov[0], np.nan_to_num(one.error[0]))
                    axis.errorbar(one.xi, *bars, color=colour(model), fmt="none", capsize=2)
        drive_axis(axis, data.xi)
        axis.set_title(_DEFINITIONS.get(definition, definition))
    for axis in axes[-1, len(definitions) : len(definitions) + len(task)]:
        for model in models:
            one = data.sel(model=model).isel(seed=0)
            bars = (one.on_task, np.nan_to_num(one.on_task_error))
            axis.errorbar(one.image, *bars, color=colour(model), fmt="o", ms=3, capsize=2)
        axis.set(title="on the task", xlabel="test image")
        axis.locator_params(axis="x", integer=True)
    shown = [axis for row, names in zip(axes, rows, strict=True) for axis in row[: len(names)]]
    for axis in shown:
        axis.axhline(0, color=ink(), lw=0.8)
        axis.set_yscale("symlog", linthresh=_LINEAR, linscale=0.6)
        axis.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=_LINEAR))
    for row, names in zip(axes, rows, strict=True):
        row[0].set_ylabel("largest exponent (1/step)")
        for axis in row[len(names) :]:
            axis.set_axis_off()
    count_seeds(shown[-1], data.lyapunov)
    letters(shown)
    keys = [Line2D([], [], color=colour(m), marker=marker(m), label=label_of(m)) for m in models]
    if data.sizes["condition"] > 1:
        keys.append(Line2D([], [], color=ink(), ls="--", lw=1.2, label="(n, s) held as at rest"))
    figure.legend(handles=keys, loc="outside lower center", ncols=len(keys))
    name_task(figure, data)
    return figure


def eigenvalues(data: xr.Dataset) -> Figure:
    """Draw eigenvalues in the complex plane before and after training, a panel for each model.

    Args:
        data: `real_part`, `imaginary_part` (role, model, seed, network, eigenvalue), `radius` and
            perhaps `outside` (role, model, seed, network), with network "trained" and perhaps
            "initial". Of one role; of one network, model and seed have length one.

    Returns:
        The figure, with the unit circle; the words within it say the mean largest modulus.
    """
    data = data.isel(role=0)
    models = data.model.values.tolist()
    wide = min(8.5, 0.8 + 3.0 * len(models))
    figure, axes = subplots(1, len(models), width=wide, height=3.2, sharex=True, sharey=True)
    angle = np.linspace(0, 2 * np.pi, 200)
    for axis, model in zip(axes[0], models, strict=True):
        axis.plot(np.cos(angle), np.sin(angle), color=ink(), lw=0.8)
        words: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7}
        axis.text(0, 0.25, "largest modulus", **words)
        looks = {"initial": (muted(), "×", 16, 0.8), "trained": (colour(model), "●", 8, 0)}
        for height, network in zip((0, -0.25), looks, strict=True):
            if network not in data.network:
                continue
            one = data.sel(model=model, network=network)
            tone, mark, size, edge = looks[network]
            place = (one.real_part, one.imaginary_part, size)
            axis.scatter(*place, color=tone, marker="x" if edge else "o", lw=edge, alpha=0.75)
            radius = float(one.radius.mean())
            text = f"{mark} {network}: {radius:.2f}" if np.isfinite(radius) else "no data"
            axis.text(0, height, text, color=tone, **words)
        axis.set(xlabel="real part", aspect="equal", title=label_of(model))
        count_seeds(axis, data.radius.sel(model=model), "seed")
        axis.set_xticks([-1, 0, 1])
        axis.set_yticks([-1, 0, 1])
    axes[0, 0].set_ylabel("imaginary part")
    letters(axes)
    name_task(figure, data)
    return figure
