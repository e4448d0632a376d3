"""The last lines of `adaptrnn reproduce`: what held, what did not, where to look."""

from __future__ import annotations

from adaptrnn.paper.verdict import Claim, Part, Verdict
from adaptrnn.report.page import _write_verdicts
from adaptrnn.report.summary import summary_lines


def test_five_lines_say_what_held_and_where_to_look(tmp_path):
    def verdict(name, *holds):
        parts = tuple(Part("q", "1", "", "", one) for one in holds)
        return Verdict(Claim(name, f"Fig {name}", "", ""), parts)

    held = [verdict("E01", "yes"), verdict("E02", "yes", "yes")]
    other = [verdict("E03", "yes", "no"), verdict("E04", "no"), verdict("E05", "no data")]
    _write_verdicts(tmp_path / "data" / "verdicts.csv", [*held, *other])
    lines = summary_lines(tmp_path)
    assert lines[:3] == [
        "Of 4 judged claims 2 hold: E01, E02",
        "1 holds in part: E03",
        "1 does not hold: E04",
    ]
    assert "1 without data: E05" in lines[3] and str(tmp_path / "index.html") in lines[4]
    assert len(lines) == 5
