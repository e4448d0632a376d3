"""Read f-I tables of recorded cells, which are currents and rates, from CSV or NWB files.

NWB files need the extra "neurons" (pynwb).
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from adaptrnn._error import bad, choose, require

if TYPE_CHECKING:
    from pynwb import NWBFile
    from pynwb.icephys import PatchClampSeries

__all__ = ["read_fi_table"]


def read_fi_table(
    path: str | Path,
    *,
    current: str = "current",
    rate: str = "rate",
    neuron: str = "neuron",
    spike_threshold: float = -0.02,
) -> xr.Dataset:
    """Read currents and rates from a CSV table or from current-clamp sweeps in an NWB file.

    CSV: a header and one row per measurement, with the columns named below; others are ignored.
    NWB (needs pynwb): every sweep with a current stimulus and a voltage response. Its current is
    the largest deviation of the stimulus from its first sample; its rate the number of upward
    crossings of `spike_threshold` while the stimulus is beyond half of that, over that time. Sweeps
    without any stimulus are left out. Neurons are told apart by the electrode.

    Args:
        path: a file that ends in .csv or .nwb.
        current: name of the column with currents, in any unit.
        rate: name of the column with rates, in spikes per second.
        neuron: name of the column that names the neuron; one neuron if there is none.
        spike_threshold: in volts.

    Returns:
        current, rate, neuron along "point". Currents of an NWB file are in nA.

    Raises:
        InputError: no such file or column, a value that is no number, no sweeps.
        MissingExtraError: an NWB file without pynwb.
    """
    path = Path(path)
    if not path.is_file():
        raise bad("path", str(path), "a file that exists")
    if path.suffix.lower() == ".nwb":
        rows, units = _read_nwb(path, spike_threshold), "nA"
    elif path.suffix.lower() == ".csv":
        try:
            rows, units = _read_csv(path, current, rate, neuron), "as in the file"
        except (UnicodeDecodeError, csv.Error) as error:
            raise bad("path", str(path), "a CSV file in UTF-8", f"It is not: {error}.") from None
    else:
        raise bad("path", str(path), "a file that ends in .csv or .nwb")
    if not rows:
        raise bad("path", str(path), "a file with at least one measurement")
    table = xr.Dataset(
        {
            "current": ("point", [row[0] for row in rows], {"units": units}),
            "rate": ("point", [row[1] for row in rows], {"units": "1/s"}),
            "neuron": ("point", [row[2] for row in rows]),
        },
        attrs={"definition": "one measurement a point", "file": path.name},
    )
    return table


def _read_csv(path: Path, current: str, rate: str, neuron: str) -> list[tuple[float, float, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:  # Excel begins a file with a mark
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        for name in (current, rate):
            choose("column", name, columns)
        rows = []
        for line, row in enumerate(reader, start=2):
            try:
                numbers = float(row[current]), float(row[rate])
            except (TypeError, ValueError):
                found = (row[current], row[rate])
                raise bad(f"{path.name}, line {line}", found, "two numbers") from None
            if not np.isfinite(numbers).all() or numbers[1] < 0:
                raise bad(f"{path.name}, line {line}", numbers, "finite, with a rate >= 0")
            rows.append((*numbers, str(row.get(neuron) or "0")))
    return rows


def _read_nwb(path: Path, threshold: float) -> list[tuple[float, float, str]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the file's age and of pynwb's own dependencies
        pynwb = require("pynwb", "neurons")
        with pynwb.NWBHDF5IO(str(path), "r") as io:
            file = io.read()
            pairs = list(_sweeps(file, pynwb))
            return [row for pair in pairs if (row := _sweep(*pair, threshold)) is not None]


def _sweeps(
    file: NWBFile, pynwb: ModuleType
) -> Iterator[tuple[PatchClampSeries, PatchClampSeries]]:
    """Pairs (stimulus, response) of current-clamp series: by table, sweep number, or name."""
    stimulus_type = pynwb.icephys.CurrentClampStimulusSeries
    response_type = pynwb.icephys.CurrentClampSeries
    table = file.intracellular_recordings
    if table is not None and len(table):
        seen = set()
        for row in range(len(table)):
            stimulus = table[("stimuli", "stimulus")][row].timeseries
            response = table[("responses", "response")][row].timeseries
            if isinstance(stimulus, stimulus_type) and isinstance(response, response_type):
                key = (stimulus.name, response.name)
                if key not in seen:
                    seen.add(key)
                    yield stimulus, response
        return
    responses = [one for one in file.acquisition.values() if isinstance(one, response_type)]
    stimuli = [one for one in file.stimulus.values() if isinstance(one, stimulus_type)]

    def keys(series: PatchClampSeries) -> list[tuple[str, object]]:
        return (
            [("sweep", series.sweep_number)]
            if series.sweep_number is not None
            else [("name", series.name)]
        )

    known = {key: one for one in stimuli for key in keys(one)}
    for response in responses:
        for key in keys(response):
            if key in known:
                yield known[key], response


def _sweep(
    stimulus: PatchClampSeries, response: PatchClampSeries, threshold: float
) -> tuple[float, float, str] | None:
    i = np.asarray(stimulus.data[:], dtype=np.float64) * stimulus.conversion
    v = np.asarray(response.data[:], dtype=np.float64) * response.conversion + getattr(
        response, "offset", 0.0
    )
    steps = min(len(i), len(v))
    i, v = i[:steps] - i[0], v[:steps]
    size = np.abs(i).max()
    if size == 0 or response.rate is None:
        return None
    on = np.abs(i) > size / 2
    crossings = (v[1:] >= threshold) & (v[:-1] < threshold) & on[1:]
    level = float(np.median(i[on]))
    electrode = getattr(response.electrode, "name", "0")
    return level * 1e9, float(crossings.sum() / (on.sum() / response.rate)), str(electrode)
