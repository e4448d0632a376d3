"""Measure time and memory of our layers and torch's, in turn, each in a process of its own.

Every peer trains the same network on the same numbers: input (T, B, 1), currents W x + b, the layer
from a zero state, a linear readout of the last rates, cross entropy, all gradients. Their losses
must agree. benchmarks/layers.py has more peers, growth and targets, and writes
docs/reference/benchmarks.md.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from adaptrnn._error import require
from adaptrnn.classifier import match_parameters
from adaptrnn.config import BenchConfig
from adaptrnn.kernels import arun as adaptive
from adaptrnn.kernels import gamma_rnn as static
from adaptrnn.kernels import native
from adaptrnn.kernels.readout import Readout

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "HEAD",
    "Loss",
    "Machine",
    "Result",
    "Size",
    "Steps",
    "answer_job",
    "check_agreement",
    "compare_peers",
    "in_process",
    "layer_loss",
    "loop_loss",
    "machine",
    "matched_size",
    "measure",
    "numbers_of",
    "our_loss",
    "run_bench",
    "table_row",
    "tables",
    "torch_peer",
]

CLASSES = 10
PLENTY = 2**40
"""A memory budget that everything fits in."""


@dataclass(frozen=True)
class Size:
    """A size is T steps, B samples, N neurons, G controller units (0: no controller)."""

    steps: int
    batch: int
    neurons: int
    units: int = 0

    @property
    def multiply_adds(self) -> int:
        """Return the multiply-adds of matrix and vector products, forward, of one sample and step.

        Example:
            >>> Size(784, 100, 400, 50).multiply_adds
            1220000
        """
        return self.neurons * (self.neurons + self.units**2 + 3 * self.units)

    def __str__(self) -> str:
        text = f"T={self.steps}, B={self.batch}, N={self.neurons}"
        return f"{text}, G={self.units}" if self.units else text


@dataclass(frozen=True)
class Result:
    """One peer needs these microseconds per sample and step, and bytes over the idle process."""

    peer: str
    size: Size
    forward: float
    training: float
    memory: int
    loss: float


# The peers: each makes a function of the input that gives the loss, from the same weights.


def numbers_of(size: Size) -> dict[str, np.ndarray]:
    """Return weights, input and classes; they are the same for every peer."""
    rng = np.random.default_rng(0)
    n, g = size.neurons, max(size.units, 1)
    numbers = {
        "weight_ih": rng.normal(0, 1, (n, 1)),
        "bias_ih": rng.normal(0, 0.1, n),
        "weight_hh": rng.normal(0, 0.7 / math.sqrt(n), (n, n)),
        "weight_ag": rng.normal(0, 0.5, g),
        "weight_gg": rng.normal(0, 0.7 / math.sqrt(g), (g, g)),
        "bias_g": rng.normal(0, 0.1, g),
        "weight_gc": rng.normal(0, 0.2 / math.sqrt(g), (2, g)),
        "bias_gc": np.array([1.0, 0.3]),
        "n": np.clip(rng.normal(5, 2, n), 0.5, None),
        "s": rng.uniform(0, 0.5, n),
        "weight_out": rng.normal(0, 1 / math.sqrt(n), (CLASSES, n)),
        "bias_out": np.zeros(CLASSES),
        "x": rng.uniform(0, 1, (size.steps, size.batch, 1)),
    }
    numbers = {name: value.astype(np.float32) for name, value in numbers.items()}
    return numbers | {"target": rng.integers(0, CLASSES, size.batch)}


Loss = Callable[[dict[str, Tensor], Tensor], Tensor]


def _states(x: Tensor, size: Size) -> tuple[Tensor, Tensor]:
    batch = x.shape[1]
    return x.new_zeros(batch, size.neurons), x.new_zeros(batch, size.neurons, size.units)


def our_loss(
    size: Size,
    fused: bool,
    budget: int,
    nonlinearity: str = "gamma",
    backend: str = "auto",
    precision: str = "float32",
) -> Loss:
    """Compute the loss by our operations; `fused` has the readout and loss in the same call."""

    def loss(p: dict[str, Tensor], x: Tensor) -> Tensor:
        shape = (x.shape[1], size.neurons)
        h0, g0 = native.zeros(x, *shape), native.zeros(x, *shape, size.units)
        more: dict[str, Any] = {"memory_budget": budget, "backend": backend, "precision": precision}
        if not size.units:
            plain = static.Weights(p["weight_hh"], weight_ih=p["weight_ih"], bias_ih=p["bias_ih"])
            if nonlinearity == "gamma":
                plain = plain._replace(n=p["n"], s=p["s"])
            _, h = static.gamma_rnn(x, h0, plain, nonlinearity, last_only=True, **more)
            return cross_entropy(linear(h, p["weight_out"], p["bias_out"]), p["target"])
        weights = adaptive.Weights(
            **{name: p[name] for name in adaptive.Weights._fields if name in p}
        )
        if fused:
            head = Readout(p["weight_out"], p["bias_out"], p["target"])
            return adaptive.arun_loss(x, h0, g0, weights, head, **more)[0]
        _, h, _ = adaptive.arun(x, h0, g0, weights, last_only=True, **more)
        return cross_entropy(linear(h, p["weight_out"], p["bias_out"]), p["target"])

    return loss


def loop_loss(size: Size, compiled: bool) -> Loss:
    """Compute the loss of the network as one would write it in torch."""
    softplus, sigmoid = nn.functional.softplus, torch.sigmoid

    def curve(a: Tensor, n: Tensor, s: Tensor) -> Tensor:
        z = n * a
        return (1 - s) * softplus(z) / n + s * sigmoid(z)

    def adaptive(
        p: dict[str, Tensor], current: Tensor, h: Tensor, g: Tensor
    ) -> tuple[Tensor, Tensor]:
        a = current + linear(h, p["weight_hh"])
        drive = a.unsqueeze(-1) * p["weight_ag"]
        g = torch.tanh(drive + linear(g, p["weight_gg"], p["bias_g"]))
        n, s = linear(g, p["weight_gc"], p["bias_gc"]).unbind(-1)
        return curve(a, n, s), g

    def static(
        p: dict[str, Tensor], current: Tensor, h: Tensor, g: Tensor
    ) -> tuple[Tensor, Tensor]:
        return curve(current + linear(h, p["weight_hh"]), p["n"], p["s"]), g

    step = adaptive if size.units else static
    if compiled:
        step = torch.compile(step, dynamic=False)

    def loss(p: dict[str, Tensor], x: Tensor) -> Tensor:
        h, g = _states(x, size)
        for current in linear(x, p["weight_ih"], p["bias_ih"]).unbind(0):
            h, g = step(p, current, h, g)
        return cross_entropy(linear(h, p["weight_out"], p["bias_out"]), p["target"])

    return loss


def layer_loss(
    size: Size, make: Callable[..., nn.RNNBase], **options: object
) -> tuple[Loss, list[Tensor]]:
    """Return the network with a layer of torch in place of ours, and that layer's weights."""
    layer = make(1, **options)

    def loss(p: dict[str, Tensor], x: Tensor) -> Tensor:
        h = layer(x)[0][-1]
        wide = min(h.shape[1], size.neurons)
        return cross_entropy(
            linear(h[:, :wide], p["weight_out"][:, :wide], p["bias_out"]), p["target"]
        )

    return loss, list(layer.parameters())


def torch_peer(peer: str, size: Size) -> tuple[Callable[[], float], Callable[[], float]]:
    """Return forward and training step of a torch peer, called once on two time steps."""
    p = {name: torch.from_numpy(value) for name, value in numbers_of(size).items()}
    trained: list[Tensor] = []
    if peer.startswith("nn."):
        kind = getattr(nn, peer.split()[0].removeprefix("nn."))
        wide: dict[str, object] = {"hidden_size": matched_size(kind.__name__, size)}
        wide |= {"nonlinearity": "relu"} if kind is nn.RNN else {}
        loss, trained = layer_loss(size, kind, **wide)
    elif peer.startswith("torch"):
        loss = loop_loss(size, "compile" in peer)
    else:
        budget = 0 if "recompute" in peer else PLENTY if "keep" in peer else native.MEMORY_BUDGET
        nonlinearity = "relu" if "relu" in peer else "gamma"
        precision = "bf16" if "bf16" in peer else "float32"
        loss = our_loss(size, "fused" in peer, budget, nonlinearity, precision=precision)
    trained += [tensor for name, tensor in p.items() if name not in ("x", "target")]
    for tensor in trained:
        tensor.requires_grad_()

    def forward(steps: int | None = None) -> float:
        with torch.no_grad():
            return float(loss(p, p["x"][:steps]))

    def training(steps: int | None = None) -> float:
        for tensor in trained:
            tensor.grad = None
        value = loss(p, p["x"][:steps])
        value.backward()
        return float(value.detach())

    if "autocast" in peer:
        inner = loss

        def loss(p: dict[str, Tensor], x: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return inner(p, x)

    forward(2)
    training(2)
    return forward, training


def matched_size(kind: str, size: Size) -> int:
    """Return the width of a layer with as many parameters as the network of this size."""
    if kind == "RNN" and not size.units:
        return size.neurons
    name = {"RNN": "relu"}.get(kind, kind.lower())
    sizes = match_parameters((name,), 1, CLASSES, size.neurons, max(size.units, 1), tolerance=0.2)
    return sizes[name]


# One process: build, time, print.


def _status(name: str) -> int:
    """Bytes of this process: "rss", now; "peak", the most so far, on macOS those of now."""
    info = require("psutil", "train").Process().memory_info()
    if name == "peak":
        try:
            lines = Path("/proc/self/status").read_text().splitlines()
        except OSError:  # not Linux
            return int(getattr(info, "peak_wset", info.rss))
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024
    return int(info.rss)


def _median(function: Callable[[], float], seconds: float) -> float:
    """Median seconds of at least three calls, after one that does not count."""
    function()
    times: list[float] = []
    while len(times) < 3 or sum(times) < seconds:
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


Steps = tuple[Callable[[], float], Callable[[], float]]
"""Forward and training step of a peer; each gives the loss."""


def measure(
    peer: str, size: Size, seconds: float, build: Callable[[str, Size], Steps] | None = None
) -> Result:
    """Measure time and memory of a peer in this process.

    Args:
        peer: its name, as `bench` prints it.
        size: of the network and its input.
        seconds: about how long to repeat.
        build: makes a peer by its name; None for `torch_peer`.

    Returns:
        The result; its memory is right only in a process that does nothing else.

    Example:
        >>> measure("adaptrnn fused", Size(4, 2, 3, 2), 0).training > 0
        True
    """
    forward, training = (build or torch_peer)(peer, size)
    with contextlib.suppress(OSError):  # the most that was used is counted from here
        Path("/proc/self/clear_refs").write_text("5")
    idle = _status("rss")
    unit = 1e6 / (size.steps * size.batch)
    first = _median(forward, seconds / 4)
    both = _median(training, seconds)
    memory = max(0, _status("peak") - idle)
    return Result(peer, size, unit * first, unit * both, memory, forward())


def in_process(
    peer: str,
    size: Size,
    seconds: float,
    command: Sequence[str] = ("-m", "adaptrnn.bench"),
    environment: Mapping[str, str] | None = None,
) -> Result | str:
    """Run `measure` in a process of its own.

    Args:
        peer: its name.
        size: of the network and its input.
        seconds: about how long to repeat.
        command: what Python runs; it gets the job as JSON and prints the result as JSON.
        environment: variables that are set for the process.

    Returns:
        The result; a line that says why, where that fails.
    """
    whole = {**os.environ, **(environment or {})}
    paths = [str(Path(__file__).parents[1]), whole.get("PYTHONPATH", "")]
    whole["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    job = json.dumps({"peer": peer, "size": asdict(size), "seconds": seconds})
    words = [sys.executable, *command, job]
    try:
        done = subprocess.run(words, env=whole, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        return "took more than 300 s"
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return lines[-1] if lines else f"ended with code {done.returncode} (out of memory?)"
    values = json.loads(done.stdout.splitlines()[-1])
    return Result(**{**values, "size": Size(**values["size"])})


# The comparison.


@dataclass(frozen=True)
class Machine:
    """This describes a processor and how fast it multiplies and adds."""

    name: str
    peak: float  # multiply-adds per second
    product: float  # the same, in torch's matrix product

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.peak / 1e9:.0f} G multiply-adds/s in registers, "
            f"{self.product / 1e9:.0f} in a matrix product (float32)"
        )


def machine() -> Machine:
    """Measure this machine, for some seconds."""
    threads, sets = torch.get_num_threads(), native.instruction_sets()
    names = {
        "amx": "AVX-512 with BF16, and AMX",
        "avx512bf16": "AVX-512 with BF16",
        "avx512": "AVX-512",
        "avx2": "AVX2",
    }
    label = names.get(sets[0], sets[0]) if sets else "no kernels"
    one = torch.rand(2048, 2048)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        one @ one
        times.append(time.perf_counter() - start)
    # the best of several: a moment's disturbance must not lower it
    peak = max(native.peak(threads, 0.5) for _ in range(5)) if sets else math.nan
    cores = "1 core" if threads == 1 else f"{threads} cores"
    return Machine(f"{native.processor()}, {cores}, {label}", peak, 2048**3 / min(times))


def tables(config: BenchConfig) -> dict[str, list[tuple[str, Size]]]:
    """Return title and (peer, size) of every table."""
    bf16 = native.instruction_sets()[:1] in [[name] for name in native.BFLOAT16_SETS]
    paper, small, static = Size(784, 100, 400, 50), Size(196, 100, 100, 20), Size(784, 100, 400)
    if config.quick:
        paper, small, static = Size(16, 4, 24, 5), Size(8, 4, 8, 3), Size(16, 4, 24)
    loops = ["torch loop", *(["torch.compile of the step"] if config.compile else [])]

    def adaptive(size: Size, short: Size) -> list[tuple[str, Size]]:
        modes = ["fused", *(["fused, bf16"] if bf16 else []), "fused, recompute"]
        modes += ["autograd, recompute", "autograd, keep"]
        ours = [(f"adaptrnn {mode}", size) for mode in modes]
        # a loop would need some 20 GB at the paper's size
        theirs = [(peer, short) for peer in loops]
        return ours + theirs + [(f"nn.{kind}", size) for kind in ("RNN", "LSTM", "GRU")]

    modes = ["gamma", *(["gamma, bf16"] if bf16 else []), "gamma, recompute", "relu"]
    peers = [*(f"adaptrnn {mode}" for mode in modes), *loops, "nn.RNN"]
    return {
        f"ARUN, the paper's size: {paper}": adaptive(paper, replace(paper, steps=paper.steps // 4)),
        f"ARUN, small: {small}": adaptive(small, small),
        f"Gamma RNN: {static}": [(peer, static) for peer in peers],
    }


def run_bench(config: BenchConfig, console: Console) -> dict[str, list[Result]]:
    """Compare the layers with torch's loop and torch's layers, and print tables.

    Args:
        config: what to compare.
        console: where tables are printed.

    Returns:
        The results by title of their table.

    Raises:
        RuntimeError: peers whose losses disagree.
    """
    here, seconds = machine(), 0.0 if config.quick else config.seconds
    console.print(str(here), highlight=False)

    def run(peer: str, size: Size) -> Result | str:
        return in_process(peer, size, seconds)

    return {
        title: compare_peers(title, jobs, here, run, console)[0]
        for title, jobs in tables(config).items()
    }


def compare_peers(
    title: str,
    jobs: list[tuple[str, Size]],
    here: Machine,
    run: Callable[[str, Size], Result | str],
    console: Console,
) -> tuple[list[Result], dict[str, str]]:
    """Run the jobs of a table and print its rows.

    Args:
        title: of the table.
        jobs: a peer's name and the size, for each row.
        here: this machine.
        run: gives the result of a job, or why there is none.
        console: where the rows are printed.

    Returns:
        The results, and the reason for each peer that has none.

    Raises:
        RuntimeError: peers whose losses disagree.
    """
    console.print(f"\n{title}", highlight=False)
    results: list[Result] = []
    failed: dict[str, str] = {}
    for peer, size in jobs:
        result = run(peer, size)
        if isinstance(result, str):
            failed[peer] = result
            console.print(f"  {peer}: {result}", highlight=False, markup=False)
            continue
        results.append(result)
        console.print("  " + "  ".join(table_row(result, here)), highlight=False, markup=False)
    check_agreement(title, results)
    return results, failed


def check_agreement(title: str, results: list[Result]) -> None:
    """Check that peers of the same network, steps and samples have the same loss."""
    groups: dict[Size, list[Result]] = {}
    for result in results:
        if not result.peer.startswith("nn.") and "relu" not in result.peer:
            groups.setdefault(result.size, []).append(result)
    for group in groups.values():
        bounds = [2e-2 if "bf16" in result.peer else 1e-3 for result in group]
        first = group[0].loss
        pairs = zip(group, bounds, strict=True)
        if not all(abs(r.loss - first) <= bound * abs(first) for r, bound in pairs):  # NaN too
            text = ", ".join(f"{result.peer} {result.loss:.5f}" for result in group)
            raise RuntimeError(f"{title}: the losses disagree: {text}")


HEAD = ("peer", "T", "forward us", "training us", "memory MB", "of FMA peak")


def table_row(result: Result, machine: Machine) -> tuple[str, ...]:
    """Return a result as the cells of a table under `HEAD`."""
    share = "-"
    if not result.peer.startswith("nn."):
        done = 3 * result.size.multiply_adds / (result.training * 1e-6)
        share = f"{done / machine.peak:.0%}"
    return (
        f"{result.peer:<52}",
        f"{result.size.steps:>4}",
        f"{result.forward:8.3g}",
        f"{result.training:8.3g}",
        f"{result.memory / 1e6:8.0f}",
        share,
    )


def answer_job(job: str, build: Callable[[str, Size], Steps] | None = None) -> None:
    """Measure a job of `in_process` in this process and print the result as JSON."""
    found: dict[str, Any] = json.loads(job)
    result = measure(found["peer"], Size(**found["size"]), found["seconds"], build)
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    answer_job(sys.argv[1])
