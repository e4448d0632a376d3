"""Training in several processes: gradients are averaged, or it is refused."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from adaptrnn import Classifier
from adaptrnn.classifier import build_core

SCRIPT = """
import sys

import torch
from torch.nn.parallel import DistributedDataParallel

from adaptrnn import Classifier, InputError
from adaptrnn.classifier import build_core

model, folder, rank = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = f"file://{folder}/store"
torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
torch.manual_seed(0)
options = {} if model == "gru" else {"backend": "cpu"}
network = Classifier(build_core(model, 1, 6, 4, **options), 3)
x, y = torch.rand(5, 8, 1), torch.randint(0, 3, (8,))
mine = slice(4 * rank, 4 * rank + 4)
ddp = DistributedDataParallel(network)
try:
    ddp.module.loss(x[:, mine], y[mine])
except InputError as error:
    assert "ddp(x, target=y)" in str(error)
else:
    raise AssertionError("the loss of the wrapped module was not refused")
with torch.no_grad():  # without gradients there is nothing to average
    ddp.module.loss(x[:, mine], y[mine])
loss, scores = ddp(x[:, mine], target=y[mine])
loss.backward()
torch.save([p.grad for p in network.parameters()], f"{folder}/{rank}.pt")
torch.distributed.destroy_process_group()
"""


@pytest.mark.long
@pytest.mark.parametrize("model", ["arun", "gamma", "gru"])
def test_two_processes_have_the_gradient_of_the_whole_batch(model, tmp_path):
    words = [sys.executable, "-c", SCRIPT, model, str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    processes = [
        subprocess.Popen([*words, str(rank)], stderr=subprocess.PIPE, text=True, env=environment)
        for rank in (0, 1)
    ]
    said = [process.communicate(timeout=250)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    torch.manual_seed(0)
    network = Classifier(build_core(model, 1, 6, 4), 3)
    x, y = torch.rand(5, 8, 1), torch.randint(0, 3, (8,))
    torch.nn.functional.cross_entropy(network(x), y).backward()
    for rank in (0, 1):
        found = torch.load(tmp_path / f"{rank}.pt")
        for got, parameter in zip(found, network.parameters(), strict=True):
            # two halves of a batch of 8, and five steps, each sum rounded to 6e-8 of its size
            torch.testing.assert_close(got, parameter.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("model", ["arun", "relu", "lstm"])
def test_the_call_with_targets_is_the_call_and_the_loss(model):
    torch.manual_seed(1)
    network = Classifier(build_core(model, 2, 5, 3, dtype=torch.float64), 4)
    x, y = torch.randn(6, 3, 2, dtype=torch.float64), torch.tensor([0, 3, 1])
    loss, scores = network(x, 0.5, y)
    # the same sums in another order: a few roundings (1e-16) per step
    close = {"rtol": 1e-12, "atol": 1e-12}
    wanted = network(x, 0.5)
    torch.testing.assert_close(scores, wanted.detach(), **close)
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(wanted, y), **close)
    assert not scores.requires_grad
    torch.testing.assert_close(network.loss(x, y, 0.5), (loss, scores), rtol=0, atol=0)
