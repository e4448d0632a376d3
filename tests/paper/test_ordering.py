"""Which model comes first: planted means, pairs by seed, and what a missing number does."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptrnn.paper.ordering import (
    best_model,
    drop_missing,
    image_note,
    lead,
    lead_over_next,
    leads,
    mean_note,
    paired_difference,
)

MODELS = ["relu", "gamma", "arun"]
NUMBERS = st.lists(st.floats(-100, 100), min_size=9, max_size=9)


def table(numbers) -> xr.DataArray:
    rows = {"model": MODELS, "seed": [0, 1, 2]}
    return xr.DataArray(np.reshape(numbers, (3, 3)), coords=rows, dims=("model", "seed"))


@given(NUMBERS)
@settings(deadline=None)
def test_a_difference_is_paired_by_seed_and_changes_its_sign(numbers):
    values = table(numbers)
    one, other = (
        paired_difference(values, "arun", "relu"),
        paired_difference(values, "relu", "arun"),
    )
    np.testing.assert_array_equal(one, -other)
    # seeds in another order are the same pairs
    turned = paired_difference(values.isel(seed=[2, 0, 1]), "arun", "relu").sortby("seed")
    np.testing.assert_array_equal(one, turned)


@given(NUMBERS)
@settings(deadline=None)
def test_the_best_has_the_best_mean(numbers):
    values = table(numbers)
    means = {model: float(values.sel(model=model).mean()) for model in MODELS}
    for better in (min, max):
        best = means[best_model(values, MODELS, better)]
        # a mean over one axis of a table may add in another order
        assert best == pytest.approx(better(means.values()), abs=1e-12)


def test_the_best_is_unknown_where_one_has_no_number():
    values = table(range(9)).where(lambda v: v.model != "gamma")
    assert best_model(values, MODELS, max) is None
    assert best_model(values, ["relu", "arun"], max) == "arun"
    assert lead_over_next("arun", ["relu", "gamma"], values, max, "accuracy").holds == "no data"
    assert lead_over_next("arun", ["relu"], values, max, "accuracy").holds == "yes"


@pytest.mark.parametrize(("better", "holds"), [(max, "yes"), (min, "no")])
def test_a_lead_holds_in_the_direction_that_is_good(better, holds):
    """ARUN is 6 above ReLU in every seed, but for what seeds differ."""
    values = table([1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 7.1, 8.0, 8.9])
    found = lead("arun", "relu", values, better, "quantity")
    assert found.holds == holds
    assert found.number == ("+6.0 pp" if better is max else "-6.0 pp")
    assert [p.holds for p in leads("arun", ["relu", "gamma"], values, better, "")] == [holds] * 2


def test_a_model_that_is_not_in_the_table_has_no_data():
    assert lead("gru", "relu", table(range(9)), max, "accuracy").holds == "no data"


def test_only_what_has_numbers_is_kept_and_said():
    values = table(range(9)).where(lambda v: v.model == "arun")
    data = xr.Dataset({"a": values.expand_dims(role=["psmnist", "scifar10"])})
    data = data.where(data.role == "psmnist")
    kept = drop_missing(data)
    assert (kept.role.values.tolist(), kept.model.values.tolist()) == (["psmnist"], ["arun"])
    assert mean_note("The mean", values, ".0f") == "The mean is 7 for ARUN."
    assert not mean_note("The mean", values.where(False)) and not image_note(values.where(False))


@given(st.integers(1, 10**6))
@settings(deadline=None)
def test_the_greatest_error_of_an_accuracy_is_that_of_a_half(count):
    """sqrt(p (1 - p) / n) is greatest at p = 1/2."""
    said = float(image_note(xr.DataArray([float(count), 1e7])).split()[-3])
    assert said == pytest.approx(100 * np.sqrt(0.25 / count), abs=0.051)  # one digit is said
