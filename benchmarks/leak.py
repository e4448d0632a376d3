"""What a leak costs: a training step of leaky neurons next to one without a leak.

Runs are interleaved, on one thread; times are those of the processor, which other programs on the
machine disturb less than those of a clock. The loss is a cross entropy at every step.

python benchmarks/leak.py [--neurons 100] [--units 20] [--repeats 30]
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from adaptrnn import ARUN, RNN, SequenceModel
from adaptrnn.tasks import Trials

TIMES = {
    "none": {},
    "fixed": {"dt": 20.0, "tau": 100.0},
    "learned": {"dt": 20.0, "tau": 100.0, "learn_tau": True},
}
"""Time constants of the layers that are compared."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("neurons", 100), ("units", 20), ("steps", 200), ("batch", 32)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--reference", action="store_true", help="time plain torch too")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x = torch.randn(given.steps, given.batch, 3)
    trials = Trials(x, torch.randint(given.classes, (given.steps, given.batch)))
    layers = {
        "arun": lambda **more: ARUN(3, given.neurons, controller_size=given.units, **more),
        "gamma": lambda **more: RNN(3, given.neurons, nonlinearity="gamma", **more),
        "tanh": lambda **more: RNN(3, given.neurons, nonlinearity="tanh", **more),
    }
    for name, layer in layers.items():
        kinds = dict(TIMES)
        if given.reference:
            kinds["torch"] = TIMES["fixed"] | {"backend": "reference"}
        models = {
            kind: SequenceModel(layer(**times), given.classes) for kind, times in kinds.items()
        }
        seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
        for repeat in range(given.repeats + 2):
            for kind, model in models.items():
                model.zero_grad()
                begin = time.process_time()
                model.trial_loss(trials)[0].backward()
                if repeat >= 2:
                    seconds[kind].append(time.process_time() - begin)
        print(
            f"{name:<6} without a leak {1e3 * statistics.median(seconds['none']):8.2f} ms", end=""
        )
        for kind in list(kinds)[1:]:
            ratios = [b / a for a, b in zip(seconds["none"], seconds[kind], strict=True)]
            middle = 1e3 * statistics.median(seconds[kind])
            print(f"   {kind} {middle:8.2f} ms, ratio {statistics.median(ratios):.3f}", end="")
        print()


if __name__ == "__main__":
    main()
