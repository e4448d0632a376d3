"""A cache of its own for every test, and data sets small enough to be written by one."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def real_cache(tmp_path_factory) -> Path:
    """One cache for all tests on real data, so that each data set is decoded once."""
    return tmp_path_factory.mktemp("real-cache")


@pytest.fixture(autouse=True)
def cache_dir(tmp_path, monkeypatch) -> Path:
    """An empty cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("ADAPTRNN_CACHE", str(folder))
    return folder


def _encode(pixels: np.ndarray, form: str = "PNG") -> bytes:
    """An (H, W) or (H, W, 3) array as an image file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form)
    return file.getvalue()


def _random_images(n: int, shape: tuple[int, ...] = (6, 5), seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 256, shape).astype(np.uint8) for _ in range(n)]


def _write_parquet(
    path: Path,
    images: list[np.ndarray | bytes | None],
    labels: list[int | None] | None = None,
    classes: tuple[str, ...] = ("a", "b", "c"),
    more: dict | None = None,
) -> Path:
    """Images (arrays or encoded) and labels as the hub's parquet files hold them."""
    import datasets
    import pyarrow as pa
    import pyarrow.parquet as pq

    if labels is None:
        labels = [i % len(classes) for i in range(len(images))]
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=list(classes))}
    columns = {
        "image": [
            None
            if x is None
            else {"bytes": x if isinstance(x, bytes) else _encode(x), "path": None}
            for x in images
        ],
        "label": labels,
    }
    for name, (feature, values) in (more or {}).items():
        features[name], columns[name] = feature, values
    schema = datasets.Features(features).arrow_schema
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns, schema=schema), path)
    return path


@pytest.fixture
def encode():
    """(array, form) -> bytes of an image file."""
    return _encode


@pytest.fixture
def random_images():
    """(n, shape, seed) -> a list of arrays."""
    return _random_images


@pytest.fixture
def write_parquet():
    """(path, images, labels, classes, more) -> path."""
    return _write_parquet


@pytest.fixture
def tiny(tmp_path) -> Path:
    """DATA_DIR of the data set owner/tiny: 20 and 7 grey images of 5 x 6 pixels, 3 classes."""
    _write_parquet(tmp_path / "data/tiny/train-00000-of-00001.parquet", _random_images(20, seed=1))
    _write_parquet(tmp_path / "data/tiny/test-00000-of-00001.parquet", _random_images(7, seed=2))
    return tmp_path / "data"
