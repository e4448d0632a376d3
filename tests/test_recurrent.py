"""What layers share: sequences of unequal length, drives that broadcast, autocast."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from adaptrnn import RNN, InputError
from adaptrnn._recurrent import _segments, check_drive, driven, widened

pytestmark = pytest.mark.usefixtures("shapes_checked")

SIZES = st.lists(st.integers(1, 6), min_size=1, max_size=12).map(lambda x: sorted(x, reverse=True))


@given(SIZES)
def test_segments_cover_every_step_once_and_hold_one_batch_size(sizes):
    found = _segments(sizes)
    assert [size for start, stop, size in found for _ in range(start, stop)] == sizes
    assert found[0][0] == 0 and found[-1][1] == len(sizes)
    for left, right in itertools.pairwise(found):
        assert left[1] == right[0] and left[2] > right[2]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.booleans())
def test_a_packed_sequence_is_each_sample_by_itself(lengths, bidirectional):
    rnn = RNN(2, 3, bidirectional=bidirectional, dtype=torch.float64)
    samples = [torch.randn(length, 2, dtype=torch.float64) for length in lengths]
    packed = torch.nn.utils.rnn.pack_sequence(samples, enforce_sorted=False)
    output, state = rnn(packed)
    outputs = torch.nn.utils.rnn.unpack_sequence(output)
    for k, sample in enumerate(samples):
        alone, end = rnn(sample)
        # the same sums in float64, in batches of other sizes
        torch.testing.assert_close(outputs[k], alone, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(state[:, k], end, rtol=1e-12, atol=1e-12)


@given(st.tuples(*[st.integers(1, 3)] * 3), st.lists(st.integers(1, 3), max_size=4))
def test_a_drive_is_taken_if_torch_would_broadcast_it_without_growing(shape, drive):
    current = torch.zeros(shape)
    given_drive = torch.ones(drive)
    try:
        fits = torch.broadcast_shapes(shape, drive) == shape
    except RuntimeError:
        fits = False
    if fits:
        check_drive(given_drive, shape)
        assert torch.equal(driven(current, given_drive), current + 1)
    else:
        with pytest.raises(InputError, match=r"drive\.shape"):
            check_drive(given_drive, shape)


@pytest.mark.parametrize("short", [torch.float16, torch.bfloat16])
def test_short_floats_are_widened_wherever_they_are(short):
    x = torch.ones(2, dtype=short)
    whole, pair, other = widened((x, (x, x.double()), 3), torch.float32)
    assert whole.dtype == pair[0].dtype == torch.float32
    assert pair[1].dtype == torch.float64 and other == 3
