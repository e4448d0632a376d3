"""Dale's law: signs that training keeps, balance, reload, analyses of signed weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import linear

from adaptrnn import ARUN, RNN
from adaptrnn._error import InputError
from adaptrnn.analysis.isolation import isolate
from adaptrnn.analysis.system import as_system
from adaptrnn.config import TrainConfig
from adaptrnn.dale import balanced, neuron_signs, plain_copy
from adaptrnn.run import Run
from adaptrnn.training import train

pytestmark = pytest.mark.usefixtures("shapes_checked")


def layer(kind, **arguments):
    torch.manual_seed(0)
    if kind == "arun":
        return ARUN(2, 10, controller_size=3, **arguments)
    return RNN(2, 10, nonlinearity=kind, **arguments)


def signed(core, signs):
    """Whether no weight of a column has the other sign, and some has its own."""
    found = core.weight_hh_l0.detach() * signs
    return bool((found >= 0).all()) and bool((found > 0).any(0).all())


@pytest.mark.parametrize("kind", ["arun", "gamma", "tanh"])
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_training_keeps_signs(kind, backend):
    core = layer(kind, dale=True, backend=backend)
    signs = torch.tensor([1.0] * 8 + [-1.0] * 2)
    assert torch.equal(core.excitatory, signs > 0) and signed(core, signs)
    before = core.weight_hh_l0.detach().clone()
    optimiser = torch.optim.SGD(core.parameters(), lr=0.5)
    x, target = torch.randn(6, 4, 2), torch.randn(6, 4, 10)
    for _ in range(30):  # large steps: many free weights change their sign
        optimiser.zero_grad()
        (core(x)[0] - target).square().mean().backward()
        torch.nn.utils.clip_grad_norm_(core.parameters(), 5.0)
        optimiser.step()
    free = core.parametrizations.weight_hh_l0.original
    assert bool((free < 0).any())
    assert not torch.equal(before, core.weight_hh_l0) and signed(core, signs)


@pytest.mark.parametrize(
    ("dale", "count"), [(True, 8), (0.5, 5), (1.0, 10), (0.0, 0), (-torch.ones(10), 0)]
)
def test_which_neurons_are_excitatory(dale, count):
    core = layer("tanh", dale=dale)
    assert core.excitatory.sum() == count and bool(core.excitatory[:count].all())
    assert signed(core, torch.where(core.excitatory, 1.0, -1.0))


def test_first_weights_balance_and_keep_the_spectral_radius():
    torch.manual_seed(0)
    weight, signs = torch.randn(200, 200, dtype=torch.float64) / 200**0.5, neuron_signs(True, 200)
    found = balanced(weight, signs)
    radius = torch.linalg.eigvals(weight).abs().max()
    assert torch.allclose(torch.linalg.eigvals(found).abs().max(), radius, rtol=1e-10)
    excitation, inhibition = found[:, :160].sum(), found[:, 160:].sum()
    # two sums of 32,000 and 8,000 half-normal numbers: 0.8% of their mean is a standard error
    assert abs(float(excitation / -inhibition) - 1) < 0.05
    assert layer("gamma", dale=True).nonlinearity == "gamma"
    plain, core = layer("tanh", init="paper"), layer("tanh", init="paper", dale=True)
    assert torch.equal(plain.weight_ih_l0, core.weight_ih_l0)  # the same draws
    first = core.weight_hh_l0.detach().clone()
    core.reset_parameters()
    assert not torch.equal(core.weight_hh_l0, first)
    assert signed(core, torch.where(core.excitatory, 1.0, -1.0))


@pytest.mark.parametrize("kind", ["arun", "gamma"])
def test_analyses_see_the_signed_weights(kind):
    core = layer(kind, dale=True, dtype=torch.float64)
    x, names = torch.randn(5, 3, 2, dtype=torch.float64), set(core.state_dict())
    plain = plain_copy(core)
    assert torch.equal(plain(x)[0], core(x)[0]) and "weight_hh_l0" in plain.state_dict()
    model = as_system(core)
    z = torch.rand(3, model.size, dtype=torch.float64)
    for got, want in zip(
        model.jacobian(x[0], z),
        replace(model, push=None, slope=None).jacobian(x[0], z),
        strict=True,
    ):
        assert torch.allclose(got, want, rtol=1e-10, atol=1e-13)
    alone = isolate(core)
    assert torch.equal(alone.weight_hh_l0, core.weight_hh_l0.diag().diag())
    assert set(core.state_dict()) == names


def test_the_layer_s_own_equation():
    core = layer("linear", dale=True, bias=False, dtype=torch.float64)
    x, h = torch.randn(1, 4, 2, dtype=torch.float64), torch.randn(1, 4, 10, dtype=torch.float64)
    free = core.parametrizations.weight_hh_l0.original
    signs = torch.tensor([1.0] * 8 + [-1.0] * 2, dtype=torch.float64)
    wanted = linear(x[0], core.weight_ih_l0) + h[0] @ (free.abs() * signs).T
    assert torch.allclose(core(x, h)[0][0], wanted, rtol=1e-12, atol=1e-14)


def test_a_run_keeps_its_signs(tmp_path):
    config = TrainConfig(
        "digits",
        "arun",
        hidden_size=10,
        controller_size=3,
        epochs=1,
        train_size=200,
        lr=0.01,
        dale=True,
        excitatory=0.7,
        out=tmp_path,
    )
    network = train(config).model()
    core, x = Run(tmp_path).model().core, torch.rand(5, 2, 1)
    assert core.excitatory.sum() == 7 and signed(core, torch.where(core.excitatory, 1.0, -1.0))
    assert torch.equal(core(x)[0], network.core(x)[0])


def test_errors_name_the_argument():
    for wrong in (1.5, -0.1, torch.ones(3), torch.zeros(10)):
        with pytest.raises(InputError, match=r"^dale="):
            layer("tanh", dale=wrong)
    with pytest.raises(InputError, match=r"^excitatory="):
        TrainConfig("digits", "tanh", dale=True, excitatory=1.5)
    with pytest.raises(InputError, match="left out for gru"):
        TrainConfig("digits", "gru", dale=True)
    with pytest.raises(InputError, match="no signs"):
        layer("arun", dale=True).to_released()
