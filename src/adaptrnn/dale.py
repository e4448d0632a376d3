"""By Dale's law a neuron excites all others or inhibits all others, by a sign that is its own."""

from __future__ import annotations

import copy
from typing import Annotated, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from adaptrnn._error import bad

__all__ = ["SignedWeight", "balanced", "neuron_signs", "plain_copy", "sign_weight"]

_Module = TypeVar("_Module", bound=nn.Module)

EXCITATORY = 0.8
"""The share of excitatory neurons, as about in cortex (Song, Yang and Wang 2016)."""


def neuron_signs(
    excitatory: bool | float | Annotated[Tensor, "N"], size: int
) -> Annotated[Tensor, "N"]:
    """Return the signs of N neurons: 1 for those that excite, -1 for those that inhibit.

    Args:
        excitatory: their share, from 0 to 1, of which the first neurons are; True for `EXCITATORY`;
            or the signs themselves, (N,).
        size: N.

    Returns:
        (N,), float32.

    Raises:
        InputError: a share outside 0 to 1; signs of another shape or other than 1 and -1.

    Example:
        >>> neuron_signs(True, 5).tolist()
        [1.0, 1.0, 1.0, 1.0, -1.0]
    """
    if isinstance(excitatory, Tensor):
        if tuple(excitatory.shape) != (size,) or not bool((excitatory.abs() == 1).all()):
            raise bad("dale", excitatory, f"signs 1 and -1, (N,) = ({size},)")
        return excitatory.detach().float()
    share = EXCITATORY if excitatory is True else float(excitatory)
    if not 0 <= share <= 1:
        raise bad("dale", excitatory, "the share of excitatory neurons, from 0 to 1")
    signs = torch.ones(size, device="cpu")
    signs[round(share * size) :] = -1
    return signs


def balanced(
    weight: Annotated[Tensor, "N N"], signs: Annotated[Tensor, "N"]
) -> Annotated[Tensor, "N N"]:
    """Return signed weights in which excitation and inhibition balance in the mean.

    The magnitudes are those of `weight`, those of the few inhibitory neurons larger by the ratio of
    the counts (Song, Yang and Wang 2016); all are scaled to the spectral radius of `weight`.

    Args:
        weight: (N, N), from neuron j (column) to neuron i (row).
        signs: (N,), of the neurons j.

    Returns:
        (N, N).

    Example:
        >>> balanced(torch.tensor([[0.5, 0.5], [0.5, 0.5]]), torch.tensor([1.0, -1.0])).sign()
        tensor([[ 1., -1.],
                [ 1., -1.]])
    """
    count = int((signs > 0).sum())
    ratio = count / (len(signs) - count) if 0 < count < len(signs) else 1.0
    signs = signs.to(weight)
    signed = weight.abs() * torch.where(signs > 0, signs, ratio * signs)
    if weight.is_meta:
        return signed
    short = weight.dtype in (torch.float16, torch.bfloat16)  # LAPACK has none so short
    pair = (w.float() if short else w for w in (weight, signed))
    radius, found = (float(torch.linalg.eigvals(w).abs().max()) for w in pair)
    return signed * (radius / found if found > 0 else 1.0)


class SignedWeight(nn.Module):
    """The parametrisation W_ij = |V_ij| sign_j gives neuron j one sign, whatever V is."""

    signs: Tensor

    def __init__(self, signs: Tensor) -> None:
        super().__init__()
        self.register_buffer("signs", signs)

    def forward(self, free: Annotated[Tensor, "N N"]) -> Annotated[Tensor, "N N"]:
        """Return W of the free weights V, both (N, N)."""
        return free.abs() * self.signs

    def right_inverse(self, weight: Annotated[Tensor, "N N"]) -> Annotated[Tensor, "N N"]:
        """Return the free weights of W: its magnitudes."""
        return weight.abs()


def sign_weight(module: nn.Module, name: str, signs: Annotated[Tensor, "N"]) -> None:
    """Give the columns of a module's weight these signs from now on, by `SignedWeight`.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> sign_weight(layer, "weight", torch.tensor([1.0, -1.0]))
        >>> layer.weight.sign()
        tensor([[ 1., -1.],
                [ 1., -1.]], grad_fn=<SignBackward0>)
    """
    weight = getattr(module, name)
    with torch.no_grad():
        weight.copy_(balanced(weight, signs))
    parametrize.register_parametrization(module, name, SignedWeight(signs.to(weight)))


def plain_copy(module: _Module) -> _Module:
    """Return a copy whose signed weights are plain parameters with the same values."""
    module = copy.deepcopy(module)
    for part in list(module.modules()):
        if not parametrize.is_parametrized(part):
            continue
        # torch's own removal would take the weights from the class, which the original shares
        names = [name for name, _ in part.parametrizations.named_children()]  # type: ignore[union-attr]
        values = {name: getattr(part, name).detach() for name in names}
        kind = parametrize.type_before_parametrizations(part)
        del part.parametrizations
        part.__class__ = kind
        for name, value in values.items():
            part.register_parameter(name, nn.Parameter(value))
    return module
