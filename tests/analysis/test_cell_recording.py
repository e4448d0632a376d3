"""Tables of recorded cells: planted curves and spikes, read back from CSV and NWB files."""

from __future__ import annotations

import warnings
from datetime import datetime, timezone

import numpy as np
import pytest
import torch

from adaptrnn._error import InputError
from adaptrnn.activation import gamma
from adaptrnn.analysis.cell_recording import read_fi_table
from adaptrnn.analysis.fi_curve import fit_fi_table


def curve(x, n, s):
    return gamma(torch.as_tensor(x, dtype=torch.float64), n, s).numpy()


def test_csv(tmp_path):
    path = tmp_path / "cells.csv"
    i = np.linspace(0, 1, 12)
    rows = ["cell,I_nA,f,comment"]
    for name, n in (("a", 5.0), ("b", 20.0)):
        rates = 30 * curve((i - 0.3) / 0.7, n, 0.1)
        rows += [f"{name},{x},{y},ok" for x, y in zip(i, rates, strict=True)]
    path.write_text("\n".join(rows) + "\n")
    table = read_fi_table(path, current="I_nA", rate="f", neuron="cell")
    assert table.sizes["point"] == 24
    found = fit_fi_table(table)
    assert found.neuron.values.tolist() == ["a", "b"] and np.allclose(found.n, [5, 20], rtol=1e-2)
    with pytest.raises(InputError, match="current"):
        read_fi_table(path)
    path.write_text("current,rate\n0,1\n1,x\n")
    with pytest.raises(InputError, match="line 3"):
        read_fi_table(path)
    path.write_text("current,rate\n")
    with pytest.raises(InputError, match="at least one"):
        read_fi_table(path)
    with pytest.raises(InputError, match="exists"):
        read_fi_table(tmp_path / "none.csv")
    path.write_text("current,rate\n0,1\n", encoding="utf-8-sig")  # as Excel writes "CSV UTF-8"
    assert read_fi_table(path).current.values.tolist() == [0]
    path.write_bytes("I,rate\n0.1,5 \N{MICRO SIGN}\n".encode("latin-1"))
    with pytest.raises(InputError, match="CSV file in UTF-8"):
        read_fi_table(path)


def spiky(level, spikes, steps, on):
    """Current (A) and voltage (V) of one sweep with so many spikes while the current is on."""
    current = np.where(on, level, 0.0)
    voltage = np.full(steps, -0.07)
    where = np.linspace(*np.flatnonzero(on)[[10, -10]], spikes).astype(int)
    voltage[where] = 0.03
    return current, voltage


@pytest.mark.parametrize("linked_by", ["table", "sweep number"])
def test_nwb(tmp_path, linked_by):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pynwb = pytest.importorskip("pynwb")
        file = pynwb.NWBFile("a test", "id", datetime(2024, 1, 1, tzinfo=timezone.utc))
        device = file.create_device("amplifier")
        electrode = file.create_icephys_electrode("cell 1", device=device, description="patch")
        on = (np.arange(1000) >= 200) & (np.arange(1000) < 700)  # half a second at 1 kHz
        for sweep, (level, spikes) in enumerate([(0, 0), (50e-12, 0), (1e-10, 5), (2e-10, 15)]):
            current, voltage = spiky(level, spikes, 1000, on)
            shared = {"electrode": electrode, "gain": 1.0, "rate": 1000.0}
            if linked_by == "sweep number":
                shared["sweep_number"] = np.uint32(sweep)
            stimulus = pynwb.icephys.CurrentClampStimulusSeries(
                name=f"stimulus {sweep}", data=current / 1e-12, conversion=1e-12, **shared
            )
            response = pynwb.icephys.CurrentClampSeries(
                name=f"response {sweep}", data=voltage * 1e3, conversion=1e-3, **shared
            )
            if linked_by == "table":
                file.add_intracellular_recording(
                    electrode=electrode, stimulus=stimulus, response=response
                )
            else:
                file.add_stimulus(stimulus)
                file.add_acquisition(response)
        path = tmp_path / "cell.nwb"
        with pynwb.NWBHDF5IO(str(path), "w") as io:
            io.write(file)
    table = read_fi_table(path)
    # the sweep without current is left out; 5 and 15 spikes in half a second
    assert np.allclose(table.current, [0.05, 0.1, 0.2]) and table.current.attrs["units"] == "nA"
    assert table.rate.values.tolist() == [0, 10, 30]
    assert set(table.neuron.values.tolist()) == {"cell 1"}
