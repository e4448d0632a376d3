"""Measure time, memory and errors of the layers on a GPU, for a file that a user can send us.

The networks and numbers are those of `adaptrnn.bench`. Times are CUDA events around whole calls,
so what the host needs to launch the kernels counts where the device waits for it.
"""

from __future__ import annotations

import dataclasses
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from adaptrnn._error import bad
from adaptrnn.bench import Loss, Size, layer_loss, loop_loss, matched_size, numbers_of, our_loss
from adaptrnn.config import BenchConfig
from adaptrnn.info import facts
from adaptrnn.kernels import native
from adaptrnn.kernels.triton import graph
from adaptrnn.storage import write_json

if TYPE_CHECKING:
    from rich.console import Console

REPORT_FORMAT = 1
"""Version of the file's layout."""

BATCHES = (1, 10, 100, 400)

OURS = {
    "triton, highest": ("triton", "highest"),
    "triton, high": ("triton", "high"),
    "triton-graph, highest": ("triton-graph", "highest"),
    "triton-graph, high": ("triton-graph", "high"),
}
"""The kernels, launched one by one and as a graph, in both precisions: name of the peer, the
backend, torch's setting of the precision."""


@dataclass(frozen=True)
class Row:
    """A row says what one peer needs for one batch, times in milliseconds and memory in bytes."""

    peer: str
    size: Size
    forward: float | None = None
    training: float | None = None
    memory: int | None = None
    errors: dict[str, float] | None = None
    """Relative errors of loss and gradients against float64; at B = 1, for the same network."""
    failure: str | None = None


def peers(compile: bool = True) -> list[str]:
    """Return everything that is timed, in order.

    Example:
        >>> peers(compile=False)[:2]
        ['torch loop', 'triton, highest']
    """
    compiled = ["torch.compile of the step"] if compile else []
    return ["torch loop", *compiled, *OURS, "nn.RNN", "nn.LSTM", "nn.GRU"]


def sizes(quick: bool) -> list[Size]:
    """Return an `ARUN` and a gamma RNN of the paper's size, for each batch."""
    steps, size, units = (8, 6, 3) if quick else (784, 400, 50)
    batches = BATCHES[:2] if quick else BATCHES
    return [Size(steps, batch, size, g) for g in (units, 0) for batch in batches]


def build(
    peer: str, size: Size, where: torch.device, dtype: torch.dtype = torch.float32
) -> tuple[Callable[[], Tensor], dict[str, Tensor]]:
    """Return a peer's loss as a function of nothing, and its trained tensors by name."""
    arrays = {name: torch.from_numpy(value) for name, value in numbers_of(size).items()}
    p = {n: (v if n == "target" else v.to(dtype)).to(where) for n, v in arrays.items()}
    used = {n: v for n, v in p.items() if n not in ("x", "target")}
    loss: Loss
    if peer.startswith("nn."):
        kind = getattr(nn, peer.removeprefix("nn."))
        width = {"hidden_size": matched_size(kind.__name__, size), "device": where, "dtype": dtype}
        loss, weights = layer_loss(size, kind, **width)
        used |= {f"layer {i}": weight for i, weight in enumerate(weights)}
    elif peer in OURS:
        loss = our_loss(size, True, native.MEMORY_BUDGET, backend=OURS[peer][0])
    else:
        loss = loop_loss(size, "compile" in peer)
    for tensor in used.values():
        tensor.requires_grad_()
    return lambda: loss(p, p["x"]), used


def gradients_of(loss: Callable[[], Tensor], trained: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the loss and its gradients by name, in float64 on the CPU."""
    value = loss()
    found = torch.autograd.grad(value, list(trained.values()), allow_unused=True)
    pairs = zip(("loss", *trained), (value, *found), strict=True)
    return {name: g.detach().double().cpu() for name, g in pairs if g is not None}


def milliseconds(call: Callable[[], object], where: torch.device, seconds: float) -> float:
    """Return the median of at least three calls, after two that do not count."""
    for _ in range(2):
        call()
    times: list[float] = []
    while len(times) < 3 or sum(times) < 1000 * seconds:
        if where.type == "cuda":
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            call()
            end.record()
            end.synchronize()
            times.append(begin.elapsed_time(end))
        else:
            start = time.perf_counter()
            call()
            times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def measure(
    peer: str, size: Size, where: torch.device, seconds: float, exact: dict[str, Tensor] | None
) -> Row:
    """Measure time, memory and errors of one peer; what goes wrong is kept as text.

    Args:
        peer: its name in `peers`.
        size: of the network and its input.
        where: the device.
        seconds: about how long a training step is repeated; forward a quarter of that.
        exact: loss and gradients in float64, or None for no errors.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(OURS.get(peer, ("", "highest"))[1])
    try:
        idle = torch.cuda.memory_allocated(where) if where.type == "cuda" else 0
        loss, trained = build(peer, size, where)

        def forward() -> Tensor:
            with torch.no_grad():
                return loss()

        def training() -> None:
            for tensor in trained.values():
                tensor.grad = None
            loss().backward()

        errors = None
        if exact is not None and not peer.startswith("nn."):
            found = gradients_of(loss, trained)
            errors = {n: float((found[n] - w).norm() / w.norm()) for n, w in exact.items()}
        first = milliseconds(forward, where, seconds / 4)
        memory = None
        if where.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(where)
            training()
            memory = torch.cuda.max_memory_allocated(where) - idle
        both = milliseconds(training, where, seconds)
        return Row(peer, size, first, both, memory, errors)
    except (RuntimeError, ValueError, ImportError) as error:  # out of memory, too old a chip, ...
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return Row(peer, size, failure=lines[0][:500])
    finally:
        torch.set_float32_matmul_precision(before)
        graph.clear()
        if where.type == "cuda":
            torch.cuda.empty_cache()


def gpu_machine(where: torch.device) -> dict[str, object]:
    """Return chip, driver and versions."""
    found: dict[str, object] = {**facts(), "platform": platform.platform()}
    found |= {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    found["cudnn allows tf32"] = torch.backends.cudnn.allow_tf32
    if where.type == "cuda":
        properties = torch.cuda.get_device_properties(where)
        found |= {
            "chip": properties.name,
            "capability": f"{properties.major}.{properties.minor}",
            "device memory": properties.total_memory,
            "driver": _driver(),
        }
    return found


def _driver() -> str:
    """Version of NVIDIA's driver, as its own tool prints it; empty without the tool."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else ""


def write_rows(path: Path, found: dict[str, object], rows: list[Row]) -> None:
    """Write the file: its layout, the machine, one entry for each peer and size."""
    entries = [dataclasses.asdict(row) for row in rows]
    write_json(path, {"format": REPORT_FORMAT, "machine": found, "rows": entries})


def _line(row: Row) -> str:
    if row.failure is not None:
        return f"  {row.peer:<28}{row.failure}"
    memory = "" if row.memory is None else f"{row.memory / 1e6:8.0f} MB"
    error = "" if row.errors is None else f"  error {max(row.errors.values()):.1e}"
    return f"  {row.peer:<28}{row.forward:9.2f} ms {row.training:9.2f} ms {memory}{error}"


def run_bench_gpu(
    config: BenchConfig, console: Console, where: torch.device | None = None
) -> list[Row]:
    """Measure every peer and size, print a line for each, and write the file.

    Args:
        config: what to measure.
        console: where lines are printed.
        where: the device; by default the current GPU.

    Returns:
        The rows.

    Raises:
        InputError: torch sees no GPU.
    """
    if where is None:
        if not torch.cuda.is_available():
            raise bad("device", "cuda", "cpu here", "torch sees no GPU on this machine.")
        where = torch.device("cuda", torch.cuda.current_device())
    found, rows = gpu_machine(where), list[Row]()
    for name, value in found.items():
        console.print(f"{name:<18}{value}", highlight=False, markup=False, soft_wrap=True)
    for size in sizes(config.quick):
        console.print(f"\n{size}: forward, training step", highlight=False)
        exact = None
        if size.batch == 1:
            exact = gradients_of(*build("torch loop", size, torch.device("cpu"), torch.float64))
        for peer in peers(config.compile):
            seconds = 0.0 if config.quick else config.seconds
            rows.append(measure(peer, size, where, seconds, exact))
            console.print(_line(rows[-1]), highlight=False, markup=False, soft_wrap=True)
            if config.json is not None:
                write_rows(config.json, found, rows)  # a run that is stopped keeps what it has
    if config.json is not None:
        console.print(f"\nwritten: {config.json}", highlight=False, soft_wrap=True)
    return rows
