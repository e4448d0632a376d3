"""Gains, saturations and rates under a step of drive (Geadah et al. 2024, Fig 4a)."""

from __future__ import annotations

import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.style import ink, letters, shades, subplots

__all__ = ["step_responses"]


def step_responses(data: xr.Dataset) -> Figure:
    """Draw the mean over neurons of n_t, s_t and h_t: a row for each, a column for each seed.

    Args:
        data: `n_mean`, `s_mean`, `h_mean` (role, model, seed, time, xi) of one role and model, time
            0 at the onset; `steps` (role, model, seed), for how long the drive is on.

    Returns:
        The figure.
    """
    data = data.isel(role=0, model=0)
    seeds, names = data.seed.values, ("n", "s", "h")
    labels = {"n": "gain $n_t$", "s": "saturation $s_t$", "h": "rate $h_t$"}
    wide = max(7.5, 1.9 * len(seeds))
    shape = (len(names), len(seeds))
    figure, axes = subplots(*shape, width=wide, height=5.4, sharex=True, sharey="row")
    tones = shades(data.sizes["xi"])
    for row, name in enumerate(names):
        for column, seed in enumerate(seeds):
            axis = axes[row, column]
            for xi, tone in zip(data.xi.values, tones, strict=True):
                values = data[f"{name}_mean"].sel(seed=seed, xi=xi)
                axis.plot(data.time, values, color=tone, lw=1.2, label=f"ξ = {xi:g}")
            for edge in (0, data.steps.sel(seed=seed)):
                axis.axvline(float(edge), color=ink(), lw=0.6, ls=":")
            axis.set_title(f"seed {seed}" if row == 0 else "")
        axes[row, 0].set_ylabel(labels[name])
    for axis in axes[-1]:
        axis.set_xlabel("steps from the onset")
    axes[-1, 0].set_yscale("symlog", linthresh=1)
    axes[-1, 0].set_ylim(bottom=min(-0.2, 1.2 * float(data.h_mean.min().fillna(0))))
    letters(axes)
    handles, names_ = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names_, loc="outside lower center", ncols=len(handles))
    return figure
