"""A training step never asks the device for a value, so that on a GPU the host does not wait.

No GPU is needed: on torch's device "meta" tensors have shapes and no values, and whatever reads a
value (`.item()`, `.cpu()`, `.numpy()`, a shape that depends on data) is an error.
"""

from __future__ import annotations

import types

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from adaptrnn.classifier import Classifier, ConvEncoder, build_core
from adaptrnn.kernels import flat
from adaptrnn.kernels.triton import arun as arun_triton
from adaptrnn.kernels.triton import device
from adaptrnn.kernels.triton import gamma_rnn as gamma_triton

pytest.importorskip("pytorch_lightning")
from adaptrnn import training
from adaptrnn.config import TrainConfig
from adaptrnn.sequence import SequenceModel
from adaptrnn.tasks import Trials


class NoWaiting(TorchDispatchMode):
    """Fail on every operation that reads a value or brings one to the CPU, and count the others."""

    FORBIDDEN = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "is_nonzero", "equal")

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, kinds, arguments=(), options=None):
        self.count += 1
        name = function._schema.name.partition("::")[2]
        given = [value for value in arguments if isinstance(value, torch.Tensor)]
        there = any(value.device.type == "meta" for value in given)
        if there and name.startswith(self.FORBIDDEN):
            raise AssertionError(f"{name} waits for the device")
        result = function(*arguments, **(options or {}))
        back = isinstance(result, torch.Tensor) and result.device.type == "cpu"
        if there and back:
            raise AssertionError(f"{name} copies to the CPU, which waits for the device")
        return result


def module_for(model, encoder=None, **options):
    """Lightning's module around a network on "meta", as the trainer would hold it."""
    features = encoder.features if encoder is not None else 1
    core = build_core(model, features, 6, 3, **options)
    network = Classifier(core, 4, encoder).to("meta")
    task = types.SimpleNamespace()
    module = training._Module(
        TrainConfig("digits", model=model), network, task, types.SimpleNamespace()
    )
    optimiser = torch.optim.Adam(network.parameters())
    module._trainer = types.SimpleNamespace(optimizers=[optimiser], global_step=0, global_rank=0)
    module.log = lambda *_, **__: None
    return module, optimiser


def step(module, optimiser, x, index):
    """What a trainer does of a batch, with clipping."""
    y = torch.empty(x.shape[1] if x.ndim == 3 else x.shape[0], dtype=torch.int64, device="meta")
    optimiser.zero_grad()
    trials = Trials._with(x, y, None, None, None, {})
    loss = module.training_step(trials, index)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(module.model.parameters(), 1.0)
    optimiser.step()
    with torch.no_grad():
        module.validation_step(trials, index)


@pytest.mark.parametrize("model", ["arun", "gamma", "relu", "lstm", "gru"])
def test_a_step_does_not_wait(model):
    module, optimiser = module_for(model)
    with NoWaiting() as watch:
        for index in range(1, 3):  # not one of those at which the loss is looked at
            step(module, optimiser, torch.empty(5, 2, 1, device="meta"), index)
    assert watch.count > 50
    assert module._train.device.type == module._validation.device.type == "meta"


def test_a_step_with_a_convolutional_encoder_does_not_wait():
    module, optimiser = module_for("arun", ConvEncoder(3))
    with NoWaiting():
        step(module, optimiser, torch.empty(2, 3, 8, 8, device="meta"), 1)


@pytest.mark.parametrize("model", ["arun", "gamma"])
def test_a_step_by_the_triton_kernels_does_not_wait(model, monkeypatch):
    """Their launches, which have no meaning here, are counted."""
    launched = []

    def launch(*arguments, **options):
        launched.append(options or arguments[0])

    class Kernels:
        def __getattr__(self, name):
            return {
                (i, j)[: 2 if name.startswith("gamma") else 1]: launch
                for i in range(9)
                for j in range(9)
            }

    import contextlib

    monkeypatch.setattr(device, "check", lambda *_: None)
    monkeypatch.setattr(device, "rows", Kernels)
    monkeypatch.setattr(device, "on", lambda _: contextlib.nullcontext())
    monkeypatch.setenv("ADAPTRNN_SELF_CHECK", "0")
    module, optimiser = module_for(model, backend="triton")
    # below the operation, on which torch would use its fake on this device
    x = torch.empty(5, 2, 6, device="meta")
    arun_size = [(6, 6), (3,), (3, 3), (3,), (2, 3), (2,)]
    gamma_size = [(6, 6), (6,), (6,)]

    def made(*sizes):
        return [torch.empty(size, device="meta") for size in sizes]

    with NoWaiting():
        if model == "arun":
            kernels, first = arun_triton, made((5, 2, 6), (2, 6), (2, 6, 3))
            plan = kernels.Plan(last_only=False, segment=2, keep=False, replay=False)
            size, slopes, last = arun_size, kernels.Slopes(x, None, None), (2, False, False)
        else:
            kernels, first = gamma_triton, made((5, 2, 6), (2, 6))
            plan = kernels.Plan(last_only=False, past=True, replay=False)
            size, slopes, last = gamma_size, kernels.Slopes(x, None), (False,)
        layer = flat.join(kernels.Inputs(*first), kernels.Weights(*made(*size)))
        results, past = flat.parse(
            kernels.forward(*layer, *plan, "tf32x3"), kernels.Results, kernels.Past
        )
        last = kernels.BackwardPlan(*last, [tensor is not None for tensor in layer])
        rates = kernels.Rates(results.output)
        kernels.backward(*flat.join(slopes, layer, rates, past, last), "tf32x3")
    # forward and backward a step; for each of three segments states and weights
    assert len(launched) == 10 + (6 if model == "arun" else 0)
    with NoWaiting():
        step(module, optimiser, torch.empty(5, 2, 1, device="meta"), 1)


@pytest.mark.parametrize(
    "waits",
    [
        lambda loss: loss.item(),
        lambda loss: float(loss),
        lambda loss: loss.cpu(),
        lambda loss: loss.numpy(),
        lambda loss: loss.reshape(1).nonzero(),
        lambda loss: bool(loss > 0),
        lambda loss: loss.reshape(1)[loss.reshape(1) > 0],
    ],
)
def test_what_waits_is_found(waits):
    with NoWaiting(), pytest.raises((AssertionError, RuntimeError, NotImplementedError, TypeError)):
        waits(torch.empty((), device="meta"))


def test_the_loss_is_looked_at_now_and_then():
    module, optimiser = module_for("relu")
    x = torch.empty(5, 2, 1, device="meta")
    with pytest.raises((RuntimeError, NotImplementedError)):
        step(module, optimiser, x, training.LOOK_EVERY)
    here = torch.zeros(())
    assert all(training._looked_at(here, index) for index in range(20))


def test_sums_are_those_of_the_batch():
    """In float64 on any device; the values were computed by hand."""
    scores = torch.tensor([[0.0, 1.0], [2.0, 1.0], [0.0, 3.0]])
    trials = Trials(torch.zeros(4, 3, 1), torch.tensor([1, 1, 1]))
    found = training._sums(torch.tensor(0.5), scores, trials)
    # loss times trials, the sum of weights, two right answers, three trials
    assert found.dtype == torch.float64 and found.tolist() == [1.5, 3.0, 2.0, 3.0]


def test_a_loss_that_was_not_looked_at_is_never_saved(tmp_path):
    """Between two looks a loss may stop being finite: then no checkpoint is written."""
    module, _ = module_for("relu")
    module.run = types.SimpleNamespace(checkpoint_path=tmp_path / "none")
    module._trainer.current_epoch, module._trainer.global_step = 2, 7
    module.model = Classifier(build_core("relu", 1, 6), 4)
    module._batch, module._train = 3, torch.tensor([float("nan"), 4.0, 0.0, 4.0])
    with pytest.raises(training.TrainingError, match="epoch 2, batch 3"):
        module.on_save_checkpoint({})


def test_batches_go_to_a_gpu_through_pinned_memory(monkeypatch):
    module, _ = module_for("relu")
    batch = Trials(torch.zeros(2, 3, 1), torch.zeros(3, dtype=torch.int64))
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda t: pinned.append(t) or t)
    module._device = torch.device("cpu")
    assert module.on_before_batch_transfer(batch, 0) is batch and not pinned
    module._device = torch.device("cuda", 0)
    moved = module.on_before_batch_transfer(batch, 0)
    assert [t.dtype for t in pinned] == [t.dtype for t in moved] == [torch.float32, torch.int64]


def test_the_copy_to_a_gpu_is_not_waited_for(monkeypatch):
    """Of every tensor of the trials, those of weights and decisions too."""
    module, _ = module_for("relu")
    batch = Trials(torch.zeros(2, 3, 1), torch.zeros(2, 3, dtype=torch.int64))
    tensors = [v for v in vars(batch).values() if isinstance(v, torch.Tensor)]
    asked = []
    monkeypatch.setattr(torch.Tensor, "to", lambda t, *a, **k: asked.append((a, k)) or t)
    module.transfer_batch_to_device(batch, torch.device("cuda", 0), 0)
    assert asked == [((torch.device("cuda", 0),), {"non_blocking": True})] * len(tensors)
    assert len(tensors) > 2


@pytest.mark.parametrize("answers", ["classes", "values"])
def test_a_step_with_a_target_at_every_step_does_not_wait(answers):
    module, optimiser = module_for("arun")
    module.model = SequenceModel(build_core("arun", 3, 6, 3), 2).to("meta")
    optimiser = torch.optim.Adam(module.model.parameters())
    y = (5, 4, 2) if answers == "values" else (5, 4)
    dtype = torch.float32 if answers == "values" else torch.int64
    trials = Trials._with(
        torch.empty(5, 4, 3, device="meta"),
        torch.empty(y, dtype=dtype, device="meta"),
        torch.empty(5, 4, device="meta"),
        torch.empty(5, 4, dtype=torch.bool, device="meta"),
        None,
        {},
    )
    with NoWaiting() as watch:
        module.training_step(trials, 1).backward()
        optimiser.step()
    assert watch.count > 50
