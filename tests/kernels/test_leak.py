"""Leaky neurons in the native kernels: against the reference, closed forms, and no leak at all."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
import torch
from flat_calls import (
    arun,
    arun_loss,
    arun_trace,
    gamma_rnn,
    gamma_rnn_loss,
    gamma_rnn_trace,
    reference_arun,
    reference_gamma_rnn,
)
from hypothesis import given, settings
from torch.nn.functional import linear

from adaptrnn import ARUN, RNN
from adaptrnn.activation import gamma
from adaptrnn.kernels import native
from adaptrnn.kernels.gamma_rnn.reference import ACTIVATIONS

pytestmark = pytest.mark.skipif(native.why_not() is not None, reason="not built")

DOUBLE = {"dtype": torch.float64}
LAYERS = ("arun", *ACTIVATIONS)
# the specification, as for the layers without a leak
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}
# (T, B, N, G): 1 everywhere; longer than a segment between kept states (16); N that fills no
# vector, and tiles that fill none; many tiles
SHAPES = [(1, 1, 1, 1), (37, 3, 7, 4), (20, 23, 33, 6)]
LARGE = 2**40
PRECISIONS = {"float64": {}, "float32": {}, "bf16": {"precision": "bf16"}}


def make(layer, shape, arun_inputs, dtype=torch.float64):
    """Leaves: the tensors of a layer, and alpha between 0.03 and 1 with 1 among them."""
    steps, batch, size, units = shape
    generator = torch.Generator().manual_seed(sum(shape))
    tensors = arun_inputs(steps, batch, size, units, dtype)
    if layer != "arun":
        tensors = [tensors[0], tensors[1], tensors[3]]
    if layer == "gamma":
        tensors += [torch.rand(size, generator=generator) + shift for shift in (2.5, 0.0)]
    alpha = 0.03 + 0.97 * torch.rand(size, generator=generator, **DOUBLE)
    alpha[0] = 1
    tensors = [tensor.detach().to(dtype).clone() for tensor in (*tensors, alpha)]
    return [tensor.requires_grad_() for tensor in tensors]


def rates(layer, tensors, **options):
    """Rates of all steps, and the last state; alpha comes last."""
    *tensors, alpha = tensors
    if layer == "arun":
        return arun(*tensors, alpha=alpha, **options)
    gains = tensors[3:] or (None, None)
    return gamma_rnn(*tensors[:3], *gains, layer, alpha=alpha, **options)


def exact(layer, tensors):
    """The same by the reference."""
    *tensors, alpha = tensors
    if layer == "arun":
        return reference_arun(*tensors, alpha=alpha)
    return reference_gamma_rnn(*tensors[:3], *(tensors[3:] or (None, None)), layer, alpha=alpha)


def loss(layer, tensors, readout, target, weights=None, **options):
    *tensors, alpha = tensors
    if layer == "arun":
        return arun_loss(*tensors, *readout, target, weights, alpha=alpha, **options)
    tensors = (*tensors[:3], *(tensors[3:] or (None, None)))
    return gamma_rnn_loss(*tensors, *readout, target, weights, layer, alpha=alpha, **options)


def head(kind, shape, dtype=torch.float64):
    """A readout of 5 outputs, its targets, and weights of the steps."""
    steps, batch, size, _ = shape
    generator = torch.Generator().manual_seed(sum(shape))
    readout = [torch.randn(5, size, generator=generator), torch.randn(5, generator=generator)]
    readout = [tensor.to(dtype).requires_grad_() for tensor in readout]
    target = torch.randint(5, (steps, batch), generator=generator)
    if kind == "last":
        return readout, target[-1], None
    weights = torch.rand(steps, batch, generator=generator).to(dtype)
    if kind == "values":
        target = torch.randn(steps, batch, 5, generator=generator).to(dtype)
    return readout, target, weights


def doubles(tensors):
    return [tensor.detach().double().requires_grad_() for tensor in tensors]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("dtype", list(TOLERANCE))
def test_equals_the_reference(instruction_set, dtype, layer, arun_inputs, relative):
    for shape in SHAPES:
        tensors = make(layer, shape, arun_inputs, dtype)
        double = doubles(tensors)
        wanted = exact(layer, double)
        generator = torch.Generator().manual_seed(1)
        factors = [torch.randn(r.shape, generator=generator, **DOUBLE) for r in wanted]
        slopes = torch.autograd.grad(wanted, double, factors, retain_graph=True)
        last = torch.autograd.grad(wanted[1], double, factors[1])
        for budget in (0, LARGE):
            options = {"backend": "cpu", "memory_budget": budget}
            results = rates(layer, tensors, **options)
            found = torch.autograd.grad(results, tensors, [f.to(dtype) for f in factors])
            quick = rates(layer, tensors, last_only=True, **options)[1]
            again = torch.autograd.grad(quick, tensors, factors[1].to(dtype))
            assert torch.equal(quick, results[1])
            pairs = zip((*results, *found, *again), (*wanted, *slopes, *last), strict=True)
            for got, want in pairs:
                assert got.dtype == dtype and got.shape == want.shape
                assert relative(got, want) < TOLERANCE[dtype], shape


@pytest.mark.parametrize("kind", ["last", "classes", "values"])
@pytest.mark.parametrize("layer", LAYERS)
def test_losses_equal_those_of_the_reference(instruction_set, layer, kind, arun_inputs, relative):
    for shape in SHAPES:
        tensors = make(layer, shape, arun_inputs)
        readout, target, weights = head(kind, shape)
        leaves, results = [*tensors, *readout], []
        for options in (
            {"backend": "reference"},
            *({"backend": "cpu", "memory_budget": budget} for budget in (0, LARGE)),
        ):
            value, outputs = loss(layer, tensors, readout, target, weights, **options)
            results.append((value, outputs, *torch.autograd.grad(3 * value, leaves)))
        for got, again, want in zip(results[1], results[2], results[0], strict=True):
            assert torch.equal(got, again)
            assert relative(got, want) < 1e-10, shape


@pytest.mark.parametrize("layer", ["arun", "gamma", "tanh"])
def test_currents_made_in_the_kernel(layer, arun_inputs):
    """With an input and its weights, as a layer calls it; also where the input's are wanted."""
    shape = (20, 5, 9, 3)
    tensors = make(layer, shape, arun_inputs)[1:]
    x = torch.randn(20, 5, 2, **DOUBLE)
    weight, bias = (torch.randn(*s, **DOUBLE).requires_grad_() for s in ((9, 2), (9,)))
    leaves, made = [*tensors, weight, bias], {"weight_ih": weight, "bias_ih": bias}
    want = exact(layer, [linear(x, weight, bias), *tensors])[0]
    wanted = torch.autograd.grad(want.square().sum(), leaves)
    for given_x in (x, x.clone().requires_grad_()):
        got = rates(layer, [given_x, *tensors], backend="cpu", **made)[0]
        found = torch.autograd.grad(got.square().sum(), leaves)
        for a, b in zip((got, *found), (want, *wanted), strict=True):
            assert torch.allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("layer", LAYERS)
def test_alpha_of_one_is_no_leak_bit_for_bit(layer, precision, arun_inputs, monkeypatch):
    """(1 - 1) h + 1 f, forward and back, with every instruction set and in bfloat16."""
    dtype = torch.float64 if precision == "float64" else torch.float32
    shape, options = (20, 11, 13, 4), {"backend": "cpu", **PRECISIONS[precision]}
    *tensors, alpha = make(layer, shape, arun_inputs, dtype)
    readout, target, weights = head("classes", shape, dtype)
    for name in native.instruction_sets():
        monkeypatch.setenv("ADAPTRNN_INSTRUCTION_SET", name)
        for budget in (0, LARGE):
            results = []
            for share in (None, torch.ones_like(alpha)):
                given_tensors = [*tensors, share]
                output = rates(layer, given_tensors, memory_budget=budget, **options)[0]
                value = loss(
                    layer, given_tensors, readout, target, weights, memory_budget=budget, **options
                )[0]
                results.append((output, *torch.autograd.grad(output.square().sum(), tensors)))
                results[-1] += (value, *torch.autograd.grad(value, [*tensors, *readout]))
            assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("layer", LAYERS)
def test_one_step_in_bfloat16_mixes_state_and_rate(layer, arun_inputs, monkeypatch):
    """The leak itself is not rounded to bfloat16: h_1 = (1 - alpha) h_0 + alpha r."""
    *tensors, alpha = make(layer, (1, 5, 33, 4), arun_inputs, torch.float32)
    for name in native.instruction_sets():
        monkeypatch.setenv("ADAPTRNN_INSTRUCTION_SET", name)
        options = {"backend": "cpu", "precision": "bf16"}
        rate = rates(layer, [*tensors, None], **options)[1]
        found = rates(layer, [*tensors, alpha], **options)[1]
        # three roundings of numbers of order 1
        assert torch.allclose(found, (1 - alpha) * tensors[1] + alpha * rate, atol=1e-6)
        # d h_1 / d alpha = r - h_0, summed over samples
        slope = torch.autograd.grad(found.sum(), alpha)[0]
        assert torch.allclose(slope, (rate - tensors[1]).sum(0), atol=1e-5)


@pytest.mark.parametrize("layer", LAYERS)
def test_constant_current_without_recurrence_has_its_closed_form(instruction_set, layer):
    """h_t = r + (h_0 - r) (1 - alpha)^t, with r the rate of the current, and its derivatives."""
    steps, batch, size, units = 40, 3, 5, 2
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, **DOUBLE)

    current, h0 = normal(batch, size), normal(batch, size).requires_grad_()
    alpha = torch.tensor([0.01, 0.1, 0.3, 0.9, 1.0], **DOUBLE).requires_grad_()
    n, s = torch.tensor(2.0, **DOUBLE), torch.tensor(0.3, **DOUBLE)
    zero = torch.zeros(size, size, **DOUBLE)
    tensors = [current.expand(steps, batch, size), h0, zero]
    if layer == "arun":  # a readout of zeros: the curve stays what its bias says
        core = [normal(units), normal(units, units), normal(units), torch.zeros(2, units, **DOUBLE)]
        tensors = [*tensors[:2], normal(batch, size, units), zero, *core, torch.stack([n, s])]
        rate = gamma(current, n, s)
    else:
        rate = ACTIVATIONS[layer](current, n, s)
        tensors += [n.expand(size), s.expand(size)] if layer == "gamma" else []
    t = torch.arange(1, steps + 1, **DOUBLE).view(-1, 1, 1)
    decay = (1 - alpha.detach()) ** t
    h = rates(layer, [*tensors, alpha], backend="cpu")[0]
    # 40 steps of a contraction: some roundings of 1e-16
    assert torch.allclose(h, rate + (h0.detach() - rate) * decay, rtol=1e-12, atol=1e-14)
    by_h0, by_alpha = torch.autograd.grad(h.sum(), (h0, alpha))
    assert torch.allclose(by_h0, decay.sum(0).expand(batch, size), rtol=1e-12, atol=1e-14)
    turn = t * (1 - alpha.detach()) ** (t - 1)
    wanted = (turn * (rate - h0.detach())).sum((0, 1))
    assert torch.allclose(by_alpha, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("layer", LAYERS)
def test_gradcheck_to_second_order(layer, arun_inputs):
    shape = (18, 1, 2, 2)  # longer than a segment: 16 + 2
    tensors = make(layer, shape, arun_inputs)
    with torch.no_grad():
        tensors[-1].mul_(0.9)  # a difference must not leave 0 < alpha <= 1
    readout, target, weights = head("classes", shape)
    count = len(tensors)
    for budget in (0, LARGE):
        options = {"backend": "cpu", "memory_budget": budget}
        assert torch.autograd.gradcheck(lambda *t, o=options: rates(layer, t, **o), tensors)
        assert torch.autograd.gradcheck(
            lambda *t, o=options: loss(layer, t[:count], t[count:], target, weights, **o)[0],
            [*tensors, *readout],
        )
    short = [tensors[0].detach()[:2].requires_grad_(), *tensors[1:]]
    assert torch.autograd.gradgradcheck(lambda *t: rates(layer, t, backend="cpu")[1], short)
    assert torch.autograd.gradgradcheck(
        lambda *t: loss(layer, t[:count], t[count:], target[:2], weights[:2], backend="cpu")[0],
        [*short, *readout],
    )


sizes = st.tuples(st.integers(1, 8), st.integers(1, 7), st.integers(1, 19), st.integers(1, 9))


@pytest.mark.parametrize("layer", LAYERS)
@settings(max_examples=15, deadline=None)
@given(shape=sizes, slowest=st.floats(1e-6, 1.0))
def test_any_shape_and_time_constant(arun_inputs, layer, shape, slowest):
    *tensors, alpha = make(layer, shape, arun_inputs)
    alpha = (slowest + (1 - slowest) * alpha.detach()).clamp(max=1).requires_grad_()
    tensors = [*tensors, alpha]
    wanted = exact(layer, tensors)
    ones = [torch.ones_like(result) for result in wanted]
    slopes = torch.autograd.grad(wanted, tensors, ones)
    for budget in (0, LARGE):
        results = rates(layer, tensors, backend="cpu", memory_budget=budget)
        found = torch.autograd.grad(results, tensors, ones)
        # where relu's or alpha's terms cancel, as small as the roundings of terms of order 1
        for got, want in zip((*results, *found), (*wanted, *slopes), strict=True):
            assert torch.allclose(got, want, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("batch", [1, 10, 37])
def test_same_bits_for_any_number_of_threads(batch, arun_inputs, instruction_set):
    shape, before, results = (20, batch, 33, 6), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 8):
            torch.set_num_threads(threads)
            results.append([])
            for layer in ("arun", "gamma", "tanh"):
                tensors = make(layer, shape, arun_inputs, torch.float32)
                readout, target, weights = head("classes", shape, torch.float32)
                value, scores = loss(layer, tensors, readout, target, weights, backend="cpu")
                output = rates(layer, tensors, backend="cpu")[0]
                results[-1] += [value, scores, *torch.autograd.grad(value, tensors), output]
                results[-1] += torch.autograd.grad(output.square().sum(), tensors)
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_trace(arun_inputs):
    for layer in LAYERS:
        *tensors, alpha = (t.detach() for t in make(layer, (30, 4, 9, 3), arun_inputs))
        want = rates(layer, [*tensors, alpha])[0]
        options = {"alpha": alpha}
        if layer == "arun":
            traces = [arun_trace(*tensors, **options, backend=b) for b in ("cpu", "reference")]
            assert torch.equal(traces[0].h, want)
        else:
            tensors = (*tensors[:3], *(tensors[3:] or (None, None)), layer)
            traces = [gamma_rnn_trace(*tensors, **options, backend=b) for b in ("cpu", "reference")]
            assert torch.equal(traces[0][1], want)
        for got, other in zip(*traces, strict=True):
            assert torch.allclose(got, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dale", [False, True])
@pytest.mark.parametrize("kind", ["arun", "gamma", "relu"])
def test_a_layer_with_noise_and_signs_runs_in_the_kernels(kind, dale):
    """Leak, learned time constants, noise in the current and Dale's law at once: one gradient."""
    results = []
    for backend in ("cpu", "reference"):
        torch.manual_seed(0)
        options = {"dt": 2.0, "tau": torch.linspace(3.0, 40.0, 10), "learn_tau": True}
        options |= {"noise": 0.2, "dale": dale, "backend": backend, **DOUBLE}
        if kind == "arun":
            core = ARUN(2, 10, controller_size=3, **options)
        else:
            core = RNN(2, 10, nonlinearity=kind, **options)
        x, y = torch.randn(25, 4, 2, **DOUBLE), torch.randint(3, (25, 4))
        readout = torch.nn.Linear(10, 3, **DOUBLE)
        core.noise.reseed(5)
        output, _ = core(x)
        value, _ = core.loss(x, readout.weight, readout.bias, y)
        leaves = [*core.parameters()]
        slopes = torch.autograd.grad(output.square().sum() + value, leaves)
        results.append((output, value, *slopes))
        assert "raw_tau_l0" in dict(core.named_parameters())
    for got, want in zip(*results, strict=True):
        assert torch.allclose(got, want, rtol=1e-9, atol=1e-11)


@pytest.mark.long
@pytest.mark.parametrize("keep", [False, True])
def test_torch_accepts_the_operations(keep, arun_inputs):
    operations, segment = torch.ops.adaptrnn, 20 if keep else 16
    shape = (20, 3, 5, 4)
    *tensors, alpha = make("arun", shape, arun_inputs)
    readout, target, weights = head("classes", shape)
    plan = (False, segment, keep, False)
    torch.library.opcheck(operations.arun.default, (*tensors, alpha, None, None, *plan))
    needed = [True] * 10 + [False] * 2 + [True] * 2
    plan = (LARGE * keep, False, needed)
    values = (*tensors, alpha, None, None, *readout, target, weights, *plan)
    torch.library.opcheck(operations.arun_loss.default, values)
    for layer in ("tanh", "gamma"):
        *tensors, alpha = make(layer, shape, arun_inputs)
        tensors += [None] * (5 - len(tensors))
        for last_only in (False, True):
            values = (*tensors, alpha, None, None, layer, last_only, segment, keep, False)
            torch.library.opcheck(operations.gamma_rnn.default, values)


def test_the_module_checks_by_itself(arun_inputs):
    *tensors, _ = (t.detach() for t in make("tanh", (5, 2, 3, 2), arun_inputs))
    arrays = dict(zip(("currents", "h0", "weight_hh"), tensors, strict=True))
    with pytest.raises(ValueError, match="alpha: wrong shape"):
        native.run("rnn", "forward", 0, arrays=arrays | {"alpha": tensors[0][0]}, segment=5)
