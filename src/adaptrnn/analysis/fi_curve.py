"""Where do real neurons sit? Fits of the f-I curve gamma to measured and simulated neurons.

A measured table of currents I and rates f is fitted by

    f(I) = R gamma((I - theta) / S; n, s),   gain n, saturation s, threshold theta,
                                             input scale S, output scale R.

Only three of n, s, S, R can be had from any table, however good: with m = n/S,

    R gamma((I - theta)/S; n, s) = A g1(I - theta; m) + B g2(I - theta; m),
    A = R (1 - s)/S,  B = R s,

so the fit finds m, A, B, theta, and S is a convention. Here S runs from the threshold to the
largest current of the table: x = (I - theta)/S is 0 at the threshold and 1 at the end, and R is the
rate there if the curve is sharp. Then n is how sharp the threshold is compared with the range, and
s the share of the top rate that comes as a jump at the threshold: 0 for an onset without a jump
(type I), large for one with a jump (type II). `standardise` brings a network's units into the same
convention, so that both can be put into one (n, s) plane.

Simulated neurons need the extra "neurons" (Brian2); so do NWB files (pynwb).
"""

from __future__ import annotations

import contextlib
import csv
import itertools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

from adaptrnn._error import MissingExtraError, bad, choose, require

__all__ = [
    "NEURONS",
    "Neuron",
    "fit_fi",
    "fit_fi_table",
    "neurons_in_plane",
    "read_fi_table",
    "simulate_fi",
    "simulate_step",
    "standardise",
    "units_in_plane",
]

Array = NDArray[np.float64]


# --- tables -----------------------------------------------------------------------------------


def read_fi_table(
    path: str | Path,
    *,
    current: str = "current",
    rate: str = "rate",
    neuron: str = "neuron",
    spike_threshold: float = -0.02,
) -> xr.Dataset:
    """Read currents and rates from a CSV table or from current-clamp sweeps in an NWB file.

    CSV: a header and one row per measurement, with the columns named below; others are ignored.
    NWB (needs pynwb): every sweep with a current stimulus and a voltage response. Its current is
    the largest deviation of the stimulus from its first sample; its rate the number of upward
    crossings of `spike_threshold` while the stimulus is beyond half of that, over that time. Sweeps
    without any stimulus are left out. Neurons are told apart by the electrode.

    Args:
        path: a file that ends in .csv or .nwb.
        current: name of the column with currents, in any unit.
        rate: name of the column with rates, in spikes per second.
        neuron: name of the column that names the neuron; one neuron if there is none.
        spike_threshold: in volts.

    Returns:
        current, rate, neuron along "point". Currents of an NWB file are in nA.

    Raises:
        InputError: no such file or column, a value that is no number, no sweeps.
        MissingExtraError: an NWB file without pynwb.
    """
    path = Path(path)
    if not path.is_file():
        raise bad("path", str(path), "a file that exists")
    if path.suffix.lower() == ".nwb":
        rows, units = _read_nwb(path, spike_threshold), "nA"
    elif path.suffix.lower() == ".csv":
        try:
            rows, units = _read_csv(path, current, rate, neuron), "as in the file"
        except (UnicodeDecodeError, csv.Error) as error:
            raise bad("path", str(path), "a CSV file in UTF-8", f"It is not: {error}.") from None
    else:
        raise bad("path", str(path), "a file that ends in .csv or .nwb")
    if not rows:
        raise bad("path", str(path), "a file with at least one measurement")
    table = xr.Dataset(
        {
            "current": ("point", [row[0] for row in rows], {"units": units}),
            "rate": ("point", [row[1] for row in rows], {"units": "1/s"}),
            "neuron": ("point", [row[2] for row in rows]),
        },
        attrs={"definition": "one measurement a point", "file": path.name},
    )
    return table


def _read_csv(path: Path, current: str, rate: str, neuron: str) -> list[tuple[float, float, str]]:
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        for name in (current, rate):
            choose("column", name, columns)
        rows = []
        for line, row in enumerate(reader, start=2):
            try:
                numbers = float(row[current]), float(row[rate])
            except (TypeError, ValueError):
                found = (row[current], row[rate])
                raise bad(f"{path.name}, line {line}", found, "two numbers") from None
            if not np.isfinite(numbers).all() or numbers[1] < 0:
                raise bad(f"{path.name}, line {line}", numbers, "finite, with a rate >= 0")
            rows.append((*numbers, str(row.get(neuron) or "0")))
    return rows


def _read_nwb(path: Path, threshold: float) -> list[tuple[float, float, str]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the file's age and of pynwb's own dependencies
        pynwb = require("pynwb", "neurons")
        with pynwb.NWBHDF5IO(str(path), "r") as io:
            file = io.read()
            pairs = list(_sweeps(file, pynwb))
            return [row for pair in pairs if (row := _sweep(*pair, threshold)) is not None]


def _sweeps(file: Any, pynwb: Any) -> Iterator[tuple[Any, Any]]:
    """Pairs (stimulus, response) of current-clamp series: by table, sweep number, or name."""
    stimulus_type = pynwb.icephys.CurrentClampStimulusSeries
    response_type = pynwb.icephys.CurrentClampSeries
    table = file.intracellular_recordings
    if table is not None and len(table):
        seen = set()
        for row in range(len(table)):
            stimulus = table[("stimuli", "stimulus")][row].timeseries
            response = table[("responses", "response")][row].timeseries
            if isinstance(stimulus, stimulus_type) and isinstance(response, response_type):
                key = (stimulus.name, response.name)
                if key not in seen:
                    seen.add(key)
                    yield stimulus, response
        return
    responses = [one for one in file.acquisition.values() if isinstance(one, response_type)]
    stimuli = [one for one in file.stimulus.values() if isinstance(one, stimulus_type)]

    def keys(series: Any) -> list[Any]:
        return (
            [("sweep", series.sweep_number)]
            if series.sweep_number is not None
            else [("name", series.name)]
        )

    known = {key: one for one in stimuli for key in keys(one)}
    for response in responses:
        for key in keys(response):
            if key in known:
                yield known[key], response


def _sweep(stimulus: Any, response: Any, threshold: float) -> tuple[float, float, str] | None:
    i = np.asarray(stimulus.data[:], dtype=np.float64) * stimulus.conversion
    v = np.asarray(response.data[:], dtype=np.float64) * response.conversion + getattr(
        response, "offset", 0.0
    )
    steps = min(len(i), len(v))
    i, v = i[:steps] - i[0], v[:steps]
    size = np.abs(i).max()
    if size == 0 or response.rate is None:
        return None
    on = np.abs(i) > size / 2
    crossings = (v[1:] >= threshold) & (v[:-1] < threshold) & on[1:]
    level = float(np.median(i[on]))
    electrode = getattr(response.electrode, "name", "0")
    return level * 1e9, float(crossings.sum() / (on.sum() / response.rate)), str(electrode)


# --- fit --------------------------------------------------------------------------------------


def fit_fi(
    current: ArrayLike,
    rate: ArrayLike,
    *,
    input_scale: float | None = None,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Fit R gamma((I - theta)/S; n, s) to one f-I table by least squares.

    For given threshold and sharpness the rest is linear: these two are searched on a grid, then
    all four numbers are polished together. A small s is hard to tell from a shift of the threshold
    (g1(x + d) is nearly g1(x) + d g2(x)), and a positive s has a twin with a negative one: the best
    of either sign and their twins are polished and the best one kept. Where the data cannot tell
    twins apart, the one with s >= 0 is kept, a jump and not a dip at the threshold.

    Intervals are those of the profile likelihood: all values with which a curve still fits, that is
    with a sum of squares of at most 1 + t^2 / (points - 4) times the least. They take in both
    twins where both fit. A linearised interval around one of them would hold a small s in half of
    the cases. An end that the data do not bound is infinite, or 0 for n_low: with a jump between
    two currents n_high is, and nearly straight curves have no threshold.

    Args:
        current: I, at least 6 values of which 5 differ.
        rate: f, >= 0, of the same length.
        input_scale: S; from the fitted threshold to the largest current if None.
        confidence: of the intervals.

    Returns:
        n, s, threshold, input_scale, output_scale, the first three and output_scale with _low and
        _high; r2, rmse; current, rate and fitted along "point".

    Raises:
        InputError: too few points, rates that do not vary or that fall with the current, values
            that are not finite.

    Example:
        >>> from adaptrnn.activation import gamma
        >>> import torch
        >>> i = torch.linspace(0, 3, 31, dtype=torch.float64)
        >>> found = fit_fi(i, 40 * gamma((i - 1) / 2, 6.0, 0.3))  # S = 3 - 1, the convention
        >>> [round(float(found[name]), 3) for name in ("n", "s", "threshold", "output_scale")]
        [6.0, 0.3, 1.0, 40.0]
    """
    i = np.asarray(current, dtype=np.float64)
    f = np.asarray(rate, dtype=np.float64)
    if i.ndim != 1 or i.shape != f.shape:
        raise bad("current, rate", (i.shape, f.shape), "one-dimensional, of the same length")
    if len(i) < 6 or len(np.unique(i)) < 5:
        raise bad("current", i, "at least 6 values, 5 of them different")
    if not np.isfinite(i).all() or not np.isfinite(f).all() or (f < 0).any():
        raise bad("current, rate", "NaN, infinite or negative rates", "finite, with rates >= 0")
    if np.ptp(f) == 0:
        raise bad("rate", f, "of a neuron whose rate depends on the current")
    if np.polyfit(i - i.mean(), f, 1)[0] <= 0:
        advice = "A falling curve is no f-I curve; leave out currents beyond a block of spikes."
        raise bad("rate", f, "rates that rise with the current on the whole", advice)
    if not 0 < confidence < 1:
        raise bad("confidence", confidence, "between 0 and 1")
    if input_scale is not None and input_scale <= 0:
        raise bad("input_scale", input_scale, "> 0")
    top, span, unit = i.max(), np.ptp(i), f.max()
    x, y = (i - top) / span, f / unit  # from -1 to 0, from 0 to 1

    tries = [_polish(x, y, start) for start in _starts(x, y)]
    shift = [
        one.x * [1, 1, 1, -1] - [2 * one.x[3] / one.x[2], 0, 0, 0] for one in tries if one.x[2] > 0
    ]
    tries += [_polish(x, y, start) for start in shift if -3 < start[0] < -1e-3]
    best = min(tries, key=lambda one: one.cost)
    freedom = len(x) - 4
    least = 2 * best.cost
    # rates known to 8 digits at best
    most = least * (1 + stats.t.ppf((1 + confidence) / 2, freedom) ** 2 / freedom) + 1e-16 * len(x)
    fits = [one for one in tries if 2 * one.cost <= most]
    jumps = [one for one in fits if one.x[3] >= 0]
    found = min(jumps or fits, key=lambda one: one.cost)
    p, residual = found.x, found.fun
    given = None if input_scale is None else input_scale / span
    width = -p[0] if given is None else given
    scale = p[2] * width + p[3]
    value = {
        "n": np.exp(p[1]) * width,
        "s": p[3] / scale,
        "threshold": p[0],
        "output_scale": scale,
    }
    ranges = _ranges(x, y, [one.x for one in fits], most, given)
    data: dict[str, Any] = {name: [value[name], *ranges[name]] for name in value}
    data["threshold"] = top + span * np.asarray(data["threshold"])
    data["output_scale"] = unit * np.asarray(data["output_scale"])
    flat = {
        f"{name}{suffix}": float(number)
        for name, numbers in data.items()
        for suffix, number in zip(("", "_low", "_high"), numbers, strict=True)
    }
    fitted = unit * (y + residual)
    return xr.Dataset(
        flat
        | {
            "input_scale": width * span,
            "r2": 1 - float(((f - fitted) ** 2).sum() / ((f - f.mean()) ** 2).sum()),
            "rmse": float(np.sqrt(((f - fitted) ** 2).mean())),
            "current": ("point", i),
            "rate": ("point", f),
            "fitted": ("point", fitted),
        },
        attrs={
            "definition": "rate = output_scale gamma((current - threshold)/input_scale; n, s), "
            "least squares; input_scale: "
            + ("threshold to largest current" if input_scale is None else "given"),
            "interval": f"{confidence:g}, profile likelihood",
        },
    )


def fit_fi_table(table: xr.Dataset, **options: Any) -> xr.Dataset:
    """`fit_fi` for every neuron of a table.

    Args:
        table: current, rate and neuron along "point", as `read_fi_table` returns them.
        **options: of `fit_fi`.

    Returns:
        The numbers of `fit_fi` along "neuron", without the points.

    Raises:
        InputError: as `fit_fi`, or a table without these.
    """
    if not {"current", "rate", "neuron"} <= set(table.variables):
        raise bad("table", list(table.variables), "a Dataset with current, rate and neuron")
    names = list(dict.fromkeys(table.neuron.values.tolist()))
    fits = []
    for name in names:
        own = table.neuron.values == name
        found = fit_fi(table.current.values[own], table.rate.values[own], **options)
        fits.append(found.drop_dims("point"))
    together = xr.concat(fits, "neuron").assign_coords(neuron=names)
    together.attrs = fits[0].attrs
    return together


def standardise(n: Any, s: Any, span: Any) -> tuple[Any, Any]:
    """Gain and saturation of a unit gamma(x; n, s) in the convention of `fit_fi`.

    With currents from the threshold 0 to `span` = S, x/S runs from 0 to 1 and
    gamma(x; n, s) = R gamma(x/S; n', s'),  n' = n S,  s' = s / (s + (1 - s) S).

    Args:
        n: gains.
        s: saturations.
        span: S > 0, the largest current the unit sees, e.g. its maximum over a trace of `a`.

    Returns:
        n', s'.

    Raises:
        InputError: span <= 0.

    Example:
        >>> standardise(5.0, 0.2, 1.0)  # nothing changes for S = 1
        (5.0, 0.2)
        >>> n, s = standardise(5.0, 0.2, 4.0)
        >>> n, round(s, 4)
        (20.0, 0.0588)
    """
    if not np.all(np.asarray(span) > 0):
        raise bad("span", span, "> 0")
    return n * span, s / (s + (1 - s) * span)


def units_in_plane(network: Any, x: Any, drive: Any = None, layer: int = 0) -> xr.Dataset:
    """A network's units in the (n, s) plane of `fit_fi`, beside measured and simulated neurons.

    Args:
        network: an `RNN` with nonlinearity "gamma" or "gamma-shared", or an `ARUN`, whose n and s
            are averaged over time and samples.
        x: input (T, B, D) in the network's layout, under which the currents are looked at.
        drive: external current along with x.
        layer: which layer.

    Returns:
        n, s (neuron), standardised; span (neuron), the largest current of each unit under x. A unit
        whose current is never above 0 has no place in the plane and is NaN.

    Raises:
        InputError: the network has no n and s.

    Example:
        >>> import torch
        >>> from adaptrnn import RNN
        >>> found = units_in_plane(RNN(1, 3, nonlinearity="gamma"), torch.rand(9, 2, 1))
        >>> dict(found.sizes)
        {'neuron': 3}
    """
    from adaptrnn.analysis.curve_parameter import activation_parameters

    own = activation_parameters(network, x, drive, layer)
    currents = network.trace(x, drive=drive, layer=layer).a
    span = own.n.copy(data=currents.flatten(0, -2).amax(0).double().cpu().numpy())
    span = span.where(span > 0)
    n, s = standardise(own.n, own.s, span.fillna(1.0))
    return xr.Dataset(
        {"n": n.where(span > 0), "s": s.where(span > 0), "span": span},
        attrs={
            "definition": "gamma(a; n, s) of each unit with its currents from 0 to their maximum "
            "scaled to 0 ... 1: n' = n span, s' = s / (s + (1 - s) span)"
        },
    )


_SHARPNESS = (0.3, 3000.0)  # of m, in units of one over the range of currents


def _basis(x: Array, theta: Any, log_m: Any) -> Array:
    """g1(x - theta; m) and g2(x - theta; m), (..., P, 2)."""
    m = np.exp(log_m)
    u = m * (x - theta)
    return np.stack([np.logaddexp(0, u) / m, special.expit(u)], -1)


def _polish(x: Array, y: Array, start: Array) -> Any:
    low, high = np.log(_SHARPNESS)
    return optimize.least_squares(
        lambda p: _basis(x, p[0], p[1]) @ p[2:] - y,
        start,
        bounds=([-3, low, -np.inf, -np.inf], [-1e-3, high, np.inf, np.inf]),
        x_scale="jac",
        xtol=1e-14,
        ftol=1e-14,
        gtol=1e-14,
        max_nfev=500,
    )


def _starts(x: Array, y: Array) -> list[Array]:
    """(threshold, log sharpness, A, B) of least errors on a grid, for B >= 0 and for B < 0.

    Of each third of the thresholds: smooth curves fit almost as well far from their own threshold.
    """
    limits = np.log(_SHARPNESS)
    theta = np.linspace(-1.5, -2e-3, 76)[:, None, None]
    log_m = np.linspace(limits[0] + 1e-9, limits[1] - 1e-9, 40)[:, None]
    solved, _, error = _linear(x, y, theta, log_m)
    starts = []
    third = np.arange(len(theta))[:, None] * 3 // len(theta)
    sides = (solved[..., 1] >= 0, solved[..., 1] < 0)
    for side, part in itertools.product(sides, range(3)):
        here = side & (third == part)
        if here.any():
            masked = np.where(here, error, np.inf)
            row, column = np.unravel_index(np.argmin(masked), error.shape)
            starts.append(np.array([theta[row, 0, 0], log_m[column, 0], *solved[row, column]]))
    return starts


_CELLS = 32  # of the grid that covers what fits, in each direction
_FLOOR = (-3.0, float(np.log(_SHARPNESS[0])))
_CEILING = (-1e-3, float(np.log(_SHARPNESS[1])))


def _ranges(
    x: Array, y: Array, minima: list[Array], most: float, width: float | None
) -> dict[str, tuple[float, float]]:
    """From where to where n, s, threshold and output scale go with a sum of squares up to `most`.

    For given threshold and sharpness the sum is a quadratic of A and B, so the range of s =
    B / (A w + B) and of A w + B there is known in closed form (Fieller's, of a ratio).
    """
    low = dict.fromkeys(("n", "s", "threshold", "output_scale"), np.inf)
    high = dict.fromkeys(low, -np.inf)

    def add(name: str, values: Any) -> None:
        low[name] = min(low[name], float(np.min(values)))
        high[name] = max(high[name], float(np.max(values)))

    done: list[Array] = []
    for one in minima:
        centre = one[:2]
        if any((box[0] <= centre).all() and (centre <= box[1]).all() for box in done):
            continue
        box, cell, theta, log_m, slack, solved, inverse = _region(x, y, centre, most)
        done.append(box)
        w = -theta if width is None else np.full_like(theta, width)
        floor, ceiling = np.array(_FLOOR), np.array(_CEILING)
        open_below, open_above = box[0] <= floor + 1e-9, box[1] >= ceiling - 1e-9
        add("threshold", theta - cell[0] / 2)
        add("threshold", np.minimum(theta + cell[0] / 2, _CEILING[0]))
        add("n", np.exp(log_m - cell[1] / 2) * w)
        add("n", np.exp(log_m + cell[1] / 2) * w)
        if open_below[0]:
            low["threshold"] = -np.inf
        if open_below[1]:
            low["n"] = 0.0
        if open_above[1]:
            high["n"] = np.inf
        a, b = solved[:, 0], solved[:, 1]
        haa, hab, hbb = inverse[:, 0, 0], inverse[:, 0, 1], inverse[:, 1, 1]
        spread = w**2 * haa + 2 * w * hab + hbb
        scale, half = a * w + b, np.sqrt(slack * spread)
        add("output_scale", scale - half)
        add("output_scale", scale + half)
        # (b - s scale)^2 <= slack (variance of b - s scale), a quadratic in s
        square = scale**2 - slack * spread
        if (square <= 0).any():
            add("s", [-np.inf, np.inf])
        else:
            middle = b * scale - slack * (w * hab + hbb)
            root = np.sqrt(np.maximum(middle**2 - square * (b**2 - slack * hbb), 0))
            add("s", (middle - root) / square)
            add("s", (middle + root) / square)
    return {name: (low[name], high[name]) for name in low}


def _region(x: Array, y: Array, centre: Array, most: float) -> tuple[Any, ...]:
    """Grid points (threshold, log sharpness) around a minimum at which the curve still fits.

    The grid grows where what fits reaches its edge and shrinks where it is wider than that. Returns
    its box (2, 2), the size of a cell (2,), and at the points: both coordinates, what is left to
    `most`, A and B (M, 2), and the inverse of their normal equations (M, 2, 2).
    """
    floor, ceiling = np.array(_FLOOR), np.array(_CEILING)
    start = np.array([0.02, 0.1])
    box = np.clip([centre - start, centre + start], floor, ceiling)
    for _ in range(60):
        axes = [np.union1d(np.linspace(box[0, k], box[1, k], _CELLS), centre[k]) for k in range(2)]
        theta, log_m = (part.ravel() for part in np.meshgrid(*axes, indexing="ij"))
        solved, inverse, error = _linear(x, y, theta[:, None], log_m[:, None])
        inside = error <= most
        # the minimum itself counts, if rounding takes it out
        inside |= (theta == centre[0]) & (log_m == centre[1])
        points = np.stack([theta, log_m], -1)[inside]
        low, high = points.min(0), points.max(0)
        cell = (box[1] - box[0]) / (_CELLS - 1)
        grow_low = (low <= box[0]) & (box[0] > floor)
        grow_high = (high >= box[1]) & (box[1] < ceiling)
        small = (high - low < (box[1] - box[0]) / 3) & (cell > 1e-13)
        if not (grow_low | grow_high | small).any():
            break
        side = box[1] - box[0]
        new_low = np.where(grow_low, box[0] - side, np.where(small, low - cell, box[0]))
        new_high = np.where(grow_high, box[1] + side, np.where(small, high + cell, box[1]))
        box = np.clip([new_low, new_high], floor, ceiling)
    slack = np.maximum(most - error[inside], 0)
    return box, cell, theta[inside], log_m[inside], slack, solved[inside], inverse[inside]


def _linear(x: Array, y: Array, theta: Array, log_m: Array) -> tuple[Array, Array, Array]:
    """A and B of least squares, the inverse of their normal equations, and the sum of squares."""
    basis = _basis(x, theta, log_m)
    gram = np.einsum("...pi,...pj->...ij", basis, basis)
    moment = np.einsum("...pi,p->...i", basis, y)
    # a ridge far below rounding of the data keeps flat corners of the grid solvable
    gram = gram + 1e-12 * np.trace(gram, axis1=-2, axis2=-1)[..., None, None] * np.eye(2)
    inverse = np.linalg.inv(gram)
    solved = np.linalg.solve(gram, moment[..., None])[..., 0]
    error = ((np.einsum("...pi,...i->...p", basis, solved) - y) ** 2).sum(-1)
    return solved, inverse, error


# --- simulated neurons ------------------------------------------------------------------------


@dataclass(frozen=True)
class Neuron:
    """A neuron model for Brian2.

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
        reference: where equations and constants stand.
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
_ADEX = """
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

NEURONS = {
    neuron.name: neuron
    for neuron in (
        Neuron(
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
        Neuron(
            name="adex",
            equations=_ADEX + _ADAPTING,
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
        ),
        Neuron(
            name="adex-without-adaptation",
            equations=_ADEX + "w : amp",
            unit="nA",
            threshold="v > -30*mV",
            reset="v = -70.6*mV",
            refractory="0*ms",
            start={"v": "-70.6*mV"},
            dt=0.01,
            currents=(0.0, 3.0, 41),
            step=(0.7, 0.7, 3.0),
            reference="Brette and Gerstner 2005, with a = b = 0",
            method="euler",
        ),
        Neuron(
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
        Neuron(
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
    neuron: str | Neuron,
    currents: Sequence[float] | Array | None = None,
    *,
    duration: float = 1.0,
) -> xr.Dataset:
    """f-I curve of a simulated neuron under constant currents, from rest, by Brian2.

    Args:
        neuron: a name in `NEURONS`, or a `Neuron`.
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
    neuron: str | Neuron,
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
    """Rate over time of a simulated neuron under a step of current, averaged over noisy trials.

    The defaults have the times of fractional protocol "B" (102 bins before, 100 of step, 98
    after), so that the response goes into `fractional_order` and `describe_step` as it is.

    Args:
        neuron: a name in `NEURONS`, or a `Neuron`.
        base: current before and after the step, in the neuron's unit.
        step: current added during the step.
        noise: standard deviation of Gaussian current noise, drawn anew each millisecond,
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


def _neuron(neuron: str | Neuron) -> Neuron:
    return neuron if isinstance(neuron, Neuron) else NEURONS[choose("neuron", neuron, NEURONS)]


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


def _spikes(model: Neuron, current: Array, duration_ms: float) -> list[Array]:
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
    names: Sequence[str] = tuple(NEURONS),
    *,
    duration: float = 1.0,
    trials: int = 200,
    bootstrap: int = 500,
    seed: int = 0,
) -> xr.Dataset:
    """Simulated neurons in the (n, s) plane, and what they do under a step of current.

    Each f-I curve is simulated and fitted by `fit_fi`; the response to the noisy step of
    `Neuron.step`, averaged over trials, goes into `fractional_order` (scale-free) and
    `describe_step`, as the responses of networks do.

    Args:
        names: of neurons in `NEURONS`.
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
    from adaptrnn.analysis.fractional import fractional_order
    from adaptrnn.analysis.response import describe_step

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
        "base; Gaussian noise anew each ms",
        steps=[f"{name}: {_neuron(name).step} {_neuron(name).unit}" for name in names],
        trials=trials,
        seed=seed,
    )
