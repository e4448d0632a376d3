"""Figure 5: the controller's manifold, level sets of the slope, exponents and eigenvalues."""

from __future__ import annotations

import numpy as np
import xarray as xr

from adaptrnn.analysis.noise import level_set
from adaptrnn.figure.controller import level_sets, manifold
from adaptrnn.figure.stability import eigenvalues, exponents
from adaptrnn.paper.item import Item, analysis_of
from adaptrnn.paper.notes import along
from adaptrnn.paper.verdict import Claim, Verdict, part, verdict
from adaptrnn.run import Run

__all__ = [
    "EXPONENTS",
    "LEVELS",
    "MANIFOLD",
    "SPECTRUM",
    "judge_exponents",
    "judge_levels",
    "judge_manifold",
    "judge_spectrum",
    "measure_exponents",
    "measure_levels",
    "measure_manifold",
    "measure_spectrum",
]

E26 = Claim(
    "E26",
    "Fig 5a",
    "Under constant currents the controller settles on a line that is ordered by the current.",
    "the first two principal components hold ≥ 90% of the variance; steady states monotone in the "
    "current along the first",
)
E27 = Claim(
    "E27",
    "Fig 5b",
    "Lambda(xi), where the slope at the drive is 1 - eps, predicts the adapted (n, s) for moderate "
    "to high drives.",
    "rms distance of the slope ≤ 0.01 for ξ ≥ 5, larger for ξ ≤ 1; eps fitted at ξ = 10 only",
)
E29 = Claim(
    "E29",
    "Fig 5c",
    "After the onset of a drive the largest exponent relaxes toward 0.",
    "|λ| 150 steps after the onset less than at it, for ξ = 1, 5 and 30",
)
E30 = Claim(
    "E30",
    "Fig 5d",
    "Under drive the largest exponent is orders of magnitude closer to 0 with adaptive than with "
    "fixed (n, s).",
    "|λ fixed| / |λ adaptive| ≥ 10 at ξ = 30, by all three definitions",
)
E31 = Claim(
    "E31",
    "Fig 5e",
    "Training moves eigenvalues of W_hh well beyond the unit circle in ARUN, not in the ReLU "
    "network.",
    "spectral radius of ARUN - that of ReLU ≥ 0.05; well beyond (ours): radius ≥ 1.05",
)
DEFINITIONS = (
    "Three definitions: paper, h → gamma(W_hh h; n, s) without input, bias or drive, with the n "
    "and s that the drive left; frozen, the same n and s with bias and drive; full, the whole "
    "state (h, g) with bias and drive. Fixed: n and s as they are at rest. Natural logarithm, per "
    "step; the released scripts take log2."
)
MOST = 1e6
"""Largest ratio of exponents that is told apart."""


def measure_manifold(run: Run) -> xr.Dataset:
    """Where the controller goes and settles, in its first two principal components.

    Returns:
        path (current, time, component) from one start, every fourth step after the onset;
        steady (start, current, component); share (component) of the variance; monotone, 1 or 0;
        rank_correlation; spread of steady states between starts, a share of the variance.
    """
    found = analysis_of(run, "controller_manifold")
    two = found.isel(component=slice(2))
    after = two.score.isel(start=0, drop=True).sel(time=slice(0, None, 4))
    result = xr.Dataset(
        {
            "path": after.transpose("current", "time", "component"),
            "steady": two.steady_score.transpose("start", "current", "component"),
            "share": two.ratio,
            "monotone": found.monotone,
            "rank_correlation": found.rank_correlation,
            "spread": found.spread,
        }
    ).astype("float32")
    # to the last digit the same in every run, so that runs can be put side by side
    currents = found.current.values.round(9)
    return result.assign_coords(start=np.arange(found.sizes["start"]), current=currents)


def judge_manifold(data: xr.Dataset) -> list[Verdict]:
    """E26: two components, in order, and one line whatever the start."""
    arun = data.sel(role="psmnist", model="arun")
    parts = [
        part(
            "variance in two components",
            100 * arun["share"].sum("component", min_count=1).values,
            lambda v: v >= 90,
            "%",
            ".1f",
        ),
        part(
            "steady states monotone (1: yes)", arun.monotone.values, lambda v: v == 1, digits=".0f"
        ),
        part(
            "|rank correlation| of component 1 and current",
            abs(arun.rank_correlation).values,
            lambda v: v >= 0.9,
        ),
    ]
    note = "States of the controller alone, of one neuron; from ten random first states."
    spread = arun.spread.mean()
    if bool(spread.notnull()):
        note += f" Variance of steady states between starts: {float(spread):.1g} of the whole."
    return [verdict(E26, parts, note)]


def measure_levels(run: Run) -> xr.Dataset:
    """(n, s) of every neuron under each drive, and how far from Lambda(xi).

    Returns:
        n, s (stage, xi, neuron), at the onset and steady; residual, the root mean square over
        neurons of gamma'(xi; n, s) - (1 - eps), and middle, the median of its size, (stage, xi);
        epsilon, fitted at xi = 10; level (xi, gain), the curves as s over n.
    """
    found = analysis_of(run, "noise")
    epsilon = float(found.epsilon)
    result = xr.Dataset(
        {
            "n": found.n,
            "s": found.s,
            "residual": found.residual,
            "middle": abs(found.slope_residual).median("neuron"),
            "level": level_set(found.xi.values.tolist(), GAINS, epsilon).rename(n="gain"),
        }
    ).astype("float32")
    neurons = np.arange(found.sizes["neuron"])
    return result.assign_coords(neuron=neurons).assign(epsilon=epsilon)


GAINS = np.linspace(0.25, 12, 95).tolist()
"""Gains at which the curves are drawn."""


def judge_levels(data: xr.Dataset) -> list[Verdict]:
    """E27: the residual of the steady states, away from the drive at which eps was fitted."""
    arun = data.sel(role="psmnist", model="arun")
    steady = arun.residual.sel(stage="steady", drop=True)
    high = steady.where((steady.xi >= 5) & (steady.xi != 10), drop=True).max("xi")
    low = steady.where(steady.xi <= 1, drop=True).min("xi")
    parts = [
        part("largest residual, ξ ≥ 5", high.values, lambda v: v <= 0.01, digits=".3f"),
        part(
            "least residual, ξ ≤ 1, - that",
            (low - high).values,
            lambda v: v > 0,
            digits="+.3f",
        ),
    ]
    notes = []
    middle = along(arun.middle.sel(stage="steady"), "xi", ".2g")
    if middle:
        onset = along(arun.residual.sel(stage="onset"), "xi", ".2g")
        notes.append(
            f"eps = {float(arun.epsilon.mean()):.3g}, fitted at ξ = 10; the paper chose 0.013 by "
            f"hand. Median distance over neurons, by ξ: {middle}. Root mean square at the onset: "
            f"{onset}."
        )
    notes.append(
        "The distance counts every neuron alike; at high drives the slope at ξ is nearly 1 - s, so "
        "it is the spread of s over neurons, which one eps cannot follow."
    )
    return [verdict(E27, parts, " ".join(notes))]


def measure_exponents(run: Run) -> xr.Dataset:
    """Largest exponents against the drive and after its onset.

    Returns:
        lyapunov and error (definition, condition, xi); after_onset and after_onset_error (xi_onset,
        delay) in the paper's definition.
    """
    found = analysis_of(run, "lyapunov")
    kept = {
        "lyapunov": found.lyapunov,
        "error": found.standard_error,
        "after_onset": found.after_onset,
        "after_onset_error": found.after_onset_error,
    }
    return xr.Dataset(kept)


def judge_exponents(data: xr.Dataset) -> list[Verdict]:
    """E29 and E30."""
    arun = data.sel(role="psmnist", model="arun")
    size = abs(arun.after_onset)
    relaxed = []
    for xi in (1.0, 5.0, 30.0):
        nearer = size.sel(xi_onset=xi, delay=0) - size.sel(xi_onset=xi, delay=150)
        text = f"|λ| at the onset of ξ = {xi:g} - 150 steps later"
        relaxed.append(part(text, nearer.values, lambda v: v > 0, "", "+.4f"))
    notes = []
    for xi in (1.0, 5.0, 30.0):
        course = along(arun.after_onset.sel(xi_onset=xi, drop=True), "delay", "+.4f")
        if course:
            error = float(arun.after_onset_error.sel(xi_onset=xi).mean())
            notes.append(f"λ for ξ = {xi:g}, by delay: {course} (standard error {error:.4f}).")
    notes.append(
        "Definition paper: n and s of that step, held constant; no input, bias or drive. 150 steps "
        "is long for a network trained on a short sequence."
    )
    ratios, sizes = [], []
    for definition in data.definition.values.tolist():
        strong = abs(arun.lyapunov.sel(definition=definition, xi=30.0, drop=True))
        fixed, adaptive = (strong.sel(condition=name, drop=True) for name in ("fixed", "adaptive"))
        ratio = (fixed / adaptive).clip(max=MOST)
        text = f"{definition}: |λ fixed| / |λ adaptive| at ξ = 30"
        ratios.append(part(text, ratio.values, lambda v: v >= 10, "", ".3g"))
        if bool(ratio.notnull().any()):
            each = f"{float(adaptive.mean()):.3g} adaptive, {float(fixed.mean()):.3g} fixed"
            sizes.append(f"Mean |λ| at ξ = 30, {definition}: {each}.")
    return [
        verdict(E29, relaxed, " ".join(notes)),
        verdict(E30, ratios, " ".join([*sizes, DEFINITIONS])),
    ]


def measure_spectrum(run: Run) -> xr.Dataset:
    """Eigenvalues of W_hh and their radius before and after training.

    Returns:
        real_part, imaginary_part (network, eigenvalue); radius and outside, the share beyond the
        unit circle, (network).
    """
    found = analysis_of(run, "spectrum")
    kept = {"real_part": found.real_part, "imaginary_part": found.imaginary_part}
    result = xr.Dataset({**kept, "radius": found.radius, "outside": found.outside})
    order = np.arange(found.sizes["eigenvalue"])
    return result.astype("float32").assign_coords(eigenvalue=order)


def judge_spectrum(data: xr.Dataset) -> list[Verdict]:
    """E31: radii after training, and that both start on the unit circle."""
    radius = data.radius.sel(role="psmnist")
    trained = radius.sel(network="trained", drop=True)
    arun, relu = (trained.sel(model=name, drop=True) for name in ("arun", "relu"))
    parts = [
        part("radius, ARUN - ReLU", (arun - relu).values, lambda v: v >= 0.05, "", "+.3f"),
        part("radius, ARUN", arun.values, lambda v: v >= 1.05, "", ".3f"),
        part("radius, ReLU", relu.values, lambda v: v < 1.05, "", ".3f"),
    ]
    notes = []
    for name, network in (("before", "initial"), ("after", "trained")):
        outside = data.outside.sel(role="psmnist", network=network, drop=True)
        shown = along(100 * outside, "model", ".0f")
        if shown:
            notes.append(f"Percent of eigenvalues beyond the circle {name} training: {shown}.")
    return [verdict(E31, parts, " ".join(notes))]


MANIFOLD = Item(
    name="fig5-manifold",
    title="The controller's manifold",
    caption=(
        "The controller of ARUN alone, from ten random states, with no current for 200 steps and "
        "then one of ten constant currents for 200. Lines: from one start; dots: where each start "
        "ends, darker for larger currents; axes: principal components of the states after the "
        "onset. A column for each seed. Paper: Fig 5a."
    ),
    roles=("psmnist",),
    models=("arun",),
    analyses=("controller_manifold",),
    measure=measure_manifold,
    draw=manifold,
    judge=judge_manifold,
    functions=("adaptrnn.analysis.controller_manifold.controller_manifold",),
    tests=("tests/analysis/test_controller_manifold.py",),
)

LEVELS = Item(
    name="fig5-levels",
    title="Adapted gains and saturations against the level sets of the slope",
    caption=(
        "a, b: (n, s) of every neuron of ARUN at the onset of a drive and after 200 steps of it, "
        "and the curves where gamma'(ξ; n, s) = 1 - eps, eps fitted to the steady states at ξ = 10 "
        "(all seeds; curves of the first). c: root mean square over neurons of the slope's "
        "distance from 1 - eps; a line for each seed. Paper: Fig 5b."
    ),
    roles=("psmnist",),
    models=("arun",),
    analyses=("noise",),
    measure=measure_levels,
    draw=level_sets,
    judge=judge_levels,
    functions=("adaptrnn.analysis.noise.level_residual", "adaptrnn.analysis.noise.level_set"),
    tests=("tests/analysis/test_noise.py",),
)

EXPONENTS = Item(
    name="fig5-lyapunov",
    title="Largest Lyapunov exponents under drive",
    caption=(
        "Largest Lyapunov exponent of ARUN, per step, natural logarithm; line: mean over seeds, "
        "band: from the least to the greatest. a: with n and s as they are so many steps after the "
        "onset of ξ, held constant, without input, bias or drive. b to d: against the drive by "
        "three definitions, with n and s as the drive leaves them (adaptive) and as they are at "
        "rest (fixed). Paper: Fig 5c, d."
    ),
    roles=("psmnist",),
    models=("arun",),
    analyses=("lyapunov",),
    measure=measure_exponents,
    draw=exponents,
    judge=judge_exponents,
    functions=("adaptrnn.analysis.lyapunov.lyapunov",),
    tests=("tests/analysis/test_lyapunov.py",),
)

SPECTRUM = Item(
    name="fig5-spectrum",
    title="Eigenvalues of the recurrent weights",
    caption=(
        "Eigenvalues of W_hh in the complex plane before and after training, all seeds, with the "
        "unit circle; in the titles the mean over seeds of the largest modulus. Paper: Fig 5e."
    ),
    roles=("psmnist",),
    models=("relu", "arun"),
    analyses=("spectrum",),
    measure=measure_spectrum,
    draw=eigenvalues,
    judge=judge_spectrum,
    functions=("adaptrnn.analysis.spectrum.spectrum",),
    tests=("tests/analysis/test_spectrum.py",),
)
