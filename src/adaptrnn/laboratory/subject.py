"""The subject of a protocol is a trained network with its task, from a run or from Python."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from adaptrnn._error import bad
from adaptrnn._recurrent import Recurrent
from adaptrnn.analysis._type import State
from adaptrnn.analysis.system import Network, System, as_system
from adaptrnn.arun import ARUN
from adaptrnn.classifier import Classifier
from adaptrnn.evaluation import in_dtype_of
from adaptrnn.gated import GRU, LSTM
from adaptrnn.model import name_of
from adaptrnn.run import Run
from adaptrnn.sequence import SequenceModel
from adaptrnn.tasks import AbstractTask, Split, Trials

__all__ = ["Subject", "subject_of_network", "subject_of_run"]

_CORES = (Recurrent, GRU, LSTM, nn.RNNBase, nn.RNNCellBase)


@dataclass(frozen=True)
class Subject:
    """A subject is a trained network, the same network before training, and its task.

    Args:
        name: the model's name, as in `adaptrnn.model.MODELS`, or another for a network of the
            user's own.
        model: the trained network: core, readout and encoder under these names.
        initial: the network with its first weights; None where they are not known.
        task: the task.
        seed: of everything that an analysis draws.
        effort: images, trials, samples and steps relative to the standard protocol.
        donor: the network whose controller was transplanted into this one, if any.
        say: called with a few words whenever a part of an analysis begins.
    """

    name: str
    model: nn.Module
    initial: nn.Module | None
    task: AbstractTask
    seed: int = 0
    effort: float = 1.0
    donor: Classifier | SequenceModel | None = None
    say: Callable[[str], None] = lambda text: None

    @property
    def core(self) -> Any:
        """Return the trained recurrent core."""
        return self.model.core

    @property
    def adaptive(self) -> bool:
        """Return whether n and s move in time."""
        return isinstance(self.core, ARUN)

    @property
    def device(self) -> torch.device:
        """Return the device of the network, the CPU for a network without parameters."""
        first = next(self.model.parameters(), None)
        return torch.device("cpu") if first is None else first.device

    def count(self, standard: int, least: int = 1, most: int | None = None) -> int:
        """Return the standard number of images, trials, samples or steps times the effort."""
        many = max(least, round(standard * self.effort))
        return many if most is None else min(many, most)

    @property
    def stages(self) -> list[tuple[str, Any]]:
        """Return the network before training, where it is known, and after it."""
        both = [("initial", self.initial), ("trained", self.model)]
        return [(name, model) for name, model in both if model is not None]

    def part(self, count: int) -> Split | Trials:
        """Return a number of trials of the test split, evenly spaced, or all of it."""
        test = self.task.test
        index = torch.linspace(0, len(test) - 1, min(count, len(test))).long()
        if isinstance(test, Split):
            return Split(test.images[index], test.labels[index])
        return test[index]

    def trials(self, count: int) -> Trials:
        """Return a number of test trials as the network reads them, on its device, in its dtype."""
        found = self.task.batch(self.part(count), slice(None)).to(self.device)
        return found.with_inputs(in_dtype_of(self.model, found.inputs))

    def lengths(self, count: int) -> Tensor | None:
        """Return the steps of each of these trials, (B,), or None if none of them is padded."""
        trials = self.trials(count)
        lengths = trials.lengths
        return None if lengths is None or (lengths == len(trials.inputs)).all() else lengths

    @torch.no_grad()
    def inputs(self, count: int, model: nn.Module | None = None) -> Tensor:
        """Return the sequences (T, B, D) of test trials that the core reads, padded to T steps.

        Where trials differ in length, `lengths` says where each of them ends.
        """
        network: Any = self.model if model is None else model
        return network.encoder(in_dtype_of(network, self.trials(count).inputs))


def subject_of_run(run: Run, seed: int = 0, effort: float = 1.0) -> Subject:
    """Return the subject that a protocol measures, from a run.

    Args:
        run: a finished run.
        seed: of everything that an analysis draws.
        effort: images, trials, samples and steps relative to the standard protocol.
    """
    config, task = run.config(), run.task()
    source = config.controller_from
    donor = None if source is None else Run(source).model(task)
    return Subject(
        name=config.model,
        model=run.model(task),
        initial=run.initial(task),
        task=task,
        seed=seed,
        effort=effort,
        donor=donor,
    )


def subject_of_network(
    network: Run | Network,
    task: AbstractTask | None,
    state: State | None,
    initial: nn.Module | None,
    seed: int,
    effort: float,
) -> Subject:
    """Return the subject that a protocol measures, from a network given in Python.

    Args:
        network: a `Run`, a module or a step function, as `adaptrnn.laboratory.analyze` takes them.
        task: the task; None takes the run's.
        state: one example of the state of a step function.
        initial: the same network with its first weights, where known.
        seed: of everything that an analysis draws.
        effort: images, trials, samples and steps relative to the standard protocol.

    Raises:
        InputError: there is no task, or no recurrent core is found.
    """
    if isinstance(network, Run):
        run = network if task is None else Run(network.folder, task, network.given_core)
        return subject_of_run(run, seed, effort)
    if task is None:
        raise bad("task", None, "the task that the network was trained on")
    model = _whole(network, task, state)
    first = None if initial is None else _whole(initial, task, state)
    return Subject(_name(model.core), model, first, task, seed, effort)


def _name(core: System | nn.Module) -> str:
    """The model's name in `adaptrnn.model.MODELS`, or that of the class."""
    return core.name if isinstance(core, System) else name_of(core) or type(core).__name__


class _Whole(nn.Module):
    """A network of the user's own under the names that protocols use: core, encoder, readout."""

    def __init__(self, network: Network, core: System | nn.Module) -> None:
        super().__init__()
        self.network, self.core = network, core
        self.encoder = nn.Identity()
        readout = getattr(network, "readout", None)
        if isinstance(readout, nn.Module):
            self.readout = readout

    def forward(self, x: Tensor, drive: Tensor | float | None = None) -> Tensor:
        """What the network answers."""
        if not isinstance(self.network, nn.Module) or self.network is self.core:
            raise bad("network", _name(self.core), "a module that answers the task, with a readout")
        if drive is None:
            return self.network(x)
        try:
            inspect.signature(self.network.forward).bind(x, drive)
        except TypeError:
            allowed = "a module that is called as module(x, drive)"
            raise bad("network", type(self.network).__name__, allowed) from None
        return self.network(x, drive)


def _whole(network: Network, task: AbstractTask, state: State | None) -> Any:
    if not isinstance(network, nn.Module):
        size = None if task.kind == "image" else task.input_size
        return _Whole(network, as_system(network, state, input_size=size))
    if all(hasattr(network, name) for name in ("core", "encoder", "readout")):
        return network
    core = getattr(network, "core", None)
    if core is None and (isinstance(network, _CORES) or hasattr(network, "step")):
        core = network
    if core is None:
        inner = [part for part in network.modules() if isinstance(part, _CORES)]
        if len(inner) != 1:
            raise bad(
                "network",
                type(network).__name__,
                "a module with one recurrent layer, or with its recurrent core as `core`",
                f"{len(inner)} recurrent layers were found in it.",
            )
        core = inner[0]
    return _Whole(network, core)
