"""Files: what is written is read back the same, and a changed byte is noticed.

How writes end that are cut short is tested in tests/faults.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import adaptrnn
from adaptrnn import InputError
from adaptrnn.storage import (
    hash_file,
    read_checkpoint,
    read_dataset,
    read_json,
    read_table,
    read_weights,
    write_atomic,
    write_checkpoint,
    write_dataset,
    write_json,
    write_table,
    write_weights,
)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.text(max_size=8)
    # a float comes back to the last bit: Python writes the shortest text that reads as it
    | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@pytest.mark.long
@given(st.dictionaries(st.text(max_size=8).filter(lambda name: name != "sha256"), VALUES))
@settings(deadline=None)
def test_json_comes_back_the_same(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("json") / "value.json"
    for hashed in (False, True):
        write_json(path, value, hashed=hashed)
        assert ("sha256" in json.loads(path.read_text())) == hashed
        assert read_json(path) == value


def test_a_changed_value_is_noticed_where_there_is_a_hash(tmp_path):
    path = tmp_path / "value.json"
    write_json(path, {"seed": 1}, hashed=True)
    path.write_text(path.read_text().replace(": 1", ": 2"))
    with pytest.raises(InputError, match=r"damaged, its content.*Make it again"):
        read_json(path, "Make it again.")
    write_json(path, {"seed": 1})
    path.write_text(path.read_text().replace(": 1", ": 2"))
    assert read_json(path) == {"seed": 2}
    path.write_text("{")
    with pytest.raises(InputError, match="damaged, not JSON"):
        read_json(path)
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "none.json")


def test_every_format_comes_back_the_same(tmp_path):
    weights = {
        "a": torch.randn(3, 2),
        "b": torch.arange(4, dtype=torch.bfloat16),
        "c": torch.ones(()),
    }
    write_weights(tmp_path / "weights.safetensors", weights)
    read = read_weights(tmp_path / "weights.safetensors")
    assert read.keys() == weights.keys()
    assert all(torch.equal(read[k], v) and read[k].dtype == v.dtype for k, v in weights.items())

    table = pd.DataFrame({"epoch": [0, 1], "loss": [0.1, np.nan], "name": ["one", "two"]})
    write_table(tmp_path / "table.parquet", table)
    pd.testing.assert_frame_equal(read_table(tmp_path / "table.parquet", ["epoch"]), table)
    with pytest.raises(InputError, match="no column 'error'"):
        read_table(tmp_path / "table.parquet", ["error"])

    data = xr.Dataset({"x": ("seed", [1.5, np.nan])}, {"seed": [3, 4]}, {"units": "1"})
    write_dataset(tmp_path / "data.nc", data)
    assert read_dataset(tmp_path / "data.nc").identical(data)

    write_checkpoint(tmp_path / "state.ckpt", {"weights": weights, "epoch": 3})
    state = read_checkpoint(tmp_path / "state.ckpt")
    assert state["epoch"] == 3 and torch.equal(state["weights"]["a"], weights["a"])


def test_the_file_before_is_kept_where_one_asks(tmp_path):
    path, previous = tmp_path / "folder" / "file", tmp_path / "folder" / "previous"
    write_atomic(path, b"first", previous)
    assert not previous.exists()
    write_atomic(path, b"second", previous)
    assert (path.read_bytes(), previous.read_bytes()) == (b"second", b"first")
    assert hash_file(path) != hash_file(previous)
    # SHA-256 of "abc" as FIPS 180-4 gives it
    write_atomic(path, b"abc")
    assert hash_file(path).startswith("ba7816bf 8f01cfea 414140de".replace(" ", ""))
    assert {file.name for file in path.parent.iterdir()} == {"file", "previous"}


OTHER_FILES = {
    "analysis/cell_recording.py": "recordings of cells, CSV",
    "bench.py": "what Linux says of a process",
    "bench_gpu.py": "the report that a user sends",
    "paper/collect.py": "what Snakemake measured of its jobs",
    "paper/profile.py": "profiles, YAML",
    "paper/store.py": "collected results",
    "report/markdown.py": "pictures in memory",
    "report/page.py": "the script of the page, which comes with the package",
    "report/picture.py": "pictures in memory",
    "report/summary.py": "a written report",
    "reproduce.py": "logs of jobs",
    "tasks/cache.py": "decoded images",
    "tasks/catalogue.py": "a task in a file of the user's own",
    "tasks/source.py": "data sets",
}
"""Modules that open files which are no part of a run, and which these are."""

OPENING = {"open", "read_bytes", "read_csv", "read_parquet", "read_text", "safe_open"}
OPENING |= {"load_dataset", "load_file", "open_dataset", "save_file", "to_netcdf", "to_parquet"}
OPENING |= {"write_bytes", "write_text"}


def test_no_other_module_opens_files_of_a_run():
    """So every file of a run is whole and checked; applications besides are not looked at."""
    root, found = Path(adaptrnn.__file__).parent, set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name in OPENING:
                    found.add(path.relative_to(root).as_posix())
    found = {name for name in found if name.split("/")[0] not in ("explore", "kernels")}
    assert found - {"storage.py"} <= OTHER_FILES.keys()
