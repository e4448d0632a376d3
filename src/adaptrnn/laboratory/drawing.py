"""Pictures of the results of the protocols, one function for each."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adaptrnn._error import bad
from adaptrnn.figure.style import colour, ink, label_of, letters, render, shades, subplots
from adaptrnn.laboratory.protocol import ANALYSES
from adaptrnn.storage import write_atomic

__all__ = [
    "DRAWINGS",
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
]

_ONE, _OTHER = "arun", "gamma"  # the two strongest colours of the style
_SIGNALS = {"n": "gain $n_t$", "s": "saturation $s_t$", "h": "rate $h_t$"}


def _key(axis: Axes, **arguments: object) -> None:
    """A legend on the page's ground, so that lines behind it do not cross the text."""
    settings = {"fontsize": 7, "frameon": True, "framealpha": 0.85, "edgecolor": "none"}
    axis.legend(**{**settings, **arguments})


def _signed(draw: Callable[[xr.Dataset], Figure]) -> Callable[[xr.Dataset], Figure]:
    """The drawing with a line above it that says of what network, and of how many neurons."""

    @functools.wraps(draw)
    def signed(data: xr.Dataset) -> Figure:
        figure = draw(data)
        config = json.loads(data.attrs.get("config", "{}"))
        words = [label_of(config["model"]), config["task"]] if config else []
        words += ["one network" + (f", training seed {config['seed']}" if config else "")]
        if "neuron" in data.sizes:
            words.append(f"{data.sizes['neuron']} neurons")
        words += [f"{data.attrs['images']} test images"] if "images" in data.attrs else []
        figure.suptitle(" · ".join(words), fontsize=8)
        return figure

    return signed


@_signed
def draw_lyapunov(data: xr.Dataset) -> Figure:
    """Exponents against the drive, after its onset, and on the task."""
    onset = "after_onset" in data
    definitions = data.definition.values
    figure, axes = subplots(1, 2 + onset, width=9 if onset else 7.5, height=3.6)
    for definition, mark in zip(definitions, "o^s", strict=False):
        for condition in data.condition.values:
            one = data.sel(definition=definition, condition=condition)
            tone = colour(_ONE if condition == "adaptive" else _OTHER)
            error = np.nan_to_num(one.standard_error.values)
            settings = {"lw": 1.2, "capsize": 2, "marker": mark, "color": tone}
            label = f"{definition}, {condition}"
            axes[0, 0].errorbar(one.xi, one.lyapunov, error, label=label, **settings)
    axes[0, 0].set(xlabel="drive ξ", ylabel="largest exponent (1/step)")
    axes[0, 0].set_title("against the drive")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(definitions))
    if onset:
        for xi, tone in zip(data.xi_onset.values, shades(data.sizes["xi_onset"]), strict=True):
            one = data.sel(xi_onset=xi)
            error = np.nan_to_num(one.after_onset_error.values)
            settings = {"color": tone, "capsize": 2, "marker": "o", "label": f"ξ = {xi:g}"}
            axes[0, 1].errorbar(one.delay, one.after_onset, error, **settings)
        axes[0, 1].set(xlabel="steps after the onset", title="n, s of that step, frozen")
        low, high = axes[0, 1].get_ylim()
        axes[0, 1].set_ylim(low, high + 0.3 * (high - low))  # room for the key
        _key(axes[0, 1], ncols=2, loc="upper center")
    index = np.arange(data.sizes["image"])
    error = np.nan_to_num(data.on_task_error.values)
    axes[0, -1].errorbar(index, data.on_task, error, fmt="o", color=colour(_ONE), capsize=2)
    axes[0, -1].set(xlabel="test image", title="under the task's input")
    for axis in axes[0]:
        axis.axhline(0, color=ink(), lw=0.8)
    letters(axes)
    return figure


@_signed
def draw_jacobian(data: xr.Dataset) -> Figure:
    """Jacobian norms over (n, s), and how singular values of products grow on the task."""
    grid = "norm" in data
    figure, axes = subplots(1, 2 + grid, width=9 if grid else 7.5, height=3.2)
    if grid:
        tones = shades(data.sizes["s"])
        for s, tone in zip(data.s.values, tones, strict=True):
            one = data.norm.sel(s=s)
            settings = {"color": tone, "marker": "o", "ms": 3}
            axes[0, 0].plot(data.n, one.sel(weights="trained"), label=f"s = {s:g}", **settings)
            if "initial" in data.weights:
                axes[0, 0].plot(data.n, one.sel(weights="initial"), color=tone, lw=1, ls="--")
                axes[0, 0].set_title("trained (—), initial (- -)")
        axes[0, 0].axhline(1, color=ink(), lw=0.8)
        axes[0, 0].set(xlabel="gain n", ylabel="norm of the Jacobian", yscale="log")
        _key(axes[0, 0])
    steps = data.step_norm
    axes[0, -2].plot(data.step, steps.mean("image"), color=colour(_ONE))
    low, high = steps.min("image"), steps.max("image")
    axes[0, -2].fill_between(data.step, low, high, color=colour(_ONE), alpha=0.2, lw=0)
    axes[0, -2].axhline(1, color=ink(), lw=0.8)
    axes[0, -2].set(xlabel="time (steps)", ylabel="norm of one step", title="on the task")
    for rank, tone in zip((0, 1, 3, 9, 29), shades(5), strict=True):
        if rank < data.sizes["rank"]:
            # without the part that is rounding of the product
            seen = data.resolved.isel(rank=rank).all("image")
            one = data.exponent.isel(rank=rank).mean("image").where(seen)
            axes[0, -1].plot(data.time, one, color=tone, label=f"rank {rank + 1}")
    axes[0, -1].axhline(0, color=ink(), lw=0.8)
    axes[0, -1].set(xlabel="T (steps)", ylabel=r"$\ln \sigma(P_T) / T$", title="products")
    _key(axes[0, -1])
    letters(axes)
    return figure


@_signed
def draw_fractional(data: xr.Dataset) -> Figure:
    """Orders of every neuron against the drive: each protocol by each estimator."""
    protocols, estimators = data.protocol.values, data.estimator.values
    shape = (len(protocols), len(estimators))
    figure, axes = subplots(*shape, height=5.6, sharex=True, sharey=True)
    place = np.arange(data.sizes["xi"])
    jitter = np.linspace(-0.12, 0.12, data.sizes["neuron"])
    for row, protocol in enumerate(protocols):
        for column, estimator in enumerate(estimators):
            axis = axes[row, column]
            one = data.sel(protocol=protocol, estimator=estimator, signal="h")
            for network, tone, shift in zip(
                data.network.values, (colour(_ONE), colour(_OTHER)), (-0.18, 0.18), strict=True
            ):
                order = one.order.sel(network=network)
                for k, at in enumerate(place):
                    axis.scatter(at + shift + jitter, order.isel(xi=k), 3, tone, alpha=0.3, lw=0)
                mean = one["mean"].sel(network=network)
                axis.plot(place + shift, mean, "o", color=tone, mec=ink(), label=network)
                null = one.null_order.sel(network=network).mean("neuron")
                label = "memoryless unit" if shift > 0 else None
                axis.plot(place + shift, null, "_", ms=10, mew=1.6, color=ink(), label=label)
            axis.axhline(0, color=ink(), lw=0.6)
            axis.set_title(f"protocol {protocol}, {estimator}")
            axis.set_xticks(place, [f"{xi:g}" for xi in data.xi.values])
            if column == 0:
                axis.set_ylabel("order of the rate")
            if row == len(protocols) - 1:
                axis.set_xlabel("drive ξ")
    letters(axes)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


@_signed
def draw_step_response(data: xr.Dataset) -> Figure:
    """Means over neurons under a step of drive, each with the spread over neurons at the last."""
    names = [name for name in _SIGNALS if name in data]
    figure, axes = subplots(1, len(names), width=3 * max(2, len(names)), height=3.2)
    tones = shades(data.sizes["xi"])
    for axis, name in zip(axes[0], names, strict=True):
        for xi, tone in zip(data.xi.values, tones, strict=True):
            one = data[name].sel(xi=xi)
            axis.plot(data.time, one.mean("neuron"), color=tone, lw=1.2, label=f"ξ = {xi:g}")
        low, high = (one.quantile(q, "neuron") for q in (0.1, 0.9))
        axis.fill_between(data.time, low, high, color=tones[-1], alpha=0.15, lw=0)
        for edge in data.attrs["step"]:
            axis.axvline(edge, color=ink(), lw=0.6, ls=":")
        axis.set(xlabel="time (steps)", ylabel=_SIGNALS[name])
    least, most = float(data.h.min()), float(data.h.max())
    if most > 10:
        axes[0, -1].set_yscale("symlog", linthresh=1)
        axes[0, -1].set_ylim(1.2 * least if least < -1e-3 else 0, 2 * most)
    letters(axes)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(7, len(handles)))
    return figure


@_signed
def draw_gain_scaling(data: xr.Dataset) -> Figure:
    """Steady gain and saturation against the input's deviation, with fits; output variance."""
    gains = [name for name in "ns" if f"{name}_value" in data]
    figure, axes = subplots(1, len(gains) + 1, width=3 * max(2, len(gains) + 1), height=3.2)
    xi = np.geomspace(float(data.xi.min()), float(data.xi.max()), 200)
    curves: dict[str, Callable[..., np.ndarray]] = {
        "power": lambda a, b, c: a * xi**-b + c,
        "exponential": lambda a, b, c: a * np.exp(-b * xi) + c,
    }
    for axis, name in zip(axes[0], gains, strict=False):
        steady = data[f"{name}_steady"]
        spread = steady.std("neuron")
        settings = {"color": ink(), "capsize": 2, "label": "mean, sd over neurons"}
        axis.errorbar(data.xi, steady.mean("neuron"), spread, fmt="o", **settings)
        for (model, curve), tone in zip(curves.items(), (_ONE, _OTHER), strict=True):
            value = data[f"{name}_value"].sel(model=model).values
            if np.isfinite(value).all():
                label = f"{model}, ΔAIC {float(data[f'{name}_delta_aic'].sel(model=model)):.0f}"
                axis.plot(xi, curve(*value), color=colour(tone), label=label)
        axis.set(xlabel="sd of the input ξ", ylabel=f"steady {_SIGNALS[name].split()[0]} {name}")
        _key(axis)
    axis = axes[0, -1]
    for condition, tone in zip(data.condition.values, (_ONE, _OTHER), strict=False):
        name = "output_variance" if condition != "frozen" else "output_variance_frozen"
        slope = f"slope {float(data.slope.sel(condition=condition)):.2f}"
        label = f"{condition}, {slope}" if data.sizes["condition"] > 1 else slope
        settings = {"color": colour(tone), "label": label}
        axis.plot(data.xi, data[name].mean("neuron"), "o-", **settings)
    axis.set(xlabel="sd of the input ξ", ylabel="output variance", xscale="log", yscale="log")
    _key(axis)
    letters(axes)
    return figure


@_signed
def draw_heterogeneity(data: xr.Dataset) -> Figure:
    """(n, s) of every neuron, before and after training."""
    figure, axes = subplots(1, 1, width=4.2, height=3.4)
    axis = axes[0, 0]
    if "n_initial" in data:
        settings = {"color": ink(), "marker": "+", "lw": 0.8, "label": "start"}
        axis.scatter(data.n_initial, data.s_initial, 16, **settings)
    axis.scatter(data.n, data.s, 16, color=colour(_ONE), alpha=0.7, lw=0, label="trained")
    if "n_within" in data:
        settings = {"color": colour(_ONE), "alpha": 0.25, "lw": 0.7, "fmt": "none"}
        axis.errorbar(data.n, data.s, data.s_within, data.n_within, **settings)
        axis.set_title("bars: sd over time and images")
    axis.set(xlabel="gain n", ylabel="saturation s")
    _key(axis)
    return figure


@_signed
def draw_controller_manifold(data: xr.Dataset) -> Figure:
    """Trajectories of the controller alone in its principal components, where they end, and n."""
    figure, axes = subplots(1, 3, width=9, height=3.2)
    ratio = data.ratio.values
    tones = shades(data.sizes["current"])
    for k, tone in enumerate(tones):
        one = data.isel(current=k).sel(time=slice(0, None))
        current = f"a = {float(data.current[k]):.2g}"
        label = current if k in (0, len(tones) // 2, len(tones) - 1) else None
        path = one.score.isel(start=0)
        axes[0, 0].plot(path.isel(component=0), path.isel(component=1), color=tone, lw=0.9)
        end = data.steady_score.isel(current=k)
        x, y = end.isel(component=0), end.isel(component=1)
        axes[0, 1].scatter(x, y, 14, color=tone, lw=0, label=label)
        axes[0, 2].plot(one.time, one.n.mean("start"), color=tone, lw=1.1, label=label)
    for axis, title in zip(axes[0, :2], ("one start", "where every start ends"), strict=True):
        axis.set(xlabel=f"component 1 ({ratio[0]:.0%})", ylabel=f"component 2 ({ratio[1]:.0%})")
        axis.set_title(title)
    axes[0, 2].set(xlabel="steps after the onset", ylabel=_SIGNALS["n"])
    _key(axes[0, 1])
    letters(axes)
    return figure


@_signed
def draw_noise(data: xr.Dataset) -> Figure:
    """Gains against the level sets, distance from them, and the variance that is predicted."""
    figure, axes = subplots(1, 3, width=9, height=3.2)
    stage = data.sel(stage="steady")
    for xi, tone in zip(data.xi.values, shades(data.sizes["xi"]), strict=True):
        level = data.level.sel(xi=xi)
        axes[0, 0].plot(data.gain, level, color=tone, lw=0.9)
        one = stage.sel(xi=xi)
        axes[0, 0].scatter(one.n, one.s, 6, color=tone, lw=0, label=f"ξ = {xi:g}")
    high = max(0.05, float(np.nanquantile(stage.s, 0.995)) * 1.3)
    low = min(-0.05, float(np.nanquantile(stage.s, 0.005)) * 1.3)
    axes[0, 0].set(xlabel="gain n", ylabel="saturation s", ylim=(low, high))
    axes[0, 0].set_title("neurons, and curves Λ(ξ)")
    _key(axes[0, 0], ncols=2, fontsize=6)
    for name, tone in zip(data.stage.values[::-1], (_ONE, _OTHER), strict=False):
        settings = {"color": colour(tone), "label": str(name)}
        axes[0, 1].plot(data.xi, data.residual.sel(stage=name), "o-", **settings)
    axes[0, 1].set(xlabel="drive ξ", ylabel="rms of the residual")
    axes[0, 1].set_ylim(bottom=0)
    axes[0, 1].set_title(f"ε = {float(data.epsilon):.3g}, fitted at ξ = 10")
    _key(axes[0, 1])
    for mu, tone in zip(data.mu.values, shades(data.sizes["mu"]), strict=True):
        one = np.abs(data.relative_error.sel(mu=mu)).median("neuron")
        axes[0, 2].plot(data.sigma, one, "o-", color=tone, label=f"mean current {mu:g}")
    axes[0, 2].axhline(0.05, color=ink(), lw=0.8, ls=":")
    axes[0, 2].set(xlabel="sd of the noise", ylabel="error of the prediction")
    axes[0, 2].set(xscale="log", yscale="log", title="median over neurons")
    _key(axes[0, 2])
    letters(axes)
    return figure


@_signed
def draw_spectrum(data: xr.Dataset) -> Figure:
    """Eigenvalues in the complex plane with the unit circle."""
    networks = data.network.values
    figure, axes = subplots(1, len(networks), height=3.9, sharex=True, sharey=True)
    angle = np.linspace(0, 2 * np.pi, 200)
    for axis, network in zip(axes[0], networks, strict=True):
        one = data.sel(network=network)
        axis.plot(np.cos(angle), np.sin(angle), color=ink(), lw=0.7)
        axis.scatter(one.real_part, one.imaginary_part, 12, color=colour(_ONE), lw=0)
        axis.set(xlabel="real part", aspect="equal")
        axis.set_title(f"{network}: radius {float(one.radius):.2f}, {float(one.outside):.0%} > 1")
    axes[0, 0].set_ylabel("imaginary part")
    letters(axes)
    return figure


@_signed
def draw_gradients(data: xr.Dataset) -> Figure:
    """Norm of the gradient against the step from which it is accumulated."""
    figure, axes = subplots(1, 2, height=3.1)
    for network, tone in zip(data.network.values[::-1], (_ONE, _OTHER), strict=False):
        one = data.sel(network=network)
        label = f"{network}, loss {float(one.loss):.2f}"
        axes[0, 0].plot(data.time, one.norm, color=colour(tone), label=label)
        axes[0, 1].plot(data.time, one.contribution, color=colour(tone), label=network)
    axes[0, 0].set(ylabel="‖dL/dW‖ accumulated from t on", yscale="log", xlabel="t (steps)")
    axes[0, 1].set(ylabel="‖contribution of step t‖", yscale="log", xlabel="t (steps)")
    _key(axes[0, 0])
    letters(axes)
    return figure


@_signed
def draw_transfer(data: xr.Dataset) -> Figure:
    """What retraining n and s recovers; or a foreign controller against the donor's own."""
    if "accuracy_own" in data:
        figure, axes = subplots(1, 1, width=4.6, height=3.1)
        place = np.arange(data.sizes["condition"])
        for shift, tone, name in ((-0.2, _ONE, "own"), (0.2, _OTHER, "transplanted")):
            values = 100 * data[f"accuracy_{name}"]
            axes[0, 0].bar(place + shift, values, 0.38, color=colour(tone), label=name)
        axes[0, 0].set_xticks(place, [str(name) for name in data.condition.values], rotation=20)
        axes[0, 0].set(ylabel="accuracy (%)", ylim=(0, 100))
        _key(axes[0, 0])
        return figure
    figure, axes = subplots(1, 2, height=3.1)
    place = np.arange(data.sizes["stage"])
    axes[0, 0].bar(place, 100 * data.accuracy, 0.6, color=colour(_ONE))
    axes[0, 0].set_xticks(place, data.stage.values)
    axes[0, 0].set(ylabel="accuracy (%)", ylim=(0, 100))
    axes[0, 0].set_title(f"recovered {float(data.recovered):.0%}")
    for training, tone in zip(data.training.values, (_OTHER, _ONE), strict=True):
        one = data.sel(training=training)
        settings = {"color": colour(tone), "alpha": 0.7, "lw": 0, "label": f"{training} retraining"}
        axes[0, 1].scatter(one.n, one.s, 14, **settings)
    axes[0, 1].set(xlabel="gain n", ylabel="saturation s")
    _key(axes[0, 1])
    letters(axes)
    return figure


@_signed
def draw_robustness(data: xr.Dataset) -> Figure:
    """Accuracy, or error, against drive and contrast, and maps over two numbers of each."""
    figure, axes = subplots(2, 2, height=5.6)
    metric = "accuracy" if "step_accuracy" in data else "error"
    unit = 100 if metric == "accuracy" else 1
    words = "accuracy (%)" if metric == "accuracy" else "mean absolute error"
    trials = data.attrs.get("trials", "test images")
    for axis, name, x, label in (
        (axes[0, 0], "step", "xi", "step drive ξ"),
        (axes[0, 1], "contrast", "amplitude", "amplitude of the contrast"),
    ):
        values = unit * data[f"{name}_{metric}"]
        error = 100 * data[f"{name}_accuracy_error"] if metric == "accuracy" else None
        settings = {"color": colour(_ONE), "marker": "o", "capsize": 2}
        axis.errorbar(data[x], values, error, **settings)
        axis.set(xlabel=label, ylabel=words)
        if metric == "accuracy":
            axis.set_ylim(0, 100)
        area, images = float(data[f"{name}_{metric}_area"]), data.attrs[f"{name}_images"]
        shown = f"{100 * area:.1f}%" if metric == "accuracy" else f"{area:.3g}"
        axis.set_title(f"area {shown}, {images} {trials}")
    for axis, name, x, y, xlabel, ylabel in (
        (axes[1, 0], "drive_map", "map_length", "map_xi", "length (of the sequence)", "drive ξ"),
        (axes[1, 1], "contrast_map", "map_phase", "map_amplitude", "phase (rad)", "amplitude"),
    ):
        values = unit * data[f"{name}_{metric}"].transpose(y, x)
        most = 100 if metric == "accuracy" else None
        settings = {"origin": "lower", "aspect": "auto", "vmin": 0, "vmax": most}
        shown = axis.imshow(values, cmap="cividis", **settings)
        axis.set_xticks(range(data.sizes[x]), [f"{v:.2g}" for v in data[x].values])
        axis.set_yticks(range(data.sizes[y]), [f"{v:.2g}" for v in data[y].values])
        title = f"{data.attrs[f'{name}_images']} {trials}"
        axis.set(xlabel=xlabel, ylabel=ylabel, title=title)
        axis.grid(False)
        figure.colorbar(shown, ax=axis, label=words)
    letters(axes)
    return figure


def draw_plane(data: xr.Dataset) -> Figure:
    """Simulated neurons and the units of networks in one (n, s) plane, and their step responses.

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
