"""Classifier, encoders and matched sizes."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from adaptrnn import Classifier, ConvEncoder, InputError, build_core, match_parameters
from adaptrnn.model import MODELS

pytestmark = pytest.mark.usefixtures("shapes_checked")


@pytest.mark.parametrize("model", MODELS)
def test_every_model_classifies_and_takes_a_drive(model):
    classifier = Classifier(build_core(model, 2, 5, 3), 4)
    x, targets = torch.rand(6, 3, 2), torch.tensor([0, 3, 1])
    scores = classifier(x)
    assert scores.shape == (3, 4)
    assert not torch.equal(scores, classifier(x, drive=1.0))
    loss, again = classifier.loss(x, targets)
    # the fused operation may sum in another order
    torch.testing.assert_close(again, scores.detach())
    # the definition of the mean cross entropy; float32 roundings
    want = -scores.log_softmax(-1)[torch.arange(3), targets].mean()
    torch.testing.assert_close(loss, want)
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in classifier.parameters())


def test_readout_reads_the_last_step_only():
    classifier = Classifier(build_core("gamma", 1, 4), 3)
    x = torch.rand(5, 2, 1)
    _, last = classifier.core(x)
    torch.testing.assert_close(classifier(x), classifier.readout(last[0]))


def test_conv_encoder_shape_of_the_paper():
    encoder = ConvEncoder(3)
    shapes = [tuple(m.weight.shape) for m in encoder.layers if isinstance(m, torch.nn.Conv2d)]
    assert shapes == [(32, 3, 3, 3), (64, 32, 3, 3), (128, 64, 3, 3), (256, 128, 3, 3)]
    images = torch.rand(2, 3, 32, 32)
    sequence = encoder(images)
    assert sequence.shape == (64, 2, 256)
    encoder.eval()
    # step t is the place (t // 8, t % 8) of the last map
    torch.testing.assert_close(encoder(images)[11], encoder.layers(images)[:, :, 1, 3])
    scores = Classifier(build_core("arun", 256, 5, 3), 10, encoder)(images, drive=0.5)
    assert scores.shape == (2, 10)


@pytest.mark.parametrize("fast", [False, True])
def test_conv_encoder_in_bfloat16(fast, monkeypatch):
    monkeypatch.setattr("adaptrnn.classifier.fast_bfloat16", lambda: fast)
    torch.manual_seed(0)
    rounded = ConvEncoder(3, "bf16")
    exact = ConvEncoder(3)
    exact.load_state_dict(rounded.state_dict())
    images = torch.rand(4, 3, 8, 8)
    there, here = exact(images), rounded(images)
    for features in (there, here):
        (features * torch.arange(256.0)).mean().backward()
    assert here.dtype == torch.float32 and all(
        p.grad.dtype == p.dtype for p in rounded.parameters()
    )
    # four convolutions round their inputs and weights to 8 bits: each by at most 2^-9 of its size
    for one, other in zip(there, here, strict=True):
        error = (one - other).norm() / one.norm()
        assert (1e-4 < error < 8 * 2**-9) if fast else error == 0


@pytest.mark.parametrize("hidden_size, controller_size", [(400, 50), (100, 20), (64, 10), (48, 16)])
def test_all_models_within_two_percent(hidden_size, controller_size):
    sizes = match_parameters(hidden_size=hidden_size, controller_size=controller_size)
    assert set(sizes.rows) == set(MODELS) and sizes["arun"] == hidden_size
    for model, (size, count, difference) in sizes.rows.items():
        assert abs(difference) <= 0.02
        core = Classifier(build_core(model, 1, size, controller_size), 10)
        assert sum(p.numel() for p in core.parameters()) == count
    assert "arun" in str(sizes)


def test_counting_loads_no_compiler():
    """torch loads one to draw numbers on its device without numbers, which takes seconds."""
    code = "from adaptrnn import match_parameters; import sys; match_parameters(); "
    code += "sys.exit('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_sizes_of_the_paper():
    sizes = match_parameters(["relu", "lstm", "gru"])
    assert (sizes["relu"], sizes["lstm"], sizes["gru"]) == (400, 202, 233)
    assert sizes.rows["relu"][1] == 165_210


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: build_core("arum", 1, 2), "Did you mean 'arun'"),
        (lambda: match_parameters(["lstm"], hidden_size=2, controller_size=1), "The nearest is"),
        (lambda: Classifier(torch.nn.LSTM(1, 2, batch_first=True), 3), "time first"),
        (lambda: Classifier(build_core("relu", 1, 2), 1), "num_classes=1"),
        (lambda: ConvEncoder(3)(torch.zeros(1, 1, 8, 8)), r"\(1, 1, 8, 8\)"),
        (lambda: ConvEncoder(1)(torch.zeros(1, 1, 6, 8)), "divisible by 4"),
        (lambda: ConvEncoder(3, "half"), "precision='half'"),
    ],
)
def test_errors_say_what_is_wrong(call, message):
    with pytest.raises(InputError, match=message):
        call()
