"""Figure 5 shows the controller's manifold, level sets of the slope, exponents and eigenvalues."""

from __future__ import annotations

import numpy as np
import xarray as xr

from adaptrnn.analysis.noise import slope_at_drive
from adaptrnn.figure.controller import level_sets, manifold
from adaptrnn.figure.stability import eigenvalues, exponents
from adaptrnn.figure.style import label_of
from adaptrnn.laboratory.drawing import against_levels, settling
from adaptrnn.model import MODELS
from adaptrnn.paper.item import Item, RunData
from adaptrnn.paper.note import means_along
from adaptrnn.paper.ordering import OTHER, PLAIN, mean_note, paired_difference
from adaptrnn.paper.verdict import Claim, Part, Verdict, part, verdict

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
    "Under constant currents the controller settles on a one-dimensional manifold that encodes the "
    "current.",
    "The first two principal components hold ≥ 90% of the variance of the controller's states "
    "(ours). Along the first one the steady states are monotone in the current in more than half "
    "of the seeds (ours)",
    {"psmnist": ("arun",)},
)
E27 = Claim(
    "E27",
    "Fig 5b",
    "Lambda(xi), where the slope at the drive is 1 - eps, predicts the adapted (n, s) for moderate "
    "to high drives, with one eps for all; it degrades for low ones.",
    "With eps fitted at ξ = 10, the slope at ξ for the mean steady (n, s) differs from 1 - eps by "
    "at most 0.05 (ours) for ξ ≥ 5, and by less for ξ ≥ 5 than for ξ ≤ 1",
    {"psmnist": ("arun",)},
)
E29 = Claim(
    "E29, E30",
    "Fig 5c, d",
    "Under drive, adaptation steers the largest exponent several orders of magnitude closer to 0 "
    "than in RNNs without adaptation.",
    "At ξ = 5 and 30, |λ| of RNN+ReLU and of RNN+gamma by the paper's definition is at least 10 "
    "times that of ARUN (ours)",
    {"psmnist": ("relu", "gamma", "arun")},
)
E31 = Claim(
    "E31",
    "Fig 5e",
    "Training moves eigenvalues of W_hh well beyond the unit circle in ARUN, in contrast to RNNs "
    "without adaptation.",
    "The spectral radius of the trained W_hh of ARUN is at least 0.05 (ours) above those of "
    "RNN+ReLU and of RNN+gamma",
    {"psmnist": ("relu", "gamma", "arun")},
)
DEFINITIONS = (
    "There are three definitions of the exponent. By “paper” it is that of h → gamma(W_hh h; n, s) "
    "without input, bias or drive, with the n and s that the drive left, from a state h of the "
    "driven network. By “frozen” n and s are the same, with bias and drive. By “full” it is that "
    "of the whole state (h, g), with bias and drive. Where n and s of ARUN are held fixed, they "
    "have their values at rest. Exponents are per step, with the natural logarithm, where the "
    "released scripts take log2."
)
LARGEST = 1e6
"""Largest ratio of exponents that is told apart."""


def measure_manifold(run: RunData) -> xr.Dataset:
    """Measure where the controller goes and settles, in its first two principal components.

    Returns:
        path (current, time, component) from one start, every fourth step after the onset;
        steady (start, current, component); share (component) of the variance; monotone, 1 or 0;
        rank_correlation; spread of steady states between starts, a share of the variance.
    """
    found = run.analyses["controller_manifold"]
    numbers = found[["monotone", "rank_correlation", "spread"]]
    result = settling(found).assign(numbers.data_vars).astype("float32").drop_attrs()
    # to the last digit the same in every run, so that runs can be put side by side
    currents = found.current.values.round(9)
    return result.assign_coords(start=np.arange(found.sizes["start"]), current=currents)


def judge_manifold(data: xr.Dataset) -> list[Verdict]:
    """Judge E26: two components suffice, steady states are in order, on one line from any start."""
    arun = data.sel(role="psmnist", model="arun")
    parts = [
        part(
            "share of the variance of the controller's states in their first two principal "
            "components",
            100 * arun["share"].sum("component", min_count=1).values,
            "%",
            ".1f",
            least=90,
        ),
        part(
            "share of seeds in which the controller's steady states are monotone in the current",
            _share(arun.monotone),
            "%",
            ".0f",
            above=50,
        ),
    ]
    text = (
        "size of the rank correlation of the current with the controller's steady state along the "
        "first principal component"
    )
    shown = [part(text, abs(arun.rank_correlation).values, least=0.9)]
    note = "The controller of one neuron runs alone, from ten random first states."
    spread = arun.spread.mean()
    if bool(spread.notnull()):
        note += (
            " The variance of its steady states between these starts is "
            f"{float(spread):.1g} of the whole variance."
        )
    return [verdict(E26, parts, shown, note=note)]


def _share(held: xr.DataArray) -> float:
    """Percent of the seeds that there are in which something is 1."""
    return float(100 * held.mean()) if bool(held.notnull().any()) else np.nan


def measure_levels(run: RunData) -> xr.Dataset:
    """Measure (n, s) of every neuron under each drive, and how far it is from Lambda(xi).

    Returns:
        n, s (stage, xi, neuron), at the onset and steady; residual, the root mean square over
        neurons of gamma'(xi; n, s) - (1 - eps), and middle, the median of its size, (stage, xi);
        epsilon, fitted at xi = 10; level (xi, gain), the curves as s over n.
    """
    found = run.analyses["noise"]
    neurons = np.arange(found.sizes["neuron"])
    result = against_levels(found).astype("float32").drop_attrs()
    return result.assign_coords(neuron=neurons).assign(epsilon=float(found.epsilon))


def judge_levels(data: xr.Dataset) -> list[Verdict]:
    """Judge E27 by the slope of the mean steady state, at other drives than eps was fitted at."""
    arun = data.sel(role="psmnist", model="arun").astype(float)
    steady = arun.sel(stage="steady")
    mean = slope_at_drive(steady.n.mean("neuron"), steady.s.mean("neuron"))
    distance = abs(mean - (1 - arun.epsilon))
    high, low = _sides(distance)
    parts = [
        part(f"{_OF_MEAN}, largest over ξ ≥ 5", high.values, digits=".3f", most=0.05),
        part(
            f"{_OF_MEAN}, mean over ξ ≤ 1 minus mean over ξ ≥ 5",
            (_low(distance).mean("xi") - _high(distance).mean("xi")).values,
            digits="+.3f",
            above=0,
        ),
    ]
    residual_high, residual_low = _sides(steady.residual)
    rms = (
        "root mean square over neurons of the distance from 1 - eps of the f-I curve's slope at "
        "drive ξ"
    )
    shown = [
        part(
            f"{_OF_MEAN}, smallest over ξ ≤ 1 minus largest over ξ ≥ 5",
            (low - high).values,
            digits="+.3f",
            above=0,
        ),
        part(f"{rms}, largest over ξ ≥ 5", residual_high.values, digits=".3f", most=0.01),
        part(
            f"{rms}, smallest over ξ ≤ 1 minus largest over ξ ≥ 5",
            (residual_low - residual_high).values,
            digits="+.3f",
            above=0,
        ),
    ]
    notes = []
    middle = means_along(steady.middle, "xi", ".2g", "ξ = ")
    if middle:
        of_mean = means_along(distance, "xi", ".2g", "ξ = ")
        onset = means_along(arun.residual.sel(stage="onset"), "xi", ".2g", "ξ = ")
        notes.append(
            f"On average over seeds, eps is {float(arun.epsilon.mean()):.3g}, fitted at ξ = 10, "
            "where the paper chose 0.013 by hand. Each distance is that of the f-I curve's slope "
            f"at drive ξ from 1 - eps. For the mean steady (n, s), it is {of_mean}. Its median "
            f"over neurons is {middle}. At the onset of the drive, its root mean square over "
            f"neurons is {onset}."
        )
    notes.append(
        "The root mean square counts every neuron alike. At high drives the slope at ξ is nearly "
        "1 - s, so the root mean square is the spread of s over neurons, which one eps cannot "
        "follow."
    )
    return [verdict(E27, parts, shown, note=" ".join(notes))]


_OF_MEAN = "distance from 1 - eps of the f-I curve's slope at drive ξ, for the mean steady (n, s)"


def _high(values: xr.DataArray) -> xr.DataArray:
    """Drives of 5 and more, without the one at which eps was fitted."""
    return values.where((values.xi >= 5) & (values.xi != 10), drop=True)


def _low(values: xr.DataArray) -> xr.DataArray:
    return values.where(values.xi <= 1, drop=True)


def _sides(values: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Largest at high drives, smallest at low ones."""
    return _high(values).max("xi"), _low(values).min("xi")


def measure_exponents(run: RunData) -> xr.Dataset:
    """Measure largest exponents against the drive and after its onset.

    Returns:
        lyapunov and error (definition, condition, xi); after_onset and after_onset_error (xi_onset,
        delay) in the paper's definition.
    """
    found = run.analyses["lyapunov"]
    kept = {
        "lyapunov": found.lyapunov,
        "error": found.standard_error,
        "after_onset": found.after_onset,
        "after_onset_error": found.after_onset_error,
    }
    return xr.Dataset(kept)


def judge_exponents(data: xr.Dataset) -> list[Verdict]:
    """Judge E29, E30 on networks without adaptation and on ARUN, each in its driven state."""
    one = data.sel(role="psmnist", drop=True).reindex(model=["relu", "gamma", "arun"])
    arun = one.sel(model="arun")
    size = abs(one.lyapunov).clip(min=1 / LARGEST, max=LARGEST)
    paper = size.sel(definition="paper", drop=True)
    parts, shown, notes = [], [], []
    for xi in (5.0, 30.0):
        for model in PLAIN:
            ratio = _ratio(paper.sel(xi=xi), model)
            text = (
                f"size |λ| of the largest exponent at drive ξ = {xi:g}, {label_of(model)} divided "
                "by ARUN"
            )
            parts.append(part(text, ratio.values, "", ".3g", least=10, ratio=True))
            shown.append(
                part(
                    f"{text}, by the stricter threshold 100",
                    ratio.values,
                    "",
                    ".3g",
                    least=100,
                    ratio=True,
                )
            )
    for definition in ("frozen", "full"):
        for xi in (5.0, 30.0):
            for model in PLAIN:
                ratio = _ratio(size.sel(definition=definition, xi=xi), model)
                text = (
                    f"size |λ| of the largest exponent at drive ξ = {xi:g} by the definition "
                    f"“{definition}”, {label_of(model)} divided by ARUN"
                )
                shown.append(part(text, ratio.values, "", ".3g", least=10, ratio=True))
    after = abs(one.after_onset).clip(min=1 / LARGEST, max=LARGEST)
    for xi in (5.0, 30.0):
        for delay in (0, 150):
            for model in PLAIN:
                there = after.sel(xi_onset=xi, delay=delay)
                ratio = there.sel(model=model, drop=True) / there.sel(model="arun", drop=True)
                text = (
                    f"size |λ| of the largest exponent {delay} steps after the onset of a drive "
                    f"ξ = {xi:g}, {label_of(model)} divided by ARUN"
                )
                shown.append(part(text, ratio.values, "", ".3g", least=10, ratio=True))
    for xi in (1.0, 5.0, 30.0):
        course = arun.after_onset.sel(xi_onset=xi, drop=True)
        nearer = abs(course.sel(delay=0)) - abs(course.sel(delay=150))
        text = (
            f"size |λ| of the largest exponent of ARUN, at the onset of a drive ξ = {xi:g} minus "
            "150 steps later"
        )
        shown.append(part(text, nearer.values, "", "+.4f", above=0))
        words = means_along(course, "delay", "+.4f")
        if words:
            error = float(arun.after_onset_error.sel(xi_onset=xi).mean())
            notes.append(
                f"With a drive ξ = {xi:g}, the mean largest exponent λ of ARUN is {words} steps "
                f"after the onset, with a standard error of {error:.4f}."
            )
    for definition in data.definition.values.tolist():
        strong = size.sel(definition=definition, xi=30.0, model="arun")
        fixed, adaptive = (strong.sel(condition=name, drop=True) for name in ("fixed", "adaptive"))
        text = (
            f"size |λ| of the largest exponent of ARUN at drive ξ = 30 by the definition "
            f"“{definition}”, with (n, s) held at their values at rest divided by adaptive"
        )
        shown.append(part(text, (fixed / adaptive).values, "", ".3g", least=10, ratio=True))
    for model in one.model.values.tolist():
        course = _own(paper.sel(model=model)).mean("seed")
        if bool(course.notnull().any()):
            notes.append(
                f"The mean size |λ| of the largest exponent of {label_of(model)} is "
                f"{means_along(course, 'xi', '.3g', 'ξ = ')}."
            )
    return [verdict(E29, parts, shown, note=" ".join([*notes, DEFINITIONS]))]


def _own(size: xr.DataArray) -> xr.DataArray:
    """ARUN as it adapts; a static network, which has fixed (n, s) only."""
    name = "adaptive" if MODELS[str(size.model.values)].has_controller else "fixed"
    return size.sel(condition=name, drop=True)


def _ratio(size: xr.DataArray, model: str) -> xr.DataArray:
    """|λ| of a static network over that of ARUN, (seed,)."""
    two = [_own(size.sel(model=name)).drop_vars("model") for name in (model, "arun")]
    return two[0] / two[1]


def measure_spectrum(run: RunData) -> xr.Dataset:
    """Measure the eigenvalues of W_hh and their radius before and after training.

    Returns:
        real_part, imaginary_part (network, eigenvalue); radius and outside, the share beyond the
        unit circle, (network).
    """
    found = run.analyses["spectrum"]
    kept = {"real_part": found.real_part, "imaginary_part": found.imaginary_part}
    result = xr.Dataset({**kept, "radius": found.radius, "outside": found.outside})
    order = np.arange(found.sizes["eigenvalue"])
    return result.astype("float32").assign_coords(eigenvalue=order)


def judge_spectrum(data: xr.Dataset) -> list[Verdict]:
    """Judge E31 by radii after training; all networks start on the unit circle."""
    models = ["relu", "gamma", "arun", *OTHER]
    whole = data[["radius", "outside"]].sel(role="psmnist", drop=True).reindex(model=models)
    trained = whole.radius.sel(network="trained", drop=True)
    parts = [_further(trained, name) for name in PLAIN]
    shown = [_further(trained, name) for name in OTHER]
    arun, relu = (trained.sel(model=name).values for name in ("arun", "relu"))
    shown.append(part("spectral radius of the trained W_hh, ARUN", arun, "", ".3f", least=1.05))
    shown.append(
        part(
            f"spectral radius of the trained W_hh, {label_of('relu')}", relu, "", ".3f", below=1.05
        )
    )
    for name in ("gamma", *OTHER):
        text = f"spectral radius of the trained W_hh, {label_of(name)}"
        shown.append(part(text, trained.sel(model=name).values, "", ".3f"))
    far = 100 * whole.outside.sel(network="trained", drop=True)
    for name in models:
        text = f"share of eigenvalues of the trained W_hh beyond the unit circle, {label_of(name)}"
        shown.append(part(text, far.sel(model=name).values, "%", ".0f"))
    notes = []
    for name, network in (("Before", "initial"), ("After", "trained")):
        outside = 100 * whole.outside.sel(network=network, drop=True)
        what = f"{name} training, the share in % of eigenvalues beyond the unit circle"
        notes.append(mean_note(what, outside, ".0f"))
    return [verdict(E31, parts, shown, note=" ".join(note for note in notes if note))]


def _further(radius: xr.DataArray, name: str) -> Part:
    text = f"spectral radius of the trained W_hh, ARUN minus {label_of(name)}"
    return part(text, paired_difference(radius, "arun", name).values, "", "+.3f", least=0.05)


MANIFOLD = Item(
    name="fig5-manifold",
    title="The controller's manifold",
    caption=(
        "The controller of ARUN runs alone, from ten random states, with no current for 200 steps "
        "and then with one of ten constant currents for 200 steps. There is a panel for each "
        "network, where the lines begin at one start and the dots are where each start ends. The "
        "axes are principal components of the states after the onset. The last panel shows the "
        "first component of the end states against the current, with its sign chosen so that it "
        "rises. The paper shows this in Fig 5a."
    ),
    roles=("psmnist",),
    models=("arun",),
    analyses=("controller_manifold",),
    alt=(
        "A panel for each network shows the controller's states in two principal components: ten "
        "paths, one for each current, end at dots along a bent line, in the order of the "
        "currents. The last panel shows that the first component of the end states rises with the "
        "current."
    ),
    measure=measure_manifold,
    draw=manifold,
    judge=judge_manifold,
    functions=("adaptrnn.analysis.manifold.controller_manifold",),
    tests=("tests/analysis/test_manifold.py",),
)

LEVELS = Item(
    name="fig5-levels",
    title="Adapted gains and saturations against the level sets of the slope",
    caption=(
        "Panels a and b show (n, s) of every neuron of ARUN at the onset of a drive and after 200 "
        "steps of it, and the curves where gamma'(ξ; n, s) = 1 - eps, with eps fitted to the "
        "steady states at ξ = 10. The faint dots are neurons of all seeds, and the ringed ones are "
        "means of each network. The curves are those of the first network. The dash-dotted line in "
        "panel b is at s = 0.013, the paper's eps. Panel c shows the distance of the slope from "
        "1 - eps, as the root mean square over neurons and for the mean (n, s), the latter without "
        "ξ = 10. Its dotted line is the criterion, 0.05, and its thin lines are seeds. The paper "
        "shows this in Fig 5b."
    ),
    roles=("psmnist",),
    models=("arun",),
    analyses=("noise",),
    alt=(
        "Two panels show gain and saturation of every neuron under drives from 0.5 to 30, at the "
        "onset and after 200 steps, with the curves on which the slope at the drive is 1 - "
        "epsilon; a third shows the distance of the slope from 1 - epsilon against the drive, for "
        "the neurons and for their mean."
    ),
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
        "The lines are the largest Lyapunov exponents of trained networks, per step and with the "
        "natural logarithm, on a scale that is linear below 0.001 in size. Thick lines are means "
        "over seeds, and thin lines are seeds. The upper row starts from the state that the driven "
        "network has after the given number of steps from the onset of ξ, with the n and s that "
        "ARUN has then, without input, bias or drive. The lower row shows the exponent against the "
        "drive, by three definitions, for ARUN with n and s as the drive leaves them, and as they "
        "are at rest (dashed). The paper shows this in Fig 5c, d."
    ),
    roles=("psmnist",),
    models=("relu", "gamma", "arun"),
    analyses=("lyapunov",),
    alt=(
        "Upper row: the largest exponent against the steps after the onset of a drive, a panel "
        "for each of four drives. Lower row: the same against the drive by three definitions, "
        "with n and s as the drive leaves them (full lines) and as at rest (dashed). The scale is "
        "logarithmic on both sides of 0."
    ),
    measure=measure_exponents,
    draw=exponents,
    judge=judge_exponents,
    functions=("adaptrnn.analysis.lyapunov_exponent.lyapunov",),
    tests=("tests/analysis/test_lyapunov_exponent.py",),
)

SPECTRUM = Item(
    name="fig5-spectrum",
    title="Eigenvalues of the recurrent weights",
    caption=(
        "The dots are the eigenvalues of W_hh in the complex plane before and after training, for "
        "all seeds, with the unit circle. The number in its middle is the mean over seeds of the "
        "largest modulus. The paper shows this in Fig 5e."
    ),
    roles=("psmnist",),
    models=("relu", "linear", "gamma-shared", "gamma", "arun"),
    analyses=("spectrum",),
    alt=(
        "Dots in the complex plane are eigenvalues, a panel for each model: grey "
        "crosses before training lie on the unit circle, dots in the model's colour after "
        "training lie on both sides of it. The largest modulus is written in the middle."
    ),
    measure=measure_spectrum,
    draw=eigenvalues,
    judge=judge_spectrum,
    functions=("adaptrnn.analysis.eigenvalue.spectrum",),
    tests=("tests/analysis/test_eigenvalue.py",),
)
