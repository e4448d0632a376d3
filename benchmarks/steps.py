"""What a training step with a loss at every step costs, next to one with a loss at the last step.

Runs are interleaved, on one thread; times are those of the processor, which other programs on the
machine disturb less than those of a clock.

python benchmarks/steps.py [--batch 100] [--repeats 15]
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from adaptrnn import ARUN, RNN, Classifier, SequenceModel
from adaptrnn.tasks import Trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("neurons", 100), ("units", 20), ("steps", 200), ("batch", 100)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=15)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x = torch.randn(given.steps, given.batch, 3)
    every = torch.randint(given.classes, (given.steps, given.batch))
    trials = Trials(x, every)
    layers = {
        "arun": lambda: ARUN(3, given.neurons, controller_size=given.units),
        "gamma": lambda: RNN(3, given.neurons, nonlinearity="gamma"),
    }
    for name, layer in layers.items():
        last = Classifier(layer(), given.classes)
        steps = SequenceModel(layer(), given.classes)
        times: dict[str, list[float]] = {"last": [], "every": []}
        for repeat in range(given.repeats + 2):
            for kind, model in (("last", last), ("every", steps)):
                model.zero_grad()
                begin = time.process_time()
                loss = last.loss(x, every[-1]) if kind == "last" else steps.trial_loss(trials)
                loss[0].backward()
                if repeat >= 2:
                    times[kind].append(time.process_time() - begin)
        ratios = [b / a for a, b in zip(times["last"], times["every"], strict=True)]
        middle, high = (1e3 * statistics.median(times[k]) for k in ("last", "every"))
        print(
            f"{name:<6} last step {middle:7.1f} ms   every step {high:7.1f} ms   "
            f"ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}), "
            f"of minima {min(times['every']) / min(times['last']):.3f}"
        )


if __name__ == "__main__":
    main()
