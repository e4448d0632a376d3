"""Write what the explorer's first view shows: two networks, ten digits, and accuracies.

    python examples/explorer_data.py --data-dir DATA

The networks are the ARUN and the ReLU network of seed 0. The digits are the first test image of
each class, so none is chosen by its look. The accuracies are those of four networks of each model
on the first 1,000 test images, clean and under steps of current.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
from pathlib import Path

from PIL import Image

from adaptrnn.evaluation import evaluate
from adaptrnn.explore.view import DIGITS, SHOWN, TABLE
from adaptrnn.perturb import StepDrive
from adaptrnn.run import Run, load_task
from adaptrnn.storage import write_json
from adaptrnn.tasks import Split

DRIVES = (0.0, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0)
SEEDS = (0, 1, 2, 3)
KEPT = ("README.md", "config.json", "permutation.json", "record.json", "weights.safetensors")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", default=None, help="folder with MNIST; default: the hub")
    parser.add_argument("--networks", type=Path, default=Path("results/night/networks"))
    parser.add_argument("--images", type=int, default=1000)
    options = parser.parse_args()

    for model, folder in SHOWN.items():
        folder.mkdir(exist_ok=True)
        for name in KEPT:
            shutil.copy(options.networks / f"psmnist-{model}-seed0" / name, folder / name)
    config = dataclasses.replace(Run(SHOWN["arun"]).config(), data_dir=options.data_dir)
    task = load_task(config)

    first = [int((task.test.labels == digit).nonzero()[0]) for digit in range(10)]
    strip = task.test.images[first, 0].permute(1, 0, 2).reshape(28, 280)
    Image.fromarray(strip.numpy()).save(DIGITS, optimize=True)

    part = task.with_test(
        Split(task.test.images[: options.images], task.test.labels[: options.images])
    )
    accuracy = {}
    for model in SHOWN:
        networks = [Run(options.networks / f"psmnist-{model}-seed{s}").model(task) for s in SEEDS]
        accuracy[model] = [
            [round(evaluate(one, part, StepDrive(xi)).accuracy, 4) for xi in DRIVES]
            for one in networks
        ]
    write_json(TABLE, {"images": options.images, "drive": list(DRIVES), **accuracy})


if __name__ == "__main__":
    main()
