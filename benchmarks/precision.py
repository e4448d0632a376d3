"""Error and time of a training step by the precision of its products, side by side.

    OMP_NUM_THREADS=1 python benchmarks/precision.py --plot docs/images/precision.png

Errors are those of the rates and of the gradient of each weight, relative to float64: the norm of
the difference over the norm, the median of five networks drawn from five seeds. The loss is the
cross entropy at the last step, the input is noise. One column is float64 with rounded weights: the
error of having the weights of another network, not of arithmetic. Times are CPU time of one thread
for a forward pass without gradients and for a training step, the least of several rounds in which
every peer has its turn, so that other programs on the machine disturb all of them alike. The torch
loops have fewer samples and steps where they would need gigabytes: a time is per sample and step.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from adaptrnn import ARUN
from adaptrnn.bench import Size, torch_peer

PRECISIONS = ("float32", "bf16")
AUTOCAST = "torch loop, autocast bf16"
WEIGHTS = "float64, W_hh and W_gg in bf16"


def network(size: Size, seed: int) -> tuple[ARUN, nn.Linear, Tensor, Tensor]:
    """A layer and its readout as first drawn, an input and classes."""
    torch.manual_seed(seed)
    core = ARUN(1, size.neurons, size.units)
    readout = nn.Linear(size.neurons, 10)
    x = torch.rand(size.steps, size.batch, 1)
    return core, readout, x, torch.randint(0, 10, (size.batch,))


def numbers(core: ARUN, readout: nn.Linear, x: Tensor, target: Tensor) -> dict[str, Tensor]:
    """The rates of all steps, and the gradient of every weight, in float64."""
    parameters = {**dict(core.named_parameters()), "readout.weight": readout.weight}
    output, _ = core(x)
    loss = cross_entropy(readout(output[-1].to(readout.weight.dtype)).float(), target)
    found = torch.autograd.grad(loss, list(parameters.values()))
    found = (output, *found)
    return {name: value.detach().double() for name, value in zip(
        ("rates", *parameters), found, strict=True
    )}  # fmt: skip


def errors(size: Size, seeds: int) -> dict[str, dict[str, float]]:
    """By precision and quantity, the median over the seeds of the relative error."""
    rows: dict[str, dict[str, list[float]]] = {}
    for seed in range(seeds):
        core, readout, x, target = network(size, seed)
        exact = numbers(copy.deepcopy(core).double(), copy.deepcopy(readout).double(), x.double(),
                        target)  # fmt: skip
        found = {}
        for precision in PRECISIONS:
            core.precision = precision
            found[precision] = numbers(core, readout, x, target)
        with torch.autocast("cpu", torch.bfloat16):
            found[AUTOCAST] = by_loop(core, readout, x, target)
        double = copy.deepcopy(core).double()
        with torch.no_grad():
            for weight in (double.weight_hh_l0, double.controller.weight_gg):
                weight.copy_(weight.bfloat16())
        found[WEIGHTS] = numbers(double, copy.deepcopy(readout).double(), x.double(), target)
        for precision, values in found.items():
            for name, value in values.items():
                error = (value - exact[name]).norm() / exact[name].norm()
                rows.setdefault(precision, {}).setdefault(name, []).append(float(error))
    return {
        precision: {name: float(np.median(values)) for name, values in row.items()}
        for precision, row in rows.items()
    }


def by_loop(core: ARUN, readout: nn.Linear, x: Tensor, target: Tensor) -> dict[str, Tensor]:
    """The same by a loop in plain torch, whose operations autocast sees."""
    parameters = {**dict(core.named_parameters()), "readout.weight": readout.weight}
    h = torch.zeros(x.shape[1], core.hidden_size)
    g = torch.zeros(x.shape[1], core.hidden_size, core.controller_size)
    rates = []
    for x_t in x.unbind(0):
        current = nn.functional.linear(x_t, core.weight_ih_l0, core.bias_ih_l0 + core.bias_hh_l0)
        a = current + nn.functional.linear(h, core.weight_hh_l0)
        weight_ag, weight_gg, bias_g, weight_gc, bias_gc = core.controller.weights()
        drive = a.unsqueeze(-1) * weight_ag
        g = torch.tanh(drive + nn.functional.linear(g, weight_gg, bias_g))
        n, s = nn.functional.linear(g, weight_gc, bias_gc).float().unbind(-1)
        z = n * a
        h = (1 - s) * nn.functional.softplus(z) / n + s * torch.sigmoid(z)
        rates.append(h)
    loss = cross_entropy(readout(h).float(), target)
    found = torch.autograd.grad(loss, list(parameters.values()))
    names = ("rates", *parameters)
    return {
        name: value.detach().double()
        for name, value in zip(names, (torch.stack(rates), *found), strict=True)
    }


def least(peers: dict[str, tuple[Size, str]], rounds: int) -> dict[str, tuple[float, float]]:
    """By peer, microseconds of CPU time per sample and step, forward and training."""
    calls: dict[str, tuple[float, list[Callable[[], float]]]] = {}
    for name, (size, peer) in peers.items():
        forward, training = torch_peer(peer, size)
        calls[name] = (1e6 / (size.steps * size.batch), [forward, training])
    best = {name: [np.inf, np.inf] for name in peers}
    for _ in range(rounds):
        for name, (unit, functions) in calls.items():
            for k, function in enumerate(functions):
                start = time.process_time()
                function()
                best[name][k] = min(best[name][k], unit * (time.process_time() - start))
    return {name: (times[0], times[1]) for name, times in best.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", type=Path, help="where to draw error against time")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)

    found = {steps: errors(Size(steps, 4, 400, 50), options.seeds) for steps in (50, 784)}
    columns = [(steps, name) for steps in found for name in (*PRECISIONS, AUTOCAST, WEIGHTS)]
    print("|  | " + " | ".join(f"{name}, T={steps}" for steps, name in columns) + " |")
    print("| --- |" + " --- |" * len(columns))
    for quantity in found[50]["float32"]:
        cells = [f"{found[steps][name][quantity]:.1e}" for steps, name in columns]
        print(f"| {quantity} | {' | '.join(cells)} |", flush=True)

    print("\n| peer | forward us | training us |\n| --- | --- | --- |")
    for title, sizes in (
        ("the paper's size", (Size(196, 20, 400, 50), Size(40, 20, 400, 50))),
        ("small", (Size(196, 100, 100, 20), Size(98, 50, 100, 20))),
        ("gamma RNN", (Size(392, 20, 400), Size(196, 20, 400))),
    ):
        ours = "adaptrnn fused" if sizes[0].units else "adaptrnn gamma"
        times = least(
            {
                "float32": (sizes[0], ours),
                "bf16": (sizes[0], f"{ours}, bf16"),
                "torch loop": (sizes[1], "torch loop"),
                AUTOCAST: (sizes[1], AUTOCAST),
            },
            options.rounds,
        )
        for name, (forward, training) in times.items():
            print(f"| {title}, {name} | {forward:.3g} | {training:.3g} |", flush=True)
        if sizes[0] == Size(196, 20, 400, 50) and options.plot is not None:
            draw(options.plot, times, found)


def draw(
    path: Path,
    times: dict[str, tuple[float, float]],
    found: dict[int, dict[str, dict[str, float]]],
) -> None:
    """Error of the gradients against time of a training step."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for marker, (steps, errors_) in zip("os", found.items(), strict=True):
        for colour, name in zip(("C0", "C1", "0.6"), (*PRECISIONS, AUTOCAST), strict=True):
            row = errors_[name]
            gradients = [value for quantity, value in row.items() if quantity != "rates"]
            middle = float(np.median(gradients))
            bars = [[middle - min(gradients)], [max(gradients) - middle]]
            axes.errorbar(
                times[name][1], middle, bars, marker=marker, color=colour, capsize=3,
                label=f"{name}, T={steps}",
            )  # fmt: skip
    axes.set(xscale="log", yscale="log", xticks=[25, 50, 100, 200], xticklabels=[25, 50, 100, 200])
    axes.minorticks_off()
    axes.set_xlabel("training step, CPU microseconds per sample and step (one thread)")
    axes.set_ylabel("relative error of the gradients\n(median and range over the weights)")
    axes.legend(fontsize="small", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
