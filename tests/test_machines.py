"""The set of runs that stands for other machines holds what it says."""

from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location("machines", Path(__file__).with_name("machines.py"))
machines = importlib.util.module_from_spec(spec)
spec.loader.exec_module(machines)


def test_the_set_covers_every_value_and_pair():
    runs = machines.covering_set()
    for name, values in machines.VARIABLES.items():
        assert {run[name] for run in runs if name in run} == set(values)
    for one, other in itertools.combinations(list(machines.VARIABLES)[:4], 2):
        met = {(run[one], run[other]) for run in runs if one in run}
        assert len(met) == len(machines.VARIABLES[one]) * len(machines.VARIABLES[other])
    assert len({run["seed"] for run in runs}) == 10
    assert len({run["order"] for run in runs if "order" in run}) == 5


def test_a_value_that_is_not_possible_is_named_and_left_out(monkeypatch):
    monkeypatch.setattr(machines, "why_not", lambda name, value: "no" if value == "avx512" else "")
    run, left_out = machines.possible({"ATEN_CPU_CAPABILITY": "avx512", "MKL_CBWR": "AUTO"})
    assert run == {"MKL_CBWR": "AUTO"} and left_out == ["ATEN_CPU_CAPABILITY=avx512: no"]


def test_failures_are_counted_and_named(tmp_path):
    (tmp_path / "test_two.py").write_text("def test_a(): pass\ndef test_b(): assert False\n")
    found = machines.tested({"seed": "3"}, [str(tmp_path), "-p", "no:cacheprovider"], "0")
    assert (found["passed"], found["failed"]) == (1, 1)
    assert "test_b" in found["names"][0]


@pytest.mark.parametrize("failed", [0, 2])
def test_the_table_takes_the_place_of_the_old_one(tmp_path, monkeypatch, failed):
    monkeypatch.setattr(machines, "facts", lambda *_: {"versions": "torch 2"})
    page = tmp_path / "page.md"
    page.write_text(f"before\n{machines.START}\nold\n{machines.END}\nafter\n")
    counts = {"passed": 7, "failed": failed, "skipped": 1}
    result = {**counts, "commit": "abc", "names": ["a::b"] * failed}
    machines.write(page, machines.table([({"seed": "5"}, result)], []))
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert f"| 5 | 7 | {failed} | 1 | abc |" in text and ("a::b" in text) == bool(failed)


def test_a_run_that_has_ended_is_not_done_again(tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(machines, "KEPT", tmp_path / "build" / "machines.json")
    monkeypatch.setattr(machines, "facts", lambda *_: {"versions": "torch 2"})
    monkeypatch.setattr(machines, "covering_set", lambda: [{"seed": "0"}, {"seed": "1"}])
    place = {"commit": "abc", "processor": "one", "versions": "torch 2"}
    monkeypatch.setattr(machines, "here", lambda: place)

    def tested(run, arguments, workers):
        asked.append(run["seed"])
        if asked == ["0", "1"]:
            raise KeyboardInterrupt  # stopped in its second run
        return {"passed": int(run["seed"]), "failed": 0, "skipped": 0, "names": []}

    monkeypatch.setattr(machines, "tested", tested)
    with pytest.raises(KeyboardInterrupt):
        machines.main(["tests/a.py"])
    assert machines.main(["tests/a.py"]) == 0 and asked == ["0", "1", "1"]
    assert machines.main(["tests/a.py"]) == 0 and len(asked) == 3  # nothing was left to do
    assert machines.main(["tests/b.py"]) == 0 and len(asked) == 5  # other tests
    place["commit"] = "def"  # other files
    assert machines.main(["tests/b.py"]) == 0 and len(asked) == 7


@pytest.mark.parametrize(("repair", "same", "found"), [(0, 1, "b"), (1, 1, "ab"), (1, 0, "b")])
def test_a_kept_run_counts_if_it_could_not_come_out_otherwise(
    repair, same, found, tmp_path, monkeypatch
):
    """At this commit; to repair, also at an older one with the same source, without failures."""
    place = {"commit": "new", "processor": "one", "versions": "two"}
    runs = {
        "a": {"commit": "old", "failed": 0},
        "b": {"commit": "new", "failed": 1},
        "c": {"commit": "old", "failed": 1},
    }
    monkeypatch.setattr(machines, "KEPT", tmp_path / "machines.json")
    monkeypatch.setattr(machines, "here", lambda: place)
    monkeypatch.setattr(machines, "same_source", lambda commit: bool(same))
    machines.keep([], runs)
    assert "".join(machines.kept([], bool(repair))) == found
    assert not machines.kept(["tests/kernels"], bool(repair))
    monkeypatch.setattr(machines, "here", lambda: place | {"processor": "another"})
    assert not machines.kept([], bool(repair))
