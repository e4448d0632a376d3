"""A run: the folder that holds all of one training run, and how it is read and written.

config.json         the resolved configuration
record.json         task, split and permutation hashes, sizes, versions, hardware, state
permutation.json    the order of the pixels
weights.safetensors weights of the epoch with the best validation accuracy
metrics.parquet     a row per epoch
evaluation.parquet  a row per perturbation (written by `adaptrnn evaluate`)
checkpoint.ckpt     the whole state, to go on from
logs/               TensorBoard and CSV
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from adaptrnn._error import InputError, bad
from adaptrnn.classifier import Classifier, ConvEncoder, build_core, match_parameters
from adaptrnn.config import TrainConfig, from_dict, to_dict
from adaptrnn.tasks import Task, load

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Run", "build_model", "load_task", "write_atomic", "write_dataset", "write_json"]


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that it is either the old or the new one, whatever happens meanwhile.

    Args:
        path: the file; its folder is made if need be.
        data: its whole content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically."""
    write_atomic(path, (json.dumps(value, indent=1) + "\n").encode())


def write_dataset(path: Path, data: xr.Dataset) -> None:
    """Write a data set as netCDF, atomically."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.nc"  # HDF5 writes here and there in its file
        data.to_netcdf(file, engine="h5netcdf")
        write_atomic(path, file.read_bytes())


def load_task(config: TrainConfig) -> Task:
    """The task of a configuration, see `adaptrnn.tasks.load`."""
    return load(
        config.task,
        data_dir=config.data_dir,
        image_size=config.image_size,
        train_size=config.train_size,
        permutation_seed=config.permutation_seed,
    )


def build_model(config: TrainConfig, task: Task) -> Classifier:
    """The untrained network of a configuration, its weights drawn from the configuration's seed.

    Args:
        config: the configuration.
        task: its task.

    Returns:
        The classifier, on the CPU.

    Example:
        >>> config = TrainConfig("digits", model="gamma", hidden_size=8)
        >>> build_model(config, load_task(config)).core
        RNN(1, 8, nonlinearity='gamma')
    """
    convolution = task.kind == "image"
    features = ConvEncoder.features if convolution else task.input_size
    size = config.hidden_size
    if size is None:
        sizes = match_parameters(
            [config.model], features, task.num_classes, controller_size=config.controller_size
        )
        size = sizes[config.model]
    arguments: dict[str, Any] = {}
    if config.model not in ("lstm", "gru"):
        arguments |= {"recurrent_init": config.recurrent_init, "backend": config.backend}
        arguments["memory_budget"] = config.memory_budget * 2**20
    if config.model in ("gamma", "gamma-shared"):
        learn = config.learn_curve
        arguments |= {"n": config.initial_gain, "s": config.s, "learn_n": learn, "learn_s": learn}
    if config.controller_from is not None:
        donor = Run(config.controller_from).model()
        if not hasattr(donor.core, "controller"):
            raise bad("controller_from", str(config.controller_from), "a run of the model arun")
        arguments["controller"] = donor.core.controller.frozen()  # type: ignore[operator, union-attr]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        encoder = ConvEncoder(task.image_shape[0]) if convolution else None
        core = build_core(config.model, features, size, config.controller_size, **arguments)
        return Classifier(core, task.num_classes, encoder)


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that results depend on."""
    found = {"python": platform.python_version()}
    for name in ("adaptrnn", "torch", "numpy", "scipy", "pytorch-lightning", "datasets"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


@dataclass(frozen=True)
class Run:
    """One training run on disk.

    Args:
        folder: its folder.

    Raises:
        InputError: the folder is not a run (by the methods that read it).
    """

    folder: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))

    @property
    def config_path(self) -> Path:
        """config.json, which makes a folder a run."""
        return self.folder / "config.json"

    @property
    def weights_path(self) -> Path:
        """weights.safetensors."""
        return self.folder / "weights.safetensors"

    @property
    def checkpoint_path(self) -> Path:
        """checkpoint.ckpt."""
        return self.folder / "checkpoint.ckpt"

    @property
    def metrics_path(self) -> Path:
        """metrics.parquet."""
        return self.folder / "metrics.parquet"

    @property
    def evaluation_path(self) -> Path:
        """evaluation.parquet."""
        return self.folder / "evaluation.parquet"

    def _json(self, name: str) -> Any:
        path = self.folder / name
        try:
            return json.loads(path.read_text())
        except FileNotFoundError:
            raise InputError(
                f"{self.folder}: not a run: {name} is missing. Give a folder that "
                "`adaptrnn train` made."
            ) from None
        except (ValueError, UnicodeDecodeError) as error:
            raise InputError(
                f"{path}: damaged, not JSON ({error}). Restore it from a copy, or train again."
            ) from None

    def config(self) -> TrainConfig:
        """The resolved configuration."""
        return from_dict(self._json("config.json"), str(self.config_path))

    def record(self) -> dict[str, Any]:
        """Task, hashes, sizes, versions, hardware and state."""
        record = self._json("record.json")
        if not isinstance(record, dict):
            raise bad(str(self.folder / "record.json"), record, "a mapping")
        return record

    def task(self) -> Task:
        """The task, checked to have the split that the run was trained on."""
        task = load_task(self.config())
        self.task_is(task)
        return task

    def model(self, task: Task | None = None) -> Classifier:
        """The trained network, in evaluation mode, on the CPU."""
        from safetensors.torch import load_file

        model = build_model(self.config(), self.task() if task is None else task)
        try:
            weights = load_file(self.weights_path)
        except FileNotFoundError:
            raise InputError(
                f"{self.folder}: no weights yet. Train it: adaptrnn train ... --out {self.folder}"
            ) from None
        except Exception as error:  # safetensors raises its own type for every damage
            raise InputError(
                f"{self.weights_path}: damaged ({error}). Continue the run to write it again."
            ) from None
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            raise InputError(f"{self.weights_path}: not of this configuration: {error}") from None
        return model.eval()

    def start(self, config: TrainConfig, task: Task, model: Classifier) -> None:
        """Make the folder, or check that it holds a run of the same configuration."""
        free = {"accelerator", "devices", "checkpoint_seconds", "data_dir", "out", "backend"}
        free |= {"memory_budget"}
        values = to_dict(config)
        if self.config_path.exists():
            there = to_dict(self.config())
            changed = [k for k in values if k not in free and values[k] != there.get(k)]
            if changed:
                now = ", ".join(f"{k}={values[k]!r} (there {there.get(k)!r})" for k in changed)
                raise InputError(
                    f"{self.folder}: holds another run: {now}. Choose another folder by --out, or "
                    "delete this one."
                )
            if (self.folder / "record.json").exists():
                self.task_is(task)
                return
        write_json(self.folder / "permutation.json", _list(task.permutation))
        write_json(
            self.folder / "record.json",
            {
                "state": "training",
                "task": task.describe(),
                "parameters": sum(p.numel() for p in model.parameters()),
                "hidden_size": model.core.hidden_size,
                "versions": versions(),
                "hardware": {
                    "machine": platform.machine(),
                    "system": platform.system(),
                    "processors": os.cpu_count(),
                    "threads": torch.get_num_threads(),
                    "gpus": torch.cuda.device_count(),
                },
            },
        )
        write_json(self.config_path, values)

    def task_is(self, task: Task) -> None:
        """Check that a task has the data of this run."""
        record = self.record().get("task", {})
        for name in ("split_hash", "permutation_hash"):
            if record.get(name) != getattr(task, name):
                raise InputError(
                    f"{self.folder}: {name} {str(record.get(name))[:12]} there, "
                    f"{str(getattr(task, name))[:12]} now. Pass the same data by --data-dir."
                )

    def update(self, values: Mapping[str, Any]) -> None:
        """Change entries of record.json."""
        write_json(self.folder / "record.json", {**self.record(), **values})


def _list(permutation: torch.Tensor | None) -> list[int] | None:
    return None if permutation is None else permutation.tolist()
