"""Figure S6: Jacobian norm, exponents, accuracy and learning over gains and saturations."""

from __future__ import annotations

import warnings

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from adaptrnn.activation import gamma_dx, gamma_sup_slope
from adaptrnn.analysis.lyapunov import ConvergenceWarning, lyapunov
from adaptrnn.analysis.statistics import correlation
from adaptrnn.figure.maps import exponent_map, grid_maps, norm_map, trained_norm_map
from adaptrnn.init import henaff_
from adaptrnn.paper.item import Item, analysis_of, evaluation_of
from adaptrnn.paper.notes import along
from adaptrnn.paper.verdict import Claim, Verdict, part, verdict
from adaptrnn.perturb import Sum
from adaptrnn.rnn import RNN
from adaptrnn.run import Run

__all__ = [
    "EXPONENTS",
    "GAINS",
    "GRID",
    "NORM",
    "SATURATIONS",
    "TRAINED",
    "judge_exponents",
    "judge_grid",
    "judge_norm",
    "judge_trained",
    "measure_exponents",
    "measure_grid",
    "measure_norm",
    "measure_trained",
    "norms",
]

E32 = Claim(
    "E32",
    "Fig S6a",
    "Over gains n and saturations s the norm of the Jacobian has regions below, at and above 1.",
    "within 2% of sup gamma' at every (n, s)",
)
E32_TRAINED = Claim(
    "E32",
    "Fig S6a, trained",
    "The same with W_hh after training.",
    "within 2% of sup gamma' at every (n, s); initial W_hh beside it",
)
E33 = Claim(
    "E33",
    "Fig S6b",
    "The largest exponent of untrained networks has distinct regions over (n, s).",
    "the same region in all draws at ≥ 90% of (n, s); regions (ours): λ < -0.01, about 0, > 0.01, "
    "two of them on ≥ 10%",
)
E34 = Claim(
    "E34",
    "Fig S6c",
    "Accuracy with fixed (n, s) is best near Jacobian norm 1 and worst where it is above.",
    "Spearman's correlation of accuracy and -|ln JN| > 0.5",
)
E35 = Claim(
    "E35",
    "Fig S6d",
    "Learned (n, s) move to the good region.",
    "≥ 70% of the starts end nearer to Jacobian norm 1, of those that were not there (|ln JN| > "
    "0.05); and, where the map of fixed (n, s) is known, in a cell of higher accuracy",
)

GAINS = [1.0, *(1.25 * k for k in range(1, 17))]
SATURATIONS = [0.0, 0.25, 0.5, 0.75, 1.0]
CLEAN = {"clean": Sum(())}
NEURONS = 400
STILL = 0.01
"""Exponents nearer to 0 than this count as 0."""


def norms(n: Tensor, s: Tensor, neurons: int = NEURONS, samples: int = 20, seed: int = 0) -> Tensor:
    """E over h ~ U(-5, 5)^N of ||diag(gamma'(W h; n, s)) W||_2 for an orthogonal W.

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
    """Norms for orthogonal matrices, (draw, neurons, n, s), and sup_slope (n, s)."""
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
    """E32: distance from sup gamma', and the three regions."""
    away = abs(data.norm / data.sup_slope - 1)
    big = away.sel(neurons=NEURONS, drop=True)
    region = _region(data.norm.sel(neurons=NEURONS))
    same = (region == _region(data.sup_slope)).where(region.notnull())
    count = len(np.unique(region.values[np.isfinite(region.values)])) or np.nan
    parts = [
        part(
            f"(n, s) within 2% of sup gamma', N = {NEURONS}",
            100 * (big <= 0.02).where(big.notnull()).mean(["n", "s"]).values,
            lambda v: v == 100,
            "%",
            ".0f",
        ),
        part(
            "(n, s) in the region (<, =, > 1, to 2%) of sup gamma'",
            100 * same.mean(["n", "s"]).values,
            lambda v: v >= 95,
            "%",
            ".0f",
        ),
        part(
            "regions there are, of 3",
            [count],
            lambda v: v == 3,
            digits=".0f",
        ),
    ]
    small = away.sel(neurons=100, drop=True)
    note = (
        "The norm is the largest slope among N neurons: the narrower the slope's peak, the more "
        "rarely a current falls on it. The spread is over random orthogonal matrices."
    )
    if bool(big.notnull().any()):
        most = [
            f"{float(values.max()):.1%} with N = {n}"
            for n, values in ((NEURONS, big), (100, small))
        ]
        note = f"Largest distance {' and '.join(most)}, at the largest gains. {note}"
    return [verdict(E32, parts, note)]


def _region(norm: xr.DataArray) -> xr.DataArray:
    """-1 below 1, 0 within 2% of it, 1 above."""
    return xr.where(abs(norm - 1) <= 0.02, 0, np.sign(norm - 1))


def measure_trained(run: Run) -> xr.Dataset:
    """Norms over the grid before and after training, norm (weights, n, s), and sup_slope (n, s)."""
    found = analysis_of(run, "jacobian")
    return found[["norm", "sup_slope"]].astype("float32")


def judge_trained(data: xr.Dataset) -> list[Verdict]:
    """E32 of W_hh before and after training."""
    at = data.sel(role="psmnist")
    away = abs(at.norm / at.sup_slope - 1)
    share = 100 * (away <= 0.02).where(away.notnull()).mean(["n", "s"])
    names = {"gamma": "RNN+gamma", "arun": "ARUN"}
    parts, notes = [], []
    for model, label in names.items():
        for weights in ("initial", "trained"):
            values = share.sel(model=model, weights=weights).values
            text = f"{label}, {weights} W_hh: (n, s) within 2%"
            parts.append(part(text, values, lambda v: v == 100, "%", ".0f"))
        ratio = (at.norm / at.sup_slope).sel(model=model, weights="trained").median(["n", "s"])
        if bool(ratio.notnull().any()):
            notes.append(
                f"{label}: the norm after training is {float(ratio.mean()):.2f} sup gamma'."
            )
    notes.append(
        "W_hh after training is not orthogonal, so its norm scales the map; before training the "
        "distance is that of so many neurons."
    )
    return [verdict(E32_TRAINED, parts, " ".join(notes))]


# --- Fig S6b ------------------------------------------------------------------------------------


def measure_exponents(draws: int = 3, neurons: int = 100, steps: int = 300) -> xr.Dataset:
    """Largest exponent of h -> gamma(W h; n, s), W orthogonal, lyapunov (draw, n, s).

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


def judge_exponents(data: xr.Dataset) -> list[Verdict]:
    """E33: regions by sign, about 0 a region of its own, and their stability over draws."""
    exponent = data.lyapunov
    region = xr.where(abs(exponent) <= STILL, 0, np.sign(exponent)).where(exponent.notnull())
    same = (region == region.isel(draw=0)).all("draw").where(region.notnull().all("draw"))
    plain = np.sign(exponent)
    stable = (plain == plain.isel(draw=0)).all("draw")
    shares = {k: 100 * (region == k).where(region.notnull()).mean() for k in (-1, 0, 1)}
    second = sorted(float(v) for v in shares.values())[1]
    parts = [
        part(
            "(n, s) in the same region in all draws",
            [100 * float(same.mean())],
            lambda v: v >= 90,
            "%",
            ".0f",
        ),
        part("(n, s) in the second region", [second], lambda v: v >= 10, "%", ".0f"),
    ]
    note = "Definition paper: no input, bias or drive."
    if bool(exponent.notnull().any()):
        note = (
            f"Below 0: {float(shares[-1]):.0f}% of (n, s), within {STILL} of it: "
            f"{float(shares[0]):.0f}%, above: {float(shares[1]):.0f}%. The bare sign, which where "
            f"λ is about 0 is chance, is the same in all draws at {100 * float(stable.mean()):.0f}"
            f"%. {note}"
        )
    return [verdict(E33, parts, note)]


# --- Fig S6c, d ---------------------------------------------------------------------------------


def measure_grid(run: Run) -> xr.Dataset:
    """Where a network with shared (n, s) started, where it ended, and its accuracy.

    Returns:
        accuracy (0 to 1, test split), n, s, norm_start and norm, the Jacobian norm for orthogonal
        W at the start and at the end, over (start_n, start_s, learned), each of size 1.
    """
    config = run.config()
    start = (float(config.n), float(config.s))
    weights = run.weights()
    end = [float(weights[f"core.{name}_l0"]) for name in "ns"]
    both = torch.tensor([start, end], dtype=torch.float64)
    before, after = norms(both[:, 0], both[:, 1]).tolist()
    accuracy = float(evaluation_of(run, CLEAN).accuracy[0])
    values = {"accuracy": accuracy, "n": end[0], "s": end[1], "norm_start": before, "norm": after}
    dims = {"start_n": [start[0]], "start_s": [start[1]], "learned": [int(config.learn_curve)]}
    return xr.Dataset({name: (tuple(dims), [[[value]]]) for name, value in values.items()}, dims)


def judge_grid(data: xr.Dataset) -> list[Verdict]:
    """E34 over the networks with fixed (n, s), E35 over those that learned them."""
    at = data.sel(role="psmnist", model="gamma-shared").reindex(learned=[0, 1])
    fixed, learned = (at.sel(learned=k, drop=True) for k in (0, 1))
    nearness = -_from_one(fixed.norm_start)
    spearman, worse, nearer, better = [], [], [], []
    for seed in data.seed.values:
        accuracy = fixed.accuracy.sel(seed=seed).values.ravel()
        near = nearness.sel(seed=seed).values.ravel()
        known = np.isfinite(accuracy) & np.isfinite(near)
        above = fixed.norm_start.sel(seed=seed).values.ravel() > 1.02
        if known.sum() > 2:
            found = correlation(near[known], accuracy[known], resamples=199)
            spearman.append(float(found.r))
            worse.append(_mean(accuracy[known & ~above]) - _mean(accuracy[known & above]))
        one = learned.sel(seed=seed)
        before, after = (_from_one(one[k]) for k in ("norm_start", "norm"))
        away = (before > 0.05).values & np.isfinite(after.values)
        nearer.append(100 * _mean((after < before).values[away].astype(float)))
        gain = _map_gain(fixed.accuracy.sel(seed=seed), one)
        better.append(100 * _mean((gain > 0)[np.isfinite(gain)].astype(float)))
    first = [
        part("Spearman, accuracy and -|ln JN|", spearman, lambda r: r > 0.5),
        part(
            "accuracy where JN ≤ 1 - where JN > 1",
            100 * np.array(worse),
            lambda d: d > 0,
            " pp",
            "+.1f",
        ),
    ]
    second = [
        part("starts that end nearer to JN = 1", nearer, lambda v: v >= 70, "%", ".0f"),
        part("starts that end in a better cell", better, lambda v: v >= 70, "%", ".0f"),
    ]
    size = f"{data.sizes['start_n']} gains and {data.sizes['start_s']} saturations"
    notes = [f"A grid of {size}. JN for an orthogonal W of {NEURONS} neurons."]
    for name, what in (("start_n", "gain"), ("start_s", "saturation")):
        shown = along(100 * fixed.accuracy, name, ".0f")
        if shown:
            notes.append(f"Mean accuracy (%) by {what}: {shown}.")
    cell = (
        "Better cell: of the map of fixed (n, s), that nearest to the end, against that of the "
        "start; starts in cells within 2 pp of the best are left out."
    )
    return [verdict(E34, first, " ".join(notes)), verdict(E35, second, f"{notes[0]} {cell}")]


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


NORM = Item(
    name="s6-norm",
    title="Jacobian norm over gains and saturations",
    caption=(
        "E over h ~ U(-5, 5)^N of ||diag(gamma'(W h; n, s)) W||_2 for a random orthogonal W (2x2 "
        "rotations), mean of three draws, 20 h each. a: N = 400; line: 1. b: largest distance from "
        "sup gamma' over draws, N = 100 (open) and 400. Paper: Fig S6a."
    ),
    measure=measure_norm,
    draw=norm_map,
    judge=judge_norm,
    functions=(
        "adaptrnn.activation.gamma_sup_slope",
        "adaptrnn.analysis.jacobian.jacobian_norm",
    ),
    tests=("tests/analysis/test_jacobian.py", "tests/paper/test_figure_s6.py"),
)

TRAINED = Item(
    name="s6-norm-trained",
    title="Jacobian norm over gains and saturations, trained W_hh",
    caption=(
        "The same norm (20 h) with the W_hh of trained networks, over the same (n, s) in place of "
        "their own: full lines after training, dashed before, mean over seeds. Paper: Fig S6a is "
        "of untrained networks."
    ),
    roles=("psmnist",),
    models=("gamma", "arun"),
    analyses=("jacobian",),
    measure=measure_trained,
    draw=trained_norm_map,
    judge=judge_trained,
    functions=("adaptrnn.analysis.jacobian.jacobian_norm",),
    tests=("tests/analysis/test_jacobian.py",),
)

EXPONENTS = Item(
    name="s6-lyapunov",
    title="Largest exponent over gains and saturations",
    caption=(
        "Largest Lyapunov exponent (1/step, natural logarithm) of h -> gamma(W h; n, s), W a "
        "random orthogonal matrix (2x2 rotations) of 100 neurons, from a random state, over 300 "
        "steps after 100. a: mean of three draws. b: the region in most draws: below -0.01, about "
        "0, above 0.01 (dots where they differ). Paper: Fig S6b."
    ),
    measure=measure_exponents,
    draw=exponent_map,
    judge=judge_exponents,
    functions=("adaptrnn.analysis.lyapunov.lyapunov",),
    tests=("tests/analysis/test_lyapunov.py",),
)

GRID = Item(
    name="s6-grid",
    title="Accuracy and learning from a grid of gains and saturations",
    caption=(
        "Networks with one (n, s) for all neurons, started from a grid. a: test accuracy with "
        "(n, s) fixed, mean over seeds; line: Jacobian norm 1.02, above it to the right. b: from "
        "start (circle) to end (dot) where (n, s) were learned, all seeds; orange: nearer to "
        "Jacobian norm 1 at the end, or at it from the start. Paper: Fig S6c, d."
    ),
    roles=("psmnist",),
    models=("gamma-shared",),
    variant="grid",
    conditions=CLEAN,
    measure=measure_grid,
    draw=grid_maps,
    judge=judge_grid,
    functions=("adaptrnn.evaluation.evaluate", "adaptrnn.analysis.statistics.correlation"),
    tests=("tests/test_evaluation.py", "tests/analysis/test_statistics.py"),
)
