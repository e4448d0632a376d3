"""Draw initial weights: block rotations (Henaff), orthogonal matrices (Haar), or Kaiming normal."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor, nn

from adaptrnn._error import bad, choose

__all__ = ["RECURRENT", "haar_", "henaff_", "kaiming_", "recurrent_"]


@torch.no_grad()
def henaff_(
    weight: Annotated[Tensor, "N N"], low: float = -math.pi, high: float = 0.0
) -> Annotated[Tensor, "N N"]:
    """Fill a square matrix with 2x2 rotations along its diagonal, angles U(low, high).

    The matrix is exp(A) of a skew block-diagonal A (Henaff et al. 2016; Geadah et al. 2024,
    Methods): orthogonal, with eigenvalues exp(+- i angle). For odd N the last entry is 1.

    Args:
        weight: (N, N), changed in place.
        low: smallest angle, radians.
        high: largest angle, radians.

    Returns:
        `weight`.

    Example:
        >>> w = henaff_(torch.empty(5, 5))
        >>> torch.allclose(w @ w.T, torch.eye(5), atol=1e-6)
        True
    """
    size = _square(weight)
    angle = torch.empty(size // 2, dtype=weight.dtype, device=weight.device).uniform_(low, high)
    even = torch.arange(0, size - 1, 2, device=weight.device)
    weight.zero_()
    weight[even, even] = angle.cos()
    weight[even + 1, even + 1] = angle.cos()
    weight[even, even + 1] = angle.sin()
    weight[even + 1, even] = -angle.sin()
    if size % 2:
        weight[-1, -1] = 1.0
    return weight


@torch.no_grad()
def haar_(weight: Annotated[Tensor, "N N"]) -> Annotated[Tensor, "N N"]:
    """Fill a square matrix with an orthogonal matrix drawn uniformly (Haar measure).

    It is computed on one thread, so that one seed gives the same bits whatever the number of
    threads.

    Args:
        weight: (N, N), changed in place.

    Returns:
        `weight`.

    Example:
        >>> w = haar_(torch.empty(4, 4))
        >>> torch.allclose(w @ w.T, torch.eye(4), atol=1e-6)
        True
    """
    _square(weight)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the same bits for every number of threads
    try:
        return nn.init.orthogonal_(weight)
    finally:
        torch.set_num_threads(threads)


@torch.no_grad()
def kaiming_(weight: Annotated[Tensor, "M N"]) -> Annotated[Tensor, "M N"]:
    """Fill a matrix with N(0, 2 / fan_in) (Kaiming normal), the paper's choice for W_xh and W_ag.

    Args:
        weight: (out, in), changed in place.

    Returns:
        `weight`.

    Example:
        >>> kaiming_(torch.empty(3, 2)).shape
        torch.Size([3, 2])
    """
    return nn.init.kaiming_normal_(weight)


@torch.no_grad()
def _uniform(weight: Tensor) -> Tensor:
    bound = 1 / math.sqrt(weight.shape[0])
    return weight.uniform_(-bound, bound)


RECURRENT = {"henaff": henaff_, "haar": haar_, "uniform": _uniform, "identity": nn.init.eye_}
"""Initialisations of a recurrent matrix by name."""


def recurrent_(weight: Annotated[Tensor, "N N"], name: str) -> Annotated[Tensor, "N N"]:
    """Fill a recurrent matrix (N, N) by the initialisation of that name in `RECURRENT`.

    Args:
        weight: (N, N), changed in place.
        name: "henaff", "haar", "uniform" (+-1/sqrt(N), as torch.nn.RNN) or "identity".

    Returns:
        `weight`.

    Example:
        >>> recurrent_(torch.empty(2, 2), "identity")
        tensor([[1., 0.],
                [0., 1.]])
    """
    RECURRENT[choose("recurrent_init", name, RECURRENT)](weight)
    return weight


def _square(weight: Tensor) -> int:
    if weight.ndim != 2 or weight.shape[0] != weight.shape[1]:
        raise bad("weight.shape", tuple(weight.shape), "square, (N, N)")
    return weight.shape[0]
