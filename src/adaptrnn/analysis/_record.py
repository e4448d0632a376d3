"""Record the activity of any network under a stimulus, with labelled dimensions."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from adaptrnn._error import bad, choose
from adaptrnn._recurrent import Recurrent
from adaptrnn.analysis._finite import finite
from adaptrnn.analysis._type import State, Values
from adaptrnn.analysis.system import Network, System, as_system
from adaptrnn.gated import GRU, LSTM

RECORDED = ("h", "n", "s")
SIGNAL_UNITS = {"h": "rate", "n": "gain", "s": "saturation"}
TRACED = (Recurrent, GRU, LSTM)
"""Networks whose `trace` gives all their signals."""
_DIMS = {1: ("time",), 2: ("time", "neuron"), 3: ("time", "trial", "neuron")}
_CHUNK = 2**26  # numbers held at once while a trace is taken


def labelled(values: Values, argument: str) -> xr.DataArray:
    """Return values as a DataArray in float64 whose first dimension is time.

    Args:
        values: a DataArray with a dimension "time", or an array or tensor (time,),
            (time, neuron) or (time, trial, neuron).
        argument: its name, for errors.

    Returns:
        The DataArray, time first.

    Raises:
        InputError: there is no time, no known layout, or a value is not finite.
    """
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    if isinstance(values, xr.DataArray):
        labelled = values
    else:
        array = np.asarray(values, dtype=np.float64)
        if array.ndim not in _DIMS or array.size == 0:
            allowed = "(time,), (time, neuron) or (time, trial, neuron), or a DataArray"
            raise bad(f"{argument}.shape", array.shape, allowed)
        labelled = xr.DataArray(array, dims=_DIMS[array.ndim])
    if "time" not in labelled.dims:
        raise bad(f"{argument}.dims", labelled.dims, "dimensions that include 'time'")
    return finite(argument, labelled.transpose("time", ...).astype(np.float64))


def record_signals(
    network: Network,
    stimulus: Annotated[Tensor, "T B _"],
    *,
    into: str = "drive",
    state: State | None = None,
    input_size: int | None = None,
) -> dict[str, Tensor]:
    """Record rates, gains and saturations (where there are any) under a stimulus, from rest.

    Args:
        network: anything `as_system` takes.
        stimulus: (T, B, N), or (T, B, 1) for the same to all neurons; into the input (T, B, D) or
            (T, B, 1).
        into: "drive": added to each neuron's current, no other input; "input": the input x_t.
        state: example state of a user's own step function.
        input_size: D of a user's own step function.

    Returns:
        "h", and if the network has them "n" and "s", each (T, B, N), on the CPU.

    Raises:
        InputError: an unknown `into`; the network takes no drive; the stimulus, or what the
            network makes of it, is not finite.
    """
    choose("into", into, ("drive", "input"))
    finite("stimulus", stimulus)
    steps = stimulus.shape[0]
    units = getattr(getattr(network, "controller", None), "controller_size", 0)
    if not isinstance(network, TRACED):
        network = as_system(network, state, input_size=input_size)
        width, size = network.input_size, network.size
    else:
        width, size = network.input_size, network.hidden_size * (units + 4)
    rows = max(1, _CHUNK // (steps * size))
    parts = []
    for part in stimulus.split(rows, 1):
        x = part.expand(-1, -1, width or 1) if into == "input" else None
        drive = part if into == "drive" else None
        if isinstance(network, System):
            z = network.run(x, network.start(part.shape[1]), drive, steps=steps)
            parts.append({"h": network.activity(z)})
        else:
            parts.append(_trace(network, x, drive, (steps, part.shape[1], width or 1)))
    seen = {name: torch.cat([part[name] for part in parts], 1).detach().cpu() for name in parts[0]}
    for name, signal in seen.items():
        finite(f"network: {name}", signal, "The place is [time, trial, neuron].")
    return seen


def _trace(
    network: Recurrent | LSTM | GRU,
    x: Tensor | None,
    drive: Tensor | None,
    shape: tuple[int, ...],
) -> dict[str, Tensor]:
    weight = next(network.parameters())
    x = weight.new_zeros(shape) if x is None else x.to(weight)
    drive = None if drive is None else drive.to(weight)
    if network.batch_first:
        x, drive = x.transpose(0, 1), None if drive is None else drive.transpose(0, 1)
    if isinstance(network, Recurrent):
        trace: NamedTuple = network.trace(x, drive=drive, layer=network.num_layers - 1)
    else:
        trace = network.trace(x, drive=drive)
    known = RECORDED if hasattr(trace, "s") else ("h",)  # the n of a GRU is its candidate gate
    signals = {name: getattr(trace, name, None) for name in known}
    found = {name: signal for name, signal in signals.items() if signal is not None}
    if network.batch_first:
        found = {name: signal.transpose(0, 1) for name, signal in found.items()}
    return found


def neuron_count(network: Network, state: State | None = None) -> int:
    """Return N, the number of neurons of a network."""
    if isinstance(network, TRACED):
        return int(network.hidden_size)
    return as_system(network, state).neurons
