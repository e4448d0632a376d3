"""The layers under torch's tools: transforms, compiler, export, hooks, pruning, meta tensors."""

from __future__ import annotations

import io

import pytest
import torch
from torch import nn
from torch.export import Dim
from torch.nn.utils import parametrizations, prune
from torch.nn.utils.rnn import pack_sequence

from adaptrnn import ARUN, GRU, RNN, Classifier, InputError
from adaptrnn.sequence import SequenceModel

KINDS = {
    "few inputs": lambda **more: RNN(2, 5, **more),
    "many inputs": lambda **more: RNN(12, 5, **more),
    "arun": lambda **more: ARUN(2, 5, controller_size=3, **more),
}
FLOAT32 = 2e-5  # a few roundings of 6e-8 at each of six steps, of numbers up to about 10


@pytest.fixture(params=KINDS)
def layer(request):
    return KINDS[request.param]().eval()


def rates(layer):
    return lambda x: layer(x)[0]


def largest(one, other):
    return float((one - other).detach().abs().max())


@pytest.fixture
def _forget_what_was_compiled():
    yield
    torch.compiler.reset()


@pytest.mark.long
@pytest.mark.usefixtures("_forget_what_was_compiled")
def test_transforms_of_compiled_functions_are_those_of_plain_ones(layer):
    """The backend "eager" has the compiler's view of a function, and needs no C++ compiler."""
    x = torch.rand(6, 3, layer.input_size)
    along = torch.rand_like(x)
    run = rates(layer)

    def loss(x):
        return run(x).square().sum()

    def forward_derivative(function):
        return torch.func.jvp(function, (x,), (along,))[1]

    def compiled(function):
        return torch.compile(function, backend="eager")

    wanted = forward_derivative(run)
    assert wanted.abs().max() > 0.1
    gradient = torch.func.grad(loss)(x)
    plain = compiled(run)
    assert largest(plain(x), run(x)) < FLOAT32
    inside = compiled(lambda x: torch.func.jvp(run, (x,), (along,))[1])(x)
    for found in (inside, forward_derivative(compiled(run)), forward_derivative(plain)):
        assert largest(found, wanted) < FLOAT32 * wanted.abs().max()
    for found in (compiled(torch.func.grad(loss))(x), torch.func.grad(compiled(loss))(x)):
        assert largest(found, gradient) < FLOAT32 * gradient.abs().max()


def test_an_exported_layer_serves_gradients_and_other_batches(layer):
    x = torch.rand(6, 3, layer.input_size)
    batches = {1: Dim("B", min=2, max=100)}
    program = torch.export.export(layer, (x,), dynamic_shapes=(batches,))
    torch.export.save(program, io.BytesIO())
    module = program.module()
    other = torch.rand(6, 17, layer.input_size, requires_grad=True)
    assert largest(module(other)[0], layer(other)[0]) < FLOAT32
    (found,) = torch.autograd.grad(module(other)[0].square().sum(), other)
    (wanted,) = torch.autograd.grad(layer(other)[0].square().sum(), other)
    assert largest(found, wanted) < FLOAT32 * wanted.abs().max()


def test_an_exported_layer_has_forward_derivatives_or_says_no():
    """torch itself would go on with derivatives of zero."""
    x, along = torch.rand(6, 3, 2), torch.rand(6, 3, 2)
    for backend in ("cpu", "reference"):
        layer = RNN(2, 5, backend=backend).eval()
        module = torch.export.export(layer, (x,)).module()

        def derivative(module=module):
            return torch.func.jvp(rates(module), (x,), (along,))[1]

        if backend == "cpu":
            with pytest.raises(RuntimeError, match="export the layer with backend='reference'"):
                derivative()
        else:
            wanted = torch.func.jvp(rates(layer), (x,), (along,))[1]
            assert largest(derivative(), wanted) < FLOAT32


@pytest.mark.parametrize("core", [RNN(1, 8), ARUN(1, 8, controller_size=3)], ids=["rnn", "arun"])
@pytest.mark.parametrize("part", ["core", "readout"])
def test_pruned_weights_are_those_of_the_call(core, part):
    """Pruning makes the weight in a hook of the call, which a method goes past."""
    x, y = torch.rand(6, 4, 1), torch.tensor([0, 1, 2, 0])
    for kind in (Classifier, SequenceModel):
        model = kind(core, 3)
        pruned = getattr(model, part)
        name = "weight_hh_l0" if part == "core" else "weight"
        prune.l1_unstructured(pruned, name, 0.5)
        with torch.no_grad():
            getattr(pruned, name + "_orig").mul_(3)
        output = model.readout(model.core(x)[0])
        for _ in range(2):  # a second time the weight is made anew
            model.zero_grad()
            if kind is Classifier:
                assert largest(model(x), output[-1]) < FLOAT32
                loss = model.loss(x, y)[0]
                wanted = nn.functional.cross_entropy(model.readout(model.core(x)[0])[-1], y)
            else:
                loss = model.loss(x, torch.zeros(6, 4, 3))[0]
                wanted = model.readout(model.core(x)[0]).square().mean()
            assert largest(loss, wanted) < FLOAT32 * max(1.0, float(wanted.detach()))
            loss.backward()
        prune.remove(pruned, name)


@pytest.mark.parametrize("name", ["core", "readout"])
def test_hooks_see_every_call(name):
    model, seen = Classifier(RNN(1, 4), 3), []
    x, y = torch.rand(5, 2, 1), torch.tensor([0, 2])
    before = model.loss(x, y)[0]
    handle = getattr(model, name).register_forward_hook(lambda *_: seen.append(1))
    model(x)
    assert largest(model.loss(x, y)[0], before) < FLOAT32
    assert len(seen) == 2
    handle.remove()


@pytest.mark.parametrize("learn_tau", [False, True])
@pytest.mark.parametrize("build", [RNN, lambda *a, **k: ARUN(*a, controller_size=3, **k)])
def test_a_layer_of_meta_tensors_gets_its_time_constants(build, learn_tau):
    """`to_empty` leaves memory as it is; the next call makes the initial values."""
    layer = build(2, 4, tau=100.0, learn_tau=learn_tau, device="meta").to_empty(device="cpu")
    for name, tensor in [*layer.named_parameters(), *layer.named_buffers()]:
        if "tau" in name:
            tensor.data.fill_(torch.nan)
    layer.reset_parameters()
    # ln and exp of about 100, each good to a few units of the 24th bit
    torch.testing.assert_close(layer.tau(), torch.full((4,), 100.0), rtol=1e-5, atol=0.0)


@pytest.mark.parametrize(
    "options",
    [
        {"nonlinearity": "gamma", "n": 5.0},
        {"nonlinearity": "gamma", "n": "code"},
        {"dale": True},
        {"tau": 5.0},
        {"tau": 5.0, "learn_tau": True},
    ],
    ids=str,
)
def test_every_option_can_be_made_of_meta_tensors(options):
    assert RNN(2, 4, device="meta", **options).weight_hh_l0.is_meta
    with torch.device("meta"):
        layer = RNN(2, 4, **options)
    assert layer.weight_hh_l0.is_meta
    assert layer.extra_repr()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_of_16_bits_are_drawn_with_dale_s_law_and_orthogonal(dtype):
    signed = RNN(2, 6, dale=True, dtype=dtype).weight_hh_l0
    assert signed.dtype == dtype
    assert (signed[:, :4] >= 0).all() and (signed[:, 5:] <= 0).all()
    weight = RNN(2, 6, init="paper", recurrent_init="haar", dtype=dtype).weight_hh_l0.double()
    # six products of numbers below 1 that are 2^-9 off
    torch.testing.assert_close(weight @ weight.T, torch.eye(6).double(), atol=0.03, rtol=0.0)


def test_parametrised_weights_are_drawn_again():
    layer = RNN(3, 4)
    parametrizations.weight_norm(layer, "weight_hh_l0")
    before = layer.weight_hh_l0.detach().clone()
    layer.reset_parameters()
    assert not torch.equal(layer.weight_hh_l0, before) and layer.weight_hh_l0.abs().max() <= 0.5


def test_another_default_device_changes_nothing():
    layer = RNN(2, 4, device="cpu", noise=0.5)
    packed, rest = pack_sequence([torch.rand(4, 2), torch.rand(3, 2)]), torch.zeros(1, 2, 4)
    layer.noise.reseed(1)
    wanted = layer(packed, rest)[0].data
    layer.noise.reseed(1)
    with torch.device("meta"):
        found = layer(packed, rest)[0].data
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_dropout_between_layers_of_packed_input_is_torchs(bidirectional):
    """Drawn for what is there and not for the padding, so that a seed drops the same units."""
    packed = pack_sequence([torch.rand(length, 2) for length in (4, 2, 1, 1)])
    theirs = nn.RNN(2, 4, 2, dropout=0.5, bidirectional=bidirectional)
    ours = RNN(2, 4, 2, dropout=0.5, bidirectional=bidirectional)
    ours.load_state_dict(theirs.state_dict())
    torch.manual_seed(1)
    wanted = theirs(packed)[0].data
    torch.manual_seed(1)
    assert largest(ours(packed)[0].data, wanted) < FLOAT32


class Own(nn.Module):
    """A controller with what is asked of one, and nothing more."""

    def __init__(self, controller_size, device=None, dtype=None):
        super().__init__()
        self.controller_size = controller_size
        self.linear = nn.Linear(1, controller_size, device=device, dtype=dtype)

    def forward(self, a, g):
        g = torch.tanh(self.linear(a.unsqueeze(-1)) + g)
        return g, 1 + g[..., 0], g[..., 0]


def test_a_controller_of_ones_own_is_drawn_again_and_has_no_kernels():
    layer = ARUN(2, 4, controller_size=3, controller=Own)
    before = layer.controller.linear.weight.detach().clone()
    layer.reset_parameters()
    assert not torch.equal(layer.controller.linear.weight, before)
    with pytest.raises(InputError, match=r"backend='cpu'.*with another controller"):
        ARUN(2, 4, controller_size=3, controller=Own, backend="cpu")


def test_wrong_words_are_refused_at_once():
    with pytest.raises(InputError, match=r"backend='cuda'.*must be one of"):
        RNN(1, 2, backend="cuda")
    with pytest.raises(InputError, match="dropout='x'"):
        RNN(1, 2, 2, dropout="x")
    with pytest.raises(InputError, match=r"input.dtype=torch.int64.*input.to\(torch.float32\)\.$"):
        RNN(2, 3)(torch.zeros(3, 1, 2, dtype=torch.int64))
    with pytest.raises(InputError, match=r"hx=\(1, 2, 3\): must be of shape \(1, 1, 3\)"):
        GRU(2, 3)(torch.zeros(3, 1, 2), torch.zeros(1, 2, 3), drive=1.0)
