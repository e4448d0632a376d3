"""Simulate neuron models of the literature in Brian2, their f-I curves and their step responses.

Brian2 comes with the extra "neurons".
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from adaptrnn._error import MissingExtraError, bad, choose, require
from adaptrnn.analysis._type import Array
from adaptrnn.analysis.fi_curve import fit_fi
from adaptrnn.analysis.fractional import fractional_order
from adaptrnn.analysis.response import describe_step

__all__ = ["CELL_MODELS", "CellModel", "neurons_in_plane", "simulate_fi", "simulate_step"]


@dataclass(frozen=True)
class CellModel:
    """A cell model holds the equations and constants of a neuron for Brian2.

    Attributes:
        name: what it is.
        equations: of Brian2, with its constants; the current is the number I(t, i) times `unit`.
        unit: of currents, to be read.
        threshold: condition of a spike.
        reset: statements after it.
        refractory: duration, or condition under which no further spike counts.
        start: initial values.
        dt: time step in ms.
        currents: a range that covers its f-I curve: first, last, number.
        step: of its step response: base current, current added, standard deviation of the noise.
        reference: where equations and constants are published.
        method: integrator.
    """

    name: str
    equations: str
    unit: str
    threshold: str
    reset: str
    refractory: str
    start: Mapping[str, str]
    dt: float
    currents: tuple[float, float, int]
    step: tuple[float, float, float]
    reference: str
    method: str = "exponential_euler"


_LIF = """
dv/dt = (-70*mV - v + 100*Mohm*I(t, i)*nA)/(20*ms) : volt (unless refractory)
"""
_ADEX_VOLTAGE = """
dv/dt = (30*nS*(2*mV*exp((v + 50.4*mV)/(2*mV)) - v - 70.6*mV) - w + I(t, i)*nA)/(281*pF) : volt
"""
_ADAPTING = "dw/dt = (4*nS*(v + 70.6*mV) - w)/(144*ms) : amp"
_WANG_BUZSAKI = """
dv/dt = (I(t, i) - 35*(am/(am + bm))**3*h*(v/mV - 55) - 9*n**4*(v/mV + 90)
    - 0.1*(v/mV + 65))*mV/ms : volt
dh/dt = 5*(ah*(1 - h) - bh*h)/ms : 1
dn/dt = 5*(an*(1 - n) - bn*n)/ms : 1
xm = (v/mV + 35)/10 + 1e-9 : 1
am = xm/(1 - exp(-xm)) : 1
bm = 4*exp(-(v/mV + 60)/18) : 1
ah = 0.07*exp(-(v/mV + 58)/20) : 1
bh = 1/(exp(-(v/mV + 28)/10) + 1) : 1
xn = (v/mV + 34)/10 + 1e-9 : 1
an = 0.1*xn/(1 - exp(-xn)) : 1
bn = 0.125*exp(-(v/mV + 44)/80) : 1
"""
_HODGKIN_HUXLEY = """
dv/dt = (I(t, i) - 120*m**3*h*(v/mV - 50) - 36*n**4*(v/mV + 77)
    - 0.3*(v/mV + 54.387))*mV/ms : volt
dm/dt = (am*(1 - m) - bm*m)/ms : 1
dh/dt = (ah*(1 - h) - bh*h)/ms : 1
dn/dt = (an*(1 - n) - bn*n)/ms : 1
xm = (v/mV + 40)/10 + 1e-9 : 1
am = xm/(1 - exp(-xm)) : 1
bm = 4*exp(-(v/mV + 65)/18) : 1
ah = 0.07*exp(-(v/mV + 65)/20) : 1
bh = 1/(exp(-(v/mV + 35)/10) + 1) : 1
xn = (v/mV + 55)/10 + 1e-9 : 1
an = 0.1*xn/(1 - exp(-xn)) : 1
bn = 0.125*exp(-(v/mV + 65)/80) : 1
"""
# 1e-9: x/(1 - exp(-x)) has no value at exactly 0
_PER_AREA = "uA/cm2"  # with 1 uF/cm2, so that currents over capacity are in mV/ms

_ADEX = CellModel(
    name="adex",
    equations=_ADEX_VOLTAGE + _ADAPTING,
    unit="nA",
    threshold="v > -30*mV",
    reset="v = -70.6*mV; w += 0.0805*nA",
    refractory="0*ms",
    start={"v": "-70.6*mV"},
    dt=0.01,
    currents=(0.0, 3.0, 41),
    step=(0.7, 0.7, 3.0),
    reference="Brette and Gerstner 2005, J Neurophysiol 94:3637",
    method="euler",
)
CELL_MODELS = {
    neuron.name: neuron
    for neuron in (
        CellModel(
            name="lif",
            equations=_LIF,
            unit="nA",
            threshold="v > -50*mV",
            reset="v = -70*mV",
            refractory="2*ms",
            start={"v": "-70*mV"},
            dt=0.05,
            currents=(0.0, 1.0, 41),
            step=(0.25, 0.25, 0.3),
            reference="leaky integrate-and-fire; its f-I curve is known in closed form",
        ),
        _ADEX,
        replace(
            _ADEX,
            name="adex-without-adaptation",
            equations=_ADEX_VOLTAGE + "w : amp",
            reset="v = -70.6*mV",
            reference="Brette and Gerstner 2005, with a = b = 0",
        ),
        CellModel(
            name="wang-buzsaki",
            equations=_WANG_BUZSAKI,
            unit=_PER_AREA,
            threshold="v > -20*mV",
            reset="",
            refractory="v > -20*mV",
            start={"v": "-64*mV", "h": "0.78", "n": "0.09"},
            dt=0.05,
            method="rk4",
            currents=(0.0, 3.0, 41),
            step=(0.5, 0.5, 2.0),
            reference="Wang and Buzsaki 1996, J Neurosci 16:6402; type I",
        ),
        CellModel(
            name="hodgkin-huxley",
            equations=_HODGKIN_HUXLEY,
            unit=_PER_AREA,
            threshold="v > -10*mV",
            reset="",
            refractory="v > -10*mV",
            start={"v": "-65*mV", "m": "0.0529", "h": "0.5961", "n": "0.3177"},
            dt=0.05,
            method="rk4",
            currents=(0.0, 40.0, 41),
            step=(10.0, 10.0, 10.0),
            reference="Hodgkin and Huxley 1952, J Physiol 117:500, in today's voltages; type II",
        ),
    )
}
"""Neuron models by name: two without and one with adaptation, and both types of excitability."""


def simulate_fi(
    neuron: str | CellModel,
    currents: Sequence[float] | Array | None = None,
    *,
    duration: float = 1.0,
) -> xr.Dataset:
    """Simulate the f-I curve of a neuron under constant currents, from rest, by Brian2.

    Args:
        neuron: a name in `CELL_MODELS`, or a `CellModel`.
        currents: increasing, in the neuron's unit; its own range if None.
        duration: of every step, in seconds.

    Returns:
        rate (current), one over the mean interval between the spikes of the second half, 0 with
        fewer than two of them; onset_rate, one over the first interval; spikes, their number. In
        1/s.

    Raises:
        InputError: an unknown neuron, currents that do not increase, duration <= 0.
        MissingExtraError: Brian2 is not installed or does not run with the installed NumPy.
    """
    model = _neuron(neuron)
    levels = np.linspace(*model.currents) if currents is None else np.asarray(currents, float)
    if levels.ndim != 1 or not len(levels) or not (np.diff(levels) > 0).all():
        raise bad("currents", levels, "increasing numbers")
    if duration <= 0:
        raise bad("duration", duration, "> 0 seconds")
    trains = _spikes(model, levels[None, :], duration * 1e3)
    steady, onset = np.zeros(len(levels)), np.zeros(len(levels))
    for index, train in enumerate(trains):
        late = train[train >= duration / 2]
        if len(late) > 1:
            steady[index] = (len(late) - 1) / (late[-1] - late[0])
        if len(train) > 1:
            onset[index] = 1 / (train[1] - train[0])
    return xr.Dataset(
        {
            "rate": ("current", steady, {"units": "1/s"}),
            "onset_rate": ("current", onset, {"units": "1/s"}),
            "spikes": ("current", [len(train) for train in trains]),
        },
        coords={"current": ("current", levels, {"units": model.unit})},
        attrs={
            "definition": "rate: 1 / mean interval in the second half; onset_rate: 1 / first "
            "interval; constant current from rest",
            "neuron": model.name,
            "reference": model.reference,
            "duration_s": duration,
        },
    )


def simulate_step(
    neuron: str | CellModel,
    base: float,
    step: float,
    *,
    noise: float = 0.0,
    bins: tuple[int, int, int] = (102, 100, 98),
    bin_ms: float = 5.0,
    trials: int = 200,
    warm_up: int = 40,
    seed: int = 0,
) -> xr.Dataset:
    """Simulate a neuron's rate under a step of current, averaged over noisy trials.

    The defaults have the times of fractional protocol "B" (102 bins before, 100 of step, 98
    after), so that the response goes into `fractional_order` and `describe_step` as it is.

    Args:
        neuron: a name in `CELL_MODELS`, or a `CellModel`.
        base: current before and after the step, in the neuron's unit.
        step: current added during the step.
        noise: standard deviation of Gaussian current noise, drawn every millisecond,
            independently for every trial.
        bins: number of bins before, during and after the step.
        bin_ms: length of a bin in ms, a whole number.
        trials: number of trials, run side by side.
        warm_up: bins simulated before the first one, and dropped.
        seed: of the noise.

    Returns:
        rate (time), in 1/s, and its standard error over trials rate_se; stimulus (time), 1 during
        the step. time counts bins.

    Raises:
        InputError: an unknown neuron, numbers that do not fit.
        MissingExtraError: as `simulate_fi`.
    """
    model = _neuron(neuron)
    if min(bins) < 0 or bins[1] < 1 or trials < 1 or warm_up < 0 or noise < 0:
        raise bad("bins, trials, warm_up, noise", (bins, trials, warm_up, noise), ">= 0, step >= 1")
    if bin_ms < 1 or bin_ms != int(bin_ms):
        raise bad("bin_ms", bin_ms, "a whole number of ms, >= 1")
    total = warm_up + sum(bins)
    stimulus = np.zeros(total)
    stimulus[warm_up + bins[0] : warm_up + bins[0] + bins[1]] = 1.0
    every_ms = np.repeat(stimulus, int(bin_ms))[:, None] * step + base
    generator = np.random.default_rng(seed)
    current = every_ms + noise * generator.standard_normal((len(every_ms), trials))
    trains = _spikes(model, current, total * bin_ms)
    edges = np.arange(warm_up, total + 1) * bin_ms / 1e3
    counts = np.stack([np.histogram(train, edges)[0] for train in trains]) / (bin_ms / 1e3)
    return xr.Dataset(
        {
            "rate": ("time", counts.mean(0), {"units": "1/s"}),
            "rate_se": ("time", counts.std(0, ddof=min(1, trials - 1)) / np.sqrt(trials)),
            "stimulus": ("time", stimulus[warm_up:]),
        },
        coords={"time": np.arange(sum(bins))},
        attrs={
            "definition": f"spikes of {trials} trials in bins of {bin_ms:g} ms",
            "neuron": model.name,
            "reference": model.reference,
            "base": base,
            "step": step,
            "noise_sd": noise,
            "current_units": model.unit,
            "time_units": f"{bin_ms:g} ms",
            "seed": seed,
        },
    )


def _neuron(neuron: str | CellModel) -> CellModel:
    if isinstance(neuron, CellModel):
        return neuron
    return CELL_MODELS[choose("neuron", neuron, CELL_MODELS)]


@contextlib.contextmanager
def _brian() -> Iterator[Any]:
    """Brian2 with its NumPy target (no compiler needed), its preference restored afterwards."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Brian2's own dependencies
        try:
            brian = require("brian2", "neurons")
        except AttributeError as error:  # an old Brian2 with a new NumPy
            raise MissingExtraError(
                f"the installed brian2 does not run with numpy {np.__version__} ({error}): "
                "run  pip install 'adaptrnn[neurons]' 'numpy<2.4'"
            ) from error
        before = brian.prefs.codegen.target
        brian.prefs.codegen.target = "numpy"
        try:
            yield brian
        finally:
            brian.prefs.codegen.target = before


def _spikes(model: CellModel, current: Array, duration_ms: float) -> list[Array]:
    """Spike times in seconds of one neuron per column of `current`, a row a ms; the last stays."""
    with _brian() as brian:
        group = brian.NeuronGroup(
            current.shape[1],
            model.equations,
            threshold=model.threshold,
            reset=model.reset or None,
            refractory=model.refractory,
            method=model.method,
            dt=model.dt * brian.ms,
            namespace={"I": brian.TimedArray(current, dt=brian.ms)},
        )
        for variable, value in model.start.items():
            setattr(group, variable, value)
        monitor = brian.SpikeMonitor(group)
        brian.Network(group, monitor).run(duration_ms * brian.ms)
        neurons, times = np.asarray(monitor.i), np.asarray(monitor.t / brian.second)
    return [np.sort(times[neurons == column]) for column in range(current.shape[1])]


def neurons_in_plane(
    names: Sequence[str] = tuple(CELL_MODELS),
    *,
    duration: float = 1.0,
    trials: int = 200,
    bootstrap: int = 500,
    seed: int = 0,
) -> xr.Dataset:
    """Place simulated neurons in the (n, s) plane, and measure their answer to a step.

    Each f-I curve is simulated and fitted by `fit_fi`; the response to the noisy step of
    `CellModel.step`, averaged over trials, goes into `fractional_order` (scale-free) and
    `describe_step`, as the responses of networks do.

    Args:
        names: of neurons in `CELL_MODELS`.
        duration: of each step of the f-I curve, in seconds.
        trials: of the noisy step.
        bootstrap: resamples for the interval of the order.
        seed: of noise and resampling.

    Returns:
        n, s, threshold, output_scale with _low and _high, r2 (neuron); order with _low and _high;
        adaptation, the index of the step response; kind, the reference.

    Raises:
        InputError: an unknown name.
        MissingExtraError: as `simulate_fi`.
    """
    rows = []
    for name in names:
        model = _neuron(name)
        curve = simulate_fi(model, duration=duration)
        fit = fit_fi(curve.current.values, curve.rate.values).drop_dims("point")
        base, step, noise = model.step
        seen = simulate_step(model, base, step, noise=noise, trials=trials, seed=seed)
        order = fractional_order(
            seen.rate,
            seen.stimulus,
            protocol="B",
            estimator="scale-free",
            bootstrap=bootstrap,
            seed=seed,
        )
        fit = fit.merge(order[["order", "order_low", "order_high"]], combine_attrs="override")
        index = describe_step(seen.rate, (102, 202)).adaptation.reset_coords(drop=True)
        rows.append(fit.assign(adaptation=index, reference=model.reference))
    found = xr.concat(rows, "neuron", combine_attrs="override")
    return found.assign_coords(neuron=list(names)).assign_attrs(
        step="protocol B with bins of 5 ms: 102 at the base current, 100 at base + step, 98 at the "
        "base; new Gaussian noise each ms",
        steps=[f"{name}: {_neuron(name).step} {_neuron(name).unit}" for name in names],
        trials=trials,
        seed=seed,
    )
