"""Results on disk: what is read is what was written, and damage is noticed."""

import hashlib
import json

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from pyarrow import parquet

from adaptrnn._error import InputError
from adaptrnn.paper.store import (
    from_table,
    read_alone,
    read_results,
    to_table,
    write_alone,
    write_results,
)

NAMES = ["model", "seed", "xi"]


@st.composite
def datasets(draw):
    """Any data set of numbers over texts, integers and reals; some values missing."""
    axes = {
        "model": draw(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3, unique=True)),
        "seed": draw(st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True)),
        "xi": draw(st.lists(st.floats(-9, 9), min_size=1, max_size=3, unique=True)),
    }
    variables = {}
    for name in draw(st.lists(st.sampled_from("pqrs"), min_size=1, max_size=3, unique=True)):
        dims = draw(st.lists(st.sampled_from(NAMES), max_size=3, unique=True))
        shape = tuple(len(axes[dim]) for dim in dims)
        kind = draw(st.sampled_from(["f4", "f8", "i8", "?"]))
        size = int(np.prod(shape))
        numbers = draw(st.lists(st.integers(-5, 5), min_size=size, max_size=size))
        values = np.array(numbers).reshape(shape).astype(kind)
        if kind[0] == "f" and size:
            values = np.where(np.array(numbers).reshape(shape) == 0, np.nan, values).astype(kind)
        variables[name] = (dims, values, {"units": "1", "many": [1, 2]})
    used = [dim for dim in NAMES if any(dim in v[0] for v in variables.values())]
    return xr.Dataset(variables, {dim: axes[dim] for dim in used}, {"definition": "a", "count": 3})


@given(datasets())
@settings(max_examples=100, deadline=None)
def test_a_table_gives_back_the_data_set(data):
    again = from_table(to_table(data))
    xr.testing.assert_identical(again, data)
    for name, values in data.items():
        assert again[name].dtype == values.dtype


def test_texts_are_not_numbers():
    with pytest.raises(InputError, match="results are numbers"):
        to_table(xr.Dataset({"a": ("x", ["word"])}, {"x": [0]}))


@pytest.fixture
def folder(tmp_path):
    data = xr.Dataset({"a": ("seed", [1.0, np.nan])}, {"seed": [0, 1]})
    runs = pd.DataFrame({"name": ["r"], "seconds": [1.5]})
    write_results(tmp_path, {"fig": data}, runs, {"profile": "p"})
    return tmp_path


def test_results_are_read_back(folder):
    items, runs, manifest = read_results(folder)
    assert list(items) == ["fig"] and float(items["fig"].a[0]) == 1.0
    assert runs.seconds.tolist() == [1.5] and manifest["profile"] == "p"
    # checksums are those of the files, so that anyone can check them with sha256sum
    for name, known in manifest["sha256"].items():
        assert hashlib.sha256((folder / f"{name}.parquet").read_bytes()).hexdigest() == known


def test_every_byte_is_checked(folder):
    file = folder / "fig.parquet"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"fig\.parquet: not what manifest\.json says"):
        read_results(folder)
    file.unlink()
    with pytest.raises(InputError, match=r"fig\.parquet: No such file"):
        read_results(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"sha256": 3}'])
def test_a_damaged_manifest_is_one_error(folder, text):
    (folder / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"manifest\.json: damaged"):
        read_results(folder)


def test_a_folder_without_a_manifest_is_not_complete(folder):
    (folder / "manifest.json").unlink()
    with pytest.raises(InputError, match="no results"):
        read_results(folder)
    with pytest.raises(InputError, match="no description"):
        from_table(parquet.read_table(folder / "runs.parquet"))


def test_json_of_the_manifest_is_plain(folder):
    assert json.loads((folder / "manifest.json").read_text())["profile"] == "p"


def test_a_table_alone_is_read_back_and_checked(tmp_path):
    data = xr.Dataset({"a": ("seed", [1.5, np.nan])}, {"seed": [3, 4]})
    path = tmp_path / "one.parquet"
    assert read_alone(path) is None
    write_alone(path, data, {"profile": "night"})
    xr.testing.assert_equal(read_alone(path), data)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(InputError, match=r"not what one\.json says"):
        read_alone(path)
    (tmp_path / "one.json").unlink()
    with pytest.raises(InputError, match="no checksum"):
        read_alone(path)
