"""Proposition 1 predicts the variance of noise behind an f-I curve; Monte Carlo tests it."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.activation import gamma, gamma_dx
from adaptrnn.analysis.noise import noise_variance
from adaptrnn.figure.noise import trained_noise_error
from adaptrnn.figure.style import ink, letters, muted, shade_bar, shades, subplots
from adaptrnn.init import haar_
from adaptrnn.laboratory.drawing import noise_error
from adaptrnn.paper.item import Item, RunData
from adaptrnn.paper.note import means_along
from adaptrnn.paper.verdict import Claim, Verdict, part, verdict

__all__ = [
    "ITEM",
    "TRAINED_NOISE",
    "falling",
    "judge",
    "judge_trained_noise",
    "measure",
    "measure_trained_noise",
]

E28 = Claim(
    "E28",
    "Proposition 1",
    "To first order in sigma, the variance of noise behind the f-I curves is (sigma gamma')², and "
    "does not grow if and only if sigma |gamma'| ≤ 1.",
    "The relative error of (sigma gamma')² falls as sigma² (slope 2 ± 0.3 in logarithms). At "
    "sigma ≤ 0.1, growth or decay is predicted correctly wherever sigma |gamma'| is not within "
    "10% of 1",
)
E28_TRAINED = Claim(
    "E28",
    "Proposition 1, trained",
    "Ours: how far does the prediction reach for the (n, s) of trained ARUNs?",
    "The paper states nothing that could fail, so nothing is judged",
    {"psmnist": ("arun",)},
)
SIGMA = [0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0]
SAMPLES = 20_000
WITHIN = 0.05
LARGEST_ERROR = 1e6
"""Largest error that is told apart: of units so silent that the predicted variance is nearly 0."""


def measure(draws: int = 3, samples: int = SAMPLES) -> xr.Dataset:
    """Compute the prediction's relative error over a grid of (n, s) and mean currents.

    Args:
        draws: random orthogonal matrices, each with other noise; every neuron has one of the
            combinations.
        samples: of the Monte Carlo; alone they make an error of sqrt(2 / samples), 1%.

    Returns:
        error (draw, sigma, n, s, mu), |variance / predicted - 1|, at most 1e6; small (n, s, mu),
        the largest sigma of those tried up to which all errors are within 5%, 0 if none is; falls
        (n, s, mu), see `falling`.
    """
    axes = {"n": [1.0, 2.5, 5.0, 10.0], "s": [0.0, 0.02, 0.5, 1.0], "mu": [0.0, 1.0, 5.0]}
    grid = np.meshgrid(*axes.values(), indexing="ij")
    n, s, mu = (torch.from_numpy(values.ravel()) for values in grid)
    parts = []
    for draw in range(draws):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(draw)
            weight = haar_(torch.empty(len(n), len(n), dtype=torch.float64))
        found = noise_variance(n, s, SIGMA, mu=mu, weight=weight, samples=samples, seed=draw)
        parts.append(abs(found.relative_error).values.reshape(len(SIGMA), *grid[0].shape))
    error = xr.DataArray(
        np.stack(parts), dims=("draw", "sigma", *axes), coords={"sigma": SIGMA, **axes}
    )
    good = (error.max("draw") <= WITHIN).cumprod("sigma").astype(bool)
    small = error.sigma.where(good, 0.0).max("sigma")
    result = xr.Dataset({"error": error.clip(max=LARGEST_ERROR).astype("float32"), "small": small})
    return result.assign(falls=(tuple(axes), falling(*grid)))


def falling(n: np.ndarray, s: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """Return with which power of sigma the relative error of (sigma gamma')² vanishes.

    The exact variance of gamma(mu + sigma z), z standard normal, is that of Gauss-Hermite
    quadrature, which has no noise. Two sigmas, one half of the other, are chosen for each curve so
    small that the next order does not count: sigma n = 0.02 and 0.01.

    Args:
        n: gains.
        s: saturations, of the shape of n.
        mu: mean currents, of the shape of n.

    Returns:
        The slope of log |error| over log sigma, of the shape of n: 2 if the prediction is exact to
        first order; NaN where the error is rounding, because the curve is a straight line there or
        the unit is silent.

    Example:
        >>> falling(np.array([2.0]), np.array([0.5]), np.array([0.3])).round(2)
        array([2.])
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()
    curve = [torch.from_numpy(np.array(v, dtype=float)[..., None]) for v in (mu, n, s)]
    slope = gamma_dx(*curve).numpy()[..., 0]
    errors = []
    for scaled in (0.02, 0.01):
        sigma = scaled / np.abs(n)
        at = curve[0] + torch.from_numpy(sigma[..., None] * nodes)
        # less the rate at mu, so that rounding is of the size of the change
        rate = gamma(at, *(v.expand_as(at) for v in curve[1:])) - gamma(*curve)
        mean = (rate.numpy() * weights).sum(-1)
        square = (rate.numpy() ** 2 * weights).sum(-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            errors.append(np.abs((square - mean**2) / (sigma * slope) ** 2 - 1))
    clear = (errors[1] > SLOPE_ROUNDING) & (np.abs(slope) > SLOPE_ROUNDING)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(clear, np.log2(errors[0] / errors[1]), np.nan)


SLOPE_ROUNDING = 1e-8
"""Relative errors below this may be rounding."""


def judge(data: xr.Dataset) -> list[Verdict]:
    """Judge E28 by how the error vanishes, and whether growth or decay is predicted correctly."""
    within = (data.error <= WITHIN).where(data.error.notnull())
    falls = data["falls"] if "falls" in data else data.small * np.nan
    name = (
        "slope of log relative error of the predicted variance over log sigma, {} over (n, s, mu)"
    )
    parts = [
        part(name.format("smallest"), falls.min(skipna=True).values, least=1.7),
        part(name.format("largest"), falls.max(skipna=True).values, most=2.3),
        part(
            "share of cases (n, s, mu, sigma ≤ 0.1) whose growth or decay is predicted correctly",
            _rightly(data),
            "%",
            ".0f",
            least=100,
        ),
    ]
    shown = []
    for sigma in (0.01, 0.03, 0.1, 0.3):
        share = 100 * within.sel(sigma=sigma).mean(["n", "s", "mu"])
        text = f"share of (n, s, mu) whose variance is predicted within 5% at sigma = {sigma:g}"
        shown.append(part(text, share.mean("draw").values, "%", ".0f", least=100))
    inside = within.where((data.n * data.sigma <= 0.1 + 1e-9) & (data.sigma <= 0.3))
    near = 100 * inside.where(data.mu <= 1).mean(["sigma", "n", "s", "mu"])
    text = (
        "share of cases (n, s, mu, sigma) with variance predicted within 5%, sigma n ≤ 0.1, mu ≤ 1"
    )
    shown.append(part(text, near.mean("draw").values, "%", ".0f", least=100))
    by_gain, by_mean = data.small.median(["s", "mu"]), data.small.median(["n", "s"])
    last = data.small.sel(s=1.0)
    note = (
        "The slopes are computed from the exact variance by quadrature, wherever the error is more "
        "than rounding, and the shares are computed by Monte Carlo. The prediction breaks where "
        "the slope of the curve changes within sigma: the next term, relative to the first, is "
        "sigma² (gamma''² / (2 gamma'²) + gamma''' / gamma')."
    )
    if bool(within.notnull().any()):
        note += (
            " The largest sigma up to which the error is within 5% has a median of "
            f"{means_along(by_gain, 'n', name='n = ')}. By mean current its median is "
            f"{means_along(by_mean, 'mu', name='mu = ')}. For a saturated unit (s = 1 at mu = 5), "
            "which is nearly silent, the prediction breaks first, at best after sigma = "
            f"{float(last.sel(mu=5.0).max()):.2g}."
        )
    return [verdict(E28, parts, shown, note=note)]


def _rightly(data: xr.Dataset) -> float:
    """Percent of the cases whose variance grows if and only if sigma |gamma'| > 1.

    The error has no sign, so a case counts only if both variances that it allows agree.
    """
    n, s, mu = xr.broadcast(data.n, data.s, data.mu)
    slope = n.copy(data=gamma_dx(*(torch.from_numpy(v.values.copy()) for v in (mu, n, s))).numpy())
    small = data.error.sel(sigma=data.sigma <= 0.1 + 1e-9).astype(float)
    gain = abs(small.sigma * slope)
    clear = (abs(gain - 1) > 0.1) & small.notnull()
    high, low = gain**2 * (1 + small), gain**2 * (1 - small)
    right = xr.where(gain > 1, low > 1, high <= 1)
    return float(100 * right.where(clear).mean())


def draw(data: xr.Dataset) -> Figure:
    """Draw the error against sigma: a row for each saturation, a column for each mean current."""
    saturations = [s for s in data.s.values if not 0 < s < 0.1]  # 0.02 is as good as 0
    shape = (len(saturations), data.sizes["mu"])
    figure, axes = subplots(*shape, width=7.5, height=5.4, sharex=True, sharey=True)
    error = data.error.mean("draw")
    for row, s in zip(axes, saturations, strict=True):
        for axis, mu in zip(row, data.mu.values, strict=True):
            for n, tone in zip(data.n.values, shades(data.sizes["n"]), strict=True):
                axis.plot(data.sigma, error.sel(n=n, s=s, mu=mu), color=tone, lw=1.4)
            axis.axhspan(1e-3, np.sqrt(2 / SAMPLES), color=muted(), alpha=0.2, lw=0)
            axis.axhline(WITHIN, color=ink(), lw=0.8, ls=":")
            axis.plot([0.1, 1.0], [0.02, 2.0], color=muted(), lw=1.2, ls="--")
            axis.set(xscale="log", yscale="log", ylim=(1e-3, 10))
            axis.text(0.03, 0.93, f"s = {s:g}, mean {mu:g}", va="top", fontsize=8)
            axis.texts[-1].set_transform(axis.transAxes)
        row[0].set_ylabel("relative error")
    words = {"fontsize": 7, "color": muted(), "ha": "center"}
    axes[0, -1].text(0.25, 0.35, "∝ σ²", **words)
    axes[0, -1].text(0.14, 1.3e-3, "noise of the Monte Carlo", **words)
    axes[0, -1].text(0.012, 0.055, "5%", fontsize=7, va="bottom")
    for axis in axes[-1]:
        axis.set_xlabel("sd of the noise, σ")
    shade_bar(figure, axes, data.n.values.tolist(), "gain n")
    letters(axes)
    return figure


def measure_trained_noise(run: RunData) -> xr.Dataset:
    """Measure the share of neurons within 5%, and the middle error, (mu, sigma)."""
    return noise_error(run.analyses["noise"]).astype("float32").drop_attrs()


def judge_trained_noise(data: xr.Dataset) -> list[Verdict]:
    """Judge E28 with the (n, s) that a drive of size mu left."""
    arun = data.sel(role="psmnist", model="arun")
    inside = arun["share"].where(data.sigma <= 0.3, drop=True).min("sigma")
    shown = [
        part(
            f"share of neurons whose variance is predicted within 5% at every sigma ≤ 0.3, at mean "
            f"current {mu:g}",
            100 * inside.sel(mu=mu).values,
            "%",
            ".0f",
            least=95,
        )
        for mu in data.mu.values.tolist()
    ]
    notes = []
    for mu in data.mu.values.tolist():
        share = 100 * arun["share"].sel(mu=mu, drop=True)
        course = means_along(share, "sigma", ".0f", "sigma = ")
        if course:
            notes.append(
                f"At mean current {mu:g}, the share of neurons in % whose variance is predicted "
                f"within 5% is {course}."
            )
    notes.append(
        "A random orthogonal matrix is used in place of W_hh, which is not orthogonal after "
        "training."
    )
    return [verdict(E28_TRAINED, shown=shown, note=" ".join(notes))]


ITEM = Item(
    name="prop1",
    title="Variance of noise behind an f-I curve",
    caption=(
        "The curves are the error of (sigma gamma'(mu; n, s))² as a prediction of the variance of "
        "gamma(mu + sigma z), with z standard normal, against sigma. The variance is found by "
        "Monte Carlo (20,000 samples, mean of three random orthogonal matrices of 48 neurons). "
        "There is a panel for each saturation s (curves of s = 0.02 lie on those of s = 0) and "
        "mean current mu, and a colour for each gain n. The dotted line is 5%, the dashed one has "
        "the slope of an error that falls as sigma², and the grey band is the error of the Monte "
        "Carlo alone. Curves that leave a panel at the top are those of saturated, nearly silent "
        "units. The paper has this in Proposition 1."
    ),
    alt=(
        "Nine panels, by saturation and mean current, show the relative error of the predicted "
        "variance against the size of the noise on logarithmic axes, a line for each gain: from "
        "the noise of the Monte Carlo the lines rise as fast as a dashed line of slope two, "
        "earlier for higher gains."
    ),
    measure=measure,
    draw=draw,
    judge=judge,
    functions=("adaptrnn.analysis.noise.noise_variance",),
    tests=("tests/analysis/test_noise.py",),
)

TRAINED_NOISE = Item(
    name="prop1-trained",
    title="Variance of noise behind the f-I curves of trained networks",
    caption=(
        "The error of the predicted variance is that of Proposition 1, with the gains and "
        "saturations of the neurons of trained ARUNs, as a drive of the size of the mean current "
        "left them (for a mean current of 0, a drive of 0.5), with 20,000 samples. Panel a shows "
        "the median over neurons of the error, as the mean over seeds, with a band from the least "
        "to the greatest seed. Panel b shows the share of neurons within 5%. The paper has this in "
        "Proposition 1."
    ),
    roles=("psmnist",),
    models=("arun",),
    analyses=("noise",),
    alt=(
        "Left: median error of the predicted variance over the neurons of trained networks "
        "against the size of the noise, a line for each of three mean currents, with a dotted "
        "line at 5%. Right: the share of neurons whose error is within 5%."
    ),
    measure=measure_trained_noise,
    draw=trained_noise_error,
    judge=judge_trained_noise,
    functions=("adaptrnn.analysis.noise.noise_variance",),
    tests=("tests/analysis/test_noise.py",),
)
