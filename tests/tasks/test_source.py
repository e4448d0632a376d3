"""Reading: exact pixels, and one clear error, naming the file, for whatever is wrong with it."""

from __future__ import annotations

import re
import types

import numpy as np
import pytest
import torch

from adaptrnn._error import InputError
from adaptrnn.tasks import load

TRAIN = "tiny/train-00000-of-00001.parquet"
TEST = "tiny/test-00000-of-00001.parquet"


def pixels(task) -> list[np.ndarray]:
    """Training images in the order of their file: the labels of these tests are row numbers."""
    both = torch.cat([task.train.images, task.validation.images])
    labels = torch.cat([task.train.labels, task.validation.labels])
    return [both[i].numpy() for i in labels.argsort()]


@pytest.fixture
def write_numbered(tmp_path, write_parquet):
    """(images) -> DATA_DIR of owner/tiny whose training labels number the rows."""

    def write(images):
        classes = tuple(map(str, range(len(images))))
        write_parquet(tmp_path / "data" / TRAIN, images, list(range(len(images))), classes)
        write_parquet(tmp_path / "data" / TEST, images[:2], [0, 1], classes)
        return tmp_path / "data"

    return write


# Pixels


def test_grey_images_are_read_exactly(write_numbered, random_images):
    images = random_images(12)
    task = load("owner/tiny", write_numbered(images))
    for got, want in zip(pixels(task), images, strict=True):
        assert np.array_equal(got, want[None])


def test_colours_are_read_exactly_and_grey_is_their_luma(write_numbered, random_images):
    images = random_images(12, (6, 5, 3))
    folder = write_numbered(images)
    for got, want in zip(pixels(load("owner/tiny", folder, grey=False)), images, strict=True):
        assert np.array_equal(got, want.transpose(2, 0, 1))
    for got, want in zip(pixels(load("owner/tiny", folder)), images, strict=True):
        # ITU-R 601: 0.299 R + 0.587 G + 0.114 B, rounded; weights of 16 bits add at most .01.
        assert np.abs(got[0] - want @ [0.299, 0.587, 0.114]).max() <= 0.51


def test_other_forms_of_image_file(write_numbered, random_images, encode):
    images = random_images(10, (6, 5, 3))
    files = [encode(image, form) for image, form in zip(images, ["PNG", "BMP"] * 5, strict=True)]
    for got, want in zip(
        pixels(load("owner/tiny", write_numbered(files), grey=False)), images, strict=True
    ):
        assert np.array_equal(got, want.transpose(2, 0, 1))


def test_shards_are_read_in_order(tmp_path, write_parquet, random_images):
    images = random_images(12)
    classes = tuple(map(str, range(12)))
    for i in range(3):
        path = tmp_path / f"data/tiny/train-0000{i}-of-00003.parquet"
        write_parquet(path, images[4 * i : 4 * i + 4], list(range(4 * i, 4 * i + 4)), classes)
    write_parquet(tmp_path / "data" / TEST, images[:1], [0], classes)
    task = load("owner/tiny", tmp_path / "data")
    for got, want in zip(pixels(task), images, strict=True):
        assert np.array_equal(got, want[None])


def test_images_of_several_sizes_need_a_size(write_numbered, random_images):
    images = [*random_images(9, (6, 6)), *random_images(3, (4, 8))]
    folder = write_numbered(images)
    with pytest.raises(InputError, match=r"train-.*row 9: an image of 8x4 .* 6x6.*image_size"):
        load("owner/tiny", folder)
    task = load("owner/tiny", folder, image_size=2)
    assert task.sequence_length == 4
    for got, want in zip(pixels(task), images, strict=True):
        height, width = want.shape
        means = want.reshape(2, height // 2, 2, width // 2).astype(float).mean((1, 3))
        assert np.abs(got[0] - means).max() <= 0.5  # rounded to 8 bits


def test_one_image_of_another_size_in_the_test_counts_too(tiny, write_parquet, random_images):
    write_parquet(tiny / TEST, random_images(2, (9, 9)))
    with pytest.raises(InputError, match=r"test-.*row 0: an image of 9x9"):
        load("owner/tiny", tiny)


def test_the_source_names_each_file_and_its_hash(tiny):
    import hashlib

    source = load("owner/tiny", tiny).source
    for name in (TRAIN, TEST):
        assert hashlib.sha256((tiny / name).read_bytes()).hexdigest() in source
        assert (tiny / name).name in source


def test_columns_may_be_named(tiny, write_parquet, random_images):
    import datasets

    coarse = datasets.ClassLabel(names=["x", "y"])
    for name, n in ((TRAIN, 10), (TEST, 4)):
        more = {"coarse": (coarse, [1] * n)}
        write_parquet(tiny / name, random_images(n), more=more)
    with pytest.raises(InputError, match=r"2 columns.*ClassLabel.*label_column.*coarse"):
        load("owner/tiny", tiny)
    task = load("owner/tiny", tiny, label_column="coarse")
    assert task.class_names == ("x", "y") and task.test.labels.tolist() == [1] * 4
    with pytest.raises(InputError, match=r"label_column='corse'.*Did you mean 'coarse'"):
        load("owner/tiny", tiny, label_column="corse")
    with pytest.raises(InputError, match=r"image_column='label'.*one of 'image'"):
        load("owner/tiny", tiny, image_column="label")


# Files that are not what they should be


def refused(folder, message, name="owner/tiny", **options):
    with pytest.raises(InputError, match=message):
        load(name, folder, **options)


def test_missing_folder_file_and_shard(tiny, tmp_path):
    refused(tmp_path / "nowhere", r"nowhere/tiny: there is no such folder.*owner/tiny")
    refused(tiny, r"data/other: there is no such folder", "owner/other")
    (tiny / TRAIN).rename(tiny / "tiny/train-00001-of-00002.parquet")
    refused(tiny, r"train-00000-of-00002.parquet: 1 of 2 files")
    (tiny / "tiny/train-00001-of-00002.parquet").unlink()
    refused(tiny, r"tiny/train-\*.parquet: there is no such file")


def test_a_task_with_stated_sizes_needs_all_its_images(tmp_path, write_parquet, random_images):
    path = write_parquet(tmp_path / "mnist/train-00000-of-00001.parquet", random_images(9))
    refused(tmp_path, r"mnist/test-\*.parquet: there is no such file.*ylecun/mnist", "psmnist")
    write_parquet(tmp_path / "mnist/test-00000-of-00001.parquet", random_images(9))
    refused(tmp_path, rf"{path}: it holds 9 rows and must hold 60,000", "psmnist")


@pytest.mark.parametrize("name", [TRAIN, TEST])
def test_empty_cut_and_foreign_files(tiny, name):
    path = tiny / name
    whole = path.read_bytes()
    for content in (b"", whole[: len(whole) // 2], whole[:-1], b"<html>not found</html>"):
        path.write_bytes(content)
        refused(tiny, rf"^{re.escape(str(path))}: it cannot be read as parquet.*fetch it again")


def test_damage_inside_a_file_is_found_or_harmless(tiny):
    """Every byte of the first half overwritten in turn: an error that names the file, or data."""
    path = tiny / TRAIN
    whole = path.read_bytes()
    outcomes = set()
    for place in range(0, len(whole) // 2, 97):
        path.write_bytes(whole[:place] + b"\xff" * 40 + whole[place + 40 :])
        try:
            load("owner/tiny", tiny)
        except InputError as error:
            assert str(error).startswith(str(path))
            outcomes.add("refused")
        else:
            outcomes.add("read")
    assert "refused" in outcomes


def test_no_rows(tiny, write_parquet):
    write_parquet(tiny / TEST, [], [])
    refused(tiny, r"test-.*holds 0 rows and must hold at least one")


def test_wrong_columns(tiny, encode, random_images):
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = [encode(image) for image in random_images(4)]
    pq.write_table(pa.table({"picture": files, "digit": [0, 1, 2, 0]}), tiny / TRAIN)
    refused(tiny, r"train-.*no column of type Image among .*'picture'")


def test_splits_that_do_not_belong_together(tiny, write_parquet, random_images):
    write_parquet(tiny / TEST, random_images(4), classes=("b", "a", "c"))
    refused(tiny, r"test-.*classes are not those of the other splits")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 3, 0], r"a label is 3; labels must lie in 0 to 2"),
        ([0, 1, -1, 0], r"a label is -1; labels must lie in 0 to 2"),
        ([0, None, 1, 0], r"1 rows have no label"),
    ],
)
def test_wrong_labels(tiny, write_parquet, random_images, labels, message):
    write_parquet(tiny / TEST, random_images(4), labels)
    refused(tiny, rf"test-.*{message}")


def test_wrong_images(tiny, write_parquet, random_images, encode):
    good = random_images(3)
    cut = encode(random_images(1, (60, 50))[0])[:-900]
    deep = encode(np.zeros((6, 5), np.uint16))
    for image, message in (
        (b"no image", r"cannot be decoded"),
        (cut, r"cannot be decoded"),
        (None, r"there is no image"),
        (deep, r"more than 8 bits"),
    ):
        write_parquet(tiny / TEST, [*good, image])
        refused(tiny, rf"test-.*row 3: .*{message}")


# The hub, played by local files


@pytest.fixture
def hub(tiny, monkeypatch):
    """A hub that holds owner/tiny at one commit; `.calls` counts what is asked of it."""
    import datasets
    import huggingface_hub

    state = types.SimpleNamespace(calls=[], reachable=True, commit="1" * 40)

    def dataset_info(self, name, *, revision=None, timeout=None):
        state.calls.append("info")
        if not state.reachable or name != "owner/tiny":
            raise ConnectionError("no route to host")
        return types.SimpleNamespace(sha=state.commit)

    def load_dataset(name, subset, *, revision, cache_dir):
        state.calls.append("load")
        assert (name, revision) == ("owner/tiny", state.commit)
        files = {"train": str(tiny / TRAIN), "test": str(tiny / TEST)}
        return datasets.DatasetDict(
            {
                split: datasets.Dataset.from_parquet(path, cache_dir=cache_dir)
                for split, path in files.items()
            }
        )

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", dataset_info)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return state


def test_the_hub_gives_the_same_as_its_files(hub, tiny):
    got, want = load("owner/tiny"), load("owner/tiny", tiny)
    assert got.data_hash == want.data_hash
    assert got.split_hash == want.split_hash
    assert got.source == f"owner/tiny at revision {'1' * 40}"


def test_the_hub_is_asked_for_data_once(hub):
    first = load("owner/tiny")
    second = load("owner/tiny", permuted=True)
    assert hub.calls == ["info", "load", "info"]
    assert first.data_hash == second.data_hash
    hub.reachable = False  # what is in the cache needs no network
    assert load("owner/tiny").source == first.source
    assert load("owner/tiny", revision="1" * 40).data_hash == first.data_hash
    assert hub.calls == ["info", "load", "info", "info"]


def test_a_new_commit_is_loaded_anew(hub):
    load("owner/tiny")
    hub.commit = "2" * 40
    assert load("owner/tiny").source.endswith("2" * 40)
    assert hub.calls == ["info", "load"] * 2


def test_a_hub_out_of_reach_says_to_pass_data_dir(hub):
    hub.reachable = False
    with pytest.raises(
        InputError, match=r"owner/tiny.*no route to host.*--data-dir.*DIR/tiny/train"
    ):
        load("owner/tiny")
    with pytest.raises(InputError, match=r"ylecun/mnist.*--data-dir.*DIR/mnist/train"):
        load("psmnist")


def test_a_failing_download_says_so(hub, monkeypatch):
    import datasets

    def load_dataset(*args, **kwargs):
        raise ValueError("Config name is missing.\nPick one of ['x', 'y']")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(InputError, match=r"owner/tiny.*Pick one of \['x', 'y'\]"):
        load("owner/tiny")
