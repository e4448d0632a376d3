"""What the kernels for GPUs refuse, and why; no GPU and no triton needed."""

from __future__ import annotations

import sys
import types

import pytest
import torch

from adaptrnn import ARUN, RNN
from adaptrnn._error import InputError, MissingExtraError
from adaptrnn.kernels.triton import device


@pytest.fixture
def gpu(monkeypatch):
    """A chip that is not here, and a triton: change them by `gpu(capability=..., version=...)`."""

    def make(capability=(9, 0), version="3.7.1", hip=None):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "a chip")
        monkeypatch.setattr(torch.version, "hip", hip)
        module = types.ModuleType("triton")
        module.__version__ = version
        monkeypatch.setitem(sys.modules, "triton", module)
        monkeypatch.delenv("TRITON_INTERPRET", raising=False)

    make()
    return make


class OnGPU:
    """As much of a tensor on a GPU as the checks look at."""

    def __init__(self, dtype=torch.float32, index=0):
        self.device, self.dtype = torch.device("cuda", index), dtype


def test_a_call_that_can_run_has_no_obstacle(gpu):
    for capability in ((8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0)):
        gpu(capability)
        assert device.obstacle([OnGPU()], 64) is None


def test_each_obstacle_is_named(gpu):
    assert "a tensor is on cpu, not on an NVIDIA GPU" in device.obstacle([torch.zeros(1)])
    assert "float32, not torch.bfloat16" in device.obstacle([OnGPU(torch.bfloat16)])
    assert "cuda:0 and cuda:1" in device.obstacle([OnGPU(), OnGPU(index=1)])
    assert "65 units, more than 64" in device.obstacle([OnGPU()], 65)
    gpu((7, 5))
    assert "a chip has compute capability 7.5, less than 8.0" in device.obstacle([OnGPU()])
    gpu(version="3.5.1")
    assert "triton 3.5.1 is installed, older than 3.6" in device.obstacle([OnGPU()])
    gpu(hip="6.4")
    assert "AMD" in device.obstacle([OnGPU()])


def test_a_missing_triton_is_one_clear_error(gpu, monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)
    with pytest.raises(MissingExtraError, match=r"triton is not installed.*'adaptrnn\[triton\]'"):
        device.check([OnGPU()])


@pytest.mark.parametrize(
    "core",
    [
        ARUN(1, 3, controller_size=4, backend="triton"),
        RNN(1, 3, nonlinearity="gamma", backend="triton"),
    ],
)
def test_layers_say_why_the_kernels_cannot_run(core, monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    x = torch.zeros(2, 1, 1)
    for call in (core, core.last, core.trace):
        with pytest.raises(InputError, match=r"backend='triton': .*'auto' or 'reference'.* on cpu"):
            call(x)


def test_only_the_gamma_curve():
    with pytest.raises(InputError, match="the gamma curve only, not 'relu'"):
        RNN(1, 3, nonlinearity="relu", backend="triton")(torch.zeros(2, 1, 1))


def test_importing_the_package_imports_nothing_heavy():
    """Neither triton nor torch's compiler, which imports triton where that is installed."""
    import subprocess

    code = """
import sys, torch
before = {*sys.modules}
import adaptrnn, adaptrnn.kernels.arun
print({"triton", "torch._dynamo"} & ({*sys.modules} - before))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
