"""How often does an interval hold the truth? Every interval and standard error that is printed.

    OMP_NUM_THREADS=1 python benchmarks/coverage.py --write docs/explanation/seeds.md

It takes about six minutes of one core, and less with a smaller --effort or with several --jobs.

Data are drawn around a planted truth, the package's own function gives its interval, and the share
of experiments in which the interval holds the truth is counted. Truths are those of the
distribution that the data come from, or of the noise-free response. A standard error is taken as
estimate +- t standard errors, with the degrees of freedom that its samples or blocks leave.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import textwrap
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from scipy import stats
from scipy.signal import lfilter

from adaptrnn import ARUN, RNN
from adaptrnn.activation import gamma
from adaptrnn.analysis import (
    as_system,
    correlation,
    fit_fi,
    fractional_order,
    heterogeneity,
    interval,
    jacobian_norm,
    lyapunov,
    noise_variance,
    paired_test,
    respond,
    unpaired_test,
)
from adaptrnn.analysis.fractional import STEP_PROTOCOLS
from adaptrnn.analysis.lyapunov_exponent import ConvergenceWarning
from adaptrnn.analysis.response import describe_step
from adaptrnn.analysis.scaling import fit_scaling

SEEDS = (3, 4, 5, 8, 10, 20)
BEGIN, END = "<!-- coverage: written by benchmarks/coverage.py -->", "<!-- end of coverage -->"
GOOD = (0.93, 0.97)
DIMS = ("experiment", "seed")

Row = tuple[str, Sequence[float]]


def held(low: Any, high: Any, truth: Any) -> float:
    """Share of experiments whose interval holds the truth; one without an interval does not."""
    return float(np.mean((np.asarray(low) <= truth) & (truth <= np.asarray(high))))


# --- over seeds ---------------------------------------------------------------------------------


def draw(kind: str, rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, float]:
    """Values and their mean."""
    if kind == "normal":
        return rng.normal(size=shape), 0.0
    if kind == "uniform":
        return rng.uniform(size=shape), 0.5
    return rng.exponential(size=shape), 1.0


def over_seeds(trials: int) -> list[Row]:
    """Means, medians, differences and correlations, by the number of seeds."""
    rows: list[tuple[str, list[float]]] = []

    def row(name: str, shares: Iterable[float]) -> None:
        rows.append((name, list(shares)))

    def sample(values: np.ndarray) -> xr.DataArray:
        return xr.DataArray(values, dims=DIMS)

    for kind in ("normal", "uniform", "exponential"):
        shares = []
        for n in SEEDS:
            values, mean = draw(kind, np.random.default_rng(n), (trials, n))
            found = interval(sample(values))
            shares.append(held(found.low, found.high, mean))
        row(f"`interval`, mean of {kind} values", shares)
    for kind, median in (("normal", 0.0), ("exponential", math.log(2))):
        shares = []
        for n in SEEDS:
            values, _ = draw(kind, np.random.default_rng(n), (trials, n))
            found = interval(sample(values), statistic="median")
            shares.append(held(found.low, found.high, median))
        row(f"`interval`, median of {kind} values", shares)
    for kind in ("normal", "exponential"):
        shares = []
        for n in SEEDS:
            rng = np.random.default_rng(n)
            a, b = draw(kind, rng, (trials, n))[0], draw(kind, rng, (trials, n))[0]
            found = paired_test(sample(a + 1), sample(b), resamples=0)
            shares.append(held(found.low, found.high, 1))
        row(f"`paired_test`, difference of {kind} values", shares)
    for name, kind, spread, times in (
        ("equal spreads", "normal", 1.0, 1),
        ("spreads 1 and 3", "normal", 3.0, 1),
        ("spreads 1 and 3, n and 2 n", "normal", 3.0, 2),
        ("exponential values", "exponential", 1.0, 1),
    ):
        shares = []
        for n in SEEDS:
            rng = np.random.default_rng(n)
            a, mean_a = draw(kind, rng, (trials, n))
            b, mean_b = draw(kind, rng, (trials, times * n))
            found = unpaired_test(sample(a), sample(spread * b), resamples=0)
            shares.append(held(found.low, found.high, mean_a - spread * mean_b))
        row(f"`unpaired_test`, {name}", shares)
    for method in ("pearson", "spearman"):
        for rho in (0.0, 0.9):
            shares = []
            for n in SEEDS:
                x, e = np.random.default_rng(n).normal(size=(2, trials, n))
                y = rho * x + math.sqrt(1 - rho**2) * e
                found = correlation(sample(x), sample(y), method=method, resamples=0)
                truth = rho if method == "pearson" else 6 / math.pi * math.asin(rho / 2)
                none = np.nan if n < 4 else held(found.low, found.high, truth)
                shares.append(none)
            row(f"`correlation`, {method}, {rho:g} planted", shares)
    for kind, variance in (("normal", 1.0), ("uniform", 1 / 12), ("exponential", 1.0)):
        shares = []
        for n in SEEDS:
            values, _ = draw(kind, np.random.default_rng(n), (trials, n))
            cloud = xr.DataArray(values, dims=("seed", "neuron"))
            found = heterogeneity(xr.Dataset({"n": cloud, "s": cloud}))
            shares.append(held(found.n_sd_low, found.n_sd_high, math.sqrt(variance)))
        row(f"`heterogeneity`, sd of {kind} values, n neurons", shares)
    return rows


# --- orders -------------------------------------------------------------------------------------

PLANTED = (-0.6, -0.3, 0.0, 0.3, 0.6)
NOISES = ("white", "AR(1), .5", "AR(1), .8", "AR(2), 1.2, -.5", "MA(2), .8, .5", "of a network")


def causal(order: float, protocol: str) -> np.ndarray:
    """The integral of this order of the protocol's step, by its recurrence."""
    plan = STEP_PROTOCOLS[protocol]
    k = np.arange(1, plan.steps)
    since = np.concatenate([[1.0], np.cumprod((k + order) / k)])
    response = np.zeros(plan.steps)
    for sign, start in zip((1, -1), plan.drive, strict=True):
        response[start:] += sign * since[: plan.steps - start]
    return response


def of_a_network(protocol: str, count: int) -> np.ndarray:
    """What noise makes of the rates of an ARUN of random weights: responses less their mean."""
    torch.manual_seed(0)
    core = ARUN(1, 100, controller_size=20)
    sigma = STEP_PROTOCOLS[protocol].noise
    many = [respond(core, [1.0], protocol=protocol, seed=k).h.values[:, 0] for k in range(24)]
    stack = np.stack(many, 1)  # (time, trial, neuron)
    noise = stack - stack.mean(1, keepdims=True)
    flat = noise.reshape(len(noise), -1)
    flat = flat[:, flat.std(0) > 1e-6 * sigma]
    chosen = np.random.default_rng(0).choice(flat.shape[1], count, replace=False)
    return flat[:, chosen] / flat[:, chosen].std(0)


def noise_of(kind: str, protocol: str, count: int) -> np.ndarray:
    """Noise of variance 1, (time, count)."""
    steps = STEP_PROTOCOLS[protocol].steps
    if kind == "of a network":
        return of_a_network(protocol, count)
    filters = {
        "white": ([1], [1]),
        "AR(1), .5": ([1], [1, -0.5]),
        "AR(1), .8": ([1], [1, -0.8]),
        "AR(2), 1.2, -.5": ([1], [1, -1.2, 0.5]),
        "MA(2), .8, .5": ([1, 0.8, 0.5], [1]),
    }
    white = np.random.default_rng(1).normal(size=(steps + 200, count))
    noise = lfilter(*filters[kind], white, axis=0)[200:]
    return noise / noise.std()


def orders(trials: int) -> list[Row]:
    """Orders of causal responses with noise of a tenth of their standard deviation."""
    rows = []
    each = trials // len(PLANTED)
    for estimator in ("paper", "scale-free"):
        for protocol in STEP_PROTOCOLS:
            options = {
                "protocol": protocol, "estimator": estimator, "orders": np.linspace(-1.6, 1.6, 161),
            }  # fmt: skip
            clean = np.repeat(np.stack([causal(order, protocol) for order in PLANTED], 1), each, 1)
            truth = np.repeat(PLANTED, each)
            if estimator == "paper":  # it fits no amplitude: what it finds without the noise
                truth = fractional_order(clean, **options).order.values
            shares = []
            for kind in NOISES:
                noise = noise_of(kind, protocol, clean.shape[1])
                response = clean + 0.1 * clean.std(0) * noise
                found = fractional_order(response, bootstrap=199, **options)
                shares.append(held(found.order_low, found.order_high, truth))
            rows.append((f"{estimator}, protocol {protocol}", shares))
    return rows


# --- fits, exponents and the rest ---------------------------------------------------------------


def curves(trials: int) -> list[Row]:
    """f-I curves of 40 currents, noise of 2% of the largest rate, clipped at 0."""
    i, rng, rows = np.linspace(0, 3, 40), np.random.default_rng(0), []
    for n, s in ((6.0, 0.3), (6.0, 0.05), (6.0, 0.0), (20.0, 0.0)):
        clean = 50 * gamma(torch.as_tensor((i - 1) / 2), n, s).numpy()
        truth = {"n": n, "s": s, "threshold": 1.0, "output_scale": 50.0}
        found = [fit_fi(i, np.clip(clean + rng.normal(0, 1, 40), 0, None)) for _ in range(trials)]
        shares = [
            held([one[f"{k}_low"] for one in found], [one[f"{k}_high"] for one in found], v)
            for k, v in truth.items()
        ]
        rows.append((f"n = {n:g}, s = {s:g}", shares))
    return rows


def scaling(trials: int) -> list[Row]:
    """Fits to the paper's seven amplitudes."""
    xi, rng, rows = np.array([1, 2.5, 5, 10, 15, 20, 30]), np.random.default_rng(0), []
    shapes = {
        "linear": lambda b: xi, "power": lambda b: xi**-b, "exponential": lambda b: np.exp(-b * xi)
    }  # fmt: skip
    cases = [("linear", 0.0, 0.05), ("power", 0.5, 0.05), ("exponential", 0.2, 0.05)]
    # nearly a logarithm; nearly gone at 2.5; nearly a line
    cases += [("power", 0.1, 0.05), ("power", 0.1, 0.1)]
    cases += [("exponential", 2.0, 0.05), ("exponential", 0.03, 0.1)]
    for model, b, noise in cases:
        clean = 3 * shapes[model](b) + 1
        values = clean[:, None] + noise * np.ptp(clean) * rng.normal(size=(7, trials))
        steady = xr.DataArray(values, dims=("xi", "experiment"), coords={"xi": xi})
        found = fit_scaling(steady).sel(model=model)
        shares = []
        for name, truth in (("a", 3.0), ("b", b), ("c", 1.0)):
            at = found.sel(parameter=name)
            missing = model == "linear" and name == "b"
            shares.append(np.nan if missing else held(at.low, at.high, truth))
        planted = "" if model == "linear" else f", b = {b:g}"
        rows.append((f"`fit_scaling`, {model}{planted}, noise {noise:.0%}", shares))
    return rows


def time_constants(trials: int) -> list[Row]:
    """Relaxations of amplitude 1 over 80 samples, shorter than a sample to longer than all."""
    rng, rows = np.random.default_rng(0), []
    for tau in (0.3, 1.0, 5.0, 20.0, 100.0, 400.0):
        clean = np.r_[np.zeros(20), np.exp(-np.arange(80) / tau)][:, None]
        shares = []
        for sd in (0.1, 0.5):
            found = describe_step(clean + sd * rng.normal(size=(100, trials)), (20, 100))
            shares.append(held(found.tau_low, found.tau_high, tau))
        rows.append((f"tau = {tau:g}", shares))
    return rows


def blocks_of(found: xr.Dataset) -> int:
    """Number of blocks behind the standard error: from the result, or as `lyapunov` chooses it."""
    for where in (found.attrs, found):
        if "blocks" in where:
            return int(np.max(np.asarray(where["blocks"])))
    return min(20, max(2, int(math.sqrt(found.sizes["time"]))))


def exponents(trials: int) -> list[Row]:
    """Largest exponents, +- t standard errors with blocks - 1 degrees of freedom."""
    rng = np.random.default_rng(0)
    lengths = (100, 200, 1000, 4000)

    def logistic(x: Any, h: torch.Tensor) -> torch.Tensor:
        return 4 * h * (1 - h)

    def driven(x: Any, h: torch.Tensor) -> torch.Tensor:
        return torch.tanh(1.5 * h + x)

    example = torch.zeros(1, 1, dtype=torch.float64)
    start = torch.from_numpy(rng.uniform(0.01, 0.99, (trials, 1)))
    cases = []
    for name, function, truth in (
        ("logistic map, ln 2", logistic, math.log(2)),
        ("tanh unit under noise", driven, None),
    ):
        shares, normal = [], []
        for steps in lengths:
            x = None
            if function is driven:
                x = torch.from_numpy(rng.normal(size=(steps + 100, trials, 1)))
            step = as_system(function, example, input_size=1)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                found = lyapunov(step, x, steps=steps, state=start, burn_in=100)
            value, error = found.lyapunov.values[:, 0], found.standard_error.values[:, 0]
            # without a closed form: the mean over all experiments and steps, 200 times as exact
            target = value.mean() if truth is None else truth
            t = stats.t.ppf(0.975, blocks_of(found) - 1)
            shares.append(held(value - t * error, value + t * error, target))
            normal.append(held(value - 1.96 * error, value + 1.96 * error, target))
        cases.append((f"{name}, t of blocks - 1", shares))
        cases.append((f"{name}, +- 1.96 standard errors", normal))
    return cases


def shares_of_images(trials: int) -> list[Row]:
    """An accuracy on N images, +- 1.96 sqrt(p (1 - p) / N)."""
    rng, rows = np.random.default_rng(0), []
    for p in (0.5, 0.9, 0.98):
        shares = []
        for n in (100, 359, 1000, 10_000):
            found = rng.binomial(n, p, 20 * trials) / n
            width = 1.96 * np.sqrt(found * (1 - found) / n)
            shares.append(held(found - width, found + width, p))
        rows.append((f"accuracy {p:.0%}", shares))
    return rows


def others(trials: int) -> list[Row]:
    """Time constants of responses, Jacobian norms, variances of noise."""
    rng, rows = np.random.default_rng(0), []
    t = np.arange(300)
    for tau in (5.0, 20.0, 60.0):
        clean = np.where((t >= 100) & (t < 200), 0.4 + 0.6 * np.exp(-(t - 100) / tau), 0.0)
        shares = []
        for rho in (0.0, 0.8):
            noise = lfilter([1], [1, -rho], rng.normal(size=(500, trials)), axis=0)[200:]
            response = clean[:, None] + 0.02 * noise / noise.std()
            found = describe_step(response, (100, 200))
            shares.append(held(found.tau_low, found.tau_high, tau))
        rows.append((f"`describe_step`, tau = {tau:g}, white noise and AR(1), .8", shares))
    torch.manual_seed(0)
    for neurons in (10, 100):
        network = RNN(1, neurons, nonlinearity="gamma", n=1.0, s=0.0, recurrent_init="haar")
        many = float(jacobian_norm(network, samples=5000, seed=10**6).norm)
        hits = []
        for k in range(trials // 4):
            one = jacobian_norm(network, samples=20, seed=k)
            width = stats.t.ppf(0.975, 19) * float(one.standard_error)
            hits.append(abs(float(one.norm) - many) <= width)
        rows.append((f"`jacobian_norm`, {neurons} neurons, 20 samples, t", [float(np.mean(hits))]))
    hits, sigma = [], 0.3
    z = rng.normal(size=2_000_000)
    truth = float(gamma(torch.from_numpy(1.0 + sigma * z), 2.0, 0.1).var())
    for k in range(trials):
        one = noise_variance(2.0, 0.1, [sigma], mu=1.0, samples=1000, seed=k)
        width = 1.96 * float(one.standard_error.squeeze())
        hits.append(abs(float(one.variance.squeeze()) - truth) <= width)
    rows.append(("`noise_variance`, 1,000 samples, 1.96", [float(np.mean(hits))]))
    return rows


# --- the page -----------------------------------------------------------------------------------


def cell(share: float, trials: int) -> str:
    """A share; bold where it misses the target by more than chance, 2 standard errors, explains."""
    if not math.isfinite(share):
        return ""
    text = f"{share:.3f}".removeprefix("0") if share < 1 else "1"
    chance = 2 * math.sqrt(share * (1 - share) / trials)
    good = share + chance >= GOOD[0] and share - chance <= GOOD[1]
    return text if good else f"**{text}**"


def table(first: str, columns: Sequence[Any], rows: Sequence[Row], trials: int) -> str:
    """A Markdown table of shares."""
    lines = [f"| {first} | " + " | ".join(map(str, columns)) + " |"]
    lines.append("| --- " * (len(columns) + 1) + "|")
    for name, shares in rows:
        cells = [cell(share, trials) for share in shares] + [""] * (len(columns) - len(shares))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def paragraph(text: str) -> str:
    """Wrap prose as the page does."""
    return textwrap.fill(text, 119, break_on_hyphens=False)


def page(effort: float, jobs: int) -> str:
    """All tables."""

    def count(standard: int) -> int:
        return max(20, round(standard * effort))

    def error(trials: int) -> str:
        return f"{trials:,} experiments each, so +- {2 * math.sqrt(0.05 * 0.95 / trials):.3f}"

    seeds, planted, fits, many = count(2000), count(200), count(150), count(1000)
    asked = {
        over_seeds: seeds, orders: planted, curves: fits, scaling: many,
        time_constants: many, exponents: many, shares_of_images: many, others: many,
    }  # fmt: skip
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        rows = dict(zip(asked, pool.map(measure, asked, asked.values()), strict=True))
    parts = [
        paragraph(
            "The tables have the shares of experiments in which a 95% interval holds the truth. "
            "They were written by `OMP_NUM_THREADS=1 python benchmarks/coverage.py "
            f"--effort {effort:g} --write docs/explanation/seeds.md`. The target is .93 to .97. A "
            "share that misses the target by more than 2 standard errors of the experiments is "
            "bold."
        ),
        "### Seeds",
        paragraph(f"The columns are numbers n of seeds ({error(seeds)})."),
        table("interval", SEEDS, rows[over_seeds], seeds),
        "### Orders",
        paragraph(
            "Causal orders of -0.6 to 0.6 are planted, with noise of a tenth of the response's "
            f"standard deviation ({error(planted)}). The last column is the noise that the "
            "protocol makes in the rates of an ARUN of random weights."
        ),
        table("estimator", NOISES, rows[orders], planted),
        "### f-I curves",
        paragraph(f"Each curve has 40 currents and noise of 2% of the top rate ({error(fits)})."),
        table("`fit_fi`", ("n", "s", "threshold", "output scale"), rows[curves], fits),
        "### Scaling",
        paragraph(
            "The fits are to seven amplitudes, and the noise is a share of the range of the values "
            f"({error(many)})."
        ),
        table("fit", ("a", "b", "c"), rows[scaling], many),
        "### Time constants",
        paragraph(
            "The responses relax by 1 over 80 samples, with white noise of the standard deviation "
            f"at the top of the column ({error(many)})."
        ),
        table("`describe_step`", ("0.1", "0.5"), rows[time_constants], many),
        "### Exponents",
        paragraph(f"The columns are numbers of steps, with a QR every 10 steps ({error(many)})."),
        table("`lyapunov`", (100, 200, 1000, 4000), rows[exponents], many),
        "### Shares",
        paragraph(
            "The standard error of an accuracy is sqrt(p (1 - p) / N). The interval is +- 1.96 "
            f"standard errors, and the columns are numbers N of images ({error(20 * many)})."
        ),
        table("truth", (100, 359, "1,000", "10,000"), rows[shares_of_images], 20 * many),
        "### Others",
        paragraph(f"The first column is white or independent noise ({error(many)})."),
        table("what", ("share", "AR(1), .8"), rows[others], many),
    ]
    return "\n\n".join(parts)


def measure(function: Callable[[int], list[Row]], trials: int) -> list[Row]:
    """One table, in a process of its own."""
    torch.set_num_threads(1)
    return function(trials)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="page whose marked part is replaced")
    parser.add_argument("--effort", type=float, default=1.0, help="experiments, relative")
    parser.add_argument("--jobs", type=int, default=1, help="tables made side by side")
    options = parser.parse_args()
    start = time.perf_counter()
    text = page(options.effort, options.jobs)
    print(text)
    print(f"\n{time.perf_counter() - start:.0f} s")
    if options.write:
        before, rest = options.write.read_text().split(BEGIN)
        after = rest.split(END)[1]
        options.write.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


if __name__ == "__main__":
    main()
