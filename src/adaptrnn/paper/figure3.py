"""Figure 3 shows how training spreads gains and saturations, and how ARUN scales them to noise."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.heterogeneity import neuron_cloud
from adaptrnn.figure.scaling import FITTED, output_variance, steady_states
from adaptrnn.figure.style import (
    count_seeds,
    ink,
    key,
    letters,
    shade_bar,
    shades,
    subplots,
    task_title,
)
from adaptrnn.paper.item import Item, RunData
from adaptrnn.paper.note import enumerated, means_along
from adaptrnn.paper.ordering import drop_missing
from adaptrnn.paper.verdict import Claim, Verdict, part, verdict

__all__ = [
    "HETEROGENEITY",
    "SCALING",
    "draw_gains_and_saturations",
    "draw_scaling",
    "judge_heterogeneity",
    "judge_scaling",
    "measure_heterogeneity",
    "measure_scaling",
]

E14 = Claim(
    "E14",
    "Fig 3a, top",
    "From a homogeneous start, training makes the neurons' (n, s) heterogeneous.",
    "Training raises the standard deviation over neurons by more than 0.05 for n and by more than "
    "0.001 for s (ours)",
    {"psmnist": ("gamma",)},
)
E16 = Claim(
    "E16",
    "Fig 3b, left",
    "The steady gain follows a power law of the noise's size, n(ξ) = a ξ^-b + c.",
    "The power law fitted to n(ξ) has R² ≥ 0.9 (ours) and a smaller AIC than a straight line",
    {"psmnist": ("arun",)},
)
E17 = Claim(
    "E17",
    "Fig 3b, right",
    "The steady saturation follows an exponential of the noise's size, s(ξ) = a exp(-b ξ) + c.",
    "The exponential fitted to s(ξ) has R² ≥ 0.9 (ours)",
    {"psmnist": ("arun",)},
)
E18 = Claim(
    "E18",
    "text of Fig 3b",
    "Adaptation allocates the output's range in proportion to the input's statistics, which "
    "mitigates variations of the output's distribution.",
    "The slope of the output's log variance over log ξ is larger with n and s frozen than adaptive",
    {"psmnist": ("arun",)},
)


def measure_heterogeneity(run: RunData) -> xr.Dataset:
    """Measure n and s of every neuron after training and before, and their spread.

    Returns:
        n, s, n_initial, s_initial (neuron); n_sd, s_sd over neurons, with _low and _high, the
        ends of the interval over neurons.
    """
    found = run.analyses["heterogeneity"]
    names = [f"{key}{end}" for key in "ns" for end in ("", "_initial")]
    names += [f"{key}_sd{end}" for key in "ns" for end in ("", "_low", "_high")]
    kept = found[names].astype("float32").drop_attrs()
    return kept.assign_coords(neuron=np.arange(found.sizes["neuron"]))


def judge_heterogeneity(data: xr.Dataset) -> list[Verdict]:
    """Judge E14 by standard deviations over neurons, 0 before training, a value for each seed."""
    one = data.sel(role="psmnist", model="gamma").astype(float)
    parts, notes = [], []
    for name, least, digits in (("n", 0.05, ".3f"), ("s", 0.001, ".4f")):
        # NaN of missing neurons or seeds stays out; of a missing run nothing is left
        start = one[f"{name}_initial"].std("neuron", ddof=1)
        spread = one[f"{name}_sd"] - start
        text = f"standard deviation of {_WORDS[name]} over neurons, after minus before training"
        parts.append(part(text, spread.values, "", digits, above=least))
        if bool(start.notnull().any()):
            ends = [one[f"{name}_sd_{end}"] for end in ("low", "high")]
            each = enumerated(
                [
                    f"{float(low):{digits}} to {float(high):{digits}}"
                    for low, high in zip(ends[0].values, ends[1].values, strict=True)
                    if np.isfinite(low)
                ]
            )
            notes.append(
                f"Before training, no seed has a standard deviation of {_WORDS[name]} over neurons "
                f"above {float(start.max()):.2g}. After training, its 95% interval over neurons "
                f"is, seed by seed, {each}."
            )
    return [verdict(E14, parts, note=" ".join(notes))]


def measure_scaling(run: RunData) -> xr.Dataset:
    """Measure steady gain, saturation and output variance against the noise's size, with fits.

    Returns:
        n_mean, s_mean (time, xi), means over neurons, every fourth step; n_steady, s_steady (xi),
        and variance (condition, xi) of the rates, means over neurons; slope (condition) of log
        variance over log xi; for n and s: _value (shape, parameter), _r2, _delta_aic, _delta_aicc
        (shape), of the fits to the mean over neurons.
    """
    found = run.analyses["gain_scaling"].rename(model="shape")
    names = [f"{key}_{what}" for key in "ns" for what in ("value", "r2", "delta_aic", "delta_aicc")]
    kept = found[[*names, "slope", "slope_low", "slope_high"]]
    variance = [found.output_variance, found.output_variance_frozen]
    return (
        kept.assign({f"{k}_steady": found[f"{k}_steady"].mean("neuron") for k in "ns"})
        .assign(variance=xr.concat([v.mean("neuron") for v in variance], found.condition))
        .assign(
            {
                f"{k}_mean": found[f"{k}_mean"].isel(time=slice(0, None, 4)).astype("float32")
                for k in "ns"
            }
        )
        .assign_coords(time=np.arange(0, found.sizes["time"], 4))
        .drop_attrs()
    )


def judge_scaling(data: xr.Dataset) -> list[Verdict]:
    """Judge E16, E17, E18 by fits to each network's means over neurons, a value for each seed."""
    arun = data.sel(role="psmnist", model="arun")
    verdicts = []
    for claim, name, shape in ((E16, "n", "power"), (E17, "s", "exponential")):
        r2 = arun[f"{name}_r2"].sel(shape=shape, drop=True)
        law = "power law" if claim is E16 else "exponential"
        text = f"R² of the {law} fitted to steady {_WORDS[name]} against the noise's size ξ"
        parts = [part(text, r2.values, "", ".3f", least=0.9)]
        delta = arun[f"{name}_delta_aic"].sel(shape=shape, drop=True)
        if claim is E16:
            text = (
                "AIC of a power law minus AIC of a straight line, fitted to steady gain n against ξ"
            )
            parts.append(part(text, delta.values, "", "+.1f", below=0))
        notes = []
        if bool(r2.notnull().any()):
            fitted = arun[f"{name}_value"].sel(shape=shape, drop=True).dropna("seed")
            notes.append(
                f"The parameters (a, b, c) of the {law} {_FORMULAS[shape]}, fitted to steady "
                f"{_WORDS[name]}, are, seed by seed, {_parameters(fitted)}. Where a b < 0, {name} "
                "rises with ξ."
            )
            curves = arun.sel(shape=["power", "exponential"])
            r2s, aic, aicc = (
                means_along(values, "shape", digits, link="for ", words=_SHAPES)
                for values, digits in (
                    (arun[f"{name}_r2"], ".3f"),
                    (curves[f"{name}_delta_aic"], "+.1f"),
                    (curves[f"{name}_delta_aicc"], "+.1f"),
                )
            )
            steady = means_along(arun[f"{name}_steady"], "xi", ".3g", "ξ = ")
            notes.append(
                f"The mean R² is {r2s}. The mean AIC minus that of a straight line is {aic}. "
                f"Corrected for the small number of 7 points, it is {aicc}. The mean of steady "
                f"{_WORDS[name]} is {steady}."
            )
        verdicts.append(verdict(claim, parts, note=" ".join(notes)))
    slope = arun.slope
    adaptive, frozen = (slope.sel(condition=k, drop=True) for k in ("adaptive", "frozen"))
    text = f"{_SLOPE}, n and s frozen minus adaptive"
    parts = [part(text, (frozen - adaptive).values, "", "+.3f", above=0)]
    shown = [
        part(f"{_SLOPE}, n and s {name}", one.values, "", ".3f")
        for name, one in (("adaptive", adaptive), ("frozen", frozen))
    ]
    notes = []
    if bool(slope.notnull().any()):
        slopes = means_along(slope, "condition", ".3f", link="with n and s ")
        notes.append(f"The mean slope is {slopes}, and in a linear network it is 2.")
        notes.append("Frozen n and s are held at their means under noise of size 0.01.")
        notes.append(_by_seed((frozen - adaptive).values))
    return [*verdicts, verdict(E18, parts, shown, note=" ".join(notes))]


def _by_seed(difference: np.ndarray) -> str:
    """Say how many networks have a difference above 0, and whether one decides on the mean."""
    known = difference[np.isfinite(difference)]
    each = enumerated([f"{value:+.2f}" for value in known])
    count = int((known > 0).sum())
    text = (
        f"Frozen minus adaptive, the slope is above 0 in {count} of {len(known)} networks, seed "
        f"by seed {each}."
    )
    if len(known) > 2:
        far = int(np.abs(known - np.median(known)).argmax())
        rest = float(np.delete(known, far).mean())
        if rest * float(known.mean()) < 0:
            text += f" Without the network of {known[far]:+.2f} the mean would be {rest:+.2f}."
    return text


_SLOPE = "slope of log output variance over log size ξ of the noise"


def _parameters(fitted: xr.DataArray) -> str:
    rows = fitted.transpose("seed", "parameter").values
    return enumerated([f"({', '.join(f'{value:.3g}' for value in row)})" for row in rows])


def draw_gains_and_saturations(data: xr.Dataset) -> Figure:
    """Draw (n, s) of every neuron of each network that has any number, and where they started.

    Args:
        data: `n`, `s`, `n_initial`, `s_initial` (role, model, seed, neuron) of one task and model.

    Returns:
        The figure: a panel for each seed, all of one scale, each about its own neurons.
    """
    data = drop_missing(data).isel(role=0, model=0)
    seeds = data.seed.values.tolist()
    figure, axes = subplots(1, len(seeds), width=max(6.0, 1.9 * len(seeds)), sharey=True)
    gains = data[["n", "n_initial"]].to_dataarray()
    low, high = gains.min(["variable", "neuron"]), gains.max(["variable", "neuron"])
    half = 1.15 / 2 * float((high - low).max())
    for axis, seed in zip(axes[0], seeds, strict=True):
        axis.axhline(0, color=ink(), lw=0.6)
        one = data[["n", "s", "n_initial", "s_initial"]].sel(seed=[seed])
        neuron_cloud(axis, one, str(data.model.values))
        middle = float((low + high).sel(seed=seed)) / 2
        if np.isfinite(half + middle) and half > 0:
            axis.set_xlim(middle - half, middle + half)
        axis.locator_params(axis="x", nbins=4)
        axis.set_title(f"network {seed}")
        axis.label_outer()
    key(axes[0, -1])
    figure.suptitle(f"{task_title(data)}: {data.sizes['neuron']} neurons each", fontsize=9)
    letters(axes)
    return figure


def draw_scaling(data: xr.Dataset) -> Figure:
    """Draw gain, saturation and output variance under noise whose size switches.

    Args:
        data: `n_mean`, `s_mean` (role, model, seed, time, xi); `n_steady`, `s_steady` (..., xi);
            `n_value`, `s_value` (..., shape, parameter); `variance` (..., condition, xi) and
            `slope` (..., condition), of one task and model. Seeds without a number are left out.

    Returns:
        The figure: courses above; below them steady states, each network with its own fit, and
        variances.
    """
    data = drop_missing(data).isel(role=0, model=0)
    figure = Figure(figsize=(9, 5.4))
    above, below = figure.subfigures(2, 1, squeeze=False)[:, 0]
    courses, last = above.subplots(1, 2), below.subplots(1, 3)
    tones = shades(data.sizes["xi"])
    for (name, shape), course, steady in zip(FITTED.items(), courses, last, strict=False):
        before = data[f"{name}_mean"].sel(time=slice(100, 199)).mean("time")
        change = (data[f"{name}_mean"] - before).mean("seed")
        for xi, tone in zip(data.xi.values, tones, strict=True):
            course.plot(data.time, change.sel(xi=xi), color=tone, lw=1.1)
        for switch in (200, 400):
            course.axvline(switch, color=ink(), lw=0.7, ls=":")
        course.set(xlabel="time (steps)", ylabel=f"change of {_WORDS[name]}", xlim=(100, None))
        fitted = data[f"{name}_value"].sel(shape=shape)
        steady_states(steady, data[f"{name}_steady"], fitted, shape, change=True)
        steady.set(ylabel=f"change of steady {_WORDS[name]}", title=f"lines: {_FORMULAS[shape]}")
    shade_bar(above, courses, data.xi.values.tolist(), "sd of the noise, ξ")
    output_variance(last[2], data["variance"], data.slope)
    courses[0].set_title(task_title(data))
    count_seeds(courses[1], data.n_steady)
    letters([*courses, *last])
    return figure


_WORDS = {"n": "gain n", "s": "saturation s"}
_FORMULAS = {"power": "a ξ^-b + c", "exponential": "a exp(-b ξ) + c"}
_SHAPES = {"linear": "a straight line", "power": "a power law", "exponential": "an exponential"}


HETEROGENEITY = Item(
    name="fig3-heterogeneity",
    title="Learned gain and saturation of every neuron",
    caption=(
        "The dots are the gain n and the saturation s of every neuron of RNN+gamma after training, "
        "in a panel for each seed, all of the same scale. The crosses mark where the neurons "
        "started, which is one pair for all if the start was homogeneous. The paper shows this in "
        "Fig 3a, top."
    ),
    alt=(
        "Clouds of dots in the plane of gain and saturation, a panel for each network: after "
        "training the neurons lie spread about the cross where they started."
    ),
    roles=("psmnist",),
    models=("gamma",),
    analyses=("heterogeneity",),
    measure=measure_heterogeneity,
    draw=draw_gains_and_saturations,
    judge=judge_heterogeneity,
    functions=("adaptrnn.analysis.curve_parameter.heterogeneity",),
    tests=("tests/analysis/test_curve_parameter.py",),
)

SCALING = Item(
    name="fig3-scaling",
    title="Gain, saturation and output variance under noise of switching size",
    caption=(
        "A trained ARUN gets noise that is independent for every neuron and step, with a standard "
        "deviation of 0.01 for 200 steps, of ξ for 200 steps, and of 0.01 for 200 steps. Panels a "
        "and b show gain and saturation minus what they were before the switch, as means over "
        "neurons, trials and seeds, and dotted lines mark the switches. Panels c and d show the "
        "means over the second half of the noise of ξ, minus that at the smallest ξ, with dots for "
        "each network and a line for the power law, or the exponential, fitted to it. Panel e "
        "shows the variance of the rates over time, as the mean over neurons, with n and s "
        "adapting (full) and with both frozen as they were before the switch (dashed). The thick "
        "lines in it are means over seeds, and each seed has a thin line. The paper shows this in "
        "Fig 3b."
    ),
    alt=(
        "Above: gain and saturation move when noise of seven sizes is switched on. The gain moves "
        "farther for larger noise, the saturation does not always. After small noise both nearly "
        "return, after large noise not in every network. Below: steady gain and saturation against "
        "the size of the noise with fitted curves, and the variance of the rates, with gain and "
        "saturation adapting and frozen."
    ),
    roles=("psmnist",),
    models=("arun",),
    analyses=("gain_scaling",),
    measure=measure_scaling,
    draw=draw_scaling,
    judge=judge_scaling,
    functions=(
        "adaptrnn.analysis.scaling.gain_scaling",
        "adaptrnn.analysis.scaling.fit_scaling",
    ),
    tests=("tests/analysis/test_scaling.py",),
)
