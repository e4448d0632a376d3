"""The instruction sets of this machine, and inputs that a network would give the kernels."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from adaptrnn.kernels import native

# for `flat_calls` and `schemas`: a folder of its own, since `triton` next to this file is not the
# package
sys.path.append(str(Path(__file__).with_name("calls")))


@pytest.fixture(params=["avx512", "avx2", "portable"])
def instruction_set(request, monkeypatch):
    """Each instruction set in turn; skipped where this machine or build lacks it."""
    if request.param not in native.instruction_sets():
        pytest.skip(f"no {request.param} kernels here")
    monkeypatch.setenv("ADAPTRNN_INSTRUCTION_SET", request.param)
    return request.param


@pytest.fixture(scope="session")
def arun_inputs():
    """Inputs of `arun` as float64 leaves: contracting weights, gains around 2."""

    def make(steps, batch, size, units, dtype=torch.float64, gain=2.0, gain_spread=0.2):
        generator = torch.Generator().manual_seed(steps + 100 * batch + size + 1000 * units)

        def normal(*shape, scale=1.0):
            values = scale * torch.randn(*shape, generator=generator, dtype=torch.float64)
            return values.to(dtype).requires_grad_()

        return [
            normal(steps, batch, size),
            normal(batch, size, scale=0.3),
            normal(batch, size, units, scale=0.3),
            normal(size, size, scale=0.5 / size**0.5),
            normal(units, scale=0.5),
            normal(units, units, scale=0.7 / units**0.5),
            normal(units, scale=0.2),
            normal(2, units, scale=gain_spread / units**0.5),
            torch.tensor([gain, 0.1], dtype=dtype, requires_grad=True),
        ]

    return make


def relative(found, wanted):
    """Norm of the difference over the norm of what is wanted (or 1e-30: below, all is zero)."""
    difference = (found.detach().double() - wanted.detach().double()).norm()
    return float(difference / wanted.detach().double().norm().clamp_min(1e-30))


@pytest.fixture(scope="session", name="relative")
def relative_fixture():
    """`relative`, for the test files."""
    return relative
