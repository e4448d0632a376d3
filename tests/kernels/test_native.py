"""What native code owes its host: threads, forks, memory, floating-point state, clear refusals."""

from __future__ import annotations

import multiprocessing
import os
import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import torch
from flat_calls import arun, arun_loss, gamma_rnn, reference_arun
from torch._subclasses.fake_tensor import FakeTensorMode

from adaptrnn._error import InputError
from adaptrnn.kernels import native

built = pytest.mark.skipif(native.why_not() is not None, reason="not built")


def step(tensors):
    """Loss, scores and every gradient of one training step, and of the autograd route."""
    readout = [torch.ones(3, tensors[1].shape[1], dtype=tensors[0].dtype)]
    readout.append(torch.zeros(3, dtype=tensors[0].dtype))
    target = torch.arange(tensors[1].shape[0]) % 3
    loss, scores = arun_loss(*tensors, *readout, target, backend="cpu")
    x, weights = tensors[0].detach()[..., :2], tensors[3][:, :2]  # currents made in the kernel
    made = arun_loss(
        x, *tensors[1:], *readout, target, weight_ih=weights, bias_ih=weights[:, 0], backend="cpu"
    )[0]
    h = arun(*tensors, backend="cpu", memory_budget=0)[1]
    rest = (tensors[1], tensors[3])
    quick = gamma_rnn(
        x, *rest, nonlinearity="relu", weight_ih=weights, bias_ih=weights[:, 0], backend="cpu"
    )[0]
    rates = gamma_rnn(*tensors[:2], tensors[3], nonlinearity="tanh", backend="cpu")[1]
    return [
        *(loss, scores, *torch.autograd.grad(loss, tensors)),
        *(made, *torch.autograd.grad(made, tensors[1:])),
        *(h, *torch.autograd.grad(h.sum(), tensors)),
        *(quick, *torch.autograd.grad(quick.sum(), rest)),
        *(rates, *torch.autograd.grad(rates.sum(), (*tensors[:2], tensors[3]))),
    ]


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@built
@pytest.mark.parametrize("batch", [1, 10, 37])
def test_same_bits_for_any_number_of_threads(batch, arun_inputs, instruction_set):
    tensors = arun_inputs(20, batch, 33, 6, torch.float32)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3, 8):
            torch.set_num_threads(threads)
            results += [step(tensors), step(tensors)]
    finally:
        torch.set_num_threads(before)
    assert all(same(results[0], other) for other in results[1:])


@built
def test_called_from_several_python_threads(arun_inputs):
    inputs = [arun_inputs(20, batch, 17, 5) for batch in range(1, 9)]
    alone = [step(tensors) for tensors in inputs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(step, inputs * 4))
    assert all(same(alone[i % 8], other) for i, other in enumerate(together))


def _child(tensors, connection):
    torch.set_num_threads(2)
    connection.send([value.detach().numpy() for value in step(tensors)])
    connection.close()


@built
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_after_fork(arun_inputs):
    """As in a DataLoader's worker: the parent has run kernels, the child runs them again."""
    tensors = arun_inputs(20, 6, 17, 5)
    wanted = step(tensors)
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(tensors, theirs))
    child.start()
    assert ours.poll(60), "the child hangs"
    found = ours.recv()
    child.join(60)
    assert child.exitcode == 0
    assert same(wanted, [torch.from_numpy(np.asarray(value)) for value in found])


def _resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.long
@built
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_no_leak_over_a_thousand_calls(arun_inputs):
    tensors = arun_inputs(16, 4, 50, 10, torch.float32)
    for _ in range(50):
        step(tensors)
    before = _resident()
    for _ in range(1000):
        step(tensors)
    # one past, 16 * 4 * 50 * 10 numbers, left behind each time would be 130 MB
    assert _resident() - before < 13e6


@built
def test_the_hosts_floating_point_state_is_untouched():
    """Numbers below the normal range are zero inside a call, and numbers again after it."""
    tiny = torch.full((2, 1, 4), 1e-310, dtype=torch.float64)
    zero = torch.zeros(1, 4, dtype=torch.float64)
    for _ in range(2):
        output, _ = gamma_rnn(tiny, zero, torch.eye(4).double(), nonlinearity="linear")
        assert (output == 0).all()
        halved = np.array([1e-310]) * 0.5
        assert halved[0] > 0 and float(tiny[0, 0, 0]) * 0.5 > 0
        assert (tiny * 0.5 > 0).all()
    if torch.set_flush_denormal(True):  # a host that wants zeros keeps them
        try:
            gamma_rnn(tiny, zero, torch.eye(4).double(), nonlinearity="linear")
            assert (tiny * 0.5 == 0).all()
        finally:
            torch.set_flush_denormal(False)


@built
def test_the_module_checks_by_itself(arun_inputs):
    """Sizes, dtypes, layout: a wrong call cannot write outside an array, or to a copy of it."""
    currents, h0, weight = (arun_inputs(5, 2, 3, 2)[i].detach() for i in (0, 1, 3))
    good = {"currents": currents, "h0": h0, "weight_hh": weight}
    output = torch.empty(5, 2, 3, dtype=torch.float64)

    def run(**change):
        arrays = good | {"output": output} | change
        native.run("rnn", "forward", 1, arrays=arrays, segment=5)

    run()
    for change, reason in (
        ({"output": torch.empty(5, 2, 4, dtype=torch.float64)}, "output: wrong shape"),
        ({"output": torch.empty(5, 2, 3)}, "output: wrong dtype"),
        ({"output": torch.empty(5, 3, 2, dtype=torch.float64).mT}, "contiguous"),
        ({"h0": None}, "h0: missing"),
        ({"currents": torch.zeros(5, 2)}, "currents"),
    ):
        with pytest.raises((ValueError, RuntimeError), match=reason):
            run(**change)
    with pytest.raises(ValueError, match="segment"):
        native.run("rnn", "forward", 1, arrays=good, segment=3)
    with pytest.raises(ValueError, match="mode"):
        native.run("rnn", "sideways", 1, arrays=good, segment=5)
    with pytest.raises(ValueError, match="nonlinearity"):
        native.run("rnn", "forward", 17, arrays=good, segment=5)


@built
def test_unknown_instruction_set(monkeypatch, arun_inputs):
    monkeypatch.setenv("ADAPTRNN_INSTRUCTION_SET", "mmx")
    with pytest.raises(ValueError, match="mmx"):
        arun(*arun_inputs(2, 1, 2, 2), backend="cpu")


def test_what_goes_where(arun_inputs):
    tensors = [tensor.detach() for tensor in arun_inputs(3, 2, 4, 2)]
    assert not native.takes("reference", *tensors)
    assert native.takes("auto", *tensors) == (native.why_not() is None)
    meta = [tensor.to("meta") for tensor in tensors]
    assert arun(*meta)[0].device.type == "meta"
    half = [tensor.bfloat16() for tensor in tensors]
    assert arun(*half)[0].dtype == torch.bfloat16
    with pytest.raises(InputError, match="backend='gpu'"):
        arun(*tensors, backend="gpu")
    if native.why_not() is None:
        with pytest.raises(InputError, match=r"backend='cpu'.*meta"):
            arun(*meta, backend="cpu")
        with pytest.raises(InputError, match=r"backend='cpu'.*bfloat16"):
            arun(*half, backend="cpu")
        with pytest.raises(InputError, match=r"mixed"):
            arun(tensors[0].float(), *tensors[1:], backend="cpu")


def test_without_native_code_the_reference_runs(monkeypatch, arun_inputs):
    tensors = [tensor.detach() for tensor in arun_inputs(3, 2, 4, 2)]
    monkeypatch.setattr(native, "_module", None)
    assert native.instruction_sets() == []
    assert "not built" in native.why_not()
    output, _, _ = arun(*tensors)
    assert torch.equal(output, reference_arun(*tensors)[0])
    with pytest.raises(InputError, match=r"backend='cpu'.*not built"):
        arun(*tensors, backend="cpu")


@built
def test_working_memory_grows_as_the_root():
    """What a small budget costs beyond inputs and outputs: kept states, and a thread's segment."""

    def numbers(steps, batch=100, size=64, units=64):
        segment = native.segment_length(steps, batch)
        with FakeTensorMode():
            shapes = (
                *((steps, batch, size), (batch, size), (batch, size, units), (size, size)),
                *((units,), (units, units), (units,), (2, units), (2,)),
            )
            tensors, optional = [torch.empty(shape) for shape in shapes], (None, None, None)
            kept = torch.ops.adaptrnn.arun(*tensors, *optional, True, segment, False, False)[3:]
        _, each = native.arun_past(segment, batch, size, units, torch.float32)
        return sum(4 * tensor.numel() for tensor in kept) + 2 * each

    found = [numbers(steps) for steps in (784, 4 * 784, 16 * 784, 64 * 784)]
    # T four times as long: twice, and a tenth for lengths that are multiples of 16
    assert all(1.8 < b / a < 2.2 for a, b in pairwise(found)), found


def test_segment_length_grows_as_the_root():
    assert native.segment_length(784, 10) == 32
    for steps in (16, 100, 784, 10_000, 1_000_000):
        length = native.segment_length(steps, 10)
        assert length % 16 == 0 and abs(length - steps**0.5) <= 12


def test_the_processor_has_a_name(monkeypatch):
    """Elsewhere than on Linux Python says it."""
    assert native.processor()

    def none(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr(native.Path, "read_text", none)
    assert native.processor() == (platform.processor() or platform.machine())
