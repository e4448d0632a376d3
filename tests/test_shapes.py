"""Shapes in annotations hold: the examples of every module run with them checked."""

from __future__ import annotations

import doctest
from typing import Annotated

import jaxtyping
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from adaptrnn import ARUN, GRU, LSTM, RNN, Classifier, SequenceModel, _recurrent


@pytest.fixture
def called(shapes):
    """Shapes are checked in every call; how often each function was called."""
    with shapes.installed() as called:
        yield called


@pytest.mark.long
def test_examples_run_with_their_shapes_checked(shapes):
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    examples = [(module, doctest.DocTestFinder().find(module)) for module in shapes.modules()]
    with shapes.installed() as called:
        for module, found in examples:
            for example in found:
                example.globs = vars(module).copy()
                assert runner.run(example).failed == 0, example.name
        for layer in (RNN(2, 3, backend="reference"), ARUN(2, 3, backend="reference")):
            layer(torch.zeros(5, 4, 2)), layer.trace(torch.zeros(5, 4, 2))
    public = {name: times for name, times in called.items() if name.split(".")[-1][0] != "_"}
    # an abstract method is called by nobody
    assert [name for name, times in public.items() if not times] == [
        "adaptrnn.controller.AbstractController.forward"
    ]
    assert len(public) >= 99  # docs/explanation/architecture.md


def _planted(
    x: Annotated[Tensor, "T B D"], z: Annotated[Tensor, "B S"] | None
) -> Annotated[Tensor, "B"]:
    return x[0, :, 0] if z is None else z[0]


def test_a_wrong_shape_is_noticed(shapes):
    right = shapes.checked(_planted)
    x = torch.zeros(5, 3, 2)
    assert right(x, None).shape == (3,)
    for wrong in (
        lambda: right(x.unsqueeze(3), torch.zeros(3, 3)),  # an axis too many
        lambda: right(x, torch.zeros(2, 3)),  # another number of samples
        lambda: right(x, torch.zeros(3, 4)),  # what comes back has 4 samples, not 3
    ):
        with pytest.raises(jaxtyping.TypeCheckError):
            wrong()


T, B, D, N = 6, 4, 2, 3  # all different, so that no axis passes for another
LAYERS = {
    "rnn": lambda **more: RNN(D, N, **more),
    "arun": lambda **more: ARUN(D, N, controller_size=5, **more),
    "lstm": lambda **more: LSTM(D, N, **more),
    "gru": lambda **more: GRU(D, N, **more),
}
FORMS = {
    "time first": ({}, torch.zeros(T, B, D)),
    "batch first": ({"batch_first": True}, torch.zeros(B, T, D)),
    "unbatched": ({}, torch.zeros(T, D)),
    "packed": ({}, pack_padded_sequence(torch.zeros(T, B, D), torch.tensor([6, 5, 5, 2]))),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("wider", [{}, {"num_layers": 2, "bidirectional": True}], ids=["one", "4"])
@pytest.mark.parametrize("name", LAYERS)
def test_every_form_of_input_passes(name, wider, form, called):
    more, x = FORMS[form]
    layer = LAYERS[name](**wider, **more)
    output, state = layer(x)
    again, _ = layer(x, state)
    assert type(output) is type(again) is type(x)
    assert called[f"{type(layer).forward.__module__}.{type(layer).forward.__qualname__}"] == 2
    if isinstance(layer, RNN | ARUN) and form != "packed":
        layer.last(x), layer.trace(x)
        if x.ndim == 3:
            layer.loss(x, torch.zeros(7, layer.num_directions * N), torch.zeros(7), torch.arange(B))


FAULTS = {
    "a neuron too few": lambda x: x[..., :-1],
    "a sample too few": lambda x: x[..., :-1, :],
    "a step too few": lambda x: x[1:],
    "time and samples exchanged": lambda x: x.transpose(0, 1),
    "an axis too many": lambda x: x.unsqueeze(-1),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("form", ["time first", "batch first"])
@pytest.mark.parametrize("name", ["rnn", "arun"])
def test_a_layer_that_gives_a_wrong_output_is_noticed(name, form, fault, called, monkeypatch):
    leave = _recurrent.Recurrent._leave
    wrong = lambda self, output, batched: FAULTS[fault](leave(self, output, batched))  # noqa: E731
    monkeypatch.setattr(_recurrent.Recurrent, "_leave", wrong)
    more, x = FORMS[form]
    for run in (lambda layer: layer(x), lambda layer: layer.trace(x)):
        with pytest.raises(jaxtyping.TypeCheckError):
            run(LAYERS[name](**more))


@pytest.mark.parametrize("fault", ["a neuron too few", "a step too few", "an axis too many"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["rnn", "arun"])
def test_a_wrong_state_is_noticed(name, form, fault, called, monkeypatch):
    layer = LAYERS[name](**FORMS[form][0])
    pack = type(layer)._pack  # with "a step too few" a layer is missing
    wrong = lambda self, state: pack(self, tuple(map(FAULTS[fault], state)))  # noqa: E731
    monkeypatch.setattr(type(layer), "_pack", wrong)
    with pytest.raises(jaxtyping.TypeCheckError):
        layer(FORMS[form][1])
    with pytest.raises(jaxtyping.TypeCheckError):
        zero = torch.zeros(1, B, N)
        layer.step(torch.zeros(B, D), (zero, torch.zeros(1, B, N, 5)) if name == "arun" else zero)


@pytest.mark.parametrize("fault", ["a neuron too few", "a sample too few", "a step too few"])
@pytest.mark.parametrize("name", ["rnn", "arun"])
def test_what_runs_time_first_is_checked_exactly(name, fault, called, monkeypatch):
    scan = _recurrent._scan_forward

    def wrong(*arguments):
        output, state = scan(*arguments)
        return FAULTS[fault](output), state

    monkeypatch.setattr(_recurrent, "_scan_forward", wrong)
    packed = FORMS["packed"][1]
    assert isinstance(packed, PackedSequence)
    with pytest.raises(jaxtyping.TypeCheckError, match="_stack"):
        LAYERS[name]()(packed)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_a_wrong_output_of_a_driven_gated_layer_is_noticed(name, fault, called, monkeypatch):
    run = getattr(torch, name)

    def wrong(*arguments):
        output, *state = run(*arguments)
        return FAULTS[fault](output), *state

    monkeypatch.setattr(torch, name, wrong)
    with pytest.raises(jaxtyping.TypeCheckError):
        LAYERS[name]()(FORMS["time first"][1], drive=0.5)


@pytest.mark.parametrize("fault", ["a neuron too few", "a sample too few", "an axis too many"])
@pytest.mark.parametrize("method", ["forward", "scores", "loss"])
def test_wrong_scores_of_a_model_are_noticed(method, fault, called):
    x = FORMS["time first"][1]
    more = {"forward": (), "scores": (), "loss": (torch.arange(B),)}[method]
    model = Classifier(nn.GRU(D, N), 7)
    model.core.forward = lambda x, hx, drive: nn.GRU.forward(model.core, x, hx)
    model.readout.register_forward_hook(lambda module, given, scores: FAULTS[fault](scores))
    with pytest.raises((jaxtyping.TypeCheckError, ValueError, RuntimeError)) as error:
        getattr(model, method)(x, *more)
    assert method == "loss" or isinstance(error.value, jaxtyping.TypeCheckError)
    model = SequenceModel(nn.GRU(D, N), 7)
    model.readout.register_forward_hook(lambda module, given, outputs: FAULTS[fault](outputs))
    with pytest.raises((jaxtyping.TypeCheckError, ValueError, RuntimeError)) as error:
        getattr(model, method)(x, *(torch.zeros(T, B, 7) for _ in more))
    assert method == "loss" or isinstance(error.value, jaxtyping.TypeCheckError)
