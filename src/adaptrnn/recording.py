"""Record every internal signal of a network over trials, labelled, and write it as NWB.

A recording holds, for each trial, time step and neuron, the current a, the rate h, and where the
network has them the gain n, the saturation s and the controller's state g, with input, target and
output of the trial. `write_nwb` writes one as Neurodata Without Borders, which the analysis tools
of the field open.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr

from adaptrnn._error import bad, require
from adaptrnn.analysis.system import Network, System, as_system
from adaptrnn.arun import ARUN
from adaptrnn.config import RecordConfig
from adaptrnn.evaluation import in_dtype_of
from adaptrnn.perturb import Perturbation, Sum, parse
from adaptrnn.rnn import RNN
from adaptrnn.run import Run, runs_in
from adaptrnn.storage import write_dataset
from adaptrnn.tasks import AbstractTask, Split, trial_scores

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["record", "write_nwb"]

_MOST = 2**31
"""Bytes that a recording may have; more is a slip, and would not fit next to its NWB file."""


@torch.no_grad()
def record(
    network: Run | Network,
    task: AbstractTask | None = None,
    *,
    trials: int | Sequence[int] = 100,
    perturbation: Perturbation | None = None,
    controller: bool = False,
) -> xr.Dataset:
    """Record every internal signal of a network over test trials of a task.

    Args:
        network: a `Run`, or a trained module: a `Classifier`, a `SequenceModel`, or any module with
            a recurrent `core`, or a core.
        task: the task; None takes the run's.
        trials: how many test trials, evenly spaced in the split, or their indices.
        perturbation: what is done to the network meanwhile; None for nothing.
        controller: whether the states of an ARUN's controller are recorded too.

    Returns:
        h (trial, time, neuron), the rates; of layers of adaptrnn also a, the currents, and of
        adaptive curves n and s, and g (trial, time, neuron, unit) if asked for; input (trial, time,
        channel), target and weight, output where the network has a readout, correct or error
        (trial), length (trial), and each condition of the trials. Time counts steps from 0; what
        comes after a trial's own length is NaN.

    Raises:
        InputError: a network without a recurrent core, a trial that does not exist, or a recording
            of more than 2 GiB.

    Example:
        >>> from adaptrnn import ARUN
        >>> from adaptrnn.tasks import load
        >>> task = load("delayed-match", parameters={"test_size": 8})
        >>> session = record(ARUN(3, 5, controller_size=4), task, trials=2)
        >>> sorted(name for name in session if name in "ahns"), dict(session.h.sizes)
        (['a', 'h', 'n', 's'], {'trial': 2, 'time': 70, 'neuron': 5})
    """
    require("xarray", "analysis")
    model: Any = network
    if isinstance(network, Run):
        task = network.task() if task is None else task
        model = network.model(task)
    if task is None:
        raise bad("task", None, "the task whose trials are shown")
    core = getattr(model, "core", model)
    chosen = _chosen(task, trials)
    test = task.test
    part = (
        Split(test.images[chosen], test.labels[chosen]) if isinstance(test, Split) else test[chosen]
    )
    batch = task.batch(part, slice(None))
    perturbation = Sum(()) if perturbation is None else perturbation
    encoder = getattr(model, "encoder", torch.nn.Identity())
    weights = next(model.parameters(), None) if isinstance(model, torch.nn.Module) else None
    x = batch.inputs
    if weights is not None:
        x = in_dtype_of(model, x.to(weights.device))
    x = perturbation.stimulus_image(x) if task.kind == "image" else perturbation.stimulus(x)
    was_training = bool(getattr(model, "training", False))
    if was_training:
        model.eval()
    x = encoder(x)
    size = int(getattr(core, "hidden_size", 0)) or as_system(core).neurons
    steps, count, _ = x.shape
    units = core.controller_size if controller and isinstance(core, ARUN) else 0
    need = 4 * steps * count * size * (4 + units)
    if need > _MOST:
        raise bad("trials", count, f"fewer: this recording would need {need / 2**30:.1f} GiB")
    drive = perturbation.drive(steps, count, size, device=x.device, dtype=x.dtype)
    signals = _signals(core, x, drive, units > 0)
    found: dict[str, Any] = {}
    for name, values in signals.items():
        dims = ("trial", "time", "neuron", "unit")[: values.ndim]
        found[name] = dims, values.movedim(1, 0).float().cpu().numpy()
    found["input"] = ("trial", "time", "channel"), x.movedim(1, 0).float().cpu().numpy()
    readout = getattr(model, "readout", None)
    if isinstance(readout, torch.nn.Module):
        output = readout(signals["h"]).cpu()
        found["output"] = ("trial", "time", "class"), output.movedim(1, 0).float().numpy()
        answer = output[-1] if batch.answers == "last" else output
        found[task.metric] = "trial", trial_scores(answer, batch).numpy()
    target = batch.targets if batch.answers == "last" else batch.targets.movedim(1, 0)
    found["target"] = ("trial", "time", "class")[: target.ndim], target.numpy()
    lengths = torch.full((count,), steps) if batch.lengths is None else batch.lengths
    found["length"] = "trial", lengths.numpy()
    for name, value in batch.conditions.items():
        found[name if name not in found else f"condition_{name}"] = "trial", value.numpy()
    if was_training:
        model.train()
    data = xr.Dataset(found, coords={"trial": chosen.numpy(), "time": np.arange(steps)})
    if batch.weights is not None:
        data["weight"] = ("trial", "time"), batch.weights.T.numpy()
    beyond = data.time < data.length
    for name in (*signals, "output"):
        if name in data:
            data[name] = data[name].where(beyond)
    return data.assign_attrs(
        task=task.name,
        split_hash=task.split_hash,
        perturbation=str(perturbation),
        conditions=list(batch.conditions),
        definition="a: currents, h: rates, n: gains, s: saturations, g: controller states, of "
        "test trials; time in steps",
    )


def _chosen(task: AbstractTask, trials: int | Sequence[int]) -> torch.Tensor:
    whole = len(task.test)
    if isinstance(trials, int):
        if trials < 1:
            raise bad("trials", trials, "an integer >= 1, or indices of test trials")
        return torch.linspace(0, whole - 1, min(trials, whole)).long()
    index = torch.as_tensor(list(trials))
    if not len(index) or index.min() < 0 or index.max() >= whole:
        raise bad("trials", list(trials), f"indices from 0 to {whole - 1}")
    return index


def _signals(
    core: Any, x: torch.Tensor, drive: torch.Tensor | float | None, controller: bool
) -> dict[str, torch.Tensor]:
    """Signals by name, each (T, B, N, ...)."""
    if isinstance(core, RNN | ARUN):
        trace = core.trace(x, None, drive, layer=core.num_layers - 1)
        names = ("a", "h", "n", "s", "g") if controller else ("a", "h", "n", "s")
        found = {name: getattr(trace, name) for name in names}
        return {name: value for name, value in found.items() if value is not None}
    if isinstance(core, System) or hasattr(core, "step") or isinstance(core, torch.nn.RNNBase):
        whole = as_system(core) if not hasattr(core, "gates") else core
        if isinstance(whole, System):
            return {"h": whole.activity(whole.run(x, drive=drive))}
    return {"h": core(x)[0] if drive is None else core(x, None, drive)[0]}


def write_nwb(
    recording: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    dt: float = 1.0,
    description: str = "",
) -> Path:
    """Write a recording as Neurodata Without Borders.

    Trials follow one another without a pause: step t of a trial that begins at time b is at
    b + t dt. The file holds the rates of all neurons as one time series, `rates`, and in the same
    way `currents`, `gains`, `saturations`; `input`, `output` and `target`; the table of trials with
    start and stop time and conditions; and the table of neurons, with the f-I curve of each: mean
    and standard deviation of its gain n and saturation s.

    Args:
        recording: what `record` returned.
        path: the file; one that is there is replaced.
        dt: milliseconds of one time step.
        description: of the session.

    Returns:
        The path.

    Raises:
        MissingExtraError: pynwb is not installed.
    """
    nwb = require("pynwb", "neurons")
    from hdmf.common import DynamicTable, VectorData

    if not 0 < dt < float("inf"):
        raise bad("dt", dt, "a number > 0, in ms")
    if "h" not in recording:
        raise bad("recording", list(recording), "what `record` returned")
    lengths = recording.length.values.astype(int)
    kept = (recording.time.values < lengths[:, None]).ravel()
    second = dt / 1000
    file = nwb.NWBFile(
        session_description=description or f"adaptrnn, task {recording.attrs.get('task', '')}",
        identifier=f"adaptrnn-{recording.attrs.get('split_hash', '')[:12]}",
        session_start_time=datetime(2000, 1, 1, tzinfo=timezone.utc),
        experiment_description=str(recording.attrs.get("definition", "")),
    )
    names = {
        "h": ("rates", "rate of every neuron"),
        "a": ("currents", "total current into every neuron"),
        "n": ("gains", "gain n of every f-I curve"),
        "s": ("saturations", "saturation s of every f-I curve"),
        "input": ("input", "what the network reads"),
        "output": ("output", "what the network answers"),
        "target": ("target", "what it should answer"),
    }
    for name, (title, text) in names.items():
        if name not in recording or "time" not in recording[name].dims:
            continue
        values = recording[name].values
        flat = values.reshape(len(kept), -1)[kept].astype(np.float32)
        series = nwb.TimeSeries(
            name=title,
            data=flat if flat.shape[1] > 1 else flat[:, 0],
            unit="a.u.",
            starting_time=0.0,
            rate=1 / second,
            description=text,
        )
        file.add_acquisition(series)
    scores = [name for name in ("accuracy", "error") if name in recording]
    conditions = [*recording.attrs.get("conditions", []), *scores]
    for name in conditions:
        file.add_trial_column(name, f"{name} of the trial")
    ends = np.cumsum(lengths)
    for k, (end, length) in enumerate(zip(ends, lengths, strict=True)):
        facts = {name: float(recording[name].values[k]) for name in conditions}
        file.add_trial(start_time=(end - length) * second, stop_time=end * second, **facts)
    columns = [
        VectorData(
            name="neuron", description="its index", data=np.arange(recording.sizes["neuron"])
        )
    ]
    for name in ("n", "s", "h"):
        if name in recording:
            over = recording[name]
            for kind, value in (
                ("mean", over.mean(("trial", "time"))),
                ("sd", over.std(("trial", "time"))),
            ):
                text = f"{kind} of {name} over trials and time"
                columns.append(
                    VectorData(name=f"{name}_{kind}", description=text, data=value.values)
                )
    module = file.create_processing_module("neurons", "f-I curves of the neurons")
    module.add(DynamicTable(name="f_i_curves", description="one row a neuron", columns=columns))
    path = Path(path)
    path.unlink(missing_ok=True)
    with nwb.NWBHDF5IO(str(path), "w") as io:
        io.write(file)
    return path


def run_record(config: RecordConfig, console: Console) -> None:
    """Record runs, for the command `adaptrnn record`."""
    perturbation = parse(config.perturb)
    if config.nwb:
        require("pynwb", "neurons")
    for run in [run.on_task(config.task) for run in runs_in(config.runs)]:
        with console.status(f"recording {run.folder}"):
            data = record(
                run,
                trials=config.trials,
                perturbation=perturbation,
                controller=config.controller,
            )
        write_dataset(run.folder / "recording.nc", data)
        size = ", ".join(f"{data.sizes[d]} {d}s" for d in ("trial", "time", "neuron"))
        console.print(
            f"{run.folder / 'recording.nc'} ({size})", highlight=False, markup=False, soft_wrap=True
        )
        if config.nwb:
            path = write_nwb(data, run.folder / "recording.nwb", dt=config.dt)
            console.print(str(path), highlight=False, markup=False, soft_wrap=True)
