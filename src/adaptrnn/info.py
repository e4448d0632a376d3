"""Say what runs here and why: versions, the backend of the layers, threads."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING

import torch

from adaptrnn._error import MissingExtraError
from adaptrnn.config import InfoConfig
from adaptrnn.kernels import native
from adaptrnn.kernels.triton import arun, device, gamma_rnn, verify

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["facts", "run_info"]


def facts() -> dict[str, str]:
    """Return what `adaptrnn info` prints, by name.

    Where there is a GPU, the self-check of the Triton kernels runs there.

    Returns:
        Versions, the backend that `backend="auto"` takes on this machine and why, the instruction
        sets of the native kernels, the number of threads, the GPUs that torch sees, and whether
        the Triton kernels can run there and how far they are from the reference.

    Example:
        >>> list(facts())[4:]
        ['backend', 'instruction sets', 'bfloat16', 'threads', 'gpu', 'triton']
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
        "gpu": ", ".join(gpus) or "none",
        "triton": "; ".join(_checked(i) for i in range(len(gpus))) or "no NVIDIA GPU to run on",
    }


def _checked(index: int) -> str:
    """What the self-check of the Triton kernels says of a GPU."""
    where, precision = torch.device("cuda", index), device.precision()
    try:
        reason = device.chip(where)
        if reason is not None:
            return f"cuda:{index}: cannot run, {reason}"
        found = verify.measure(arun.compare, where, precision, 50)
        found = found | verify.measure(gamma_rnn.compare, where, precision)
    except (MissingExtraError, verify.KernelError) as error:
        return f"cuda:{index}: cannot run, {error}"
    return (
        f"cuda:{index}: backend='triton' runs; relative error at most {max(found.values()):.1e} "
        f"in {precision}, {verify.LIMITS[precision]:g} allowed"
    )


def _bfloat16(sets: list[str]) -> str:
    """What precision="bf16" does here."""
    if not sets:
        return "no: products are in float32"
    reason = native.no_amx()
    name = sets[1] if sets[0] == "amx" and reason else sets[0]
    if name in native.BFLOAT16_SETS:
        without = "" if name == "amx" else f"; no AMX: {reason or 'another set was asked for'}"
        return f'instructions of {name}, for layers of precision="bf16"{without}'
    return 'emulated, slower than float32, for layers of precision="bf16"'


def _version() -> str:
    try:
        return metadata.version("adaptrnn")
    except metadata.PackageNotFoundError:
        return "not installed, used from its sources"


def run_info(config: InfoConfig, console: Console) -> None:
    """Print versions, the backend and why it was chosen, and the number of threads.

    Args:
        config: no options.
        console: where to print.
    """
    for name, text in facts().items():
        console.print(f"{name:<18}{text}", highlight=False, markup=False, soft_wrap=True)
