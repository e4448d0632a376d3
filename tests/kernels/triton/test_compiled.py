"""The kernels compiled for chips that are not here: registers, spills, shared memory, no GPU."""

from __future__ import annotations

import pytest

from adaptrnn._error import InputError
from adaptrnn.kernels.triton import compiled, device
from adaptrnn.kernels.triton.launch import CHIPS, Setting

pytest.importorskip("triton", reason="triton is not installed: `make test-triton` installs it")
pytestmark = [
    pytest.mark.triton,
    pytest.mark.skipif(device.interpreted(), reason="TRITON_INTERPRET=1 excludes the compiler"),
]


@pytest.mark.parametrize("chip", CHIPS)
def test_every_kernel_compiles_without_a_fault(chip, counts):
    for case in compiled.cases([chip]):
        report = compiled.compile(case)
        assert report.faults() == [], report
        counts["programs compiled"] += 1
    counts["chips"] += 1


def test_a_spill_is_found(counts):
    """A product in full float32 has no tensor cores, and at 128 rows by one warp no registers."""
    case = compiled.Case("backward_rows", 80, 64, "ieee")
    faults = compiled.compile(case, Setting(64, 1)).faults()
    assert any("bytes of stack" in fault for fault in faults)
    assert "no tensor cores" in faults
    assert "LDL instructions" in faults and "STL instructions" in faults
    counts["planted faults found"] += 1


def test_too_much_shared_memory_is_found(monkeypatch, counts):
    case = compiled.Case("recompute", 120, 64, "tf32x3")
    report = compiled.compile(case)
    monkeypatch.setitem(compiled.SHARED, 120, report.shared // 1024 - 1)
    assert report.faults() == [f"{report.shared} bytes of shared memory"]
    counts["planted faults found"] += 1


def test_the_page_holds_every_kernel():
    case = compiled.Case("weights", 90, 50, "tf32")
    report = compiled.compile(case)
    text = compiled.page([report])
    assert "| `weights` | 50 | tf32 |" in text and f"{report.registers}, " in text
    assert "and 0 faults" in text


def test_the_interpreter_excludes_the_compiler(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    with pytest.raises(InputError, match="process of its own"):
        compiled.compile(compiled.Case("weights", 90, 50, "tf32"))
