"""How do gain, saturation and output variance follow the variance of the input?

Geadah et al. 2024, Fig 3b (E16 to E18). The drive is Gaussian noise, independent for each neuron
and time: 200 steps of standard deviation 0.01, 200 steps of xi, and 200 of 0.01 again. The steady
value of a signal is its mean over the second half of the middle epoch. Over xi the paper finds

    n(xi) = a xi^-b + c  (a power law),    s(xi) = a exp(-b xi) + c  (an exponential),

each to be compared with a straight line by AIC, and an output variance that grows more slowly than
that of a network whose n and s stay frozen at their values before the switch: a smaller slope of
log variance over log xi.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from adaptrnn._error import bad
from adaptrnn.analysis._finite import finite
from adaptrnn.analysis._fit import fit, fit_all
from adaptrnn.analysis._record import SIGNAL_UNITS, record_signals
from adaptrnn.analysis._type import State
from adaptrnn.analysis.response import noise_width
from adaptrnn.analysis.system import Network
from adaptrnn.arun import ARUN
from adaptrnn.dale import plain_copy
from adaptrnn.rnn import RNN

__all__ = ["fit_scaling", "freeze", "gain_scaling"]

AMPLITUDES = (1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0)


def gain_scaling(
    network: Network,
    amplitudes: Sequence[float] = AMPLITUDES,
    *,
    durations: tuple[int, int, int] = (200, 200, 200),
    low: float = 0.01,
    trials: int = 10,
    frozen: bool = True,
    confidence: float = 0.95,
    into: str = "drive",
    state: State | None = None,
    input_size: int | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Measure steady gain, saturation and output variance under noise of deviation xi.

    Args:
        network: any recurrent network (see `adaptrnn.analysis.system`).
        amplitudes: xi, standard deviations of the noise in the middle epoch, > 0.
        durations: numbers of time steps at low, xi and low.
        low: standard deviation of the noise in the outer epochs.
        trials: independent repetitions, averaged; the same noise, scaled, for every xi.
        frozen: whether to run the network also with n and s frozen at their means over the
            second half of the first epoch (networks with a controller only).
        confidence: of the intervals.
        into: "drive", a current into every neuron; or "input", into the network's input.
        state: example state of a user's own step function.
        input_size: D of a user's own step function.
        seed: of the noise.

    Returns:
        h_mean, h_sd, and if there are gains n_mean, s_mean (time, xi): mean over neurons and
        trials, sd over neurons of the mean over trials; n_steady, s_steady, h_steady and
        output_variance (variance over time within the steady half, mean over trials), each
        (xi, neuron); output_variance_frozen in the same way; slope, slope_low, slope_high of
        log output variance (mean over neurons) over log xi, along "condition" (adaptive,
        frozen), NaN where the output does not vary.
        With gains, the fits of `fit_scaling` to n and s averaged over neurons, as n_value,
        n_delta_aic and so on.

    Raises:
        InputError: xi <= 0, an epoch that is too short, fewer than 4 amplitudes, a network whose
            signals do not stay finite.

    Example:
        >>> found = gain_scaling(torch.nn.GRUCell(1, 3), [1, 2, 4, 8], durations=(20, 40, 20))
        >>> found.output_variance.dims, "n_steady" in found
        (('xi', 'neuron'), False)
    """
    xi = finite("amplitudes", np.asarray(amplitudes, dtype=np.float64))
    if len(xi) < 4 or not (xi > 0).all():
        raise bad("amplitudes", amplitudes, "at least 4 numbers > 0")
    if min(durations[0], durations[1]) < 4 or durations[2] < 0:
        raise bad("durations", durations, "(at least 4, at least 4, at least 0) time steps")
    if trials < 1:
        raise bad("trials", trials, "an integer >= 1")
    drive = _noise(network, xi, durations, low, trials, into, state, input_size, seed)

    def run(which: Network) -> dict[str, xr.DataArray]:
        seen = record_signals(which, drive, into=into, state=state, input_size=input_size)
        dims = ("time", "trial", "xi", "neuron")
        return {
            name: xr.DataArray(
                signal.double().unflatten(1, (trials, len(xi))).numpy(),
                dims=dims,
                coords={"xi": xi},
            )
            for name, signal in seen.items()
        }

    seen = run(network)
    middle = slice(durations[0] + durations[1] // 2, durations[0] + durations[1])
    before = slice(durations[0] // 2, durations[0])
    found: dict[str, xr.DataArray] = {}
    for name, signal in seen.items():
        found[f"{name}_mean"] = signal.mean(("trial", "neuron")).assign_attrs(
            units=SIGNAL_UNITS[name]
        )
        found[f"{name}_sd"] = (
            signal.mean("trial").std("neuron").assign_attrs(units=SIGNAL_UNITS[name])
        )
        steady = signal.isel(time=middle).mean(("time", "trial"))
        found[f"{name}_steady"] = steady.assign_attrs(units=SIGNAL_UNITS[name])
    variance = [seen["h"].isel(time=middle).var("time").mean("trial")]
    found["output_variance"] = variance[0]
    conditions = ["adaptive"]
    if frozen and isinstance(network, nn.Module) and hasattr(network, "controller"):
        rest = [seen[name].isel(time=before).mean(("time", "trial", "xi")).values for name in "ns"]
        after = run(freeze(network, *(torch.as_tensor(values) for values in rest)))
        variance.append(after["h"].isel(time=middle).var("time").mean("trial"))
        found["output_variance_frozen"] = variance[1]
        conditions.append("frozen")
    slopes = [_slope(xi, values.mean("neuron"), confidence) for values in variance]
    slope = xr.concat(slopes, "condition").assign_coords(condition=conditions)
    dataset = xr.Dataset(found).merge(slope)
    if "n" in seen:
        for name in "ns":
            fitted = fit_scaling(found[f"{name}_steady"].mean("neuron"), confidence)
            dataset = dataset.merge({f"{name}_{key}": fitted[key] for key in fitted.data_vars})
        dataset.attrs |= fitted.attrs
    dataset.attrs |= {
        "definition": "drive N(0, low^2), N(0, xi^2), N(0, low^2), independent for each neuron "
        "and time; steady: mean over the second half of the middle epoch; output_variance: over "
        "time in that half; slope: of log output_variance, averaged over neurons, over log xi; "
        "frozen: n, s held at their means over the second half of the first epoch",
        "durations": list(durations),
        "low": low,
        "trials": trials,
        "seed": seed,
        "into": into,
        "time_units": "step",
        "confidence": confidence,
    }
    return dataset


def fit_scaling(steady: xr.DataArray, confidence: float = 0.95) -> xr.Dataset:
    """Fit a xi^-b + c, a exp(-b xi) + c and a xi + c, and compare them by AIC (E16, E17).

    Intervals are those of the profile, and those of the line Student's. At the paper's seven
    amplitudes, with independent noise of 5 or 10% of the range, they hold planted a, b and c in 94
    to 98 of 100 cases (docs/explanation/seeds.md). They are open (infinite, or 0 below for the b of
    an exponential) where the values do not bound a parameter. An exponential of values that change
    ever faster has intervals that are NaN, because with b > 0 it is one of values that settle.

    Args:
        steady: steady values with a dimension "xi", at least 4 of them, all > 0.
        confidence: of the intervals.

    Returns:
        value, low, high (model, parameter, ...), r2, rss, aic, aicc, delta_aic and delta_aicc
        (model, ...); delta: minus that of the line, so that negative is better than a line.

    Raises:
        InputError: no dimension "xi", or too few or negative xi, or a value that is not finite.

    Example:
        >>> xi = np.array([1, 2.5, 5, 10, 15, 20, 30])
        >>> n = xr.DataArray(3 * xi**-0.5 + 1, dims="xi", coords={"xi": xi})
        >>> fit_scaling(n).value.sel(model="power").values.round(3).tolist()
        [3.0, 0.5, 1.0]
    """
    if "xi" not in steady.dims or "xi" not in steady.coords:
        raise bad("steady.dims", steady.dims, "dimensions that include 'xi', with its values")
    return fit_all(steady.xi.values, finite("steady", steady), "xi", confidence)


def freeze(network: nn.Module, n: Annotated[Tensor, "N"], s: Annotated[Tensor, "N"]) -> nn.Module:
    """Copy a one-layer `ARUN` so that every neuron keeps one gain and one saturation.

    The result is the static network h_t = gamma(W_xh x_t + W_hh h_{t-1} + b + xi_t; n_i, s_i).

    Args:
        network: an `ARUN` of one layer and one direction.
        n: gains, (N,).
        s: saturations, (N,).

    Returns:
        An `RNN` with nonlinearity "gamma" and the same weights.

    Raises:
        InputError: another network, or wrong shapes.

    Example:
        >>> from adaptrnn import ARUN
        >>> core = ARUN(1, 3, controller_size=2)
        >>> freeze(core, torch.full((3,), 5.0), torch.zeros(3)).n_l0.tolist()
        [5.0, 5.0, 5.0]
    """
    finite("n", n), finite("s", s)
    if not isinstance(network, ARUN) or network.num_layers > 1 or network.bidirectional:
        raise bad("network", type(network).__name__, "an ARUN of one layer and one direction")
    weight = network._parameter("weight_hh", 0)
    static = RNN(
        network.input_size,
        network.hidden_size,
        nonlinearity="gamma",
        bias=network.bias,
        batch_first=network.batch_first,
        n=n.to(weight),
        s=s.to(weight),
        device=weight.device,
        dtype=weight.dtype,
        dt=network.dt,
        tau=network.tau(),
    )
    ours = plain_copy(network).state_dict()
    kept = {name: value for name, value in static.state_dict().items() if name not in ours}
    static.load_state_dict(
        kept | {name: ours[name] for name in static.state_dict() if name in ours}
    )
    return static


def _noise(
    network: Network,
    xi: np.ndarray,
    durations: tuple[int, int, int],
    low: float,
    trials: int,
    into: str,
    state: State | None,
    input_size: int | None,
    seed: int,
) -> Tensor:
    """(T, trials * xi, N): the same numbers for every xi, scaled."""
    width = noise_width(network, into, state, input_size)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(sum(durations), trials, 1, width, generator=generator)
    scale = torch.full((sum(durations), 1, len(xi), 1), low)
    scale[durations[0] : durations[0] + durations[1], 0, :, 0] = torch.as_tensor(xi).float()
    return (noise * scale).flatten(1, 2)


def _slope(xi: np.ndarray, variance: xr.DataArray, confidence: float) -> xr.Dataset:
    """Slope of log variance over log xi, with the interval of the straight-line fit."""
    log: xr.DataArray = xr.apply_ufunc(np.log, variance)
    line = fit(np.log(xi), log, "linear", "xi", confidence).sel(parameter="a", drop=True)
    return xr.Dataset({"slope": line.value, "slope_low": line.low, "slope_high": line.high})
