"""Accuracy and loss under perturbations of any strength (Geadah et al. 2024, Fig 2b, c, S13-16)."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.colors import Colormap, LinearSegmentedColormap, LogNorm, Normalize
from matplotlib.figure import Figure

from adaptrnn.figure.style import colour, ink, label_of, letters, marker, subplots

__all__ = ["heat_maps", "robustness_curves"]

_STRENGTHS = {"xi": "drive ξ", "amplitude": "contrast A"}
_KINDS = (("accuracy", "test accuracy (%)", 100), ("loss", "test loss (nats)", 1))
_LOW, _HIGH = 1e-2, 1e3  # losses beyond are drawn as these


def robustness_curves(data: xr.Dataset) -> Figure:
    """Draw accuracy and loss of each model: mean over seeds, band from the least to the greatest.

    Args:
        data: `accuracy` (0 to 1) and `loss` (nats), (role, model, seed, xi) or (role, model, seed,
            amplitude); NaN where a run is missing.

    Returns:
        The figure, a row for each task.
    """
    roles = data.role.values.tolist()
    axis_name = next(name for name in _STRENGTHS if name in data.dims)
    figure, axes = subplots(len(roles), 2, height=0.7 + 2.4 * len(roles), sharex=True)
    for row, role in zip(axes, roles, strict=True):
        for axis, (name, label, factor) in zip(row, _KINDS, strict=True):
            for model in data.model.values.tolist():
                values = factor * data[name].sel(role=role, model=model)
                line = {"color": colour(model), "marker": marker(model), "label": label_of(model)}
                axis.plot(data[axis_name], values.mean("seed"), **line, clip_on=False)
                low, high = values.min("seed"), values.max("seed")
                axis.fill_between(data[axis_name], low, high, color=colour(model), alpha=0.15, lw=0)
            axis.set(ylabel=label, title=role)
        row[0].set_ylim(0, 100)
        if bool((data["loss"].sel(role=role) > 0).any()):
            row[1].set_yscale("log")
    for axis in axes[-1]:
        axis.set_xlabel(_STRENGTHS[axis_name])
    letters(axes)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def heat_maps(data: xr.Dataset) -> Figure:
    """Draw accuracy and loss over two properties of a perturbation, a column for each model.

    Args:
        data: `drive_accuracy`, `drive_loss` (role, model, seed, map_xi, map_length) and
            `contrast_accuracy`, `contrast_loss` (role, model, seed, map_phase, map_amplitude).

    Returns:
        The figure, four rows for each task: means over seeds, the number in every cell's colour.
    """
    roles, models = data.role.values.tolist(), data.model.values.tolist()
    maps = [(role, kind, name) for role in roles for kind in _MAPS for name in ("accuracy", "loss")]
    shape, size = (len(maps), len(models)), 1.25
    width, height = 2.2 + size * len(models), 0.6 + size * len(maps)
    figure, axes = subplots(*shape, width, height, sharey="row")
    scale = LinearSegmentedColormap.from_list("", ["#7a1f5c", "#e8743b", "#fde0b5"])
    for row, (role, kind, name) in zip(axes, maps, strict=True):
        x, y, x_label, y_label = _MAPS[kind]
        norm: Normalize = Normalize(0, 100) if name == "accuracy" else LogNorm(0.1, 100)
        shades: Colormap = scale if name == "accuracy" else scale.reversed()
        shades = shades.with_extremes(bad="#808080")
        for axis, model in zip(row, models, strict=True):
            one = data[f"{kind}_{name}"].sel(role=role, model=model).mean("seed").transpose(y, x)
            values = 100 * one.values if name == "accuracy" else one.values.clip(_LOW, _HIGH)
            picture = axis.imshow(values, cmap=shades, norm=norm, origin="lower", aspect="auto")
            axis.grid(visible=False)
            axis.set_xticks(*_ticks(data[x].values, kind == "contrast"))
            axis.set_yticks(*_ticks(data[y].values, False))
            axis.tick_params(labelsize=6)
            axis.set_xlabel(x_label, fontsize=7)
        row[0].set_ylabel(f"{role}\n{y_label}", fontsize=7)
        label = "accuracy (%)" if name == "accuracy" else "loss (nats)"
        bar = figure.colorbar(picture, ax=row.tolist(), fraction=0.02, pad=0.01)
        bar.set_label(label, fontsize=7)
        bar.ax.tick_params(labelsize=6, colors=ink())
    for axis, model in zip(axes[0], models, strict=True):
        axis.set_title(label_of(model), fontsize=7.5)
    return figure


_MAPS = {
    "drive": ("map_length", "map_xi", "length / T", "drive ξ"),
    "contrast": ("map_phase", "map_amplitude", "phase / π", "contrast A"),
}
"""Axes of the maps, horizontal and vertical, and their labels."""


def _ticks(values: np.ndarray, angles: bool) -> tuple[list[int], list[str]]:
    """Every place, or every second of many."""
    step = 1 if len(values) < 7 else 2
    shown = values / np.pi if angles else values
    return list(range(0, len(values), step)), [f"{value:g}" for value in shown[::step]]
