"""Results on disk are one parquet table for each figure or table, with checksums.

    FOLDER/NAME.parquet    the collected measures of an item: a row for each number
    FOLDER/runs.parquet    a row for each network: how it was trained, what it cost
    FOLDER/manifest.json   profile, versions, machine, costs, and the SHA-256 of every table;
                           marks: of a table that is not to be trusted as it is, why

A table has the columns `variable`, one for each dimension, and `value`. Names of dimensions, types
and attributes stand in the table's metadata, so that the data set can be made of it again.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import xarray as xr
from pyarrow import parquet

from adaptrnn._error import InputError
from adaptrnn.preset import task_in_words
from adaptrnn.storage import write_atomic, write_json

__all__ = [
    "from_table",
    "read_about",
    "read_alone",
    "read_results",
    "task_words",
    "to_table",
    "write_alone",
    "write_results",
]

_KEY = b"adaptrnn"


def to_table(data: xr.Dataset) -> pa.Table:
    """Return a data set as one table: a row for each number; NaN is left out.

    Args:
        data: numbers over named dimensions, each with a coordinate of texts, numbers or truth
            values.

    Returns:
        The table: variable, the dimensions as text, value (float64); the rest in its metadata.

    Example:
        >>> data = xr.Dataset({"a": ("seed", [1.5, 2.5])}, {"seed": [3, 4]}, {"units": "1"})
        >>> from_table(to_table(data)).equals(data)
        True
    """
    dims = [str(dim) for dim in data.sizes]
    variables = {**data.data_vars, **{k: v for k, v in data.coords.items() if k not in dims}}
    frames, kinds = [], {}
    for name, values in variables.items():
        kinds[str(name)] = {
            "dims": [str(dim) for dim in values.dims],
            "dtype": values.dtype.str,
            "coordinate": name in data.coords,
            "attrs": _plain(values.attrs),
        }
        flat = {"variable": str(name), "value": _numbers(values, str(name))}
        index = np.unravel_index(np.arange(values.size), values.shape) if values.dims else []
        flat |= {str(d): place.astype("int32") for d, place in zip(values.dims, index, strict=True)}
        frames.append(pd.DataFrame(flat, index=range(values.size)))
    table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame({"variable": []})
    table = table.reindex(columns=["variable", *dims, "value"]).dropna(subset="value")
    for dim in dims:
        table[dim] = table[dim].astype("Int32")
    about = {
        "variables": kinds,
        "attrs": _plain(data.attrs),
        "sizes": {str(dim): int(size) for dim, size in data.sizes.items()},
        "axes": {
            dim: {
                "values": data[dim].values.tolist(),
                "dtype": "str" if data[dim].dtype.kind in "UO" else data[dim].dtype.str,
                "attrs": _plain(data[dim].attrs),
            }
            for dim in dims
            if dim in data.coords
        },
    }
    whole = pa.Table.from_pandas(table, preserve_index=False)
    return whole.replace_schema_metadata({_KEY: json.dumps(about).encode()})


def _numbers(values: xr.DataArray, name: str) -> np.ndarray:
    if values.dtype.kind not in "fiub":
        raise InputError(f"{name}: {values.dtype} cannot be kept; results are numbers.")
    return values.values.astype("float64").ravel()


def _plain(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): _value(value) for key, value in attrs.items()}


def _value(value: object) -> str | int | float | bool | list[Any]:
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    return value if isinstance(value, str | int | float | bool | list) else str(value)


def from_table(table: pa.Table) -> xr.Dataset:
    """Return the data set that `to_table` made a table of.

    Args:
        table: the table.

    Returns:
        The data set.

    Raises:
        InputError: the table was not made by `to_table`.
    """
    try:
        about = json.loads((table.schema.metadata or {})[_KEY])
    except (KeyError, ValueError):
        raise InputError("table: no description of a data set in its metadata.") from None
    rows = table.to_pandas()
    sizes, found = about["sizes"], xr.Dataset(attrs=about["attrs"])
    for dim, axis in about["axes"].items():
        kind = None if axis["dtype"] == "str" else axis["dtype"]
        found = found.assign_coords({dim: (dim, np.array(axis["values"], kind), axis["attrs"])})
    for name, kind in about["variables"].items():
        own = rows[rows["variable"] == name]
        dtype = np.dtype(kind["dtype"])
        shape = tuple(sizes[dim] for dim in kind["dims"])
        values = np.full(shape, np.nan if dtype.kind == "f" else 0, dtype)
        places = tuple(own[dim].to_numpy("int64") for dim in kind["dims"])
        if kind["dims"]:
            values[places] = own["value"].to_numpy()
        elif len(own):
            values = own["value"].to_numpy().astype(dtype)[0]
        one = (kind["dims"], values, kind["attrs"])
        found = (
            found.assign_coords({name: one}) if kind["coordinate"] else found.assign({name: one})
        )
    return found


def write_results(
    folder: Path,
    items: Mapping[str, xr.Dataset],
    runs: pd.DataFrame,
    manifest: Mapping[str, object],
) -> None:
    """Write results, the manifest last, so that a folder with a manifest is complete.

    Args:
        folder: where to.
        items: the collected measures of each item, by its name.
        runs: a row for each network.
        manifest: what else should be known, plain values.
    """
    sums = {}
    tables = {name: to_table(data) for name, data in items.items()}
    tables["runs"] = pa.Table.from_pandas(runs, preserve_index=False)
    for name, table in tables.items():
        sums[name] = _write(folder / f"{name}.parquet", table)
    write_json(folder / "manifest.json", {**manifest, "sha256": sums})


def write_alone(path: Path, data: xr.Dataset, about: Mapping[str, object]) -> None:
    """Write one table outside of collected results, with its checksum in a file next to it.

    Args:
        path: NAME.parquet; NAME.json gets the SHA-256, and is written last.
        data: the table, as `to_table` takes it.
        about: what else should be known, plain values.
    """
    sha256 = _write(path, to_table(data))
    write_json(path.with_suffix(".json"), {**about, "sha256": sha256})


def _write(path: Path, table: pa.Table) -> str:
    """Write a table and return the SHA-256 of its file."""
    content = io.BytesIO()
    parquet.write_table(table, content, compression="zstd")
    write_atomic(path, content.getvalue())
    return hashlib.sha256(content.getvalue()).hexdigest()


def _read(path: Path, known: str, source: str, advice: str) -> pa.Table:
    """Read a table whose file has the SHA-256 that another file says."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}. {advice}") from None
    if hashlib.sha256(content).hexdigest() != known:
        raise InputError(f"{path}: not what {source} says (SHA-256). {advice}")
    return parquet.read_table(io.BytesIO(content))


def read_alone(path: Path) -> xr.Dataset | None:
    """Read what `write_alone` wrote, and check it.

    Args:
        path: NAME.parquet.

    Returns:
        The data set; None if there is no such file.

    Raises:
        InputError: the table is not what NAME.json says.
    """
    if not path.exists():
        return None
    try:
        known = json.loads(path.with_suffix(".json").read_text())["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: no checksum next to it ({error}). Make it again.") from None
    return from_table(_read(path, known, f"{path.stem}.json", "Make it again."))


def read_about(path: Path) -> dict[str, Any]:
    """Return what `write_alone` was told about a table.

    Args:
        path: NAME.parquet, which `read_alone` could read.
    """
    return json.loads(path.with_suffix(".json").read_text())


def read_results(folder: Path) -> tuple[dict[str, xr.Dataset], pd.DataFrame, dict[str, Any]]:
    """Read results and check them against their checksums.

    Args:
        folder: what `write_results` wrote.

    Returns:
        The measures by item, the networks, and the manifest. The attributes of a coordinate `role`
        say what each task is, in words; see `task_words`.

    Raises:
        InputError: there is no manifest; a table is missing or not what the manifest says.

    Example:
        >>> read_results(Path("nowhere"))
        Traceback (most recent call last):
        adaptrnn._error.InputError: nowhere: no results (manifest.json) there. ...
    """
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text())
        sums = dict(manifest["sha256"])
    except FileNotFoundError:
        raise InputError(
            f"{folder}: no results (manifest.json) there. Make them: adaptrnn reproduce"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: damaged ({error}). Collect the results again.") from None
    tables = {}
    for name, known in sums.items():
        file, advice = folder / f"{name}.parquet", "Collect the results again."
        tables[name] = _read(file, known, "manifest.json", advice)
    runs = tables.pop("runs").to_pandas()
    found = {name: from_table(table) for name, table in tables.items()}
    words = task_words(runs)
    for data in found.values():
        if "role" in data.coords:
            data.role.attrs.update({k: v for k, v in words.items() if k not in data.role.attrs})
    return found, runs, manifest


def task_words(runs: pd.DataFrame) -> dict[str, str]:
    """Say what each task is, by its role.

    Args:
        runs: the networks, a row for each.

    Returns:
        Words such as "psMNIST, 196 steps" or "8x8 digits, 64 steps".
    """
    if not {"role", "task", "steps"} <= set(runs.columns):
        return {}
    firsts = runs.groupby("role", sort=False)[["task", "steps"]].first()
    return {
        str(role): task_in_words(str(one.task), int(one.steps)) for role, one in firsts.iterrows()
    }
