"""Figure 3: learned heterogeneity of gains and saturations, and how ARUN scales them to noise."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.figure.heterogeneity import curve_spread, scaling
from adaptrnn.paper.item import Item, RunData
from adaptrnn.paper.note import means_along
from adaptrnn.paper.ordering import drop_missing
from adaptrnn.paper.verdict import Claim, Verdict, part, verdict

__all__ = [
    "HETEROGENEITY",
    "SCALING",
    "judge_heterogeneity",
    "judge_scaling",
    "measure_heterogeneity",
    "measure_scaling",
]

E14 = Claim(
    "E14",
    "Fig 3a, top",
    "From a homogeneous start, training makes the neurons' (n, s) heterogeneous.",
    "standard deviation over neurons, beyond that of the start: n > 0.05, s > 0.001 (ours)",
    {"psmnist": ("gamma",)},
)
E16 = Claim(
    "E16",
    "Fig 3b, left",
    "The steady gain follows a power law of the noise's size, n(ξ) = a ξ^-b + c.",
    "R² ≥ 0.9; AIC below that of a straight line",
    {"psmnist": ("arun",)},
)
E17 = Claim(
    "E17",
    "Fig 3b, right",
    "The steady saturation follows an exponential of it, s(ξ) = a exp(-b ξ) + c.",
    "R² ≥ 0.9",
    {"psmnist": ("arun",)},
)
E18 = Claim(
    "E18",
    "text of Fig 3b",
    "Adaptation allocates the output's range in proportion to the input's statistics, which "
    "mitigates variations of the output's distribution.",
    "slope of log variance of the output over log ξ: larger with n and s frozen than adaptive",
    {"psmnist": ("arun",)},
)


def measure_heterogeneity(run: RunData) -> xr.Dataset:
    """N and s of every neuron after training and before, and their spread.

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
    """E14: standard deviation over neurons, a value for each seed; 0 before training."""
    one = data.sel(role="psmnist", model="gamma").astype(float)
    parts, notes = [], []
    for name, least, digits in (("n", 0.05, ".3f"), ("s", 0.001, ".4f")):
        # NaN of missing neurons or seeds stays out; of a missing run nothing is left
        start = one[f"{name}_initial"].std("neuron", ddof=1)
        spread = one[f"{name}_sd"] - start
        text = f"standard deviation of {name} over neurons, trained minus initial"
        parts.append(part(text, spread.values, "", digits, above=least))
        if bool(start.notnull().any()):
            ends = [one[f"{name}_sd_{end}"] for end in ("low", "high")]
            each = ", ".join(
                f"{float(low):{digits}} to {float(high):{digits}}"
                for low, high in zip(ends[0].values, ends[1].values, strict=True)
                if np.isfinite(low)
            )
            notes.append(f"sd({name}) before training {float(start.max()):.2g}.")
            notes.append(f"95% interval over neurons after it, by seed: {each}.")
    return [verdict(E14, parts, note=" ".join(notes))]


def measure_scaling(run: RunData) -> xr.Dataset:
    """Steady gain, saturation and output variance against the size of the noise, with fits.

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
    """E16, E17, E18: fits to each network's means over neurons, a value for each seed."""
    arun = data.sel(role="psmnist", model="arun")
    verdicts = []
    for claim, name, shape in ((E16, "n", "power"), (E17, "s", "exponential")):
        r2 = arun[f"{name}_r2"].sel(shape=shape, drop=True)
        parts = [part(f"R² of the {shape} fit of {name}(ξ)", r2.values, "", ".3f", least=0.9)]
        delta = arun[f"{name}_delta_aic"].sel(shape=shape, drop=True)
        if claim is E16:
            text = "AIC of the power law minus AIC of a straight line"
            parts.append(part(text, delta.values, "", "+.1f", below=0))
        notes = []
        if bool(r2.notnull().any()):
            fitted = arun[f"{name}_value"].sel(shape=shape, drop=True).dropna("seed")
            notes.append(f"(a, b, c) by seed: {_parameters(fitted)}; a b < 0: {name} rises with ξ.")
            others = arun[[f"{name}_r2", f"{name}_delta_aic", f"{name}_delta_aicc"]]
            notes.append(f"R² by shape: {means_along(others[f'{name}_r2'], 'shape', '.3f')}.")
            aic = means_along(
                others[f"{name}_delta_aic"], "shape", "+.1f", ["power", "exponential"]
            )
            aicc = means_along(
                others[f"{name}_delta_aicc"], "shape", "+.1f", ["power", "exponential"]
            )
            notes.append(f"AIC less that of a line: {aic}; corrected for 7 points: {aicc}.")
            steady = means_along(arun[f"{name}_steady"], "xi", ".3g")
            notes.append(f"Mean {name} by ξ: {steady}.")
        verdicts.append(verdict(claim, parts, note=" ".join(notes)))
    slope = arun.slope
    adaptive, frozen = (slope.sel(condition=k, drop=True) for k in ("adaptive", "frozen"))
    text = "slope of log output variance over log ξ, frozen minus adaptive"
    parts = [part(text, (frozen - adaptive).values, "", "+.3f", above=0)]
    shown = [
        part(f"slope of log output variance over log ξ, {name}", one.values, "", ".3f")
        for name, one in (("adaptive", adaptive), ("frozen", frozen))
    ]
    notes = []
    if bool(slope.notnull().any()):
        notes.append(f"Slopes, 2 in a linear network: {means_along(slope, 'condition', '.3f')}.")
        notes.append("Frozen: n and s held at their means under noise of size 0.01.")
    return [*verdicts, verdict(E18, parts, shown, note=" ".join(notes))]


def _parameters(fitted: xr.DataArray) -> str:
    rows = fitted.transpose("seed", "parameter").values
    return ", ".join(f"({', '.join(f'{value:.3g}' for value in row)})" for row in rows)


def draw_heterogeneity(data: xr.Dataset) -> Figure:
    """Seeds that have any number."""
    return curve_spread(drop_missing(data))


def draw_scaling(data: xr.Dataset) -> Figure:
    """Seeds that have any number."""
    return scaling(drop_missing(data))


HETEROGENEITY = Item(
    name="fig3-heterogeneity",
    title="Learned gain and saturation of every neuron",
    caption=(
        "Gain n and saturation s of every neuron of RNN+gamma after training, a panel for each "
        "seed; crosses mark where the neurons started, all at one pair if the start was "
        "homogeneous. Paper: Fig 3a, top."
    ),
    roles=("psmnist",),
    models=("gamma",),
    analyses=("heterogeneity",),
    measure=measure_heterogeneity,
    draw=draw_heterogeneity,
    judge=judge_heterogeneity,
    functions=("adaptrnn.analysis.curve_parameter.heterogeneity",),
    tests=("tests/analysis/test_curve_parameter.py",),
)

SCALING = Item(
    name="fig3-scaling",
    title="Gain, saturation and output variance under noise of switching size",
    caption=(
        "Trained ARUN under noise, independent for every neuron and step: 200 steps of standard "
        "deviation 0.01, 200 of ξ, 200 of 0.01. a, b: gain and saturation, means over neurons, "
        "trials and seeds; the lines mark the switches. c, d: means over the second half of the "
        "noise of ξ, a dot for each seed, and the mean over seeds of the power laws, and of the "
        "exponentials, fitted to each (line). e: variance of the rates over time, mean over "
        "neurons, with n and s adapting and with both frozen as they were before the switch; "
        "line: mean over seeds, band: from the least to the greatest. Paper: Fig 3b."
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
