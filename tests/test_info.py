"""What runs here: the text names the backend, and the reason where it is the slower one."""

from __future__ import annotations

import io

import pytest

from adaptrnn.config import InfoConfig
from adaptrnn.info import facts, run_info
from adaptrnn.kernels import native

Console = pytest.importorskip("rich.console").Console


def test_every_fact_is_printed_on_a_line_of_its_own():
    text = io.StringIO()
    run_info(InfoConfig(), Console(file=text, width=40))
    lines = text.getvalue().splitlines()
    assert lines == [f"{name:<18}{value}" for name, value in facts().items()]


@pytest.mark.skipif(native.why_not() is not None, reason="not built")
def test_native_backend_is_named_with_its_instruction_set(monkeypatch):
    monkeypatch.setenv("ADAPTRNN_INSTRUCTION_SET", "portable")
    found = facts()
    assert found["backend"].startswith("cpu") and "portable" in found["backend"]
    assert found["instruction sets"].startswith("portable")


def test_without_native_code_the_reason_and_the_remedy(monkeypatch):
    monkeypatch.setattr(native, "_module", None)
    monkeypatch.setattr(native, "_missing", "No module named '_cpu'")
    found = facts()
    assert found["backend"].startswith("reference")
    assert "No module named '_cpu'" in found["backend"] and "compiler" in found["backend"]
    assert found["instruction sets"] == "none"


def test_gpus_are_checked_and_what_is_wrong_is_said(monkeypatch):
    """Without a GPU: the errors of the self-check are planted."""
    import torch

    from adaptrnn._error import MissingExtraError
    from adaptrnn.kernels.triton import device, verify

    assert facts()["triton"] == "no NVIDIA GPU to run on" or torch.cuda.device_count()
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"chip {index}")
    monkeypatch.setattr(device, "chip", lambda where: "too old" if where.index else None)
    monkeypatch.setattr(verify, "measure", lambda *_: {"rates": 3e-6})
    found = facts()
    assert found["gpu"] == "chip 0, chip 1"
    assert "cuda:0: backend='triton' runs; relative error at most 3.0e-06" in found["triton"]
    assert "cuda:1: cannot run, too old" in found["triton"]
    for error in (verify.KernelError("wrong"), MissingExtraError("triton is not installed")):

        def measure(*_, error=error):
            raise error

        monkeypatch.setattr(verify, "measure", measure)
        assert f"cuda:0: cannot run, {error}" in facts()["triton"]
