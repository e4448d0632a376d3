"""Images come from scikit-learn's digits, parquet files in a folder, or the Hugging Face hub.

Files in a folder are read in place, batch by batch, and nothing is left behind. `datasets`
downloads data from the hub into its usual place, and converts them in a temporary folder.
"""

from __future__ import annotations

import hashlib
import logging
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import torch

from adaptrnn._error import InputError, bad, choose, require
from adaptrnn.tasks import cache
from adaptrnn.tasks.cache import Pixels, hash_pixels
from adaptrnn.tasks.image import Split, box_weights

if TYPE_CHECKING:
    from datasets import Dataset, Features
    from pyarrow import Array, ChunkedArray, RecordBatch, Table

__all__ = ["Decoding", "from_folder", "from_hub", "from_sklearn"]

BATCH = 1000  # rows held undecoded at a time
PARTS = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}
log = logging.getLogger(__name__)


class Decoding(TypedDict):
    """This dictionary says how the images of a data set are decoded.

    Keys:
        grey: one channel of ITU-R 601 luma, else red, green and blue.
        image_size: pixels a side for images of several sizes.
        image_column: column of the images; None finds it by its type.
        label_column: column of the labels; None finds it by its type.
        rows: number of rows that each part must have; None for any.
    """

    grey: bool
    image_size: int | None
    image_column: str | None
    label_column: str | None
    rows: Mapping[str, int] | None


@dataclass(frozen=True)
class _Table:
    """One split of a source before it is decoded: its rows, and where to say that they lie."""

    place: str
    features: Features
    num_rows: int
    batches: Callable[[list[str]], Iterator[tuple[str, RecordBatch | Table]]]  # of columns


def from_sklearn() -> tuple[Pixels, str]:
    """Read scikit-learn's handwritten digits: 1,797 images of 8x8 pixels from 0 to 16.

    Returns:
        The pixels, in one part "all", and a description of the source.
    """
    bundle = require("sklearn.datasets", "train").load_digits()
    images = torch.from_numpy(bundle.images.astype(np.uint8))[:, None]
    parts = {"all": Split(images, torch.from_numpy(bundle.target.astype(np.int64)))}
    names = tuple(str(name) for name in bundle.target_names)
    return Pixels(parts, names, hash_pixels(parts)), "scikit-learn, sklearn.datasets.load_digits"


def from_folder(folder: Path, hub: str, options: Decoding) -> tuple[Pixels, str]:
    """Read FOLDER/{train,validation,test}-*.parquet.

    Args:
        folder: the folder of one data set.
        hub: name of the same data set on the hub, for advice.
        options: how images are decoded.

    Returns:
        The pixels and a description of the source.

    Raises:
        InputError: a file is missing, cut or empty, or holds something else.
        MissingExtraError: the extra "train" is not installed.
    """
    require("safetensors", "train")
    advice = f"Put the parquet files of the data set {hub} there, or leave data_dir out."
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder. {advice}")
    wanted = options["rows"] or PARTS
    files = {name: paths for name in wanted if (paths := _shards(folder, name))}
    missing = {"train", *(options["rows"] or ())} - set(files)
    if missing:
        name = min(missing)
        raise InputError(f"{folder / name}-*.parquet: there is no such file. {advice}")
    hashes = {path: _hash_file(path) for paths in files.values() for path in paths}
    source = ", ".join(f"{path.name} sha256:{hashes[path]}" for path in hashes)
    origin = {name: [hashes[path] for path in paths] for name, paths in files.items()}

    def tables() -> dict[str, _Table]:
        return {name: _open_files(paths, hub) for name, paths in files.items()}

    return _cached(origin, options, tables), f"{hub}, from files: {source}"


def from_hub(
    hub: str, subset: str | None, revision: str | None, options: Decoding
) -> tuple[Pixels, str]:
    """Read a data set of the Hugging Face hub.

    Args:
        hub: its name, ``owner/name``.
        subset: its configuration, where it has several.
        revision: a commit, branch or tag; None for the newest.
        options: as for `from_folder`.

    Returns:
        The pixels and a description of the source.

    Raises:
        InputError: the hub cannot be reached or does not give the data set.
    """
    require("safetensors", "train")
    folder = hub.rpartition("/")[2]
    advice = (
        "Check the name and the network; or pass data_dir (--data-dir DIR) with the data set's "
        f"parquet files as DIR/{folder}/train-*.parquet and DIR/{folder}/test-*.parquet."
    )
    commit = revision
    if not (revision and re.fullmatch(r"[0-9a-f]{40}", revision)):
        commit = _newest_commit(hub, revision, advice)

    def download(folder: str) -> dict[str, _Table]:
        datasets = require("datasets", "train")
        log.info("Loading %s from the Hugging Face hub.", hub)
        with _hub_errors(hub, advice):
            found = datasets.load_dataset(hub, subset, revision=commit, cache_dir=folder)
        wanted = options["rows"] or PARTS
        given = {part: name for part in wanted for name in PARTS[part] if name in found}
        missing = {"train", *(options["rows"] or ())} - set(given)
        if missing:
            raise InputError(f"{hub}: there is no split {min(missing)!r} among {sorted(found)}.")
        return {part: _open_dataset(f"{hub} {name}", found[name]) for part, name in given.items()}

    origin = {"hub": hub, "subset": subset, "revision": commit}
    with tempfile.TemporaryDirectory(prefix="adaptrnn-", ignore_cleanup_errors=True) as temporary:
        pixels = _cached(origin, options, lambda: download(temporary))
    return pixels, f"{hub}{f' ({subset})' if subset else ''} at revision {commit}"


def _newest_commit(hub: str, revision: str | None, advice: str) -> str:
    """The commit that a branch or tag stands for now, or stood for when the hub was last seen."""
    question = f"{hub}@{revision}"
    api = require("huggingface_hub", "train").HfApi()
    try:
        with _hub_errors(hub, advice):
            commit = str(api.dataset_info(hub, revision=revision, timeout=20).sha)
    except InputError as error:
        known = cache.recall(question)
        if known is None:
            raise
        log.warning("%s The commit %s, seen before, is used.", error, known)
        return known
    if cache.recall(question) != commit:
        cache.remember(question, commit)
    return commit


def _cached(
    origin: Mapping[str, object],
    options: Decoding,
    tables: Callable[[], Mapping[str, _Table]],
) -> Pixels:
    """The pixels from the cache, or decoded and stored there.

    Images of one size are stored as they are, and `Task.inputs` downsamples exactly; only a data
    set of several sizes is stored at the size asked for.
    """
    size = options["image_size"]
    common = {"origin": origin, **{k: v for k, v in options.items() if k != "image_size"}}
    for stored in (None, size) if size is not None else (None,):
        found = cache.read({**common, "resized": stored})
        if found is not None:
            return found
    pixels, resized = _decode(tables(), options)
    cache.write({**common, "resized": resized}, pixels)
    return pixels


def _decode(tables: Mapping[str, _Table], options: Decoding) -> tuple[Pixels, int | None]:
    """Decode every row of every table.

    Args:
        tables: by name of the part.
        options: how.

    Returns:
        The pixels, and the size to which images had to be brought, or None.
    """
    import datasets

    grey, image_size, rows = options["grey"], options["image_size"], options["rows"]
    columns: list[str] = []
    names: list[str] = []
    for part, table in tables.items():
        image = _column(table, datasets.Image, options["image_column"], "image_column")
        label = _column(table, datasets.ClassLabel, options["label_column"], "label_column")
        classes = list(table.features[label].names)
        if names and classes != names:
            raise InputError(f"{table.place}: its classes are not those of the other splits.")
        columns, names = [image, label], classes
        want = rows[part] if rows and part in rows else None
        if table.num_rows == 0 or want not in (None, table.num_rows):
            expected = "at least one" if want is None else f"{want:,}"
            raise InputError(
                f"{table.place}: it holds {table.num_rows:,} rows and must hold {expected}. "
                "Fetch the file again."
            )
    log.info("Decoding %d images.", sum(table.num_rows for table in tables.values()))
    try:
        parts = _decode_parts(tables, columns, len(names), grey, None)
        resized = None
    except _SeveralSizes as several:
        if image_size is None:
            raise InputError(
                f"{several}. Pass image_size (--image-size) to bring every image to one size."
            ) from None
        parts = _decode_parts(tables, columns, len(names), grey, image_size)
        resized = image_size
    return Pixels(parts, tuple(names), hash_pixels(parts)), resized


class _SeveralSizes(Exception):
    """Two images of a data set differ in their size."""


def _decode_parts(
    tables: Mapping[str, _Table], columns: list[str], classes: int, grey: bool, size: int | None
) -> dict[str, Split]:
    parts: dict[str, Split] = {}
    shape: tuple[int, ...] | None = None
    for part, table in tables.items():
        images: np.ndarray | None = None
        labels = np.empty(table.num_rows, np.int64)
        row = 0
        for place, batch in table.batches(columns):
            labels[row : row + batch.num_rows] = _labels(batch.column(columns[1]), classes, place)
            for item in batch.column(columns[0]).to_pylist():
                pixels = _pixels(item, grey, f"{place}, row {row}")
                if size is not None:
                    pixels = _resize(pixels, size)
                if shape is None:
                    shape = pixels.shape
                if pixels.shape != shape:
                    raise _SeveralSizes(
                        f"{place}, row {row}: an image of {pixels.shape[2]}x{pixels.shape[1]} "
                        f"pixels; the first one has {shape[2]}x{shape[1]}"
                    )
                if images is None:
                    images = np.empty((table.num_rows, *shape), np.uint8)
                images[row] = pixels
                row += 1
        if images is None or row != table.num_rows:
            raise InputError(f"{table.place}: {row} rows read of {table.num_rows}.")
        parts[part] = Split(torch.from_numpy(images), torch.from_numpy(labels))
    return parts


def _pixels(item: dict[str, Any] | None, grey: bool, place: str) -> np.ndarray:
    """One image, (C, H, W) uint8."""
    import datasets
    from PIL.Image import DecompressionBombError

    if item is None:
        raise InputError(f"{place}: there is no image. Fetch the file again.")
    try:
        image = datasets.Image().decode_example(item)
    except (OSError, SyntaxError, ValueError, EOFError, DecompressionBombError) as error:
        raise InputError(
            f"{place}: the image cannot be decoded ({error}). Fetch the file again."
        ) from error
    if image.mode[0] in "IF":  # Pillow would clip, not scale
        raise InputError(f"{place}: the image has more than 8 bits a pixel; bring it to 8 bits.")
    pixels = np.asarray(image.convert("L" if grey else "RGB"))
    return pixels[None] if grey else pixels.transpose(2, 0, 1)


def _resize(pixels: np.ndarray, size: int) -> np.ndarray:
    """Area resampling of one image, rounded to 8 bits."""
    rows, columns = (box_weights(old, size) for old in pixels.shape[1:])
    return np.rint(rows @ pixels @ columns.T).astype(np.uint8)


def _labels(column: Array | ChunkedArray, classes: int, place: str) -> np.ndarray:
    if column.null_count:
        raise InputError(f"{place}: {column.null_count} rows have no label.")
    labels = column.to_numpy()
    wrong = labels[(labels < 0) | (labels >= classes)]
    if len(wrong):
        raise InputError(
            f"{place}: a label is {wrong[0]}; labels must lie in 0 to {classes - 1}, one for each "
            "class name."
        )
    return labels


def _column(table: _Table, kind: type, named: str | None, argument: str) -> str:
    found = [name for name, feature in table.features.items() if isinstance(feature, kind)]
    if named is not None:
        return choose(argument, named, found)
    if len(found) == 1:
        return found[0]
    shown = {name: type(feature).__name__ for name, feature in table.features.items()}
    advice = f"Pass {argument}, one of {found}." if found else "Fetch the file again."
    count = f"{len(found)} columns of type" if found else "no column of type"
    raise InputError(f"{table.place}: it has {count} {kind.__name__} among {shown}. {advice}")


def _open_files(paths: list[Path], hub: str) -> _Table:
    datasets = require("datasets", "train")
    import pyarrow
    import pyarrow.parquet

    @contextmanager
    def named(path: Path) -> Iterator[None]:
        try:
            yield
        except (pyarrow.ArrowException, OSError) as error:
            raise InputError(
                f"{path}: it cannot be read as parquet ({error}). The file is cut or damaged; "
                f"fetch it again (data set {hub})."
            ) from error

    features = None
    num_rows = 0
    for path in paths:
        with named(path), pyarrow.parquet.ParquetFile(path) as file:
            own = datasets.Features.from_arrow_schema(file.schema_arrow)
            num_rows += file.metadata.num_rows
        if features is not None and own != features:
            raise InputError(f"{path}: its columns are not those of {paths[0].name}.")
        features = own

    def batches(columns: list[str]) -> Iterator[tuple[str, RecordBatch | Table]]:
        for path in paths:
            with named(path), pyarrow.parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(BATCH, columns=columns):
                    yield str(path), batch

    return _Table(str(paths[0]), features, num_rows, batches)


def _open_dataset(place: str, rows: Dataset) -> _Table:
    def batches(columns: list[str]) -> Iterator[tuple[str, RecordBatch | Table]]:
        for batch in rows.select_columns(columns).with_format("arrow").iter(BATCH):
            yield place, batch

    return _Table(place, rows.features, len(rows), batches)


def _shards(folder: Path, part: str) -> list[Path]:
    """The parquet files of one part, in order; none of them may be missing."""
    paths = sorted(p for name in PARTS[part] for p in folder.glob(f"{name}-*.parquet"))
    for path in paths:
        found = re.fullmatch(r"(.*)-\d{5}-of-(\d{5})", path.stem)
        if found and int(found[2]) != len(paths):
            wanted = {f"{found[1]}-{i:05d}-of-{found[2]}.parquet" for i in range(int(found[2]))}
            absent = sorted(wanted - {p.name for p in paths})
            advice = "Put it there." if absent else "Files of several versions lie there."
            first = folder / absent[0] if absent else path
            raise InputError(f"{first}: {len(paths)} of {int(found[2])} files found. {advice}")
    return paths


def _hash_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise InputError(f"{path}: it cannot be read ({error}).") from error
    return digest.hexdigest()


@contextmanager
def _hub_errors(hub: str, advice: str) -> Iterator[None]:
    """Turn whatever the hub's libraries raise into one error."""
    try:
        yield
    except Exception as error:  # network, HTTP, parsing, file system: each library has its own
        reason = " ".join(str(error).split())[:400] or type(error).__name__
        allowed = f"a data set that the Hugging Face hub gives ({reason})"
        raise bad("name", hub, allowed, advice) from error
