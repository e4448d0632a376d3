"""Analyses of any network with trained weights, given in Python."""

from __future__ import annotations

import inspect
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import xarray as xr
from torch import Tensor, nn

from adaptrnn._error import InputError, bad, choose, require
from adaptrnn._names import MODELS
from adaptrnn._recurrent import Recurrent
from adaptrnn.analysis._system import System, system
from adaptrnn.gated import GRU, LSTM
from adaptrnn.probe import subject_of
from adaptrnn.protocol import ANALYSES, Subject
from adaptrnn.rnn import ARUN, RNN
from adaptrnn.run import Run, versions, write_dataset
from adaptrnn.tasks import AbstractTask

__all__ = ["analyze"]

_CORES = (Recurrent, GRU, LSTM, nn.RNNBase, nn.RNNCellBase)


def analyze(
    network: Any,
    task: AbstractTask | None = None,
    names: Sequence[str] | str = "all",
    *,
    state: Any = None,
    initial: nn.Module | None = None,
    seed: int = 0,
    effort: float = 1.0,
    out: str | os.PathLike[str] | None = None,
    draw: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, xr.Dataset]:
    """Probe a trained network by the standard protocols; `adaptrnn analyze` does so with runs.

    Args:
        network: a `Run`; any nn.Module with trained weights, of which the recurrent core is the
            attribute `core`, or the module itself, or the only recurrent layer in it; or a step
            function (x_t, state) -> state or (x_t, state, drive) -> state, with its `state`. What
            is scored, such as robustness, needs a module called as ``module(x, drive)`` that
            returns what the task's targets are compared with, and the gradients need its
            `readout`.
        task: the task, whose test trials the network is probed with; None takes the run's.
        names: the analyses, as `adaptrnn analyze` lists them, or "all" that the network can have.
        state: of a step function: one example of its state, with samples along the first axis.
        initial: the same module with its first weights, where known: some protocols compare.
        seed: of the noise, first states and trials that an analysis draws.
        effort: trials, samples and steps relative to the standard protocols, > 0.
        out: folder that each result is written to, NAME.nc; None for nowhere.
        draw: draw each result, to NAME.png in `out`.
        say: called with a few words whenever a part of an analysis begins.

    Returns:
        For each analysis its data set, the same as in the files that `adaptrnn analyze` writes.

    Raises:
        InputError: no recurrent core is found; an analysis that does not exist, or that the network
            cannot have, if it was named.
        MissingExtraError: xarray, or for drawing matplotlib, is not installed.

    Example:
        >>> from adaptrnn.tasks import load
        >>> task = load("perceptual-decision", parameters={"test_size": 20})
        >>> found = analyze(RNN(3, 6, nonlinearity="gamma"), task, ["spectrum"])
        >>> found["spectrum"].network.values.tolist()
        ['trained']
    """
    require("xarray", "analysis")
    if draw:
        require("matplotlib", "paper")
        if out is None:
            raise bad("draw", draw, "False without a folder `out`")
    if not 0 < effort < float("inf"):
        raise bad("effort", effort, "a number > 0")
    everything = names == "all" or list(names) == ["all"]
    chosen = list(ANALYSES) if everything else [names] if isinstance(names, str) else list(names)
    for name in chosen:
        choose("names", name, ANALYSES)
    subject = _subject(network, task, state, initial, seed, effort)
    found: dict[str, xr.Dataset] = {}
    for name in chosen:
        begin = time.perf_counter()
        try:
            allowed = ANALYSES[name].models
            if subject.name in MODELS and subject.name not in allowed:
                raise bad("network", subject.name, f"with {ANALYSES[name].needs}")
            heard = Subject(**{**_fields(subject), "say": lambda text, n=name: say(f"{n}: {text}")})
            data = ANALYSES[name].measure(heard)
        except InputError as error:
            if not everything:
                raise
            say(f"{name}: skipped; {error}")
            continue
        found[name] = data.assign_attrs(
            analysis=name,
            seconds=round(time.perf_counter() - begin, 3),
            network=subject.name,
            task=subject.task.name,
            split_hash=subject.task.split_hash,
            analysis_seed=seed,
            effort=float(effort),
            versions=json.dumps(versions()),
            threads=torch.get_num_threads(),
        )
        if out is not None:
            write_dataset(Path(out) / f"{name}.nc", found[name])
        if draw and out is not None:
            _draw(name, found[name], Path(out) / f"{name}.png")
    return found


def _fields(subject: Subject) -> dict[str, Any]:
    return {name: getattr(subject, name) for name in subject.__dataclass_fields__}


def _draw(name: str, data: xr.Dataset, path: Path) -> None:
    from adaptrnn.figure.laboratory import DRAWINGS
    from adaptrnn.figure.style import render
    from adaptrnn.run import write_atomic

    write_atomic(path, render(DRAWINGS[name], data, "png"))


def _subject(
    network: Any, task: AbstractTask | None, state: Any, initial: Any, seed: int, effort: float
) -> Subject:
    if isinstance(network, Run):
        run = network if task is None else Run(network.folder, task, network.given_core)
        return subject_of(run, seed, effort)
    if task is None:
        raise bad("task", None, "the task that the network was trained on")
    model = _whole(network, task, state)
    first = None if initial is None else _whole(initial, task, state)
    return Subject(_name(model.core), model, first, task, seed, effort)


def _name(core: Any) -> str:
    """The model's name in `adaptrnn.MODELS`, or that of the class."""
    if isinstance(core, ARUN):
        return "arun"
    if isinstance(core, RNN) and core.nonlinearity in MODELS:
        return core.nonlinearity
    if isinstance(core, GRU | LSTM):
        return type(core).__name__.lower()
    return core.name if isinstance(core, System) else type(core).__name__


class _Whole(nn.Module):
    """A network of the user's own under the names that protocols use: core, encoder, readout."""

    def __init__(self, network: Any, core: Any) -> None:
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


def _whole(network: Any, task: AbstractTask, state: Any) -> Any:
    if not isinstance(network, nn.Module):
        size = None if task.kind == "image" else task.input_size
        return _Whole(network, system(network, state, input_size=size))
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
