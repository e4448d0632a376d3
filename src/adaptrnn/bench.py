"""Time and memory of the layers beside their peers: one process each, one after another.

Every peer trains the same network on the same numbers: input (T, B, 1), currents W x + b, the layer
from a zero state, a linear readout of the last rates, cross entropy, all gradients. Their losses
must agree.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
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
from adaptrnn.kernels import native
from adaptrnn.kernels.arun import arun, arun_cross_entropy
from adaptrnn.kernels.gamma_rnn import gamma_rnn

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Result", "Size", "bench"]

CLASSES = 10
BY_HAND = "<!-- What follows is written by hand and kept. -->"
"""Where the part of the page begins that `adaptrnn bench` does not write."""
_PR_SET_THP_DISABLE = 41  # linux/prctl.h
PLENTY = 2**40
"""A memory budget that everything fits in."""


@dataclass(frozen=True)
class Size:
    """T steps, B samples, N neurons, G controller units (0: a layer without controller)."""

    steps: int
    batch: int
    neurons: int
    units: int = 0

    @property
    def multiply_adds(self) -> int:
        """Of one sample and step, forward: products of matrices and vectors, nothing else.

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
    """What one peer needs: microseconds per sample and step, bytes over the idle process."""

    peer: str
    size: Size
    forward: float
    training: float
    memory: int
    loss: float


# The peers: each makes a function of the input that gives the loss, from the same weights.


def _numbers(size: Size) -> dict[str, np.ndarray]:
    """Weights, input and classes; the same for every peer."""
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


_CONTROLLER = ("weight_ag", "weight_gg", "bias_g", "weight_gc", "bias_gc")

Loss = Callable[[dict[str, Tensor], Tensor], Tensor]


def _states(x: Tensor, size: Size) -> tuple[Tensor, Tensor]:
    batch = x.shape[1]
    return x.new_zeros(batch, size.neurons), x.new_zeros(batch, size.neurons, size.units)


def _ours(
    size: Size,
    fused: bool,
    budget: int,
    nonlinearity: str = "gamma",
    backend: str = "auto",
    precision: str = "float32",
) -> Loss:
    def loss(p: dict[str, Tensor], x: Tensor) -> Tensor:
        shape = (x.shape[1], size.neurons)
        h0, g0 = native.zeros(x, *shape), native.zeros(x, *shape, size.units)
        more: dict[str, Any] = {name: p[name] for name in ("weight_ih", "bias_ih")}
        more |= {"memory_budget": budget, "backend": backend, "precision": precision}
        if not size.units:
            curve = (p["n"], p["s"]) if nonlinearity == "gamma" else (None, None)
            h = gamma_rnn(
                x, h0, p["weight_hh"], curve[0], curve[1], nonlinearity, last_only=True, **more
            )[1]  # fmt: skip
            return cross_entropy(linear(h, p["weight_out"], p["bias_out"]), p["target"])
        core = (x, h0, g0, p["weight_hh"], *(p[name] for name in _CONTROLLER))
        if fused:
            readout = (p["weight_out"], p["bias_out"], p["target"])
            return arun_cross_entropy(*(*core, *readout), **more)[0]
        h = arun(*core, last_only=True, **more)[1]
        return cross_entropy(linear(h, p["weight_out"], p["bias_out"]), p["target"])

    return loss


def _loop(size: Size, compiled: bool) -> Loss:
    """The network as one would write it in torch."""
    softplus, sigmoid = nn.functional.softplus, torch.sigmoid

    def curve(a: Tensor, n: Tensor, s: Tensor) -> Tensor:
        z = n * a
        return (1 - s) * softplus(z) / n + s * sigmoid(z)

    def adaptive(p: dict[str, Tensor], current: Tensor, h: Tensor, g: Tensor) -> Any:
        a = current + linear(h, p["weight_hh"])
        drive = a.unsqueeze(-1) * p["weight_ag"]
        g = torch.tanh(drive + linear(g, p["weight_gg"], p["bias_g"]))
        n, s = linear(g, p["weight_gc"], p["bias_gc"]).unbind(-1)
        return curve(a, n, s), g

    def static(p: dict[str, Tensor], current: Tensor, h: Tensor, g: Tensor) -> Any:
        return curve(current + linear(h, p["weight_hh"]), p["n"], p["s"]), g

    step: Any = adaptive if size.units else static
    if compiled:
        step = torch.compile(step, dynamic=False)

    def loss(p: dict[str, Tensor], x: Tensor) -> Tensor:
        h, g = _states(x, size)
        for current in linear(x, p["weight_ih"], p["bias_ih"]).unbind(0):
            h, g = step(p, current, h, g)
        return cross_entropy(linear(h, p["weight_out"], p["bias_out"]), p["target"])

    return loss


def _layer(
    size: Size, make: Callable[..., nn.RNNBase], **options: Any
) -> tuple[Loss, list[Tensor]]:
    layer = make(1, **options)

    def loss(p: dict[str, Tensor], x: Tensor) -> Tensor:
        h = layer(x)[0][-1]
        wide = min(h.shape[1], size.neurons)
        return cross_entropy(
            linear(h[:, :wide], p["weight_out"][:, :wide], p["bias_out"]), p["target"]
        )

    return loss, list(layer.parameters())


def _torch(peer: str, size: Size) -> tuple[Callable[[], float], Callable[[], float]]:
    """Forward and training step of a torch peer, called once on two time steps."""
    p = {name: torch.from_numpy(value) for name, value in _numbers(size).items()}
    trained: list[Tensor] = []
    if peer.startswith("nn."):
        kind = getattr(nn, peer.split()[0].removeprefix("nn."))
        wide: dict[str, Any] = {"hidden_size": _matched(kind.__name__, size)}
        wide |= {"nonlinearity": "relu"} if kind is nn.RNN else {}
        loss, trained = _layer(size, kind, **wide)
    elif peer.startswith("torch"):
        loss = _loop(size, "compile" in peer)
    else:
        budget = 0 if "recompute" in peer else PLENTY if "keep" in peer else native.MEMORY_BUDGET
        nonlinearity = "relu" if "relu" in peer else "gamma"
        precision = "bf16" if "bf16" in peer else "float32"
        loss = _ours(size, "fused" in peer, budget, nonlinearity, precision=precision)
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


def _matched(kind: str, size: Size) -> int:
    """Width of a layer with as many parameters as the network of this size."""
    if kind == "RNN" and not size.units:
        return size.neurons
    name = {"RNN": "relu"}.get(kind, kind.lower())
    sizes = match_parameters((name,), 1, CLASSES, size.neurons, max(size.units, 1), tolerance=0.2)
    return sizes[name]


def _jax(peer: str, size: Size) -> tuple[Callable[[], float], Callable[[], float]]:
    """Forward and training step of the JAX peers, compiled."""
    jax = importlib.import_module("jax")
    jnp, lax = jax.numpy, jax.lax
    numbers = {name: jnp.asarray(value) for name, value in _numbers(size).items()}
    x, target = numbers.pop("x"), numbers.pop("target")

    def product(x: Any, weight: Any) -> Any:
        if "bf16" not in peer:
            return x @ weight.T
        short = x.astype(jnp.bfloat16), weight.T.astype(jnp.bfloat16)
        return jnp.matmul(*short, preferred_element_type=jnp.float32)

    def curve(a: Any, n: Any, s: Any) -> Any:
        z = n * a
        return (1 - s) * jax.nn.softplus(z) / n + s * jax.nn.sigmoid(z)

    def loss(p: Any, x: Any, checkpoint: bool) -> Any:
        def step(state: Any, current: Any) -> Any:
            h, g = state
            a = current + product(h, p["weight_hh"])
            if not size.units:
                return (curve(a, p["n"], p["s"]), g), None
            g = jnp.tanh(a[..., None] * p["weight_ag"] + product(g, p["weight_gg"]) + p["bias_g"])
            read = g @ p["weight_gc"].T + p["bias_gc"]
            return (curve(a, read[..., 0], read[..., 1]), g), None

        currents = x @ p["weight_ih"].T + p["bias_ih"]
        state = (
            jnp.zeros((size.batch, size.neurons)),
            jnp.zeros((size.batch, size.neurons, size.units)),
        )
        if checkpoint:
            length = max(k for k in range(1, math.isqrt(size.steps) + 1) if size.steps % k == 0)
            parts = currents.reshape(-1, length, *currents.shape[1:])
            inner = jax.checkpoint(lambda state, part: lax.scan(step, state, part))
            (h, _), _ = lax.scan(inner, state, parts)
        else:
            (h, _), _ = lax.scan(step, state, currents)
        scores = jax.nn.log_softmax(h @ p["weight_out"].T + p["bias_out"])
        return -jnp.take_along_axis(scores, target[:, None], 1).mean()

    checkpoint = "checkpoint" in peer
    first = jax.jit(lambda p, x: loss(p, x, False)).lower(numbers, x).compile()
    both = jax.jit(jax.value_and_grad(lambda p, x: loss(p, x, checkpoint)))
    second = both.lower(numbers, x).compile()

    def training() -> float:
        return float(jax.block_until_ready(second(numbers, x))[0])

    return lambda: float(first(numbers, x)), training


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


def measure(peer: str, size: Size, seconds: float) -> Result:
    """Time and memory of a peer in this process.

    Args:
        peer: its name, as `bench` prints it.
        size: of the network and its input.
        seconds: about how long to repeat.

    Returns:
        The result; its memory is right only in a process that does nothing else.

    Example:
        >>> measure("adaptrnn fused", Size(4, 2, 3, 2), 0).training > 0
        True
    """
    build = _jax if peer.startswith("JAX") else _torch
    forward, training = build(peer, size)
    with contextlib.suppress(OSError):  # the most that was used is counted from here
        Path("/proc/self/clear_refs").write_text("5")
    idle = _status("rss")
    unit = 1e6 / (size.steps * size.batch)
    first = _median(forward, seconds / 4)
    both = _median(training, seconds)
    memory = max(0, _status("peak") - idle)
    return Result(peer, size, unit * first, unit * both, memory, forward())


def _tcmalloc() -> Path | None:
    """The library of Google's allocator, if it is where Linux distributions put it."""
    places = (
        "/usr/lib",
        "/usr/lib64",
        "/usr/local/lib",
        f"/usr/lib/{platform.machine()}-linux-gnu",
    )
    names = ("libtcmalloc_minimal.so*", "libtcmalloc.so*")
    found = (path for place in places for name in names for path in sorted(Path(place).glob(name)))
    return next(found, None)


def _small_pages() -> None:
    """Linux: this process takes memory in pages of 4 kB only."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)


def _in_process(
    peer: str,
    size: Size,
    seconds: float,
    threads: int | None = None,
    exact: bool = False,
) -> Result | str:
    """The same in a process of its own; a line that says why, where that fails.

    With `exact` the process holds no memory that it does not use: pages are small, and every
    array of more than 128 kB goes back when it is freed.
    """
    environment = dict(os.environ)
    paths = [str(Path(__file__).parents[1]), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    if "kept memory" in peer:  # glibc then takes no page back, and gives none anew
        environment |= {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)}
    if "tcmalloc" in peer:
        library = _tcmalloc()
        if library is None:
            return "libtcmalloc was not found (Debian: apt-get install libtcmalloc-minimal4)"
        before = environment.get("LD_PRELOAD", "")
        environment["LD_PRELOAD"] = f"{library} {before}".strip()
    if exact:
        environment["MALLOC_MMAP_THRESHOLD_"] = str(2**17)  # of glibc, which else adapts it
    job = {"peer": peer, "size": asdict(size), "seconds": seconds, "exact": exact}
    command = [sys.executable, "-m", "adaptrnn.bench", json.dumps(job)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        return "took more than 300 s"
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return lines[-1] if lines else f"ended with code {done.returncode} (out of memory?)"
    values = json.loads(done.stdout.splitlines()[-1])
    return Result(**{**values, "size": Size(**values["size"])})


# The comparison.


@dataclass(frozen=True)
class _Machine:
    name: str
    peak: float  # multiply-adds per second
    product: float  # the same, in torch's matrix product


def _machine() -> _Machine:
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    threads, sets = torch.get_num_threads(), native.instruction_sets()
    names = {"avx512bf16": "AVX-512 with BF16", "avx512": "AVX-512", "avx2": "AVX2"}
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
    return _Machine(f"{name}, {cores}, {label}", peak, 2048**3 / min(times))


def _cases(config: BenchConfig) -> dict[str, list[tuple[str, Size]]]:
    """Title and (peer, size) of every table."""
    jax = importlib.util.find_spec("jax") is not None
    bf16 = native.instruction_sets()[:1] in [[name] for name in native.BFLOAT16_SETS]
    paper, small, static = Size(784, 100, 400, 50), Size(196, 100, 100, 20), Size(784, 100, 400)
    if config.quick:
        paper, small, static = Size(16, 4, 24, 5), Size(8, 4, 8, 3), Size(16, 4, 24)
    short = replace(paper, steps=paper.steps // 4)

    def adaptive(size: Size, short: Size) -> list[tuple[str, Size]]:
        rows = [
            ("adaptrnn fused", size),
            ("adaptrnn fused, recompute", size),
            ("adaptrnn autograd, recompute", size),
            ("adaptrnn autograd, keep", size),
            ("torch loop", short),
            ("torch loop, kept memory", short),
            ("torch loop, tcmalloc", size),
        ]
        rows += [("torch.compile of the step, tcmalloc", size)] if config.compile else []
        rows += [("JAX scan, checkpoint", size), ("JAX scan", short)] if jax else []
        if bf16:
            rows.insert(1, ("adaptrnn fused, bf16", size))
            rows += [("torch loop, autocast bf16, tcmalloc", size)]
            compiled = ("torch.compile of the step, autocast bf16, tcmalloc", size)
            rows += [compiled] if config.compile else []
            rows += [("JAX scan, checkpoint, bf16", size)] if jax else []
        return [*rows, ("nn.RNN", size), ("nn.LSTM", size), ("nn.GRU", size)]

    gamma = [
        ("adaptrnn gamma", static),
        ("adaptrnn gamma, recompute", static),
        ("adaptrnn relu", static),
        ("torch loop", static),
        ("torch loop, kept memory", static),
        ("torch loop, tcmalloc", static),
        *([("JAX scan", static)] if jax else []),
        ("nn.RNN", static),
    ]
    if bf16:
        gamma.insert(1, ("adaptrnn gamma, bf16", static))
        gamma.append(("torch loop, autocast bf16, tcmalloc", static))
    return {
        f"ARUN, the paper's size: {paper}": adaptive(paper, short),
        f"ARUN, small: {small}": adaptive(small, small),
        f"Gamma RNN: {static}": gamma,
    }


_FIELDS = {"T": "steps", "B": "batch", "N": "neurons", "G": "units"}


def _growth(config: BenchConfig) -> dict[str, list[tuple[str, list[Size]]]]:
    """Around the paper's size and a small one: what grows, and the sizes, the second the base."""
    bases: dict[str, tuple[Size, tuple[float, ...]]]
    if config.quick:
        bases = {"small": (Size(8, 4, 8, 4), (1, 2))}
    else:
        bases = {
            "the paper's size": (Size(196, 40, 400, 50), (0.5, 1, 2)),
            "small": (Size(196, 40, 200, 20), (0.5, 1, 2)),
        }
    return {
        title: [
            (letter, [replace(base, **{name: int(getattr(base, name) * f)}) for f in factors])
            for letter, name in _FIELDS.items()
        ]
        for title, (base, factors) in bases.items()
    }


def bench(config: BenchConfig, console: Console) -> dict[str, list[Result]]:
    """Compare the layers with their peers, print tables and, where asked for, write a page.

    Args:
        config: what to compare.
        console: where tables are printed.

    Returns:
        The results by title of their table.

    Raises:
        RuntimeError: peers whose losses disagree.
    """
    machine = _machine()
    console.print(
        f"{machine.name}: {machine.peak / 1e9:.0f} G multiply-adds/s in registers, "
        f"{machine.product / 1e9:.0f} in a matrix product (float32)",
        highlight=False,
    )
    start = time.perf_counter()
    found: dict[str, list[Result]] = {}
    notes: list[str] = []
    for title, jobs in _cases(config).items():
        console.print(f"\n{title}", highlight=False)
        results = found.setdefault(title, [])
        for peer, size in jobs:
            result = _in_process(peer, size, _seconds(config))
            if isinstance(result, str):
                notes.append(f"{title.split(':')[0]}, {peer}: {result}")
                console.print(f"  {peer}: {result}", highlight=False, markup=False)
                continue
            results.append(result)
            console.print("  " + "  ".join(_row(result, machine)), highlight=False, markup=False)
        _agree(title, results)
    if not config.compile:
        notes.append("torch.compile of the step was left out of this run (`--no-compile`).")
    growth = _measure_growth(config, console)
    if config.write is not None:
        page = [f"Measured in one run of {time.perf_counter() - start:.0f} s on: {machine.name}."]
        _write(config.write, page, machine, found, growth, notes)
        console.print(f"\nwritten: {config.write}", highlight=False)
    return found


def _agree(title: str, results: list[Result]) -> None:
    """Peers of the same network, steps and samples have the same loss, to its precision."""
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


_HEAD = ("peer", "T", "forward us", "training us", "memory MB", "of FMA peak")


def _row(result: Result, machine: _Machine) -> tuple[str, ...]:
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


@dataclass(frozen=True)
class _Growth:
    """What grows, its values, what is proportional to its law, and the verdict."""

    name: str
    values: tuple[int, ...]
    measured: tuple[float, ...]  # time per multiply-add, or bytes over the root of T
    text: str

    def row(self) -> tuple[str, ...]:
        relative = [value / self.measured[1] for value in self.measured]
        within = all(0.8 <= value <= 1.2 for value in relative)
        numbers = ", ".join(f"{value:.2f}" for value in relative)
        values = ", ".join(map(str, self.values))
        return (self.name, values, self.text, numbers, "met" if within else "not met")


def _memory_sizes(config: BenchConfig) -> list[Size]:
    """T growing four times each, at the paper's N and G."""
    if config.quick:
        return [Size(steps, 8, 16, 16) for steps in (16, 64, 256)]
    return [Size(steps, 40, 400, 50) for steps in (196, 784, 3136)]


def _seconds(config: BenchConfig) -> float:
    return 0.0 if config.quick else config.seconds


def _base(config: BenchConfig) -> Size:
    """The size that the first growth is around."""
    (_, sizes), *_ = next(iter(_growth(config).values()))
    return sizes[1]


def _measure_growth(config: BenchConfig, console: Console) -> list[tuple[str, ...]]:
    """Rows: what grows, its values, what was measured, that relative to the law, the verdict."""
    rows: list[tuple[str, ...]] = []
    console.print("\nGrowth (relative to the law, within 20%)", highlight=False)

    def show(row: tuple[str, ...]) -> None:
        rows.append(row)
        console.print("  " + "  ".join(row), highlight=False, markup=False)

    def measured(peer: str, size: Size, seconds: float, **options: Any) -> Result:
        result = _in_process(peer, size, seconds, **options)
        if isinstance(result, str):
            raise RuntimeError(f"{size}: {result}")
        return result

    seconds = min(_seconds(config), 2.0)
    for title, grown in _growth(config).items():
        for name, sizes in grown:
            results = [measured("adaptrnn fused", size, seconds) for size in sizes]
            values = tuple(getattr(size, _FIELDS[name]) for size in sizes)
            times = tuple(result.training / result.size.multiply_adds for result in results)
            text = ", ".join(f"{result.training:.3g}" for result in results) + " us"
            show(_Growth(f"time over {name}, {title}", values, times, text).row())
    memory, steps = [], []
    for size in _memory_sizes(config):
        result = measured("adaptrnn autograd, recompute", size, 0, exact=True)
        memory.append(result.memory)
        steps.append(size.steps)
    roots = tuple(m / math.sqrt(t) for m, t in zip(memory, steps, strict=True))
    text = ", ".join(f"{m / 1e6:.0f}" for m in memory) + " MB"
    show(_Growth("memory over T", tuple(steps), roots, text).row())
    size = _base(config)
    for threads in sorted({1, torch.get_num_threads()}):
        time_ = measured("adaptrnn fused", size, seconds, threads=threads).training
        show(("threads", str(threads), f"{time_:.3g} us", "-", "-"))
    return rows


def _find(results: list[Result], peer: str) -> Result | None:
    return next((result for result in results if result.peer == peer), None)


def _targets(found: dict[str, list[Result]]) -> list[tuple[str, str, str, str]]:
    """Rows: what, the target, what was measured, met or not."""
    paper, small, static = found.values()
    rows: list[tuple[str, str, str, str]] = []

    def ratio(what: str, ours: Result | None, rivals: list[Result], least: float, key: str) -> None:
        if ours is None or not rivals:
            return
        best = min(rivals, key=lambda result: getattr(result, key))
        value = getattr(best, key) / getattr(ours, key)
        met = "met" if value >= least else "not met"
        rows.append((what, f">= {least:g} times", f"{value:.2f} times ({best.peer})", met))

    def peers(results: list[Result], start: tuple[str, ...] = ("torch", "JAX")) -> list[Result]:
        found = [result for result in results if result.peer.startswith(start)]
        return [result for result in found if "bf16" not in result.peer]

    def bound(what: str, ours: Result | None, most: float) -> None:
        if ours is not None:
            met = "met" if ours.memory <= most * 1e6 else "not met"
            rows.append((what, f"<= {most:g} MB", f"{ours.memory / 1e6:.0f} MB", met))

    fused = _find(paper, "adaptrnn fused")
    gamma = _find(static, "adaptrnn gamma")
    loops, first = ("torch loop",), "adaptrnn fused"
    ratio("ARUN training step against the best peer", fused, peers(paper), 3.2, "training")
    again = _find(paper, "adaptrnn autograd, recompute")
    ratio("ARUN through autograd, best peer", again, peers(paper), 2.6, "training")
    bound("memory of a training step", fused, 1000)
    bound("the same, small budget", _find(paper, "adaptrnn fused, recompute"), 500)
    bound("through autograd, small budget", again, 500)
    ratio("ARUN forward, best peer", fused, peers(paper), 1.5, "forward")
    ratio("ARUN forward, torch loop", fused, peers(paper, loops), 4, "forward")
    relu = _find(static, "adaptrnn relu")
    ratio("gamma RNN training, nn.RNN(relu)", gamma, peers(static, ("nn.RNN",)), 1, "training")
    ratio("our relu RNN training, nn.RNN(relu)", relu, peers(static, ("nn.RNN",)), 1, "training")
    ratio("gamma RNN training, torch loop", gamma, peers(static, loops), 1.4, "training")
    ratio(
        "small ARUN training, torch loop", _find(small, first), peers(small, loops), 5, "training"
    )
    short = _find(paper, "adaptrnn fused, bf16")
    if short is not None and fused is not None:
        ratio("ARUN training step in bf16, our float32", short, [fused], 1.5, "training")
        ratio("ARUN forward in bf16, our float32", short, [fused], 1.6, "forward")
        any_precision = [r for r in paper if r.peer.startswith(("torch", "JAX"))]
        what = "ARUN training step in bf16, best peer of any precision"
        ratio(what, short, any_precision, 6, "training")
    return rows


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    lines = [head, ("---",) * len(head), *rows]
    return ["| " + " | ".join(cell.strip() for cell in line) + " |" for line in lines]


def _write(
    path: Path,
    page: list[str],
    machine: _Machine,
    found: dict[str, list[Result]],
    growth: list[tuple[str, ...]],
    notes: list[str],
) -> None:
    """The page and its plot."""
    path.parent.mkdir(parents=True, exist_ok=True)
    versions = [f"torch {torch.__version__}"]
    if importlib.util.find_spec("jax") is not None:
        from importlib import metadata

        versions.append(f"JAX {metadata.version('jax')}")
    text = [
        "# Benchmarks",
        "",
        "This page is written by `adaptrnn bench --write docs/benchmarks.md`.",
        *page,
        f"float32, {', '.join(versions)}; {machine.peak / 1e9:.0f} G multiply-adds per second in "
        f"registers, {machine.product / 1e9:.0f} in torch's product of 2048 x 2048 matrices.",
        "",
        "![Microseconds per sample and step](images/benchmark.png)",
        "",
        "Every row is a process of its own, one after another. Times are microseconds per sample",
        "and step, the median of all calls in some seconds, at least three, after one that does",
        "not count: forward without gradients, and a whole training step (currents, layer,",
        "readout, loss, all gradients).",
        "Memory is the most that a training step added to the idle process. The share of the peak",
        "counts three times the forward pass's multiply-adds, N (N + G^2 + 3 G), and nothing else.",
        "Where T is smaller than in the title, a peer that would need some 20 GB had fewer steps:",
        "its time per step is taken not to depend on T, and its memory is proportional to T.",
        '"kept memory" is glibc told never to return pages, which spares a loop its page faults;',
        '"tcmalloc" is the loop under that allocator.',
        "nn.RNN, nn.LSTM and nn.GRU are torch's layers at an equal count of parameters: other",
        "networks, for scale (in the last table nn.RNN(relu) has the same N).",
        'Rows with "bf16" multiply bfloat16 numbers and add up in float32: adaptrnn by its',
        "precision, torch under autocast, JAX by operands cast for its products. Their share of",
        "the peak is that of float32's.",
        "",
        "## Targets",
        "",
        *_table(("what", "target", "measured", ""), [*_targets(found)]),
    ]
    for title, results in found.items():
        rows = [_row(result, machine) for result in results]
        text += ["", f"## {title}", "", *_table(_HEAD, rows)]
    size = _memory_sizes(BenchConfig())[0]
    bases = [f"{title}: {rows[0][1][1]}" for title, rows in _growth(BenchConfig()).items()]
    text += [
        "",
        "## Growth",
        "",
        "One at a time, microseconds of a fused training step per sample and step. From",
        f"{'; '.join(bases)}. Threads: at the paper's size.",
        "Relative to the law is time per multiply-add over the second one's: 1 is growth linear in",
        "T, B and N (N + G^2 + 3 G). Memory is all that a step through autograd with no budget",
        f"needs, relative to the root of T, at B={size.batch}, N={size.neurons}, G={size.units} "
        "(the process's size,",
        "of small pages, freed arrays given back). Met: within 20%, from 0.8 to 1.2.",
        "",
        *_table(("", "values", "measured", "relative to the law", ""), growth),
    ]
    text += ["", *(f"- {note}" for note in notes)] if notes else []
    (path.parent / "images").mkdir(exist_ok=True)
    _plot(path.parent / "images" / "benchmark.png", found)
    _, _, kept = path.read_text().partition(BY_HAND) if path.exists() else ("", "", "")
    path.write_text("\n".join(text) + "\n" + (f"\n{BY_HAND}{kept}" if kept else ""))


def _plot(path: Path, found: dict[str, list[Result]]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.5), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(found), 1, height_ratios=[len(rows) for rows in found.values()])
    for axes, (title, results) in zip(panels, found.items(), strict=True):
        names = [result.peer for result in results]
        colours = ["C0" if name.startswith("adaptrnn") else "0.7" for name in names]
        bars = axes.barh(names, [result.training for result in results], color=colours)
        axes.bar_label(bars, fmt="%.3g", padding=3)
        axes.invert_yaxis()
        axes.set_title(title, loc="left", fontsize="medium")
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel("training step, microseconds per sample and step (less is better)")
    figure.savefig(path, dpi=110)


def _child() -> None:
    job = json.loads(sys.argv[1])
    if job["exact"]:
        _small_pages()
    result = measure(job["peer"], Size(**job["size"]), job["seconds"])
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    _child()
