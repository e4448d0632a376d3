"""Cells in the plane of gain and saturation: planted numbers come back from a table of rates."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from adaptrnn._error import InputError, MissingExtraError
from adaptrnn.explore import curve, real_cell


def test_cells_of_a_table():
    current = np.linspace(0, 3, 31)
    rows = ["current,rate,neuron"]
    for name, n, s in (("sharp", 6.0, 0.3), ("soft", 3.0, 0.0)):
        rate = 40 * curve.curve(n, s, (current - 1) / 2).rate.values
        rows += [f"{i:.6f},{f:.9f},{name}" for i, f in zip(current, rate, strict=True)]
    found = real_cell.points_from_csv("\n".join(rows).encode())
    # S = 3 - 1 is the convention, so the planted numbers come back, to the digits of the table
    assert found["sharp"] == pytest.approx((6.0, 0.3), abs=1e-3)
    assert list(found) == ["sharp", "soft"]
    with pytest.raises(InputError, match="column"):
        real_cell.points_from_csv(b"a,b\n1,2\n")
    with pytest.raises(InputError, match="UTF-8"):
        real_cell.points_from_csv(b"\xff\xfe\x00")


def test_simulated_cells(monkeypatch):
    current = np.linspace(0, 1, 41)
    rate = 50 * curve.curve(8.0, 0.2, (current - 0.5) / 0.5).rate.values
    table = xr.Dataset({"rate": ("current", rate)}, {"current": current})
    monkeypatch.setattr(real_cell, "simulate_fi", lambda name: table)
    real_cell.simulated.cache_clear()
    try:
        found = real_cell.simulated()
    finally:
        real_cell.simulated.cache_clear()
    assert found["lif"] == pytest.approx((8.0, 0.2), abs=1e-3)
    assert "hodgkin-huxley" in found
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'adaptrnn[neurons]'" in real_cell.how_to_get()


def test_simulated_cells_without_the_extra(monkeypatch):
    def missing(name: str):
        raise MissingExtraError("run  pip install 'adaptrnn[neurons]'")

    monkeypatch.setattr(real_cell, "simulate_fi", missing)
    real_cell.simulated.cache_clear()
    with pytest.raises(MissingExtraError, match="neurons"):
        real_cell.simulated()
