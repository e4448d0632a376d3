"""A self-check compares the kernels with the reference where they first run.

A code generator may be wrong for one chip and right for all others, and nothing but the numbers
tells. So the first call on a device with one precision and one size of the controller runs a small
case too, values and every gradient, and raises if they are not those of the reference in float64.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

SWITCH = "ADAPTRNN_SELF_CHECK"
"""Set to 0 in the environment, it switches the self-check off."""

LIMITS = {"tf32x3": 1e-4, "tf32": 0.1}
"""Largest relative error by precision: some hundred times the rounding of its products.

With tf32 the gradient of W_gg of a controller of one unit is 0.06 off: one number, in which terms
of either sign nearly cancel. All others are within 0.004. A wrong program is off by about 1.
"""

Compare = Callable[..., dict[str, float]]


class KernelError(RuntimeError):
    """The kernels' numbers are wrong on this device; the message holds the errors."""


def once(compare: Compare, device: torch.device, precision: str, *size: int) -> None:
    """Compare at the first use on this device, with this precision and size.

    Args:
        compare: gives the errors by name, from device, precision and size.
        device: where the kernels are to run.
        precision: "tf32x3" or "tf32".
        size: what else the kernels are compiled for.

    Raises:
        KernelError: an error above the limit, or not a number.
    """
    if os.environ.get(SWITCH) != "0":
        measure(compare, device, precision, *size)


@functools.cache
def measure(compare: Compare, device: torch.device, precision: str, *size: int) -> dict[str, float]:
    """Return the errors by name, computed once, and not kept where they are too large.

    Raises:
        KernelError: an error above the limit, or not a number.
    """
    # an operation of torch runs with autograd off, but what starts another thread finds it on
    with ThreadPoolExecutor(1) as other:
        errors = other.submit(compare, device, precision, *size).result()
    limit = LIMITS[precision]
    wrong = {name: error for name, error in errors.items() if not error <= limit}
    if wrong:
        text = ", ".join(f"{name} {error:.1e}" for name, error in wrong.items())
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
        raise KernelError(
            f"The Triton kernels give wrong numbers on {name} ({precision}, {size}). Relative "
            f"errors against the reference, at most {limit:g} allowed: {text}. Use "
            "backend='reference', and please report this message with the output of "
            "`adaptrnn info`."
        )
    return errors


def normal(seed: int = 0) -> Callable[..., Tensor]:
    """Return a source of normal float64 numbers: ``normal(*shape, scale=1.0)``."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int, scale: float = 1.0) -> Tensor:
        return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)

    return draw


def differentiate(
    function: Callable[..., tuple[Tensor, ...]],
    tensors: Sequence[Tensor],
    draw: Callable[..., Tensor],
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], list[Tensor]]:
    """Return a function's results, gradients of a random sum of them, and the sum's factors."""
    with torch.enable_grad():
        leaves = [tensor.detach().requires_grad_() for tensor in tensors]
        results = function(*leaves)
        factors = [draw(*result.shape) for result in results]
        return results, torch.autograd.grad(results, leaves, factors), factors


def errors(
    names: Sequence[str], found: Sequence[Tensor], wanted: Sequence[Tensor]
) -> dict[str, float]:
    """Return the norm of each difference over the norm of what is wanted."""
    return {
        name: float((f.detach().double().cpu() - w.detach()).norm() / w.detach().norm())
        for name, f, w in zip(names, found, wanted, strict=True)
    }
