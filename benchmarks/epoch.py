"""One epoch of psMNIST by the native kernels and by the plain torch reference, from one seed.

    OMP_NUM_THREADS=1 python benchmarks/epoch.py --data-dir DATA

Both networks see the same images in the same order from the same weights. Their losses are compared
step by step: rounding in float32 separates them, and grows as training goes on. How far rounding
alone takes a network, a third one says: by the kernels again, from weights each of which was
changed by one unit in the last place. Times are CPU time, the same as by the clock on one thread of
a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from adaptrnn.classifier import Classifier
from adaptrnn.config import TrainConfig
from adaptrnn.evaluation import evaluate
from adaptrnn.run import build_model, load_task
from adaptrnn.tasks import Task
from adaptrnn.training import Batches


def train(
    config: TrainConfig, task: Task, steps: int, nudged: bool
) -> tuple[Classifier, np.ndarray, float]:
    """The network after so many steps of Adam, their losses, and seconds of CPU time."""
    torch.manual_seed(config.seed)
    model = build_model(config, task)
    if nudged:
        with torch.no_grad():
            for weight in model.parameters():
                weight.copy_(torch.nextafter(weight, torch.full_like(weight, torch.inf)))
    adam = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    losses: list[float] = []
    start = time.process_time()
    for x, targets in Batches(task, task.train, config.batch_size, seed=config.seed):
        adam.zero_grad()
        loss, _ = model.loss(x, targets)
        loss.backward()
        adam.step()
        losses.append(float(loss.detach()))
        if len(losses) == steps:
            break
    return model, np.array(losses), time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, help="folder with mnist/; default: the hub")
    parser.add_argument("--steps", type=int, default=0, help="0: the whole epoch")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lr", type=float, help="default: the package's, which is the paper's")
    options = parser.parse_args()

    found = {}
    for name in ("cpu", "cpu, nudged", "reference"):
        backend, _, nudged = name.partition(", ")
        config = TrainConfig(
            "psmnist", data_dir=options.data_dir, image_size=14, hidden_size=100,
            controller_size=20, lr=options.lr, seed=options.seed, backend=backend,
        )  # fmt: skip
        task = load_task(config)
        model, losses, seconds = train(config, task, options.steps, bool(nudged))
        result = evaluate(model, task, split="validation")
        found[name] = losses, seconds, result.accuracy
        each = 1e6 * seconds / (len(losses) * config.batch_size * 196)
        print(
            f"{name}: {len(losses)} steps, {seconds:.1f} s of CPU time, {each:.2f} us per sample"
            f" and step, last losses {losses[-10:].mean():.4f}, "
            f"validation accuracy {result.accuracy:.2%}",
            flush=True,
        )
    ours, seconds, accuracy = found.pop("cpu")
    for name, (theirs, longer, other) in found.items():
        print(f"cpu against {name}:")
        apart = np.abs(ours - theirs) / theirs
        for steps in (1, 10, 50, 100, 200, len(ours)):
            if steps <= len(ours):
                print(
                    f"  losses apart in the first {steps} steps: at most {apart[:steps].max():.1e}"
                )
        print(f"  validation accuracy apart: {100 * abs(accuracy - other):.2f} percentage points")
        print(f"  ratio of CPU times: {longer / seconds:.2f}; {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()
