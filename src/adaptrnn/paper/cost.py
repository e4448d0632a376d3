"""Estimate what a job takes, from measured speeds.

They are of a processor that takes twice as long as that of docs/reference/benchmarks.md. The
estimates are good to a factor of about two: enough to see whether a profile is for a laptop, a
night or a cluster, and to ask a cluster for enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adaptrnn.classifier import ConvEncoder, match_parameters
from adaptrnn.config import TrainConfig
from adaptrnn.laboratory.protocol import ANALYSES
from adaptrnn.model import MODELS
from adaptrnn.preset import preset_of

__all__ = ["Cost", "analysis_cost", "evaluation_cost", "hours", "neuron_number", "training_cost"]

STARTUP = 5.0
"""Seconds until a command has imported everything and read its data."""
CONVOLUTION = 113e6
"""Multiply-adds of the convolutional encoder for one image of 32x32 pixels, forward."""


@dataclass(frozen=True)
class Cost:
    """A cost says what a job takes of time, memory and disk.

    Attributes:
        seconds: of one core.
        memory: megabytes.
        disk: megabytes that stay.
    """

    seconds: float
    memory: float
    disk: float


def _convolves(config: TrainConfig) -> bool:
    """Whether a convolutional encoder reads the images."""
    return preset_of(config.task).kind == "image"


def neuron_number(config: TrainConfig) -> int:
    """Return the number of neurons of a run."""
    if config.hidden_size is not None:
        return config.hidden_size
    features = ConvEncoder.features if _convolves(config) else 1
    return match_parameters([config.model], features, 10, controller_size=config.controller_size)[
        config.model
    ]


def sequence_steps(config: TrainConfig) -> int:
    """Return the number of steps of a sequence."""
    if config.image_size is not None and not _convolves(config):
        return config.image_size**2
    return preset_of(config.task).steps


def multiply_adds(config: TrainConfig) -> float:
    """Return the number of multiply-adds of one step of one sample, forward.

    Example:
        >>> multiply_adds(TrainConfig("psmnist", model="arun", hidden_size=400))
        1220000.0
    """
    n, g = float(neuron_number(config)), float(config.controller_size)
    inputs = ConvEncoder.features if _convolves(config) else 0
    count = MODELS[config.model].multiply_adds
    return n * (n + inputs) if count is None else count(n, g, inputs)


def _image(config: TrainConfig) -> float:
    """Seconds of one core for one image, forward."""
    seconds = multiply_adds(config) * sequence_steps(config) / MODELS[config.model].rate
    seconds += sequence_steps(config) * 0.1e-6  # what does not grow with the network
    return seconds + (CONVOLUTION / 75e9 if _convolves(config) else 0.0)


def _network(config: TrainConfig) -> float:
    """Megabytes of a process with the network and a batch, and of its folder's weights."""
    past = 4 * config.batch_size * sequence_steps(config) * neuron_number(config) * 6 / 1e6
    return 700.0 + past + (1500.0 if _convolves(config) else 0.0)


def training_cost(config: TrainConfig) -> Cost:
    """Return the cost of one training run.

    Args:
        config: the run.

    Returns:
        The cost.

    Example:
        >>> training_cost(TrainConfig("psmnist", model="arun")).seconds > 100_000
        True
    """
    task = preset_of(config.task)
    images = 3 * (config.train_size or task.train) + (task.validation or task.train // 10)
    seconds = STARTUP + config.epochs * images * _image(config)
    weights = 4 * (2 * neuron_number(config) * (neuron_number(config) + 12) + 4e3) / 1e6
    return Cost(seconds, _network(config), 0.3 + 4 * weights)


def evaluation_cost(config: TrainConfig, conditions: int) -> Cost:
    """Return the cost of evaluating one run under a number of perturbations."""
    images = conditions * preset_of(config.task).test
    return Cost(STARTUP + images * _image(config), _network(config), 0.02)


def analysis_cost(config: TrainConfig, names: Sequence[str], effort: float) -> Cost:
    """Return the cost of analyses of one run, mostly some hundred steps of its network each."""
    larger = max(1.0, neuron_number(config) / 100)
    seconds = sum(ANALYSES[name].seconds for name in names) * effort * larger
    return Cost(STARTUP + seconds, 2000.0 * larger, 1.0 * larger)


def hours(seconds: float) -> str:
    """Return a duration as people say it.

    Example:
        >>> hours(95.0), hours(7_300.0), hours(400_000.0)
        ('1.6 min', '2.0 h', '4.6 days')
    """
    if seconds < 5_400:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"
