"""Count how often training diverges without and with clipping of the gradient.

    OMP_NUM_THREADS=1 python benchmarks/stability.py

Each network is trained by plain gradient descent for 20 steps on random sequences with random
labels, over ten seeds. A run counts as diverged when its loss is no longer finite, or is more than
ten times the loss at its start.
"""

from __future__ import annotations

import argparse
import math

import torch
from torch import nn

from adaptrnn import ARUN, RNN, Classifier

SEEDS, STEPS = range(10), 20
CORES = {
    "RNN, relu": lambda: RNN(1, 64, nonlinearity="relu", init="paper"),
    "RNN, gamma": lambda: RNN(1, 64, nonlinearity="gamma"),
    "ARUN": lambda: ARUN(1, 64, controller_size=16),
}


def diverges(core: str, rate: float, clip: float | None, seed: int, length: int) -> bool:
    """Return whether one training run diverges."""
    torch.manual_seed(seed)
    model = Classifier(CORES[core](), 10)
    optimizer = torch.optim.SGD(model.parameters(), rate)
    first = math.nan
    for step in range(STEPS):
        x, y = torch.rand(length, 32, 1), torch.randint(0, 10, (32,))
        optimizer.zero_grad()
        loss, _ = model.loss(x, y)
        first = float(loss.detach()) if step == 0 else first
        if not math.isfinite(float(loss.detach())) or float(loss.detach()) > 10 * first:
            return True
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
    return False


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--length", type=int, default=196)
    length = parser.parse_args().length
    print("| network | learning rate | diverged without clipping | diverged with clipping at 1 |")
    print("| --- | --- | --- | --- |")
    for core in CORES:
        for rate in (1.0, 0.1, 0.01):
            counts = [
                sum(diverges(core, rate, clip, seed, length) for seed in SEEDS)
                for clip in (None, 1.0)
            ]
            print(f"| {core} | {rate:g} | {counts[0]} of 10 | {counts[1]} of 10 |")


if __name__ == "__main__":
    main()
