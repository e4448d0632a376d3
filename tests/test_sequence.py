"""A core with a readout at every step: what it answers, its loss and its gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from adaptrnn import ARUN, RNN, InputError, SequenceModel, Trials
from adaptrnn.tasks import trial_loss

pytestmark = pytest.mark.usefixtures("shapes_checked")


def test_gradients_of_every_step_agree_with_the_reference():
    """Native kernel against the reference in float64, random weights on the steps."""
    torch.manual_seed(1)
    x, y = torch.randn(9, 4, 2, dtype=torch.float64), torch.randint(3, (9, 4))
    weights = torch.rand(9, 4)
    found = []
    for backend in ("auto", "reference"):
        torch.manual_seed(2)
        core = ARUN(2, 5, controller_size=3, dtype=torch.float64, backend=backend)
        model = SequenceModel(core, 3)
        # Trials hold float32, so the model is called on the float64 input itself
        entropy = nn.functional.cross_entropy(
            model(x).flatten(0, 1), y.flatten(), reduction="none"
        ).view(9, 4)
        loss = (entropy * weights).sum() / weights.sum()
        found.append([loss, *torch.autograd.grad(loss, list(model.parameters()))])
    for left, right in zip(*found, strict=True):
        assert torch.allclose(left, right, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("core", [RNN(2, 5), nn.GRU(2, 5)], ids=["ours", "torch"])
def test_the_loss_is_that_of_the_answers(core):
    """In one visit of the kernel or by torch, it is the mean over the steps that have weight."""
    model = SequenceModel(core, 3)
    trials = Trials(torch.randn(7, 4, 2), torch.randint(3, (7, 4)), torch.rand(7, 4))
    loss, outputs = model.trial_loss(trials)
    # float32, sums in another order
    torch.testing.assert_close(outputs, model(trials.inputs), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(loss, trial_loss(outputs, trials), rtol=1e-5, atol=1e-6)
    assert loss.requires_grad and not outputs.requires_grad


def test_a_core_without_a_drive_says_so():
    with pytest.raises(InputError, match="drive='given': must be None for GRU"):
        SequenceModel(nn.GRU(2, 5), 3)(torch.zeros(4, 1, 2), 1.0)


@pytest.mark.parametrize(
    ("core", "outputs", "message"),
    [
        (RNN(2, 5, batch_first=True), 3, "core="),
        (RNN(2, 5, bidirectional=True), 3, "core="),
        (nn.Linear(2, 5), 3, "core="),
        (RNN(2, 5), 0, "outputs=0"),
        (RNN(2, 5), True, "outputs=True"),
    ],
)
def test_what_has_no_answer_at_every_step_is_refused(core, outputs, message):
    with pytest.raises(InputError, match=message):
        SequenceModel(core, outputs)
