"""The configurations of all commands are frozen and validated, and made of plain values.

The command line is made from these classes. Nothing heavy is imported here, so that help is shown
at once.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import tyro

from adaptrnn._error import InputError, bad, choose
from adaptrnn.model import MODELS, OWN_MODEL
from adaptrnn.preset import preset_of

__all__ = [
    "AnalyzeConfig",
    "BenchConfig",
    "CollectConfig",
    "EvaluateConfig",
    "ExploreConfig",
    "FigureConfig",
    "InfoConfig",
    "ModelsConfig",
    "PsychometricConfig",
    "RecordConfig",
    "ReportConfig",
    "ReproduceConfig",
    "TrainConfig",
    "check_type",
    "from_dict",
    "to_dict",
]


@dataclass(frozen=True)
class TrainConfig:
    """This configuration describes one training run, from data to weights.

    Every default is the paper's (Geadah et al. 2024, Methods).

    Example:
        >>> TrainConfig("digits", model="arun", epochs=2).learning_rate
        0.0001
        >>> TrainConfig("digits", model="arum")
        Traceback (most recent call last):
        adaptrnn._error.InputError: model='arum': must be one of ... Did you mean 'arun'?
    """

    task: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK")]
    """digits, psmnist, scifar10, scifar10-conv, or owner/name of a data set of the hub;
    perceptual-decision, delayed-match, adding or neurogym:NAME; or FILE.py:FUNCTION, a task of
    your own, whose code is run."""
    model: str = "arun"
    """Name of the model, such as relu, gamma, arun or lstm; `adaptrnn models` lists them all."""
    out: Path | None = None
    """Folder of the run; default runs/TASK-MODEL-seedSEED. An unfinished run is resumed."""
    data_dir: Path | None = None
    """Folder with mnist/ or cifar10/ parquet files; default: the Hugging Face hub."""
    image_size: int | None = None
    """Downsample images to this many pixels a side (psmnist at 14: 196 steps)."""
    train_size: int | None = None
    """Number of training images, the first ones of the split; or of new trials in an epoch."""
    permutation_seed: int | None = None
    """Another permutation of the pixels; default: the published one, for every seed the same."""
    hidden_size: int | None = None
    """Neurons; default 400, for lstm and gru the size of equal parameter count (202, 233)."""
    controller_size: int = 50
    """Units of the adaptation controller (arun)."""
    n: str = "paper"
    """Initial gain (gamma models): paper for N(5, 2^2), code for one shared draw, or a number."""
    s: float = 0.0
    """Initial saturation (gamma models)."""
    learn_curve: bool = True
    """Whether n and s are trained (gamma models)."""
    controller_from: Path | None = None
    """Run whose controller is transplanted and frozen (arun)."""
    recurrent_init: Literal["henaff", "haar", "uniform", "identity"] = "henaff"
    """Initial recurrent matrix (all but lstm and gru)."""
    dt: float = 1.0
    """Length of a time step in ms."""
    tau: float | None = None
    """Time constant of leaky neurons in ms, >= dt (all but lstm and gru); default: no leak."""
    learn_tau: bool = False
    """Whether each neuron's time constant is trained, from tau on."""
    noise: float = 0.0
    """Standard deviation of the noise in the currents while training (all but lstm and gru)."""
    dale: bool = False
    """Whether each neuron's recurrent weights have one sign (all but lstm and gru)."""
    excitatory: float = 0.8
    """Share of excitatory neurons with --dale; they come first."""
    epochs: int = 100
    """Passes over the training split."""
    batch_size: int = 100
    """Images in a step, over all devices."""
    lr: float | None = None
    """Adam's learning rate, the peak of one-cycle; default 1e-4 (scifar10 1e-5)."""
    schedule: Literal["plateau", "one-cycle", "constant"] = "plateau"
    """Learning rate over time; plateau divides it by 10 when the validation loss stalls."""
    clip: float | None = None
    """Largest gradient norm; default: no clipping."""
    seed: int = 0
    """Seed of the initial weights and of the order of the images."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to train."""
    devices: int = 1
    """How many devices; more than one trains in parallel (DDP)."""
    backend: str = "auto"
    """Implementation of the recurrent layers: auto takes the fastest that can."""
    precision: Literal["float32", "bf16"] = "float32"
    """bf16: on a CPU products with the recurrent weights round their operands to bfloat16, and
    convolutions too where the processor multiplies bfloat16 numbers faster; on a GPU the encoder
    and the readout run in bfloat16 by autocast."""
    memory_budget: int = 1024
    """MiB that a training step may use to keep its past; what does not fit is computed twice."""
    checkpoint_seconds: float = 60.0
    """Seconds between saved states within an epoch; the state is also saved after each epoch."""
    task_options: tuple[str, ...] = ()
    """Parameters of a task that is not made of images, such as noise=0.5 'delay=[10, 20]'."""

    def __post_init__(self) -> None:
        kind = None if self.model == OWN_MODEL else MODELS[self.model]
        self.task_parameters  # noqa: B018 - checks task_options
        for name, hint in get_type_hints(TrainConfig).items():
            if get_origin(hint) is Literal:
                choose(name, getattr(self, name), get_args(hint))
        for name in ("image_size", "train_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise bad(name, value, "an integer >= 1")
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise bad(name, getattr(self, name), "an integer >= 1")
        # a square matrix of that many units takes 16 GiB: more is a slip
        for name, most in (("hidden_size", 2**16), ("controller_size", 2**16), ("devices", 2**10)):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= most:
                raise bad(name, value, f"an integer from 1 to {most:,}")
        for name in ("lr", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= sys.float_info.max:
                raise bad(name, value, "a number > 0")
        if not 0 <= self.memory_budget < 2**40:
            raise bad("memory_budget", self.memory_budget, "an integer >= 0, in MiB")
        if not 0 <= self.seed < 2**32:
            raise bad("seed", self.seed, "an integer, 0 <= seed < 2^32")
        if not abs(self.s) <= sys.float_info.max:
            raise bad("s", self.s, "a finite number")
        if not self.checkpoint_seconds >= 0:
            raise bad("checkpoint_seconds", self.checkpoint_seconds, "a number >= 0")
        if self.controller_from is not None and (kind is None or not kind.has_controller):
            allowed = f"left out for {self.model}, which has no controller"
            raise bad("controller_from", str(self.controller_from), allowed)
        self.initial_gain  # noqa: B018 - checks n
        from adaptrnn.leak import Noise, check_times  # which import torch

        check_times(self.dt, self.tau, self.learn_tau, 1)
        Noise(self.noise)
        if not 0 <= self.excitatory <= 1:
            raise bad("excitatory", self.excitatory, "a share from 0 to 1")
        if self.dynamics and (kind is None or "tau" not in kind.options):
            raise bad("tau, noise, dale", self.dynamics, f"left out for {self.model}")

    @property
    def learning_rate(self) -> float:
        """Return the learning rate, which is the paper's where none is given."""
        return self.lr or preset_of(self.task).learning_rate

    @property
    def initial_gain(self) -> str | float:
        """Return the option `n` as a name or a number."""
        if self.n in ("paper", "code"):
            return self.n
        try:
            gain = float(self.n)
        except ValueError:
            gain = 0.0
        if gain == 0 or not math.isfinite(gain):
            raise bad("n", self.n, "paper, code or a number other than 0")
        return gain

    @property
    def dynamics(self) -> dict[str, object]:
        """Return a layer's arguments for leak, noise and signs, empty where there are none."""
        found: dict[str, object] = {}
        if self.tau is not None:
            found |= {"tau": self.tau, "learn_tau": self.learn_tau}
        if self.noise:
            found["noise"] = self.noise
        if found:
            found["dt"] = self.dt
        return found | ({"dale": self.excitatory} if self.dale else {})

    @property
    def task_parameters(self) -> dict[str, object]:
        """Return `task_options` by name: numbers, lists, mappings, truth values or texts.

        Example:
            >>> TrainConfig("adding", task_options=("steps=200",)).task_parameters
            {'steps': 200}
        """
        found: dict[str, object] = {}
        for option in self.task_options:
            name, equals, text = option.partition("=")
            if not (name.isidentifier() and equals) or name in found:
                raise bad("task_options", option, "NAME=VALUE, each name once")
            try:
                found[name] = json.loads(text if text[:1] != "." else f"0{text}")
            except ValueError:
                found[name] = text
        return found

    @property
    def folder(self) -> Path:
        """Return the folder in which the run is kept."""
        if self.out is not None:
            return self.out
        task = self.task.replace("/", "-")
        if ":" in task:  # of NeuroGym, or a function in a file
            task = re.sub(r"[^\w.-]+|\.py(?=:)", "-", Path(self.task).name).replace("--", "-")
        return Path("runs") / f"{task}-{self.model}-seed{self.seed}"


@dataclass(frozen=True)
class EvaluateConfig:
    """These options say which runs are evaluated, and under which perturbations."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN...")]
    """Folders of runs, or folders that hold folders of runs."""
    perturb: tuple[str, ...] = ()
    """Perturbations such as step:xi=5 or noise:mean=5+contrast, or NAME=step:xi=5 to give one the
    name by which it is shown and kept; default: the paper's three."""
    split: Literal["test", "validation", "train"] = "test"
    """Which images."""
    task: str | None = None
    """FILE.py:FUNCTION again, for runs trained on a task of your own; its code is run."""


@dataclass(frozen=True)
class ModelsConfig:
    """These are the sizes of the network that all models are matched to."""

    hidden_size: int = 400
    """Neurons of the ARUN that the others are matched to."""
    controller_size: int = 50
    """Units of its controller."""
    input_size: int = 1
    """Features of one step."""
    num_classes: int = 10
    """Classes."""


@dataclass(frozen=True)
class PsychometricConfig:
    """These options choose the runs, the condition of their trials, and the perturbations."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN...")] = ()
    """Folders of runs; results go to RUN/psychometric.nc and RUN/psychometric.png."""
    condition: str | None = None
    """The trials' condition, such as coherence or delay; default: the task's own."""
    perturb: tuple[str, ...] = ()
    """Perturbations such as step:xi=1; default: none, and the paper's noisy and step drive."""
    task: str | None = None
    """FILE.py:FUNCTION again, for runs trained on a task of your own; its code is run."""


@dataclass(frozen=True)
class RecordConfig:
    """These options say which runs are recorded, over how many trials, under which perturbation."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN...")] = ()
    """Folders of runs; each recording goes to RUN/recording.nc."""
    trials: int = 100
    """Test trials, evenly spaced in the split."""
    perturb: str = "clean"
    """A perturbation such as step:xi=1."""
    controller: bool = False
    """Record the states of the controller too, G numbers for each neuron and step."""
    nwb: bool = False
    """Write RUN/recording.nwb too (extra neurons)."""
    dt: float = 1.0
    """Milliseconds of one time step, for NWB, whose time is in seconds."""
    task: str | None = None
    """FILE.py:FUNCTION again, for runs trained on a task of your own; its code is run."""

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise bad("trials", self.trials, "an integer >= 1")
        if not 0 < self.dt < float("inf"):
            raise bad("dt", self.dt, "a number > 0, in ms")


@dataclass(frozen=True)
class AnalyzeConfig:
    """These options say which analyses are made, and of which runs."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")] = ""
    """Name of the analysis, several as lyapunov,spectrum, or all; without one they are listed."""
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN...")] = ()
    """Folders of trained runs, or of folders of runs; results go to RUN/analysis/NAME.nc."""
    draw: bool = False
    """Draw each result too, to RUN/analysis/NAME.png."""
    force: bool = False
    """Analyse again even if the result is already there."""
    seed: int = 0
    """Seed of the noise, first states and images that an analysis draws."""
    effort: float = 1.0
    """Images, trials, samples and steps relative to the standard protocols."""
    task: str | None = None
    """FILE.py:FUNCTION again, for runs trained on a task of your own; its code is run."""

    def __post_init__(self) -> None:
        if not 0 < self.effort < float("inf"):
            raise bad("effort", self.effort, "a number > 0")
        if not 0 <= self.seed < 2**32:
            raise bad("seed", self.seed, "an integer, 0 <= seed < 2^32")


@dataclass(frozen=True)
class BenchConfig:
    """These options say what `adaptrnn bench` compares."""

    quick: bool = False
    """Time tiny networks, in half a minute, to see whether everything runs and not how fast."""
    compile: bool = True
    """Whether torch.compile is a peer (its compilation takes a minute)."""
    seconds: float = 5.0
    """How long a training step is repeated, at least three times; forward a quarter of that."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Device; with cuda the layers are timed on an NVIDIA GPU, together with those of cuDNN."""
    json: Path | None = None
    """File for what was measured on a GPU, to be sent to the developers."""

    def __post_init__(self) -> None:
        if not 0 <= self.seconds < math.inf:
            raise bad("seconds", self.seconds, "a number >= 0")
        if self.device == "cpu" and self.json is not None:
            raise bad("json", str(self.json), "used with --device cuda")


@dataclass(frozen=True)
class InfoConfig:
    """`adaptrnn info` has no options."""


@dataclass(frozen=True)
class ReproduceConfig:
    """These options say which part of the paper is reproduced, and where the results go."""

    profile: str = "quick"
    """quick (bundled digits, minutes), laptop (real data, a few hours), night (the same and more,
    a night), paper (a cluster), or a YAML file of the same form."""
    data_dir: Path | None = None
    """Folder with mnist/ and cifar10/ parquet files; default: the Hugging Face hub."""
    out: Path | None = None
    """Folder of the runs; default runs/PROFILE. What is already there is not done again."""
    report: Path = Path("report")
    """Folder of the report: index.html, figures/ (svg, pdf) and data/ (csv)."""
    cores: int | None = None
    """Jobs at a time, one processor each; default: as many as there are processors."""
    backend: str = "auto"
    """Implementation of the recurrent layers: auto takes the fastest that can."""
    dry_run: bool = False
    """Print the jobs and what they would cost, and do nothing."""
    from_results: Path | None = None
    """Folder of collected results: only draw, judge and report, without any run."""
    snakemake: str = ""
    """More options for Snakemake in one text: --snakemake="--executor slurm --jobs 20"."""

    def __post_init__(self) -> None:
        if self.cores is not None and self.cores < 1:
            raise bad("cores", self.cores, "an integer >= 1")
        try:
            shlex.split(self.snakemake)
        except ValueError as error:
            raise bad("snakemake", self.snakemake, "words as in a shell", f"{error}.") from None
        if self.from_results is not None and self.out is not None:
            advice = "It is the folder of the runs, and there are none. The report's is --report."
            raise bad("out", str(self.out), "left out with --from-results", advice)

    @property
    def folder(self) -> Path:
        """Return the folder in which the runs are kept."""
        return Path("runs") / Path(self.profile).stem if self.out is None else self.out


@dataclass(frozen=True)
class CollectConfig:
    """These options say whose runs are collected."""

    profile: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="PROFILE")]
    """Name of the profile, or a YAML file."""
    runs: Path | None = None
    """Folder of the runs; default runs/PROFILE."""
    out: Path | None = None
    """Folder of the results; default RUNS/results."""
    data_dir: Path | None = None
    """Folder of the data, as for `adaptrnn train`."""


@dataclass(frozen=True)
class ReportConfig:
    """These options say which results are reported."""

    results: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RESULTS")]
    """Folder of collected results."""
    out: Path = Path("report")
    """Folder of the report."""
    docs: Path | None = None
    """Folder of the documentation; its pages reference/results.md, reference/figures.md and
    reference/paper-map.md are written too."""


@dataclass(frozen=True)
class FigureConfig:
    """These options say which figure is drawn, and of which runs."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")] = ""
    """Name of the figure; without one the names are listed."""
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN...")] = ()
    """Folders of trained runs; models that the figure does not show are skipped."""
    out: Path | None = None
    """File to write, .svg, .pdf or .png; default NAME.png, if there is no such file yet."""
    dark: bool = False
    """Whether the figure is for a dark page."""


@dataclass(frozen=True)
class ExploreConfig:
    """These options say where the explorer listens and what it shows.

    Example:
        >>> ExploreConfig(token="short")
        Traceback (most recent call last):
        adaptrnn._error.InputError: token='***': must be at least 8 characters.
    """

    run: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[RUN]")] = None
    """A run, or a folder of runs; default: a small network that comes with adaptrnn."""
    host: str = "127.0.0.1"
    """Address to listen on; any but this machine's own asks for a token."""
    port: int = 2718
    """Port to listen on."""
    browser: bool = True
    """Whether to open the browser."""
    token: str | None = None
    """Token that the page asks for; default: none for this machine, a random one for others."""

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535:
            raise bad("port", self.port, "a port, from 1 to 65535")
        if self.token is not None and len(self.token) < 8:
            raise bad("token", "***", "at least 8 characters")

    @property
    def local(self) -> bool:
        """Return whether only this machine can reach the explorer."""
        return self.host in ("127.0.0.1", "localhost", "::1")


def to_dict(config: TrainConfig) -> dict[str, object]:
    """Return a configuration as plain values (JSON).

    Example:
        >>> to_dict(TrainConfig("digits"))["batch_size"]
        100
    """
    values = dataclasses.asdict(config)
    plain = {name: str(v) if isinstance(v, Path) else v for name, v in values.items()}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in plain.items()}


def from_dict(values: object, source: str = "config") -> TrainConfig:
    """Read a `TrainConfig` back from plain values, checking names, types and ranges.

    Args:
        values: what `to_dict` gave, e.g. read from config.json.
        source: name of the file, for messages.

    Returns:
        The configuration.

    Raises:
        InputError: not a mapping, an unknown name, a missing task, a wrong type or value.

    Example:
        >>> from_dict({"task": "digits", "epoch": 3})
        Traceback (most recent call last):
        adaptrnn._error.InputError: config='epoch': must be one of ... Did you mean 'epochs'?
    """
    if not isinstance(values, dict):
        raise bad(source, values, "a mapping of option names to values")
    fields = {field.name: field for field in dataclasses.fields(TrainConfig)}
    for name, value in values.items():
        check_type(f"{source}: {name}", value, fields[choose(source, name, fields)])
    if "task" not in values:
        raise InputError(f"{source}: must name a task.")
    paths = ("out", "data_dir", "controller_from")
    for name in paths:
        if "\0" in (values.get(name) or ""):
            raise bad(f"{source}: {name}", values[name], "a path")
    given: dict[str, Any] = {k: Path(v) if k in paths and v else v for k, v in values.items()}
    given["task_options"] = tuple(given.get("task_options", ()))
    try:
        return TrainConfig(**given)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "a text"),
    "Annotated": ((str,), "a text"),
    "Literal": ((str,), "a text"),
    "Path | None": ((str, type(None)), "a path or null"),
    "int": ((int,), "an integer"),
    "int | None": ((int, type(None)), "an integer or null"),
    "float": ((int, float), "a number"),
    "float | None": ((int, float, type(None)), "a number or null"),
    "bool": ((bool,), "true or false"),
    "tuple[str, ...]": ((list,), "a list of texts"),
    "tuple": ((list,), "a list"),
    "Mapping": ((dict,), "a mapping"),
}
"""What a file may say for an attribute, by its annotation or the beginning of that."""


def check_type(name: str, value: object, field: dataclasses.Field[object]) -> None:
    """Check a value that was read from a file against the annotation of an attribute.

    Args:
        name: of the value, for the message.
        value: plain values, as JSON and YAML have them.
        field: the attribute, of a dataclass in a module with postponed annotations.

    Raises:
        InputError: the value is of another type.
    """
    said = str(field.type)
    if said in _KINDS:
        kinds, words = _KINDS[said]
    elif said.endswith(" | None"):
        kinds, words = (dict, type(None)), "a mapping, or null"
    else:
        kinds, words = _KINDS[said.partition("[")[0]]
    fits = isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds)
    if said == "tuple[str, ...]" and isinstance(value, list):
        fits = all(isinstance(part, str) for part in value)
    if not fits:
        raise bad(name, value, words)
