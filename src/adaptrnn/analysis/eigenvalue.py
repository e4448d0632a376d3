"""Eigenvalues of the recurrent weights: how far beyond the unit circle does training push them?

Geadah et al. 2024, Fig 5e (E31).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from adaptrnn.analysis.jacobian import recurrent_weight
from adaptrnn.analysis.system import Network

__all__ = ["spectrum"]


def spectrum(
    networks: Network | Tensor | Mapping[str, Network | Tensor],
) -> xr.Dataset:
    """Compute the eigenvalues of W_hh, of one network or of several of one size by their names.

    Args:
        networks: a network with a square W_hh, or the matrix itself, or a mapping from names, such
            as "initial" and "trained", to these.

    Returns:
        Over (network, eigenvalue), by falling modulus: real_part, imaginary_part, modulus. Over
        network: radius, the largest modulus; outside, the share with modulus > 1 + 1e-6;
        largest_singular, the spectral norm; henrici, the departure from normality
        sqrt(1 - sum |lambda|^2 / ||W||_F^2), 0 for a normal matrix. Without a mapping there is no
        dimension network.

    Raises:
        InputError: a network has no square W_hh.

    Example:
        >>> turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
        >>> found = spectrum({"initial": turn, "trained": 1.2 * turn})
        >>> found.radius.values.round(6), found.outside.values
        (array([1. , 1.2]), array([0., 1.]))
    """
    if isinstance(networks, Mapping):
        parts: list[Any] = [_one(network) for network in networks.values()]
        names = xr.DataArray(list(networks), dims="network", name="network")
        return xr.concat(parts, names, "all", "minimal", "override", join="exact")
    return _one(networks)


def _one(network: Network | Tensor) -> xr.Dataset:
    weight = recurrent_weight(network)
    values = torch.linalg.eigvals(weight).cpu().numpy()
    values = values[np.lexsort((values.imag, values.real, -np.abs(values).round(12)))]
    modulus = np.abs(values)
    normal = (modulus**2).sum() / float((weight**2).sum())
    dims = "eigenvalue"
    return xr.Dataset(
        {
            "real_part": (dims, values.real),
            "imaginary_part": (dims, values.imag),
            "modulus": (dims, modulus),
            "radius": modulus.max(),
            "outside": (modulus > 1 + 1e-6).mean(),
            "largest_singular": float(torch.linalg.matrix_norm(weight, 2)),
            "henrici": np.sqrt(max(0.0, 1 - normal)),
        },
        attrs={"definition": "eigenvalues of W_hh, per step"},
    )
