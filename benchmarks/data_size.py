"""Does a network need many images to become robust? Accuracy under a drive by size of the data set.

    python benchmarks/data_size.py --data-dir DATA --write docs/explanation/data-size.md

The ARUN, the RNN+gamma and the ReLU network of the profile `quick`, with its sizes and learning
rates, are trained on MNIST at its 8x8 pixels, hence for as many steps of time, instead of on
scikit-learn's digits: on the first 1,079 training images, as many as the digits have, on the first
7,000 and on all. A smaller set is shown more often, so that every network is trained for as many
steps; nothing else differs. Finished networks stay in the folder of `--runs`, and the same command
goes on from there. With five seeds it takes about half an hour of two cores. All accuracies go into
the table in `--tables`, from which alone the page and its figure are made; with `--from-tables`
nothing is trained.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pandas as pd
import torch
import xarray as xr
from matplotlib.figure import Figure

import adaptrnn
from adaptrnn.analysis import interval
from adaptrnn.config import TrainConfig
from adaptrnn.evaluation import evaluate_run
from adaptrnn.figure.style import colour, count_seeds, key, label_of, marker, render, subplots
from adaptrnn.paper.profile import load_profile
from adaptrnn.run import build_model, load_task
from adaptrnn.tasks import ImageTask, Split

MODELS = ("arun", "gamma", "relu")
SIZES = (1079, 7000, 50000)
CONDITIONS = {
    "clean": "clean",
    "noisy-drive": "noisy drive",
    "step-drive": "step drive",
    "contrast": "contrast",
}
START, END = "<!-- data size: written by benchmarks/data_size.py -->", "<!-- end of data size -->"


def shown_more_often(task: ImageTask, size: int) -> ImageTask:
    """The task with its first `size` training images, repeated to about as many as there were."""
    times = max(1, round(len(task.train) / size))
    images, labels = task.train.images[:size], task.train.labels[:size]
    return dataclasses.replace(
        task, train=Split(images.repeat(times, 1, 1, 1), labels.repeat(times))
    )


def one(job: tuple[TrainConfig, int, Path]) -> list[dict[str, object]]:
    """Train one network on the first images and evaluate it: a row for each condition."""
    config, size, out = job
    torch.set_num_threads(1)
    whole = load_task(config)
    core = build_model(config, whole).core
    names = ("epochs", "batch_size", "lr", "schedule", "clip", "seed")
    options = {name: getattr(config, name) for name in names}
    run = adaptrnn.train(shown_more_often(whole, size), core, out=out, **options)
    shared = {"images": size, "model": config.model, "seed": config.seed}
    return [
        {**shared, "condition": row["name"], "accuracy": row["accuracy"]}
        for row in evaluate_run(run).to_dict("records")
    ]


def jobs(options: argparse.Namespace) -> list[tuple[TrainConfig, int, Path]]:
    """Every network: its configuration as in `quick`, its number of images and its folder."""
    runs = load_profile("quick").runs(options.data_dir)
    mnist = {"task": "psmnist", "image_size": 8, "epochs": options.epochs}
    configs = [
        dataclasses.replace(run.config, **mnist, data_dir=options.data_dir, seed=seed)
        for run in runs
        if run.config.model in MODELS and run.config.seed == 0 and not run.variant
        for seed in range(options.seeds)
    ]
    return [
        (config, size, options.runs / f"{config.model}-{size}-seed{config.seed}")
        for size in options.sizes
        for config in configs
    ]


def array(table: pd.DataFrame) -> xr.DataArray:
    """Accuracies in %, over model, images, condition and seed."""
    index = ["model", "images", "condition", "seed"]
    return 100 * table.set_index(index).accuracy.to_xarray()


def draw(data: xr.Dataset) -> Figure:
    """Accuracy against the number of training images, a panel for each condition."""
    figure, axes = subplots(1, len(CONDITIONS), height=2.9, sharey=True)
    for axis, (name, title) in zip(axes[0], CONDITIONS.items(), strict=True):
        shown = data.accuracy.sel(condition=name)
        for model in MODELS:
            found = interval(shown.sel(model=model))
            looks = {"color": colour(model), "marker": marker(model), "label": label_of(model)}
            axis.plot(found.images, found.estimate, **looks)
            axis.fill_between(
                found.images, found.low, found.high, color=colour(model), alpha=0.15, lw=0
            )
        axis.set(xscale="log", title=title, xlabel="training images")
        axis.set_xticks(shown.images.values, [f"{v / 1000:.0f}k" for v in shown.images.values])
        axis.minorticks_off()
        count_seeds(axis, shown.sel(model=MODELS[0]))
    axes[0, 0].set(ylabel="accuracy on the test images (%)", ylim=(0, 100))
    key(axes[0, 0], loc="center")
    return figure


def text(data: xr.DataArray) -> str:
    """A table: a row for each model and number of images, with 95% intervals over seeds."""
    lines = [
        "| model | training images | " + " | ".join(CONDITIONS.values()) + " |",
        "| --- |" + " --- |" * (len(CONDITIONS) + 1),
    ]
    for model in MODELS:
        for images in data.images.values:
            found = interval(data.sel(model=model, images=images))
            cells = [
                f"{one.estimate:.1f} ({one.low:.1f} to {one.high:.1f})"
                for one in (found.sel(condition=name) for name in CONDITIONS)
            ]
            lines.append(f"| {label_of(model)} | {images:,} | " + " | ".join(cells) + " |")
    count = data.sizes["seed"]
    lines += ["", f"Accuracy in %, mean of {count} seeds, with 95% intervals (Student's t)."]
    return "\n".join(lines)


def trained(options: argparse.Namespace) -> list[dict[str, object]]:
    """The rows of the networks that are trained here, as far as they are not there yet."""
    rows: list[dict[str, object]] = []
    todo = jobs(options)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, spawn, max_tasks_per_child=1) as pool:
        for (*_, out), found in zip(todo, pool.map(one, todo), strict=True):
            rows += found
            clean = next(row["accuracy"] for row in found if row["condition"] == "clean")
            print(f"{len(rows) // len(CONDITIONS)}/{len(todo)} {out.name}: {clean:.1%}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="folder with mnist/; default: the hub")
    parser.add_argument("--runs", type=Path, default=Path("build/data-size"), help="folder")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="training images")
    parser.add_argument("--epochs", type=int, default=16, help="of all images (default 16)")
    parser.add_argument("--seeds", type=int, default=5, help="how many (default 5)")
    parser.add_argument("--jobs", type=int, default=2, help="networks at a time (default 2)")
    parser.add_argument("--tables", type=Path, default=Path("results/data-size"), help="folder")
    parser.add_argument("--from-tables", action="store_true", help="train nothing")
    parser.add_argument("--write", type=Path, help="page whose table and figure are written")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    path = options.tables / "accuracies.parquet"
    if not options.from_tables:
        rows = trained(options)
        options.tables.mkdir(parents=True, exist_ok=True)
        columns = ["images", "model", "seed", "condition", "accuracy"]
        pd.DataFrame(rows)[columns].to_parquet(path, index=False)
    data = array(pd.read_parquet(path))
    print(text(data))
    if options.write is not None:
        before, rest = options.write.read_text().split(START)
        options.write.write_text(f"{before}{START}\n{text(data)}\n{END}{rest.split(END)[1]}")
        picture = options.write.parent.parent / "images" / "data-size.svg"
        picture.write_bytes(render(draw, data.to_dataset(name="accuracy")))


if __name__ == "__main__":
    main()
