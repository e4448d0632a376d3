"""What a network reads of a batch of images: order, scale, area averaging."""

from __future__ import annotations

import json

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from adaptrnn._error import InputError
from adaptrnn.tasks import ImageTask, Split, downsample, load
from adaptrnn.tasks.image import box_weights


def make(
    kind="sequence", shape=(3, 6, 5), permutation=None, image_size=None, maximum=255
) -> ImageTask:
    images = torch.randint(0, maximum + 1, (9, *shape), dtype=torch.uint8)
    split = Split(images, torch.arange(9))
    return ImageTask(
        name="made",
        kind=kind,
        train=split,
        validation=split,
        test=split,
        class_names=tuple("abcdefghi"),
        maximum=maximum,
        image_size=image_size,
        permutation=permutation,
        split_hash="",
        permutation_hash=None,
        data_hash="",
        source="",
    )


@pytest.mark.parametrize("permuted", [False, True])
def test_step_t_is_pixel_permutation_t(permuted):
    permutation = torch.randperm(30) if permuted else None
    task = make(permutation=permutation)
    images = task.train.images
    x = task.inputs(images)
    assert x.shape == (task.sequence_length, 9, task.input_size) == (30, 9, 3)
    assert x.dtype == torch.float32 and x.is_contiguous()
    for t in range(30):
        i, j = divmod(int(permutation[t]) if permuted else t, 5)
        assert torch.equal(x[t], images[:, :, i, j].float() / 255)


def test_images_stay_images():
    task = make("image", maximum=16)
    x = task.inputs(task.test.images)
    assert torch.equal(x, task.test.images.float() / 16)
    assert task.sequence_length is None
    assert task.input_size == 3


def test_sizes_follow_the_downsampling():
    task = make(shape=(1, 8, 8), image_size=4, permutation=torch.randperm(16))
    assert (task.image_shape, task.sequence_length) == ((1, 4, 4), 16)
    x = task.inputs(task.train.images)
    means = task.train.images.double().unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2)).flatten(2)
    want = means[..., task.permutation].permute(2, 0, 1) / 255
    # A mean of four integers is exact in float32; the division rounds once.
    assert torch.equal(x, want.float())


@settings(deadline=None)
@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    size=st.integers(1, 12),
    seed=st.integers(0, 99),
)
def test_downsampling_is_the_mean_over_each_square(height, width, size, seed):
    images = np.random.default_rng(seed).integers(0, 256, (2, 1, height, width), dtype=np.uint8)
    if size > min(height, width):
        with pytest.raises(InputError, match="image_size"):
            downsample(torch.from_numpy(images), size)
        return
    # With every pixel repeated size x size times, each square holds whole pixels only.
    fine = images.repeat(size, axis=2).repeat(size, axis=3).astype(np.float64)
    want = fine.reshape(2, 1, size, height, size, width).mean((3, 5))
    got = downsample(torch.from_numpy(images), size)
    assert got.shape == (2, 1, size, size)
    # float32: weights, products and sums over at most 12 x 12 pixels, 30 roundings of 6e-8.
    np.testing.assert_allclose(got, want, rtol=2e-6)
    # Every pixel counts by its area: the mean over the image is kept.
    np.testing.assert_allclose(got.mean((2, 3)), images.mean((2, 3)), rtol=4e-6)


@given(old=st.integers(1, 40), new=st.integers(1, 40))
def test_box_weights_share_out_every_pixel(old, new):
    weights = box_weights(old, new)
    assert weights.shape == (new, old) and (weights >= 0).all()
    # Sums of at most 40 numbers of size <= 1 in float64.
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-14)
    np.testing.assert_allclose(weights.sum(0), new / old, rtol=1e-13)
    assert (weights > 0).sum() <= old + new - 1  # as many pieces as cuts allow


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(2, 3, 6, 5),
        torch.zeros(2, 1, 6, 5, dtype=torch.uint8),
        torch.zeros(3, 6, 5, dtype=torch.uint8),
    ],
)
def test_other_images_are_refused(images):
    with pytest.raises(InputError, match=r"images=.*\(B, 3, 6, 5\)"):
        make().inputs(images)


def test_the_description_is_plain():
    facts = load("digits", train_size=100).describe()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["train_size"] == 100
    assert facts["image_shape"] == [1, 8, 8]
    assert facts["sequence_length"] == 64
