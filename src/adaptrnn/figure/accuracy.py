"""Draw every model's accuracy in every condition (Geadah et al. 2024, Table 1, Supplement B.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.style import (
    colour,
    has_controller,
    ink,
    label_of,
    letters,
    marker,
    paper_value,
    subplots,
    task_title,
)

__all__ = ["CHANCE", "accuracy_bars"]

CHANCE = 10.0
"""Accuracy (%) by chance: each of the paper's tasks has ten classes."""
_CONDITIONS = {
    "noisy-drive": "noisy drive",
    "step-drive": "step, ξ = 1",
    "contrast": "contrast",
}


def accuracy_bars(
    data: xr.Dataset, known: Mapping[tuple[str, str, str], float] | None = None
) -> Figure:
    """Draw a row of panels for each task, a panel for each condition, a dot for each seed.

    Args:
        data: `accuracy` (role, model, seed, condition), 0 to 1; NaN where a run is missing.
        known: the paper's own accuracies (%) by task (as in its title), condition and model; each
            is a star.

    Returns:
        The figure; every panel has a scale of its own, with the mean in numbers at its right.
    """
    roles, conditions = data.role.values.tolist(), data.condition.values.tolist()
    models = data.model.values.tolist()
    shape, height = (len(roles), len(conditions)), 0.5 + (0.75 + 0.17 * len(models)) * len(roles)
    figure, axes = subplots(*shape, width=8.5, height=height, sharey=True)
    places = np.arange(len(models))[::-1]
    for row, role in zip(axes, roles, strict=True):
        for axis, condition in zip(row, conditions, strict=True):
            one = 100 * data.accuracy.sel(role=role, condition=condition)
            paper = {
                model: value
                for (task, under, model), value in (known or {}).items()
                if under == condition and task_title(data, role).startswith(task)
            }
            limits = _limits([*one.values.ravel(), *paper.values()])
            axis.set(title=_CONDITIONS.get(condition, condition) if role == roles[0] else "")
            axis.set_xlim(limits)
            axis.locator_params(axis="x", nbins=4)
            axis.grid(axis="y", visible=False)
            if limits[0] < CHANCE < limits[1]:
                axis.axvline(CHANCE, color=ink(), lw=0.8, ls=":")
            for place, model in zip(places, models, strict=True):
                values, tone = one.sel(model=model), colour(model)
                mean = float(values.mean())
                dots = {"color": tone, "marker": marker(model), "alpha": 0.75, "ms": 4}
                axis.plot([mean] * 2, [place - 0.35, place + 0.35], c=tone)
                axis.plot(values, np.full(values.size, place), ls="", clip_on=False, **dots)
                if model in paper:
                    paper_value(axis, paper[model], place)
                if np.isfinite(mean):
                    right = {"transform": axis.get_yaxis_transform(), "va": "center"}
                    text = {"fontsize": 7, "weight": "bold" if has_controller(model) else "normal"}
                    axis.text(1.03, place, f"{mean:.1f}", color=tone, **right, **text)
        row[0].set_yticks(places, [label_of(model) for model in models])
        seeds = data.accuracy.sel(role=role).dropna("seed", how="all").sizes["seed"]
        task = task_title(data, role).replace(", ", ",\n")
        row[0].set_ylabel(f"{task}\nn = {seeds} seed{'' if seeds == 1 else 's'}")
    for axis in axes[-1]:
        axis.set_xlabel("test accuracy (%)")
    letters(axes)
    return figure


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """The fives around percentages, with a little room."""
    if not np.isfinite(values).any():
        return 0.0, 100.0
    low, high = np.floor((np.nanmin(values) - 1) / 5), np.ceil((np.nanmax(values) + 1) / 5)
    return max(0.0, 5 * float(low)), min(100.0, 5 * float(high))
