"""Analyses and evaluation run where the network is, and find there what they find on the CPU.

The second device needs no hardware. Within `other_device()`, tensors on `DEVICE` are real: their
values lie in the memory of the CPU, but torch sees another device. As with a GPU, an operation on
tensors of two devices is an error, and so is NumPy on such a tensor; allowed is what CUDA allows:
copies between devices, a number in a tensor of no dimensions, indices on the CPU. So it shows that
nothing mixes devices. It cannot show what a GPU's own
arithmetic does. The layers take the reference loop on both, so the same operations run; rounding
may differ where a path of the CPU is left (LAPACK's exponents, oneDNN's cells), hence the
tolerances. Derivatives along directions (`torch.func.jvp`) crash torch on a device made in
Python, so difference quotients stand for them there.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only

from adaptrnn.analysis import System
from adaptrnn.config import TrainConfig
from adaptrnn.evaluation import evaluate_trials
from adaptrnn.laboratory import analyze
from adaptrnn.perturb import NoisyDrive, SinusoidalContrast, StepDrive
from adaptrnn.recording import record
from adaptrnn.run import build_model, load_task

DEVICE = torch.device("lazy")  # a name that torch knows and no build has anything behind
_COPIES = {torch.ops.aten.copy_.default}
_INDEXED = {
    torch.ops.aten.index.Tensor,
    torch.ops.aten.index_put.default,
    torch.ops.aten.index_put_.default,
    torch.ops.aten._index_put_impl_.default,
}


class OnOtherDevice(Tensor):
    """A tensor whose `values` are on the CPU and that says it is on `DEVICE`."""

    values: Tensor

    @staticmethod
    def __new__(cls, values: Tensor) -> OnOtherDevice:
        made = Tensor._make_wrapper_subclass(
            cls,
            values.size(),
            values.stride(),
            values.storage_offset(),
            dtype=values.dtype,
            device="meta",
            dispatch_device=True,
        )
        made.values = values
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    def __repr__(self, **_: Any) -> str:
        return f"OnOtherDevice({self.values})"


def _run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if func is torch.ops.prim.device.default:
        return DEVICE
    indexed = func in _INDEXED and isinstance(args[0], OnOtherDevice)
    leaves = tree_leaves((args[0], args[2:]) if indexed else (args, kwargs))
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    there = [tensor for tensor in tensors if isinstance(tensor, OnOtherDevice)]
    here = [t for t in tensors if not isinstance(t, OnOtherDevice) and t.dim() > 0]
    if there and here and func not in _COPIES:
        raise RuntimeError(f"{func} was given tensors on the CPU and on {DEVICE}.")
    if func.namespace == "adaptrnn" and there:
        raise RuntimeError(f"{func} works in the memory of the CPU, not on {DEVICE}.")
    device = kwargs.get("device")
    if device is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    plain_args, plain_kwargs = tree_map_only(OnOtherDevice, lambda t: t.values, (args, kwargs))
    found = func(*plain_args, **plain_kwargs)
    if (device is None and not there) or (device is not None and torch.device(device) != DEVICE):
        return found
    if func in _COPIES:
        return args[0]
    wrapped = tree_map_only(
        Tensor, lambda t: t if isinstance(t, OnOtherDevice) else OnOtherDevice(t), found
    )
    return return_and_correct_aliasing(func, args, kwargs, wrapped)


class _Mode(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Made(TorchFunctionMode):
    """Numbers and arrays go to the device through the CPU: torch would do so out of our sight."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") == DEVICE:
            if isinstance(args[0], Tensor):
                return args[0].to(DEVICE, kwargs.get("dtype"))
            return func(*args, **{**kwargs, "device": "cpu"}).to(DEVICE)
        return func(*args, **kwargs)


@contextmanager
def other_device() -> Iterator[torch.device]:
    """Where tensors can be made on, and moved to, the second device."""
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # `values` change with dtype
    try:
        with _Mode(), _Made():
            yield DEVICE
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)


QUESTIONS = {
    "arun": (
        *("lyapunov", "jacobian", "fractional", "step_response", "gain_scaling", "heterogeneity"),
        *("controller_manifold", "noise", "spectrum", "gradients"),
    ),
    "gamma": ("jacobian", "heterogeneity", "transfer", "noise", "gradients"),
    "relu": ("lyapunov", "jacobian"),
    "lstm": ("lyapunov", "jacobian", "gain_scaling", "gradients"),
    "gru": ("step_response",),
}


def network(model: str, task: str = "digits") -> tuple[Any, Any]:
    """A small network of that model, untrained, on the reference loop, and its task."""
    seed = 4 if model == "relu" else 0  # with 0 all units are silent at one step, which ends all
    config = TrainConfig(task, model=model, hidden_size=5, controller_size=3, seed=seed)
    loaded = load_task(config)
    made = build_model(config, loaded)
    if hasattr(made.core, "backend"):
        made.core.backend = "reference"
    return made, loaded


EXACT = System.jvp


def quotient(
    model: System, x: Tensor | None, z: Tensor, v: Tensor, drive: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """`System.jvp`; by differences, good to about 1e-9, where there is no closed form."""
    if model.slope is not None or model.push is not None:
        return EXACT(model, x, z, v, drive)
    width = 1e-5
    columns = []
    for along in v.unbind(-1):
        above, below = (model.step(x, z + sign * width * along, drive) for sign in (1, -1))
        columns.append((above - below) / (2 * width))
    return model.step(x, z, drive), torch.stack(columns, -1)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    monkeypatch.setattr(System, "jvp", quotient)
    with other_device() as made:
        yield made


def test_device_refuses_what_a_gpu_refuses(device: torch.device) -> None:
    there, here = torch.ones(3, device=device), torch.ones(3)
    for mixed in (lambda: there + here, lambda: torch.cat([there, here]), lambda: here[there > 0]):
        with pytest.raises(RuntimeError, match="CPU"):
            mixed()
    for read in (there.numpy, lambda: np.asarray(there)):
        with pytest.raises((RuntimeError, TypeError)):
            read()
    assert (there + torch.tensor(1.0)).cpu().tolist() == [2.0, 2.0, 2.0]
    layer = nn.Linear(3, 2).to(device)
    layer(there).sum().backward()
    assert layer.weight.device == DEVICE and layer.weight.grad is not None
    assert torch.equal(layer.weight.grad.cpu(), torch.ones(2, 3))


@pytest.mark.long
@pytest.mark.parametrize(
    ("model", "question"), [(m, q) for m, questions in QUESTIONS.items() for q in questions]
)
def test_an_analysis_finds_the_same(model: str, question: str, device: torch.device) -> None:
    trained, task = network(model)
    initial = copy.deepcopy(trained)
    with torch.no_grad():
        initial.core.weight_hh_l0.mul_(0.5)
    found = []
    for place in ("cpu", device):
        pair = (copy.deepcopy(trained).to(place), copy.deepcopy(initial).to(place))
        found.append(analyze(pair[0], task, [question], initial=pair[1], effort=0.01)[question])
    here, there = found
    assert here.sizes == there.sizes
    numbers = [name for name in here.variables if here[name].dtype.kind == "f"]
    assert numbers
    for name in numbers:
        np.testing.assert_allclose(
            there[name].values, here[name].values, rtol=1e-3, atol=1e-5, err_msg=str(name)
        )


@pytest.mark.long
@pytest.mark.parametrize("perturbation", [StepDrive(2.0), NoisyDrive(0.5), SinusoidalContrast(0.5)])
@pytest.mark.parametrize("name", ["digits", "perceptual-decision"])
def test_evaluation_and_recording_are_the_same(
    name: str, perturbation: Any, device: torch.device
) -> None:
    here, task = network("arun", name)
    there = copy.deepcopy(here).to(device)
    scores = [evaluate_trials(model, task, perturbation) for model in (here, there)]
    assert scores[0].loss == pytest.approx(scores[1].loss, rel=1e-5)
    assert scores[0].outputs is not None and scores[1].outputs is not None
    torch.testing.assert_close(scores[1].outputs, scores[0].outputs, rtol=1e-4, atol=1e-5)
    signals = [record(model, task, trials=5, perturbation=perturbation) for model in (here, there)]
    for signal in signals[0].data_vars:
        if signals[0][signal].dtype.kind == "f":
            np.testing.assert_allclose(signals[1][signal], signals[0][signal], rtol=1e-3, atol=1e-5)
