"""The cache: read instead of decoding, never believed when damaged, never half written."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from adaptrnn.tasks import cache, load, source


@pytest.fixture
def decodings(monkeypatch) -> list[str]:
    """Grows by one for each time that images are decoded."""
    calls: list[str] = []
    decode = source._decode

    def counted(*args, **kwargs):
        calls.append("decoded")
        return decode(*args, **kwargs)

    monkeypatch.setattr(source, "_decode", counted)
    return calls


def stored(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.safetensors"))


def same(a, b) -> bool:
    return a.split_hash == b.split_hash and all(
        torch.equal(getattr(a, s).images, getattr(b, s).images)
        for s in ("train", "validation", "test")
    )


def test_images_are_decoded_once(tiny, cache_dir, decodings):
    first = load("owner/tiny", tiny)
    for options in ({}, {"image_size": 3}, {"permuted": True}, {"train_size": 5}):
        load("owner/tiny", tiny, **options)
    assert len(decodings) == len(stored(cache_dir)) == 1
    assert same(load("owner/tiny", tiny), first)
    load("owner/tiny", tiny, grey=False)  # other pixels
    assert len(decodings) == len(stored(cache_dir)) == 2


def test_resized_images_have_their_own_entry(tiny, decodings, write_parquet, random_images):
    path = tiny / "tiny/train-00000-of-00001.parquet"
    write_parquet(path, [*random_images(9, (6, 5)), *random_images(3, (7, 8))])
    sizes = [load("owner/tiny", tiny, image_size=n).image_shape for n in (2, 4, 2, 4)]
    assert sizes == [(1, 2, 2), (1, 4, 4)] * 2
    assert len(decodings) == 2


def test_the_key_is_the_content_not_the_name(
    tiny, tmp_path, decodings, write_parquet, random_images
):
    first = load("owner/tiny", tiny)
    tiny.rename(tmp_path / "moved")
    assert same(load("owner/tiny", tmp_path / "moved"), first)
    assert len(decodings) == 1
    path = tmp_path / "moved/tiny/test-00000-of-00001.parquet"
    write_parquet(path, random_images(7, seed=5))
    other = load("owner/tiny", tmp_path / "moved")
    assert len(decodings) == 2 and not same(other, first)


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "foreign", "header"])
def test_a_damaged_entry_is_built_anew(tiny, cache_dir, decodings, damage, caplog):
    first = load("owner/tiny", tiny)
    (path,) = stored(cache_dir)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-1000] ^= 1  # a pixel or a label
    content = {
        "empty": b"",
        "cut": whole[:-10],
        "flipped": bytes(flipped),
        "foreign": b"something else",
        "header": whole.replace(b"data_hash", b"data_hush"),
    }[damage]
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        again = load("owner/tiny", tiny)
    assert same(again, first) and len(decodings) == 2
    assert "damaged" in caplog.text and str(path) in caplog.text
    assert path.read_bytes() == whole


def test_an_interrupted_write_leaves_nothing(tiny, cache_dir, monkeypatch):
    def interrupted(handle):  # the content is written, but not yet in its place
        assert [path for path in cache_dir.rglob("*") if path.is_file()]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load("owner/tiny", tiny)
    assert not [path for path in cache_dir.rglob("*") if path.is_file()]


def test_a_folder_that_cannot_be_written_is_no_obstacle(tiny, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ADAPTRNN_CACHE", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING):
        load("owner/tiny", tiny)
    assert "Set ADAPTRNN_CACHE" in caplog.text


def test_where_the_cache_lies(monkeypatch, tmp_path):
    monkeypatch.setenv("ADAPTRNN_CACHE", str(tmp_path / "own"))
    assert cache.cache_folder() == tmp_path / "own"
    monkeypatch.delenv("ADAPTRNN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.cache_folder() == tmp_path / "xdg/adaptrnn"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_folder() == tmp_path / ".cache/adaptrnn"


def test_reading_files_leaves_nothing_but_the_cache(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    before = {path for path in tmp_path.rglob("*") if "cache" not in path.parts}
    load("owner/tiny", tiny)
    assert {path for path in tmp_path.rglob("*") if "cache" not in path.parts} == before
