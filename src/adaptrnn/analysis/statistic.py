"""Compute intervals, tests and effect sizes over seeds, on top of scipy.stats.

Seeds are the unit of replication: networks trained from different seeds are independent, the
neurons, trials and time steps of one network are not. Hence every function takes the dimension to
count as replication (`unit`, "seed" by default) and refuses to treat "neuron", "trial", "batch"
or "time" as further replicates: average over them first, or name one as `unit` on purpose.

`stars` always writes the number of replicates after the stars.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy import stats

from adaptrnn._error import bad, choose
from adaptrnn.analysis._type import Array, Values

__all__ = ["correlation", "holm", "interval", "paired_test", "stars", "unpaired_test"]


_WITHIN = ("neuron", "trial", "batch", "time")
EXACT = 10_000
"""A permutation test goes through all rearrangements if they are not more than this."""


def interval(
    values: Values,
    *,
    unit: str = "seed",
    statistic: str = "mean",
    confidence: float = 0.95,
) -> xr.Dataset:
    """Compute a mean or median over seeds, with an interval that allows for few seeds.

    The interval of a mean is Student's, estimate +- t standard errors with n - 1 degrees of
    freedom. It holds a mean of normal values in 95 of 100 experiments from 2 replicates on; of
    skewed values in fewer (docs/explanation/seeds.md has the table). A bootstrap of so few values
    holds it in 70 of 100 for n = 3 and 85 for n = 5. The interval of a median lies between order
    statistics, interpolated (Hettmansperger and Sheather 1986), and needs no distribution. Fewer
    than 6 values cannot reach 95%; they give their range, and `confidence` says how much that is,
    1 - 2^(1 - n). With fewer than 2 replicates, or when all are equal but for rounding, the
    interval is NaN.

    Args:
        values: a DataArray with dimension `unit`, or an array (seed,).
        unit: the dimension that counts replicates.
        statistic: "mean" or "median".
        confidence: of the interval, between 0 and 1.

    Returns:
        estimate, low, high, confidence (that of low to high), standard_error (of the mean; NaN for
        a median), sd (sample standard deviation) and n, along the other dimensions. A replicate
        that is NaN or infinite, such as a run that failed, is left out; n counts the others.

    Raises:
        InputError: there is no dimension `unit`, or replicates would be faked.

    Example:
        >>> found = interval([0.91, 0.93, 0.92, 0.95, 0.94])
        >>> [round(float(found[name]), 3) for name in ("estimate", "low", "high")]
        [0.93, 0.91, 0.95]
    """
    choose("statistic", statistic, ("mean", "median"))
    _check(confidence)
    data = _units(values, unit, "values")

    def one(sample: Array) -> dict[str, float]:
        sample = sample[np.isfinite(sample)]
        n = len(sample)
        sd = float(np.std(sample, ddof=1)) if n > 1 else math.nan
        error = sd / math.sqrt(n) if statistic == "mean" and n > 1 else math.nan
        estimate, low, high, reached = (math.nan,) * 4
        if n:
            estimate = float(np.mean(sample) if statistic == "mean" else np.median(sample))
        if n > 1 and _variance(sample, sample) > 0:
            if statistic == "mean":
                low, high = _student(estimate, error, n - 1, confidence)
                reached = confidence
            else:
                low, high, reached = _median_interval(np.sort(sample), confidence)
        return {
            "estimate": estimate,
            "low": low,
            "high": high,
            "confidence": reached,
            "standard_error": error,
            "sd": sd,
            "n": n,
        }

    kind = "Student's t" if statistic == "mean" else "interpolated order statistics"
    attrs = {
        "definition": f"{statistic} over {unit!r}, {confidence:g} interval by {kind}",
        "unit_of_replication": unit,
    }
    return _along(one, [data], unit, attrs)


def paired_test(
    a: Values,
    b: Values,
    *,
    unit: str = "seed",
    alternative: str = "two-sided",
    confidence: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
) -> xr.Dataset:
    """Test whether a differs from b, both measured on the same seeds.

    The differences a - b are tested by Student's paired t, by Wilcoxon's signed ranks, and by a
    permutation test that flips signs. The last goes through all 2^n sign patterns if they are at
    most 10,000 (n <= 13), and is then exact.

    Args:
        a: a DataArray with dimension `unit`, or an array (seed,).
        b: as `a`, same replicates in the same order (aligned by coordinate if there is one).
        unit: the dimension that counts replicates.
        alternative: "two-sided", "greater" (a > b) or "less".
        confidence: of the interval of the mean difference, which has two sides whatever the
            alternative.
        resamples: of the permutation test where it is not exact; 0 for no such test (NaN).
        seed: of the resampling.

    Returns:
        difference (mean of a - b), its standard_error, and low, high of its interval (Student's t
        with n - 1 degrees of freedom); t, p_t, p_wilcoxon, p_permutation; cohen_dz (mean over
        standard deviation of the differences), hedges_gz (the same without its small-sample bias);
        n pairs. Each along the other dimensions. A pair with a value that is NaN or infinite is
        left out; n counts the others. Where all differences are equal, but for the rounding of
        the values, standard_error is 0, and the interval, t, p_t and the effect sizes are NaN.

    Raises:
        InputError: the replicates do not match, or fewer than two.

    Example:
        >>> found = paired_test([0.9, 0.8, 0.7, 0.9], [0.6, 0.6, 0.4, 0.7], alternative="greater")
        >>> float(found.p_permutation), int(found.n)  # all 4 positive: 1 of 16 sign patterns
        (0.0625, 4)
    """
    choose("alternative", alternative, ("two-sided", "greater", "less"))
    _check(confidence)
    first, second = _units(a, unit, "a"), _units(b, unit, "b")
    if first.sizes[unit] != second.sizes[unit]:
        raise bad("b", second.sizes[unit], f"{first.sizes[unit]} replicates, as many as a")
    try:
        first, second = xr.align(first, second, join="exact")
    except ValueError:
        advice = "Pairs need the same seeds; use unpaired_test for different ones."
        raise bad("b", f"other coordinates of {unit!r}", "those of a", advice) from None

    def one(x: Array, y: Array) -> dict[str, float]:
        both = np.isfinite(x) & np.isfinite(y)
        x, y = x[both], y[both]
        d = x - y
        n = _enough(d, unit)
        mean, sd = float(d.mean()), math.sqrt(_variance(d, x, y))
        error = sd / math.sqrt(n)
        low, high = _student(mean, error, n - 1, confidence)
        student = stats.ttest_1samp(d, 0, alternative=alternative) if sd > 0 else None
        ranked = np.any(d != 0)
        dz = mean / sd if sd > 0 else math.nan
        return {
            "difference": mean,
            "standard_error": error,
            "low": low,
            "high": high,
            "t": float(student.statistic) if student else math.nan,
            "p_t": float(student.pvalue) if student else math.nan,
            "p_wilcoxon": float(stats.wilcoxon(d, alternative=alternative).pvalue)
            if ranked
            else 1.0,
            "p_permutation": _permutation((d,), "samples", alternative, resamples, seed),
            "cohen_dz": dz,
            "hedges_gz": dz * _small_sample(n - 1),
            "n": n,
        }

    return _along(one, [first, second], unit, _attrs("paired", unit, alternative, confidence))


def unpaired_test(
    a: Values,
    b: Values,
    *,
    unit: str = "seed",
    alternative: str = "two-sided",
    confidence: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
) -> xr.Dataset:
    """Test whether a differs from b, measured on different seeds.

    The tests are Welch's t (unequal variances), Mann-Whitney's U, and a permutation test of the
    difference of means, which is exact if there are at most 10,000 ways to divide the replicates.

    Args:
        a: a DataArray with dimension `unit`, or an array (seed,).
        b: as `a`; the number of replicates may differ.
        unit: the dimension that counts replicates.
        alternative: "two-sided", "greater" (a > b) or "less".
        confidence: of the interval of the difference, which has two sides whatever the
            alternative.
        resamples: of the permutation test where it is not exact; 0 for no such test (NaN).
        seed: of the resampling.

    Returns:
        difference (of means), its standard_error, and low, high of its interval (Welch's t, whose
        degrees of freedom are those of Welch and Satterthwaite); t, p_t, p_mannwhitney,
        p_permutation; hedges_g (difference over the pooled standard deviation, without
        small-sample bias), cliff_delta (P(a > b) - P(a < b)); n_a, n_b. Each along the other
        dimensions. A replicate that is NaN or infinite is left out; n_a and n_b count the others.
        Where neither side varies by more than rounding, standard_error is 0, and the interval, t,
        p_t and hedges_g are NaN.

    Raises:
        InputError: fewer than two replicates on a side.

    Example:
        >>> found = unpaired_test([3.0, 4.0, 5.0], [0.0, 1.0, 2.0])
        >>> float(found.p_permutation), float(found.cliff_delta)  # 2 of 20 divisions
        (0.1, 1.0)
    """
    choose("alternative", alternative, ("two-sided", "greater", "less"))
    _check(confidence)
    first, second = _units(a, unit, "a"), _units(b, unit, "b")
    second = second.rename({unit: unit + "_b"})
    if unit in second.coords or unit + "_b" in second.coords:
        second = second.drop_vars([unit + "_b"], errors="ignore")

    def one(x: Array, y: Array) -> dict[str, float]:
        x, y = x[np.isfinite(x)], y[np.isfinite(y)]
        n_a, n_b = _enough(x, unit), _enough(y, unit)
        variances = _variance(x, x), _variance(y, y)
        variance = ((n_a - 1) * variances[0] + (n_b - 1) * variances[1]) / (n_a + n_b - 2)
        varies = variance > 0
        difference = float(x.mean() - y.mean())
        error = math.sqrt(variances[0] / n_a + variances[1] / n_b)
        low = high = math.nan
        student = None
        if varies:
            student = stats.ttest_ind(x, y, equal_var=False, alternative=alternative)
            low, high = _student(difference, error, float(student.df), confidence)
        g = difference / math.sqrt(variance) if varies else math.nan
        return {
            "difference": difference,
            "standard_error": error,
            "low": low,
            "high": high,
            "t": float(student.statistic) if student else math.nan,
            "p_t": float(student.pvalue) if student else math.nan,
            "p_mannwhitney": float(stats.mannwhitneyu(x, y, alternative=alternative).pvalue),
            "p_permutation": _permutation((x, y), "independent", alternative, resamples, seed),
            "hedges_g": g * _small_sample(n_a + n_b - 2),
            "cliff_delta": float(np.sign(x[:, None] - y).mean()),
            "n_a": n_a,
            "n_b": n_b,
        }

    attrs = _attrs("unpaired", unit, alternative, confidence)
    return _along(one, [first, second], unit, attrs, [unit, unit + "_b"])


def correlation(
    x: Values,
    y: Values,
    *,
    unit: str = "seed",
    method: str = "spearman",
    confidence: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
) -> xr.Dataset:
    """Correlate two quantities over replicates, with an interval and a permutation test.

    The interval is Fisher's: artanh r +- z standard errors, with variance 1 / (n - 3) for
    Pearson's correlation, right for normal pairs, and (1 + r^2 / 2) / (n - 3) for Spearman's
    (Bonett and Wright 2000). Ranks that agree wholly have r = 1, of which artanh is infinite: the
    interval is then that of half the least step of a rank correlation, 3 / (n (n^2 - 1)), below 1.
    Spearman's interval of 4 or 5 pairs is wider than it needs to be (docs/explanation/seeds.md).

    Args:
        x: a DataArray with dimension `unit`, or an array.
        y: as `x`.
        unit: the dimension that counts replicates.
        method: "spearman" (ranks) or "pearson".
        confidence: of the interval.
        resamples: of the permutation test where it is not exact; 0 for no such test (NaN).
        seed: of the resampling.

    Returns:
        r, low, high (NaN for fewer than 4 replicates), p_permutation (two-sided) and n, along the
        other dimensions. A pair with a value that is NaN or infinite is left out; n counts the
        others.

    Raises:
        InputError: fewer than two replicates, an unknown method.

    Example:
        >>> found = correlation([1.0, 2.0, 3.0, 4.0], [1.0, 4.0, 9.0, 16.0])
        >>> float(found.r), round(float(found.p_permutation), 4)  # 2 of 24 orders
        (1.0, 0.0833)
    """
    choose("method", method, ("spearman", "pearson"))
    _check(confidence)
    first, second = xr.align(_units(x, unit, "x"), _units(y, unit, "y"), join="exact")

    def r(u: Array, v: Array, axis: int = -1) -> Any:
        if method == "spearman":
            u, v = stats.rankdata(u, axis=axis), stats.rankdata(v, axis=axis)
        u = u - u.mean(axis=axis, keepdims=True)
        v = v - v.mean(axis=axis, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            scale = np.sqrt((u * u).sum(axis=axis) * (v * v).sum(axis=axis))
            return (u * v).sum(axis=axis) / scale

    def one(u: Array, v: Array) -> dict[str, float]:
        both = np.isfinite(u) & np.isfinite(v)
        u, v = u[both], v[both]
        n = _enough(u, unit)
        value = float(r(u, v))
        low = high = p = math.nan
        if math.isfinite(value):
            pairs = np.arange(n)

            def shuffled(index: Array, axis: int = -1) -> Any:
                return r(u[index.astype(int)], np.broadcast_to(v, index.shape), axis=-1)

            if resamples:
                p = float(
                    stats.permutation_test(
                        (pairs,),
                        shuffled,
                        permutation_type="pairings",
                        vectorized=True,
                        n_resamples=_count(math.factorial(min(n, 20)), resamples),
                        rng=np.random.default_rng(seed),
                    ).pvalue
                )
            if n > 3:
                low, high = _fisher(value, n, method, confidence)
        return {"r": value, "low": low, "high": high, "p_permutation": p, "n": n}

    attrs = {
        "definition": f"{method} correlation over {unit!r}; {confidence:g} interval by Fisher's "
        "transform",
        "unit_of_replication": unit,
    }
    return _along(one, [first, second], unit, attrs)


def holm(p: ArrayLike) -> Array:
    """Adjust the p-values of one family of tests by Holm's method; NaN is left out.

    Args:
        p: p-values.

    Returns:
        The adjusted p-values, of the same shape.

    Raises:
        InputError: a value outside 0 to 1.

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
        [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, dtype=np.float64)
    if ((values < 0) | (values > 1)).any():
        raise bad("p", values, "from 0 to 1")
    found = np.isfinite(values)
    family = values[found]
    rank = np.argsort(family)
    scaled = np.maximum.accumulate(family[rank] * np.arange(len(family), 0, -1))
    adjusted = np.full(values.shape, np.nan)
    back = np.empty(len(family))
    back[rank] = np.minimum(scaled, 1)
    adjusted[found] = back
    return adjusted


def stars(p: float, n: int) -> str:
    """Write the stars of a p-value together with the number n of replicates.

    Args:
        p: p-value.
        n: number of replicates.

    Returns:
        "***" for p < .001, "**" for p < .01, "*" for p < .05, else "n.s.", followed by n.

    Raises:
        InputError: n < 2 or p outside 0 to 1.

    Example:
        >>> stars(0.004, 5), stars(0.3, 5)
        ('** (n=5)', 'n.s. (n=5)')
    """
    if n < 2:
        raise bad("n", n, ">= 2", "One replicate cannot be tested.")
    if not 0 <= p <= 1:
        raise bad("p", p, "from 0 to 1")
    mark = "***" if p < 1e-3 else "**" if p < 1e-2 else "*" if p < 0.05 else "n.s."
    return f"{mark} (n={n})"


def _units(values: Values, unit: str, argument: str) -> xr.DataArray:
    if not isinstance(values, xr.DataArray):
        array = np.asarray(values, dtype=np.float64)
        if array.ndim != 1:
            raise bad(f"{argument}.shape", array.shape, f"({unit},), or a DataArray with {unit!r}")
        values = xr.DataArray(array, dims=unit)
    if unit not in values.dims:
        raise bad(f"{argument}.dims", values.dims, f"dimensions that include {unit!r}")
    within = [name for name in _WITHIN if name in values.dims and name != unit]
    if within:
        advice = (
            f"They are not independent of each other: average over {within} within each {unit} "
            f"first, or name one as unit on purpose."
        )
        raise bad(f"{argument}.dims", values.dims, f"without {within}", advice)
    return values.astype(np.float64)


def _enough(values: Array, unit: str) -> int:
    if len(values) < 2:
        raise bad("values", f"{len(values)} of {unit!r}", "at least 2 replicates")
    return len(values)


def _along(
    one: Callable[..., dict[str, float]],
    arrays: list[xr.DataArray],
    unit: str,
    attrs: dict[str, Any],
    units: list[str] | None = None,
) -> xr.Dataset:
    """Apply a function of 1-d samples along the replicates, for every other coordinate."""
    units = units or [unit] * len(arrays)
    arrays = list(xr.broadcast(*arrays, exclude=set(units)) if len(arrays) > 1 else arrays)
    others = [dim for dim in arrays[0].dims if dim not in units]
    moved = [array.transpose(*others, u) for array, u in zip(arrays, units, strict=True)]
    shape = [arrays[0].sizes[dim] for dim in others]
    rows = [one(*(array.values[index] for array in moved)) for index in np.ndindex(*shape)]
    coords = {dim: arrays[0].coords[dim] for dim in others if dim in arrays[0].coords}
    data = {
        name: (others, np.reshape([row[name] for row in rows], shape)) for name in (rows or [{}])[0]
    }
    return xr.Dataset(data, coords=coords, attrs=attrs)


def _check(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise bad("confidence", confidence, "between 0 and 1")


def _variance(values: Array, *sources: Array) -> float:
    """Variance of a sample, 0 where it is no more than the rounding of its sources.

    A few roundings of float64, since values such as 1 - 0.09 or a mean have had several.
    """
    rounding = 8 * np.finfo(np.float64).eps * max(np.abs(source).max() for source in sources)
    return float(values.var(ddof=1)) if np.ptp(values) > rounding else 0.0


def _student(
    estimate: float, error: float, freedom: float, confidence: float
) -> tuple[float, float]:
    """Estimate +- t standard errors; NaN where nothing varies, for then nothing is known."""
    if not error > 0:
        return math.nan, math.nan
    width = float(stats.t.ppf((1 + confidence) / 2, freedom)) * error
    return estimate - width, estimate + width


def _median_interval(ordered: Array, confidence: float) -> tuple[float, float, float]:
    """Interval of a median between order statistics, and the confidence that it reaches.

    From the k-th smallest to the k-th largest of n values it holds the median with probability
    g_k = 1 - 2 P(Binomial(n, 1/2) < k). Between g_k and g_{k+1} Hettmansperger and Sheather (1986,
    Statistics & Probability Letters 4) interpolate.
    """
    n = len(ordered)
    k = np.arange(1, n // 2 + 2)  # the last pair has met or crossed: nothing is left
    reached = 1 - 2 * stats.binom.cdf(k - 1, n, 0.5)
    if reached[0] <= confidence:
        return float(ordered[0]), float(ordered[-1]), float(reached[0])
    last = int(np.flatnonzero(reached > confidence)[-1])
    outer = last + 1
    share = (reached[last] - confidence) / (reached[last] - reached[last + 1])
    weight = (n - outer) * share / (outer + (n - 2 * outer) * share)
    low = (1 - weight) * ordered[outer - 1] + weight * ordered[outer]
    high = (1 - weight) * ordered[n - outer] + weight * ordered[n - outer - 1]
    return float(low), float(high), confidence


def _fisher(r: float, n: int, method: str, confidence: float) -> tuple[float, float]:
    """Interval of a correlation through artanh."""
    variance = 1 / (n - 3)
    if method == "spearman":
        most = 1 - 3 / (n * (n * n - 1))
        r = min(max(r, -most), most)
        variance *= 1 + r * r / 2
    elif not abs(r) < 1:
        return math.nan, math.nan
    width = float(stats.norm.ppf((1 + confidence) / 2)) * math.sqrt(variance)
    return math.tanh(math.atanh(r) - width), math.tanh(math.atanh(r) + width)


def _count(all_of_them: int, resamples: int) -> float:
    """Number of rearrangements to ask for: all of them (exact) if they are few."""
    return np.inf if all_of_them <= EXACT else resamples


def _permutation(
    data: tuple[Array, ...], kind: str, alternative: str, resamples: int, seed: int
) -> float:
    if not resamples:
        return math.nan
    sizes = [len(part) for part in data]

    def statistic(*parts: Array, axis: int = -1) -> Any:
        mean = np.mean(parts[0], axis=axis)
        return mean if len(parts) == 1 else mean - np.mean(parts[1], axis=axis)

    number = 2 ** sizes[0] if len(sizes) == 1 else math.comb(sum(sizes), sizes[0])
    return float(
        stats.permutation_test(
            data,
            statistic,
            permutation_type=kind,
            vectorized=True,
            alternative=alternative,
            n_resamples=_count(number, resamples),
            rng=np.random.default_rng(seed),
        ).pvalue
    )


def _small_sample(freedom: int) -> float:
    """Factor that takes the bias off a standardised difference (Hedges 1981)."""
    if freedom < 2:
        return math.nan
    half = freedom / 2
    return math.exp(math.lgamma(half) - math.lgamma(half - 0.5)) / math.sqrt(half)


def _attrs(kind: str, unit: str, alternative: str, confidence: float) -> dict[str, Any]:
    return {
        "definition": f"{kind} comparison a - b over {unit!r}; {confidence:g} interval by "
        f"Student's t; permutation test exact up to {EXACT} rearrangements",
        "unit_of_replication": unit,
        "alternative": alternative,
    }
