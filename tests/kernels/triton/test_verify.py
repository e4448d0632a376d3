"""The self-check of the kernels for GPUs, with numbers that are planted; no GPU is needed."""

from __future__ import annotations

import pytest
import torch

from adaptrnn.kernels.triton import verify

CPU = torch.device("cpu")


@pytest.fixture
def compare(monkeypatch):
    """Give it errors by name; it counts how often these are asked for."""
    monkeypatch.setenv(verify.SWITCH, "1")
    verify.measure.cache_clear()

    def planted(device, precision, *size):
        planted.calls.append((precision, *size))
        return planted.errors

    planted.calls, planted.errors = [], {"rates": 1e-6, "gradient of n": 1e-5}
    yield planted
    verify.measure.cache_clear()


def test_once_for_each_precision_and_size(compare):
    for precision, size in (("tf32x3", 2), ("tf32x3", 2), ("tf32", 2), ("tf32", 3), ("tf32", 2)):
        verify.once(compare, CPU, precision, size)
    assert compare.calls == [("tf32x3", 2), ("tf32", 2), ("tf32", 3)]


@pytest.mark.parametrize("wrong", [2e-4, 1.0, float("nan")])
def test_a_wrong_number_is_named_and_never_remembered_as_right(compare, wrong):
    compare.errors["gradient of n"] = wrong
    for _ in range(2):
        with pytest.raises(verify.KernelError, match="gradient of n") as error:
            verify.once(compare, CPU, "tf32x3")
        assert "rates" not in str(error.value).partition("allowed:")[2]
    assert len(compare.calls) == 2
    # an error that tf32 may have, and tf32x3 may not
    if wrong < verify.LIMITS["tf32"]:
        verify.once(compare, CPU, "tf32")


def test_it_is_switched_off_by_the_environment(compare, monkeypatch):
    monkeypatch.setenv(verify.SWITCH, "0")
    compare.errors["rates"] = 1.0
    verify.once(compare, CPU, "tf32x3")
    assert not compare.calls


def test_gradients_and_errors_of_a_linear_function():
    draw = verify.normal(3)
    a, b = draw(4), draw(4)
    results, slopes, factors = verify.differentiate(lambda x, y: (2 * x + y,), [a, b], draw)
    assert torch.equal(results[0], 2 * a + b)
    assert torch.equal(slopes[0], 2 * factors[0]) and torch.equal(slopes[1], factors[0])
    found = verify.errors(["a", "b"], [1.25 * a, b.float()], [a, b])
    assert found["a"] == pytest.approx(0.25, rel=1e-12)
    assert 0 < found["b"] < 1e-7  # a rounding to float32 is at most 6e-8 of a number
