"""Time one training step of our layers beside layers of other libraries, at equal size.

    pip install --no-deps ncps torchrecurrent snntorch norse nir nirtorch
    OMP_NUM_THREADS=1 python benchmarks/peers.py

Each layer reads the same random sequence; a step is its forward pass and the backward pass of the
sum of its squared outputs. The layers take turns, round after round, and the fastest round counts,
so that other work on the machine disturbs all alike. Layers of equal size differ in their number
of parameters and in what they can learn: this table says what a step costs, not which is better.
A library that is not installed is left out and named. The LTC layer of ncps is left out too: at
this size its backward pass keeps tens of gigabytes.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

import adaptrnn


def ours(neurons: int, units: int) -> dict[str, Callable[[], nn.Module]]:
    """Return makers of our layers and of torch's."""
    return {
        "adaptrnn.RNN, relu": lambda: adaptrnn.RNN(1, neurons, nonlinearity="relu"),
        "adaptrnn.RNN, gamma": lambda: adaptrnn.RNN(1, neurons, nonlinearity="gamma"),
        "adaptrnn.ARUN": lambda: adaptrnn.ARUN(1, neurons, controller_size=units),
        "torch.nn.RNN, relu": lambda: nn.RNN(1, neurons, nonlinearity="relu"),
        "torch.nn.GRU": lambda: nn.GRU(1, neurons),
        "torch.nn.LSTM": lambda: nn.LSTM(1, neurons),
    }


def theirs(neurons: int) -> dict[str, tuple[str, Callable[[object], nn.Module]]]:
    """Return, for each layer of another library, its module and how to make it."""
    return {
        "ncps CfC": ("ncps.torch", lambda m: m.CfC(1, neurons, batch_first=False)),
        "torchrecurrent MGU": ("torchrecurrent", lambda m: m.MGU(1, neurons)),
        "snntorch RLeaky (loop)": ("snntorch", lambda m: Spiking(m, neurons)),
        "norse LSNNRecurrent": ("norse.torch", lambda m: m.LSNNRecurrent(1, neurons)),
    }


class Spiking(nn.Module):
    """A recurrent layer of leaky spiking neurons, in the loop that snntorch's users write."""

    def __init__(self, library: object, neurons: int) -> None:
        super().__init__()
        self.input = nn.Linear(1, neurons)
        self.cell = library.RLeaky(beta=0.9, linear_features=neurons)

    def forward(self, x: Tensor) -> Tensor:
        spikes, potential = self.cell.init_rleaky()
        found = []
        for current in self.input(x).unbind(0):
            spikes, potential = self.cell(current, spikes, potential)
            found.append(spikes)
        return torch.stack(found)


def step(layer: nn.Module, x: Tensor) -> float:
    """Return the seconds of one forward and backward pass."""
    layer.zero_grad()
    began = time.perf_counter()
    output = layer(x)
    output = output[0] if isinstance(output, tuple) else output
    output.square().sum().backward()
    return time.perf_counter() - began


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=196)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--neurons", type=int, default=100)
    parser.add_argument("--units", type=int, default=20, help="of the ARUN's controller")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    torch.manual_seed(0)
    layers = {name: make() for name, make in ours(given.neurons, given.units).items()}
    for name, (module, make) in theirs(given.neurons).items():
        try:
            layers[name] = make(importlib.import_module(module))
        except ImportError as error:
            print(f"{name} is left out: {error}")
    x = torch.rand(given.steps, given.batch, 1)
    best = dict.fromkeys(layers, float("inf"))
    for _ in range(given.rounds):
        for name, layer in layers.items():
            best[name] = min(best[name], step(layer, x))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread(s); {given}\n")
    print("| layer | parameters | ms per training step | time relative to torch.nn.GRU |")
    print("| --- | --- | --- | --- |")
    for name, seconds in best.items():
        count = sum(p.numel() for p in layers[name].parameters())
        ratio = seconds / best["torch.nn.GRU"]
        print(f"| {name} | {count:,} | {1e3 * seconds:.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
