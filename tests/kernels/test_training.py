"""Training by the native kernels and by the reference, from one seed: the same losses."""

from __future__ import annotations

import pytest
import torch

from adaptrnn.config import TrainConfig
from adaptrnn.kernels import native
from adaptrnn.run import build_model, load_task
from adaptrnn.training import Batches


@pytest.mark.long
@pytest.mark.skipif(native.why_not() is not None, reason="not built")
def test_fifty_steps_of_training_have_the_same_losses():
    curves = []
    for backend in ("cpu", "reference"):
        config = TrainConfig(
            "digits",
            model="arun",
            hidden_size=12,
            controller_size=5,
            batch_size=20,
            backend=backend,
        )
        task = load_task(config)
        torch.manual_seed(0)
        model = build_model(config, task)
        adam = torch.optim.Adam(model.parameters(), lr=1e-3)
        losses = []
        for (x, targets), _ in zip(Batches(task, task.train, 20, seed=0), range(50), strict=False):
            adam.zero_grad()
            loss, _ = model.loss(x, targets)
            loss.backward()
            adam.step()
            losses.append(loss.detach())
        curves.append(torch.stack(losses))
    ours, theirs = curves
    assert float(theirs.max() - theirs.min()) > 0.01  # something was learned
    # the first loss: one pass, some roundings of 6e-8; the others: what 50 updates make of them
    assert torch.allclose(ours[:1], theirs[:1], rtol=1e-6)
    assert torch.allclose(ours, theirs, rtol=1e-5)
