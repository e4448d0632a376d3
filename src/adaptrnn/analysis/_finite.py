"""A number that is not finite raises one kind of error, which names the argument and the place."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from adaptrnn._error import NotFiniteError, bad

_Values = TypeVar("_Values")


def finite(argument: str, values: _Values, advice: str = "") -> _Values:
    """Return `values` if all of them are finite, else raise with the first place that is not.

    Args:
        argument: name of the argument as its user wrote it.
        values: a number, a sequence, an array, a tensor or a DataArray; what is not a number of
            floating point passes.
        advice: what to do, a whole sentence (optional).

    Returns:
        `values`, unchanged.

    Raises:
        NotFiniteError: a value is NaN or infinite.

    Example:
        >>> finite("gains", torch.tensor([[1.0, 2.0], [3.0, float("nan")]]))
        Traceback (most recent call last):
        adaptrnn._error.NotFiniteError: gains[1, 1]=nan: must be finite (1 of 4 is NaN or infinite).
    """
    wrong, array = _wrong(values)
    count = int(wrong.sum())
    if not count:
        return values
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    where = ", ".join(str(i) for i in place)
    if isinstance(values, xr.DataArray):
        where = ", ".join(
            f"{dim}={values[dim].values[i] if dim in values.coords else i}"
            for dim, i in zip(values.dims, place, strict=True)
        )
    name = f"{argument}[{where}]" if place else argument
    verb = "is" if count == 1 else "are"
    allowed = f"finite ({count} of {wrong.size} {verb} NaN or infinite)"
    raise NotFiniteError(str(bad(name, float(array[place]), allowed, advice)))


def _wrong(values: object) -> tuple[np.ndarray, np.ndarray]:
    """Where values are not finite, and the values, both as arrays."""
    if isinstance(values, Tensor):
        values = values.detach()
        if bool(torch.isfinite(values).all()):
            return np.zeros((), bool), np.zeros(())
        values = values.double().cpu().numpy()
    array = np.asarray(values)
    if array.dtype.kind not in "fc":
        return np.zeros((), bool), array
    return ~np.isfinite(array), array
