"""What runs here: the text names the backend, and the reason where it is the slower one."""

from __future__ import annotations

import io

import pytest

from adaptrnn.info import InfoConfig, facts, info
from adaptrnn.kernels import native

Console = pytest.importorskip("rich.console").Console


def test_every_fact_is_printed_on_a_line_of_its_own():
    text = io.StringIO()
    info(InfoConfig(), Console(file=text, width=40))
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
