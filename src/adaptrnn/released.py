"""Translate between the authors' names, in their checkpoints, for an ARUN's weights and ours.

Their names are Uxh (input to neurons), Whh (with the biases of the recurrent network), and of the
controller Uag, Wgg, Wgn (gain) and Wgs (saturation), each with `.weight` and `.bias`. Our names are
those of torch.nn.RNN; those of the controller begin with `controller.`, and gain and saturation
share one matrix there.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from adaptrnn._error import bad

__all__ = ["from_released", "to_released"]

_PARTS = {
    "{}_ih_l0": ("Uxh",),
    "{}_hh_l0": ("Whh",),
    "controller.{}_ag": ("Uag",),
    "controller.{}_gg": ("Wgg",),
    "controller.{}_gc": ("Wgn", "Wgs"),
}
LAYOUT = {
    ours.format(kind): tuple(f"{part}.{kind}" for part in theirs)
    for ours, theirs in _PARTS.items()
    for kind in ("weight", "bias")
}
"""Our names, each with those of the authors' layout whose rows it stacks."""


def from_released(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of one ARUN layer under our names.

    Args:
        weights: a state_dict in the authors' layout; other entries are left out.

    Returns:
        A state_dict for `adaptrnn.ARUN`.

    Raises:
        InputError: an entry is missing.

    Example:
        >>> theirs = {name: torch.zeros(4, 4) for names in LAYOUT.values() for name in names}
        >>> from_released(theirs)["controller.weight_gc"].shape
        torch.Size([8, 4])
    """
    for names in LAYOUT.values():
        for name in names:
            if name not in weights:
                raise bad("weights", sorted(weights), f"a mapping with the entry {name!r}")
    return {
        ours: torch.cat([torch.as_tensor(weights[name]) for name in names])
        for ours, names in LAYOUT.items()
    }


def to_released(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return copies of the weights of one ARUN layer in the authors' layout.

    Args:
        weights: the state_dict of an `adaptrnn.ARUN` with one layer and biases.

    Returns:
        A state_dict in the authors' layout.
    """
    return {
        theirs: part.clone()
        for ours, names in LAYOUT.items()
        for theirs, part in zip(names, weights[ours].chunk(len(names)), strict=True)
    }
