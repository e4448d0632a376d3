"""Analyse any network with trained weights that is given in Python."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import xarray as xr
from torch import nn

from adaptrnn._error import InputError, bad, choose, require
from adaptrnn.analysis._type import State
from adaptrnn.analysis.system import Network
from adaptrnn.laboratory.protocol import ANALYSES
from adaptrnn.laboratory.subject import subject_of_network
from adaptrnn.model import MODELS
from adaptrnn.run import Run, versions
from adaptrnn.storage import write_dataset
from adaptrnn.tasks import AbstractTask

__all__ = ["analyze"]


def analyze(
    network: Run | Network,
    task: AbstractTask | None = None,
    names: Sequence[str] | str = "all",
    *,
    state: State | None = None,
    initial: nn.Module | None = None,
    seed: int = 0,
    effort: float = 1.0,
    out: str | os.PathLike[str] | None = None,
    draw: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, xr.Dataset]:
    """Analyse a trained network by the standard protocols; `adaptrnn analyze` does so with runs.

    Args:
        network: a `Run`; any nn.Module with trained weights, of which the recurrent core is the
            attribute `core`, or the module itself, or the only recurrent layer in it; or a step
            function (x_t, state) -> state or (x_t, state, drive) -> state, with its `state`. What
            is scored, such as robustness, needs a module called as ``module(x, drive)`` that
            returns what the task's targets are compared with, and the gradients need its
            `readout`. A module reads (T, B, D), time first, in the dtype of its parameters.
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
        >>> from adaptrnn import RNN
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
    subject = subject_of_network(network, task, state, initial, seed, effort)
    found: dict[str, xr.Dataset] = {}
    for name in chosen:
        try:
            known, analysis = MODELS.built_in.get(subject.name), ANALYSES[name]
            if known is not None and not analysis.suits(known):
                raise bad("network", subject.name, f"with {analysis.needs}")

            def tell(text: str, name: str = name) -> None:
                say(f"{name}: {text}")

            data = analysis.timed_measure(dataclasses.replace(subject, say=tell))
        except InputError as error:
            if not everything:
                raise
            say(f"{name}: skipped; {error}")
            continue
        found[name] = data.assign_attrs(
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
            from adaptrnn.laboratory.drawing import draw_to

            draw_to(Path(out) / f"{name}.png", name, found[name])
    return found
