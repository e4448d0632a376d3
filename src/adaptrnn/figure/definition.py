"""Exponents by QR against exponents by singular values (Geadah et al. 2024, Appendix D)."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.style import colour, ink, letters, subplots

__all__ = ["definitions"]


def definitions(data: xr.Dataset) -> Figure:
    """Draw both, and their distances.

    Args:
        data: `qr`, `svd` (draw, system, exponent); `orthogonal` (draw).

    Returns:
        The figure.
    """
    figure, axes = subplots(1, 2, height=3.3)
    left, right = axes[0]
    least = 1e-18  # where an exact 0 is drawn
    rows = []
    for name, tone, mark in zip(data.system.values, ("arun", "gamma"), "o^", strict=True):
        one = data.sel(system=name)
        settings = {"color": colour(tone), "marker": mark, "ls": "", "label": str(name)}
        left.plot(one.svd.values.ravel(), one.qr.values.ravel(), alpha=0.6, **settings)
        rows.append((str(name), abs(one.qr - one.svd).values.ravel(), tone))
    ends = [float(data.svd.min()), float(data.svd.max())]
    left.plot(ends, ends, color=ink(), lw=0.7)
    left.set(xlabel="by singular values (1/step)", ylabel="by QR (1/step)")
    left.legend()
    rows.append(("orthogonal map", data.orthogonal.values, "lstm"))
    for row, (_, values, tone) in enumerate(rows):
        at = row + np.linspace(-0.15, 0.15, len(values))
        right.plot(at, np.maximum(values, least), "o", color=colour(tone), alpha=0.6)
    right.axhline(1e-6, color=ink(), lw=0.8, ls=":")
    right.set_xticks(range(len(rows)), [name for name, *_ in rows])
    right.set(yscale="log", ylim=(least / 10, 1e-3), ylabel="distance (1/step)")
    letters(axes)
    return figure
