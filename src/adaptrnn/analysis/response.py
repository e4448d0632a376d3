"""Step responses: what do rates, gains and saturations do when a constant drive is switched on?

Geadah et al. 2024, Fig 4a. A signal q (a rate h, a gain n, a saturation s) has a baseline q_0
before the step, jumps to an onset value, and relaxes to a steady value. Over the step, from t_on,

    q(t) = c + a exp(-b (t - t_on)),   time constant tau = 1/b steps

    jump             q(t_on) - q_0
    steady state     mean of the last tenth of the step
    adaptation index (|jump| - |steady - q_0|) / (|jump| + |steady - q_0|), from -1 to 1:
                     1 adapts fully (the steady value is the baseline), 0 does not adapt,
                     -1 does not respond at first. For positive values the signal adapts,
                     for negative ones it sensitises. It is NaN where the signal moves less than
                     float32 resolves.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr

from adaptrnn._error import bad
from adaptrnn.analysis._finite import finite
from adaptrnn.analysis._fit import fit
from adaptrnn.analysis._record import SIGNAL_UNITS, labelled, neuron_count, record_signals
from adaptrnn.analysis._type import State, Values
from adaptrnn.analysis.system import Network, as_system

__all__ = ["describe_step", "step_response"]


def step_response(
    network: Network,
    amplitudes: Sequence[float] = (1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0),
    *,
    durations: tuple[int, int, int] = (200, 200, 200),
    noise: float = 0.0,
    trials: int = 1,
    into: str = "drive",
    state: State | None = None,
    input_size: int | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Record the responses of every neuron to steps of drive, and describe them (E19).

    The network starts at rest and gets no other input.

    Args:
        network: any recurrent network (see `adaptrnn.analysis.system`).
        amplitudes: xi of the steps.
        durations: numbers of time steps before, during and after the step.
        noise: standard deviation of Gaussian noise added to the step, independent for each
            time, trial, and neuron (or channel of the input).
        trials: number of noisy repetitions, averaged.
        into: "drive", a current into every neuron; or "input", into the network's input.
        state: example state of a user's own step function.
        input_size: D of a user's own step function.
        seed: of the noise.

    Returns:
        h, and if the network has them n and s, (time, xi, neuron); of each signal q, over
        (xi, neuron), what `describe_step` gives, as q_baseline, q_onset, q_jump, q_steady,
        q_adaptation, q_tau, q_tau_low, q_tau_high, q_r2; the same of the mean over neurons, over
        (xi,), as q_mean_baseline and so on.

    Raises:
        InputError: no time before the step, a step shorter than 10, trials < 1.

    Example:
        >>> found = step_response(torch.nn.GRUCell(1, 3), [1.0, 5.0], durations=(20, 40, 20))
        >>> found.h.sizes["time"], found.h_steady.dims, "n" in found
        (80, ('xi', 'neuron'), False)
    """
    before, during, after = _durations(durations)
    if trials < 1:
        raise bad("trials", trials, "an integer >= 1")
    xi = finite("amplitudes", torch.as_tensor(amplitudes, dtype=torch.float32))
    stimulus = torch.zeros(before + during + after, trials, len(xi), 1)
    stimulus[before : before + during] = xi[:, None]
    if noise:
        units = noise_width(network, into, state, input_size)
        generator = torch.Generator().manual_seed(seed)
        shape = (*stimulus.shape[:3], units)
        stimulus = stimulus + noise * torch.randn(shape, generator=generator)
    seen = record_signals(
        network, stimulus.flatten(1, 2), into=into, state=state, input_size=input_size
    )
    found = xr.Dataset(
        coords={"time": np.arange(len(stimulus)), "xi": np.asarray(amplitudes, dtype=float)},
        attrs={
            "definition": "responses to a step of drive xi from rest; of each signal: "
            + _DEFINITION,
            "step": [before, before + during],
            "noise_sd": noise,
            "trials": trials,
            "seed": seed,
            "into": into,
            "time_units": "step",
        },
    )
    for name, signal in seen.items():
        mean = signal.double().unflatten(1, (trials, len(xi))).mean(1).numpy()
        found[name] = ("time", "xi", "neuron"), mean, {"units": SIGNAL_UNITS[name]}
        for prefix, values in ((name, found[name]), (f"{name}_mean", found[name].mean("neuron"))):
            described = describe_step(values, (before, before + during))
            found = found.merge({f"{prefix}_{key}": described[key] for key in described.data_vars})
    return found


def describe_step(
    response: Values,
    step: tuple[int, int],
    *,
    baseline: int | None = None,
    delay: int = 0,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Measure onset, steady state, exponential fit and adaptation of responses to a step.

    The definitions are at the top of this module. The exponential is fitted by least squares
    over the whole step. The interval of tau is that of the profile of the rate b = 1/tau. It is
    open where tau is not bounded: tau_high is infinite where the signal may still be straight at
    the end of the step, tau_low is 0 where it may be back at once. A signal that moves ever faster,
    as in growth, does not relax: tau is then the largest that was tried, and its ends are NaN.
    The interval assumes that the residuals are independent. Then it holds tau in 93 to 98 of
    100 cases, for tau from .3 to 400 samples in a step of 80 and noise of a tenth to half of the
    amplitude. Where residuals are correlated in time it is too narrow: with a
    correlation of .8 from one time to the next it holds tau in 40 to 70 of 100 cases, not in 95
    (docs/explanation/seeds.md).

    Args:
        response: a DataArray with a dimension "time", or an array or tensor (time,),
            (time, neuron) or (time, trial, neuron).
        step: [start, stop) of the step, in samples.
        baseline: number of samples before the step to average; a tenth of those there are if None.
        delay: samples from the start of the step to t_on, where the onset value is read and the
            fit begins; 0 for networks, more for cells that need time to reach their first spike.
        confidence: of the interval.

    Returns:
        baseline, onset, jump, steady, adaptation, amplitude (a), asymptote (c), tau, tau_low,
        tau_high in samples, r2 of the fit; along the other dimensions. Of a signal that does not
        change during the step, tau and r2 are NaN. A tau without a finite tau_high is no
        measurement, only the fit's best guess.

    Raises:
        InputError: the step is not inside the recording, or shorter than 10 samples.

    Example:
        >>> t = np.arange(100)
        >>> r = np.where(t < 20, 0.0, 1 + 3 * np.exp(-(t - 20) / 7.0))
        >>> found = describe_step(r, (20, 100))
        >>> round(float(found.tau), 3), float(found.jump), round(float(found.adaptation), 3)
        (7.0, 4.0, 0.6)
    """
    q = labelled(response, "response")
    start, stop = step
    if not 0 < start < stop <= q.sizes["time"]:
        raise bad(
            "step", step, f"0 < start < stop <= {q.sizes['time']}, the length of the recording"
        )
    if delay < 0 or stop - start - delay < 10:
        raise bad("step, delay", (step, delay), "at least 10 samples after the delay, delay >= 0")
    count = max(1, start // 10) if baseline is None else baseline
    if not 1 <= count <= start:
        raise bad("baseline", count, f"from 1 to {start} samples, those before the step")
    during = q.isel(time=slice(start + delay, stop))
    rest = q.isel(time=slice(start - count, start)).mean("time")
    onset = during.isel(time=0, drop=True)
    length = during.sizes["time"]
    steady = during.isel(time=slice(-max(1, length // 10), None)).mean("time")
    jump, left = onset - rest, steady - rest
    size = abs(jump) + abs(left)
    # a difference of two numbers of float32 that is below their rounding is none
    seen = size > 4 * np.finfo(np.float32).eps * (abs(rest) + abs(onset) + abs(steady))
    fitted = fit(np.arange(length, dtype=float), during, "exponential", "time", confidence)
    a, b, c = (fitted.value.sel(parameter=name, drop=True) for name in "abc")
    b_low = fitted.low.sel(parameter="b", drop=True)
    b_high = fitted.high.sel(parameter="b", drop=True)
    found = {
        "baseline": rest,
        "onset": onset,
        "jump": jump,
        "steady": steady,
        "adaptation": (abs(jump) - abs(left)) / size.where(seen),
        "amplitude": a,
        "asymptote": c,
        "tau": 1 / b,
        "tau_low": 1 / b_high,
        "tau_high": xr.where(b_low > 0, 1 / b_low.where(b_low > 0), np.inf).where(b_low.notnull()),
        "r2": fitted.r2,
    }
    data = {name: values.drop_vars("time", errors="ignore") for name, values in found.items()}
    return xr.Dataset(
        data,
        attrs={
            "definition": _DEFINITION,
            "step": list(step),
            "delay": delay,
            "baseline_samples": count,
            "interval": f"{confidence:g} for residuals that are independent in time; too narrow "
            "for correlated ones",
            "time_units": "sample",
        },
    )


_DEFINITION = (
    "q(t) = asymptote + amplitude exp(-(t - t_on)/tau) over the step; "
    "onset: q(t_on); steady: mean of the last tenth; adaptation: (|jump| - |steady - baseline|) / "
    "(|jump| + |steady - baseline|), 1 adapts fully, < 0 sensitises"
)


def noise_width(network: Network, into: str, state: State | None, input_size: int | None) -> int:
    """Return how many channels have noise of their own: the neurons, or those of the input."""
    if into == "drive":
        return neuron_count(network, state)
    known = getattr(network, "input_size", None) or input_size
    return known or as_system(network, state).input_size or 1


def _durations(durations: tuple[int, int, int]) -> tuple[int, int, int]:
    before, during, after = durations
    if before < 1 or during < 10 or after < 0:
        raise bad("durations", durations, "(before >= 1, during >= 10, after >= 0)")
    return before, during, after
