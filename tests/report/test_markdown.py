"""Texts in pages of Markdown: nothing in them breaks a table or becomes HTML."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from adaptrnn.figure.style import ink, subplots
from adaptrnn.paper.item import Table
from adaptrnn.report.markdown import _cell, _picture, _table

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


def test_a_small_drawing_is_one_vector_picture_for_light_and_dark_pages(tmp_path):
    """They are one only if everything has the same places in the light and the dark drawing."""

    def draw():
        figure, axes = subplots(1, 2)
        for k, axis in enumerate(axes.flat):
            ends = np.random.default_rng(k).uniform(0, 1000, (2, 60))  # an image of these is large
            axis.plot(ends, color=ink())
            axis.set_ylabel("loss (nats)")
        return figure

    (tmp_path / "small.webp").write_bytes(b"the picture before")
    assert _picture(tmp_path, "small", draw) == "small.svg"
    assert "prefers-color-scheme:dark" in (tmp_path / "small.svg").read_text()
    assert not (tmp_path / "small.webp").exists()
