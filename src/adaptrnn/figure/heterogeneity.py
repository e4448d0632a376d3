"""Draw gains and saturations of neurons in one plane (Geadah et al. 2024, Fig 3a)."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from adaptrnn.figure.style import colour, ink

__all__ = ["neuron_cloud"]

_SIGNALS = {"n": "gain n", "s": "saturation s"}


def neuron_cloud(axis: Axes, data: xr.Dataset, model: str = "gamma") -> None:
    """Draw (n, s) of every neuron after training, and where the neurons started.

    Args:
        axis: where to draw.
        data: `n`, `s` (seed, neuron), of one seed or more; with `n_initial`, `s_initial` also the
            start, with `n_within`, `s_within` bars of these standard deviations.
        model: whose colour the neurons have.
    """
    values = {name: np.ravel(data[name]) for name in data}
    if "n_within" in values:
        bars: dict[str, Any] = {"color": colour(model), "alpha": 0.25, "lw": 0.7, "fmt": "none"}
        axis.errorbar(values["n"], values["s"], values["s_within"], values["n_within"], **bars)
    axis.scatter(values["n"], values["s"], 14, color=colour(model), alpha=0.6, lw=0)
    if "n_initial" in values:
        start: dict[str, Any] = {"color": ink(), "marker": "+", "zorder": 3, "label": "start"}
        known = values["n_initial"][np.isfinite(values["n_initial"])]
        one_place = not known.size or np.ptp(known) < 1e-3
        start |= {"s": 90, "lw": 1.6} if one_place else {"s": 20, "lw": 0.8}
        axis.scatter(values["n_initial"], values["s_initial"], **start)
    axis.set(xlabel=_SIGNALS["n"], ylabel=_SIGNALS["s"])
