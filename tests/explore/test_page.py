"""Pieces of the page: the numbers are in them, and every text is escaped."""

from __future__ import annotations

import numpy as np
import xarray as xr

from adaptrnn.explore import curve, neuron, page


def test_page_escapes_and_reads_back(hostile):
    found = curve.numbers(5.0, 0.2, 1.0)
    html = page.curve_tiles(found, 1.0)
    assert f'<b id="adaptrnn-slope">{found.slope:.3f}</b>' in html
    assert "<script" not in page.card({hostile: hostile}) + page.note(hostile)
    nothing = xr.Dataset({name: (("time", "neuron"), np.zeros((300, 1))) for name in "ansh"})
    nothing = nothing.assign(slope=nothing.h, xi=("time", neuron.drive("step", 1.0)))
    nothing = nothing.assign_coords(neuron=[3])
    table = page.orders_table(nothing, neuron.order_curves(nothing))
    assert "nan" not in table and '<td id="adaptrnn-3-3">' in table
