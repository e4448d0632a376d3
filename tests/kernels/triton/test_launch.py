"""The table of the kernels for GPUs: every size that is promised has an entry that fits a chip."""

from __future__ import annotations

import pytest

from adaptrnn.kernels.triton.launch import (
    CHIPS,
    KERNELS,
    MOST_UNITS,
    columns,
    pitch,
    setting,
    tile,
)


@pytest.mark.parametrize("units", range(1, MOST_UNITS + 1))
def test_sizes_within_a_kernel(units):
    """Columns are a power of 2 of at least 16 that holds a state; a state ends at 16 bytes."""
    assert columns(units) in (16, 32, 64) and pitch(units) % 4 == 0
    assert units <= pitch(units) <= columns(units) and pitch(units) < units + 4
    assert columns(units) == 16 or columns(units) < 2 * units  # no larger than it must be
    for kernel in KERNELS:
        for chip in CHIPS:
            block, warps, stages = setting(kernel, columns(units), chip)
            assert block in (32, 64) and warps in (4, 8) and stages == 1


def test_a_tile_is_of_the_sizes_that_tensor_cores_multiply():
    for chip in CHIPS:
        samples, neurons, inner, warps, stages = tile(chip)
        # a product of Triton takes at least 16 by 16 by 16, and powers of 2 alone
        for size in (samples, neurons, inner):
            assert size >= 16 and size & (size - 1) == 0
        assert warps & (warps - 1) == 0
        # inputs of `stages` steps within the 99 KiB that all of these chips have for a program
        assert 4 * stages * inner * (samples + neurons) <= 99 * 1024
