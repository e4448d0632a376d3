"""Write numbers in the sentences of a verdict's note."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import xarray as xr

__all__ = ["enumerated", "means_along"]


def enumerated(words: Sequence[str]) -> str:
    """Join words as a sentence lists them; empty for none.

    Example:
        >>> enumerated(["LSTM", "GRU", "ARUN"])
        'LSTM, GRU and ARUN'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def means_along(
    values: xr.DataArray,
    dim: str,
    digits: str = ".2g",
    name: str = "",
    link: str = "at ",
    words: Mapping[str, str] | None = None,
) -> str:
    """Write the means along one dimension as a sentence lists them; empty if nothing is known.

    Args:
        values: any data with dimension `dim`.
        dim: the dimension.
        digits: format of the means.
        name: what the entries of the dimension are; it precedes the first of them.
        link: what joins a mean to its entry.
        words: what an entry that is a text is called, where that is not the text itself.

    Example:
        >>> values = xr.DataArray([[1.0, 3.0], [3.0, 5.0]], coords={"seed": [0, 1], "xi": [1, 5]})
        >>> means_along(values, "xi", name="ξ = ")
        '2 at ξ = 1 and 4 at 5'
    """
    means = values.mean([other for other in values.dims if other != dim]).dropna(dim)
    known = words or {}
    places = [
        known.get(key, key) if isinstance(key, str) else f"{key:g}"
        for key in means[dim].values.tolist()
    ]
    pairs = zip(means.values, places, strict=True)
    return enumerated(
        [
            f"{float(mean):{digits}} {link}{'' if k else name}{place}"
            for k, (mean, place) in enumerate(pairs)
        ]
    )
