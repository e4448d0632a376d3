"""Retraining of f-I curves alone, turning of images, and transplanted controllers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from adaptrnn import ARUN, RNN, Classifier
from adaptrnn._error import InputError
from adaptrnn.analysis.transfer import (
    accuracy,
    balanced_split,
    compare_transplant,
    retrain_activation,
    rotate,
    rotated_digits,
    transplant,
    unchanged,
)


def test_rotation():
    images = torch.rand(3, 8, 8)
    # quarter turns need no interpolation: torch.rot90 turns counter-clockwise too
    assert torch.allclose(rotate(images, 90), torch.rot90(images, 1, (1, 2)), atol=1e-6)
    assert torch.allclose(rotate(images, 0), images, atol=1e-6)
    channels = rotate(images[:, None].expand(3, 2, 8, 8), -90)
    assert torch.allclose(channels[:, 1], torch.rot90(images, -1, (1, 2)), atol=1e-6)
    turned = rotate(images, 45)
    # between pixels, never beyond them
    assert turned.shape == images.shape and turned.min() >= 0 and turned.max() <= images.max()
    bytes_ = (images * 255).to(torch.uint8)
    assert torch.equal(rotate(bytes_, 90), torch.rot90(bytes_, 1, (1, 2)))


def test_balanced_split():
    labels = torch.randint(0, 5, (1000,))
    first, second = balanced_split(labels, 100, 250, seed=1)
    assert torch.bincount(labels[first]).tolist() == [20] * 5
    assert torch.bincount(labels[second]).tolist() == [50] * 5
    assert not set(first.tolist()) & set(second.tolist())
    again, _ = balanced_split(labels, 100, 250, seed=1)
    assert torch.equal(first, again)
    sizes = [len(part) for part in balanced_split(torch.arange(10).repeat(1000))]
    assert sizes == [5000, 5000]  # of the paper
    with pytest.raises(InputError, match="smallest"):
        balanced_split(labels, 500, 600)
    with pytest.raises(InputError, match="multiple"):
        balanced_split(labels, 101, 250)


def test_accuracy_does_not_depend_on_the_batches():
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 3))
    x, y = torch.randn(50, 6), torch.randint(0, 3, (50,))
    whole = accuracy(model, x, y, batch_dim=0, batch_size=50)
    parts = accuracy(model, x, y, batch_dim=0, batch_size=7)
    assert whole[0] == parts[0] and np.isclose(whole[1], parts[1])
    assert np.isclose(whole[1], nn.functional.cross_entropy(model(x), y).item(), rtol=1e-5)


class Planted(nn.Module):
    """Scores [8 h, 4] of memoryless neurons: class 0 where the rate is above one half."""

    def __init__(self):
        super().__init__()
        self.core = RNN(1, 2, nonlinearity="gamma", n=5.0, s=0.0)
        with torch.no_grad():
            for name, value in self.core.named_parameters():
                if name.startswith(("bias", "weight_hh")):
                    value.zero_()
            self.core.weight_ih_l0.fill_(1.0)

    def forward(self, x):
        h = self.core(x)[0][-1]
        return torch.stack([8 * h.mean(1), torch.full_like(h[:, 0], 4.0)], 1)


def test_what_gain_and_saturation_can_undo_is_undone():
    """Inputs four times too weak: e.g. gamma(x/4; n, 0) = .5 at the old x for a smaller n."""
    torch.manual_seed(0)
    x = torch.randn(1, 400, 1)
    model = Planted()
    y = model(x).argmax(1)
    again, found = rotated_digits(
        model, (x, y), (x / 4, y), (x / 4, y), epochs=60, learning_rate=0.05, seed=1
    )
    assert float(found.accuracy.sel(stage="upright")) == 1.0
    assert found.accuracy.sel(stage="rotated") < 0.8
    assert found.accuracy.sel(stage="retrained") > 0.95 and found.recovered > 0.8
    scores = found.accuracy.values
    assert np.isclose(found.recovered, (scores[2] - scores[1]) / (scores[0] - scores[1]))
    assert bool(found.others_identical) and unchanged(model, again)
    assert not torch.equal(again.core.n_l0, model.core.n_l0)
    assert model.training and again.training
    assert found.history[-1] < found.history[0]
    assert found.n.dims == ("training", "neuron")


def test_only_gains_and_saturations_change():
    torch.manual_seed(0)
    model = Classifier(RNN(1, 6, nonlinearity="gamma"), 3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.core.bias_hh_l0.requires_grad_(False)
    again, _ = retrain_activation(model, torch.rand(5, 30, 1), torch.randint(0, 3, (30,)), epochs=2)
    for name, value in again.state_dict().items():
        assert torch.equal(value, before[name]) == (not name.endswith(("n_l0", "s_l0")))
        assert torch.equal(model.state_dict()[name], before[name])
    asked = {name: parameter.requires_grad for name, parameter in again.named_parameters()}
    assert not asked["core.bias_hh_l0"] and asked["core.weight_hh_l0"]
    assert again.training == model.training
    same, _ = retrain_activation(model, torch.rand(5, 30, 1), torch.zeros(30).long(), epochs=1)
    assert unchanged(model, same)


def test_retraining_is_reproducible():
    model = Classifier(RNN(1, 4, nonlinearity="gamma-shared"), 2)
    x, y = torch.rand(4, 20, 1), torch.arange(20) % 2
    first, _ = retrain_activation(model, x, y, epochs=2, batch_size=6, seed=3)
    second, _ = retrain_activation(model, x, y, epochs=2, batch_size=6, seed=3)
    assert torch.equal(first.core.n_l0, second.core.n_l0)


def test_networks_without_gain_are_refused():
    x, y = torch.rand(4, 6, 1), torch.arange(6) % 2
    for core in (ARUN(1, 3, controller_size=2), RNN(1, 3)):
        with pytest.raises(InputError, match="parameters n and s"):
            retrain_activation(Classifier(core, 2), x, y)
    with pytest.raises(InputError, match="samples"):
        retrain_activation(Classifier(RNN(1, 3), 2), x, y[:3])
    model = Classifier(RNN(1, 3, nonlinearity="gamma"), 2)
    for function in (accuracy, retrain_activation):
        with pytest.raises(InputError, match=r"\(M,\), and batch_dim"):
            function(model, x, y[:, None])
        with pytest.raises(InputError, match=r"\(M,\), and batch_dim"):
            function(model, x, y, batch_dim=3)
        with pytest.raises(InputError, match="as many samples"):
            function(model, x[:, :0], y[:0])
    with pytest.raises(InputError, match="epochs"):
        retrain_activation(model, x, y, epochs=0)
    with pytest.raises(InputError, match="images"):
        rotate(torch.zeros(4, 4))


def test_transplant():
    donor, recipient = ARUN(1, 3, controller_size=4), ARUN(1, 6, controller_size=4)
    new = transplant(donor, recipient)
    assert torch.equal(new.weight_hh_l0, recipient.weight_hh_l0)
    for name, value in donor.controller.state_dict().items():
        assert torch.equal(new.controller.state_dict()[name], value)
    # it is frozen: training moves the rest only
    optimizer = torch.optim.SGD(new.parameters(), 0.1)
    new(torch.randn(5, 2, 1))[0].square().mean().backward()
    optimizer.step()
    found = compare_transplant(
        donor, new, {"clean": 0.9, "step": 0.8}, {"clean": 0.87, "step": 0.76}
    )
    assert bool(found.controller_identical)
    assert found.as_good.values.tolist() == [False, True]
    assert not torch.equal(new.weight_hh_l0, recipient.weight_hh_l0)
    with torch.no_grad():
        new.controller.bias_gc += 1
    changed = compare_transplant(donor, new, {"clean": 0.9}, {"clean": 0.9})
    assert not changed.controller_identical
    assert all(parameter.requires_grad for parameter in donor.controller.parameters())


def test_transplant_over_seeds():
    donor = ARUN(1, 3, controller_size=4)
    own = xr.DataArray(
        [[0.9, 0.91, 0.92]], dims=("condition", "seed"), coords={"condition": ["clean"]}
    )
    found = compare_transplant(donor, donor, own, own - 0.01)
    assert np.allclose(found.difference, -0.01) and int(found.n[0]) == 3


def test_transplant_errors():
    with pytest.raises(InputError, match="controller units"):
        transplant(ARUN(1, 2, controller_size=3), ARUN(1, 2, controller_size=4))
    with pytest.raises(InputError, match="donor"):
        transplant(RNN(1, 2), ARUN(1, 2, controller_size=4))
    with pytest.raises(InputError, match="conditions"):
        core = ARUN(1, 2, controller_size=3)
        compare_transplant(core, core, {"clean": 0.9}, {"step": 0.9})
    for ragged in ({"clean": [0.9, 0.8], "step": [0.9]}, {}):
        with pytest.raises(InputError, match="of the same seeds"):
            compare_transplant(core, core, ragged, ragged)
