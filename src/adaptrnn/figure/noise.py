"""Error of the predicted variance of noise (Geadah et al. 2024, Proposition 1)."""

from __future__ import annotations

import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.style import ink, letters, shades, subplots

__all__ = ["noise_error", "trained_noise_error"]

_DASHES = {0.5: ":", 1.0: "--"}


def noise_error(data: xr.Dataset) -> Figure:
    """Draw the error against sigma for every (n, s), a panel for each mean current.

    Args:
        data: `error` (draw, sigma, n, s, mu).

    Returns:
        The figure.
    """
    figure, axes = subplots(1, data.sizes["mu"], width=9, height=3.3, sharey=True)
    error = data.error.mean("draw")
    tones = shades(data.sizes["n"])
    for axis, mu in zip(axes[0], data.mu.values, strict=True):
        for n, tone in zip(data.n.values, tones, strict=True):
            for s in data.s.values:
                values = error.sel(n=n, s=s, mu=mu)
                label = f"n = {n:g}" if s == data.s.values[0] else None
                dashes = _DASHES.get(float(s), "-")
                axis.plot(data.sigma, values, color=tone, ls=dashes, lw=1.1, label=label)
        axis.axhline(0.05, color=ink(), lw=0.8, ls=":")
        axis.set(xlabel="sd of the noise, sigma", title=f"mean current {mu:g}")
        axis.set(xscale="log", yscale="log", xlim=_ends(data.sigma), ylim=(1e-3, 10))
    axes[0, 0].set_ylabel("|variance / predicted - 1|")
    axes[0, -1].legend()
    letters(axes)
    return figure


def _ends(sigma: xr.DataArray) -> tuple[float, float]:
    """Limits of a logarithmic axis, a little wider than the values."""
    return float(sigma.min()) / 1.2, float(sigma.max()) * 1.2


def trained_noise_error(data: xr.Dataset) -> Figure:
    """Draw the middle error over neurons, and the share of neurons within 5%, against sigma.

    Args:
        data: `middle`, `share` (role, model, seed, mu, sigma) of one role and model.

    Returns:
        The figure.
    """
    data = data.isel(role=0, model=0)
    figure, axes = subplots(1, 2, height=3.1)
    for axis, name, factor in ((axes[0, 0], "middle", 1), (axes[0, 1], "share", 100)):
        for mu, tone in zip(data.mu.values, shades(data.sizes["mu"]), strict=True):
            one = factor * data[name].sel(mu=mu)
            axis.plot(data.sigma, one.mean("seed"), "o-", color=tone, label=f"mean current {mu:g}")
            band = (one.min("seed"), one.max("seed"))
            axis.fill_between(data.sigma, *band, color=tone, alpha=0.15, lw=0)
        axis.set(xlabel="sd of the noise, sigma", xscale="log", xlim=_ends(data.sigma))
    axes[0, 0].axhline(0.05, color=ink(), lw=0.8, ls=":")
    axes[0, 0].set(ylabel="|variance / predicted - 1|", yscale="log", ylim=(1e-3, 10))
    axes[0, 1].set(ylabel="neurons within 5% (%)", ylim=(0, 104))
    axes[0, 1].legend()
    letters(axes)
    return figure
