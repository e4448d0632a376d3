"""PyTorch Lightning does one training run, from start to finish; after a kill it can be resumed.

Interrupted equals uninterrupted, bit for bit: a checkpoint holds the weights, the best weights so
far, the optimiser, the schedule, the position in the epoch's order of images and the sums of the
epoch's metrics. From a checkpoint every other file of the run is written again.
"""

from __future__ import annotations

import dataclasses
import errno
import logging
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.utilities.exceptions import SIGTERMException
from pytorch_lightning.utilities.types import STEP_OUTPUT
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor

from adaptrnn._error import InputError, bad
from adaptrnn.arun import ARUN
from adaptrnn.classifier import Classifier
from adaptrnn.config import TrainConfig, to_dict
from adaptrnn.gated import GRU, LSTM
from adaptrnn.kernels import native
from adaptrnn.leak import Noise
from adaptrnn.lock import locked
from adaptrnn.model import OWN_MODEL, name_of
from adaptrnn.run import Run, build_model, donor_of, load_task, with_readout
from adaptrnn.sequence import SequenceModel
from adaptrnn.storage import read_checkpoint, write_checkpoint, write_table, write_weights
from adaptrnn.tasks import AbstractTask, Trials, trial_scores
from adaptrnn.tasks.task import TaskPart

__all__ = ["Batches", "TrainingError", "train"]

log = logging.getLogger(__name__)
LOOK_EVERY = 10
"""Steps between two looks at the loss on a GPU, where each look waits for the device."""
_WRITTEN = (
    "config.json",
    "record.json",
    "permutation.json",
    "checkpoint.ckpt",
    "weights.safetensors",
    "metrics.parquet",
)


class TrainingError(RuntimeError):
    """Training cannot continue; the message says where it stopped and what to do."""


class Batches:
    """This object gives batches of a split as the network reads them, and remembers its place.

    The order of an epoch is ``RandomState([seed, epoch]).permutation(n)``: it depends on nothing
    else. New trials of a task that makes them depend on seed, epoch and number of the batch. With
    several devices, each takes every `world`-th trial of every batch: equal numbers in training
    (seed given), since gradients are averaged; all trials in validation.

    Args:
        task: what makes a batch.
        split: the task's train, validation or test part.
        batch_size: trials of a batch, over all devices.
        seed: of the order; None for the split's own order.
        rank: which device this is.
        world: number of devices.

    Example:
        >>> from adaptrnn.tasks import load
        >>> task = load("digits")
        >>> batches = Batches(task, task.train, 100, seed=0)
        >>> len(batches), next(iter(batches)).inputs.shape
        (11, torch.Size([64, 100, 1]))
    """

    def __init__(
        self,
        task: AbstractTask,
        split: TaskPart,
        batch_size: int,
        seed: int | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if batch_size < world:
            raise bad("batch_size", batch_size, f">= {world}, one trial for each device")
        self.task, self.split, self.batch_size = task, split, batch_size
        self.seed, self.rank, self.world = seed, rank, world
        self.epoch, self.position = 0, 0
        self._resumed = False

    @property
    def sampler(self) -> Batches:
        """Return this object, because Lightning looks here for `set_epoch`."""
        return self

    @property
    def batch_sampler(self) -> None:
        """Return this object, because Lightning looks here too."""
        return None

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next; Lightning calls this."""
        if epoch != self.epoch:
            self.epoch, self.position, self._resumed = epoch, 0, False

    def __len__(self) -> int:
        whole, rest = divmod(len(self.split), self.batch_size)
        return whole + (rest > self.rank if self.seed is None else rest >= self.world)

    def __iter__(self) -> Iterator[Trials]:
        if not self._resumed:
            self.position = 0
        self._resumed = False
        new = self.task.generator is not None and self.seed is not None
        order = np.arange(0 if new else len(self.split))
        if self.seed is not None and not new:
            order = np.random.RandomState([self.seed, self.epoch]).permutation(len(self.split))
        while self.position < len(self):
            start = self.position * self.batch_size
            self.position += 1
            if new:
                made = self.task.draw(self.seed, self.epoch, self.position - 1, self.batch_size)  # type: ignore[attr-defined]
                yield made[self._share(torch.arange(len(made)))] if self.world > 1 else made
            else:
                chosen = torch.from_numpy(order[start : start + self.batch_size])
                yield self.task.batch(self.split, self._share(chosen))

    def _share(self, chosen: Tensor) -> Tensor:
        """What of a batch this device takes."""
        if self.seed is not None:
            chosen = chosen[: len(chosen) // self.world * self.world]
        return chosen[self.rank :: self.world]

    def state_dict(self) -> dict[str, int]:
        """Return the place: the epoch and the number of batches that were given."""
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue from a place; a finished epoch is not given again."""
        self.epoch, self.position = state["epoch"], state["position"]
        self._resumed = self.position < len(self)


def _looked_at(loss: Tensor, index: int) -> bool:
    """Whether the loss of a step is read: on a CPU always, for nothing has to be waited for."""
    return loss.device.type == "cpu" or index % LOOK_EVERY == 0


def _sums(loss: Tensor, outputs: Tensor, trials: Trials) -> Tensor:
    """Sums of loss, weights, scores and trials of a batch, (4,) float64, where the loss is."""
    score = trial_scores(outputs, trials).sum()
    count = torch.full_like(score, len(trials))
    weight = count if trials.weights is None else trials.weights.sum(dtype=torch.float64)
    return torch.stack([loss.detach().double() * weight, weight, score, count])


class _Module(pl.LightningModule):
    """The network, its optimiser and schedule, and the metrics of an epoch."""

    def __init__(
        self,
        config: TrainConfig,
        model: Classifier | SequenceModel,
        task: AbstractTask,
        run: Run,
    ) -> None:
        super().__init__()
        self.config, self.model, self.task, self.run = config, model, task, run
        self.show_epoch: Callable[[dict[str, float]], None] | None = None
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Tensor] | None = None  # weights of the best epoch
        # sums of the loss, its weights, the scores, and the number of trials
        self._train = torch.zeros(4, dtype=torch.float64)
        self._validation = torch.zeros(4, dtype=torch.float64)
        self._plateau: torch.optim.lr_scheduler.ReduceLROnPlateau | None = None
        self._plateau_state: dict[str, Any] | None = None
        self._rate = config.learning_rate
        self._batch = 0
        self._began = time.monotonic()

    def _loader(self, split: TaskPart, batch_size: int, seed: int | None) -> Batches:
        rank, world = self.trainer.global_rank, self.trainer.world_size
        return Batches(self.task, split, batch_size, seed, rank, world)

    def train_dataloader(self) -> Batches:
        return self._loader(self.task.train, self.config.batch_size, self.config.seed)

    def val_dataloader(self) -> Batches:
        # a fixed size, so that the sums do not depend on the training batch
        return self._loader(self.task.validation, max(100, self.trainer.world_size), None)

    def configure_optimizers(self) -> Any:
        config, rate = self.config, self.config.learning_rate
        weights = [p for p in self.model.parameters() if p.requires_grad]
        optimiser = torch.optim.Adam(weights, lr=rate)
        if config.schedule == "one-cycle":
            steps = config.epochs * len(self.train_dataloader())
            cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
            return [optimiser], [{"scheduler": cycle, "interval": "step"}]
        if config.schedule == "plateau":
            # stepped and saved here: Lightning steps it after the checkpoint of an epoch
            self._plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser)
            if self._plateau_state is not None:
                self._plateau.load_state_dict(self._plateau_state)
        return optimiser

    def _loss(self, trials: Trials) -> tuple[Tensor, Tensor]:
        if isinstance(self.model, SequenceModel):
            return self.model.trial_loss(trials)
        return self.model(trials.inputs, target=trials.targets)

    def training_step(self, batch: Trials, index: int) -> Tensor:
        noise = getattr(self.model.core, "noise", None)
        if isinstance(noise, Noise):  # the same after a training run was resumed
            noise.reseed(self.config.seed, self.global_step, self.global_rank)
        loss, outputs = self._loss(batch)
        self._batch = index
        if _looked_at(loss, index) and not np.isfinite(value := float(loss.detach())):
            raise self._not_finite(value, index, batch.inputs)
        self._train = self._train.to(loss.device) + _sums(loss, outputs, batch)
        self._rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.log("train_loss_step", loss.detach(), batch_size=len(batch))
        return loss

    def validation_step(self, batch: Trials, index: int) -> None:
        loss, outputs = self._loss(batch)
        self._validation = self._validation.to(loss.device) + _sums(loss, outputs, batch)

    def on_before_batch_transfer(self, batch: Trials, dataloader_idx: int) -> Trials:
        """Through pinned memory to a GPU: then the copy does not wait for the device."""
        return batch.apply(Tensor.pin_memory) if self.device.type == "cuda" else batch

    def transfer_batch_to_device(
        self, batch: Trials, device: torch.device, dataloader_idx: int
    ) -> Trials:
        """Copy from pinned memory without waiting, as Lightning does of plain tensors only."""
        return batch.to(device, non_blocking=device.type == "cuda")

    def on_train_epoch_end(self) -> None:
        both = self._train.to(self.device), self._validation.to(self.device)
        sums = torch.stack(both)
        sums = self.trainer.strategy.reduce(sums, reduce_op="sum").cpu()
        (train_loss, train_weight, train_score, train_count), validation = sums.tolist()
        loss, weight, score, count = validation
        self._train.zero_()
        self._validation.zero_()
        now = time.monotonic()
        row = {
            "epoch": self.current_epoch,
            "step": self.global_step,
            "lr": self._rate,
            "train_loss": train_loss / train_weight,
            f"train_{self.task.metric}": train_score / train_count,
            "validation_loss": loss / weight,
            f"validation_{self.task.metric}": score / count,
            "seconds": now - self._began,
        }
        self._began = now
        if not np.isfinite(row["validation_loss"]):
            raise self._not_finite(row["validation_loss"], None, None)
        best = best_of(self.history, self.task)
        self.history.append(row)
        if self._plateau is not None:
            self._plateau.step(row["validation_loss"])
        self.log_dict({name: value for name, value in row.items() if name not in ("epoch", "step")})
        new = best is None or best_of(self.history, self.task) != best
        if new:
            self.best = {
                name: value.detach().to("cpu", copy=True).contiguous()
                for name, value in self.model.state_dict().items()
            }
        if self.trainer.is_global_zero:
            self._write(new or not self.run.weights_path.exists())
            if self.show_epoch is not None:
                self.show_epoch(row)

    def _write(self, weights: bool) -> None:
        """What a checkpoint holds too, as files of their own."""
        if weights and self.best is not None:
            write_weights(self.run.weights_path, self.best)
        write_table(self.run.metrics_path, pd.DataFrame(self.history))

    def _not_finite(self, value: float, batch: int | None, x: Tensor | None) -> TrainingError:
        bad_weights = [n for n, p in self.model.named_parameters() if not p.isfinite().all()]
        if x is not None and not x.isfinite().all():
            cause = "The input has values that are not finite."
        elif bad_weights:
            cause = f"Weights that are not finite: {', '.join(bad_weights)}."
        else:
            cause = "Input and weights are finite: the network's state grew without bound."
        where = "at validation" if batch is None else f"batch {batch}"
        kept = self.run.checkpoint_path
        kept_text = (
            f"The last good state is {kept}." if kept.exists() else "No state was saved yet."
        )
        return TrainingError(
            f"loss={value} in epoch {self.current_epoch}, {where} (step {self.global_step}). "
            f"{cause} {kept_text} Try a smaller --lr, or --clip 1, in another folder (--out)."
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        plateau = None if self._plateau is None else self._plateau.state_dict()
        if not self._train.isfinite().all():  # since the last look, on a GPU
            raise self._not_finite(float(self._train[0]), self._batch, None)
        checkpoint["adaptrnn"] = {
            "config": to_dict(self.config),
            "history": self.history,
            "best": self.best,
            "train": self._train.tolist(),
            "plateau": plateau,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = checkpoint["adaptrnn"]
        if "config" in state:
            self.run.same_options(state["config"], self.config)
        self.history, self.best = list(state["history"]), state.get("best")
        missing = not (self.run.weights_path.exists() and self.run.metrics_path.exists())
        if missing and self.history and self.trainer.is_global_zero:
            self._write(weights=True)
        sums = list(state["train"])
        if len(sums) == 3:  # of a version in which every weight was 1: loss, hits, images
            sums = [sums[0], sums[2], sums[1], sums[2]]
        self._train = torch.tensor(sums, dtype=torch.float64)
        self._plateau_state = state["plateau"]
        if self._plateau is not None:
            self._plateau.load_state_dict(state["plateau"])


def best_of(history: list[dict[str, float]], task: AbstractTask) -> float | None:
    """Return the best validation accuracy, or error, of some epochs; None without any epoch."""
    values = [row[f"validation_{task.metric}"] for row in history]
    return (min if task.metric == "error" else max)(values, default=None)


class _AtomicIO(TorchCheckpointIO):
    """Checkpoints that are whole or not there, and that run no code when read."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None
    ) -> None:
        path = Path(path)
        write_checkpoint(path, checkpoint, path.with_suffix(".previous.ckpt"))

    def load_checkpoint(
        self, path: str | Path, map_location: object = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        path = Path(path)
        try:
            return read_checkpoint(path)
        except InputError as error:
            previous = path.with_suffix(".previous.ckpt")
            if not previous.exists() or previous == path:
                raise
            state = read_checkpoint(previous)
            log.warning("%s The one before it, %s, is used.", error, previous)
            return state


class _Checkpoint(pl.callbacks.Checkpoint):
    """Save the state after every epoch, and within one at an interval and at SIGTERM."""

    def __init__(self, path: Path, seconds: float) -> None:
        self.path, self.seconds, self.last = path, seconds, time.monotonic()

    def _save(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self.path)
        self.last = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: STEP_OUTPUT,
        batch: object,
        batch_idx: int,
    ) -> None:
        # not after the last batch: the epoch's validation would be skipped when going on
        due = trainer.received_sigterm or time.monotonic() - self.last >= self.seconds
        if due and trainer.world_size == 1 and batch_idx + 1 < trainer.num_training_batches:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._save(trainer)


def show_score(row: Mapping[str, object], *, name: bool = False) -> str:
    """Return the validation accuracy, or error, of an epoch or of a run's record, in words."""
    if "validation_error" in row:
        return f"{'error ' if name else ''}{row['validation_error']:.4g}"
    return f"{'accuracy ' if name else ''}{row['validation_accuracy']:.{2 if name else 1}%}"


def what_is_trained(module: _Module) -> str:
    """Return one line: the network, its size, the task, the device and the folder.

    Args:
        module: the Lightning module of a run.
    """
    config, task, core = module.config, module.task, module.model.core
    count = sum(weights.numel() for weights in module.parameters())
    name = type(core).__name__ if config.model == OWN_MODEL else config.model
    size = getattr(core, "hidden_size", None)
    neurons = f", {size} neurons" if size else ""
    return (
        f"{name}{neurons}, {count:,} parameters, on {config.task}: {len(task.train):,} trials in "
        f"batches of {config.batch_size}, {config.epochs} epochs, on {module.device} by "
        f"{_backend(core, module.device)}; kept in {module.run.folder}"
    )


def _backend(core: torch.nn.Module, device: torch.device) -> str:
    """Which implementation runs a core."""
    name = getattr(core, "backend", None)
    if name is None:
        return "its own code" if not isinstance(core, LSTM | GRU) else "torch's kernels"
    plain = isinstance(core, ARUN) and not core._has_kernels()
    if name == "auto" and device.type == "cpu":
        return "plain torch" if plain or native.why_not() is not None else "the native kernels"
    return "plain torch" if name == "reference" or plain else f"backend {name}"


class _Bar(pl.Callback):
    """One line for the whole run: epoch, loss, validation accuracy, time left."""

    def __init__(self, console: Console, epochs: int) -> None:
        self.console, self.epochs = console, epochs
        self.progress: Progress | None = None

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, _Module)
        if not trainer.is_global_zero:
            return
        self.console.print(what_is_trained(module), highlight=False, soft_wrap=True)
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("loss {task.fields[loss]:.3f}  validation {task.fields[score]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self.bar = self.progress.add_task(
            "epoch",
            total=int(trainer.num_training_batches) * self.epochs,
            loss=float("nan"),
            score="-",
        )
        if self.console.is_terminal:
            self.progress.start()
        self._show(trainer, module)

    def _show(self, trainer: pl.Trainer, module: _Module, **values: Any) -> None:
        if self.progress is None:
            return
        if module.history:
            values["score"] = show_score(module.history[-1])
        text = f"epoch {trainer.current_epoch + 1}/{self.epochs}"
        self.progress.update(self.bar, completed=trainer.global_step, description=text, **values)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: STEP_OUTPUT,
        batch: object,
        batch_idx: int,
    ) -> None:
        assert isinstance(module, _Module) and isinstance(outputs, Mapping)
        if _looked_at(outputs["loss"], batch_idx):
            self._show(trainer, module, loss=float(outputs["loss"]))

    def show_epoch(self, row: dict[str, float]) -> None:
        """One line for each epoch, which stays; on a terminal it stands above the bar."""
        self.console.print(
            f"epoch {row['epoch'] + 1:.0f}  train loss {row['train_loss']:.4f}  validation "
            f"loss {row['validation_loss']:.4f} {show_score(row, name=True)}  "
            f"{row['seconds']:.1f} s",
            highlight=False,
        )

    def teardown(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        if self.progress is not None and self.console.is_terminal:
            self.progress.stop()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's notices of hardware and its advice on data loaders."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", module="lightning_fabric")
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def _alone(run: Run, devices: int) -> Iterator[None]:
    """Hold the run's folder against other processes; the system frees it when this one dies."""
    ranks = (os.environ.get(name, "0") for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
    if devices > 1 and any(rank != "0" for rank in ranks):
        yield  # the first of this run's processes holds it
        return
    with locked(run.folder, "training this run"):
        for name in _WRITTEN:
            for left in run.folder.glob(f".{name}.*"):  # of a process killed while it wrote
                left.unlink(missing_ok=True)
        yield


def train(
    task: TrainConfig | AbstractTask,
    core: torch.nn.Module | None = None,
    *,
    console: Console | None = None,
    **options: object,
) -> Run:
    """Train a network, or resume a run that was interrupted.

    Args:
        task: a configuration, which names task and network; or a task, with a `core`.
        core: the recurrent core of your own, or a layer of adaptrnn, called as
            ``output, state = core(x)``, time first; it gets a linear readout and is trained as it
            is given, in place. After an interruption the same call resumes, with a new core of the
            same kind.
        console: where progress is shown; None for nowhere.
        **options: further fields of `TrainConfig`, such as out, epochs, lr, batch_size, schedule,
            clip and seed, where a task is given.

    Returns:
        The finished run; ``run.model()`` is the network with the weights of its best epoch.

    Raises:
        InputError: the folder holds another run, cannot be written or is being trained by another
            process; data or an option cannot be used; both checkpoints are damaged.
        TrainingError: the loss is not finite, or the disk is full; the last good checkpoint
            is kept.
        KeyboardInterrupt: Ctrl-C; the same call resumes from the last checkpoint.
        SystemExit: SIGTERM, with exit code 143; the state is saved first.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     config = TrainConfig("digits", model="gru", hidden_size=8, epochs=1, out=folder)
        ...     run = train(config)
        ...     run.record()["state"]
        'finished'

        A task and a core of your own:

        >>> from adaptrnn.tasks import load
        >>> task = load("adding", parameters={"steps": 10}, train_size=100)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run = train(task, torch.nn.GRU(2, 8), epochs=1, lr=1e-2, out=folder)
        ...     tuple(run.model()(task.test.inputs[:, :5]).shape)
        (10, 5, 1)
    """
    if isinstance(task, TrainConfig):
        if core is not None or options:
            given = "core" if core is not None else next(iter(options))
            raise bad(given, "given", "left out with a configuration", "Give a task instead.")
        config = task
        _check_devices(config)
        loaded = load_task(config)
        model = build_model(config, loaded, donor_of(config))
        return _train_in(config, console, loaded, model, Run(config.folder))
    if core is None:
        raise bad("core", None, "a recurrent core, such as adaptrnn.ARUN(...)")
    config = _own_config(task, core, options)
    _check_devices(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = with_readout(core, task)
    run = Run(config.folder, given_task=task, given_core=core)
    return _train_in(config, console, task, model, run, given=True)


def _own_config(task: AbstractTask, core: torch.nn.Module, options: dict[str, Any]) -> TrainConfig:
    """What a configuration can say of a network that was given."""
    said: dict[str, Any] = {"task": task.name, "hidden_size": getattr(core, "hidden_size", None)}
    name = name_of(core) or OWN_MODEL
    if isinstance(core, ARUN):
        said["controller_size"] = core.controller_size
    taken = sorted((said.keys() | {"model"}) & options.keys())
    if taken:
        raise bad(taken[0], options[taken[0]], "left out: the task or the core says it")
    try:
        config = TrainConfig(**said, model=name, **options)
    except TypeError as error:
        raise InputError(f"options: {error}".replace("TrainConfig.__init__() ", "")) from None
    if name != OWN_MODEL:
        same, made = _shapes(core), _shapes(build_model(config, task, donor_of(config)).core)
        if same != made or (isinstance(core, ARUN) and not core._has_kernels()):
            config = dataclasses.replace(config, model=OWN_MODEL)
    return config


def _shapes(core: torch.nn.Module) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (w.shape, w.dtype) for name, w in core.state_dict().items()}


def _check_devices(config: TrainConfig) -> None:
    if config.accelerator == "gpu" and not torch.cuda.is_available():
        raise bad("accelerator", "gpu", "cpu or auto here", "torch sees no GPU on this machine.")
    if config.accelerator != "cpu" and 0 < torch.cuda.device_count() < config.devices:
        raise bad("devices", config.devices, f"at most {torch.cuda.device_count()}, the GPUs here")


def _train_in(
    config: TrainConfig,
    console: Console | None,
    task: AbstractTask,
    model: Classifier | SequenceModel,
    run: Run,
    given: bool = False,
) -> Run:
    with _alone(run, config.devices):
        try:
            run.start(config, task, model, given=given)
            return _fit(config, console, task, model, run)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            raise TrainingError(
                f"{run.folder}: the disk is full or a quota is reached ({error.strerror}). Nothing "
                "written before is lost. Free space and give the same command again: the run "
                "resumes from its last checkpoint."
            ) from error


def _lightning_precision(config: TrainConfig) -> Literal["bf16-mixed", "32-true"]:
    """Autocast for encoder and readout on a GPU; on a CPU the kernels round their own products."""
    on_gpu = config.accelerator != "cpu" and torch.cuda.is_available()
    return "bf16-mixed" if on_gpu and config.precision == "bf16" else "32-true"


def _fit(
    config: TrainConfig,
    console: Console | None,
    task: AbstractTask,
    model: Classifier | SequenceModel,
    run: Run,
) -> Run:
    whole = run.weights_path.exists() and run.metrics_path.exists()
    if run.record()["state"] == "finished" and whole:
        return run
    module = _Module(config, model, task, run)
    kept = (run.checkpoint_path, run.previous_checkpoint_path)
    resume = next((path for path in kept if path.exists()), None)
    callbacks: list[pl.Callback] = [_Checkpoint(run.checkpoint_path, config.checkpoint_seconds)]
    if console is not None:
        bar = _Bar(console, config.epochs)
        callbacks.append(bar)
        module.show_epoch = bar.show_epoch
    with _quiet():
        trainer = pl.Trainer(
            default_root_dir=run.folder,
            accelerator=config.accelerator,
            devices=config.devices,
            strategy="ddp" if config.devices > 1 else "auto",
            max_epochs=config.epochs,
            precision=_lightning_precision(config),
            gradient_clip_val=config.clip,
            callbacks=callbacks,
            logger=[
                TensorBoardLogger(run.folder, name="logs", version="tensorboard"),
                CSVLogger(run.folder / "logs", name="csv"),
            ],
            plugins=[_AtomicIO()],
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            log_every_n_steps=10,
        )
        try:
            trainer.fit(module, ckpt_path=resume, weights_only=True)
        except SIGTERMException:  # would end the process with exit code 0
            raise SystemExit(128 + signal.SIGTERM) from None
        except SystemExit:  # so Lightning ends a run that Ctrl-C stopped
            if trainer.interrupted:
                raise KeyboardInterrupt from None
            raise
    if trainer.is_global_zero:
        best = best_of(module.history, task)
        seconds = sum(row["seconds"] for row in module.history)
        run.update({"state": "finished", f"validation_{task.metric}": best, "seconds": seconds})
    trainer.strategy.barrier("finished")  # no process returns before the record is written
    return run
