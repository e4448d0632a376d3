"""Tests and intervals against exact small cases, scipy, and their own promises of coverage."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from scipy import stats

from adaptrnn._error import InputError
from adaptrnn.analysis.statistic import (
    correlation,
    holm,
    interval,
    paired_test,
    stars,
    unpaired_test,
)

FEW = 199  # resamples, where the interval itself is not looked at


SEEDS = (3, 4, 5, 8, 10, 20)


def experiments(count: int, seeds: int, mean: float, sd: float, seed: int) -> xr.DataArray:
    values = np.random.default_rng(seed).normal(mean, sd, (count, seeds))
    return xr.DataArray(values, dims=("experiment", "seed"))


def share(found: xr.Dataset, truth: float) -> float:
    return float(((found.low <= truth) & (truth <= found.high)).mean())


@pytest.mark.parametrize("seeds", SEEDS)
def test_interval_covers_the_mean(seeds):
    """A 95% interval holds the mean that the values were drawn with in 95% of experiments."""
    samples = experiments(2000, seeds, 3, 2, seed=seeds)
    found = interval(samples)
    # 4 sd of 2,000 trials at .95 are .02; a BCa interval holds it in .70 (n = 3) to .93 (n = 20)
    assert 0.93 <= share(found, 3) <= 0.97
    assert np.allclose(found.estimate, samples.mean("seed"))
    assert np.allclose(found.sd, samples.std("seed", ddof=1))
    assert np.allclose(found.standard_error, samples.std("seed", ddof=1) / seeds**0.5)


@pytest.mark.long
@pytest.mark.parametrize("seeds", [3, 5, 8, 12])
def test_interval_covers_the_difference(seeds):
    """Pairs and groups, one of the groups with a third of the other's spread and fewer seeds."""
    common = experiments(600, seeds, 0, 5, seed=1)  # what the two of a pair share
    a = common + experiments(600, seeds, 2, 1, seed=2)
    b = common + experiments(600, seeds, 0, 1, seed=3)
    # 3.4 sd of 600 trials at .95 are .03; BCa intervals hold it in .68 (n = 3) to .91 (n = 12)
    assert 0.92 <= share(paired_test(a, b, resamples=0), 2) <= 0.98
    a, b = experiments(600, seeds, 2, 1, seed=4), experiments(600, 2 * seeds, 0, 3, seed=5)
    found = unpaired_test(a, b, resamples=0)
    assert 0.92 <= share(found, 2) <= 0.98 and found.p_permutation.isnull().all()
    # the standard error squared is unbiased, 1 / n + 9 / (2 n); of 600 trials of 5 degrees of
    # freedom (n = 3) the mean is right within sqrt(2 / 5 / 600) = 2.6%, 3 of them
    assert np.isclose((found.standard_error**2).mean() * seeds, 1 + 9 / 2, rtol=0.08)


def test_intervals_of_differences_by_hand():
    """Table of t: 2.776 at 4 degrees of freedom; equal spreads make Welch's 2 n - 2 = 8, 2.306."""
    found = paired_test([1.0, 2.0, 3.0, 4.0, 5.0], [0.0] * 5, resamples=FEW)
    error = (2.5 / 5) ** 0.5
    assert np.isclose(found.standard_error, error)
    # the table has three decimals
    assert np.allclose([found.low, found.high], [3 - 2.776 * error, 3 + 2.776 * error], atol=1e-3)
    sided = paired_test([1.0, 2.0, 3.0, 4.0, 5.0], [0.0] * 5, alternative="greater", resamples=FEW)
    assert float(sided.low) == float(found.low) and float(sided.high) == float(found.high)
    found = unpaired_test([1.0, 2.0, 3.0, 4.0, 5.0], [0.0, 1.0, 2.0, 3.0, 4.0], resamples=FEW)
    assert np.isclose(found.standard_error, 1)
    assert np.allclose([found.low, found.high], [1 - 2.306, 1 + 2.306], atol=1e-3)


@pytest.mark.long
@pytest.mark.parametrize("draw", ["normal", "exponential", "uniform"])
@pytest.mark.parametrize("seeds", [3, 5, 6, 8, 9, 20])
def test_interval_covers_the_median(draw, seeds):
    """Order statistics need no distribution; fewer than 6 values say how much they hold."""
    rng = np.random.default_rng(seeds)
    samples = xr.DataArray(getattr(rng, draw)(size=(1500, seeds)), dims=("experiment", "seed"))
    median = {"normal": 0, "exponential": np.log(2), "uniform": 0.5}[draw]
    found = interval(samples, statistic="median")
    said = {3: 0.75, 5: 0.9375}.get(seeds, 0.95)
    assert np.allclose(found.confidence, said)
    # 3.5 sd of 1,500 trials, and .01 for the interpolation
    assert abs(share(found, median) - said) < 3.5 * (said * (1 - said) / 1500) ** 0.5 + 0.01
    assert np.allclose(found.estimate, samples.median("seed"))


def test_interval_of_a_median_without_interpolation():
    """The confidence of a pair of order statistics gives that pair: 1 - 2 (1 + 10) / 1024."""
    values = np.arange(10.0)
    found = interval(values, statistic="median", confidence=1 - 22 / 1024 - 1e-9)
    assert np.allclose([found.low, found.high], [1, 8], atol=1e-5)


@pytest.mark.parametrize("seeds", [2, 3, 6, 7, 12])
@pytest.mark.parametrize("confidence", [0.01, 0.3, 0.6, 0.9])
def test_interval_of_a_median_knows_neither_origin_nor_sign(seeds, confidence):
    """Shifted with the values, turned around with their sign, never inside out."""
    values = np.random.default_rng(seeds).exponential(size=seeds)
    options = {"statistic": "median", "confidence": confidence}
    found, moved, turned = (interval(v, **options) for v in (values, 7 + 3 * values, -values))
    assert found.low <= found.estimate <= found.high
    np.testing.assert_allclose([moved.low, moved.high], [7 + 3 * found.low, 7 + 3 * found.high])
    np.testing.assert_allclose([turned.low, turned.high], [-found.high, -found.low])


@pytest.mark.parametrize("seeds", [6, 7])
def test_interval_of_a_median_shrinks_to_it(seeds):
    values = np.arange(seeds) ** 2.0
    found = interval(values, statistic="median", confidence=1e-9)
    np.testing.assert_allclose([found.low, found.high], np.median(values), atol=1e-6)
    wide = interval(values, statistic="median", confidence=0.3)
    assert values[seeds // 2 - 1] - 1e-9 <= wide.low < wide.high <= values[seeds // 2 + 1]


def test_interval_needs_replicates():
    # two values: t at one degree of freedom is 12.706
    two = interval([1.0, 2.0])
    assert np.isclose(two.high, 1.5 + 12.706 * 0.5, atol=1e-3)
    assert np.isnan(interval([1.0]).low)
    assert np.isnan(interval([1.0, 1.0, 1.0]).low)
    assert int(interval([1.0, np.nan, 3.0, 2.0]).n) == 3
    for confidence in (95, 0.0, 1.0):
        with pytest.raises(InputError, match="confidence"):
            interval([1.0, 2.0], confidence=confidence)
        for function in (paired_test, unpaired_test, correlation):
            with pytest.raises(InputError, match="confidence"):
                function([1.0, 2.0, 4.0], [2.0, 1.0, 0.0], confidence=confidence)


def test_neurons_are_not_replicates():
    data = xr.DataArray(np.zeros((5, 40)), dims=("seed", "neuron"))
    with pytest.raises(InputError, match="average over"):
        interval(data)
    with pytest.raises(InputError, match="average over"):
        paired_test(data, data)
    assert int(interval(data.mean("neuron")).n) == 5
    assert int(interval(data.isel(seed=0), unit="neuron").n) == 40
    with pytest.raises(InputError, match="'seed'"):
        interval(xr.DataArray(np.zeros(5), dims="xi"))


def test_paired_test_is_exact_for_few_seeds():
    """By hand: all 2^5 sign patterns of the differences."""
    a, b = np.array([0.9, 0.8, 0.7, 0.95, 0.6]), np.array([0.8, 0.75, 0.72, 0.9, 0.5])
    d = a - b
    means = [np.mean(d * signs) for signs in itertools.product([1, -1], repeat=5)]
    both = np.mean(np.abs(means) >= abs(d.mean()) - 1e-12)
    found = paired_test(a, b, resamples=FEW)
    assert np.isclose(found.p_permutation, both)
    one_sided = paired_test(a, b, alternative="greater", resamples=FEW)
    assert np.isclose(one_sided.p_permutation, np.mean(np.array(means) >= d.mean() - 1e-12))
    assert np.isclose(found.p_t, stats.ttest_rel(a, b).pvalue)
    assert np.isclose(found.p_wilcoxon, stats.wilcoxon(a, b).pvalue)
    assert np.isclose(found.cohen_dz, d.mean() / d.std(ddof=1))
    assert int(found.n) == 5


def test_unpaired_test_is_exact_for_few_seeds():
    """By hand: all divisions of 7 values into 3 and 4."""
    a, b = np.array([3.0, 5.0, 4.0]), np.array([1.0, 2.5, 0.5, 3.5])
    pool = np.concatenate([a, b])
    found = unpaired_test(a, b, resamples=FEW)
    differences = []
    for chosen in itertools.combinations(range(7), 3):
        rest = [i for i in range(7) if i not in chosen]
        differences.append(pool[list(chosen)].mean() - pool[rest].mean())
    # scipy doubles the smaller tail for two sides
    upper = np.mean(np.array(differences) >= a.mean() - b.mean() - 1e-12)
    assert np.isclose(found.p_permutation, 2 * upper)
    assert np.isclose(found.p_t, stats.ttest_ind(a, b, equal_var=False).pvalue)
    assert np.isclose(found.cliff_delta, (11 - 1) / 12)
    assert (int(found.n_a), int(found.n_b)) == (3, 4)


def test_unpaired_test_along_other_dimensions_with_other_seeds():
    rng = np.random.default_rng(0)
    coords = {"xi": [1.0, 5.0]}
    a = xr.DataArray(
        rng.normal(0, 1, (2, 5)), dims=("xi", "seed"), coords=coords | {"seed": range(5)}
    )
    b = xr.DataArray(
        rng.normal(9, 1, (2, 4)), dims=("xi", "seed"), coords=coords | {"seed": range(10, 14)}
    )
    found = unpaired_test(a, b, resamples=FEW)
    assert found.p_t.dims == ("xi",) and (found.hedges_g < -3).all()
    with pytest.raises(InputError):
        paired_test(a, b)
    shifted = a.assign_coords(seed=range(20, 25))
    with pytest.raises(InputError, match="same seeds"):
        paired_test(a, shifted)


def test_false_alarms_are_as_many_as_promised():
    """Under the null, p < .05 in 5% of experiments, for every test."""
    rng = np.random.default_rng(3)
    a, b = (xr.DataArray(rng.normal(size=(600, 8)), dims=("trial_", "seed")) for _ in range(2))
    paired = paired_test(a, b, resamples=9)
    # 3 sd of 600 trials at .05 are .027; rank and permutation tests of n = 8 are coarse, below .05
    for name in ("p_t", "p_wilcoxon", "p_permutation"):
        assert 0.015 < (paired[name] <= 0.05).mean() < 0.077


@pytest.mark.long
def test_effect_size_is_unbiased():
    """Hedges' g of groups one standard deviation apart is 1 on average; Cohen's d is not."""
    rng = np.random.default_rng(4)
    a = xr.DataArray(rng.normal(1, 1, (1500, 4)), dims=("experiment", "seed"))
    b = xr.DataArray(rng.normal(0, 1, (1500, 4)), dims=("experiment", "seed"))
    g = unpaired_test(a, b, resamples=9).hedges_g
    # sd of g about .8, so 3 standard errors are .062; d itself would be 1 / .8696 = 1.15
    assert abs(g.mean() - 1) < 0.062


def test_correlation():
    rng = np.random.default_rng(5)
    x = rng.normal(size=30)
    y = x + rng.normal(size=30)
    for method, function in (("spearman", stats.spearmanr), ("pearson", stats.pearsonr)):
        found = correlation(x, y, method=method, resamples=999)
        assert np.isclose(found.r, function(x, y).statistic)
        assert found.low < found.r < found.high and found.p_permutation < 0.01
    exact = correlation([1, 2, 3, 4, 5], [2, 1, 3, 4, 5], resamples=FEW)
    ranks = np.array([2, 1, 3, 4, 5])
    every = [np.corrcoef(np.arange(5), p)[0, 1] for p in itertools.permutations(ranks)]
    assert np.isclose(exact.p_permutation, np.mean(np.array(every) >= 0.9 - 1e-9) * 2)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
@pytest.mark.parametrize("seeds", [6, 8, 20])
@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_interval_covers_the_correlation(method, seeds, rho):
    """Pairs from a normal distribution; its rank correlation is 6/pi arcsin(rho/2) (Pearson)."""
    rng = np.random.default_rng(seeds)
    x, e = rng.standard_normal((2, 700, seeds))
    y = rho * x + (1 - rho**2) ** 0.5 * e
    pair = [xr.DataArray(v, dims=("experiment", "seed")) for v in (x, y)]
    found = correlation(*pair, method=method, resamples=0)
    truth = rho if method == "pearson" else 6 / np.pi * np.arcsin(rho / 2)
    # 3 sd of 700 trials at .95 are .025; ranks of few pairs are coarse and hold up to .98
    assert 0.925 <= share(found, truth) <= (0.975 if method == "pearson" else 0.995)


def test_ranks_that_agree_have_an_interval():
    found = correlation(np.arange(6.0), np.arange(6.0) ** 3)
    assert float(found.r) == 1 and 0 < float(found.low) < 0.99 < float(found.high) <= 1
    opposite = correlation(np.arange(6.0), -(np.arange(6.0) ** 3))
    assert np.allclose([opposite.low, opposite.high], [-found.high, -found.low])


@settings(max_examples=50, deadline=None)
@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm(p):
    adjusted = holm(p)
    assert (adjusted >= np.array(p) - 1e-15).all() and (adjusted <= 1).all()
    # the smallest is Bonferroni's; order is kept
    assert np.isclose(adjusted[np.argmin(p)], min(1, min(p) * len(p)))
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()


def test_stars_carry_n():
    assert stars(0.0009, 5) == "*** (n=5)"
    assert stars(0.049, 3) == "* (n=3)"
    assert stars(0.05, 3) == "n.s. (n=3)"
    assert stars(0.0, 2) == "*** (n=2)" and stars(1.0, 2) == "n.s. (n=2)"
    with pytest.raises(InputError, match="n=1"):
        stars(0.01, 1)
    with pytest.raises(InputError, match="p=2"):
        stars(2, 5)


def test_nothing_differs():
    same = paired_test([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], resamples=FEW)
    assert float(same.difference) == 0 and float(same.p_wilcoxon) == 1
    assert float(same.p_permutation) == 1 and np.isnan(same.p_t)
    with pytest.raises(InputError, match="at least 2"):
        paired_test([1.0], [2.0])


@pytest.mark.parametrize(
    ("test", "a", "b"),
    [
        (paired_test, [0.91, 0.92, 0.93, 0.94, 0.95], [0.90, 0.91, 0.92, 0.93, 0.94]),
        (paired_test, [0.1, 0.2, 0.3], [0.3, 0.4, 0.5]),
        (paired_test, [0.1] * 3, [0.2] * 3),  # even equal values have a mean that is rounded
        (paired_test, np.array([0.91, 0.92, 0.93]) * 1e9, np.array([0.9, 0.91, 0.92]) * 1e9),
        (unpaired_test, [0.3, 0.1 + 0.2], [0.4, 0.4]),
    ],
)
def test_values_that_differ_by_their_rounding_only_do_not_vary(test, a, b):
    """A t of 1e14 and a p of 1e-58 would come from how 0.91 - 0.90 is rounded."""
    found = test(a, b, resamples=FEW)
    assert float(found.standard_error) == 0
    for name in ("low", "high", "t", "p_t"):
        assert np.isnan(found[name])
    assert np.isclose(found.difference, np.mean(a) - np.mean(b))
    # a spread of 1e-12 of the values is far above their rounding, 2e-16, and is tested
    a, b = (np.asarray(x) * (1 + sign * 1e-12 * np.arange(len(x))) for x, sign in ((a, 1), (b, -1)))
    assert np.isfinite(test(a, b, resamples=0).p_t)


def test_an_interval_of_values_that_differ_by_rounding_is_none():
    found = interval([0.3, 0.1 + 0.2])
    assert np.isnan(found.low) and np.isnan(found.high)
    assert float(interval([0.3, 0.3 + 1e-12]).low) < 0.3


def test_replicates_that_are_not_finite_are_left_out_and_counted():
    """The rest gives what it gives alone, and n says how many that were."""
    a, b = np.array([0.9, 0.7, 0.8, 0.6, 0.95]), np.array([0.5, 0.65, 0.4, 0.55, 0.6])
    holes_a, holes_b = np.append(a, [np.nan, 0.5]), np.append(b, [0.5, np.inf])
    for function in (paired_test, correlation):
        found, alone = function(holes_a, holes_b), function(a, b)
        assert int(found.n) == 5
        xr.testing.assert_allclose(found.drop_vars("n"), alone.drop_vars("n"))
    found, alone = (
        unpaired_test(holes_a, holes_b),
        unpaired_test(np.append(a, 0.5), np.append(b, 0.5)),
    )
    assert int(found.n_a) == int(found.n_b) == 6
    xr.testing.assert_allclose(found, alone)
    xr.testing.assert_allclose(interval(holes_a[:6]), interval(a))


def test_no_p_is_below_that_of_all_rearrangements():
    """9,999 are drawn and the one seen counts too; of groups far apart two sides of 1 / 10,000."""
    groups = np.arange(15.0), 1000 + np.arange(15.0)
    assert float(unpaired_test(*groups).p_permutation) == 2 / 10_000
    assert float(unpaired_test(*groups, resamples=499).p_permutation) == 2 / 500
