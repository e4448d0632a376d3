"""Second derivatives of every layer, of losses that are not linear in what the layer returns.

Held to central differences of the first gradient and to the reference, which torch differentiates
by itself. The layers compute in float64. Central differences over 1e-5 of a smooth function are
good to about 1e-10 / 1e-5 of rounding and (1e-5)^2 of curvature, so a relative 1e-5 leaves room for
large third derivatives; the reference runs the same formulas, so 1e-9 leaves room for the order of
sums. A term that is counted twice is an error of order 1.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from flat_calls import arun, arun_loss, gamma_rnn
from torch.func import functional_call
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pack_padded_sequence

from adaptrnn import ARUN, GRU, LSTM, RNN
from adaptrnn.kernels import native

pytestmark = pytest.mark.skipif(native.why_not() is not None, reason="not built")

STATIC = ["tanh", "relu", "linear", "softplus", "sigmoid", "gamma", "gamma-shared"]
KINDS = [*STATIC, "arun", "lstm", "gru"]
LOSSES = ["linear", "quadratic", "cross-entropy", "last step"]
STEPS, BATCH, INPUTS, SIZE, UNITS = 18, 3, 2, 3, 2  # longer than a segment: 16 + 2


def build(kind, layers=1, **options):
    torch.manual_seed(1)
    if kind in ("lstm", "gru"):
        network = {"lstm": LSTM, "gru": GRU}[kind](INPUTS, SIZE, num_layers=layers)
    elif kind == "arun":
        network = ARUN(INPUTS, SIZE, layers, controller_size=UNITS, **options)
    else:
        gains = {"n": 2.0, "s": 0.2} if kind.startswith("gamma") else {}
        network = RNN(INPUTS, SIZE, layers, kind, **gains, **options)
    return network.double()


def losses(network, x, hx, packed):
    """A loss of each sort, of one call."""
    sequence = pack_padded_sequence(x, [STEPS, 9, 17], enforce_sorted=False) if packed else x
    output, state = network(sequence, hx)
    output = output.data if packed else output
    h = state[0] if isinstance(state, tuple) else state
    weights = torch.linspace(-1, 1, output.numel(), dtype=torch.float64).view_as(output)
    found = {
        "linear": (weights * output).sum(),
        "quadratic": (output**2).sum(),
        "cross-entropy": cross_entropy(output.flatten(0, -2), output[..., 0].flatten().long() * 0),
        "last step": (h[-1] ** 3).sum(),
    }
    if not packed and isinstance(network, RNN | ARUN):
        found["last step"] = found["last step"] + (network.last(x, hx) ** 2).sum()
    return found


def flat(tensors):
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def error(found, wanted):
    """Norm of the difference, relative to that of what is wanted or to 1e-3."""
    return float((found - wanted).norm() / wanted.norm().clamp_min(1e-3))


def product(loss, leaves, along, times=1):
    """The second derivative (or, by `times`, a higher one) times a vector, flat."""
    for _ in range(times):
        slopes = torch.autograd.grad(loss, leaves, create_graph=True, allow_unused=True)
        pairs = zip(slopes, along, strict=True)
        loss = sum((g * v).sum() for g, v in pairs if g is not None and g.requires_grad)
    if not isinstance(loss, torch.Tensor):  # every gradient is constant
        return torch.zeros(sum(leaf.numel() for leaf in leaves), dtype=torch.float64)
    return flat(torch.autograd.grad(loss, leaves, materialize_grads=True))


def difference(function, leaves, along, step=1e-5):
    """The same by a central difference of the gradient of `function()`."""
    ends = []
    for sign in (1, -2):
        with torch.no_grad():
            for leaf, v in zip(leaves, along, strict=True):
                leaf.add_(sign * step * v)
        ends.append(flat(torch.autograd.grad(function(), leaves, materialize_grads=True)))
    with torch.no_grad():
        for leaf, v in zip(leaves, along, strict=True):
            leaf.add_(step * v)
    return (ends[0] - ends[1]) / (2 * step)


# seconds pass; counted twice, three layers took longer than the minutes that a test has
@pytest.mark.parametrize("packed", [False, True], ids=["whole", "packed"])
@pytest.mark.parametrize(
    "layers", [1, *(pytest.param(layers, marks=pytest.mark.long) for layers in (2, 3))]
)
@pytest.mark.parametrize("kind", KINDS)
def test_hessian_vector_products(kind, layers, packed):
    """By the parameters alone, and by them, the input and the first state."""
    networks = [build(kind, layers), build(kind, layers, backend="reference")]
    drawn = torch.Generator().manual_seed(2)

    def normal(*shape):
        return torch.randn(shape, generator=drawn, dtype=torch.float64)

    x, state = normal(STEPS, BATCH, INPUTS), networks[0](normal(STEPS, BATCH, INPUTS))[1]
    parts = state if isinstance(state, tuple) else (state,)
    for arguments in (False, True):
        x = x.detach().requires_grad_(arguments)
        parts = tuple(part.detach().requires_grad_(arguments) for part in parts)
        hx = type(state)(*parts) if hasattr(state, "_fields") else parts
        hx = hx if isinstance(state, tuple) else parts[0]
        extra = [x, *parts] if arguments else []
        along = [normal(*leaf.shape) for leaf in [*networks[0].parameters(), *extra]]
        for name in LOSSES:
            products = []
            for network in networks:
                leaves = [*network.parameters(), *extra]
                loss = losses(network, x, hx, packed)[name]
                products.append(product(loss, leaves, along))
            assert error(*products) < 1e-9, name
            leaves = [*networks[0].parameters(), *extra]
            slow = difference(lambda: losses(networks[0], x, hx, packed)[name], leaves, along)  # noqa: B023
            assert error(products[0], slow) < 1e-5, name


@pytest.mark.parametrize("kind", ["tanh", "gamma", "arun"])
def test_third_derivatives_are_those_of_the_reference(kind):
    x, products = torch.randn(STEPS, BATCH, INPUTS, dtype=torch.float64), []
    for backend in ("cpu", "reference"):
        network = build(kind, 2, backend=backend)
        along = [torch.ones_like(leaf) for leaf in network.parameters()]
        loss = (network(x)[0] ** 3).sum()
        products.append(product(loss, list(network.parameters()), along, times=2))
    assert error(*products) < 1e-9


def test_gradgradcheck_of_losses_that_are_not_linear(arun_inputs):
    tensors = arun_inputs(3, 2, 2, 2)
    readout = [torch.randn(3, 2).double().requires_grad_(), torch.randn(3).double()]
    target = torch.tensor([0, 2])

    def square(results):
        return sum((result**2).sum() for result in results)

    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert check(lambda *t: square(arun(*t, backend="cpu")), tensors)
        assert check(lambda *t: square(arun(*t, backend="cpu", last_only=True)), tensors)
        assert check(lambda *t: arun_loss(*t, target)[0] ** 2, [*tensors, *readout])
        for kind in ("tanh", "gamma"):
            rest = tensors[:2] + tensors[3:4]
            gains = [torch.full((2,), 2.0).double().requires_grad_() for _ in range(2)]
            given = [*rest, *(gains if kind == "gamma" else ())]

            def rates(*t, kind=kind):
                gains = t[3:] if kind == "gamma" else (None, None)
                return square(gamma_rnn(*t[:3], *gains, nonlinearity=kind, backend="cpu"))

            assert check(rates, given)


def test_tensors_that_depend_on_each_other(arun_inputs):
    """What the operation is given may be computed from one another, or be the same twice."""
    tensors = arun_inputs(4, 2, 2, 2)
    readout = [torch.randn(3, 2).double().requires_grad_(), torch.randn(3).double()]
    target = torch.tensor([0, 2])
    currents, h0, g0, *weights = tensors

    def tied(currents, h0, bias, *weights):
        w_hh, w_ag, w_gg, _, w_gc, _ = weights
        return (
            currents + h0,
            h0,
            h0.unsqueeze(-1) + g0.detach(),
            w_hh + w_gg,
            w_ag,
            w_gg,
            bias,
            w_gc,
            bias,
        )

    leaves = [currents, h0, weights[-1], *weights]
    for function in (
        lambda *t: (arun(*tied(*t), backend="cpu")[0] ** 2).sum(),
        lambda *t: arun_loss(*tied(*t), *readout, target)[0],
    ):
        assert torch.autograd.gradgradcheck(function, leaves[:3] + [w.detach() for w in weights])
        assert torch.autograd.gradgradcheck(
            lambda *w, function=function: function(currents.detach(), h0.detach(), w[-1], *w),
            weights,
        )


@pytest.mark.parametrize("kind", ["tanh", "relu", "gamma", "arun"])
def test_gradient_penalty(kind):
    """The penalty of a WGAN's critic, (|d critic / d x| - 1)^2, by its parameters."""
    x = torch.randn(STEPS, BATCH, INPUTS, dtype=torch.float64)
    found = []

    def penalty(network):
        given = x.clone().requires_grad_()
        scores = network.last(given).pow(2).sum()
        slope = torch.autograd.grad(scores, given, create_graph=True)[0]
        return ((slope.norm(dim=(0, 2)) - 1) ** 2).mean()

    for backend in ("cpu", "reference"):
        network = build(kind, 2, backend=backend)
        leaves = list(network.parameters())
        found.append(flat(torch.autograd.grad(penalty(network), leaves, materialize_grads=True)))
    assert error(*found) < 1e-9
    along, ends, step = torch.randn(len(found[0]), dtype=torch.float64), [], 1e-5
    network = build(kind, 2)
    start = flat(network.parameters()).detach()
    for sign in (1, -1):
        torch.nn.utils.vector_to_parameters(start + sign * step * along, network.parameters())
        ends.append(float(penalty(network).detach()))
    slow = (ends[0] - ends[1]) / (2 * step)  # a number, so differences of it alone
    assert float(found[0] @ along) == pytest.approx(slow, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("kind", ["tanh", "gamma", "arun"])
def test_inner_step_of_maml(kind):
    """The gradient of the loss after one step of gradient descent, by the weights before it.

    The step is at most 0.1 long, so that the network after it stays near the one before.
    """
    x = torch.randn(2, STEPS, BATCH, INPUTS, dtype=torch.float64)

    def loss(network, values, data):
        return (functional_call(network, values, (data,))[0] - 0.5).pow(2).mean()

    def outer(network):
        values = dict(network.named_parameters())
        slopes = torch.autograd.grad(
            loss(network, values, x[0]), list(values.values()), create_graph=True
        )
        size = 1 + flat(slopes).norm()
        moved = {
            name: value - 0.1 * slope / size
            for (name, value), slope in zip(values.items(), slopes, strict=True)
        }
        return loss(network, moved, x[1])

    found = []
    for backend in ("cpu", "reference"):
        network = build(kind, 2, backend=backend)
        found.append(flat(torch.autograd.grad(outer(network), list(network.parameters()))))
    assert error(*found) < 1e-9
    along, ends, step = torch.randn(len(found[0]), dtype=torch.float64), [], 1e-5
    network = build(kind, 2)
    start = flat(network.parameters()).detach()
    for sign in (1, -1):
        torch.nn.utils.vector_to_parameters(start + sign * step * along, network.parameters())
        ends.append(float(outer(network).detach()))
    slow = (ends[0] - ends[1]) / (2 * step)
    assert float(found[0] @ along) == pytest.approx(slow, rel=1e-5, abs=1e-8)


MEMORY = """
import gc, resource, torch
from adaptrnn import ARUN, RNN

gc.disable()  # what only the collector would free counts as kept
networks = [ARUN(2, 20, controller_size=4), RNN(2, 20, 2, "gamma", n=2.0)]
x = torch.randn(4, 500, 2)
target = torch.zeros(500, dtype=torch.int64)

def once(network):
    leaves = list(network.parameters())
    loss = (network(x)[0] ** 2).mean()
    if isinstance(network, ARUN):
        readout = network.weight_hh_l0[:3]
        loss = loss + network.loss(x, readout, readout[:, 0], target)[0]
    slopes = torch.autograd.grad(loss, leaves, create_graph=True)
    sum((slope ** 2).sum() for slope in slopes).backward()

peaks = []
for count in (10, 100):
    for _ in range(count):
        for network in networks:
            once(network)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(peaks[1] - peaks[0])
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="no peak of memory to be read there")
def test_no_memory_is_kept():
    """100 second derivatives: one layer's rates alone, kept, would be 100 x 160 kB = 16 MB."""
    grown = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True
    )
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(grown.stdout) * unit < 8e6
