"""Do adaptive f-I curves help on three cognitive tasks, clean and under drive? Tables and figures.

    OMP_NUM_THREADS=1 python benchmarks/cognitive.py --jobs 2 --write docs/explanation/adaptation.md

trains an ARUN and networks of equally many parameters on perceptual decisions, delayed match to
sample and the adding problem, and evaluates them clean and under drives. The learning rate of each
model and task is the one of `RATES` with the least validation loss, clean, for a seed that is not
reported. Of each training run the weights with the least validation loss are kept.

A training run is one file in --out, and one that is there is not repeated, so a command that was
stopped resumes, and commands for some of the models or tasks add up. All that is in --out goes into
the tables in --tables, from which alone the page and its figures are made. With --from-tables
nothing is trained.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from matplotlib.figure import Figure
from scipy.stats import norm

from adaptrnn import SequenceModel
from adaptrnn._error import InputError
from adaptrnn.analysis import interval, paired_test
from adaptrnn.analysis.statistic import holm
from adaptrnn.classifier import build_core, match_parameters
from adaptrnn.evaluation import evaluate_trials
from adaptrnn.figure.style import Drawing, colour, label_of, marker, subplots
from adaptrnn.perturb import NoisyDrive, Perturbation, StepDrive, Sum
from adaptrnn.storage import read_json, read_table, write_atomic, write_json, write_table
from adaptrnn.tasks import Task, load

BEGIN, END = "<!-- cognitive: written by benchmarks/cognitive.py -->", "<!-- end of cognitive -->"
COMMAND = "OMP_NUM_THREADS=1 python benchmarks/cognitive.py --jobs 2"
MODELS = ("arun", "gamma", "relu", "lstm", "gru")
RATES = (1e-3, 3e-3, 1e-2)
SEEDS, SEARCH_SEED = (0, 1, 2, 3, 4), 1001
SIZES = (0.1, 0.3, 1.0, 3.0)
NO_DRIVE = "clean"
PAPER_NOISE = "noise 5 +- 1.4"
DRIVES: dict[str, Perturbation] = {
    NO_DRIVE: Sum(()),
    **{f"step {size:g}": StepDrive(size) for size in SIZES},
    **{f"noise {size:g}": NoisyDrive(0.0, size**2) for size in SIZES},
    PAPER_NOISE: NoisyDrive(5.0, 2.0),
}
"""Steps of constant current, noise of mean 0 by its standard deviation, and the paper's noise."""


@dataclass(frozen=True)
class Setting:
    """How a task is trained.

    Args:
        task: its name.
        parameters: of the task.
        steps: training steps.
        batch: new trials in each of them.
        every: steps between two looks at the validation trials.
        validation: trials to choose by.
        test: trials to report on.
        hidden_size: neurons of the ARUN that the other models are matched to.
        controller_size: units of its controller.
    """

    task: str
    parameters: Mapping[str, Any]
    steps: int
    batch: int = 50
    every: int = 50
    validation: int = 500
    test: int = 1000
    hidden_size: int = 50
    controller_size: int = 10

    def made(self, seed: int) -> Task:
        """The task, with validation and test trials of this seed."""
        sizes = {"validation_size": self.validation, "test_size": self.test}
        given = {**self.parameters, **sizes, "train_size": self.batch, "seed": seed}
        return load(self.task, parameters=given)


SETTINGS = (
    Setting("perceptual-decision", {}, steps=2500, test=3000),
    Setting("delayed-match", {}, steps=1500),
    Setting("adding", {"steps": 100}, steps=2500),
)


# --- one training run ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """One network to train: a model on a task, its seed and its learning rate."""

    setting: Setting
    model: str
    seed: int
    rate: float
    drives: bool = True

    @property
    def name(self) -> str:
        return f"{self.setting.task}-{self.model}-seed{self.seed}-rate{self.rate:g}"


def build(setting: Setting, model: str, task: Task, seed: int) -> SequenceModel:
    """The untrained network, of as many parameters as the ARUN within 3%."""
    sizes = match_parameters(
        [model],
        task.input_size,
        task.output_size,
        setting.hidden_size,
        setting.controller_size,
        tolerance=0.03,
    )
    torch.manual_seed(seed)
    core = build_core(model, task.input_size, sizes[model], setting.controller_size)
    return SequenceModel(core, task.output_size)


def train(job: Job) -> tuple[SequenceModel, Task, list[dict[str, float]]]:
    """The network with its best weights, its task, and the validation curve.

    Trials depend on task, seed and training step only, so every model sees the same ones.
    """
    setting, task = job.setting, job.setting.made(job.seed)
    model = build(setting, job.model, task, job.seed)
    optimizer = torch.optim.Adam(model.parameters(), job.rate)
    curve: list[dict[str, float]] = []
    best, kept = math.inf, {}
    for step in range(setting.steps + 1):
        if step % setting.every == 0:
            try:
                found = evaluate_trials(model, task, split="validation", keep_outputs=False)
            except InputError:  # a loss that is not finite
                break
            curve.append({"step": step, "loss": found.loss, "score": float(found.score.mean())})
            if found.loss < best:
                best = found.loss
                kept = {name: value.clone() for name, value in model.state_dict().items()}
        if step < setting.steps:
            optimizer.zero_grad()
            loss, _ = model.trial_loss(task.draw(job.seed, step, 0, setting.batch))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    model.load_state_dict(kept)
    return model, task, curve


def scores(model: SequenceModel, task: Task) -> list[dict[str, Any]]:
    """The test score under every drive, of all trials and at each value of the task's condition.

    A state that is not finite has no score: NaN.
    """
    rows: list[dict[str, Any]] = []
    for drive, perturbation in DRIVES.items():
        try:
            score = evaluate_trials(model, task, perturbation, keep_outputs=False).score.numpy()
        except InputError:
            score = np.full(len(task.test), math.nan)
        rows.append({"drive": drive, "condition": math.nan, "score": float(score.mean())})
        if task.condition == "coherence":
            each = task.test.conditions[task.condition].numpy()
            rows += [
                {"drive": drive, "condition": value, "score": float(score[each == value].mean())}
                for value in np.unique(each)
            ]
    return rows


def work(job: Job, folder: Path) -> dict[str, Any]:
    """What is known of a job: from its file, or by training and evaluating it now."""
    path = folder / f"{job.name}.json"
    asked = {**asdict(job), "drive_texts": {name: str(p) for name, p in DRIVES.items()}}
    if path.exists():
        found = read_json(path, "Delete it and give the command again.")
        if found["job"] == asked:
            return found
    begin = time.process_time()
    model, task, curve = train(job)
    found = {
        "job": asked,
        "neurons": int(model.core.hidden_size),
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "curve": curve,
        "scores": scores(model, task) if job.drives else [],
        "seconds": time.process_time() - begin,
    }
    write_json(path, found, hashed=True)
    return found


# --- all of them --------------------------------------------------------------------------------


def least_loss(found: Mapping[str, Any]) -> float:
    """The least validation loss of a training run; infinite where there is none."""
    return min((row["loss"] for row in found["curve"]), default=math.inf)


Map = Callable[[Callable[[Job], dict[str, Any]], list[Job]], Iterator[dict[str, Any]]]


def measure(
    settings: tuple[Setting, ...],
    seeds: tuple[int, ...],
    rates: tuple[float, ...],
    folder: Path,
    each: Map = map,
    models: tuple[str, ...] = MODELS,
) -> None:
    """Search the rates, then train every seed, task by task; `finished` has what came out.

    Args:
        settings: the tasks.
        seeds: those that are reported.
        rates: learning rates, the same for every model and task.
        folder: gets a file for each training run.
        each: `map`, or the `map` of a pool of processes.
        models: names of models.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def done(jobs: list[Job]) -> list[dict[str, Any]]:
        results = []
        for job, found in zip(jobs, each(partial(work, folder=folder), jobs), strict=True):
            last = found["curve"][-1]
            print(f"{job.name}: {last['score']:.4g}, {found['seconds']:.0f} s", flush=True)
            results.append(found)
        return results

    for setting in settings:
        search = [
            Job(setting, model, SEARCH_SEED, rate, drives=False)
            for model in models
            for rate in rates
        ]
        losses = {model: {} for model in models}
        for job, found in zip(search, done(search), strict=True):
            losses[job.model][job.rate] = least_loss(found)
        chosen = {model: min(losses[model], key=losses[model].__getitem__) for model in models}
        done([Job(setting, model, seed, chosen[model]) for seed in seeds for model in models])


def finished(settings: tuple[Setting, ...], folder: Path) -> list[dict[str, Any]]:
    """What `work` gave of every training run in a folder that has one of the settings."""
    asked = [asdict(setting) for setting in settings]
    found = [read_json(path) for path in sorted(folder.glob("*.json"))]
    found = [one for one in found if one["job"]["setting"] in asked]

    def order(one: Mapping[str, Any]) -> tuple[int, bool, int, int]:
        job = one["job"]
        model = MODELS.index(job["model"])
        return asked.index(job["setting"]), job["drives"], job["seed"], model

    return sorted(found, key=order)


def tables(results: list[dict[str, Any]]) -> dict[str, pd.DataFrame]:
    """Three tables: the networks, their validation curves, and their test scores."""
    networks, curves, tested = [], [], []
    for found in results:
        job = found["job"]
        key = {"task": job["setting"]["task"], "model": job["model"], "seed": job["seed"]}
        key["rate"] = job["rate"]
        least = min(found["curve"], key=lambda row: row["loss"], default=None)
        networks.append(
            {
                **key,
                "search": not job["drives"],
                "neurons": found["neurons"],
                "parameters": found["parameters"],
                "training_steps": job["setting"]["steps"],
                "last_step": found["curve"][-1]["step"] if least else -1,
                "best_step": least["step"] if least else -1,
                "validation_loss": least["loss"] if least else math.inf,
                "validation_score": least["score"] if least else math.nan,
                "seconds": found["seconds"],
            }
        )
        curves += [{**key, **row} for row in found["curve"]]
        tested += [{**key, **row} for row in found["scores"]]
    made = {"networks": networks, "curves": curves, "scores": tested}
    return {name: pd.DataFrame(rows) for name, rows in made.items()}


# --- what came out ------------------------------------------------------------------------------


def metric(task: str) -> str:
    return "error" if task == "adding" else "accuracy"


def titled(task: str) -> str:
    """A task's name as a heading."""
    return task.capitalize().replace("-", " ")


def shown(drive: str) -> str:
    """A drive's name on the page."""
    return "noise of the paper" if drive == PAPER_NOISE else drive


def by_seed(rows: pd.DataFrame) -> xr.DataArray:
    """Score (drive, model, seed) of one task over all its trials, NaN where it was not measured."""
    whole = rows[rows.condition.isna()]
    data = whole.set_index(["drive", "model", "seed"]).score.to_xarray()
    drives = [drive for drive in DRIVES if drive in data.drive.values]
    return data.sel(drive=drives, model=[model for model in MODELS if model in data.model.values])


def scale(data: xr.DataArray, unit: str) -> xr.DataArray:
    """What intervals are made of: accuracies in %, and logarithms of errors, which are skewed."""
    return np.log(data) if unit == "error" else 100 * data


def compare(data: xr.DataArray, unit: str) -> xr.Dataset:
    """Differences ARUN minus each other model, on the same seeds, and Holm's p over all of them.

    They are differences of what `scale` gives, so those of errors are logarithms of ratios.
    """
    scaled = scale(data, unit)
    arun = scaled.sel(model="arun", drop=True)
    pairs = (scaled - arun).isel(drive=0).notnull().sum("seed")
    others = [m for m in data.model.values if m != "arun" and int(pairs.sel(model=m)) > 1]
    tests = [paired_test(arun, scaled.sel(model=model, drop=True)) for model in others]
    found = xr.concat(tests, xr.IndexVariable("model", others))
    return found.assign(p_holm=(found.p_t.dims, holm(found.p_t.values)))


def _number(value: float, unit: str) -> str:
    """A number of `scale`, as an accuracy or its difference, or as an error or its ratio."""
    if unit == "accuracy":
        return f"{value:.1f}"
    raw = math.exp(value)
    return f"{raw:#.2g}" if raw < 9.5 else f"{raw:,.0f}"


def _estimate(value: Any, one: xr.Dataset, unit: str) -> str:
    """A number and its interval; equal ones have none."""
    text = _number(float(value), unit)
    if math.isnan(float(one.low)):
        return text
    return f"{text} ({_number(float(one.low), unit)} to {_number(float(one.high), unit)})"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def score_table(data: xr.DataArray, unit: str) -> str:
    """Mean and its 95% interval, for every drive and model; of errors the geometric mean."""
    found = interval(scale(data, unit))
    rows = []
    for drive in data.drive.values:
        each = [found.sel(drive=drive, model=model) for model in data.model.values]
        rows.append([shown(drive), *(_estimate(one.estimate, one, unit) for one in each)])
    return _table(["drive", *map(label_of, data.model.values)], rows)


def difference_table(found: xr.Dataset, unit: str) -> str:
    """Differences with their 95% intervals, bold where 0 is not in one, starred after Holm."""
    rows = []
    for drive in found.drive.values:
        cells = [shown(drive)]
        for model in found.model.values:
            one = found.sel(drive=drive, model=model)
            text = _estimate(one.difference, one, unit)
            if _clear(one):
                text = f"**{text}**" + ("\\*" if float(one.p_holm) < 0.05 else "")
            cells.append(text)
        rows.append(cells)
    sign = "/" if unit == "error" else "-"
    return _table(["drive", *(f"ARUN {sign} {label_of(m)}" for m in found.model.values)], rows)


def _clear(one: xr.Dataset) -> bool:
    """Whether the interval of a difference has no 0 in it."""
    return float(one.low) > 0 or float(one.high) < 0


def verdict(found: xr.Dataset, unit: str) -> list[str]:
    """One sentence for each other model: where the ARUN is better, worse, or neither."""
    sign = -1 if unit == "error" else 1
    lines = []
    for model in found.model.values:
        where: dict[str, list[str]] = {"better": [], "worse": []}
        for drive in found.drive.values:
            one = found.sel(drive=drive, model=model)
            if _clear(one):
                where["better" if sign * float(one.difference) > 0 else "worse"].append(
                    shown(drive)
                )
        said = [f"{word} in {_and(drives)}" for word, drives in where.items() if drives]
        count = len(found.drive)
        none = count - sum(map(len, where.values()))
        if none:
            said.append(f"not clearly different in {none} of the {count} conditions")
        lines.append(f"- Compared with {label_of(model)}, the ARUN is {_and(said)}.")
    return lines


def _and(words: list[str]) -> str:
    """Words as a list in a sentence."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def flat(curves: pd.DataFrame) -> pd.Series:
    """How much the best validation loss fell in the last fifth of training, relative, by model."""

    def fall(curve: pd.DataFrame) -> float:
        before = curve[curve.step <= 0.8 * curve.step.max()].loss.min()
        return 1 - min(curve.loss.min(), before) / before

    each = {key: fall(curve) for key, curve in curves.groupby(["model", "seed"])}
    return pd.Series(each).groupby(level=0).median()


def ideal_observer(task: Task) -> float:
    """Mean accuracy of who sums the evidence of perceptual decisions, over their coherences."""
    given: Mapping[str, Any] = task.parameters
    steps, noise = given["stimulus"], given["noise"]
    deviates = np.array(given["coherences"]) * math.sqrt(steps / 2) / noise
    return float(norm.cdf(deviates).mean())


def _limits(axis: Any, unit: str) -> None:
    """All that an accuracy can be, although intervals may be wider; errors in logs."""
    if unit == "accuracy":
        axis.set_ylim(0, 102)
    else:
        axis.set_yscale("log")


def draw_learning(networks: pd.DataFrame, curves: pd.DataFrame) -> Figure:
    """Validation score against the training step, a line for each seed that is reported."""
    tasks = list(dict.fromkeys(networks.task))
    figure, axes = subplots(1, len(tasks), width=3.1 * len(tasks) + 0.6, height=2.8)
    for axis, task in zip(axes[0], tasks, strict=True):
        for model in MODELS:
            label = label_of(model)
            own = curves[(curves.task == task) & (curves.model == model)]
            for _, curve in own[own.seed != SEARCH_SEED].groupby("seed"):
                value = curve.score * (1 if metric(task) == "error" else 100)
                axis.plot(curve.step, value, color=colour(model), lw=0.8, alpha=0.8, label=label)
                label = None
        axis.set(title=titled(task), xlabel="training step")
        _limits(axis, metric(task))
        unit = "mean absolute error" if metric(task) == "error" else "accuracy (%)"
        axis.set_ylabel(f"validation {unit}")
    axes[0, 0].legend()
    return figure


def _curve(axis: Any, x: Any, data: xr.DataArray, model: str, unit: str) -> None:
    """Mean over seeds with its interval against x."""
    found = interval(scale(data, unit))
    ends = [found.estimate, found.low.fillna(found.estimate), found.high.fillna(found.estimate)]
    middle, low, high = (np.exp(end) if unit == "error" else end for end in ends)
    axis.errorbar(
        x, middle, [middle - low, high - middle], color=colour(model), marker=marker(model),
        capsize=2, lw=1.2, label=label_of(model),
    )  # fmt: skip


def draw_drives(rows: pd.DataFrame) -> Figure:
    """Test score against the size of the step and of the noise, a column for each task."""
    tasks = list(dict.fromkeys(rows.task))
    figure, axes = subplots(2, len(tasks), width=3.1 * len(tasks) + 0.6, height=5.4)
    places = np.arange(1 + len(SIZES))
    for column, task in zip(axes.T, tasks, strict=True):
        data, unit = by_seed(rows[rows.task == task]), metric(task)
        for axis, kind in zip(column, ("step", "noise"), strict=True):
            drives = [NO_DRIVE, *(f"{kind} {size:g}" for size in SIZES)]
            shift = np.linspace(-0.12, 0.12, data.sizes["model"])
            for model, aside in zip(data.model.values, shift, strict=True):
                one = data.sel(drive=drives, model=model, drop=True)
                _curve(axis, places + aside, one, str(model), unit)
            axis.set_xticks(places, ["0", *(f"{size:g}" for size in SIZES)])
            size = "size of the step" if kind == "step" else "standard deviation of the noise"
            axis.set(xlabel=size, ylabel="accuracy (%)" if unit == "accuracy" else "error")
            _limits(axis, unit)
        column[0].set_title(titled(task))
    axes[0, 0].legend()
    return figure


def draw_psychometric(rows: pd.DataFrame) -> Figure:
    """Accuracy of decisions against coherence, clean and under two drives."""
    rows = rows[rows.condition.notna()]
    drives = [NO_DRIVE, "step 1", "noise 1"]
    figure, axes = subplots(1, len(drives), width=9.9, height=3.0, sharey=True)
    for axis, drive in zip(axes[0], drives, strict=True):
        data = rows[rows.drive == drive].set_index(["condition", "model", "seed"])
        data = data.score.to_xarray()
        places = np.arange(data.sizes["condition"])
        models = [model for model in MODELS if model in data.model.values]
        for model, aside in zip(models, np.linspace(-0.12, 0.12, len(models)), strict=True):
            _curve(axis, places + aside, data.sel(model=model, drop=True), model, "accuracy")
        axis.set_xticks(places, [f"{value:g}" for value in data.condition.values])
        axis.set(title=drive, xlabel="coherence")
        _limits(axis, "accuracy")
    axes[0, 0].set_ylabel("accuracy (%)")
    axes[0, 0].legend()
    return figure


def paragraph(text: str) -> str:
    return "\n".join(textwrap.wrap(text, 120, break_long_words=False, break_on_hyphens=False))


def _training(networks: pd.DataFrame, curves: pd.DataFrame) -> str:
    rows = []
    for task, of_task in networks.groupby("task", sort=False):
        still = flat(curves[(curves.task == task) & (curves.seed != SEARCH_SEED)])
        for model in MODELS:
            own = of_task[(of_task.model == model) & ~of_task.search]
            if own.empty:
                continue
            first = own.iloc[0]
            rows.append(
                [
                    titled(str(task)),
                    label_of(model),
                    f"{first.neurons}",
                    f"{first.parameters:,}",
                    f"{first.rate:g}",
                    f"{len(own)}",
                    f"{100 * still[model]:.1f}%",
                ]
            )
    head = [
        "task",
        "model",
        "neurons",
        "parameters",
        "rate",
        "seeds",
        "decrease of the validation loss in the last fifth of training",
    ]
    return _table(head, rows)


def text(found: Mapping[str, pd.DataFrame]) -> str:
    """The part of the page that is written."""
    networks, curves, tested = (found[name] for name in ("networks", "curves", "scores"))
    seconds = networks.seconds.sum()
    models = [model for model in MODELS if model in set(networks.model)]
    some = "" if len(models) == len(MODELS) else f" --models {' '.join(models)}"
    settings = {setting.task: setting for setting in SETTINGS}
    steps = networks.groupby("task", sort=False).training_steps.first()
    batch = next(iter(settings.values())).batch
    trained = _and([f"{n:,} steps on {titled(task).lower()}" for task, n in steps.items()])
    parts = [
        paragraph(
            f"The tables and figures were written by `{COMMAND}{some} --write "
            f"docs/explanation/adaptation.md`. {len(networks)} networks were trained and "
            f"evaluated, which took {seconds / 60:.0f} minutes of one core in all."
        ),
        "### Training",
        paragraph(
            f"Each network was trained by Adam at a constant rate, with {batch} new trials in a "
            f"step and the gradient's norm clipped at 1. There were {trained}. The rate is the "
            f"best of {', '.join(f'{rate:g}' for rate in RATES)} for seed {SEARCH_SEED}, which is "
            "not reported. The last column says by how much the least validation loss fell in the "
            "last fifth of training (median over seeds)."
        ),
        _training(networks, curves),
        "![Validation curves](../images/cognitive-learning.png)",
        "### Under drive",
        paragraph("Points are means over seeds, and bars are 95% intervals of Student's t."),
        "![Test score against the size of the drive](../images/cognitive-drives.png)",
    ]
    if tested.condition.notna().any():
        parts += [
            "### Psychometric curves",
            "![Accuracy against coherence](../images/cognitive-psychometric.png)",
        ]
    for task, rows in tested.groupby("task", sort=False):
        data, unit = by_seed(rows), metric(str(task))
        differences = compare(data, unit)
        count = differences.p_holm.size
        ideal = ""
        if task == "perceptual-decision":
            ideal = f" An ideal observer scores {100 * ideal_observer(load(task)):.1f}."
        means = "Each cell is the mean over seeds with its 95% interval (accuracy in %)."
        pairs = (
            "Each cell is the mean difference of the accuracies in % over the same seeds, ARUN "
            "minus the other model, with its 95% interval. The ARUN is better where it is above 0. "
            "An interval without 0 is bold, and starred where p is below 0.05 after Holm's "
            f"correction for the {count} comparisons of the table."
        )
        if unit == "error":
            means = (
                "Each cell is the geometric mean over seeds of the mean absolute error, with its "
                "95% interval. Less is better. The errors are skewed, so all statistics are of "
                "their logarithms."
            )
            pairs = (
                "Each cell is the mean ratio of the errors over the same seeds, ARUN to the other "
                "model, with its 95% interval. The ARUN is better where it is below 1. An interval "
                "without 1 is bold, and starred where p is below 0.05 after Holm's correction for "
                f"the {count} comparisons of the table."
            )
        parts += [
            f"### {titled(str(task))}",
            paragraph(means + ideal),
            score_table(data, unit),
            paragraph(pairs),
            difference_table(differences, unit),
            "\n".join(verdict(differences, unit)),
        ]
    return "\n\n".join(parts)


def write(page: Path, found: Mapping[str, pd.DataFrame]) -> None:
    """Replace the marked part of the page, and draw its figures into ../images/."""
    images = page.parent.parent / "images"
    networks, curves, tested = (found[name] for name in ("networks", "curves", "scores"))
    draws = {"learning": partial(draw_learning, networks, curves)}
    draws["drives"] = partial(draw_drives, tested)
    if tested.condition.notna().any():
        draws["psychometric"] = partial(draw_psychometric, tested)
    for name, draw in draws.items():
        write_atomic(images / f"cognitive-{name}.png", Drawing(draw).save("png"))
    before, _, rest = page.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n\n{text(found)}\n\n{END}{after}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/cognitive"))
    parser.add_argument("--tables", type=Path, default=Path("results/cognitive"))
    parser.add_argument("--write", type=Path, help="page whose marked part is replaced")
    parser.add_argument("--from-tables", action="store_true", help="train nothing")
    parser.add_argument("--tasks", nargs="+", help="names; default all three")
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--jobs", type=int, default=1, help="processes of one thread each")
    given = parser.parse_args(arguments)
    names = ("networks", "curves", "scores")
    if given.from_tables:
        found = {name: read_table(given.tables / f"{name}.parquet") for name in names}
    else:
        chosen = tuple(s for s in SETTINGS if given.tasks is None or s.task in given.tasks)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(given.jobs, context, torch.set_num_threads, (1,)) as pool:
            measure(chosen, tuple(given.seeds), RATES, given.out, pool.map, tuple(given.models))
        found = tables(finished(SETTINGS, given.out))
        for name, table in found.items():
            write_table(given.tables / f"{name}.parquet", table)
    if given.write:
        write(given.write, found)


if __name__ == "__main__":
    main()
