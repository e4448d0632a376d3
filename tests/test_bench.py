"""The comparison: peers are the same network, and a table says what was measured."""

from __future__ import annotations

import dataclasses
import io

import pytest

from adaptrnn import bench
from adaptrnn._error import InputError
from adaptrnn.config import BenchConfig

Console = pytest.importorskip("rich.console").Console
SIZE = bench.Size(4, 2, 5, 3)
OURS = ("fused", "fused, recompute", "autograd, recompute", "autograd, keep")


def test_multiply_adds_are_counted():
    """N inputs of a neuron, G^2 within its controller, G into it and 2 G out of it."""
    assert bench.Size(1, 1, 7, 3).multiply_adds == 7 * (7 + 9 + 3 + 6)
    assert bench.Size(1, 1, 7).multiply_adds == 49


@pytest.mark.parametrize("units", [0, 3])
def test_peers_are_the_same_network(units):
    size = dataclasses.replace(SIZE, units=units)
    peers = [*(f"adaptrnn {mode}" for mode in OURS), "torch loop"]
    losses = [bench.measure(peer, size, 0).loss for peer in peers]
    assert losses == pytest.approx([losses[-1]] * len(losses), rel=1e-5)  # float32's noise


@pytest.mark.long
def test_a_peer_that_fails_is_a_line_of_text():
    result = bench.in_process("nn.Nothing", SIZE, 0)
    assert isinstance(result, str) and "Nothing" in result


def test_losses_that_disagree_are_an_error():
    one = bench.Result("adaptrnn fused", SIZE, 1.0, 1.0, 0, 2.3)
    other = dataclasses.replace(one, peer="torch loop", loss=2.4)
    with pytest.raises(RuntimeError, match="disagree"):
        bench.check_agreement("title", [one, other])
    bench.check_agreement("title", [one, dataclasses.replace(other, size=bench.Size(8, 2, 5, 3))])
    with pytest.raises(RuntimeError, match="disagree"):
        bench.check_agreement("title", [one, dataclasses.replace(other, loss=float("nan"))])


def test_every_case_is_a_row_and_a_failure_is_named():
    here, size = bench.Machine("a machine", 1e9, 1e9), bench.Size(1, 1, 1)
    for title, jobs in bench.tables(BenchConfig(quick=True)).items():
        text = io.StringIO()

        def run(peer, size):
            if peer == "nn.RNN":
                return "no memory"
            return bench.Result(peer, size, 1.0, 2.0, 10**6, 0.5)

        found, failed = bench.compare_peers(title, jobs, here, run, Console(file=text, width=200))
        assert [result.peer for result in found] == [p for p, _ in jobs if p != "nn.RNN"]
        assert failed == {"nn.RNN": "no memory"} and title in text.getvalue()
        assert all(peer in text.getvalue() for peer, _ in jobs)
    assert bench.table_row(bench.Result("nn.GRU", size, 1, 1, 0, 1), here)[-1] == "-"


def test_seconds_are_checked():
    with pytest.raises(InputError, match="seconds=-1"):
        BenchConfig(seconds=-1)


def test_memory_of_a_process_is_known_without_proc(monkeypatch):
    """Elsewhere than on Linux psutil says it; on Linux the peak is at least what is held."""
    held = bench._status("rss")
    assert bench._status("peak") >= 0.9 * held  # pages may go to swap, the peak stays

    def none(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr(bench.Path, "read_text", none)
    # the same pages, but for what was allocated or swapped meanwhile; in bytes, not kilobytes
    assert 0.5 * held < bench._status("peak") < 2 * held
