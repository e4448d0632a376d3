"""The kernels for GPUs in Triton's interpreter: values, gradients, every mode, against float64."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from flat_calls import (
    arun,
    arun_loss,
    arun_trace,
    gamma_rnn,
    gamma_rnn_trace,
    reference_arun,
    reference_arun_trace,
    reference_gamma_rnn,
    reference_gamma_rnn_trace,
)
from torch.nn.functional import cross_entropy, linear

from adaptrnn import ARUN, RNN
from adaptrnn.kernels.arun.tensor import Inputs, Weights
from adaptrnn.kernels.triton import arun as arun_triton
from adaptrnn.kernels.triton import device, verify
from adaptrnn.kernels.triton import gamma_rnn as gamma_triton

pytest.importorskip("triton", reason="triton is not installed: `make test-triton` installs it")
pytestmark = [
    pytest.mark.triton,
    pytest.mark.skipif(not device.interpreted(), reason="TRITON_INTERPRET=1 is not set"),
]

# as for the other kernels in float32: a thousand times the rounding of a sum of 1e4 terms; the
# interpreter's products are float32, and 2e-6 was the worst that was measured
TOLERANCE = 1e-5
# each of T, B, N, G at 1; sizes that divide nothing; G at and below a power of two, and at a
# multiple of 4 or not; B N below, at and above a block of rows
SHAPES = [
    (1, 1, 1, 1),
    (2, 1, 3, 2),
    (5, 3, 7, 3),
    (4, 1, 64, 16),
    (9, 17, 20, 13),
    (6, 5, 37, 50),
    (3, 2, 16, 64),
    (10, 13, 5, 4),
    (3, 2, 100, 20),
]
LARGE = 2**40
gamma_exact = partial(reference_gamma_rnn, nonlinearity="gamma")


@pytest.fixture(autouse=True)
def _no_self_check(monkeypatch):
    monkeypatch.setenv(verify.SWITCH, "0")


@pytest.fixture(scope="module")
def gamma_inputs():
    """Inputs of `gamma_rnn` as float64 leaves."""

    def make(steps, batch, size):
        normal = verify.normal(steps + 100 * batch + size)
        tensors = [
            normal(steps, batch, size),
            normal(batch, size, scale=0.3),
            normal(size, size, scale=0.5 / size**0.5),
            2.0 + normal(size, scale=0.2),
            normal(size, scale=0.2),
        ]
        return [tensor.requires_grad_() for tensor in tensors]

    return make


def narrow(tensors, needed=None):
    """Float32 leaves of the same values."""
    needed = [True] * len(tensors) if needed is None else needed
    pairs = zip(tensors, needed, strict=True)
    return [tensor.detach().float().requires_grad_(need) for tensor, need in pairs]


def differentiate(function, tensors):
    """Results, their gradients and the float64 cotangents."""
    return verify.differentiate(function, tensors, verify.normal(7))


def close(relative, found, wanted, tolerance=TOLERANCE):
    for got, want in zip(found, wanted, strict=True):
        assert got.shape == want.shape and got.dtype == torch.float32
        assert relative(got, want) < tolerance


@pytest.mark.parametrize("budget", [0, LARGE])
@pytest.mark.parametrize("shape", SHAPES)
def test_arun_equals_the_reference(shape, budget, arun_inputs, relative, counts):
    exact = arun_inputs(*shape)
    wanted, slopes, factors = differentiate(reference_arun, exact)
    tensors = narrow(exact)
    results = arun(*tensors, backend="triton", memory_budget=budget)
    found = torch.autograd.grad(results, tensors, [factor.float() for factor in factors])
    close(relative, (*results, *found), (*wanted, *slopes))
    counts["shapes of the ARUN"] += 1


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("segment", [1, 3, 7, 100])
def test_steps_below_at_and_above_a_segment(segment, keep, arun_inputs, relative):
    exact = arun_inputs(7, 3, 5, 4)
    wanted, slopes, factors = differentiate(reference_arun, exact)
    tensors = narrow(exact)
    results = torch.ops.adaptrnn.arun_triton(
        *tensors, None, None, None, False, segment, keep, False
    )[:3]
    found = torch.autograd.grad(results, tensors, [factor.float() for factor in factors])
    close(relative, (*results, *found), (*wanted, *slopes))


@pytest.mark.parametrize("shape", [*{shape[:3] for shape in SHAPES}, (3, 16, 32), (3, 17, 65)])
def test_gamma_rnn_equals_the_reference(shape, gamma_inputs, relative, counts):
    exact = gamma_inputs(*shape)
    wanted, slopes, factors = differentiate(gamma_exact, exact)
    tensors = narrow(exact)
    results = gamma_rnn(*tensors, backend="triton")
    found = torch.autograd.grad(results, tensors, [factor.float() for factor in factors])
    close(relative, (*results, *found), (*wanted, *slopes))
    counts["shapes of the gamma RNN"] += 1


def test_a_shared_curve_has_one_gradient(gamma_inputs, relative):
    exact = gamma_inputs(4, 3, 9)
    exact[3:] = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (2.0, 0.1)]
    wanted, slopes, factors = differentiate(gamma_exact, exact)
    tensors = narrow(exact)
    results = gamma_rnn(*tensors, backend="triton")
    found = torch.autograd.grad(results, tensors, [factor.float() for factor in factors])
    close(relative, (*results, *found), (*wanted, *slopes))


@pytest.mark.parametrize("result", [0, 1, 2])
def test_gradient_of_one_result_only(result, arun_inputs, gamma_inputs, relative):
    """What is not used has no gradient, not one of zeros."""
    for function, reference, exact in (
        (arun, reference_arun, arun_inputs(5, 2, 7, 3)),
        (gamma_rnn, gamma_exact, gamma_inputs(5, 2, 7)),
    ):
        if result == 2 and function is gamma_rnn:
            continue
        tensors = narrow(exact)
        options = {"allow_unused": True, "materialize_grads": True}
        value = reference(*exact)[result].square().sum()
        wanted = torch.autograd.grad(value, exact, **options)
        value = function(*tensors, backend="triton")[result].square().sum()
        close(relative, torch.autograd.grad(value, tensors, **options), wanted)


def test_only_the_gradients_asked_for(arun_inputs, gamma_inputs):
    for function, exact in ((arun, arun_inputs(5, 3, 5, 4)), (gamma_rnn, gamma_inputs(5, 3, 5))):
        everything = narrow(exact)
        wanted = torch.autograd.grad(function(*everything, backend="triton")[1].sum(), everything)
        for one in range(len(exact)):
            some = narrow(exact, [i == one for i in range(len(exact))])
            function(*some, backend="triton")[1].sum().backward()
            assert torch.equal(some[one].grad, wanted[one])
            assert all(t.grad is None for i, t in enumerate(some) if i != one)


def test_last_only_no_gradients_and_trace(arun_inputs, gamma_inputs, relative):
    tensors = narrow(arun_inputs(10, 3, 7, 5))
    output, h, g = arun(*tensors, backend="triton")
    for enabled in (True, False):
        with torch.set_grad_enabled(enabled):
            none, last, states = arun(*tensors, backend="triton", last_only=True)
        assert none.shape == (0, 3, 7)
        # the library's product may round otherwise at another address
        close(relative, (last, states), (h, g))
    with torch.no_grad():
        close(relative, arun(*tensors, backend="triton"), (output, h, g))
        signals = arun_trace(*tensors, backend="triton")
    exact = [tensor.detach().double() for tensor in tensors]
    close(relative, signals, reference_arun_trace(*exact))
    tensors = narrow(gamma_inputs(10, 3, 7))
    output, h = gamma_rnn(*tensors, backend="triton")
    with torch.no_grad():
        none, last = gamma_rnn(*tensors, backend="triton", last_only=True)
        assert none.shape == (0, 3, 7) and torch.equal(last, h)
        a, rates = gamma_rnn_trace(*tensors, backend="triton")
    assert torch.equal(rates, output)
    exact = [tensor.detach().double() for tensor in tensors]
    close(relative, [a], reference_gamma_rnn_trace(*exact, "gamma")[:1])


def test_inputs_that_are_not_contiguous(arun_inputs, gamma_inputs):
    def spread(tensor):
        """The same values at every second place, the axes reversed in memory."""
        wide = torch.full((*reversed(tensor.shape), 2), float("nan"))
        wide[..., 0] = tensor.detach().permute(*reversed(range(tensor.ndim)))
        return wide[..., 0].permute(*reversed(range(tensor.ndim))).requires_grad_()

    for function, exact in ((arun, arun_inputs(5, 3, 7, 3)), (gamma_rnn, gamma_inputs(5, 3, 7))):
        plain = narrow(exact)
        for tensors in (plain, [spread(tensor) for tensor in plain]):
            results = function(*tensors, backend="triton")
            total = sum(result.square().sum() for result in results)
            found = (*results, *torch.autograd.grad(total, tensors))
            if tensors is plain:
                wanted = found
        assert all(torch.allclose(f, w, rtol=1e-5) for f, w in zip(found, wanted, strict=True))


def test_autocast_does_not_reach_the_kernels(arun_inputs, gamma_inputs):
    for function, exact in ((arun, arun_inputs(5, 3, 7, 3)), (gamma_rnn, gamma_inputs(5, 3, 7))):
        found = []
        for enabled in (False, True):
            tensors = narrow(exact)
            with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                value = function(*tensors, backend="triton")[0].square().sum()
                found.append((value, *torch.autograd.grad(value, tensors)))
        assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_second_derivatives_are_those_of_the_reference(arun_inputs, gamma_inputs, relative):
    for function, reference, exact in (
        (arun, reference_arun, arun_inputs(3, 2, 3, 2)),
        (gamma_rnn, gamma_exact, gamma_inputs(3, 2, 3)),
    ):
        found = []
        for call, tensors in (
            (reference, exact),
            (partial(function, backend="triton"), narrow(exact)),
        ):
            factors = verify.normal(3)(3, 2, 3).to(tensors[0])
            first = torch.autograd.grad(call(*tensors)[0], tensors, factors, create_graph=True)
            total = sum(gradient.square().sum() for gradient in first)
            found.append(torch.autograd.grad(total, tensors))
        close(relative, found[1], found[0])


def test_fused_loss_is_layer_readout_and_cross_entropy(arun_inputs, relative):
    exact = [
        *arun_inputs(6, 3, 5, 4),
        *(verify.normal(1)(*s).requires_grad_() for s in ((4, 5), (4,))),
    ]
    target = torch.tensor([0, 3, 1])
    scores = linear(reference_arun(*exact[:9])[1], *exact[9:])
    loss = cross_entropy(scores, target)
    tensors = narrow(exact)
    results = arun_loss(*tensors, target, backend="triton")
    assert not results[1].requires_grad
    slopes = torch.autograd.grad(results[0], tensors)
    close(relative, (*results, *slopes), (loss, scores, *torch.autograd.grad(loss, exact)))


def test_torch_accepts_the_operations(arun_inputs, gamma_inputs):
    tensors = narrow(arun_inputs(5, 2, 3, 2))
    for options in ((False, 3, False), (False, 3, True), (True, 3, False)):
        values = (*tensors, None, None, None, *options, False)
        torch.library.opcheck(torch.ops.adaptrnn.arun_triton.default, values)
    with torch.no_grad():
        plain = [tensor.detach() for tensor in tensors]
        options = (True, 0, False)
        values = (*plain, None, None, None, *options, False)
        torch.library.opcheck(torch.ops.adaptrnn.arun_triton.default, values)
    tensors = narrow(gamma_inputs(5, 2, 3))
    for options in ((False, True), (True, True)):
        torch.library.opcheck(
            torch.ops.adaptrnn.gamma_rnn_triton.default,
            (*tensors, None, None, None, *options, False),
        )


def test_compile_keeps_one_graph_and_the_same_numbers(arun_inputs, gamma_inputs):
    for function, exact in ((arun, arun_inputs(5, 2, 3, 2)), (gamma_rnn, gamma_inputs(5, 2, 3))):

        def layer(*tensors, function=function):
            return function(*tensors, backend="triton")[0].square().sum()

        tensors = narrow(exact)
        value, again = (
            f(*tensors) for f in (layer, torch.compile(layer, fullgraph=True, backend="aot_eager"))
        )
        assert torch.equal(value, again)
        pairs = zip(*(torch.autograd.grad(v, tensors) for v in (value, again)), strict=True)
        assert all(torch.allclose(a, b, rtol=1e-6) for a, b in pairs)


@pytest.mark.parametrize("gain", [-3.0, 1e-4, 300.0])
def test_any_gain(gain, arun_inputs, gamma_inputs, relative):
    """A gain near 0, negative or huge: the curve is nearly a step, and nothing overflows."""
    exact = arun_inputs(4, 3, 7, 5, gain=gain, gain_spread=0.01 * abs(gain))
    tensors = narrow(exact)
    exact = [tensor.detach().double().requires_grad_() for tensor in tensors]
    wanted, _, factors = differentiate(reference_arun, exact)
    results = arun(*tensors, backend="triton")
    found = torch.autograd.grad(results, tensors, [factor.float() for factor in factors])
    assert all(value.isfinite().all() for value in (*results, *found))
    # rounding n x costs |n x| units in the last place: some hundred here, where n is 300
    close(relative, results, wanted, 1e-4 if gain == 300 else TOLERANCE)


@pytest.mark.parametrize("layers", [1, 2])
def test_layers_run_by_the_kernels(layers, relative):
    x = torch.randn(6, 3, 2)
    for make in (
        partial(ARUN, 2, 7, controller_size=3, num_layers=layers, bidirectional=True),
        partial(RNN, 2, 7, nonlinearity="gamma", num_layers=layers),
        partial(RNN, 2, 7, nonlinearity="gamma-shared", num_layers=layers),
    ):
        core = make(backend="triton")
        exact = make(backend="reference").double()
        exact.load_state_dict(core.state_dict())
        outputs = core(x)[0], exact(x.double())[0]
        for output in outputs:
            output.square().sum().backward()
        close(relative, [outputs[0]], [outputs[1]])
        # a parameter that all neurons share has a gradient of many terms of either sign
        pairs = [*zip(core.parameters(), exact.parameters(), strict=True)]
        close(relative, [p.grad for p, _ in pairs], [q.grad for _, q in pairs], 1e-4)


# The self-check.


def test_the_self_check_runs_once_and_finds_a_planted_error(monkeypatch, arun_inputs, counts):
    monkeypatch.setenv(verify.SWITCH, "1")
    verify.measure.cache_clear()
    tensors = narrow(arun_inputs(2, 1, 3, 2))
    arun(*tensors, backend="triton")
    arun(*tensors, backend="triton")
    assert verify.measure.cache_info().misses == 1
    found = verify.measure(arun_triton.compare, torch.device("cpu"), "tf32x3", 2)
    assert len(found) == 12 and max(found.values()) < TOLERANCE
    right, names = arun_triton.backward, (*Inputs._fields, *Weights._fields)
    for place, factor in ((5, 0.999), (3, float("nan"))):

        def wrong(*inputs, place=place, factor=factor):
            found = [*right(*inputs)]
            found[place] = found[place] * factor
            return tuple(found)

        verify.measure.cache_clear()
        monkeypatch.setattr(arun_triton, "backward", wrong)
        for _ in range(2):  # an error is not remembered as a success
            with pytest.raises(verify.KernelError, match=f"gradient of {names[place]}"):
                arun(*tensors, backend="triton")
        counts["planted faults found"] += 1
    monkeypatch.setenv(verify.SWITCH, "0")
    arun(*tensors, backend="triton")
    verify.measure.cache_clear()


def test_the_self_check_of_the_gamma_rnn(monkeypatch, gamma_inputs, counts):
    monkeypatch.setenv(verify.SWITCH, "1")
    verify.measure.cache_clear()
    tensors = narrow(gamma_inputs(2, 1, 3))
    gamma_rnn(*tensors, backend="triton")
    right = gamma_triton.forward

    def wrong(*inputs):
        output, h, a = right(*inputs)
        return output * 1.001, h, a

    verify.measure.cache_clear()
    monkeypatch.setattr(gamma_triton, "forward", wrong)
    with pytest.raises(verify.KernelError, match="rates"):
        gamma_rnn(*tensors, backend="triton")
    counts["planted faults found"] += 1
    verify.measure.cache_clear()


def test_a_graph_gives_what_the_loop_gives(monkeypatch, arun_inputs, gamma_inputs):
    """Through both operations, with a capture that runs the loop again at each replay."""
    from adaptrnn.kernels.triton import graph

    captured = []

    def capture(function):
        results = function()
        captured.append(results)
        return lambda: [r.copy_(n) for r, n in zip(results, function(), strict=True)], results

    monkeypatch.setattr(graph, "_capture", capture)
    graph.clear()
    for function, exact in ((arun, arun_inputs(4, 2, 5, 3)), (gamma_rnn, gamma_inputs(4, 2, 5))):
        for shift in (0.0, 0.5):
            found = []
            for backend in ("triton", "triton-graph"):
                tensors = narrow([tensor + shift for tensor in exact])
                value = function(*tensors, backend=backend)[0].square().sum()
                found.append((value, *torch.autograd.grad(value, tensors)))
            assert all(torch.allclose(a, b, rtol=1e-5) for a, b in zip(*found, strict=True))
    assert len(captured) == 4  # forward and backward of each
    graph.clear()
