"""Draw gradients against the length of their accumulation (Geadah et al. 2024, Fig S18)."""

from __future__ import annotations

from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.style import (
    colour,
    count_seeds,
    has_controller,
    label_of,
    letters,
    log_axis,
    mean_and_seeds,
    name_lines,
    name_task,
    subplots,
)

__all__ = ["gradients"]

_LABELS = {"norm": "norm of dL/d$W_{hh}$", "contribution": "norm, one step alone"}


def gradients(data: xr.Dataset) -> Figure:
    """Draw the norm of the gradient against the steps over which it is accumulated.

    Args:
        data: `norm`, and perhaps `contribution`, that of each step alone (role, model, seed,
            network, length), length from the last step back. Of one role; of one network, model
            and seed have length one.

    Returns:
        The figure, a panel for trained networks and one for those before training: thick lines
        are geometric means over seeds, hairs are seeds.
    """
    data = data.isel(role=0)
    names = [name for name in ("norm", "contribution") if name in data]
    networks = [name for name in ("trained", "initial") if name in data.network]
    pairs = [(name, network) for name in names for network in networks]
    shape = (len(names), len(networks))
    figure, axes = subplots(*shape, width=9, height=0.3 + 2.8 * len(names), sharex=True)
    for axis, (name, network) in zip(axes.flat, pairs, strict=True):
        ends = []
        for model in data.model.values.tolist():
            values = data[name].sel(model=model, network=network)
            line: dict[str, Any] = {
                "color": colour(model),
                "lw": 2.4 if has_controller(model) else 1.4,
            }
            _, mean = mean_and_seeds(axis, values, "length", geometric=True, **line)
            if (mean > 0).any():
                ends.append((float(mean[mean > 0][-1]), label_of(model), colour(model)))
        if ends:
            log_axis(axis)
        axis.set_xlim(0, float(data.length.max()))
        axis.set_title({"trained": "after training", "initial": "before training"}[network])
        name_lines(axis, ends)
        count_seeds(axis, data[name].sel(network=network).max("model"), "seed")
    for axis in axes[-1]:
        axis.set_xlabel("steps accumulated, from the last back")
    for row, name in zip(axes, names, strict=True):
        row[0].set_ylabel(_LABELS[name])
    letters(axes)
    name_task(figure, data)
    return figure
