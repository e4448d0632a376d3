"""Under torch.autocast the layers compute in the dtype of their parameters, by their kernels."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from adaptrnn import ARUN, RNN, Classifier
from adaptrnn._recurrent import widened

pytestmark = pytest.mark.usefixtures("shapes_checked")

SHORT = [torch.bfloat16, torch.float16]
# more inputs than the kernels make currents of themselves, and fewer
LAYERS = {
    "RNN": lambda inputs: RNN(inputs, 5, nonlinearity="gamma", backend="cpu"),
    "RNN, 2 layers": lambda inputs: RNN(inputs, 5, 2, "relu", bidirectional=True, backend="cpu"),
    "ARUN": lambda inputs: ARUN(inputs, 5, controller_size=3, backend="cpu"),
}


def gradients(module: nn.Module, value: torch.Tensor, x: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(value, [x, *module.parameters()]))


@pytest.mark.parametrize("short", SHORT)
@pytest.mark.parametrize("inputs", [2, 20])
@pytest.mark.parametrize("name", LAYERS)
def test_values_and_gradients_are_those_without_autocast(name, inputs, short):
    """backend="cpu" runs the native kernels or raises, so they run."""
    core = LAYERS[name](inputs)
    x = torch.randn(7, 3, inputs, requires_grad=True)
    output, state = core(x)
    with torch.autocast("cpu", dtype=short):
        cast, end = core(x)
        last, trace = core.last(x), core.trace(x)
    assert cast.dtype == torch.float32 and trace.h.dtype == torch.float32
    # the same operations in the same order: the same bits
    assert torch.equal(cast, output) and torch.equal(last, core.last(x))
    for got, want in zip(*(s if isinstance(s, tuple) else (s,) for s in (end, state)), strict=True):
        assert torch.equal(got, want)
    for got, want in zip(
        gradients(core, cast.square().sum(), x),
        gradients(core, output.square().sum(), x),
        strict=True,
    ):
        assert torch.equal(got, want)


@pytest.mark.parametrize("name", LAYERS)
def test_what_autocast_made_short_before_is_widened(name):
    """Inputs, states and drives in bfloat16 are read as the float32 numbers that they are."""
    core, x = LAYERS[name](20), torch.randn(7, 3, 20).bfloat16()
    drive = torch.randn(5).bfloat16()
    state = core(x.float())[1]
    short = widened_to_short(state)
    wide = core(x.float(), widened(short, torch.float32), drive.float())
    packed = pack_sequence([x[:7, 0], x[:4, 1]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(core(x, short, drive)[0], wide[0])
        found = core(packed)[0].data
    assert torch.equal(found, core(packed._replace(data=packed.data.float()))[0].data)


def widened_to_short(state):
    parts = state if isinstance(state, tuple) else (state,)
    short = tuple(part.bfloat16() for part in parts)
    return short if isinstance(state, tuple) else short[0]


def test_the_loss_of_a_classifier():
    """The encoder computes in bfloat16, the core and the fused loss in float32."""
    network = Classifier(ARUN(20, 5, controller_size=3, backend="cpu"), 4, nn.Linear(6, 20))
    x, y = torch.randn(7, 3, 6), torch.tensor([0, 3, 1])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = network.encoder(x)
        loss, scores = network(x, target=y)
    assert features.dtype == torch.bfloat16
    assert loss.dtype == scores.dtype == torch.float32
    readout = network.readout.weight, network.readout.bias
    assert torch.equal(loss, network.core.loss(features.float(), *readout, y)[0])
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_compiled_under_autocast():
    core, x = RNN(20, 5, nonlinearity="gamma", backend="cpu"), torch.randn(7, 3, 20)
    compiled = torch.compile(core, fullgraph=True, backend="aot_eager")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(compiled(x)[0], core(x)[0])
