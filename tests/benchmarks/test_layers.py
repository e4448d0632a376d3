"""The page of benchmarks: more peers are the same network, targets, growth, what is kept."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from adaptrnn import bench

pytest.importorskip("rich")
pytest.importorskip("matplotlib")
PATH = Path(__file__).parents[2] / "benchmarks" / "layers.py"
_spec = importlib.util.spec_from_file_location("layers", PATH)
layers = importlib.util.module_from_spec(_spec)
sys.modules["layers"] = layers  # where dataclasses look their annotations up
_spec.loader.exec_module(layers)

SIZE = bench.Size(4, 2, 5, 3)


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
@pytest.mark.parametrize("peer", ["JAX scan", "JAX scan, checkpoint"])
def test_jax_in_a_process_of_its_own_is_the_same_network(peer):
    result = layers.in_process(peer, SIZE, 0)
    assert isinstance(result, bench.Result), result
    assert result.loss == pytest.approx(bench.measure("torch loop", SIZE, 0).loss, rel=1e-5)


def test_targets_are_met_or_not():
    def row(peer, training, memory=0):
        return bench.Result(peer, SIZE, training, training, memory, 1.0)

    paper = [row("adaptrnn fused", 10.0, 2 * 10**9), row("torch loop", 40.0), row("JAX", 31.0)]
    found = {"paper": paper, "small": [], "static": []}
    verdicts = {what: (value, met) for what, _, value, met in layers.targets(found)}
    assert verdicts["ARUN training step against the best peer"] == ("3.10 times (JAX)", "not met")
    assert verdicts["ARUN forward, torch loop"] == ("4.00 times (torch loop)", "met")
    assert verdicts["memory of a training step"] == ("2000 MB", "not met")


def test_growth_is_within_a_fifth_of_the_law_or_not():
    def verdict(*measured):
        return layers.Growth("time over N", (1, 2, 4), measured, "text").row()[3:]

    assert verdict(1.1, 1.0, 0.9) == ("1.10, 1.00, 0.90", "met")
    assert verdict(1.0, 1.0, 0.79)[1] == verdict(1.3, 1.0, 1.0)[1] == "not met"


def test_another_allocator_is_found_or_asked_for(monkeypatch):
    if layers.tcmalloc() is not None:
        result = layers.in_process("torch loop, tcmalloc", SIZE, 0)
        assert isinstance(result, bench.Result), result
    monkeypatch.setattr(layers, "tcmalloc", lambda: None)
    assert "apt-get install" in layers.in_process("torch loop, tcmalloc", SIZE, 0)


def test_what_is_written_by_hand_stays(tmp_path):
    def row(peer, size=SIZE):
        return bench.Result(peer, size, 2.0, 5.0, 10**6, 1.0)

    found = {title: [row("adaptrnn fused"), row("torch loop")] for title in ("a", "b", "c")}
    path, machine = tmp_path / "part" / "page.md", bench.Machine("a machine", 1e9, 1e9)
    layers.write(path, ["One."], machine, found, [("T", "1, 2", "3 us", "1.00, 1.00", "met")], [])
    first = path.read_text()
    by_hand = f"\n{layers.BY_HAND}\n## Mine\n"
    path.write_text(first + by_hand)
    for _ in range(2):
        layers.write(path, ["Two."], machine, found, [], [])
        text = path.read_text()
        assert "Two." in text and "One." not in text and text.endswith(by_hand)
