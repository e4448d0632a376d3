"""Gradients against the length of their accumulation (Geadah et al. 2024, Fig S18)."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.style import colour, label_of, letters, subplots

__all__ = ["gradients"]

_FLOOR = 1e-12  # least norm that is drawn


def gradients(data: xr.Dataset) -> Figure:
    """Draw the norm against the length, a panel for networks before and one after training.

    Args:
        data: `norm` (role, model, seed, network, length) of one task.

    Returns:
        The figure.
    """
    data = data.isel(role=0)
    networks = data.network.values.tolist()
    figure, axes = subplots(1, len(networks), height=3.4, sharex=True, sharey=True)
    for axis, network in zip(axes[0], networks, strict=True):
        for model in data.model.values.tolist():
            norm = data.norm.sel(model=model, network=network).clip(min=_FLOOR)
            mean = np.exp(np.log(norm).mean("seed"))
            axis.plot(data.length, mean, color=colour(model), label=label_of(model))
            band = (norm.min("seed"), norm.max("seed"))
            axis.fill_between(data.length, *band, color=colour(model), alpha=0.15, lw=0)
        axis.set(xlabel="steps accumulated, from the last back", title=network)
        if bool(data.norm.sel(network=network).notnull().any()):
            axis.set_yscale("log")
    axes[0, 0].set_ylabel("norm of dL/d$W_{hh}$")
    letters(axes)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure
