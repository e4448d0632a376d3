"""Products of bfloat16 numbers: against a model in plain torch that rounds where the kernels do."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from flat_calls import arun, arun_loss, arun_trace, gamma_rnn, gamma_rnn_trace
from hypothesis import example, given, settings
from torch.nn.functional import cross_entropy, linear

from adaptrnn import ARUN, RNN
from adaptrnn._error import InputError
from adaptrnn.activation import gamma
from adaptrnn.kernels import native
from adaptrnn.kernels.gamma_rnn.reference import ACTIVATIONS

pytestmark = pytest.mark.skipif(native.why_not() is not None, reason="not built")

SETS = ("amx", "avx512bf16", "avx512", "avx2", "portable")
HERE = [name for name in SETS if name in native.instruction_sets()]
# N and G odd, even, smaller and larger than a vector; an odd number of samples; many tiles. There
# are few steps, because over many of them roundings that fall differently lead to others.
SHAPES = [
    (1, 1, 1, 1),
    (6, 3, 7, 4),
    (6, 2, 33, 13),
    (6, 23, 10, 7),
    (6, 10, 100, 20),
    (3, 2, 400, 50),
    (3, 20, 18, 33),
    (3, 5, 9, 70),
]
LARGE = 2**40
# A rounding of an operand is up to 2^-8 = 4e-3 of it. The model makes the same roundings but where
# the float32 sum before one, some 1e-6 off, falls on the other side of a tie: a few numbers in ten
# thousand are then up to 2^-7 off, 1e-4 in the norm. Where one of them makes most of a gradient,
# the norm too is up to 2^-7 off; then numbers 1% larger decide, which fall on other sides. An
# operand that is not rounded at all makes 1e-3 with any numbers.
TOLERANCE, ONE_ROUNDING, DRAWS = 5e-4, 2**-7, 3


def rounded(x):
    """The nearest bfloat16 number, ties to even, by torch."""
    return x.float().bfloat16().to(x.dtype)


class Product(torch.autograd.Function):
    """x W^T of rounded operands, and the same for both gradients."""

    @staticmethod
    def forward(ctx, x, weight):
        x, weight = rounded(x), rounded(weight)
        ctx.save_for_backward(x, weight)
        return linear(x, weight)

    @staticmethod
    def backward(ctx, slope):
        (x, weight), slope = ctx.saved_tensors, rounded(slope)
        return slope @ weight, slope.flatten(0, -2).T @ x.flatten(0, -2)


class State(torch.autograd.Function):
    """A rounded tanh, given; its slope is that at the rounded value."""

    @staticmethod
    def forward(ctx, x, value):
        ctx.save_for_backward(value)
        return value.clone()

    @staticmethod
    def backward(ctx, slope):
        return slope * (1 - ctx.saved_tensors[0] ** 2), None


class Rounded(torch.autograd.Function):
    """Rounding that gradients do not see."""

    @staticmethod
    def forward(ctx, x):
        return rounded(x)

    @staticmethod
    def backward(ctx, slope):
        return slope


def arun_model(states, x, h, g, weight_hh, weight_ag, weight_gg, bias_g, weight_gc, bias_gc):
    """The layer whose states are given, each found to be the nearest number to what it should be.

    Given, because tanh is followed by a rounding: where it is close to a tie, its error decides.
    """
    outputs, g = [], Rounded.apply(g)
    for current, state in zip(x.unbind(0), states.double().unbind(0), strict=True):
        a = current + Product.apply(h, weight_hh)
        z = Product.apply(g, weight_gg) + bias_g + a.unsqueeze(-1) * weight_ag
        exact = torch.tanh(z)
        # the nearest of 8 bits is at most 2^-8 off; the kernels' tanh 7.6e-5; z in float32 1e-6
        assert ((state - exact).abs() <= exact.abs() * (2**-8 + 1.5e-4) + 3e-6).all()
        assert torch.equal(state, rounded(state))
        g = State.apply(z, state)
        n, s = linear(g, weight_gc, bias_gc).unbind(-1)
        h = gamma(a, n, s)
        outputs.append(h)
    return torch.stack(outputs), h, g


def rnn_model(x, h, weight_hh, n, s, nonlinearity):
    outputs = []
    for current in x.unbind(0):
        a = current + Product.apply(h, weight_hh)
        h = ACTIVATIONS[nonlinearity](a, n, s)
        outputs.append(h)
    return torch.stack(outputs), h


@pytest.fixture(params=SETS)
def any_set(request, monkeypatch):
    """Each instruction set in turn: one multiplies bfloat16 numbers, the others emulate it."""
    if request.param not in HERE:
        pytest.skip(f"no {request.param} kernels here")
    monkeypatch.setenv("ADAPTRNN_INSTRUCTION_SET", request.param)
    return request.param


def doubles(tensors):
    return [tensor.detach().double().requires_grad_() for tensor in tensors]


def assert_small(errors):
    """`errors(scale)` of inputs so many times larger: each is small for one of a few scales."""
    least = None
    for draw in range(DRAWS):
        found = torch.tensor(errors(1 + 0.01 * draw))
        assert (found < ONE_ROUNDING).all(), found
        least = found if least is None else torch.minimum(least, found)
        if (least < TOLERANCE).all():
            return
    raise AssertionError(f"relative errors {least}, more than {TOLERANCE} with {DRAWS} scales")


@pytest.mark.parametrize("memory_budget", [0, LARGE])
@pytest.mark.parametrize("shape", SHAPES)
def test_adaptive_layer_equals_the_model(any_set, shape, memory_budget, arun_inputs, relative):
    tensors = arun_inputs(*shape, torch.float32)
    assert_small(
        lambda scale: adaptive_errors(
            [(scale * tensor.detach()).requires_grad_() for tensor in tensors],
            memory_budget,
            relative,
        )
    )


def adaptive_errors(tensors, memory_budget, relative):
    """Relative errors of results and gradients, without and with a readout and its loss."""
    generator, options = torch.Generator().manual_seed(1), {"precision": "bf16", "backend": "cpu"}
    batch, size = tensors[1].shape
    _, states, n, s, h = arun_trace(*(tensor.detach() for tensor in tensors), **options)
    exact = doubles(tensors)
    wanted = arun_model(states, *exact)
    cotangents = [torch.randn(r.shape, generator=generator) for r in wanted]
    slopes = torch.autograd.grad(wanted, exact, [c.double() for c in cotangents], retain_graph=True)
    results = arun(*tensors, **options, memory_budget=memory_budget)
    assert torch.equal(results[0], h) and torch.equal(results[2], states[-1])
    assert torch.allclose(torch.stack([n, s], -1), linear(states, *tensors[7:]), atol=1e-5)
    found = torch.autograd.grad(results, tensors, cotangents)
    assert all(got.dtype == torch.float32 for got in (*results, *found))
    errors = [relative(*pair) for pair in zip((*results, *found), (*wanted, *slopes), strict=True)]

    readout = [torch.randn(5, size, generator=generator), torch.zeros(5)]
    target = torch.randint(0, 5, (batch,), generator=generator)
    scores = linear(wanted[1], *(tensor.double() for tensor in readout))
    loss = cross_entropy(scores, target)
    slopes = torch.autograd.grad(loss, exact)
    value = arun_loss(*tensors, *readout, target, **options, memory_budget=memory_budget)
    found = torch.autograd.grad(value[0], tensors)
    pairs = zip((*value, *found), (loss, scores, *slopes), strict=True)
    return errors + [relative(*pair) for pair in pairs]


@pytest.mark.parametrize("nonlinearity", sorted(ACTIVATIONS))
@pytest.mark.parametrize("shape", [(1, 1, 1), (6, 3, 7), (6, 23, 33), (4, 5, 130)])
def test_static_layer_equals_the_model(any_set, shape, nonlinearity, relative):
    generator = torch.Generator().manual_seed(sum(shape))
    _, batch, size = shape

    def normal(*shape, scale=1.0):
        return (scale * torch.randn(*shape, generator=generator)).requires_grad_()

    tensors = [normal(*shape), normal(batch, size), normal(size, size, scale=0.5 / size**0.5)]
    curve = [(2 + 0.1 * normal(size)).detach().requires_grad_(), normal(size, scale=0.1)]
    curve = curve if nonlinearity == "gamma" else []
    assert_small(
        lambda scale: static_errors(
            [(scale * tensor.detach()).requires_grad_() for tensor in tensors + curve],
            nonlinearity,
            relative,
        )
    )


def static_errors(tensors, nonlinearity, relative):
    """Relative errors of results and gradients, with little memory and with much."""
    generator = torch.Generator().manual_seed(1)
    n, s = tensors[3:] or (None, None)
    exact = doubles(tensors)
    double = exact[3:] or (None, None)
    wanted = rnn_model(*exact[:3], *double, nonlinearity)
    cotangents = [torch.randn(r.shape, generator=generator) for r in wanted]
    slopes = torch.autograd.grad(wanted, exact, [c.double() for c in cotangents])
    errors = []
    for budget in (0, LARGE):
        options = {"precision": "bf16", "memory_budget": budget}
        results = gamma_rnn(*tensors[:3], n, s, nonlinearity, **options)
        found = torch.autograd.grad(results, tensors, cotangents)
        pairs = zip((*results, *found), (*wanted, *slopes), strict=True)
        errors += [relative(*pair) for pair in pairs]
    _, h = gamma_rnn_trace(*tensors[:3], n, s, nonlinearity, precision="bf16")
    assert torch.equal(h, results[0]) or h.requires_grad  # with gradients the reference runs
    return errors


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 3, 7), (2, 23, 33), (3, 5, 70)])
def test_small_integers_are_multiplied_without_error(any_set, shape):
    """Up to 256 a bfloat16 number is exact, up to 2^24 a sum: float32's very results."""
    generator = torch.Generator().manual_seed(0)
    _, batch, size = shape

    def integers(*shape, among=(-1, 0, 1)):
        which = torch.randint(0, len(among), shape, generator=generator)
        return torch.tensor(among)[which].float().requires_grad_()

    sparse = integers(size, size, among=(-1, 1, *[0] * size))
    tensors = [integers(*shape), integers(batch, size), sparse]
    slopes = integers(*shape).detach()
    results = {}
    for precision in ("float32", "bf16"):
        h, last = gamma_rnn(*tensors, nonlinearity="linear", precision=precision)
        assert h.abs().max() <= 256
        found = torch.autograd.grad(h, tensors, slopes)
        assert all(slope.abs().max() <= 256 for slope in found)
        results[precision] = (h, last, *found)
    assert all(torch.equal(a, b) for a, b in zip(*results.values(), strict=True))


bits = st.one_of(
    st.integers(0, 2**32 - 1),
    st.builds(lambda top, low: top << 16 | low, st.integers(0, 2**16 - 1), st.just(0x8000)),  # ties
)


@settings(max_examples=200, deadline=None)
@example(pattern=[0x7F8000, 0x7F7FFF, 0x807FFFFF], size=1)
@given(pattern=st.lists(bits, min_size=1, max_size=3), size=st.sampled_from([1, 40]))
def test_any_number_is_rounded_as_torch_rounds_it(pattern, size):
    """The layer h' = 1 h: what comes out is what was rounded.

    Where the rounded number is below the normal range, it is zero. The largest numbers below that
    range round up to its first one and stay.
    """
    values = torch.from_numpy(np.array(pattern, np.uint32).view(np.float32).copy())
    wanted = values.bfloat16().float()
    wanted = torch.where(wanted.abs() < 2.0**-126, wanted * 0, wanted)
    if size > 1:  # others' zeros times an infinity are NaN
        values, wanted = values[wanted.isfinite()], wanted[wanted.isfinite()]
        if not len(values):
            return
    h0 = torch.zeros(len(values), size)
    h0[:, -1] = values
    with pytest.MonkeyPatch.context() as patch:
        for name in HERE:
            patch.setenv("ADAPTRNN_INSTRUCTION_SET", name)
            zero = torch.zeros(1, len(values), size)
            h = gamma_rnn(zero, h0, torch.eye(size), nonlinearity="linear", precision="bf16")[1]
            assert torch.equal(h[:, -1].isnan(), wanted.isnan())
            assert torch.equal(h[:, -1].nan_to_num(1.0), wanted.nan_to_num(1.0)), name
            weight = torch.zeros(size, size)
            for value, want in zip(values, wanted, strict=True):
                weight[-1, -1] = value
                ones = torch.ones(1, size)
                h = gamma_rnn(zero[:, :1], ones, weight, nonlinearity="linear", precision="bf16")
                got = h[1][0, -1]
                assert got == want or (got.isnan() and want.isnan())


def everything(tensors, precision, memory_budget=LARGE):
    """Values and gradients of every route through the kernels."""
    options = {"precision": precision, "backend": "cpu", "memory_budget": memory_budget}
    readout = [torch.ones(3, tensors[1].shape[1]), torch.zeros(3)]
    target = torch.arange(tensors[1].shape[0]) % 3
    loss, scores = arun_loss(*tensors, *readout, target, **options)
    output, h, g = arun(*tensors, **options)
    static = (*tensors[:2], tensors[3])
    rates, last = gamma_rnn(*static, nonlinearity="tanh", **options)
    return [
        *(loss, scores, *torch.autograd.grad(loss, tensors)),
        *(output, h, g, *torch.autograd.grad(output.sum() + h.sum() + g.sum(), tensors)),
        *(rates, last, *torch.autograd.grad(rates.square().sum(), static)),
    ]


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("batch", [1, 10, 37])
def test_same_bits_for_any_number_of_threads_and_memory(any_set, batch, arun_inputs):
    tensors = arun_inputs(37, batch, 33, 7, torch.float32)
    before = torch.get_num_threads()
    try:
        results = []
        for threads, budget in itertools.product((1, 2, 5), (0, LARGE)):
            torch.set_num_threads(threads)
            results.append(everything(tensors, "bf16", budget))
    finally:
        torch.set_num_threads(before)
    assert all(same(results[0], other) for other in results[1:])
    assert not same(results[0], everything(tensors, "float32"))


def test_never_by_default(monkeypatch, arun_inputs):
    """Only where torch's own products may, and only where the processor has the instructions."""
    monkeypatch.delenv("ADAPTRNN_INSTRUCTION_SET", raising=False)
    tensors = arun_inputs(5, 3, 17, 6, torch.float32)
    plain, short = (everything(tensors, precision) for precision in ("float32", "bf16"))
    assert same(everything(tensors, "auto"), plain)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high")
        assert same(everything(tensors, "auto"), plain)
        torch.set_float32_matmul_precision("medium")
        fast = native.fast_bfloat16()
        assert same(everything(tensors, "auto"), short if fast else plain)
        assert same(everything(tensors, "float32"), plain)
        if fast:
            other = next(name for name in HERE if name not in native.BFLOAT16_SETS)
            monkeypatch.setenv("ADAPTRNN_INSTRUCTION_SET", other)
            assert same(everything(tensors, "auto"), everything(tensors, "float32"))
    finally:
        torch.set_float32_matmul_precision(before)
    double = [tensor.detach().double() for tensor in tensors]
    assert same(arun(*double, precision="bf16"), arun(*double))
    single = [tensor.detach() for tensor in tensors]
    reference = {"backend": "reference"}
    assert same(arun(*single, precision="bf16", **reference), arun(*single, **reference))


def test_layers_have_a_precision():
    x = torch.randn(6, 3, 2)
    for layer, other in ((ARUN, {"controller_size": 5}), (RNN, {"nonlinearity": "gamma"})):
        torch.manual_seed(0)
        plain = layer(2, 9, **other)
        torch.manual_seed(0)
        short = layer(2, 9, precision="bf16", **other)
        assert "precision='bf16'" in repr(short) and "precision" not in repr(plain)
        wanted, got = plain(x)[0], short(x)[0]
        assert not torch.equal(got, wanted)
        # two operands of each product are up to 2^-9 off, and that adds up over six steps of rates
        # that a gamma curve does not shrink: 6 2^-8 = 0.023, and twice that is allowed
        assert ((got - wanted).norm() / wanted.norm()).item() < 0.05
        assert torch.equal(short.last(x), got[-1])
        x.requires_grad_()  # then the currents are made by torch, as in a trace
        assert torch.equal(short.trace(x).h, short(x)[0])
        x.requires_grad_(False)
        with pytest.raises(InputError, match=r"precision='bf61'.*Did you mean 'bf16'"):
            layer(2, 9, precision="bf61", **other)


def test_the_hosts_floating_point_state_is_untouched(arun_inputs):
    tiny, inputs = np.array([1e-310, 1e-40]), arun_inputs(5, 3, 17, 6, torch.float32)
    everything(inputs, "bf16")
    assert (tiny * 0.5 > 0).all() and np.float32(1e-40) * np.float32(0.5) > 0
    # rounds to the nearest, as before: towards zero this sum would be 1
    assert np.float32(1) + np.float32(2**-23) * np.float32(0.75) > 1


@pytest.mark.long
def test_torch_accepts_the_operations(arun_inputs):
    tensors = arun_inputs(20, 3, 5, 3, torch.float32)
    operations = torch.ops.adaptrnn
    for segment, keep in ((20, True), (16, False)):
        options = (None, None, None, True, segment, keep, True)
        torch.library.opcheck(operations.arun.default, (*tensors, *options))
        rest = (tensors[1], tensors[3], *(None,) * 5)
        options = ("tanh", True, segment, keep, True)
        torch.library.opcheck(operations.gamma_rnn.default, (tensors[0], *rest, *options))
    readout = [torch.randn(10, 5).requires_grad_(), torch.zeros(10)]
    target = torch.tensor([0, 9, 4])
    needed = [True] * 9 + [False] * 3 + [True] * 2
    torch.library.opcheck(
        operations.arun_loss.default,
        (*tensors, None, None, None, *readout, target, None, LARGE, True, needed),
    )
    plain = [*(t.detach() for t in tensors), None, None, None, True]
    torch.library.opcheck(operations.arun_trace.default, plain)


def test_compile_keeps_one_graph_and_the_same_bits(arun_inputs):
    tensors = arun_inputs(20, 3, 5, 4, torch.float32)

    def layer(*tensors):
        return arun(*tensors, precision="bf16", memory_budget=0)[0].square().sum()

    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    assert torch.equal(layer(*tensors), compiled(*tensors))
