"""A table says how many rows a program takes, by how many warps, for each kernel, chip and size.

Nothing is tuned at run time. The table is that of a search over what compiles for a chip without
spilling a register; `adaptrnn.kernels.triton.compiled` prints what became of every entry.
"""

from __future__ import annotations

from typing import NamedTuple

CHIPS = (80, 86, 89, 90, 120)
"""Compute capabilities, times ten, for which every entry is checked."""

MOST_UNITS = 64
"""The largest controller: above, no setting fits every chip's registers and shared memory."""

KERNELS = ("forward_rows", "recompute", "backward_rows", "weights")
"""Those over rows, with a setting each."""


class Setting(NamedTuple):
    """A setting says how many rows a program takes, and how it is compiled."""

    block: int
    warps: int
    stages: int = 1


class Tile(NamedTuple):
    """A program of the gamma RNN takes these samples and neurons, and inner numbers at a time."""

    samples: int
    neurons: int
    inner: int
    warps: int
    stages: int = 2


def setting(kernel: str, columns: int, capability: int) -> Setting:
    """Return the entry of a kernel over rows.

    Args:
        kernel: a name in `KERNELS`.
        columns: U, the controller's units rounded up to a power of 2, 16 to 64.
        capability: of the chip, times ten.

    Example:
        >>> setting("forward_rows", 64, 90).block
        32
    """
    if columns > 32:
        return Setting(32, 4 if kernel == "weights" and capability == 90 else 8)
    return Setting(32 if kernel == "weights" else 64, 4)


def tile(capability: int) -> Tile:
    """Return the entry of the gamma RNN's kernels, which is the same for every chip.

    Example:
        >>> tile(80).samples
        16
    """
    return Tile(16, 32, 32, 4)


def columns(units: int) -> int:
    """Return U, the columns of a kernel for a controller of this size: a power of 2, at least 16.

    Example:
        >>> [columns(units) for units in (1, 20, 50, 64)]
        [16, 32, 64, 64]
    """
    return max(16, 1 << (units - 1).bit_length())


def pitch(units: int) -> int:
    """Return PITCH, the numbers that a stored state takes: a multiple of 4, of 16 bytes.

    Example:
        >>> [pitch(units) for units in (1, 20, 50, 64)]
        [4, 20, 52, 64]
    """
    return -(-units // 4) * 4
