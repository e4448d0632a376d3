"""Signals of a network under a stimulus: in pieces or whole, of our layers and of any step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from adaptrnn import ARUN, RNN, InputError
from adaptrnn.analysis import _record
from adaptrnn.analysis._record import labelled, neuron_count, record_signals

STIMULUS = torch.linspace(-1, 2, 6 * 3 * 4, dtype=torch.float64).reshape(6, 3, 4)


@pytest.mark.parametrize("batch_first", [False, True])
def test_signals_are_those_of_the_trace_however_they_are_cut(monkeypatch, batch_first):
    core = ARUN(2, 4, controller_size=3, batch_first=batch_first, dtype=torch.float64)
    whole = record_signals(core, STIMULUS)
    monkeypatch.setattr(_record, "_CHUNK", 1)  # one sample at a time
    for name, signal in record_signals(core, STIMULUS).items():
        # the same operations on batches of other sizes, in float64
        torch.testing.assert_close(signal, whole[name], rtol=1e-12, atol=1e-12)
    x = torch.zeros(6, 3, 2, dtype=torch.float64)
    plain = ARUN(2, 4, controller=core.controller, dtype=torch.float64)
    plain.load_state_dict(core.state_dict())
    trace = plain.trace(x, drive=STIMULUS)
    for name in "hns":
        torch.testing.assert_close(whole[name], getattr(trace, name), rtol=1e-12, atol=1e-12)


def test_a_step_function_is_recorded_like_the_layer_that_it_is():
    core = RNN(1, 4, dtype=torch.float64)

    def step(x, state, drive=None):
        return core.step(x, state[None], drive)[0]

    options = {"state": torch.zeros(1, 4, dtype=torch.float64), "input_size": 1}
    found = record_signals(step, STIMULUS[..., :1], into="input", **options)
    wanted = record_signals(core, STIMULUS[..., :1], into="input")
    assert found.keys() == wanted.keys() == {"h"}
    torch.testing.assert_close(found["h"], wanted["h"], rtol=1e-12, atol=1e-12)
    assert neuron_count(step, options["state"]) == neuron_count(core) == 4


@pytest.mark.parametrize("dims", [("time",), ("time", "neuron"), ("time", "trial", "neuron")])
def test_plain_arrays_get_the_names_of_their_axes(dims):
    array = np.random.default_rng(0).normal(size=(5, 2, 3)[: len(dims)])
    found = labelled(array, "h")
    assert found.dims == dims and np.array_equal(found, array)
    turned = xr.DataArray(array, dims=dims).transpose(*dims[::-1])
    assert labelled(turned, "h").dims[0] == "time"


def test_what_has_no_time_is_refused():
    with pytest.raises(InputError, match="include 'time'"):
        labelled(xr.DataArray([1.0], dims="neuron"), "h")
    with pytest.raises(InputError, match="into='inpt'"):
        record_signals(RNN(1, 4), STIMULUS, into="inpt")
