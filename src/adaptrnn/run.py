"""A run: the folder that holds all of one training run, and how it is read and written.

config.json         the resolved configuration
record.json         task, split and permutation hashes, sizes, versions, hardware, state
permutation.json    the order of the pixels
initial.safetensors first weights of a network that was given in Python
weights.safetensors weights of the epoch with the best validation accuracy
metrics.parquet     a row per epoch
evaluation.parquet  a row per perturbation (written by `adaptrnn evaluate`)
checkpoint.ckpt     the whole state, to go on from; checkpoint.previous.ckpt the one before
logs/               TensorBoard and CSV

Every file is written whole or not at all, and holds a hash of its content that is checked when it
is read. Nothing that is read runs code: JSON, safetensors, parquet, netCDF, and checkpoints with
`weights_only`.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
import platform
import shlex
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from adaptrnn._error import InputError, bad, require
from adaptrnn.classifier import Classifier, ConvEncoder, build_core, match_parameters
from adaptrnn.config import TrainConfig, from_dict, to_dict
from adaptrnn.controller import AbstractController, AdaptationController
from adaptrnn.model import MODELS, OWN_MODEL
from adaptrnn.sequence import SequenceModel
from adaptrnn.tasks import AbstractTask, is_file, load

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = [
    "FREE_OPTIONS",
    "Run",
    "WriteError",
    "build_model",
    "donor_of",
    "load_task",
    "read_dataset",
    "read_table",
    "read_weights",
    "runs_in",
    "with_readout",
    "write_atomic",
    "write_dataset",
    "write_json",
    "write_table",
    "write_weights",
]

FREE_OPTIONS = frozenset(
    {"accelerator", "devices", "checkpoint_seconds", "data_dir", "out", "backend", "memory_budget"}
)
"""Options that may differ when a run is continued: they do not change what is computed."""

SHARED_FILES = (
    "config.json",
    "record.json",
    "permutation.json",
    "weights.safetensors",
    "metrics.parquet",
    "evaluation.parquet",
    "README.md",
)
"""What `Run.push_to_hub` uploads and `Run.from_pretrained` fetches; none of them holds code."""


class WriteError(OSError):
    """A file could not be written; what was there before is unchanged."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(
            error.errno,
            f"{path}: not written ({error.strerror or error}); what was there before is unchanged. "
            "Free space or choose a folder that can be written, then give the same command again.",
        )

    def __str__(self) -> str:
        return str(self.strerror)


def write_atomic(path: Path, data: bytes, previous: Path | None = None) -> None:
    """Write a file so that it is either the old or the new one, whatever happens meanwhile.

    Args:
        path: the file; its folder is made if need be.
        data: its whole content.
        previous: where the old file is kept; None for nowhere.

    Raises:
        WriteError: the disk is full or the folder cannot be written.
    """
    name = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        if previous is not None and path.exists():
            os.replace(path, previous)
        os.replace(name, path)
        if os.name == "posix":  # the rename itself outlives a loss of power
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except BaseException as error:
        if name is not None:
            Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise WriteError(path, error) from error
        raise


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically."""
    write_atomic(path, (json.dumps(value, indent=1) + "\n").encode())


def write_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Write weights as safetensors with their hash, atomically."""
    from safetensors.torch import save

    write_atomic(path, save(dict(weights), {"sha256": _hash_weights(weights)}))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read weights, checked against the hash that `write_weights` put beside them.

    Args:
        path: a safetensors file; one without a hash is taken as it is.

    Returns:
        The tensors by name, on the CPU.

    Raises:
        InputError: the file is damaged.
        FileNotFoundError: it is not there.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata()
            hash = None if facts is None else facts["sha256"]  # where there are any, it is there
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if hash is not None and hash != _hash_weights(weights):
            raise ValueError("its content does not have the hash stored with it")
    except FileNotFoundError:
        raise
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise InputError(
            f"{path}: damaged ({_first_line(error)}). Delete it and give the training command "
            "again: it is written anew from the checkpoint; or fetch the run again."
        ) from None
    return weights


def _hash_weights(weights: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        digest.update(repr([name, str(value.dtype), list(value.shape)]).encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as parquet with its hash, atomically."""
    file = io.BytesIO()
    marked = table.copy(deep=False)
    marked.attrs = {"sha256": _hash_table(table)}
    marked.to_parquet(file, index=False, engine="pyarrow", write_page_checksum=True)
    write_atomic(path, file.getvalue())


def read_table(path: Path, columns: Sequence[str] = (), advice: str = "") -> pd.DataFrame:
    """Read a table, checked against the hash that `write_table` put beside it.

    Args:
        path: a parquet file; one without a hash is taken as it is.
        columns: those that it must have.
        advice: what to do where it is damaged, a whole sentence.

    Returns:
        The table.

    Raises:
        InputError: the file is missing or damaged, or lacks a column.
    """
    import pandas as pd

    try:
        table = pd.read_parquet(path, engine="pyarrow", page_checksum_verification=True)
        hash = table.attrs.pop("sha256") if table.attrs else None
        if hash is not None and hash != _hash_table(table):
            raise ValueError("its content does not have the hash stored with it")
        lacking = [name for name in columns if name not in table]
        if lacking:
            raise ValueError(f"it has no column {lacking[0]!r}")
    except Exception as error:  # pyarrow raises many types for a damaged file
        raise InputError(f"{path}: damaged ({_first_line(error)}). {advice}".rstrip()) from None
    return table


def _hash_table(table: pd.DataFrame) -> str:
    return hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()


_TRAILER = b"\nadaptrnn sha256 "  # and 64 hexadecimal digits, after what HDF5 reads


def write_dataset(path: Path, data: xr.Dataset) -> None:
    """Write a data set as netCDF with the hash of the file behind it, atomically."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.nc"  # HDF5 writes here and there in its file
        data.to_netcdf(file, engine="h5netcdf")
        content = file.read_bytes()
    write_atomic(path, content + _TRAILER + hashlib.sha256(content).hexdigest().encode())


def read_dataset(path: Path, advice: str = "") -> xr.Dataset:
    """Read a netCDF file, checked against the hash that `write_dataset` put behind it.

    Args:
        path: the file.
        advice: what to do where it is damaged, a whole sentence.

    Returns:
        The data set.

    Raises:
        InputError: the file is missing, damaged or without its hash.
    """
    import xarray as xr

    try:
        content, trailer, hash = path.read_bytes().rpartition(_TRAILER)
        if not trailer:  # HDF5 may give wrong numbers, or read for ever, where bytes are wrong
            raise ValueError("the hash that adaptrnn puts behind it is not there")
        if hash != hashlib.sha256(content).hexdigest().encode():
            raise ValueError("its content does not have the hash stored with it")
        return xr.load_dataset(path, engine="h5netcdf")
    except Exception as error:  # h5py raises many types for damage
        raise InputError(f"{path}: damaged ({_first_line(error)}). {advice}".rstrip()) from None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


class Shape(Protocol):
    """What of a task a network is made for."""

    @property
    def kind(self) -> str:
        """Either "sequence" or "image"."""

    @property
    def output_size(self) -> int:
        """Classes, or real values a step."""

    @property
    def input_size(self) -> int:
        """Inputs of a step, or channels of an image."""

    @property
    def answers(self) -> str:
        """Either "last", "classes" or "values", see `adaptrnn.tasks.Trials`."""


@dataclass(frozen=True)
class _Shape:
    """The shape of a task as a run's record holds it, known without its data."""

    kind: str
    output_size: int
    input_size: int
    answers: str


def runs_in(folders: Iterable[Path]) -> list[Run]:
    """The runs in some folders, each that of a run or one with folders of runs.

    Args:
        folders: as on a command line; one that has no runs is given back as a run, whose methods
            say that it is none.
    """
    found: list[Run] = []
    for folder in folders:
        inside = folder.glob("*/config.json") if os.path.isdir(folder) else ()
        below = sorted(path.parent for path in inside)
        alone = os.path.isfile(folder / "config.json") or not below
        found += [Run(folder)] if alone else map(Run, below)
    return found


def load_task(config: TrainConfig) -> Any:
    """The task of a configuration, see `adaptrnn.tasks.load`; a file that it names is run."""
    return load(
        config.task,
        data_dir=config.data_dir,
        image_size=config.image_size,
        train_size=config.train_size,
        permutation_seed=config.permutation_seed,
        parameters=config.task_parameters,
    )


def donor_of(config: TrainConfig) -> AbstractController | None:
    """The controller that a configuration transplants, frozen, read from its run; None if none.

    Raises:
        InputError: that run has no controller, or no weights yet.
    """
    if config.controller_from is None:
        return None
    run = Run(config.controller_from)
    name = run.config().model
    if name == OWN_MODEL or not MODELS[name].has_controller:
        raise bad("controller_from", str(config.controller_from), "a run of the model arun")
    return run.model().core.controller.frozen()


def build_model(
    config: TrainConfig, task: Shape, controller: AbstractController | None = None
) -> Classifier | SequenceModel:
    """The untrained network of a configuration, its weights drawn from the configuration's seed.

    Nothing but the arguments counts: no file is read.

    Args:
        config: the configuration.
        task: its task; only its kind, its answers and the numbers of inputs and outputs count.
        controller: the transplanted controller, see `donor_of`; needed where the configuration
            says `controller_from`.

    Returns:
        The network, on the CPU: a `Classifier` where one class is answered after the last step, a
        `SequenceModel` where every step has its target.

    Raises:
        InputError: the configuration is that of a network given in Python, or of a transplant and
            there is no controller.

    Example:
        >>> config = TrainConfig("digits", model="gamma", hidden_size=8)
        >>> build_model(config, load_task(config)).core
        RNN(1, 8, precision='float32', nonlinearity='gamma')
    """
    if config.model == OWN_MODEL:
        advice = "Train it in Python: adaptrnn.train(task, core, ...)."
        raise bad("model", config.model, f"one of {', '.join(MODELS)}", advice)
    if config.controller_from is not None and controller is None:
        raise bad("controller", None, "that of the run controller_from", "See run.donor_of.")
    convolution = task.kind == "image"
    features = ConvEncoder.features if convolution else task.input_size
    size = config.hidden_size
    if size is None:
        sizes = match_parameters(
            [config.model], features, task.output_size, controller_size=config.controller_size
        )
        size = sizes[config.model]
    options: dict[str, Any] = {
        "recurrent_init": config.recurrent_init,
        "backend": config.backend,
        "memory_budget": config.memory_budget * 2**20,
        "precision": config.precision,
        "n": config.initial_gain,
        "s": config.s,
        "learn_n": config.learn_curve,
        "learn_s": config.learn_curve,
        "controller": controller,
    }
    taken = MODELS[config.model].options
    arguments = {name: value for name, value in options.items() if name in taken}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        encoder = ConvEncoder(task.input_size) if convolution else None
        core = build_core(config.model, features, size, config.controller_size, **arguments)
        return with_readout(core, task, encoder)


def with_readout(
    core: torch.nn.Module, task: Shape, encoder: torch.nn.Module | None = None
) -> Classifier | SequenceModel:
    """A core with the linear readout that a task asks for, its weights drawn by torch."""
    if task.answers == "last":
        return Classifier(core, task.output_size, encoder)
    return SequenceModel(core, task.output_size)


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that results depend on."""
    found = {"python": platform.python_version()}
    for name in ("adaptrnn", "torch", "numpy", "scipy", "pytorch-lightning", "datasets"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    found["torch"] = str(
        torch.__version__
    )  # with its build, such as +cpu, which the index leaves out
    return found


@dataclass(frozen=True)
class Run:
    """One training run on disk.

    Args:
        folder: its folder.
        given_task: the task, of a run on a task of your own; it is checked to be the same.
        given_core: a network of the same kind as the one that was given to `adaptrnn.train`,
            whatever its weights; needed where that is not a layer of adaptrnn.

    Raises:
        InputError: the folder is not a run (by the methods that read it).
    """

    folder: Path
    given_task: Any = field(default=None, compare=False, repr=False)
    given_core: Any = field(default=None, compare=False, repr=False)

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
    def initial_path(self) -> Path:
        """initial.safetensors, of a network given in Python."""
        return self.folder / "initial.safetensors"

    @property
    def checkpoint_path(self) -> Path:
        """checkpoint.ckpt."""
        return self.folder / "checkpoint.ckpt"

    @property
    def previous_checkpoint_path(self) -> Path:
        """checkpoint.previous.ckpt, used where the last one is damaged."""
        return self.folder / "checkpoint.previous.ckpt"

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
        again = "Delete it and give the training command again: it goes on from the checkpoint."
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(
                f"{self.folder}: not a run: {name} is missing. Give a folder that "
                "`adaptrnn train` made."
            ) from None
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: damaged, not JSON ({error}). {again}") from None
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
        hash = value.pop("sha256", None) if isinstance(value, dict) else None
        if hash is not None and hash != _hash_json(value):
            raise InputError(
                f"{path}: damaged, its content does not have the hash stored with it. {again} "
                "If you changed it yourself, delete its entry sha256."
            )
        return value

    def _write_json(self, name: str, value: Mapping[str, Any]) -> None:
        write_json(self.folder / name, {**value, "sha256": _hash_json(value)})

    def config(self) -> TrainConfig:
        """The resolved configuration."""
        return from_dict(self._json("config.json"), str(self.config_path))

    def record(self) -> dict[str, Any]:
        """Task, hashes, sizes, versions, hardware and state."""
        record = self._json("record.json")
        if not isinstance(record, dict):
            raise bad(str(self.folder / "record.json"), record, "a mapping")
        return record

    def on_task(self, name: str | None) -> Run:
        """The same run with the task of a file that the user names, FILE.py:FUNCTION.

        Args:
            name: the file and its function, whose code is run; None changes nothing.

        Returns:
            The run.
        """
        if name is None:
            return self
        config = self.config()
        parameters = config.task_parameters
        return replace(
            self, given_task=load(name, None, None, config.train_size, parameters=parameters)
        )

    def task(self) -> Any:
        """The task, checked to have the split that the run was trained on.

        Raises:
            InputError: other data than then; a task of the user's own, which must be named: no code
                is loaded because a file of a run says so.
        """
        task = self.given_task
        if task is None:
            config, own = self.config(), self.record().get("own_task", False)
            if own or is_file(config.task):
                name = "FILE.py:FUNCTION" if own else config.task
                raise InputError(
                    f"{self.folder}: trained on a task of your own, {config.task!r}. Its code is "
                    f"loaded only if you name it: add  --task {name}  (in Python: "
                    "Run(folder, given_task=task))."
                )
            task = load_task(config)
        self.task_is(task)
        return task

    def metrics(self) -> pd.DataFrame:
        """A row for each epoch: losses, accuracies, learning rate, seconds."""
        return read_table(
            self.metrics_path,
            ("epoch", "train_loss", "validation_loss"),
            "Delete it and give the training command again: it is written anew.",
        )

    def weights(self) -> dict[str, Tensor]:
        """The trained weights by name, checked against their hash.

        Raises:
            InputError: no weights yet, or a damaged file.
        """
        try:
            return read_weights(self.weights_path)
        except FileNotFoundError:
            raise InputError(
                f"{self.folder}: no weights yet. Train it: adaptrnn train ... --out {self.folder}"
            ) from None

    def model(self, task: AbstractTask | None = None) -> Any:
        """The trained network, in evaluation mode, on the CPU.

        Args:
            task: the run's task; None takes what the run's record says of it, so that no data is
                needed.

        Returns:
            The network.

        Raises:
            InputError: no weights yet; a damaged file; weights of another configuration, or that
                are not finite; a network of the user's own, without `given_core`.
        """
        config, shape = self.config(), self._shape() if task is None else task
        weights = self.weights()
        wrong = [name for name, value in weights.items() if not value.isfinite().all()]
        if wrong:
            raise InputError(
                f"{self.weights_path}: {wrong[0]} has values that are not finite. Train again in "
                "another folder (--out), with a smaller --lr or --clip 1."
            )
        foreign = f"{self.weights_path}: not of this configuration: "
        if config.model == OWN_MODEL:
            return _load(self._own_model(shape), weights, foreign)
        readout = weights.get("readout.weight", torch.empty(0, 0))
        # looked at before anything of the size stated is allocated
        lacking = torch.empty(0, 0) if config.model in MODELS.built_in else readout
        recurrent = weights.get("core.weight_hh_l0", lacking)
        size = recurrent.shape[-1] if recurrent.ndim else 0
        if config.hidden_size not in (None, size) or readout.shape != (shape.output_size, size):
            raise InputError(
                f"{foreign}hidden_size {config.hidden_size} and {shape.output_size} outputs there, "
                f"a readout of shape {tuple(readout.shape)} here."
            )
        controller = None
        if MODELS[config.model].has_controller:
            units = weights.get("core.controller.bias_ag", torch.empty(0)).numel()
            if config.controller_from is not None:  # the weights hold it: no need of the donor
                controller = AdaptationController(max(units, 1)).frozen()
            elif units != config.controller_size:
                raise InputError(
                    f"{foreign}controller_size {config.controller_size} there, {units} here."
                )
        return _load(build_model(config, shape, controller), weights, foreign)

    def _own_model(self, shape: Shape) -> Classifier | SequenceModel:
        if self.given_core is None:
            raise InputError(
                f"{self.folder}: holds the weights of a network of your own. Give one of its kind: "
                "Run(folder, given_core=core)."
            )
        return with_readout(copy.deepcopy(self.given_core), shape)

    def initial(self, task: AbstractTask) -> Any:
        """The network with its first weights, in evaluation mode, on the CPU."""
        config = self.config()
        if not self.initial_path.exists():
            return build_model(config, task, donor_of(config)).eval()
        own = config.model == OWN_MODEL
        model = self._own_model(task) if own else build_model(config, task, donor_of(config))
        return _load(model, read_weights(self.initial_path), f"{self.initial_path}: ")

    def _shape(self) -> _Shape:
        facts: Any = self.record().get("task")
        try:
            kind = facts["kind"]
            if "answers" in facts:
                answers = facts["answers"]
                outputs, inputs = facts["output_size"], facts["input_size"]
            else:  # images
                answers = "last"
                outputs, inputs = facts["num_classes"], facts["image_shape"][0]
        except (TypeError, KeyError, IndexError):
            raise InputError(
                f"{self.folder / 'record.json'}: says nothing of the task's shape. Pass the task."
            ) from None
        if (
            kind not in ("sequence", "image")
            or answers not in ("last", "classes", "values")
            or not all(isinstance(n, int) and 1 <= n <= 2**20 for n in (outputs, inputs))
        ):
            raise bad(str(self.folder / "record.json"), facts, "the description of a task")
        return _Shape(kind, outputs, inputs, answers)

    def start(
        self, config: TrainConfig, task: AbstractTask, model: Any, *, given: bool = False
    ) -> None:
        """Make the folder, or check that it holds a run of the same configuration.

        Args:
            config: the configuration.
            task: the task.
            model: the network with its first weights.
            given: whether task and network were given in Python, so that no configuration can make
                them again.
        """
        values = to_dict(config)
        if self.config_path.exists():
            there = to_dict(self.config())
            self.same_options(there, config)
            if (self.folder / "record.json").exists():
                self.task_is(task)
                return
        write_json(self.folder / "permutation.json", _list(task.permutation))
        if given:
            write_weights(
                self.initial_path,
                {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()},
            )
        self._write_json(
            "record.json",
            {
                "state": "training",
                **({"own_task": True, "core": repr(model.core)} if given else {}),
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
        self._write_json("config.json", values)

    def same_options(self, there: Mapping[str, Any], config: TrainConfig) -> None:
        """Check that options kept in the folder are those of a configuration, but for free ones."""
        values = to_dict(config)
        there = to_dict(TrainConfig(config.task)) | dict(there)  # an option younger than the run
        changed = [k for k in values if k not in FREE_OPTIONS and values[k] != there.get(k)]
        if changed:
            now = ", ".join(f"{k}={values[k]!r} (there {there.get(k)!r})" for k in changed)
            raise InputError(
                f"{self.folder}: holds another run: {now}. Choose another folder by --out, or "
                "delete this one."
            )

    def task_is(self, task: AbstractTask) -> None:
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
        self._write_json("record.json", {**self.record(), **values})

    def save_pretrained(
        self, folder: str | os.PathLike[str], *, licence: str | None = None
    ) -> Path:
        """Copy what others need of a finished run, without paths of this machine.

        Args:
            folder: where to; it is made if need be.
            licence: of the weights, as the hub names it, such as "mit"; None says nothing of it.

        Returns:
            The folder: configuration, record, weights, tables, and a model card (README.md).

        Raises:
            InputError: the run is not finished, or a file is damaged.
        """
        require("huggingface_hub", "train")
        record, config = self.record(), self.config()
        if record.get("state") != "finished":
            raise InputError(f"{self.folder}: not finished. Give the training command again.")
        self.model()  # what is shared can be read
        other = Run(Path(folder))
        if other.folder.resolve() == self.folder.resolve():
            raise bad("folder", str(folder), "another folder than the run's own")
        local: dict[str, str | None] = {"out": None, "data_dir": None}
        if config.controller_from is not None:
            local["controller_from"] = config.controller_from.name
        for name in SHARED_FILES:
            if (self.folder / name).exists() and name not in ("config.json", "README.md"):
                write_atomic(other.folder / name, (self.folder / name).read_bytes())
        other._write_json("config.json", to_dict(config) | local)
        write_atomic(other.folder / "README.md", self._card(config, record, licence).encode())
        return other.folder

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool = False,
        token: str | None = None,
        licence: str | None = None,
    ) -> str:
        """Upload a finished run to the Hugging Face hub, with a model card.

        Args:
            repo_id: ``owner/name`` of the repository; it is made if need be.
            private: whether a new repository is private.
            token: of the hub; None takes the one that ``hf auth login`` stored.
            licence: of the weights, as the hub names it, such as "mit"; None says nothing of it.

        Returns:
            The address of the commit.

        Raises:
            InputError: the run is not finished or damaged; the hub cannot be reached or refuses.

        Example:
            >>> Run("runs/digits-arun-seed0").push_to_hub("me/digits-arun")  # doctest: +SKIP
        """
        hub = require("huggingface_hub", "train")
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, licence=licence)
            try:
                api = hub.HfApi(token=token)
                api.create_repo(repo_id, private=private, exist_ok=True)
                return str(
                    api.upload_folder(
                        repo_id=repo_id,
                        folder_path=folder,
                        allow_patterns=list(SHARED_FILES),
                        commit_message=f"{self.config().model} trained on {self.config().task}",
                    )
                )
            except Exception as error:  # the client raises types of its own and of its transport
                raise InputError(
                    f"repo_id={repo_id!r}: not uploaded ({_first_line(error)}). Check the network, "
                    "and the token by  hf auth login  or token=..."
                ) from error

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str],
        *,
        revision: str | None = None,
        token: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> Run:
        """Fetch a run from the Hugging Face hub, or take one in a folder; no code is ever run.

        Only the files of `SHARED_FILES` are fetched: JSON, safetensors, parquet and a text.

        Args:
            name: ``owner/name`` of a repository, or a folder.
            revision: commit, branch or tag; give a full commit hash to always get the same.
            token: of the hub, for private repositories.
            cache_dir: where it is kept; None for the hub's usual place.

        Returns:
            The run: ``Run.from_pretrained("me/digits-arun").model()`` is the network.

        Raises:
            InputError: neither a folder nor a repository that can be reached, or not a run.
        """
        hub = require("huggingface_hub", "train")
        if Path(name).is_dir():
            run = cls(Path(name))
        else:
            try:
                folder = hub.snapshot_download(
                    str(name),
                    revision=revision,
                    token=token,
                    cache_dir=cache_dir,
                    allow_patterns=list(SHARED_FILES),
                )
            except Exception as error:  # the client raises types of its own and of its transport
                raise InputError(
                    f"name={str(name)!r}: neither a folder nor a repository that can be reached "
                    f"({_first_line(error)}). Check the name, the network and the token."
                ) from error
            run = cls(Path(folder))
        run.config()
        return run

    def _perturbed(self) -> dict[str, str]:
        """Test accuracies, or errors, that were evaluated, by perturbation."""
        if not self.evaluation_path.exists():
            return {}
        columns = ("name", "perturbation", "split", "accuracy")
        table = read_table(self.evaluation_path, columns, "Delete it and evaluate again.")
        found = {}
        for row in table[table["split"] == "test"].to_dict("records"):
            error = row.get("error", float("nan"))
            score = f"{error:.4g}" if error == error else f"{row['accuracy']:.2%}"
            kind = "error" if error == error else "accuracy"
            found[f"test {kind}, {row['perturbation']}"] = score
        return found

    def _card(self, config: TrainConfig, record: Mapping[str, Any], licence: str | None) -> str:
        from huggingface_hub import ModelCardData

        task = record["task"]
        usual = to_dict(TrainConfig(config.task))
        options = {
            name: value
            for name, value in to_dict(config).items()
            if value != usual[name] and name not in FREE_OPTIONS | {"task"}
        }
        if config.controller_from is not None:
            options["controller_from"] = config.controller_from.name
        words = [
            f"--{name.replace('_', '-')} "
            + (shlex.join(value) if isinstance(value, list) else str(value))
            for name, value in options.items()
        ]
        facts = ModelCardData(
            library_name="adaptrnn",
            license=licence,
            tags=["adaptrnn", "recurrent-neural-network", config.model],
            pipeline_tag=None if "answers" in task else "image-classification",
            datasets=[config.task] if "/" in config.task and "answers" not in task else None,
        )
        about = {
            **_best(record),
            "parameters": f"{record['parameters']:,}",
            "neurons": record["hidden_size"],
            "steps of a sequence": task["sequence_length"] or "made by the encoder",
            "data": task["source"],
            "split": f"{task['train_size']:,} train, {task['validation_size']:,} validation, "
            f"{task['test_size']:,} test; SHA-256 {task['split_hash']}",
            "versions": ", ".join(f"{k} {v}" for k, v in record["versions"].items()),
        }
        about |= self._perturbed()
        rows = "\n".join(f"| {name} | {value} |" for name, value in about.items())
        return f"""---
{facts.to_yaml()}
---

# {config.model} trained on {config.task}

A network of [adaptrnn](https://doi.org/10.1371/journal.pcbi.1012567), recurrent networks whose
neurons learn and adapt their own f-I curves.

| | |
| --- | --- |
{rows}

```python
from adaptrnn.run import Run

run = Run.from_pretrained("OWNER/NAME")  # this repository, or a folder
network = run.model()  # weights are safetensors: loading runs no code
```

Made by

```
adaptrnn train {" ".join([config.task, *words])}
```
"""


def _load(model: Any, weights: Mapping[str, Tensor], foreign: str) -> Any:
    """A model with other weights, in evaluation mode."""
    try:
        model.load_state_dict(weights)
    except (RuntimeError, IndexError) as error:
        raise InputError(f"{foreign}{' '.join(str(error).split())}") from None
    return model.eval()


def _hash_json(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _best(record: Mapping[str, Any]) -> dict[str, str]:
    """The best validation accuracy, or error, that a record holds."""
    if "validation_error" in record:
        return {"validation error": f"{record['validation_error']:.4g}"}
    return {"validation accuracy": f"{record['validation_accuracy']:.2%}"}


def _list(permutation: torch.Tensor | None) -> list[int] | None:
    return None if permutation is None else permutation.tolist()
