"""Each function draws the picture of the result of one protocol."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn._error import bad
from adaptrnn.analysis.noise import level_set
from adaptrnn.figure.controller import level_sets, manifold
from adaptrnn.figure.gradient import gradients
from adaptrnn.figure.heterogeneity import neuron_cloud
from adaptrnn.figure.map import cells, norm_curves
from adaptrnn.figure.noise import trained_noise_error
from adaptrnn.figure.order import neuron_orders, order_panels
from adaptrnn.figure.response import SIGNALS, step_response_curves
from adaptrnn.figure.robustness import strength_curves
from adaptrnn.figure.scaling import FITTED, output_variance, steady_states
from adaptrnn.figure.stability import eigenvalues, exponents
from adaptrnn.figure.style import (
    as_seeds,
    colour,
    ink,
    key,
    label_of,
    letters,
    percent_axis,
    render,
    shade_bar,
    shades,
    subplots,
)
from adaptrnn.figure.transfer import rotated, transplanted
from adaptrnn.laboratory.protocol import ANALYSES
from adaptrnn.model import OWN_MODEL
from adaptrnn.preset import task_in_words
from adaptrnn.storage import write_atomic

__all__ = [
    "DRAWINGS",
    "against_levels",
    "both_controllers",
    "by_length",
    "draw_controller_manifold",
    "draw_fractional",
    "draw_gain_scaling",
    "draw_gradients",
    "draw_heterogeneity",
    "draw_jacobian",
    "draw_lyapunov",
    "draw_noise",
    "draw_plane",
    "draw_robustness",
    "draw_spectrum",
    "draw_step_response",
    "draw_to",
    "draw_transfer",
    "noise_error",
    "settling",
]


def _model(data: xr.Dataset) -> str:
    """The model of the network."""
    return str(json.loads(data.attrs.get("config", "{}")).get("model", OWN_MODEL))


def _as_seeds(data: xr.Dataset) -> xr.Dataset:
    """The result of one network as a figure over seeds takes it."""
    config = json.loads(data.attrs.get("config", "{}"))
    task = task_in_words(config["task"], None) if config else "one network"
    return as_seeds(data, _model(data), task, config.get("seed", 0))


def settling(data: xr.Dataset) -> xr.Dataset:
    """Return what is drawn of a `controller_manifold` analysis.

    Args:
        data: its result.

    Returns:
        path (current, time, component) from one start, every fourth step after the onset;
        steady (start, current, component); share (component) of the variance.
    """
    two = data.isel(component=slice(2))
    after = two.score.isel(start=0, drop=True).sel(time=slice(0, None, 4))
    return xr.Dataset(
        {
            "path": after.transpose("current", "time", "component"),
            "steady": two.steady_score.transpose("start", "current", "component"),
            "share": two.ratio,
        },
        attrs=data.attrs,
    )


def against_levels(data: xr.Dataset) -> xr.Dataset:
    """Return what is drawn of gains and saturations against Lambda(xi), from a `noise` analysis.

    Args:
        data: its result.

    Returns:
        n, s (stage, xi, neuron), at the onset and steady; residual, the root mean square over
        neurons of gamma'(xi; n, s) - (1 - eps), and middle, the median of its size, (stage, xi);
        epsilon, fitted at xi = 10; level (xi, gain), the curves as s over n.
    """
    epsilon, gains = float(data.epsilon), np.linspace(0.25, 12, 95).tolist()
    return xr.Dataset(
        {
            "n": data.n,
            "s": data.s,
            "residual": data.residual,
            "middle": abs(data.slope_residual).median("neuron"),
            "level": level_set(data.xi.values.tolist(), gains, epsilon).rename(n="gain"),
            "epsilon": epsilon,
        },
        attrs=data.attrs,
    )


def noise_error(data: xr.Dataset) -> xr.Dataset:
    """Return what is drawn of the error of predicted variances, from a `noise` analysis.

    Args:
        data: its result.

    Returns:
        share (mu, sigma) of neurons within 5%, 0 to 1; middle and high (mu, sigma), the median and
        the 95th percentile over neurons of |variance / predicted - 1|.
    """
    error = abs(data.relative_error)
    return xr.Dataset(
        {
            "share": (error <= 0.05).where(error.notnull()).mean("neuron"),
            "middle": error.median("neuron"),
            "high": error.quantile(0.95, "neuron", skipna=True).drop_vars("quantile"),
        },
        attrs=data.attrs,
    )


def by_length(data: xr.Dataset) -> xr.Dataset:
    """Return the result of a `gradients` analysis over the steps accumulated, from the last."""
    return data.swap_dims(time="length").drop_vars("time").sortby("length")


def both_controllers(data: xr.Dataset) -> xr.DataArray:
    """Return accuracy (controller, condition), own and transplanted, from a `transfer` analysis."""
    names = ["own", "transplanted"]
    rates = [data[f"accuracy_{name}"] for name in names]
    return xr.concat(rates, "controller").assign_coords(controller=names).assign_attrs(data.attrs)


def _signed(draw: Callable[[xr.Dataset], Figure]) -> Callable[[xr.Dataset], Figure]:
    """The drawing with a line above it that says of what network, and of how many neurons."""

    @functools.wraps(draw)
    def signed(data: xr.Dataset) -> Figure:
        figure = draw(data)
        config = json.loads(data.attrs.get("config", "{}"))
        words = [label_of(config["model"]), task_in_words(config["task"], None)] if config else []
        words += ["one network" + (f", training seed {config['seed']}" if config else "")]
        if "neuron" in data.sizes:
            words.append(f"{data.sizes['neuron']} neurons")
        words += [f"{data.attrs['images']} test images"] if "images" in data.attrs else []
        figure.suptitle(" · ".join(words), fontsize=8)
        return figure

    return signed


@_signed
def draw_lyapunov(data: xr.Dataset) -> Figure:
    """Draw exponents against the drive, after its onset, and on the task."""
    return exponents(_as_seeds(data.rename(standard_error="error")))


@_signed
def draw_jacobian(data: xr.Dataset) -> Figure:
    """Draw Jacobian norms over (n, s), and how singular values of products grow on the task."""
    grid = "norm" in data
    figure, axes = subplots(1, 2 + grid, width=9 if grid else 7.5, height=3.2)
    if grid:
        norm_curves(axes[0, 0], data.norm.expand_dims("seed"))
        axes[0, 0].set_ylabel("norm of the Jacobian")
        if "initial" in data.weights:
            axes[0, 0].set_title("trained (—), initial (- -)")
        key(axes[0, 0])
    steps = data.step_norm
    axes[0, -2].plot(data.step, steps.mean("image"), color=colour(_model(data)))
    low, high = steps.min("image"), steps.max("image")
    axes[0, -2].fill_between(data.step, low, high, color=colour(_model(data)), alpha=0.2, lw=0)
    axes[0, -2].axhline(1, color=ink(), lw=0.8)
    axes[0, -2].set(xlabel="time (steps)", ylabel="norm of one step", title="on the task")
    for rank, tone in zip((0, 1, 3, 9, 29), shades(5), strict=True):
        if rank < data.sizes["rank"]:
            # without the part that is rounding of the product
            one = data.exponent.isel(rank=rank)
            seen = (data.resolved.isel(rank=rank) | one.isnull()).all("image")
            one = one.mean("image").where(seen)
            axes[0, -1].plot(data.time, one, color=tone, label=f"rank {rank + 1}")
    axes[0, -1].axhline(0, color=ink(), lw=0.8)
    axes[0, -1].set(xlabel="T (steps)", ylabel=r"$\ln \sigma(P_T) / T$", title="products")
    key(axes[0, -1])
    letters(axes)
    return figure


@_signed
def draw_fractional(data: xr.Dataset) -> Figure:
    """Draw orders of every neuron against the drive: each protocol by each estimator."""
    data = data.sel(signal="h").expand_dims("seed")
    figure, axes = order_panels(data, r"order $\alpha$ of the rate")
    for (protocol, estimator), axis in axes.items():
        one = data.sel(protocol=protocol, estimator=estimator)
        null = one.null_order.sel(network="interacting").mean(["neuron", "seed"])
        neuron_orders(axis, one.order, null)
        axis.label_outer()
    handles, labels = next(iter(axes.values())).get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


@_signed
def draw_step_response(data: xr.Dataset) -> Figure:
    """Draw means over neurons under a step of drive, and their spread at the last drive."""
    names = [name for name in SIGNALS if name in data]
    figure, axes = subplots(1, len(names), width=3 * max(2, len(names)), height=3.2)
    for axis, name in zip(axes[0], names, strict=True):
        step_response_curves(axis, data[name], data.attrs["step"])
        axis.set(xlabel="time (steps)", ylabel=SIGNALS[name])
    least, most = float(data.h.min()), float(data.h.max())
    if most > 10:
        axes[0, -1].set_yscale("symlog", linthresh=1)
        axes[0, -1].set_ylim(1.2 * least if least < -1e-3 else 0, 2 * most)
    letters(axes)
    shade_bar(figure, axes, data.xi.values.tolist(), "drive ξ")
    return figure


@_signed
def draw_gain_scaling(data: xr.Dataset) -> Figure:
    """Draw steady gain and saturation against the input's deviation, and output variance."""
    one = data.expand_dims("seed")
    gains = [name for name in FITTED if f"{name}_value" in data]
    figure, axes = subplots(1, len(gains) + 1, width=3 * max(2, len(gains) + 1), height=3.2)
    for axis, name in zip(axes[0], gains, strict=False):
        shape = FITTED[name]
        fitted = one[f"{name}_value"].sel(model=shape)
        steady_states(axis, one[f"{name}_steady"].mean("neuron"), fitted, shape, model=_model(data))
        delta = float(data[f"{name}_delta_aic"].sel(model=shape))
        axis.set(ylabel=f"steady {SIGNALS[name].split()[0]} {name}")
        axis.set_title(f"{shape}, ΔAIC to a line {delta:+.0f}")
    kinds = {name: "_frozen" if name == "frozen" else "" for name in data.condition.values.tolist()}
    values = [one[f"output_variance{end}"].mean("neuron") for end in kinds.values()]
    variance = xr.concat(values, xr.DataArray(list(kinds), dims="condition", name="condition"))
    output_variance(axes[0, -1], variance, one.slope, _model(data))
    letters(axes)
    return figure


@_signed
def draw_heterogeneity(data: xr.Dataset) -> Figure:
    """Draw (n, s) of every neuron, before and after training."""
    figure, axes = subplots(1, 1, width=4.2, height=3.4)
    neuron_cloud(axes[0, 0], data.expand_dims("seed"), _model(data))
    if "n_within" in data:
        axes[0, 0].set_title("bars: sd over time and images")
    if "n_initial" in data:
        key(axes[0, 0])
    return figure


@_signed
def draw_controller_manifold(data: xr.Dataset) -> Figure:
    """Draw the controller's trajectories in principal components, their ends, and n."""
    course = data.n.sel(time=slice(0, None)).mean("start")
    return manifold(_as_seeds(settling(data).assign(n=course.sel(time=slice(0, None, 4)))))


@_signed
def draw_noise(data: xr.Dataset) -> Figure:
    """Draw gains against the level sets, their distance, and the predicted variance."""
    figure = Figure(figsize=(9, 6.2))
    parts = figure.subfigures(2, 1, squeeze=False)[:, 0]
    level_sets(_as_seeds(against_levels(data)), parts[0])
    trained_noise_error(_as_seeds(noise_error(data)), parts[1])
    return figure


@_signed
def draw_spectrum(data: xr.Dataset) -> Figure:
    """Draw eigenvalues in the complex plane with the unit circle."""
    return eigenvalues(_as_seeds(data))


@_signed
def draw_gradients(data: xr.Dataset) -> Figure:
    """Draw the norm of the gradient against the step from which it is accumulated."""
    return gradients(_as_seeds(by_length(data)))


@_signed
def draw_transfer(data: xr.Dataset) -> Figure:
    """Draw what retraining n and s recovers, or a foreign controller against the donor's own."""
    if "accuracy_own" in data:
        return transplanted(_as_seeds(both_controllers(data).to_dataset(name="accuracy")))
    return rotated(_as_seeds(data[["n", "s", "accuracy"]]))


@_signed
def draw_robustness(data: xr.Dataset) -> Figure:
    """Draw accuracy, or error, against drive and contrast, and maps over two numbers of each."""
    figure, axes = subplots(2, 2, height=5.6)
    metric = "accuracy" if "step_accuracy" in data else "error"
    unit = 100 if metric == "accuracy" else 1
    words = "accuracy (%)" if metric == "accuracy" else "mean absolute error"
    trials = data.attrs.get("trials", "test images")
    one = data.expand_dims(model=[_model(data)], seed=[0])
    for axis, name in zip(axes[0], ("step", "contrast"), strict=True):
        values = unit * one[f"{name}_{metric}"]
        strength_curves(axis, values)
        axis.set_ylabel(words)
        area, images = float(data[f"{name}_{metric}_area"]), data.attrs[f"{name}_images"]
        shown = f"{100 * area:.1f}%" if metric == "accuracy" else f"{area:.3g}"
        axis.set_title(f"area {shown}, {images} {trials}")
        if metric == "accuracy":
            error = 196 * data[f"{name}_accuracy_error"].values
            ends = [values.values.ravel() + sign * error for sign in (-1, 1)]
            tone, band = colour(_model(data)), {"alpha": 0.15, "lw": 0}
            axis.fill_between(values[values.dims[-1]], *ends, color=tone, **band)
            percent_axis(axis, ends)
    for axis, name, x, y, xlabel, ylabel in (
        (axes[1, 0], "drive_map", "map_length", "map_xi", "length (of the sequence)", "drive ξ"),
        (axes[1, 1], "contrast_map", "map_phase", "map_amplitude", "phase / π", "contrast A"),
    ):
        digits = ".0f" if metric == "accuracy" else ".2g"
        image = cells(axis, unit * one[f"{name}_{metric}"].isel(model=0), y, x, digits)
        title = f"{data.attrs[f'{name}_images']} {trials}"
        axis.set(xlabel=xlabel, ylabel=ylabel, title=title)
        figure.colorbar(image, ax=axis, label=words)
    letters(axes)
    return figure


def draw_plane(data: xr.Dataset) -> Figure:
    """Draw simulated neurons and units of networks in one (n, s) plane, and step responses.

    Args:
        data: what `adaptrnn.analysis.neurons_in_plane` returns, with unit_n and unit_s (network,
            unit) of networks named as in `adaptrnn.model.MODELS`.
    """
    figure, axes = subplots(1, 2, width=9, height=4.0)
    plane, steps = axes[0]
    for network in data.network.values if "unit_n" in data else ():
        one = data.sel(network=network)
        known = int(one.unit_n.notnull().sum())
        settings = {"color": colour(str(network)), "alpha": 0.35, "lw": 0}
        label = f"{label_of(str(network))}, {known} units"
        plane.scatter(one.unit_n, one.unit_s, 11, label=label, **settings)
    for name, mark in zip(data.neuron.values, "osD^vPX", strict=False):
        one = data.sel(neuron=name)
        n, s = float(one.n), float(one.s)
        x = [[n - float(one.n_low)], [min(float(one.n_high), 1e4) - n]]
        y = [[s - float(one.s_low)], [float(one.s_high) - s]]
        settings = {"color": ink(), "capsize": 2, "ms": 5, "lw": 1, "marker": mark}
        plane.errorbar(n, s, y, x, label=str(name), mfc="none", ls="none", **settings)
        order = float(one.order)
        error = [[order - float(one.order_low)], [float(one.order_high) - order]]
        steps.errorbar(order, float(one.adaptation), xerr=error, mfc="none", ls="none", **settings)
    low, high = min(-0.2, float(data.s_low.min())), max(0.8, float(data.s_high.max()))
    plane.set(xlabel="gain n", ylabel="saturation s", xscale="log", ylim=(low, high))
    title = "f-I curves, currents from threshold to largest = 0 to 1"
    if "unit_s" in data:
        outside = int(((data.unit_s < low) | (data.unit_s > high)).sum())
        title += f"\n{outside} units outside"
    plane.set_title(title)
    for line in (steps.axhline, steps.axvline):
        line(0, color=ink(), lw=0.6)
    steps.set(xlabel="fractional order, scale-free", ylabel="adaptation index")
    steps.set_title("response to a step of current")
    letters(axes)
    handles, labels = plane.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


DRAWINGS: dict[str, Callable[[xr.Dataset], Figure]] = {
    "lyapunov": draw_lyapunov,
    "jacobian": draw_jacobian,
    "fractional": draw_fractional,
    "step_response": draw_step_response,
    "gain_scaling": draw_gain_scaling,
    "heterogeneity": draw_heterogeneity,
    "transfer": draw_transfer,
    "controller_manifold": draw_controller_manifold,
    "noise": draw_noise,
    "spectrum": draw_spectrum,
    "gradients": draw_gradients,
    "robustness": draw_robustness,
}
"""The drawings by the name of their analysis, as `adaptrnn.laboratory.protocol.ANALYSES`."""


def draw_to(path: Path, name: str, data: xr.Dataset) -> None:
    """Draw the result of an analysis to a PNG file.

    Args:
        path: the file.
        name: the name of the analysis.
        data: its result.

    Raises:
        InputError: there is no drawing of this analysis.
    """
    draw = ANALYSES[name].draw or DRAWINGS.get(name)
    if draw is None:
        advice = "Give its Analysis a function `draw`, or leave drawing out."
        raise bad("draw", name, "an analysis that has a drawing", advice)
    write_atomic(path, render(draw, data, "png"))
