"""Shapes and dtypes of everything `adaptrnn` exports, whatever the sizes and the number format."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import adaptrnn
from adaptrnn.laboratory.protocol import ANALYSES
from adaptrnn.model import MODELS
from adaptrnn.tasks import COGNITIVE

SIZES = {name: st.integers(1, 5) for name in ("T", "B", "N", "G", "D")}
FORMATS = st.sampled_from([torch.float32, torch.float64])
few = settings(max_examples=25, deadline=None)


def is_of(tensor, dtype, *shape):
    assert tensor.dtype == dtype and tuple(tensor.shape) == shape, (tensor.dtype, tensor.shape)
    assert tensor.isfinite().all()


@st.composite
def sizes(draw):
    return tuple(draw(size) for size in SIZES.values())


@few
@given(sizes(), FORMATS, st.sampled_from(["number", "one", "each"]))
def test_gamma(sizes, dtype, kind):
    T, B, N, *_ = sizes
    shape = {"number": None, "one": (1,), "each": (N,)}[kind]
    n, s = (2.0, 0.5) if shape is None else (torch.full(shape, v, dtype=dtype) for v in (2.0, 0.5))
    is_of(adaptrnn.gamma(torch.randn(T, B, N, dtype=dtype), n, s), dtype, T, B, N)
    layer = adaptrnn.Gamma(None if kind != "each" else N, dtype=dtype)
    is_of(layer(torch.randn(T, B, N, dtype=dtype)), dtype, T, B, N)
    is_of(layer.n, dtype, *((N,) if kind == "each" else ()))


@few
@given(sizes(), FORMATS)
def test_controllers(sizes, dtype):
    _, B, N, G, _ = sizes
    controller = adaptrnn.AdaptationController(G, dtype=dtype)
    assert isinstance(controller, adaptrnn.AbstractController)
    g, n, s = controller(torch.randn(B, N, dtype=dtype), torch.randn(B, N, G, dtype=dtype))
    is_of(g, dtype, B, N, G)
    is_of(n, dtype, B, N)
    is_of(s, dtype, B, N)
    assert not any(p.requires_grad for p in controller.frozen().parameters())


def layer(name: str, D: int, N: int, G: int, layers: int, batch_first: bool, dtype: torch.dtype):
    options = {"num_layers": layers, "batch_first": batch_first, "dtype": dtype}
    if name == "ARUN":
        return adaptrnn.ARUN(D, N, controller_size=G, **options)
    if name in ("GRU", "LSTM"):
        return getattr(adaptrnn, name)(D, N, **options)
    return adaptrnn.RNN(D, N, nonlinearity=name, **options)


@pytest.mark.parametrize("name", ["ARUN", "GRU", "LSTM", "tanh", "relu", "gamma", "gamma-shared"])
@few
@given(
    sizes=sizes(),
    dtype=FORMATS,
    layers=st.integers(1, 2),
    first=st.booleans(),
    form=st.sampled_from(["none", "number", "time", "all"]),
)
def test_layers(name, sizes, dtype, layers, first, form):
    T, B, N, G, D = sizes
    if name in ("GRU", "LSTM"):
        layers = 1 if form != "none" else layers
    core = layer(name, D, N, G, layers, first, dtype)
    x = torch.randn(T, B, D, dtype=dtype)
    shape = {"none": None, "number": None, "time": (T, 1, 1), "all": (T, B, N)}[form]
    drive = {"none": None, "number": 0.5}.get(form)
    if shape is not None:
        drive = torch.randn(shape, dtype=dtype)
        drive = drive.transpose(0, 1) if first else drive
    output, state = core(x.transpose(0, 1) if first else x, None, drive)
    is_of(output, dtype, *((B, T) if first else (T, B)), N)
    if name == "ARUN":
        assert isinstance(state, adaptrnn.ARUNState)
        is_of(state.h, dtype, layers, B, N)
        is_of(state.g, dtype, layers, B, N, G)
    else:
        for part in state if isinstance(state, tuple) else (state,):
            is_of(part, dtype, layers, B, N)
    if layers == 1 and not first and name not in ("GRU", "LSTM"):
        trace = core.trace(x, None, drive)
        trace = trace if isinstance(trace, adaptrnn.Trace) else trace[-1]
        signals = {k: v for k, v in trace._asdict().items() if isinstance(v, torch.Tensor)}
        for value in signals.values():
            assert value.dtype == dtype and value.isfinite().all()
        is_of(signals["h"], dtype, *signals["h"].shape[:-1], N)


@pytest.mark.parametrize("model", MODELS)
@few
@given(sizes=sizes(), dtype=FORMATS, classes=st.integers(2, 6))
def test_classifiers(model, sizes, dtype, classes):
    T, B, N, G, D = sizes
    core = adaptrnn.build_core(model, D, N, G, dtype=dtype)
    network = adaptrnn.Classifier(core, classes).to(dtype)
    x, targets = torch.randn(T, B, D, dtype=dtype), torch.randint(classes, (B,))
    is_of(network(x), dtype, B, classes)
    loss, scores = network.loss(x, targets, 0.5)
    is_of(loss, dtype)
    is_of(scores, dtype, B, classes)
    loss.backward()
    assert all(p.grad is None or p.grad.shape == p.shape for p in network.parameters())


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.integers(1, 2))
def test_encoder(channels, B, rows, columns):
    encoder = adaptrnn.ConvEncoder(channels)
    images = torch.rand(B, channels, 4 * rows, 4 * columns)
    is_of(encoder(images), torch.float32, rows * columns, B, adaptrnn.ConvEncoder.features)


@few
@given(sizes(), FORMATS, st.integers(0, 50))
def test_perturbations(sizes, dtype, first):
    T, B, N, *_ = sizes
    T += 10  # the windows of the paper's perturbations have a step in them
    x = torch.rand(T, B, 1, dtype=dtype)
    for perturbation in (
        adaptrnn.StepDrive(1.0),
        adaptrnn.NoisyDrive(),
        adaptrnn.SinusoidalContrast(),
    ):
        drive = perturbation.drive(T, B, N, first, torch.device("cpu"), dtype)
        if drive is not None:
            assert drive.dtype == dtype and drive.isfinite().all()
            assert torch.broadcast_shapes(drive.shape, (T, B, N)) == (T, B, N)
        is_of(perturbation.stimulus(x), dtype, T, B, 1)


@few
@given(st.integers(8, 60), st.integers(1, 10), st.integers(1, 4), st.integers(2, 20))
def test_match_parameters(hidden, controller, D, classes):
    sizes = adaptrnn.match_parameters(["arun", "relu"], D, classes, hidden, controller, tolerance=1)
    assert sizes["arun"] == hidden and sizes["relu"] >= 1
    network = adaptrnn.Classifier(adaptrnn.build_core("relu", D, sizes["relu"]), classes)
    assert sum(p.numel() for p in network.parameters()) == sizes.rows["relu"][1]


def test_errors_are_of_the_kinds_that_users_catch():
    assert issubclass(adaptrnn.InputError, ValueError)
    assert issubclass(adaptrnn.MissingExtraError, ImportError)


@few
@given(st.text(max_size=12) | st.from_regex(r"[a-z][a-z0-9_.-]{1,8}", fullmatch=True))
def test_any_name_is_registered_or_refused(name):
    """A registered name is one part of a path; a refused one leaves the names as they were."""
    for register, registry, entry in (
        (adaptrnn.register_model, MODELS, adaptrnn.Model(name, adaptrnn.RNN)),
        (adaptrnn.register_task, COGNITIVE, adaptrnn.NamedTask(name, dict)),
        (adaptrnn.register_analysis, ANALYSES, adaptrnn.Analysis(name, len)),
    ):
        before = list(registry)
        try:
            register(entry)
        except adaptrnn.InputError:
            assert list(registry) == before
        else:
            assert registry[name] is entry and list(registry) == [*before, name]
            assert Path("a", name).parent == Path("a") and Path("a", name).name == name
            registry.remove(name)
            assert list(registry) == before


def test_every_export_is_met_here():
    source = Path(__file__).read_text()
    named = {"GRU", "LSTM"}  # by getattr
    trials = {"SequenceModel", "Task", "Trials", "train"}
    folder = Path(__file__).parent
    files = ("test_own_tasks.py", "test_sequence.py", "tasks/test_task.py")
    others = "".join((folder / file).read_text() for file in files)
    assert all(f"{name}(" in others for name in trials)
    named |= trials
    assert all(f"adaptrnn.{name}" in source or name in named for name in adaptrnn.__all__)
    assert set(dir(adaptrnn)) >= set(adaptrnn.__all__)
