"""What runs here and why: versions, the backend of the layers, threads."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

import torch

from adaptrnn.kernels import native

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["InfoConfig", "facts", "info"]


@dataclass(frozen=True)
class InfoConfig:
    """`adaptrnn info` has no options."""


def facts() -> dict[str, str]:
    """What `adaptrnn info` prints, by name.

    Returns:
        Versions, the backend that `backend="auto"` takes on this machine and why, the instruction
        sets of the native kernels, the number of threads, other devices that torch sees.

    Example:
        >>> list(facts())
        ['adaptrnn', 'python', 'torch', 'machine', 'backend', 'instruction sets', 'bfloat16', ...]
    """
    reason, sets = native.why_not(), native.instruction_sets()
    if reason is None:
        backend = f"cpu: native kernels, {sets[0]}, for float32 and float64 in the CPU's memory"
    else:
        backend = (
            f"reference: plain torch, slower; {reason}. "
            "Install a C++17 compiler, then install adaptrnn again"
        )
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "adaptrnn": _version(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "backend": backend,
        "instruction sets": ", ".join(sets) or "none",
        "bfloat16": _bfloat16(sets),
        "threads": f"{torch.get_num_threads()} (OMP_NUM_THREADS or torch.set_num_threads)",
        "gpu": f"{', '.join(gpus)} (layers run there by the reference)" if gpus else "none",
    }


def _bfloat16(sets: list[str]) -> str:
    """What precision="bf16" does here."""
    if not sets:
        return "no: products are in float32"
    if sets[0] in native.BFLOAT16_SETS:
        return f'instructions of {sets[0]}, for layers of precision="bf16"'
    return 'emulated, slower than float32, for layers of precision="bf16"'


def _version() -> str:
    try:
        return metadata.version("adaptrnn")
    except metadata.PackageNotFoundError:
        return "not installed, used from its sources"


def info(config: InfoConfig, console: Console) -> None:
    """Print versions, the backend and why it was chosen, and threads.

    Args:
        config: no options.
        console: where to print.
    """
    for name, text in facts().items():
        console.print(f"{name:<18}{text}", highlight=False, markup=False, soft_wrap=True)
