"""torch's own generic module tests for torch.nn.RNN, with `adaptrnn.RNN` in its place.

The cases (arguments, inputs, references, wrong inputs) are those of torch's test suite, which its
wheel ships: `torch.testing._internal.common_modules`. What is asked of each case is what torch's
test/test_modules.py asks of every module. docs/howto/layers.md has the table of
what differs on purpose.
"""

from __future__ import annotations

import copy
import io
import itertools
import pickle

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn.utils._per_sample_grad import call_for_per_sample_grads
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from adaptrnn import RNN, InputError

pytestmark = pytest.mark.usefixtures("shapes_checked")

with pytest.MonkeyPatch.context() as patch:
    # the tools freeze torch.backends for the whole process, in which other tests run too
    patch.setattr(torch.backends, "disable_global_flags", lambda: None)
    from torch.testing._internal.common_modules import ModuleErrorEnum, module_db

ENTRY = next(entry for entry in module_db if entry.module_cls is nn.RNN)
# The same sums in another order: a few roundings per step, of numbers near 1 (2e-16 or 1e-7).
CLOSE = {
    torch.float32: {"rtol": 1e-5, "atol": 1e-5},
    torch.float64: {"rtol": 1e-12, "atol": 1e-12},
}


def cases(dtype=torch.float64, requires_grad=False, training=True, packed=True):
    """Arguments of the constructor, of the call, and the reference, of each of torch's cases."""
    made = ENTRY.module_inputs_func(
        ENTRY,
        device="cpu",
        dtype=dtype,
        requires_grad=requires_grad,
        training=training,
        with_packed_sequence=packed,
    )
    for case in made:
        build = {**case.constructor_input.kwargs, "device": "cpu", "dtype": dtype}
        yield build, case.forward_input.args, case.reference_fn


def flat(result):
    """All tensors of a result, a packed sequence being one of them."""
    if isinstance(result, torch.Tensor):
        return [result]
    parts = [result.data] if isinstance(result, PackedSequence) else result
    return [tensor for part in parts for tensor in flat(part)] if parts is result else parts


def assert_same(got, want, dtype):
    for one, other in zip(flat(got), flat(want), strict=True):
        torch.testing.assert_close(one, other, **CLOSE[dtype])


def test_there_are_cases():
    assert len(list(cases(packed=False))) == 32 and len(list(cases())) == 64


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_forward(dtype):
    """As torch's reference says of our class, and as torch.nn.RNN with the same weights."""
    for build, given, reference in cases(dtype):
        ours, theirs = RNN(**build), nn.RNN(**build)
        ours.load_state_dict(theirs.state_dict())
        result = ours(*given)
        assert_same(result, theirs(*given), dtype)
        if not isinstance(given[0], PackedSequence):
            assert_same(result, reference(ours, *given), dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_factory_arguments(dtype):
    for build, _, _ in cases(dtype):
        seen = RNN(**{**build, "device": "meta"})
        assert {(p.device.type, p.dtype) for p in seen.parameters()} == {("meta", dtype)}
        assert {p.dtype for p in RNN(**build).parameters()} == {dtype}
    assert next(RNN(2, 3).parameters()).dtype == torch.get_default_dtype()


def test_pickle_and_deepcopy():
    for build, given, _ in cases():
        model = RNN(**build)
        want = model(*given)
        buffer = io.BytesIO()
        torch.save(model, buffer)
        buffer.seek(0)
        for twin in (
            torch.load(buffer, weights_only=False),
            pickle.loads(pickle.dumps(model)),
            copy.deepcopy(model),
        ):
            assert twin is not model and repr(twin) == repr(model)
            assert_same(twin(*given), want, torch.float64)


def test_state_dict():
    """Both ways with torch.nn.RNN, strictly: names, order and shapes are the same."""
    for build, _, _ in cases(packed=False):
        ours, theirs = RNN(**build), nn.RNN(**build)
        kinds = [[(name, p.shape) for name, p in m.state_dict().items()] for m in (ours, theirs)]
        assert kinds[0] == kinds[1]
        theirs.load_state_dict(ours.state_dict())
        assert all(
            torch.equal(*pair)
            for pair in zip(*map(nn.Module.parameters, (ours, theirs)), strict=True)
        )


def spread(tensor):
    """The same numbers, not contiguous in memory."""
    wide = torch.stack([tensor.detach(), torch.full_like(tensor, torch.nan)], -1)
    apart = wide[..., 0].requires_grad_(tensor.requires_grad)
    assert tensor.numel() < 2 or not apart.is_contiguous()
    return apart


def test_input_that_is_not_contiguous():
    """Inputs and state of every layout in memory give the same result and gradients."""
    for build, given, _ in cases(requires_grad=True, packed=False):
        model = RNN(**build)
        wanted = torch.autograd.grad(
            sum(part.square().sum() for part in flat(model(*given))),
            (*given, *model.parameters()),
        )
        for chosen in itertools.product((False, True), repeat=len(given)):
            moved = [spread(t) if yes else t for t, yes in zip(given, chosen, strict=True)]
            found = torch.autograd.grad(
                sum(part.square().sum() for part in flat(model(*moved))),
                (*moved, *model.parameters()),
            )
            assert_same(found, wanted, torch.float64)


@pytest.mark.long
@pytest.mark.parametrize(
    ("order", "packed"),
    [(1, True), (2, False), pytest.param(2, True, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_gradients(order, packed, nonlinearity):
    """Of inputs, state and parameters, against finite differences (torch's own step and bound)."""
    check = torch.autograd.gradcheck if order == 1 else torch.autograd.gradgradcheck
    for build, given, _ in cases(requires_grad=True, packed=packed):
        if build["nonlinearity"] != nonlinearity:
            continue
        model = RNN(**build)
        names = [name for name, _ in model.named_parameters()]
        first, *rest = given
        whole = isinstance(first, PackedSequence)
        count = 1 + len(rest)

        def call(data, *others, model=model, names=names, first=first, whole=whole, count=count):
            state, weights = others[: count - 1], others[count - 1 :]
            x = first._replace(data=data) if whole else data
            named = dict(zip(names, weights, strict=True))
            return tuple(flat(functional_call(model, named, (x, *state))))

        data = first.data if whole else first
        weights = [p.detach().clone().requires_grad_() for p in model.parameters()]
        inputs = [part.detach().clone().requires_grad_() for part in (data, *rest)]
        assert check(call, (*inputs, *weights), fast_mode=True)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_train_and_eval(dropout):
    """They differ by dropout alone, as in torch; with one seed both classes drop the same."""
    x = torch.randn(6, 4, 3, dtype=torch.float64)
    ours = RNN(3, 5, num_layers=2, dropout=dropout, dtype=torch.float64)
    theirs = nn.RNN(3, 5, num_layers=2, dropout=dropout, dtype=torch.float64)
    theirs.load_state_dict(ours.state_dict())
    results = {}
    for training in (True, False):
        for kind, model in (("ours", ours), ("theirs", theirs)):
            model.train(training)
            torch.manual_seed(1)
            results[kind, training] = model(x)[0]
    assert torch.equal(results["ours", True], results["ours", False]) == (dropout == 0)
    for training in (True, False):
        assert_same(results["ours", training], results["theirs", training], torch.float64)


def test_to_empty_and_meta_device():
    for build, given, _ in cases():
        meta = RNN(**{**build, "device": "meta"})
        model = meta.to_empty(device="cpu")
        assert {p.device.type for p in model.parameters()} == {"cpu"}
        full = RNN(**build)
        model.load_state_dict(full.state_dict())
        assert_same(model(*given), full(*given), torch.float64)
    meta = RNN(2, 3, num_layers=2, device="meta")
    shapes = [part.shape for part in meta(torch.empty(5, 4, 2, device="meta"))]
    assert shapes == [(5, 4, 3), (2, 4, 3)]


def test_repr():
    """Begins as torch's does with the class's own name; says the curve where torch does not."""
    for build, _, _ in cases(packed=False):
        got, want = repr(RNN(**build)), repr(nn.RNN(**build))
        assert got == f"{want[:-1]}, nonlinearity={build['nonlinearity']!r})"


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_packed_sequence(batch_first, bidirectional):
    """As each of its sequences alone, and as torch.nn.RNN; also with gradients to the padded."""
    lengths = torch.tensor([5, 2, 4, 2])
    ours = RNN(3, 4, 2, batch_first=batch_first, bidirectional=bidirectional, dtype=torch.float64)
    theirs = nn.RNN(3, 4, 2, batch_first=batch_first, bidirectional=bidirectional).double()
    theirs.load_state_dict(ours.state_dict())
    padded = torch.randn(4, 5, 3, dtype=torch.float64, requires_grad=True)
    given = padded if batch_first else padded.transpose(0, 1)
    found = []
    for model in (ours, theirs):
        packed = pack_padded_sequence(given, lengths, batch_first, enforce_sorted=False)
        output, h_n = model(packed)
        (slope,) = torch.autograd.grad(output.data.square().sum() + h_n.sum(), padded)
        found.append((output.data, h_n, slope))
    assert_same(*found, torch.float64)
    h_n, slope = found[0][1:]
    for row, length in enumerate(lengths):
        assert_same(h_n[:, row], ours(padded[row, :length])[1], torch.float64)
        assert bool((slope[row, length:] == 0).all())


def test_errors_of_torchs_cases():
    """Each wrong case raises our error, which is of torch's type too."""
    made = list(
        ENTRY.module_error_inputs_func(
            ENTRY, device="cpu", dtype=torch.float32, requires_grad=False, training=True
        )
    )
    assert len(made) >= 3
    for case in made:
        build = case.module_error_input.constructor_input
        if case.error_on is ModuleErrorEnum.CONSTRUCTION_ERROR:
            with pytest.raises(case.error_type) as caught:
                RNN(*build.args, **build.kwargs)
        else:
            model, given = RNN(*build.args, **build.kwargs), case.module_error_input.forward_input
            with pytest.raises(case.error_type) as caught:
                model(*given.args, **given.kwargs)
        assert isinstance(caught.value, InputError), caught.value


X = torch.zeros(4, 2, 3)
PACKED = pack_padded_sequence(X, torch.tensor([4, 2]))
WRONG = {
    "hidden_size": lambda kind: kind(3, -1),
    "hidden_size as a float": lambda kind: kind(3, 5.0),
    "input_size": lambda kind: kind(0, 5),
    "input_size as a string": lambda kind: kind("3", 5),
    "num_layers": lambda kind: kind(3, 5, 0),
    "dropout": lambda kind: kind(3, 5, 2, dropout=1.5),
    "dropout as a flag": lambda kind: kind(3, 5, 2, dropout=True),
    "bias": lambda kind: kind(3, 5, bias=1),
    "batch_first": lambda kind: kind(3, 5, batch_first="yes"),
    "nonlinearity": lambda kind: kind(3, 5, nonlinearity="garbage"),
    "proj_size": lambda kind: kind(3, 5, proj_size=2),
    "input of one dimension": lambda kind: kind(3, 5)(torch.zeros(3)),
    "input of four dimensions": lambda kind: kind(3, 5)(torch.zeros(1, 4, 2, 3)),
    "width of the input": lambda kind: kind(3, 5)(torch.zeros(4, 2, 7)),
    "width of a packed input": lambda kind: kind(4, 5)(PACKED),
    "dtype of the input": lambda kind: kind(3, 5)(X.double()),
    "dtype of a packed input": lambda kind: kind(3, 5).double()(PACKED),
    "no time": lambda kind: kind(3, 5)(torch.zeros(0, 2, 3)),
    "no time and no batch": lambda kind: kind(3, 5)(torch.zeros(0, 3)),
    "state of another width": lambda kind: kind(3, 5)(X, torch.zeros(1, 2, 4)),
    "state of another batch": lambda kind: kind(3, 5)(X, torch.zeros(1, 3, 5)),
    "state of other layers": lambda kind: kind(3, 5)(X, torch.zeros(2, 2, 5)),
    "state without a batch": lambda kind: kind(3, 5)(X, torch.zeros(1, 5)),
    "state with a batch": lambda kind: kind(3, 5)(X[:, 0], torch.zeros(1, 1, 5)),
    "state of a packed input": lambda kind: kind(3, 5)(PACKED, torch.zeros(1, 3, 5)),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors_are_of_torchs_type(name):
    with pytest.raises(Exception) as theirs:
        WRONG[name](nn.RNN)
    with pytest.raises(InputError) as ours:
        WRONG[name](RNN)
    assert isinstance(ours.value, type(theirs.value)), f"{theirs.value!r} against {ours.value!r}"


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("state", [False, True])
@pytest.mark.parametrize("nonlinearity", ["tanh", "gamma"])
def test_no_samples(batch_first, state, nonlinearity):
    """B = 0 gives an empty result and gradients of zero, as torch does."""
    ours = RNN(3, 5, 2, nonlinearity, batch_first=batch_first, bidirectional=True)
    theirs = nn.RNN(3, 5, 2, batch_first=batch_first, bidirectional=True)
    found = []
    for model in (ours, theirs):
        x = torch.zeros((0, 4, 3) if batch_first else (4, 0, 3), requires_grad=True)
        output, h_n = model(x, torch.zeros(4, 0, 5) if state else None)
        output.sum().backward()
        found.append((output.shape, h_n.shape, x.grad.shape))
        assert all(bool((p.grad == 0).all()) for p in model.parameters() if p.grad is not None)
        assert model.weight_hh_l1.grad is not None
    assert found[0] == found[1]
    for drive in (1.0, torch.zeros(5), torch.zeros_like(output[..., :5])):
        assert ours(x, drive=drive)[0].shape == output.shape


def test_gradients_of_each_sample():
    """By torch.func, as torch recommends; its expanded weights are refused, not wrong."""
    model, x = RNN(3, 5, dtype=torch.float64), torch.randn(4, 2, 3, dtype=torch.float64)
    weights = dict(model.named_parameters())

    def loss(weights, sample):
        return functional_call(model, weights, (sample,))[0].square().sum()

    each = vmap(grad(loss), (None, 1))({k: v.detach() for k, v in weights.items()}, x)
    for row in range(2):
        alone = torch.autograd.grad(loss(weights, x[:, row]), tuple(weights.values()))
        assert_same([each[name][row] for name in weights], alone, torch.float64)
    with pytest.raises(RuntimeError, match="Expanded Weights"):
        call_for_per_sample_grads(model, batch_size=2)(x)
