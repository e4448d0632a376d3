"""Losses at every step, in one visit of a kernel, against layer, readout and loss in torch."""

from __future__ import annotations

import pytest
import torch
from flat_calls import arun_loss, gamma_rnn_loss, reference_arun, reference_gamma_rnn
from torch.nn.functional import linear

from adaptrnn import ARUN, RNN, SequenceModel
from adaptrnn._error import InputError
from adaptrnn.kernels import native

pytestmark = pytest.mark.skipif(native.why_not() is not None, reason="not built")

LARGE = 2**40
LAYERS = ("arun", "gamma", "tanh")
KINDS = ("last", "classes", "values")
# (T, B, N, G, K): 1 everywhere; more and fewer outputs than a vector has numbers; longer than a
# segment between kept states (16); many tiles, none of a whole number of vectors
SHAPES = [(1, 1, 1, 1, 1), (37, 23, 13, 4, 5), (20, 3, 33, 6, 35), (18, 11, 100, 5, 10)]
# the specification, as for the layers: float64 1e-10; float32 roundings of 6e-8 in sums over 20 to
# 40 steps, a few thousand terms
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def make(layer, shape, kind, dtype, arun_inputs):
    """Leaves of layer and readout, targets and weights of the steps."""
    steps, batch, size, units, outputs = shape
    generator = torch.Generator().manual_seed(sum(shape))

    def normal(*lengths, scale=1.0):
        values = scale * torch.randn(*lengths, generator=generator, dtype=torch.float64)
        return values.to(dtype).requires_grad_()

    tensors = arun_inputs(steps, batch, size, units, dtype)
    if layer != "arun":
        tensors = [tensors[0], tensors[1], tensors[3]]
    if layer == "gamma":
        tensors += [(normal(size, scale=0.3).detach() + 3).requires_grad_(), normal(size)]
    readout = [normal(outputs, size, scale=size**-0.5), normal(outputs)]
    target, weights = torch.randint(outputs, (steps, batch), generator=generator), None
    if kind == "last":
        target = target[-1]
    else:
        weights = torch.rand(steps, batch, generator=generator).to(dtype)
        weights[torch.rand(steps, batch, generator=generator) < 0.3] = 0
        weights[-1, -1] = 1.5
    if kind == "values":
        target = normal(steps, batch, outputs).detach()
    return tensors, readout, target, weights


def fused(layer, tensors, readout, target, weights=None, **options):
    if layer == "arun":
        return arun_loss(*tensors, *readout, target, weights, **options)
    gains = tensors[3:] or (None, None)
    return gamma_rnn_loss(*tensors[:3], *gains, *readout, target, weights, layer, **options)


def rates_of(layer, tensors):
    if layer == "arun":
        return reference_arun(*tensors)[0]
    return reference_gamma_rnn(*tensors[:3], *(tensors[3:] or (None, None)), layer)[0]


def plain(layer, tensors, readout, target, weights):
    """The loss written out, with sums over samples and steps and no function of the package's."""
    outputs = linear(rates_of(layer, tensors), *readout)
    if target.ndim == 1:
        outputs = outputs[-1]
    if target.is_floating_point():
        each = ((outputs - target) ** 2).sum(-1) / outputs.shape[-1]
    else:
        wanted = outputs.gather(-1, target.unsqueeze(-1)).squeeze(-1)
        each = outputs.logsumexp(-1) - wanted
    share = torch.ones_like(each) if weights is None else weights
    return (share * each).sum() / share.sum(), outputs


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("dtype", list(TOLERANCE))
def test_equals_layer_readout_and_loss(instruction_set, dtype, layer, kind, arun_inputs, relative):
    for shape in SHAPES:
        tensors, readout, target, weights = make(layer, shape, kind, dtype, arun_inputs)
        exact = [t.detach().double().requires_grad_() for t in (*tensors, *readout)]
        others = [
            t if t is None or t.dtype == torch.int64 else t.double() for t in (target, weights)
        ]
        count = len(tensors)
        value, outputs = plain(layer, exact[:count], exact[count:], *others)
        wanted = (value, outputs, *torch.autograd.grad(3 * value, exact))
        results = []
        for budget in (0, LARGE):
            options = {"backend": "cpu", "memory_budget": budget}
            loss, found = fused(layer, tensors, readout, target, weights, **options)
            assert not found.requires_grad
            results.append((loss, found, *torch.autograd.grad(3 * loss, [*tensors, *readout])))
            for got, want in zip(results[-1], wanted, strict=True):
                assert got.dtype == dtype and got.shape == want.shape
                # one class of one: loss and slopes are 0
                small = 1e-6 if dtype == torch.float32 else 1e-14
                assert relative(got, want) < TOLERANCE[dtype] or (got - want).abs().max() < small
        assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layer", LAYERS)
def test_derivatives_to_second_order(layer, kind, arun_inputs):
    tensors, readout, target, weights = make(
        layer, (18, 2, 3, 2, 3), kind, torch.float64, arun_inputs
    )
    count = len(tensors)
    for budget in (0, LARGE):
        assert torch.autograd.gradcheck(
            lambda *t, budget=budget: fused(
                layer, t[:count], t[count:], target, weights, memory_budget=budget
            )[0],
            [*tensors, *readout],
        )
    short = make(layer, (3, 2, 2, 2, 2), kind, torch.float64, arun_inputs)
    tensors, readout, *others = short
    assert torch.autograd.gradgradcheck(
        lambda *t: fused(layer, t[:count], t[count:], *others, backend="cpu")[0] ** 2,
        [*tensors, *readout],
    )


@pytest.mark.parametrize("layer", LAYERS)
def test_targets_and_weights_with_a_gradient_are_left_to_the_reference(layer, arun_inputs):
    tensors, readout, target, weights = make(
        layer, (4, 2, 3, 2, 3), "values", torch.float64, arun_inputs
    )
    target.requires_grad_(), weights.requires_grad_()
    leaves = [*tensors, *readout, target, weights]
    found = torch.autograd.grad(fused(layer, tensors, readout, target, weights)[0], leaves)
    wanted = torch.autograd.grad(plain(layer, tensors, readout, target, weights)[0], leaves)
    for got, want in zip(found, wanted, strict=True):
        assert torch.allclose(got, want, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("layer", LAYERS)
def test_what_has_no_weight_changes_no_bit(layer, arun_inputs):
    tensors, readout, target, weights = make(
        layer, (20, 9, 7, 3, 4), "classes", torch.float64, arun_inputs
    )
    leaves = [*tensors, *readout]
    other = torch.where(weights == 0, (target + 1) % 4, target)
    assert not torch.equal(other, target)
    found = []
    for y in (target, other):
        loss, _ = fused(layer, tensors, readout, y, weights)
        found.append((loss, *torch.autograd.grad(loss, leaves)))
    # d - 0 (p - 1) and d - 0 p: zeros of either sign
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("layer", LAYERS)
def test_weight_at_the_last_step_alone_is_the_loss_of_the_last_step(layer, arun_inputs):
    tensors, readout, target, _ = make(
        layer, (20, 9, 7, 3, 4), "classes", torch.float64, arun_inputs
    )
    weights = torch.zeros(20, 9, dtype=torch.float64)
    weights[-1] = 2
    leaves, results = [*tensors, *readout], []
    for arguments in ((target, weights), (target[-1], None)):
        loss, outputs = fused(layer, tensors, readout, *arguments)
        outputs = outputs[-1] if outputs.ndim == 3 else outputs
        results.append((loss, outputs, *torch.autograd.grad(loss, leaves)))
    for a, b in zip(*results, strict=True):
        assert torch.allclose(a, b, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("layer", LAYERS)
def test_threads_and_evaluation(layer, arun_inputs):
    tensors, readout, target, weights = make(
        layer, (20, 23, 7, 3, 4), "classes", torch.float32, arun_inputs
    )
    leaves, results, before = [*tensors, *readout], [], torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            loss, outputs = fused(layer, tensors, readout, target, weights)
            results.append((loss, outputs, *torch.autograd.grad(loss, leaves)))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    with torch.no_grad():
        value, outputs = fused(layer, tensors, readout, target, weights)
    assert torch.allclose(value, results[0][0], rtol=1e-5)
    assert torch.allclose(outputs, results[0][1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_rate_that_is_not_a_number_shows_in_the_loss(layer, arun_inputs):
    tensors, readout, target, weights = make(
        layer, (9, 3, 7, 3, 4), "classes", torch.float32, arun_inputs
    )
    with torch.no_grad():
        tensors[0][2, 1, 3] = float("nan")
    assert fused(layer, tensors, readout, target, weights)[0].isnan()


@pytest.mark.parametrize("layer", LAYERS)
def test_torch_accepts_and_compiles_the_operation(layer, arun_inputs):
    tensors, readout, target, weights = make(
        layer, (20, 3, 5, 4, 6), "classes", torch.float64, arun_inputs
    )
    every = tensors if layer != "tanh" else [*tensors, None, None]
    operations = torch.ops.adaptrnn
    operation = operations.arun_loss if layer == "arun" else operations.gamma_rnn_loss
    name = () if layer == "arun" else (layer,)
    needed = [t is not None for t in (*every, None, None, None, *readout)]
    for budget in (0, LARGE):
        head, plan = (*readout, target, weights), (*name, budget, False, needed)
        torch.library.opcheck(operation.default, (*every, None, None, None, *head, *plan))

    def loss(*leaves):
        count = len(tensors)
        return 2 * fused(layer, leaves[:count], leaves[count:], target, weights)[0]

    leaves = [*tensors, *readout]
    value, again = loss(*leaves), torch.compile(loss, fullgraph=True, backend="aot_eager")(*leaves)
    assert torch.equal(value, again)
    wanted, found = torch.autograd.grad(value, leaves), torch.autograd.grad(again, leaves)
    # 2 * gradient in another order: one rounding
    assert all(torch.allclose(f, w, rtol=1e-15) for f, w in zip(found, wanted, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"num_layers": 2},
        {"bidirectional": True},
        {"batch_first": True},
        {"bias": False},
    ],
)
def test_a_layer_s_loss_equals_its_call(kind, arguments):
    torch.manual_seed(0)
    steps, batch, outputs = 9, 4, 3
    layers = [
        ARUN(2, 5, controller_size=3, dtype=torch.float64, **arguments),
        RNN(2, 5, nonlinearity="gamma", dtype=torch.float64, **arguments),
    ]
    x = torch.randn(steps, batch, 2, dtype=torch.float64)
    target = torch.randint(outputs, (steps, batch))
    weights = None if kind == "last" else torch.rand(steps, batch, dtype=torch.float64)
    target = {"last": target[-1], "classes": target, "values": x[..., :1].expand(-1, -1, outputs)}[
        kind
    ]
    varying = torch.randn(steps, 1, 5, dtype=torch.float64)
    for layer in layers:
        readout = torch.nn.Linear(5 * layer.num_directions, outputs, dtype=torch.float64)
        given = x.transpose(0, 1) if layer.batch_first else x
        for drive in (None, 0.7, varying.transpose(0, 1) if layer.batch_first else varying):
            leaves = [*layer.parameters(), *readout.parameters()]
            loss, found = layer.loss(
                given, readout.weight, readout.bias, target, weights, drive=drive
            )
            rates = layer(given, None, drive)[0]
            rates = rates.transpose(0, 1) if layer.batch_first else rates
            scores = readout(rates)[-1] if kind == "last" else readout(rates)
            if kind == "values":
                each = (scores - target).square().mean(-1)
            else:
                each = -scores.log_softmax(-1).gather(-1, target.unsqueeze(-1)).squeeze(-1)
            share = torch.ones_like(each) if weights is None else weights
            wanted = (share * each).sum() / share.sum()
            assert torch.allclose(found, scores, rtol=1e-10, atol=1e-12)
            assert torch.allclose(loss, wanted, rtol=1e-12)
            pairs = zip(
                torch.autograd.grad(loss, leaves), torch.autograd.grad(wanted, leaves), strict=True
            )
            assert all(torch.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in pairs)


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_a_sequence_model_trains_by_the_same_loss(backend):
    torch.manual_seed(0)
    core = RNN(2, 5, nonlinearity="gamma", backend=backend)
    model, twin = SequenceModel(core, 3), SequenceModel(torch.nn.GRU(2, 5), 3)
    x, y = torch.randn(9, 4, 2), torch.randint(3, (9, 4))
    weights = torch.rand(9, 4)
    for network in (model, twin):
        loss, outputs = network.loss(x, y, weights)
        scores = network(x)
        each = torch.nn.functional.cross_entropy(
            scores.flatten(0, 1), y.flatten(), reduction="none"
        )
        wanted = (each * weights.flatten()).sum() / weights.sum()
        assert torch.allclose(loss, wanted, rtol=1e-5)
        # a few roundings of numbers around 1
        assert torch.allclose(outputs, scores, atol=1e-6)
        leaves = list(network.parameters())
        pairs = zip(
            torch.autograd.grad(loss, leaves), torch.autograd.grad(wanted, leaves), strict=True
        )
        assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in pairs)


@pytest.mark.parametrize("layer", LAYERS)
def test_errors_name_the_argument(layer, arun_inputs):
    tensors, readout, target, weights = make(
        layer, (4, 2, 3, 2, 5), "classes", torch.float64, arun_inputs
    )
    wrong = [
        ("target=", target + 5, weights),
        ("target.shape=", target[:3], weights),
        ("weights.shape=", target, weights[:, :1]),
        ("weights.shape=", target[-1], weights),
    ]
    for start, y, share in wrong:
        with pytest.raises(InputError, match=f"^{start}"):
            fused(layer, tensors, readout, y, share)
    with pytest.raises(InputError, match=r"^target.shape=.*float"):
        fused(layer, tensors, readout, target.double(), weights)
    with pytest.raises(InputError, match=r"^weight_out.shape="):
        fused(layer, tensors, [readout[0][:, :2], readout[1]], target, weights)
    with pytest.raises(InputError, match=r"^bias_out.shape="):
        fused(layer, tensors, [readout[0], readout[1][:2]], target, weights)
