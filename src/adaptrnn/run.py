"""A run is the folder that holds all of one training run, and is read and written here.

config.json         the resolved configuration
record.json         task, split and permutation hashes, sizes, versions, hardware, state
permutation.json    the order of the pixels
initial.safetensors first weights of a network that was given in Python
weights.safetensors weights of the epoch with the best validation accuracy
metrics.parquet     a row per epoch
evaluation.parquet  a row per perturbation (written by `adaptrnn evaluate`)
checkpoint.ckpt     the whole state, to resume from; checkpoint.previous.ckpt the one before
logs/               TensorBoard and CSV

Every file is written and read by `adaptrnn.storage`: whole or not at all, checked by its hash, and
without running code.
"""

from __future__ import annotations

import copy
import os
import platform
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from adaptrnn import sharing
from adaptrnn._commit import commit
from adaptrnn._error import InputError, bad
from adaptrnn._recurrent import Recurrent
from adaptrnn.classifier import Classifier, ConvEncoder, build_core, match_parameters
from adaptrnn.config import TrainConfig, from_dict, to_dict
from adaptrnn.controller import AbstractController, AdaptationController
from adaptrnn.kernels.native import processor
from adaptrnn.model import MODELS, OWN_MODEL
from adaptrnn.sequence import SequenceModel
from adaptrnn.storage import (
    copy_file,
    read_json,
    read_table,
    read_weights,
    write_atomic,
    write_json,
    write_weights,
)
from adaptrnn.tasks import AbstractTask, is_file, load

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "FREE_OPTIONS",
    "Run",
    "build_model",
    "donor_of",
    "load_task",
    "read_config",
    "runs_in",
    "versions",
    "with_readout",
]

FREE_OPTIONS = frozenset(
    {"accelerator", "devices", "checkpoint_seconds", "data_dir", "out", "backend", "memory_budget"}
)
"""Options that may differ when a run is continued: they do not change what is computed."""


EVALUATION_COLUMNS = ("name", "perturbation", "split", "accuracy", "loss", "images")
"""Columns of the table of evaluations, which has `error` too where real values are answered."""
_AGAIN = "Delete it and give the training command again: it resumes from the checkpoint."


@dataclass(frozen=True)
class TaskShape:
    """A network is made for this much of a task, as a run's record holds it.

    Attributes:
        kind: "sequence" or "image".
        output_size: classes, or real values a step.
        input_size: inputs of a step, or channels of an image.
        answers: "last", "classes" or "values", see `adaptrnn.tasks.Trials`.
    """

    kind: str
    output_size: int
    input_size: int
    answers: str


def runs_in(folders: Iterable[Path]) -> list[Run]:
    """Return the runs in some folders, each the folder of a run or a folder of runs.

    Args:
        folders: as on a command line. A folder without runs is returned as a run, whose methods
            then say that it is not one.

    Raises:
        InputError: there is no folder.
    """
    found: list[Run] = []
    for folder in folders:
        inside = folder.glob("*/config.json") if os.path.isdir(folder) else ()
        below = sorted(path.parent for path in inside)
        alone = os.path.isfile(folder / "config.json") or not below
        found += [Run(folder)] if alone else map(Run, below)
    if not found:
        raise bad("runs", [], "at least one folder of a run")
    return found


def read_config(path: Path) -> TrainConfig:
    """Read the configuration in a file, such as the config.json of a run.

    Args:
        path: a JSON file of the options of `TrainConfig`; those it lacks have their default.

    Raises:
        InputError: no such file; one that is damaged; an option that is unknown or wrong.
    """
    try:
        return from_dict(read_json(path, _AGAIN), str(path))
    except FileNotFoundError:
        raise bad("config", str(path), "a JSON file that exists") from None


def load_task(config: TrainConfig) -> AbstractTask:
    """Load the task of a configuration (`adaptrnn.tasks.load`); a file that it names is run."""
    return load(
        config.task,
        data_dir=config.data_dir,
        image_size=config.image_size,
        train_size=config.train_size,
        permutation_seed=config.permutation_seed,
        parameters=config.task_parameters,
    )


def donor_of(config: TrainConfig) -> AbstractController | None:
    """Read the frozen controller that a configuration transplants from its run; None if none.

    Raises:
        InputError: that run has no controller, or no weights yet.
    """
    if config.controller_from is None:
        return None
    run = Run(config.controller_from)
    name = run.config().model
    if name == OWN_MODEL or not MODELS[name].has_controller:
        raise bad("controller_from", str(config.controller_from), "a run of the model arun")
    core: Any = run.model().core  # of a model that has a controller
    return core.controller.frozen()


def build_model(
    config: TrainConfig,
    task: AbstractTask | TaskShape,
    controller: AbstractController | None = None,
) -> Classifier | SequenceModel:
    """Build the untrained network of a configuration, with weights drawn from its seed.

    The network depends on the arguments only: no file is read.

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
    options |= config.dynamics
    taken = MODELS[config.model].options
    arguments = {name: value for name, value in options.items() if name in taken}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        encoder = ConvEncoder(task.input_size, config.precision) if convolution else None
        core = build_core(config.model, features, size, config.controller_size, **arguments)
        return with_readout(core, task, encoder)


def with_readout(
    core: torch.nn.Module, task: AbstractTask | TaskShape, encoder: torch.nn.Module | None = None
) -> Classifier | SequenceModel:
    """Return a core with the linear readout that a task asks for, drawn by torch."""
    if task.answers == "last":
        return Classifier(core, task.output_size, encoder)
    return SequenceModel(core, task.output_size)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that results depend on.

    The commit of adaptrnn is among them where it is known (see `adaptrnn._commit.commit`).
    """
    found = {"python": platform.python_version()}
    for name in ("adaptrnn", "torch", "numpy", "scipy", "pytorch-lightning", "datasets"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    found["torch"] = str(torch.__version__)  # with its build, such as +cpu
    return found if (known := commit()) is None else {**found, "commit": known}


@dataclass(frozen=True)
class Run:
    """A run is one training run on disk.

    Args:
        folder: its folder.
        given_task: the task, of a run on a task of your own; it is checked to be the same.
        given_core: a network of the same kind as the one that was given to `adaptrnn.train`,
            whatever its weights; needed where that is not a layer of adaptrnn.

    Raises:
        InputError: the folder is not a run (by the methods that read it).
    """

    folder: Path
    given_task: AbstractTask | None = field(default=None, compare=False, repr=False)
    given_core: torch.nn.Module | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))

    @property
    def config_path(self) -> Path:
        """Return the path of config.json, the file that makes a folder a run."""
        return self.folder / "config.json"

    @property
    def weights_path(self) -> Path:
        """Return the path of weights.safetensors."""
        return self.folder / "weights.safetensors"

    @property
    def initial_path(self) -> Path:
        """Return the path of initial.safetensors, of a network that was given in Python."""
        return self.folder / "initial.safetensors"

    @property
    def checkpoint_path(self) -> Path:
        """Return the path of checkpoint.ckpt."""
        return self.folder / "checkpoint.ckpt"

    @property
    def previous_checkpoint_path(self) -> Path:
        """Return the path of checkpoint.previous.ckpt, used if the last one is damaged."""
        return self.folder / "checkpoint.previous.ckpt"

    @property
    def metrics_path(self) -> Path:
        """Return the path of metrics.parquet."""
        return self.folder / "metrics.parquet"

    @property
    def evaluation_path(self) -> Path:
        """Return the path of evaluation.parquet."""
        return self.folder / "evaluation.parquet"

    def _json(self, name: str) -> Any:
        try:
            return read_json(self.folder / name, _AGAIN)
        except FileNotFoundError:
            advice = "Give a folder that `adaptrnn train` made."
            if (self.folder / "manifest.json").exists():
                advice = f"It holds collected tables: `adaptrnn report {self.folder}` draws them."
            raise InputError(f"{self.folder}: not a run: {name} is missing. {advice}") from None

    def config(self) -> TrainConfig:
        """Read the resolved configuration."""
        return from_dict(self._json("config.json"), str(self.config_path))

    def record(self) -> dict[str, Any]:
        """Read the record: task, hashes, sizes, versions, hardware and state."""
        record = self._json("record.json")
        if not isinstance(record, dict):
            raise bad(str(self.folder / "record.json"), record, "a mapping")
        return record

    def on_task(self, name: str | None) -> Run:
        """Return the same run with the task of a file that the user names, FILE.py:FUNCTION.

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

    def task(self) -> AbstractTask:
        """Load the task and check that it has the split that the run was trained on.

        Raises:
            InputError: the data are not those of the training; or the task is the user's own and
                was not named, since a file of a run never makes code run.
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
        """Read a row for each epoch: losses, accuracies, learning rate, seconds."""
        return read_table(
            self.metrics_path,
            ("epoch", "train_loss", "validation_loss"),
            "Delete it and give the training command again, which writes it.",
        )

    def evaluation(self) -> pd.DataFrame | None:
        """Read a row for each perturbation that was evaluated; None before any was."""
        if not self.evaluation_path.exists():
            return None
        return read_table(self.evaluation_path, EVALUATION_COLUMNS, "Delete it and evaluate again.")

    def weights(self) -> dict[str, Tensor]:
        """Read the trained weights by name, checked against their hash.

        Raises:
            InputError: no weights yet, or a damaged file.
        """
        try:
            return read_weights(self.weights_path)
        except FileNotFoundError:
            raise InputError(
                f"{self.folder}: no weights yet. Train it: adaptrnn train ... --out {self.folder}"
            ) from None

    def model(self, task: AbstractTask | None = None) -> Classifier | SequenceModel:
        """Return the trained network, in evaluation mode, on the CPU.

        The network runs wherever it is moved to. A layer that was trained by a backend of one
        device, such as "triton", has the backend "auto"; set ``run.model().core.backend`` for
        another one.

        Args:
            task: the run's task; None takes its facts from the run's record, so that no data are
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
        name = MODELS[config.model].recurrent
        if name and config.dale:
            name = f"parametrizations.{name}.original"
        recurrent = weights.get(f"core.{name}", torch.empty(0, 0)) if name else readout
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

    def _own_model(self, shape: AbstractTask | TaskShape) -> Classifier | SequenceModel:
        if self.given_core is None:
            raise InputError(
                f"{self.folder}: holds the weights of a network of your own. Give one of its kind: "
                "Run(folder, given_core=core)."
            )
        return with_readout(copy.deepcopy(self.given_core), shape)

    def initial(self, task: AbstractTask) -> Classifier | SequenceModel:
        """Return the network with its first weights, otherwise like `model`."""
        config = self.config()
        if not self.initial_path.exists():
            return _portable(build_model(config, task, donor_of(config)))
        own = config.model == OWN_MODEL
        model = self._own_model(task) if own else build_model(config, task, donor_of(config))
        return _load(model, read_weights(self.initial_path), f"{self.initial_path}: ")

    def _shape(self) -> TaskShape:
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
                f"{self.folder / 'record.json'}: does not say what the task is like. Pass the task."
            ) from None
        if (
            kind not in ("sequence", "image")
            or answers not in ("last", "classes", "values")
            or not all(isinstance(n, int) and 1 <= n <= 2**20 for n in (outputs, inputs))
        ):
            raise bad(str(self.folder / "record.json"), facts, "the description of a task")
        return TaskShape(kind, outputs, inputs, answers)

    def start(
        self,
        config: TrainConfig,
        task: AbstractTask,
        model: Classifier | SequenceModel,
        *,
        given: bool = False,
    ) -> None:
        """Make the folder, or check that it holds a run of the same configuration.

        Args:
            config: the configuration.
            task: the task.
            model: the network with its first weights.
            given: whether task and network were given in Python, so that no configuration can build
                them again.
        """
        values = to_dict(config)
        if self.config_path.exists():
            there = to_dict(self.config())
            self.same_options(there, config)
            if (self.folder / "record.json").exists():
                self.task_is(task)
                return
        order = None if task.permutation is None else task.permutation.tolist()
        write_json(self.folder / "permutation.json", order)
        if given:
            write_weights(
                self.initial_path,
                {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()},
            )
        record = {
            "state": "training",
            **({"own_task": True, "core": repr(model.core)} if given else {}),
            "task": task.describe(),
            "parameters": sum(p.numel() for p in model.parameters()),
            "hidden_size": model.core.hidden_size,
            "versions": versions(),
            "hardware": {
                "machine": platform.machine(),
                "system": platform.system(),
                "processor": processor(),
                "processors": os.cpu_count(),
                "threads": torch.get_num_threads(),
                "gpus": torch.cuda.device_count(),
                "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            },
        }
        write_json(self.folder / "record.json", record, hashed=True)
        write_json(self.config_path, values, hashed=True)

    def same_options(self, there: Mapping[str, object], config: TrainConfig) -> None:
        """Check that the options kept in the folder are those of a configuration."""
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

    def update(self, values: Mapping[str, object]) -> None:
        """Change entries of record.json."""
        record = {**self.record(), **values}
        write_json(self.folder / "record.json", record, hashed=True)

    def save_pretrained(
        self, folder: str | os.PathLike[str], *, licence: str | None = None
    ) -> Path:
        """Copy the files of a finished run that others need, without local paths.

        Args:
            folder: where to; it is created if it does not exist.
            licence: of the weights, as the hub names it, such as "mit"; None leaves it out.

        Returns:
            The folder: configuration, record, weights, tables, and a model card (README.md).

        Raises:
            InputError: the run is not finished, or a file is damaged.
        """
        record, config = self.record(), self.config()
        if record.get("state") != "finished":
            raise InputError(f"{self.folder}: not finished. Give the training command again.")
        self.model()  # what is shared can be read
        card = sharing.model_card(config, record, self.evaluation(), licence)
        other = Run(Path(folder))
        if other.folder.resolve() == self.folder.resolve():
            raise bad("folder", str(folder), "another folder than the run's own")
        local: dict[str, str | None] = {"out": None, "data_dir": None}
        if config.controller_from is not None:
            local["controller_from"] = config.controller_from.name
        for name in sharing.SHARED_FILES:
            if (self.folder / name).exists() and name not in ("config.json", "README.md"):
                copy_file(self.folder / name, other.folder / name)
        write_json(other.config_path, to_dict(config) | local, hashed=True)
        write_atomic(other.folder / "README.md", card.encode())
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
            repo_id: ``owner/name`` of the repository; it is created if it does not exist.
            private: whether a new repository is private.
            token: of the hub; None takes the one that ``hf auth login`` stored.
            licence: of the weights, as the hub names it, such as "mit"; None leaves it out.

        Returns:
            The address of the commit.

        Raises:
            InputError: the run is not finished or damaged; the hub cannot be reached or refuses.

        Example:
            >>> Run("runs/digits-arun-seed0").push_to_hub("me/digits-arun")  # doctest: +SKIP
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, licence=licence)
            message = f"{self.config().model} trained on {self.config().task}"
            return sharing.upload(Path(folder), repo_id, message, private=private, token=token)

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str],
        *,
        revision: str | None = None,
        token: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> Run:
        """Fetch a run from the Hugging Face hub, or take one in a folder; no code is run.

        Only JSON, safetensors, parquet and a text are fetched, `adaptrnn.sharing.SHARED_FILES`.

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
        if not Path(name).is_dir():
            name = sharing.fetch(str(name), revision=revision, token=token, cache_dir=cache_dir)
        run = cls(Path(name))
        run.config()
        return run


def _load(
    model: Classifier | SequenceModel, weights: Mapping[str, Tensor], foreign: str
) -> Classifier | SequenceModel:
    """A model with other weights, ready to be used on any device."""
    try:
        model.load_state_dict(weights)
    except (RuntimeError, IndexError) as error:
        raise InputError(f"{foreign}{' '.join(str(error).split())}") from None
    return _portable(model)


def _portable(model: Classifier | SequenceModel) -> Classifier | SequenceModel:
    """A model in evaluation mode, by no backend that needs the machine that trained it."""
    for layer in model.modules():
        if isinstance(layer, Recurrent) and layer.backend != "reference":
            layer.backend = "auto"
    return model.eval()
