"""Write numbers in the words of a verdict's note."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

__all__ = ["means_along"]


def means_along(
    values: xr.DataArray, dim: str, digits: str = ".2g", at: Sequence[float | str] | None = None
) -> str:
    """Write the means along one dimension as text; empty if nothing is known.

    Args:
        values: any data with dimension `dim`.
        dim: the dimension.
        digits: format of the means.
        at: only these entries.

    Example:
        >>> values = xr.DataArray([[1.0, 3.0], [3.0, 5.0]], coords={"seed": [0, 1], "xi": [1, 5]})
        >>> means_along(values, "xi")
        '2 at 1, 4 at 5'
    """
    kept = values if at is None else values.sel({dim: list(at)})
    means = kept.mean([name for name in kept.dims if name != dim]).dropna(dim)
    places = (key if isinstance(key, str) else f"{key:g}" for key in means[dim].values.tolist())
    pairs = zip(means.values, places, strict=True)
    return ", ".join(f"{float(mean):{digits}} at {place}" for mean, place in pairs)
