"""Figure S6 shows Jacobian norm, exponents, accuracy and learning over gains and saturations."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import matplotlib
import numpy as np
import torch
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from torch import Tensor

from adaptrnn.activation import gamma_dx, gamma_sup_slope
from adaptrnn.analysis.lyapunov_exponent import ConvergenceWarning, lyapunov
from adaptrnn.analysis.statistic import correlation
from adaptrnn.figure.map import cells, norm_curves
from adaptrnn.figure.style import (
    accents,
    count_seeds,
    ink,
    key,
    label_of,
    letters,
    log_axis,
    shades,
    subplots,
    task_title,
)
from adaptrnn.init import henaff_
from adaptrnn.paper.gate import LEAST
from adaptrnn.paper.item import Item, RunData
from adaptrnn.paper.note import means_along
from adaptrnn.paper.verdict import Claim, Part, Verdict, part, verdict
from adaptrnn.perturb import Sum
from adaptrnn.rnn import RNN

__all__ = [
    "GAINS",
    "GRID_ACCURACY",
    "NORM",
    "REGION_EXPONENTS",
    "SATURATIONS",
    "TRAINED_NORM",
    "draw_grid",
    "draw_norm",
    "draw_regions",
    "draw_trained_norm",
    "judge_grid",
    "judge_norm",
    "judge_regions",
    "judge_trained_norm",
    "measure_grid",
    "measure_norm",
    "measure_regions",
    "measure_trained_norm",
    "norms",
]

E32 = Claim(
    "E32",
    "Fig S6a",
    "The shape of the f-I curve decides on the norm of the Jacobian: over gains n and saturations "
    "s it has regions below, at and above 1.",
    "All three regions exist. At ≥ 90% of (n, s) (ours) the norm is in the region of sup gamma', "
    "the largest slope of the f-I curve",
)
E32_TRAINED = Claim(
    "E32",
    "Fig S6a, trained",
    "Ours: how does the map look with W_hh after training?",
    "The paper states nothing that could fail, so nothing is judged",
    {"psmnist": ("gamma", "arun")},
)
E33 = Claim(
    "E33",
    "Fig S6b",
    "The largest exponent of untrained networks has distinct regions of stability over (n, s).",
    "The largest exponent λ is in the same region in all draws at ≥ 90% of (n, s) (ours). Of the "
    "regions (ours), which are λ < -0.01, λ about 0 and λ > 0.01, two have ≥ 10% of (n, s) each "
    "(ours)",
)
E34 = Claim(
    "E34",
    "Fig S6c",
    "Accuracy with fixed (n, s) is best near Jacobian norm 1; poor performance always goes with an "
    "exploding norm, never with a vanishing one.",
    "Spearman's correlation of accuracy and -|ln JN|, where JN is the Jacobian norm, is above "
    "0.5 (ours). The least accurate tenth of (n, s) all have JN > 1.02 (ours)",
)
E35 = Claim(
    "E35",
    "Fig S6d",
    "Learned f-I curves outperform the traditional ones.",
    "The mean accuracy of the networks that learned (n, s) is above those of the networks with "
    "(n, s) fixed at the points of the grid that are most like ReLU, sigmoid and softplus",
)

GAINS = [1.0, *(1.25 * k for k in range(1, 17))]
SATURATIONS = [0.0, 0.25, 0.5, 0.75, 1.0]
CLEAN = {"clean": Sum(())}
NEURONS = 400
STILL = 0.01
"""Exponents nearer to 0 than this count as 0."""
LITTLE = 0.2
"""If no n or s moves farther than this in training, learned curves are nearly as at the start."""
EXPLODING = 1.02
"""A Jacobian norm above this counts as exploding."""


def norms(n: Tensor, s: Tensor, neurons: int = NEURONS, samples: int = 20, seed: int = 0) -> Tensor:
    """Compute E over h ~ U(-5, 5)^N of ||diag(gamma'(W h; n, s)) W||_2 for an orthogonal W.

    For an orthogonal W the spectral norm is the largest |gamma'| among the neurons, so none needs
    to be computed.

    Args:
        n: gains, any shape, float64.
        s: saturations, broadcastable to n.
        neurons: N.
        samples: number of h.
        seed: of W (2x2 rotations, Henaff et al.) and of h.

    Returns:
        The norms, of the shape of n and s together.

    Example:
        >>> norms(torch.tensor(5.0).double(), torch.tensor([0.0, 0.02]).double()).numpy().round(3)
        array([1.  , 0.98])
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        weight = henaff_(torch.empty(neurons, neurons, dtype=torch.float64))
        currents = (10 * torch.rand(samples, neurons, dtype=torch.float64) - 5) @ weight.mT
    n, s = torch.broadcast_tensors(n, s)
    found = [
        gamma_dx(currents, gain, saturation).abs().amax(1).mean()
        for gain, saturation in zip(n.ravel().tolist(), s.ravel().tolist(), strict=True)
    ]
    return torch.stack(found).reshape(n.shape)


# --- Fig S6a ------------------------------------------------------------------------------------


def measure_norm(draws: int = 3) -> xr.Dataset:
    """Compute norms for orthogonal matrices, (draw, neurons, n, s), and sup_slope (n, s)."""
    n = torch.tensor(GAINS, dtype=torch.float64)[:, None]
    s = torch.tensor(SATURATIONS, dtype=torch.float64)
    sizes = [100, NEURONS]
    found = [[norms(n, s, size, seed=draw).numpy() for size in sizes] for draw in range(draws)]
    return xr.Dataset(
        {
            "norm": (("draw", "neurons", "n", "s"), found),
            "sup_slope": (("n", "s"), gamma_sup_slope(n, s).numpy()),
        },
        coords={"draw": np.arange(draws), "neurons": sizes, "n": GAINS, "s": SATURATIONS},
    ).astype("float32")


def judge_norm(data: xr.Dataset) -> list[Verdict]:
    """Judge E32 by the distance from sup gamma' and by the three regions."""
    away = abs(data.norm / data.sup_slope - 1)
    big = away.sel(neurons=NEURONS, drop=True)
    region = _region(data.norm.sel(neurons=NEURONS))
    same = (region == _region(data.sup_slope)).where(region.notnull())
    count = float(len(np.unique(region.values[np.isfinite(region.values)]))) or np.nan
    agree = 100 * same.mean(["n", "s"])
    same_region = (
        "share of (n, s) whose Jacobian norm is below, at or above 1 as sup gamma' is, smallest "
        "over draws"
    )
    parts = [
        part(
            "number of regions of the Jacobian norm that exist (below, at and above 1)",
            count,
            digits=".0f",
            least=3,
        ),
        part(
            same_region,
            agree.min("draw").values,
            "%",
            ".0f",
            least=90,
        ),
    ]
    near = 100 * (big <= 0.02).where(big.notnull()).mean(["n", "s"])
    text = (
        f"share of (n, s) whose Jacobian norm is within 2% of sup gamma', {NEURONS} neurons, "
        "smallest over draws"
    )
    shown = [
        part(text, near.min("draw").values, "%", ".0f", least=100),
        part(
            f"{same_region}, by the stricter threshold 95%",
            agree.min("draw").values,
            "%",
            ".0f",
            least=95,
        ),
    ]
    small = away.sel(neurons=100, drop=True)
    note = (
        "The norm is the largest slope among N neurons, and the narrower the peak of the slope is, "
        "the more rarely a current falls on it. The draws are random orthogonal matrices."
    )
    if bool(big.notnull().any()):
        most = [
            f"{float(values.max()):.1%} with N = {n}"
            for n, values in ((NEURONS, big), (100, small))
        ]
        note = (
            f"The largest distance of the norm from sup gamma' is {' and '.join(most)}, at the "
            f"largest gains. {note}"
        )
    return [verdict(E32, parts, shown, note=note)]


def _region(norm: xr.DataArray) -> xr.DataArray:
    """-1 below 1, 0 within 2% of it, 1 above."""
    return xr.where(abs(norm - 1) <= 0.02, 0, np.sign(norm - 1))


def draw_norm(data: xr.Dataset) -> Figure:
    """Draw the norm over (n, s), and its distance from sup gamma'.

    Args:
        data: `norm` (draw, neurons, n, s), `sup_slope` (n, s).
    """
    figure, axes = subplots(1, 2, width=8.5, height=3.2)
    left, right = axes[0]
    sizes = data.neurons.values
    mean = data.norm.sel(neurons=sizes[-1]).mean("draw")
    values = np.log2(mean)
    _map(left, values, "norm of the Jacobian", **_around(values))
    bar = left.images[0].colorbar
    bar.ax.yaxis.set_major_formatter(lambda power, _: f"{2.0**power:.3g}")
    _contour(left, mean, 1.0)
    left.set_title(f"N = {sizes[-1]}; line: norm 1")
    away = 100 * abs(data.norm / data.sup_slope - 1).max("draw")
    for s, tone in zip(data.s.values, shades(data.sizes["s"]), strict=True):
        for size in sizes:
            full = size == sizes[-1]
            settings: dict[str, Any] = {"color": tone, "ms": 4, "lw": 1 if full else 0.6}
            settings |= {"label": f"s = {s:g}"} if full else {"mfc": "none"}
            right.plot(data.n, away.sel(neurons=size, s=s), "o-", **settings)
    right.axhline(2, color=ink(), lw=0.8, ls=":")
    right.set(xlabel="gain n", ylabel="distance from sup gamma' (%)")
    right.set_title(f"open: N = {sizes[0]}, full: N = {sizes[-1]}; dotted: 2%")
    key(right)
    letters(axes)
    return figure


def measure_trained_norm(run: RunData) -> xr.Dataset:
    """Compute norms over the grid before and after training, and sup_slope (n, s)."""
    found = run.analyses["jacobian"]
    return found[["norm", "sup_slope"]].astype("float32")


def judge_trained_norm(data: xr.Dataset) -> list[Verdict]:
    """Judge E32 for W_hh before and after training."""
    at = data.sel(role="psmnist")
    away = abs(at.norm / at.sup_slope - 1)
    share = 100 * (away <= 0.02).where(away.notnull()).mean(["n", "s"])
    names = {"gamma": "RNN+gamma", "arun": "ARUN"}
    shown, notes = [], []
    for model, label in names.items():
        for weights in ("initial", "trained"):
            values = share.sel(model=model, weights=weights).values
            text = (
                f"{label}, {weights} W_hh: share of (n, s) whose Jacobian norm is within 2% of sup "
                "gamma'"
            )
            shown.append(part(text, values, "%", ".0f", least=100))
        ratio = (at.norm / at.sup_slope).sel(model=model, weights="trained").median(["n", "s"])
        if bool(ratio.notnull().any()):
            notes.append(
                f"After training, the norm of {label} is {float(ratio.mean()):.2f} times sup "
                "gamma' in the median over (n, s)."
            )
    notes.append(
        "After training, W_hh is not orthogonal, so its norm scales the whole map. Before "
        "training, the norm differs from sup gamma' because the number of neurons is limited."
    )
    return [verdict(E32_TRAINED, shown=shown, note=" ".join(notes))]


def draw_trained_norm(data: xr.Dataset) -> Figure:
    """Draw the norm against n for each s, before and after training, a panel for each model.

    Args:
        data: `norm` (role, model, seed, weights, n, s) of one role.
    """
    data = data.isel(role=0)
    models = data.model.values.tolist()
    figure, axes = subplots(1, len(models), height=3.2, sharey=True)
    for axis, model in zip(axes[0], models, strict=True):
        norm_curves(axis, data.norm.sel(model=model))
        log_axis(axis)
        axis.set_title(label_of(model))
        count_seeds(axis, data.norm.sel(model=model), "seed", (0.03, 0.97))
    axes[0, 0].set_ylabel("norm of the Jacobian")
    axes[0, -1].legend(title="full: trained, dashed: initial", title_fontsize=8)
    letters(axes)
    return figure


# --- Fig S6b ------------------------------------------------------------------------------------


def measure_regions(draws: int = 3, neurons: int = 100, steps: int = 300) -> xr.Dataset:
    """Compute the largest exponent of h -> gamma(W h; n, s), W orthogonal, (draw, n, s).

    Args:
        draws: random matrices and first states.
        neurons: N.
        steps: that count, after 100.
    """
    n, s = (v.ravel() for v in np.meshgrid(GAINS, SATURATIONS, indexing="ij"))
    found = []
    for draw in range(draws):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(draw)
            network = RNN(1, neurons, nonlinearity="gamma-shared").double()
            state = torch.rand(len(n), neurons, dtype=torch.float64)
        pair = {k: torch.from_numpy(v)[:, None].expand_as(state) for k, v in (("n", n), ("s", s))}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            one = lyapunov(
                network, definition="paper", state=state, steps=steps, n=pair["n"], s=pair["s"]
            )
        found.append(one.lyapunov.values[:, 0].reshape(len(GAINS), len(SATURATIONS)))
    return xr.Dataset(
        {"lyapunov": (("draw", "n", "s"), np.array(found, dtype=np.float32))},
        coords={"draw": np.arange(draws), "n": GAINS, "s": SATURATIONS},
        attrs={"neurons": neurons, "steps": steps},
    )


def judge_regions(data: xr.Dataset) -> list[Verdict]:
    """Judge E33 by regions of sign, with one for exponents about 0, and by how stable they are."""
    exponent = data.lyapunov
    region = xr.where(abs(exponent) <= STILL, 0, np.sign(exponent)).where(exponent.notnull())
    same = (region == region.isel(draw=0)).all("draw").where(region.notnull().all("draw"))
    plain = np.sign(exponent)
    stable = (plain == plain.isel(draw=0)).all("draw")
    shares = {k: 100 * (region == k).where(region.notnull()).mean() for k in (-1, 0, 1)}
    second = sorted(float(v) for v in shares.values())[1]
    parts = [
        part(
            "share of (n, s) whose largest exponent λ is in the same region (below, about or above "
            "0) in all draws",
            100 * float(same.mean()),
            "%",
            ".0f",
            least=90,
        ),
        part(
            "share of (n, s) in the second largest region of λ, the largest exponent",
            second,
            "%",
            ".0f",
            least=10,
        ),
    ]
    note = "The exponents are by the definition “paper”, without input, bias or drive."
    if bool(exponent.notnull().any()):
        note = (
            f"The largest exponent λ is within {STILL} of 0 at {float(shares[0]):.0f}% of (n, s), "
            f"below that at {float(shares[-1]):.0f}% and above it at {float(shares[1]):.0f}%. The "
            "bare sign of λ, which is chance where λ is about 0, is the same in all draws at "
            f"{100 * float(stable.mean()):.0f}% of (n, s). {note}"
        )
    return [verdict(E33, parts, note=note)]


def draw_regions(data: xr.Dataset) -> Figure:
    """Draw the largest exponent over (n, s), and its region in most draws.

    Args:
        data: `lyapunov` (draw, n, s).
    """
    figure, axes = subplots(1, 2, width=8.5, height=3.2)
    left, right = axes[0]
    mean = data.lyapunov.mean("draw")
    _map(left, mean, "largest exponent (1/step)", **_around(mean))
    left.set_title("mean of the draws")
    near = xr.where(abs(data.lyapunov) <= STILL, 0, np.sign(data.lyapunov))
    three = ListedColormap(matplotlib.colormaps["RdBu_r"]([0.15, 0.5, 0.85]))
    _map(right, near.median("draw"), "region", cmap=three, vmin=-1.5, vmax=1.5)
    words = [f"λ < −{STILL:g}", "about 0", f"λ > {STILL:g}"]
    right.images[0].colorbar.set_ticks([-1, 0, 1], labels=words)
    differ = (near != near.isel(draw=0)).any("draw").transpose("s", "n").values
    rows, columns = np.nonzero(differ)
    right.plot(columns, rows, "o", color="black", mec="whitesmoke", ms=5)
    right.set_title("region of most draws; dots: not of all")
    letters(axes)
    return figure


# --- Fig S6c, d ---------------------------------------------------------------------------------


def measure_grid(run: RunData) -> xr.Dataset:
    """Measure where a network with shared (n, s) started and ended, and its accuracy.

    Returns:
        accuracy (0 to 1, test split), n, s, norm_start and norm, the Jacobian norm for orthogonal
        W at the start and at the end, over (start_n, start_s, learned), each of size 1.
    """
    config = run.config
    start = (float(config.n), float(config.s))
    weights = run.weights
    end = [float(weights[f"core.{name}_l0"]) for name in "ns"]
    both = torch.tensor([start, end], dtype=torch.float64)
    before, after = norms(both[:, 0], both[:, 1]).tolist()
    accuracy = float(run.evaluation.accuracy[0])
    values = {"accuracy": accuracy, "n": end[0], "s": end[1], "norm_start": before, "norm": after}
    dims = {"start_n": [start[0]], "start_s": [start[1]], "learned": [int(config.learn_curve)]}
    return xr.Dataset({name: (tuple(dims), [[[value]]]) for name, value in values.items()}, dims)


def judge_grid(data: xr.Dataset) -> list[Verdict]:
    """Judge E34 on the networks with fixed (n, s), and E35 on those that learned them."""
    at = data.sel(role="psmnist", model="gamma-shared").reindex(learned=[0, 1])
    fixed, learned = (at.sel(learned=k, drop=True) for k in (0, 1))
    nearness = -_from_one(fixed.norm_start)
    spearman, tenth, worse, nearer, better = [], [], [], [], []
    for seed in data.seed.values:
        accuracy = fixed.accuracy.sel(seed=seed).values.ravel()
        near = nearness.sel(seed=seed).values.ravel()
        known = np.isfinite(accuracy) & np.isfinite(near)
        above = fixed.norm_start.sel(seed=seed).values.ravel() > EXPLODING
        if known.sum() > 2:
            found = correlation(near[known], accuracy[known], resamples=199)
            spearman.append(float(found.r))
            worse.append(_mean(accuracy[known & ~above]) - _mean(accuracy[known & above]))
            tenth.append(100 * _worst(accuracy[known], above[known]))
        one = learned.sel(seed=seed)
        before, after = (_from_one(one[k]) for k in ("norm_start", "norm"))
        away = (before > 0.05).values & np.isfinite(after.values)
        nearer.append(100 * _mean((after < before).values[away].astype(float)))
        gain = _map_gain(fixed.accuracy.sel(seed=seed), one)
        better.append(100 * _mean((gain > 0)[np.isfinite(gain)].astype(float)))
    first = [
        part(
            "Spearman's correlation over (n, s) of accuracy and -|ln JN| (JN: Jacobian norm)",
            spearman,
            above=0.5,
        ),
        part(
            "share of the least accurate tenth of (n, s) whose Jacobian norm JN is > "
            f"{EXPLODING:g}",
            tenth,
            "%",
            ".0f",
            least=100,
        ),
    ]
    first_shown = [
        part(
            f"mean accuracy at fixed (n, s) with Jacobian norm JN ≤ {EXPLODING:g} minus that with "
            f"JN > {EXPLODING:g}",
            100 * np.array(worse),
            " pp",
            "+.1f",
            above=0,
        )
    ]
    rates = 100 * learned.accuracy.mean(["start_n", "start_s"])
    second = []
    for name, n, s in _traditional(data):
        gap = rates - 100 * fixed.accuracy.sel(start_n=n, start_s=s, drop=True)
        text = (
            f"mean accuracy of networks with learned (n, s) minus with fixed {name}-like (n, s) "
            f"(n = {n:g}, s = {s:g})"
        )
        second.append(part(text, gap.values, " pp", "+.1f", above=0))
    text = (
        "share of learned (n, s) that end nearer to a Jacobian norm JN of 1 than they started, of "
        "starts with |ln JN| > 0.05"
    )
    second_shown = [
        part(text, nearer, "%", ".0f", least=70),
        part(
            "share of learned (n, s) that end in a cell of higher accuracy than their start's",
            better,
            "%",
            ".0f",
            least=70,
        ),
        *_same_start(fixed, learned),
    ]
    size = f"{data.sizes['start_n']} gains and {data.sizes['start_s']} saturations"
    notes = [
        f"The grid has {size}. The Jacobian norm JN is that of an orthogonal W of {NEURONS} "
        "neurons."
    ]
    for name, symbol in (("start_n", "n = "), ("start_s", "s = ")):
        shown = means_along(100 * fixed.accuracy, name, ".0f", symbol)
        if shown:
            notes.append(f"With fixed (n, s), the mean accuracy in % is {shown}.")
    cell = (
        "Accuracies of cells are read from the map of fixed (n, s), where the cell nearest to the "
        "end of a network is compared with the cell of its start. Starts in cells within 2 "
        "percentage points of the best are left out."
    )
    best = float(data.accuracy.max())
    slow = ""
    if best < LEAST:
        slow = f"On psMNIST, no network of the grid reaches {LEAST:.0%} (the best has {best:.1%})."
    moved = [_moved(learned, name) for name in "ns"]
    short = (
        "Networks of the grid are trained for a much shorter time than the others, in `night` for "
        "2 epochs of 10,000 images, or 200 steps."
    )
    barely = ""
    if max(moved) < LITTLE:  # nothing is less than NaN
        barely = (
            f"In that time learned (n, s) hardly move, at most by {moved[0]:.2f} in n and by "
            f"{moved[1]:.2f} in s, so the claim that learned curves outperform others is barely "
            "tested."
        )
    verdicts = (
        verdict(E34, first, first_shown, note=" ".join([*notes, short])),
        verdict(E35, second, second_shown, note=f"{notes[0]} {cell} {short} {barely}".strip()),
    )
    return [dataclasses.replace(one, untrained=slow) for one in verdicts]


def _moved(learned: xr.Dataset, name: str) -> float:
    """The largest distance of a learned n or s from its start; NaN without any network."""
    return float(abs(learned[name] - learned[f"start_{name}"]).max())


def _traditional(data: xr.Dataset) -> list[tuple[str, float, float]]:
    """The points of the grid that are most like three traditional f-I curves."""
    n, s = data.start_n.values, data.start_s.values
    steep, soft = float(n.max()), float(n[abs(n - 1).argmin()])
    none, full = (float(s[abs(s - at).argmin()]) for at in (0.0, 1.0))
    return [("ReLU", steep, none), ("sigmoid", soft, full), ("softplus", soft, none)]


def _same_start(fixed: xr.Dataset, learned: xr.Dataset) -> list[Part]:
    """Learned against fixed (n, s) from the same point, mean over the grid."""
    gap = 100 * (learned.accuracy - fixed.accuracy).mean(["start_n", "start_s"], skipna=False)
    text = "accuracy with learned minus with fixed (n, s) from the same start, mean over the grid"
    return [part(text, gap.values, " pp", "+.1f", above=0)]


def _worst(accuracy: np.ndarray, above: np.ndarray) -> float:
    """Of the tenth with the lowest accuracies (at least one), the share that is above."""
    count = max(1, len(accuracy) // 10)
    return float(above[np.argsort(accuracy, kind="stable")[:count]].mean())


def _from_one(norm: xr.DataArray) -> xr.DataArray:
    """|ln JN|."""
    return abs(xr.apply_ufunc(np.log, norm))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan


def _map_gain(fixed: xr.DataArray, learned: xr.Dataset) -> np.ndarray:
    """Accuracy of fixed (n, s) in the cell nearest to each end, minus that in the start's cell.

    NaN where the start's cell is within 2 pp of the best already.
    """
    accuracy = fixed.transpose("start_n", "start_s").values
    ends = [learned[k].transpose("start_n", "start_s").values for k in "ns"]
    gain, best = np.full(accuracy.shape, np.nan), float(fixed.max())
    for (i, j), n in np.ndenumerate(ends[0]):
        if np.isfinite(n) and accuracy[i, j] < best - 0.02:
            row = int(np.abs(fixed.start_n.values - n).argmin())
            column = int(np.abs(fixed.start_s.values - ends[1][i, j]).argmin())
            gain[i, j] = accuracy[row, column] - accuracy[i, j]
    return gain


def draw_grid(data: xr.Dataset) -> Figure:
    """Draw accuracy over fixed (n, s), and where learned (n, s) went.

    Args:
        data: `accuracy`, `n`, `s`, `norm_start`, `norm` (role, model, seed, start_n, start_s,
            learned) of one role and model.
    """
    task = task_title(data)
    data = data.isel(role=0, model=0).reindex(learned=[0, 1])
    figure, axes = subplots(1, 2, width=9, height=3.6)
    left, right = axes[0]
    fixed, learned = (data.sel(learned=k) for k in (0, 1))
    accuracy = 100 * fixed.accuracy.mean("seed").rename(start_n="n", start_s="s")
    _map(left, accuracy, "test accuracy (%)", digits=".0f")
    norm = data.norm_start.max(["seed", "learned"]).rename(start_n="n", start_s="s")
    _contour(left, norm, EXPLODING)
    left.set_title(f"{task}: n and s fixed")
    before, after = (abs(xr.apply_ufunc(np.log, learned[k])) for k in ("norm_start", "norm"))
    good = (after < before) | (before <= 0.05)
    dims = ("seed", "start_n", "start_s")
    ends = {k: learned[k].transpose(*dims).values for k in "ns"}
    tones = {True: accents()[0], False: ink()}
    for index, nearer in np.ndenumerate(good.transpose(*dims).values):
        end = (ends["n"][index], ends["s"][index])
        if np.isfinite(end[0]):
            start = (data.start_n.values[index[1]], data.start_s.values[index[2]])
            tone, dashes = tones[bool(nearer)], "-" if nearer else ":"
            right.plot(*zip(start, end, strict=True), color=tone, lw=1, ls=dashes)
            right.plot(*start, "o", color=tone, mfc="none", ms=5)
            right.plot(*end, "o", color=tone, ms=4)
    for nearer, words in ((True, "nearer to norm 1, or there from the start"), (False, "farther")):
        right.plot([], [], color=tones[nearer], ls="-" if nearer else ":", label=words)
    right.set(xlabel="gain n", ylabel="saturation s", title="learned: start (open) to end")
    right.legend(loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=2)
    letters(axes)
    count_seeds(right, data.accuracy, "seed")
    return figure


def _around(values: xr.DataArray) -> dict[str, Any]:
    """A scale that is symmetric about 0."""
    size = np.abs(values.values[np.isfinite(values.values)])
    most = float(size.max()) if size.size else 1.0
    return {"cmap": "RdBu_r", "vmin": -most, "vmax": most}


def _map(axis: Axes, values: xr.DataArray, label: str, **scale: Any) -> None:
    """Cells over (n, s) with a colour bar."""
    shown = cells(axis, values, "s", "n", **scale)
    axis.set(xlabel="gain n", ylabel="saturation s")
    axis.figure.colorbar(shown, ax=axis, label=label)


def _contour(axis: Axes, norm: xr.DataArray, level: float) -> None:
    """The line between cells below and above a level."""
    above = norm.transpose("s", "n").values > level
    for row, column in np.argwhere(above[:, 1:] != above[:, :-1]):
        axis.plot([column + 0.5] * 2, [row - 0.5, row + 0.5], color="black", lw=1.4)
    for row, column in np.argwhere(above[1:] != above[:-1]):
        axis.plot([column - 0.5, column + 0.5], [row + 0.5] * 2, color="black", lw=1.4)


NORM = Item(
    name="s6-norm",
    title="Jacobian norm over gains and saturations",
    caption=(
        "The norm is E over h ~ U(-5, 5)^N of ||diag(gamma'(W h; n, s)) W||_2 for a random "
        "orthogonal W (2x2 rotations), as the mean of three draws with 20 h each. Panel a has N = "
        "400, and its line is where the norm is 1. Panel b shows the largest distance from sup "
        "gamma' over draws, for N = 100 (open) and 400 (filled). The paper shows this in Fig S6a."
    ),
    alt=(
        "Left: a map of the Jacobian norm over gain and saturation, blue below 1, red above. "
        "Right: its distance in percent from the largest slope, against the gain."
    ),
    measure=measure_norm,
    draw=draw_norm,
    judge=judge_norm,
    functions=(
        "adaptrnn.activation.gamma_sup_slope",
        "adaptrnn.analysis.jacobian.jacobian_norm",
    ),
    tests=("tests/analysis/test_jacobian.py", "tests/paper/test_figure_s6.py"),
)

TRAINED_NORM = Item(
    name="s6-norm-trained",
    title="Jacobian norm over gains and saturations, trained W_hh",
    caption=(
        "The lines are the norm of the Jacobian (20 h) with the W_hh of trained networks, over a "
        "grid of (n, s) in place of their own. Full lines are after training and dashed lines "
        "before, as means over seeds. The paper's Fig S6a is of untrained networks."
    ),
    alt=(
        "The norm of the Jacobian against the gain, a line for each saturation, for RNN+gamma and "
        "ARUN: full after training, dashed before it."
    ),
    roles=("psmnist",),
    models=("gamma", "arun"),
    analyses=("jacobian",),
    measure=measure_trained_norm,
    draw=draw_trained_norm,
    judge=judge_trained_norm,
    functions=("adaptrnn.analysis.jacobian.jacobian_norm",),
    tests=("tests/analysis/test_jacobian.py",),
)

REGION_EXPONENTS = Item(
    name="s6-lyapunov",
    title="Largest exponent over gains and saturations",
    caption=(
        "The largest Lyapunov exponent (1/step, natural logarithm) is that of h -> gamma(W h; n, "
        "s), where W is a random orthogonal matrix (2x2 rotations) of 100 neurons, from a random "
        "state, over 300 steps after 100 that do not count. Panel a shows the mean of three draws. "
        "Panel b shows the region in most draws, which is below -0.01, about 0, or above 0.01, "
        "with dots where the draws differ. The paper shows this in Fig S6b."
    ),
    alt=(
        "Two maps over gain and saturation: the largest exponent, and its region: negative, about "
        "0 or positive."
    ),
    measure=measure_regions,
    draw=draw_regions,
    judge=judge_regions,
    functions=("adaptrnn.analysis.lyapunov_exponent.lyapunov",),
    tests=("tests/analysis/test_lyapunov_exponent.py",),
)

GRID_ACCURACY = Item(
    name="s6-grid",
    title="Accuracy and learning from a grid of gains and saturations",
    caption=(
        "The networks have one (n, s) for all neurons and started from a grid. Panel a shows the "
        "test accuracy with (n, s) fixed, as the mean over seeds, and a line where the Jacobian "
        "norm is 1.02, which is exceeded to the right of it. Panel b shows lines from the start "
        "(circle) to the end (dot) where (n, s) were learned, for all seeds. A full line ends "
        "nearer to Jacobian norm 1, or was at it from the start, and a dotted line ends farther "
        "from it. These networks are trained for a much shorter time than the others, in `night` "
        "for 2 epochs of 10,000 images, or 200 steps. In that time (n, s) hardly move. The paper "
        "shows this in Fig S6c, d."
    ),
    alt=(
        "Left: a map of test accuracy over gain and saturation, in numbered cells, with a line "
        "where the Jacobian norm passes 1.02. Right: lines from where gain and saturation started "
        "to where learning took them."
    ),
    roles=("psmnist",),
    models=("gamma-shared",),
    variant="grid",
    conditions=CLEAN,
    files=("weights",),
    measure=measure_grid,
    draw=draw_grid,
    judge=judge_grid,
    functions=("adaptrnn.evaluation.evaluate", "adaptrnn.analysis.statistic.correlation"),
    tests=("tests/test_evaluation.py", "tests/analysis/test_statistic.py"),
)
