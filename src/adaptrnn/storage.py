"""Each file on disk is written whole or not at all, and is checked when it is read.

JSON, safetensors, parquet, netCDF and checkpoints hold a hash of their content. Nothing that is
read runs code. No other module opens a file of a run.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from adaptrnn._error import InputError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = [
    "WriteError",
    "copy_file",
    "first_line",
    "hash_file",
    "read_checkpoint",
    "read_dataset",
    "read_json",
    "read_table",
    "read_weights",
    "write_atomic",
    "write_checkpoint",
    "write_dataset",
    "write_json",
    "write_table",
    "write_weights",
]


class WriteError(OSError):
    """A file could not be written; what was there before is unchanged."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(
            error.errno,
            f"{path}: not written ({error.strerror or error}); what was there before is unchanged. "
            "Free space or choose a folder that can be written, then give the same command again.",
        )

    def __str__(self) -> str:
        return str(self.strerror)


def write_atomic(path: Path, data: bytes, previous: Path | None = None) -> None:
    """Write a file so that it is either the old or the new one, whatever happens meanwhile.

    Args:
        path: the file; its folder is created if it does not exist.
        data: its whole content.
        previous: where the old file is kept; None for nowhere.

    Raises:
        WriteError: the disk is full or the folder cannot be written.
    """
    name = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        if previous is not None and path.exists():
            os.replace(path, previous)
        os.replace(name, path)
        if os.name == "posix":  # the rename itself outlives a loss of power
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except BaseException as error:
        if name is not None:
            Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise WriteError(path, error) from error
        raise


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, whole or not at all."""
    write_atomic(target, source.read_bytes())


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_json(path: Path, value: object, *, hashed: bool = False) -> None:
    """Write a value as indented JSON, atomically.

    Args:
        path: the file.
        value: plain values.
        hashed: whether a mapping gets the entry sha256, a hash of the others.
    """
    if hashed and isinstance(value, Mapping):
        value = {**value, "sha256": _hash_json(value)}
    write_atomic(path, (json.dumps(value, indent=1) + "\n").encode())


def read_json(path: Path, advice: str = "") -> Any:
    """Read JSON and check it against the entry sha256, where there is one.

    Args:
        path: the file.
        advice: what to do if it is damaged, as a whole sentence.

    Returns:
        The value, without its hash.

    Raises:
        InputError: the file is damaged or cannot be read.
        FileNotFoundError: it is not there.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: damaged, not JSON ({error}). {advice}".rstrip()) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    hash = value.pop("sha256", None) if isinstance(value, dict) else None
    if hash is not None and hash != _hash_json(value):
        raise InputError(
            f"{path}: damaged, its content does not have the hash stored with it. {advice} "
            "If you changed it yourself, delete its entry sha256."
        )
    return value


def _hash_json(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def write_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Write weights as safetensors with their hash, atomically."""
    from safetensors.torch import save

    write_atomic(path, save(dict(weights), {"sha256": _hash_weights(weights)}))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read weights and check them against the hash that `write_weights` stored with them.

    Args:
        path: a safetensors file; one without a hash is taken as it is.

    Returns:
        The tensors by name, on the CPU.

    Raises:
        InputError: the file is damaged.
        FileNotFoundError: it is not there.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata()
            hash = None if facts is None else facts["sha256"]  # where there are any, it is there
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if hash is not None and hash != _hash_weights(weights):
            raise ValueError("its content does not have the hash stored with it")
    except FileNotFoundError:
        raise
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise InputError(
            f"{path}: damaged ({first_line(error)}). Delete it and give the training command "
            "again, which writes it from the checkpoint; or fetch the run again."
        ) from None
    return weights


def _hash_weights(weights: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        digest.update(repr([name, str(value.dtype), list(value.shape)]).encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as parquet with its hash, atomically."""
    file = io.BytesIO()
    marked = table.copy(deep=False)
    marked.attrs = {"sha256": _hash_table(table)}
    marked.to_parquet(file, index=False, engine="pyarrow", write_page_checksum=True)
    write_atomic(path, file.getvalue())


def read_table(path: Path, columns: Sequence[str] = (), advice: str = "") -> pd.DataFrame:
    """Read a table and check it against the hash that `write_table` stored with it.

    Args:
        path: a parquet file; one without a hash is taken as it is.
        columns: those that it must have.
        advice: what to do if it is damaged, as a whole sentence.

    Returns:
        The table.

    Raises:
        InputError: the file is missing or damaged, or lacks a column.
    """
    import pandas as pd

    try:
        table = pd.read_parquet(path, engine="pyarrow", page_checksum_verification=True)
        hash = table.attrs.pop("sha256") if table.attrs else None
        if hash is not None and hash != _hash_table(table):
            raise ValueError("its content does not have the hash stored with it")
        lacking = [name for name in columns if name not in table]
        if lacking:
            raise ValueError(f"it has no column {lacking[0]!r}")
    except Exception as error:  # pyarrow raises many types for a damaged file
        raise InputError(f"{path}: damaged ({first_line(error)}). {advice}".rstrip()) from None
    return table


def _hash_table(table: pd.DataFrame) -> str:
    return hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()


_TRAILER = b"\nadaptrnn sha256 "  # and 64 hexadecimal digits, after what HDF5 reads


def write_dataset(path: Path, data: xr.Dataset) -> None:
    """Write a data set as netCDF, with the hash of the file at its end, atomically."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.nc"  # HDF5 writes here and there in its file
        data.to_netcdf(file, engine="h5netcdf")
        content = file.read_bytes()
    write_atomic(path, content + _TRAILER + hashlib.sha256(content).hexdigest().encode())


def read_dataset(path: Path, advice: str = "") -> xr.Dataset:
    """Read a netCDF file and check it against the hash that `write_dataset` stored.

    Args:
        path: the file.
        advice: what to do if it is damaged, as a whole sentence.

    Returns:
        The data set.

    Raises:
        InputError: the file is missing, damaged or without its hash.
    """
    import xarray as xr

    try:
        content, trailer, hash = path.read_bytes().rpartition(_TRAILER)
        if not trailer:  # HDF5 may give wrong numbers, or read for ever, where bytes are wrong
            raise ValueError("the hash that adaptrnn puts at its end is missing")
        if hash != hashlib.sha256(content).hexdigest().encode():
            raise ValueError("its content does not have the hash stored with it")
        return xr.load_dataset(path, engine="h5netcdf")
    except Exception as error:  # h5py raises many types for damage
        raise InputError(f"{path}: damaged ({first_line(error)}). {advice}".rstrip()) from None


def write_checkpoint(path: Path, state: object, previous: Path | None = None) -> None:
    """Write the state of a training by `torch.save`, atomically.

    Args:
        path: the file.
        state: plain values and tensors.
        previous: where the old file is kept; None for nowhere.
    """
    data = io.BytesIO()
    torch.save(state, data)
    write_atomic(path, data.getvalue(), previous)


def read_checkpoint(path: Path) -> dict[str, object]:
    """Read a checkpoint onto the CPU and check every part of it, which torch does not.

    Raises:
        InputError: the file is damaged, or holds code.
    """
    try:
        with zipfile.ZipFile(path) as file:
            broken = file.testzip()
        if broken is not None:
            raise ValueError(f"the checksum of {broken} is not right")
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and pickle raise many types for damage and for foreign code
        raise InputError(
            f"{path}: damaged ({first_line(error)}). Delete it and give the training command "
            "again: the run resumes from the checkpoint before, or starts again, and ends with "
            "the same weights."
        ) from None


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or the name of its type."""
    return (str(error).splitlines() or [type(error).__name__])[0]
