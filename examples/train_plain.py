"""Train an ARUN on permuted MNIST in plain PyTorch and see what a drive does to it.

The whole of training in one file that reads from top to bottom: no Lightning, no run folder, no
resuming. `adaptrnn train` does the same arithmetic in the same order, so for one seed both print
the same losses.

    python examples/train_plain.py --data-dir DATA     # psMNIST, 14x14 pixels, about 8 minutes
    python examples/train_plain.py --task digits       # 8x8 digits that need no download, seconds
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from adaptrnn import ARUN, Classifier, StepDrive
from adaptrnn.tasks import Task, load

BATCH = 100


def order(count: int, seed: int, epoch: int) -> torch.Tensor:
    """Return the order in which the images of one epoch are read; it depends on nothing else."""
    return torch.from_numpy(np.random.RandomState([seed, epoch]).permutation(count))


def build(task: Task, neurons: int, units: int, seed: int) -> Classifier:
    """Return an adaptive network with a linear readout of its last rates."""
    torch.manual_seed(seed)
    core = ARUN(task.input_size, neurons, controller_size=units)
    return Classifier(core, task.num_classes)


def train(
    model: Classifier, task: Task, epochs: int, rate: float, clip: float, seed: int
) -> list[float]:
    """Train by Adam with a one-cycle learning rate.

    Returns:
        The mean training loss of each epoch, in nats.
    """
    images, labels = task.train.images, task.train.labels
    steps = epochs * -(-len(labels) // BATCH)
    optimizer = torch.optim.Adam(model.parameters(), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    losses = []
    for epoch in range(epochs):
        total = 0.0
        for chosen in order(len(labels), seed, epoch).split(BATCH):
            x = task.inputs(images[chosen])  # (T, B, D): time, images, inputs
            optimizer.zero_grad()
            # the mean cross entropy at the last step; for an ARUN the kernel computes the loss
            # and its gradient together
            loss, _ = model.loss(x, labels[chosen])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(chosen)
        losses.append(total / len(labels))
        accuracy = evaluate(model, task, task.validation, xi=0.0)
        print(f"epoch {epoch + 1}: training loss {losses[-1]:.4f}, validation {accuracy:.2%}")
    return losses


@torch.no_grad()
def evaluate(model: Classifier, task: Task, split, xi: float) -> float:
    """Return the accuracy under a step of drive xi onto every neuron, on a quarter of the steps.

    The window is the paper's, steps 200 to 400 of 784, scaled to the length of the sequence.
    """
    hits = 0
    for chosen in torch.arange(len(split)).split(500):
        x = task.inputs(split.images[chosen])
        steps, batch, _ = x.shape
        drive = StepDrive(xi=xi).drive(steps, batch, model.core.hidden_size)
        hits += int((model(x, drive).argmax(1) == split.labels[chosen]).sum())
    return hits / len(split)


def main() -> None:
    """Train one network, then print its accuracy on the test images under growing drives."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="psmnist", choices=("psmnist", "digits"))
    parser.add_argument("--data-dir", type=Path, help="folder that holds mnist/")
    parser.add_argument("--neurons", type=int, default=100)
    parser.add_argument("--units", type=int, default=20, help="of the controller")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3, help="peak learning rate")
    parser.add_argument("--clip", type=float, default=1.0, help="largest norm of the gradient")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    size = 14 if given.task == "psmnist" else None
    task = load(given.task, data_dir=given.data_dir, image_size=size)
    model = build(task, given.neurons, given.units, given.seed)
    train(model, task, given.epochs, given.rate, given.clip, given.seed)
    for xi in (0.0, 1.0, 5.0, 30.0):
        print(f"drive {xi:4.1f}: test accuracy {evaluate(model, task, task.test, xi):.2%}")


if __name__ == "__main__":
    main()
