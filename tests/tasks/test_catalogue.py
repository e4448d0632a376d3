"""Splits and permutations: fixed, disjoint, stated; and what of a task's options changes them."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from adaptrnn._error import InputError
from adaptrnn.tasks import PERMUTATION_SEED, load

# Published in docs/reference/built-in-tasks.md. NumPy freezes the stream of
# RandomState, so they hold everywhere.
DIGITS_SPLIT = "8fa60eb765044ce1a32f87da06324612976ae4fbe039ae7e9fe6c7ce42ce1b3e"
PSMNIST_SPLIT = "6d47a01ec64ac86b7b59198e762c02a8fe8f9c8245d63464d0d2403ffd18d4f5"
CIFAR10_SPLIT = "fb30dd44055a2a24b7a40292ca115122b142dba3f73a1b8b1605e47aa96f165e"
PERMUTATIONS = {
    64: "53b93893eca30bb65cad7e3acb0e92e5b94d3d0906c69254b1d38440c0f50301",
    196: "c4e50b70c46de9550e0d3d91d8ce583f9ae1ef189ecf7b87c213f9f3eb56afcb",
    784: "96240fe27409981c3ed3e92c20d995f7103a94c2282307bc776923030113be74",
}


def rows(split) -> list[tuple[bytes, int]]:
    return [
        (image.numpy().tobytes(), int(label))
        for image, label in zip(split.images, split.labels, strict=True)
    ]


# The published permutation


@pytest.mark.parametrize("T", PERMUTATIONS)
def test_the_published_permutation(T):
    permutation = np.random.RandomState(92916).permutation(T).astype("<i8")
    assert hashlib.sha256(permutation.tobytes()).hexdigest() == PERMUTATIONS[T]


def test_permutation_is_published_or_of_a_given_seed():
    task = load("digits")
    published = np.random.RandomState(PERMUTATION_SEED).permutation(64)
    assert np.array_equal(task.permutation, published)
    assert task.permutation_hash == PERMUTATIONS[64]
    other = load("digits", permutation_seed=3)
    assert np.array_equal(other.permutation, np.random.RandomState(3).permutation(64))
    assert other.permutation_hash != task.permutation_hash
    assert other.split_hash == task.split_hash
    plain = load("digits", permuted=False)
    assert plain.permutation is None and plain.permutation_hash is None
    images = task.test.images[:4]
    assert torch.equal(task.inputs(images), plain.inputs(images)[task.permutation])


# digits


def test_digits_are_split_once_and_for_all():
    task = load("digits")
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002  (the point: it must not matter)
    again = load("digits")
    for split in ("train", "validation", "test"):
        assert torch.equal(getattr(task, split).images, getattr(again, split).images)
    assert task.split_hash == again.split_hash == DIGITS_SPLIT


def test_digits_are_all_there_once_and_in_proportion():
    from sklearn.datasets import load_digits

    task = load("digits")
    splits = (task.train, task.validation, task.test)
    assert [len(split) for split in splits] == [1079, 359, 359]
    bundle = load_digits()
    want = [
        (image.astype(np.uint8).tobytes(), int(label))
        for image, label in zip(bundle.images, bundle.target, strict=True)
    ]
    assert sorted(row for split in splits for row in rows(split)) == sorted(want)
    whole = np.bincount(bundle.target)
    for split, part in zip(splits, (0.6, 0.2, 0.2), strict=True):
        # A fifth of a class, rounded, is off by at most half an image; the rest by twice that.
        assert np.abs(np.bincount(split.labels) - part * whole).max() <= 1
    assert task.maximum == 16 == int(task.train.images.max())


def test_train_size_takes_the_first_and_leaves_the_rest():
    task, small = load("digits"), load("digits", train_size=100)
    assert torch.equal(small.train.images, task.train.images[:100])
    assert torch.equal(small.train.labels, task.train.labels[:100])
    for split in ("validation", "test"):
        assert torch.equal(getattr(small, split).images, getattr(task, split).images)
    assert small.split_hash != task.split_hash
    assert small.data_hash == task.data_hash
    assert load("digits", train_size=1079).split_hash == task.split_hash


def test_digits_downsampled():
    task = load("digits", image_size=4)
    assert task.sequence_length == 16
    x = task.inputs(task.test.images)
    means = task.test.images.double().mean((1, 2, 3)) / 16
    # Sixteen float32 numbers are summed.
    torch.testing.assert_close(x.double().mean((0, 2)), means, rtol=1e-6, atol=0)


# Data sets of the hub


def test_a_tenth_is_for_validation_and_the_rest_is_shuffled(tiny, random_images):
    task = load("owner/tiny", tiny)
    assert [len(s) for s in (task.train, task.validation, task.test)] == [18, 2, 7]
    train, test = random_images(20, seed=1), random_images(7, seed=2)
    assert rows(task.test) == [(image.tobytes(), i % 3) for i, image in enumerate(test)]
    both = rows(task.train) + rows(task.validation)
    want = [(image.tobytes(), i % 3) for i, image in enumerate(train)]
    assert sorted(both) == sorted(want)
    assert both != want  # shuffled


def test_own_validation_images_are_kept(tiny, random_images, write_parquet):
    write_parquet(tiny / "tiny/validation-00000-of-00001.parquet", random_images(4, seed=3))
    task = load("owner/tiny", tiny)
    assert [len(s) for s in (task.train, task.validation, task.test)] == [20, 4, 7]
    assert rows(task.validation)[0][0] == random_images(4, seed=3)[0].tobytes()


def test_validation_images_stand_in_for_a_missing_test(tiny):
    (tiny / "tiny/test-00000-of-00001.parquet").rename(tiny / "tiny/valid-00000-of-00001.parquet")
    task = load("owner/tiny", tiny)
    assert [len(s) for s in (task.train, task.validation, task.test)] == [18, 2, 7]


def test_one_part_alone_is_cut_in_three(tiny):
    (tiny / "tiny/test-00000-of-00001.parquet").unlink()
    task = load("owner/tiny", tiny)
    assert [len(s) for s in (task.train, task.validation, task.test)] == [14, 2, 4]
    both = rows(task.train) + rows(task.validation) + rows(task.test)
    assert len(set(both)) == 20


def test_kind_colour_and_order_are_options(tiny):
    task = load("owner/tiny", tiny)
    assert (task.kind, task.input_size, task.sequence_length) == ("sequence", 1, 30)
    assert task.permutation is None
    colour = load("owner/tiny", tiny, grey=False, permuted=True)
    assert (colour.input_size, len(colour.permutation)) == (3, 30)
    images = load("owner/tiny", tiny, kind="image")
    assert images.inputs(images.test.images).shape == (7, 3, 6, 5)
    assert task.split_hash == colour.split_hash == images.split_hash


# Wrong arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "psmnst"}, "Did you mean 'psmnist'.*owner/name"),
        ({"name": "a/b/c"}, "owner/name"),
        ({"name": "digits", "kind": "sequnce"}, "Did you mean 'sequence'"),
        ({"name": "digits", "image_size": 0}, "image_size=0"),
        ({"name": "digits", "image_size": 9}, "image_size=9: must be at most 8"),
        ({"name": "digits", "image_size": 2.5}, "image_size=2.5"),
        ({"name": "digits", "train_size": 0}, "train_size=0"),
        ({"name": "digits", "train_size": 1080}, "train_size=1080: must be at most 1079"),
        ({"name": "digits", "permutation_seed": -1}, "permutation_seed=-1"),
        ({"name": "digits", "permuted": False, "permutation_seed": 1}, "permutation_seed=1"),
        ({"name": "digits", "kind": "image", "permuted": True}, "permuted=True"),
        ({"name": "digits", "grey": False}, "grey=False"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        load(**arguments)


# Real data


@pytest.fixture
def real(data_dir, real_cache, monkeypatch):
    monkeypatch.setenv("ADAPTRNN_CACHE", str(real_cache))
    return data_dir


@pytest.mark.long
def test_psmnist(real):
    task = load("psmnist", real)
    assert [len(s) for s in (task.train, task.validation, task.test)] == [50_000, 10_000, 10_000]
    assert task.split_hash == PSMNIST_SPLIT
    assert task.permutation_hash == PERMUTATIONS[784]
    # Counts of the digits in MNIST's training and test sets, as published with it.
    train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    test = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert torch.cat([task.train.labels, task.validation.labels]).bincount().tolist() == train
    assert task.test.labels.bincount().tolist() == test
    x = task.inputs(task.test.images[:100])
    assert x.shape == (784, 100, 1)
    assert x.min() == 0 and x.max() == 1
    # The mean pixel of MNIST's training images is 0.1307.
    pixels = torch.cat([task.train.images, task.validation.images])
    assert abs(pixels.double().mean().item() / 255 - 0.1307) < 5e-5

    small = load("psmnist", real, image_size=14, train_size=5000)
    assert (small.sequence_length, len(small.train)) == (196, 5000)
    assert small.permutation_hash == PERMUTATIONS[196]
    assert torch.equal(small.train.images, task.train.images[:5000])


@pytest.mark.slow
def test_scifar10(real):
    grey, colour = load("scifar10", real), load("scifar10-conv", real)
    for task in (grey, colour):
        splits = (task.train, task.validation, task.test)
        assert [len(split) for split in splits] == [45_000, 5_000, 10_000]
        counts = torch.cat([task.train.labels, task.validation.labels]).bincount()
        assert counts.tolist() == [5000] * 10
        assert task.test.labels.bincount().tolist() == [1000] * 10
        assert task.class_names[3] == "cat"
        assert task.split_hash == CIFAR10_SPLIT
    x = grey.inputs(grey.test.images[:50])
    assert x.shape == (1024, 50, 1)
    z = colour.inputs(colour.test.images[:50])
    assert z.shape == (50, 3, 32, 32)
    # Luma of ITU-R 601, row by row, rounded to 8 bits once (half a step, and float32).
    luma = torch.einsum("c,bchw->bhw", torch.tensor([0.299, 0.587, 0.114]), z)
    assert (x[..., 0] - luma.flatten(1).T).abs().max() < 0.51 / 255
