"""Our layers next to every other implementation, their growth, targets, and the page of them.

    python benchmarks/layers.py --write docs/reference/benchmarks.md

times what `adaptrnn bench` does and more: JAX, other allocators, autocast; how time and memory
grow with the size; and whether the project's targets are met. The page is written with --write, its
plot to ../images/benchmark.png, seen from it.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import math
import os
import platform
import sys
import time
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console

from adaptrnn import bench
from adaptrnn.bench import HEAD, Machine, Result, Size, Steps, numbers_of, table_row
from adaptrnn.config import BenchConfig
from adaptrnn.kernels import native

BY_HAND = "<!-- What follows is written by hand and kept. -->"
"""Where the part of the page begins that this does not write."""
_PR_SET_THP_DISABLE = 41  # linux/prctl.h


def jax_peer(peer: str, size: Size) -> Steps:
    """Forward and training step of the JAX peers, compiled."""
    jax = importlib.import_module("jax")
    jnp, lax = jax.numpy, jax.lax
    numbers = {name: jnp.asarray(value) for name, value in numbers_of(size).items()}
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


def build(peer: str, size: Size) -> Steps:
    """Forward and training step of any peer."""
    return (jax_peer if peer.startswith("JAX") else bench.torch_peer)(peer, size)


def tcmalloc() -> Path | None:
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


def small_pages() -> None:
    """Linux: this process takes memory in pages of 4 kB only."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)


def in_process(
    peer: str,
    size: Size,
    seconds: float,
    threads: int | None = None,
    exact: bool = False,
) -> Result | str:
    """`bench.in_process` with the allocator that a peer's name asks for.

    With `exact` the process holds no memory that it does not use: pages are small, and every
    array of more than 128 kB goes back when it is freed.
    """
    environment = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    if "kept memory" in peer:  # glibc then takes no page back, and gives none anew
        environment |= {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)}
    if "tcmalloc" in peer:
        library = tcmalloc()
        if library is None:
            return "libtcmalloc was not found (Debian: apt-get install libtcmalloc-minimal4)"
        before = os.environ.get("LD_PRELOAD", "")
        environment["LD_PRELOAD"] = f"{library} {before}".strip()
    if exact:
        environment["MALLOC_MMAP_THRESHOLD_"] = str(2**17)  # of glibc, which else adapts it
    command = (str(Path(__file__).resolve()), "--exact" if exact else "--job")
    return bench.in_process(peer, size, seconds, command, environment)


def cases(config: BenchConfig) -> dict[str, list[tuple[str, Size]]]:
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


def growth_sizes(config: BenchConfig) -> dict[str, list[tuple[str, list[Size]]]]:
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


def compare(
    config: BenchConfig, console: Console, page: Path | None = None
) -> dict[str, list[Result]]:
    """Compare the layers with all peers, print tables and, where asked for, write the page."""
    here = bench.machine()
    console.print(str(here), highlight=False)
    start = time.perf_counter()
    found: dict[str, list[Result]] = {}
    notes: list[str] = []

    def run(peer: str, size: Size) -> Result | str:
        return in_process(peer, size, _seconds(config))

    for title, jobs in cases(config).items():
        found[title], failed = bench.compare_peers(title, jobs, here, run, console)
        notes += [f"{title.split(':')[0]}, {peer}: {why}" for peer, why in failed.items()]
    if not config.compile:
        notes.append("torch.compile of the step was left out of this run (`--no-compile`).")
    grown = _measure_growth(config, console)
    if page is not None:
        text = [f"Measured in one run of {time.perf_counter() - start:.0f} s on: {here.name}."]
        write(page, text, here, found, grown, notes)
        console.print(f"\nwritten: {page}", highlight=False)
    return found


@dataclass(frozen=True)
class Growth:
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
    (_, sizes), *_ = next(iter(growth_sizes(config).values()))
    return sizes[1]


def _measure_growth(config: BenchConfig, console: Console) -> list[tuple[str, ...]]:
    """Rows: what grows, its values, what was measured, that relative to the law, the verdict."""
    rows: list[tuple[str, ...]] = []
    console.print("\nGrowth (relative to the law, within 20%)", highlight=False)

    def show(row: tuple[str, ...]) -> None:
        rows.append(row)
        console.print("  " + "  ".join(row), highlight=False, markup=False)

    def measured(peer: str, size: Size, seconds: float, **options: Any) -> Result:
        result = in_process(peer, size, seconds, **options)
        if isinstance(result, str):
            raise RuntimeError(f"{size}: {result}")
        return result

    seconds = min(_seconds(config), 2.0)
    for title, grown in growth_sizes(config).items():
        for name, sizes in grown:
            results = [measured("adaptrnn fused", size, seconds) for size in sizes]
            values = tuple(getattr(size, _FIELDS[name]) for size in sizes)
            times = tuple(result.training / result.size.multiply_adds for result in results)
            text = ", ".join(f"{result.training:.3g}" for result in results) + " us"
            show(Growth(f"time over {name}, {title}", values, times, text).row())
    memory, steps = [], []
    for size in _memory_sizes(config):
        result = measured("adaptrnn autograd, recompute", size, 0, exact=True)
        memory.append(result.memory)
        steps.append(size.steps)
    roots = tuple(m / math.sqrt(t) for m, t in zip(memory, steps, strict=True))
    text = ", ".join(f"{m / 1e6:.0f}" for m in memory) + " MB"
    show(Growth("memory over T", tuple(steps), roots, text).row())
    size = _base(config)
    for threads in sorted({1, torch.get_num_threads()}):
        time_ = measured("adaptrnn fused", size, seconds, threads=threads).training
        show(("threads", str(threads), f"{time_:.3g} us", "-", "-"))
    return rows


def _find(results: list[Result], peer: str) -> Result | None:
    return next((result for result in results if result.peer == peer), None)


def targets(found: dict[str, list[Result]]) -> list[tuple[str, str, str, str]]:
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


def write(
    path: Path,
    page: list[str],
    machine: Machine,
    found: dict[str, list[Result]],
    growth: list[tuple[str, ...]],
    notes: list[str],
) -> None:
    """The page and its plot."""
    path.parent.mkdir(parents=True, exist_ok=True)
    versions = [f"torch {torch.__version__}"]
    if importlib.util.find_spec("jax") is not None:
        versions.append(f"JAX {metadata.version('jax')}")
    text = [
        "# Benchmarks",
        "",
        "This page is written by `python benchmarks/layers.py --write "
        "docs/reference/benchmarks.md`.",
        *page,
        f"float32, {', '.join(versions)}; {machine.peak / 1e9:.0f} G multiply-adds per second in "
        f"registers, {machine.product / 1e9:.0f} in torch's product of 2048 x 2048 matrices.",
        "",
        "![Microseconds per sample and step](../images/benchmark.png)",
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
        *_table(("what", "target", "measured", ""), [*targets(found)]),
    ]
    for title, results in found.items():
        rows = [table_row(result, machine) for result in results]
        text += ["", f"## {title}", "", *_table(HEAD, rows)]
    size = _memory_sizes(BenchConfig())[0]
    bases = [f"{title}: {rows[0][1][1]}" for title, rows in growth_sizes(BenchConfig()).items()]
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
    images = path.parent.parent / "images"
    images.mkdir(exist_ok=True)
    _plot(images / "benchmark.png", found)
    _, _, kept = path.read_text().partition(BY_HAND) if path.exists() else ("", "", "")
    path.write_text("\n".join(text) + "\n" + (f"\n{BY_HAND}{kept}" if kept else ""))


def _plot(path: Path, found: dict[str, list[Result]]) -> None:
    heights = [len(rows) for rows in found.values()]
    figure = Figure(figsize=(11, 1.5 + 0.25 * sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(found), 1, height_ratios=heights)
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


def main() -> None:
    """Compare, or answer one job of `in_process`."""
    if sys.argv[1:2] in (["--job"], ["--exact"]):
        if sys.argv[1] == "--exact":
            small_pages()
        bench.answer_job(sys.argv[2], build)
        return
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", type=Path, help="Markdown file for tables and plot")
    parser.add_argument("--quick", action="store_true", help="tiny networks: whether all runs")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long a step is repeated")
    given = parser.parse_args()
    config = BenchConfig(given.quick, not given.no_compile, given.seconds)
    compare(config, Console(), given.write)


if __name__ == "__main__":
    main()
