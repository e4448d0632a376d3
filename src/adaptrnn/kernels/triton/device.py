"""Can the Triton kernels run a call, and what do they need to know of the device?"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator, Sequence
from types import ModuleType

import torch
from torch import Tensor
from torch.autograd import forward_ad

from adaptrnn._error import bad, require
from adaptrnn.kernels.triton.launch import MOST_UNITS

OLDEST = (3, 6)
"""The oldest Triton for which the kernels were compiled."""

LEAST_CAPABILITY = (8, 0)
"""The oldest chips whose tensor cores multiply in tf32: Ampere."""


def interpreted() -> bool:
    """Return whether Triton's interpreter was asked for; tensors are then on the CPU."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "on", "yes", "y")


def rows() -> ModuleType:
    """Return the module of the kernels, imported at its first use.

    Raises:
        MissingExtraError: triton is not installed.
    """
    require("triton", "triton")
    return importlib.import_module("adaptrnn.kernels.triton._rows")


def check(tensors: Sequence[Tensor | None], units: int = 1) -> None:
    """Raise unless the kernels can run a call with these tensors.

    Args:
        tensors: every tensor of the call; None is skipped.
        units: G, of the controller.

    Raises:
        InputError: the call cannot run by Triton; the message says why.
        MissingExtraError: triton is not installed.
    """
    reason = obstacle([tensor for tensor in tensors if tensor is not None], units)
    if reason is not None:
        raise bad("backend", "triton", "'auto' or 'reference' here", f"The reason: {reason}.")


def obstacle(tensors: Sequence[Tensor], units: int = 1) -> str | None:
    """Return why the kernels cannot run a call with these tensors, or None.

    Raises:
        MissingExtraError: triton is not installed, and nothing else stands in the way.
    """
    device = tensors[0].device
    for tensor in tensors:
        if tensor.device != device:
            return f"the tensors are on {device} and {tensor.device}, not on one device"
        if tensor.dtype != torch.float32:
            return f"the Triton kernels compute in float32, not {tensor.dtype}"
    if device.type != ("cpu" if interpreted() else "cuda"):
        return f"a tensor is on {device}, not on an NVIDIA GPU"
    if units > MOST_UNITS:
        return f"the controller has {units} units, more than {MOST_UNITS}"
    if torch.compiler.is_compiling():  # the rest is looked at when the operation runs
        return None
    if torch._C._functorch.maybe_current_level() is not None or forward_ad._current_level >= 0:
        return "transforms of torch.func and forward-mode derivatives are left to the reference"
    return chip(device)


def chip(device: torch.device) -> str | None:
    """Return why the kernels cannot run on a device, whatever the call, or None.

    Raises:
        MissingExtraError: triton is not installed, and nothing else stands in the way.
    """
    if device.type == "cuda":
        if torch.version.hip is not None:
            return "this torch is for AMD GPUs, and the kernels were compiled for NVIDIA's only"
        found = torch.cuda.get_device_capability(device)
        if found < LEAST_CAPABILITY:
            name = torch.cuda.get_device_name(device)
            return f"{name} has compute capability {found[0]}.{found[1]}, less than 8.0"
    version = require("triton", "triton").__version__
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        return f"triton {version} is installed, older than {OLDEST[0]}.{OLDEST[1]}"
    return None


def capability(device: torch.device) -> int:
    """Return the compute capability times ten; where the interpreter runs, it is that of Ampere."""
    if device.type != "cuda":
        return 80
    major, minor = torch.cuda.get_device_capability(device)
    return 10 * major + minor


def precision() -> str:
    """Return how a kernel multiplies, by torch's own setting: "tf32x3" or "tf32".

    With ``torch.set_float32_matmul_precision("highest")``, the default, each product is three of
    the tensor cores', as accurate as float32. With "high" or "medium" it is one, of 10 bits.
    """
    return "tf32x3" if torch.get_float32_matmul_precision() == "highest" else "tf32"


@contextlib.contextmanager
def on(device: torch.device) -> Iterator[None]:
    """Launch on this device, in float32 even where autocast is on."""
    with torch.autocast(device.type, enabled=False):
        if device.type == "cuda":
            with torch.cuda.device(device):
                yield
        else:
            yield
