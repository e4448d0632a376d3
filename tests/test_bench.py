"""The comparison: peers are the same network, and a table says what was measured."""

from __future__ import annotations

import dataclasses
import importlib.util

import pytest

from adaptrnn import bench
from adaptrnn._error import InputError
from adaptrnn.config import BenchConfig

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


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
@pytest.mark.parametrize("peer", ["JAX scan", "JAX scan, checkpoint"])
def test_jax_in_a_process_of_its_own_is_the_same_network(peer):
    result = bench._in_process(peer, SIZE, 0)
    assert isinstance(result, bench.Result), result
    assert result.loss == pytest.approx(bench.measure("torch loop", SIZE, 0).loss, rel=1e-5)


def test_a_peer_that_fails_is_a_line_of_text():
    result = bench._in_process("nn.Nothing", SIZE, 0)
    assert isinstance(result, str) and "Nothing" in result


def test_losses_that_disagree_are_an_error():
    one = bench.Result("adaptrnn fused", SIZE, 1.0, 1.0, 0, 2.3)
    other = dataclasses.replace(one, peer="torch loop", loss=2.4)
    with pytest.raises(RuntimeError, match="disagree"):
        bench._agree("title", [one, other])
    bench._agree("title", [one, dataclasses.replace(other, size=bench.Size(8, 2, 5, 3))])
    with pytest.raises(RuntimeError, match="disagree"):
        bench._agree("title", [one, dataclasses.replace(other, loss=float("nan"))])


def test_targets_are_met_or_not():
    def row(peer, training, memory=0):
        return bench.Result(peer, SIZE, training, training, memory, 1.0)

    paper = [row("adaptrnn fused", 10.0, 2 * 10**9), row("torch loop", 40.0), row("JAX", 31.0)]
    found = {"paper": paper, "small": [], "static": []}
    verdicts = {what: (value, met) for what, _, value, met in bench._targets(found)}
    assert verdicts["ARUN training step against the best peer"] == ("3.10 times (JAX)", "not met")
    assert verdicts["ARUN forward, torch loop"] == ("4.00 times (torch loop)", "met")
    assert verdicts["memory of a training step"] == ("2000 MB", "not met")


def test_growth_is_within_a_fifth_of_the_law_or_not():
    def verdict(*measured):
        return bench._Growth("time over N", (1, 2, 4), measured, "text").row()[3:]

    assert verdict(1.1, 1.0, 0.9) == ("1.10, 1.00, 0.90", "met")
    assert verdict(1.0, 1.0, 0.79)[1] == verdict(1.3, 1.0, 1.0)[1] == "not met"


def test_another_allocator_is_found_or_asked_for(monkeypatch):
    if bench._tcmalloc() is not None:
        result = bench._in_process("torch loop, tcmalloc", SIZE, 0)
        assert isinstance(result, bench.Result), result
    monkeypatch.setattr(bench, "_tcmalloc", lambda: None)
    assert "apt-get install" in bench._in_process("torch loop, tcmalloc", SIZE, 0)


def test_what_is_written_by_hand_stays(tmp_path):
    def row(peer, size=SIZE):
        return bench.Result(peer, size, 2.0, 5.0, 10**6, 1.0)

    found = {title: [row("adaptrnn fused"), row("torch loop")] for title in ("a", "b", "c")}
    path, machine = tmp_path / "page.md", bench._Machine("a machine", 1e9, 1e9)
    bench._write(path, ["One."], machine, found, [("T", "1, 2", "3 us", "1.00, 1.00", "met")], [])
    first = path.read_text()
    by_hand = f"\n{bench.BY_HAND}\n## Mine\n"
    path.write_text(first + by_hand)
    for _ in range(2):
        bench._write(path, ["Two."], machine, found, [], [])
        text = path.read_text()
        assert "Two." in text and "One." not in text and text.endswith(by_hand)


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
