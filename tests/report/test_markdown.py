"""Texts in pages of Markdown: nothing in them breaks a table or becomes HTML."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from adaptrnn.paper.item import Table
from adaptrnn.report.markdown import _cell, _table

TEXTS = st.text(max_size=30)


@given(TEXTS)
def test_a_cell_is_one_cell(text):
    shown = _cell(text)
    assert "\n" not in shown and "<" not in shown
    assert shown.count("|") == shown.count("\\|") == text.count("|")


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4))
def test_a_table_has_a_line_for_each_row(rows):
    lines = _table(Table(("one", "other"), tuple(rows)))
    assert len(lines) == 2 + len(rows)
    for line in lines:
        assert line.replace("\\|", "").count("|") == 3
