"""The comparison on a GPU, as far as it goes without one: peers, errors, failures, the file."""

from __future__ import annotations

import io
import json

import pytest
import torch

from adaptrnn import bench, bench_gpu
from adaptrnn._error import InputError
from adaptrnn.config import BenchConfig
from adaptrnn.kernels.triton import device

Console = pytest.importorskip("rich.console").Console
CPU = torch.device("cpu")
SIZES = [bench.Size(5, 2, 7, 3), bench.Size(5, 2, 7)]


def run(**options):
    config = BenchConfig(quick=True, compile=False, device="cuda", **options)
    text = io.StringIO()
    return bench_gpu.run_bench_gpu(config, Console(file=text, width=200), CPU), text.getvalue()


def test_the_file_holds_every_peer_size_and_version(tmp_path, monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    path = tmp_path / "new" / "gpu.json"
    rows, text = run(json=path)
    found = json.loads(path.read_text())
    assert found["format"] == bench_gpu.REPORT_FORMAT
    assert {"adaptrnn", "torch", "triton", "cuda", "cudnn", "platform"} <= found["machine"].keys()
    assert len(rows) == len(found["rows"]) == 4 * len(bench_gpu.peers(compile=False))
    assert {row["peer"] for row in found["rows"]} == set(bench_gpu.peers(compile=False))
    for row in found["rows"]:
        if row["peer"].startswith("triton"):  # there is no GPU: said, and the rest is measured
            assert "not on an NVIDIA GPU" in row["failure"] and row["training"] is None
        else:
            assert row["failure"] is None and row["forward"] > 0 and row["training"] > 0
        same = row["peer"] == "torch loop" and row["size"]["batch"] == 1
        assert (row["errors"] is not None) == same
    assert "not on an NVIDIA GPU" in text and f"written: {path}" in text.replace("\n", "")


@pytest.mark.parametrize("size", SIZES)
def test_errors_are_relative_to_float64(size):
    exact = bench_gpu.gradients_of(*bench_gpu.build("torch loop", size, CPU, torch.float64))
    names = {"loss", "weight_ih", "bias_ih", "weight_hh", "weight_out", "bias_out"}
    curve = (
        {"weight_ag", "weight_gg", "bias_g", "weight_gc", "bias_gc"} if size.units else {"n", "s"}
    )
    assert exact.keys() == names | curve
    found = bench_gpu.measure("torch loop", size, CPU, 0, exact).errors
    assert 0 < max(found.values()) < 1e-4  # float32, through the curve as one writes it in torch
    exact["weight_hh"] = exact["weight_hh"] * 1.01
    found = bench_gpu.measure("torch loop", size, CPU, 0, exact).errors
    assert found["weight_hh"] == pytest.approx(0.01 / 1.01, rel=1e-2)


@pytest.mark.parametrize("size", SIZES)
def test_the_kernels_are_the_same_network(size, monkeypatch):
    """By the reference in their place: the peer calls the operations as the others do."""
    monkeypatch.setattr(bench_gpu, "OURS", {"triton, highest": ("triton", "highest")})
    ours = bench.our_loss
    monkeypatch.setattr(bench_gpu, "our_loss", lambda *a, backend: ours(*a, backend="reference"))
    loops = bench_gpu.gradients_of(*bench_gpu.build("torch loop", size, CPU, torch.float64))
    found = bench_gpu.gradients_of(*bench_gpu.build("triton, highest", size, CPU, torch.float64))
    for name, wanted in loops.items():
        assert torch.allclose(found[name], wanted, rtol=1e-9, atol=1e-12), name


def test_a_failure_is_a_line_and_the_setting_is_restored(monkeypatch):
    seen = []

    def fail(*_, **__):
        seen.append(torch.get_float32_matmul_precision())
        raise RuntimeError("CUDA out of memory.\nTried to allocate")

    monkeypatch.setattr(bench_gpu, "build", fail)
    before = torch.get_float32_matmul_precision()
    for peer in bench_gpu.OURS:
        row = bench_gpu.measure(peer, SIZES[0], CPU, 0, None)
        assert row.failure == "CUDA out of memory." and "out of memory" in bench_gpu._line(row)
    assert seen == 2 * ["highest", "high"] and torch.get_float32_matmul_precision() == before


def test_times_are_medians_of_events_on_a_gpu(monkeypatch):
    """The events are planted: 9 of warming up are not asked for, then 3, 1, 2 ms."""
    given = iter([3.0, 1.0, 2.0])

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            pass

        def synchronize(self):
            pass

        def elapsed_time(self, end):
            return next(given)

    calls = []
    monkeypatch.setattr(torch.cuda, "Event", Event)
    assert bench_gpu.milliseconds(lambda: calls.append(1), torch.device("cuda"), 0) == 2.0
    assert len(calls) == 5


def test_options_that_do_not_go_together(monkeypatch, tmp_path):
    with pytest.raises(InputError, match=r"json=.*--device cuda"):
        BenchConfig(json=tmp_path / "gpu.json")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"device='cuda'.*no GPU"):
        bench_gpu.run_bench_gpu(BenchConfig(device="cuda"), Console(file=io.StringIO()))


def test_driver_without_its_tool_is_empty(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert bench_gpu._driver() == ""
    assert device.capability(CPU) == 80
