"""Analyses take the states of networks, and labelled or plain numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

State: TypeAlias = "Tensor | np.ndarray | Sequence[State] | Mapping[str, State]"
"""A state of a network: a tensor, or a tuple, named tuple, list or dict of states."""

Values: TypeAlias = "xr.DataArray | Tensor | ArrayLike"
"""Numbers with named dimensions, or in an order that the function says."""

Array: TypeAlias = NDArray[np.float64]
"""Numbers as NumPy keeps them."""
