"""The native recurrent layer against its reference, with every nonlinearity."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from flat_calls import (
    gamma_rnn,
    gamma_rnn_trace,
    reference_gamma_rnn,
    reference_gamma_rnn_trace,
)
from hypothesis import given, settings

from adaptrnn._error import InputError
from adaptrnn.kernels import native
from adaptrnn.kernels.gamma_rnn import reference

pytestmark = pytest.mark.skipif(native.why_not() is not None, reason="not built")

DTYPES = [torch.float32, torch.float64]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}  # the specification, as for arun
NONLINEARITIES = list(reference.ACTIVATIONS)
# 1 everywhere; no multiples of a vector or of the steps between kept states; many tiles
SHAPES = [(1, 1, 1), (50, 1, 3), (17, 3, 7), (50, 45, 10), (50, 11, 33), (40, 3, 400)]
LARGE = 2**40


def make(steps, batch, size, nonlinearity, dtype=torch.float64):
    """Inputs as leaves: contracting weights, gains around 3."""
    generator = torch.Generator().manual_seed(steps + 100 * batch + size)

    def normal(*shape, scale=1.0):
        values = scale * torch.randn(*shape, generator=generator, dtype=torch.float64)
        return values.to(dtype).requires_grad_()

    tensors = [normal(steps, batch, size), normal(batch, size), normal(size, size)]
    tensors[2] = (0.4 * tensors[2].detach() / size**0.5).requires_grad_()
    if nonlinearity == "gamma":
        gain = (normal(size, scale=0.5).detach() + 3).requires_grad_()
        tensors += [gain, normal(size, scale=0.2)]
    return tensors


def call(function, tensors, nonlinearity, **arguments):
    n, s = tensors[3:] if len(tensors) > 3 else (None, None)
    return function(*tensors[:3], n, s, nonlinearity, **arguments)


@pytest.fixture(scope="module")
def wanted():
    """Inputs, and what the reference makes of them in float64: computed once for each."""
    known = {}

    def compute(dtype, shape, nonlinearity):
        key = (dtype, shape, nonlinearity)
        if key not in known:
            generator = torch.Generator().manual_seed(1)
            tensors = make(*shape, nonlinearity, dtype)
            exact = [tensor.detach().double().requires_grad_() for tensor in tensors]
            results = call(reference_gamma_rnn, exact, nonlinearity)
            cotangents = [torch.randn(r.shape, generator=generator).double() for r in results]
            slopes = torch.autograd.grad(results, exact, cotangents, retain_graph=True)
            last = torch.autograd.grad(results[1], exact, cotangents[1])
            cotangents = [cotangent.to(dtype) for cotangent in cotangents]
            known[key] = tensors, cotangents, results, slopes, last
        return known[key]

    return compute


@pytest.mark.parametrize("memory_budget", [0, LARGE])
@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_equals_the_reference(
    instruction_set, dtype, nonlinearity, memory_budget, wanted, relative
):
    for shape in SHAPES:
        tensors, cotangents, results, slopes, last = wanted(dtype, shape, nonlinearity)
        for last_only in (False, True):
            output, h = call(
                gamma_rnn,
                tensors,
                nonlinearity,
                last_only=last_only,
                memory_budget=memory_budget,
                backend="cpu",
            )
            if last_only:
                found = torch.autograd.grad(h, tensors, cotangents[1])
                pairs = [(h, results[1]), *zip(found, last, strict=True)]
                assert output.shape == (0, *shape[1:])
            else:
                found = torch.autograd.grad((output, h), tensors, cotangents)
                pairs = [(output, results[0]), (h, results[1]), *zip(found, slopes, strict=True)]
            for got, want in pairs:
                assert got.dtype == dtype and got.shape == want.shape
                assert relative(got, want) < TOLERANCE[dtype], shape


@pytest.mark.parametrize("memory_budget", [0, LARGE])
@pytest.mark.parametrize("nonlinearity", ["gamma", "tanh"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_currents_made_in_the_kernel_equal_a_linear_layer(
    instruction_set, dtype, nonlinearity, memory_budget, relative
):
    generator = torch.Generator().manual_seed(4)
    for shape, inputs in (((1, 1, 1), 1), ((17, 3, 7), native.FEW_INPUTS), ((50, 45, 10), 3)):
        tensors, (steps, batch, size) = make(*shape, nonlinearity, dtype)[1:], shape
        x = torch.randn(steps, batch, inputs, generator=generator).to(dtype)
        weights = [torch.randn(size, inputs, generator=generator) / inputs]
        weights = [w.to(dtype).requires_grad_() for w in (*weights, weights[0][:, 0])]
        leaves = [*tensors, *weights]
        exact = [leaf.detach().double().requires_grad_() for leaf in leaves]
        currents = torch.nn.functional.linear(x.double(), *exact[-2:])
        results = call(reference_gamma_rnn, [currents, *exact[:-2]], nonlinearity)
        cotangents = [torch.randn(r.shape, generator=generator).double() for r in results]
        slopes = torch.autograd.grad(results, exact, cotangents)
        options = {"weight_ih": weights[0], "bias_ih": weights[1], "backend": "cpu"}
        found = call(gamma_rnn, [x, *tensors], nonlinearity, **options, memory_budget=memory_budget)
        cotangents = [cotangent.to(dtype) for cotangent in cotangents]
        again = torch.autograd.grad(found, leaves, cotangents)
        for got, want in zip((*found, *again), (*results, *slopes), strict=True):
            assert got.dtype == dtype and got.shape == want.shape
            assert relative(got, want) < TOLERANCE[dtype], shape
        with torch.no_grad():
            last = call(gamma_rnn, [x, *tensors], nonlinearity, **options, last_only=True)[1]
        assert torch.equal(last, found[1])


def test_input_weights_without_the_kernel():
    """No bias, many inputs, a gradient of the input, plain torch: the same rates and gradients."""
    tensors = make(6, 3, 5, "gamma")[1:]
    for inputs in (2, native.FEW_INPUTS + 1):
        x = torch.randn(6, 3, inputs, dtype=torch.float64, requires_grad=True)
        weight = torch.randn(5, inputs, dtype=torch.float64, requires_grad=True)
        leaves = [x, *tensors, weight]
        want = gamma_rnn(torch.nn.functional.linear(x, weight), *tensors)[0]
        wanted = torch.autograd.grad(want.square().sum(), leaves)
        for backend in ("cpu", "reference"):
            options = {"weight_ih": weight, "backend": backend}
            got = gamma_rnn(x, *tensors, **options)[0]
            assert torch.allclose(got, want, rtol=1e-12, atol=1e-14)
            for a, b in zip(torch.autograd.grad(got.square().sum(), leaves), wanted, strict=True):
                assert torch.allclose(a, b, rtol=1e-10, atol=1e-13)
            fixed = gamma_rnn(x.detach(), *tensors, **options)[0]
            slopes = torch.autograd.grad(fixed.square().sum(), leaves[1:])
            for a, b in zip(slopes, wanted[1:], strict=True):
                assert torch.allclose(a, b, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
def test_gradcheck_to_second_order(nonlinearity):
    tensors = make(18, 2, 3, nonlinearity)
    for arguments in ({}, {"last_only": True}, {"memory_budget": 0}):

        def rates(*t, arguments=arguments):
            return call(gamma_rnn, t, nonlinearity, backend="cpu", **arguments)[1]

        assert torch.autograd.gradcheck(rates, tensors)
    short = [tensors[0].detach()[:3].requires_grad_(), *tensors[1:]]
    assert torch.autograd.gradgradcheck(rates, short)
    weights = [torch.randn(*shape).double().requires_grad_() for shape in ((3, 2), (3,))]
    x = torch.randn(3, 2, 2).double()

    def made(w, b, *t):
        return call(gamma_rnn, (x, *t), nonlinearity, weight_ih=w, bias_ih=b)

    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert check(made, [*weights, *tensors[1:]])


def test_shared_gain_and_saturation(relative):
    tensors = make(30, 4, 9, "gamma")[:3]
    n = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    s = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    found = torch.autograd.grad(gamma_rnn(*tensors, n, s, backend="cpu")[0].sum(), (n, s))
    wanted = torch.autograd.grad(reference_gamma_rnn(*tensors, n, s, "gamma")[0].sum(), (n, s))
    for got, want in zip(found, wanted, strict=True):
        assert got.shape == () and relative(got, want) < 1e-12


@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
def test_trace(nonlinearity):
    tensors = [tensor.detach() for tensor in make(30, 4, 9, nonlinearity)]
    a, h = call(gamma_rnn_trace, tensors, nonlinearity, backend="cpu")
    for got, want in zip((a, h), call(reference_gamma_rnn_trace, tensors, nonlinearity)):  # noqa: B905
        assert torch.allclose(got, want, rtol=1e-12, atol=1e-13)
    assert torch.equal(h, call(gamma_rnn, tensors, nonlinearity)[0])


@pytest.mark.long
@pytest.mark.parametrize("nonlinearity", ["gamma", "tanh"])
@pytest.mark.parametrize("last_only", [False, True])
@pytest.mark.parametrize("keep", [False, True])
def test_torch_accepts_the_operation(nonlinearity, last_only, keep):
    tensors = make(20, 3, 5, nonlinearity)
    tensors += [None] * (5 - len(tensors))
    options = (nonlinearity, last_only, 16, keep, False)
    torch.library.opcheck(
        torch.ops.adaptrnn.gamma_rnn.default, (*tensors, None, None, None, *options)
    )
    x = torch.randn(20, 3, 2).double()
    made = [torch.randn(5, 2).double().requires_grad_(), torch.zeros(5).double()]
    torch.library.opcheck(
        torch.ops.adaptrnn.gamma_rnn.default, (x, *tensors[1:], None, *made, *options)
    )
    plain = [None if tensor is None else tensor.detach() for tensor in tensors]
    torch.library.opcheck(
        torch.ops.adaptrnn.gamma_rnn_trace.default, (*plain, None, None, None, nonlinearity, False)
    )


def test_compile_keeps_one_graph_and_the_same_numbers():
    tensors = make(20, 3, 5, "gamma")

    def layer(*tensors):
        return gamma_rnn(*tensors)[0].square().sum()

    value, again = (
        layer(*tensors),
        torch.compile(layer, fullgraph=True, backend="aot_eager")(*tensors),
    )
    assert torch.equal(value, again)
    found, wanted = torch.autograd.grad(again, tensors), torch.autograd.grad(value, tensors)
    assert all(torch.equal(f, w) for f, w in zip(found, wanted, strict=True))


@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
@settings(max_examples=15, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 8), st.integers(1, 23), st.integers(1, 19)),
    data=st.data(),
    value=st.sampled_from([float("nan"), 1e30, -1e30, float("inf"), float("-inf")]),
)
def test_extreme_currents(nonlinearity, shape, data, value):
    """NaN and infinity go where the reference lets them, to no other sample; nothing crashes."""
    tensors = [tensor.detach() for tensor in make(*shape, nonlinearity, torch.float32)]
    at = tuple(data.draw(st.integers(0, length - 1)) for length in shape)
    tensors[0][at] = value
    tensors = [tensor.requires_grad_() for tensor in tensors]
    wanted, _ = call(reference_gamma_rnn, tensors, nonlinearity)
    for budget in (0, LARGE):
        output, _ = call(gamma_rnn, tensors, nonlinearity, memory_budget=budget, backend="cpu")
        torch.autograd.grad(output.sum(), tensors)
        others = [b for b in range(shape[1]) if b != at[1]]
        assert output[:, others].isfinite().all()
        # 1e30 through a float32 sum: two orders of summation agree to 1e-6 of the largest term
        assert torch.allclose(output[at[0]], wanted[at[0]], rtol=1e-4, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
def test_single_precision_over_the_papers_length(nonlinearity, relative):
    """At T = 784 no worse than twice the reference's own float32 error, every gradient."""
    tensors = make(784, 5, 40, nonlinearity, torch.float32)
    exact = [tensor.detach().double().requires_grad_() for tensor in tensors]
    found, theirs, wanted = (
        torch.autograd.grad(call(function, inputs, nonlinearity)[0].square().mean(), inputs)
        for function, inputs in (
            (gamma_rnn, tensors),
            (reference_gamma_rnn, tensors),
            (reference_gamma_rnn, exact),
        )
    )
    for got, their, want in zip(found, theirs, wanted, strict=True):
        # one rounding more, should theirs be lucky
        assert relative(got, want) < 2 * relative(their, want) + 1e-7


def test_golden(golden):
    with np.load(golden / "rnn_gamma_small.npz") as file:
        data = {name: torch.from_numpy(file[name]) for name in file.files}
    currents = data["x"] @ data["U"].T + data["b"]
    h0 = torch.zeros(3, 6, dtype=torch.float64)
    output, _ = gamma_rnn(currents, h0, data["W"], data["n"], data["s"], backend="cpu")
    assert torch.allclose(output, data["h"], rtol=0, atol=1e-8)  # what the specification asks


def test_errors_name_the_argument():
    tensors = make(3, 2, 5, "gamma")
    with pytest.raises(InputError, match="memory_budget=-5"):
        gamma_rnn(*tensors, memory_budget=-5)
    with pytest.raises(InputError, match=r"n.shape=\(4,\)"):
        gamma_rnn(*tensors[:3], tensors[3][:4], tensors[4])
    with pytest.raises(InputError, match=r"weight_ih.shape=\(5, 4\).*\(N, D\) = \(N, 5\)"):
        gamma_rnn(*tensors, weight_ih=torch.zeros(5, 4).double())
    with pytest.raises(InputError, match=r"h0.shape=\(2, 5\).*\(2, 6\)"):
        gamma_rnn(*tensors, weight_ih=torch.zeros(6, 5).double())
    with pytest.raises(InputError, match="nonlinearity"):
        gamma_rnn(*tensors[:3], nonlinearity="gama")
