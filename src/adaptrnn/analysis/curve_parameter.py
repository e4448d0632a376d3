"""Heterogeneity: how much do the f-I curves of a network's neurons differ from each other?

Geadah et al. 2024, Fig 3a (E14): from a homogeneous start, training spreads the (n_i, s_i). Of a
static network these are its parameters; of an adaptive one, their means over time and samples
under a given stimulus, and how far they move in time is reported next to how far neurons differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from adaptrnn._error import bad
from adaptrnn.analysis._finite import finite
from adaptrnn.analysis.statistic import interval

__all__ = ["activation_parameters", "heterogeneity"]


def activation_parameters(
    network: nn.Module,
    x: Annotated[Tensor, "... D"] | None = None,
    drive: Tensor | float | None = None,
    layer: int = 0,
    lengths: Annotated[Tensor, "B"] | None = None,
) -> xr.Dataset:
    """Return the gain and the saturation of every neuron of one network.

    Args:
        network: an `RNN` with nonlinearity "gamma" or "gamma-shared", or an `ARUN`.
        x: input (T, B, D) in the network's layout, under which the means of an `ARUN` are taken;
            not needed for an `RNN`.
        drive: external current along with x.
        layer: which layer.
        lengths: steps of each sample of x that count; None for all of them.

    Returns:
        n, s (neuron): parameters, or means over time and samples; n_within, s_within (neuron):
        standard deviation over time and samples, 0 for a static network.

    Raises:
        InputError: the network has no n and s, or they are not finite; an `ARUN` without input.

    Example:
        >>> from adaptrnn import RNN
        >>> rnn = RNN(1, 3, nonlinearity="gamma", n=5.0)
        >>> activation_parameters(rnn).n.values.tolist()
        [5.0, 5.0, 5.0]
    """
    name = type(network).__name__
    if hasattr(network, f"n_l{layer}"):
        count: Any = network.hidden_size
        found = {
            key: torch.as_tensor(getattr(network, f"{key}_l{layer}")).detach().expand(count)
            for key in "ns"
        }
        within = {key: torch.zeros_like(value) for key, value in found.items()}
    elif hasattr(network, "controller"):
        if x is None:
            raise bad("x", None, "an input (T, B, D)", f"n and s of an {name} depend on it.")
        trace = network.trace(x, drive=drive, layer=layer)  # type: ignore[operator]
        flat = {key: getattr(trace, key).flatten(0, -2).double() for key in "ns"}
        if lengths is not None:
            first: Any = network.batch_first
            steps = torch.arange(x.shape[1 if first else 0], device=lengths.device)
            counts = steps < lengths[:, None] if first else steps[:, None] < lengths
            flat = {key: value[counts.flatten()] for key, value in flat.items()}
        found = {key: value.mean(0) for key, value in flat.items()}
        within = {key: value.std(0, correction=0) for key, value in flat.items()}
    else:
        raise bad("network", name, "an RNN with nonlinearity 'gamma' or an ARUN")
    for key, value in found.items():
        finite(f"network: {key}", value)
    data = {key: ("neuron", value.double().cpu().numpy()) for key, value in found.items()}
    data |= {f"{key}_within": ("neuron", v.double().cpu().numpy()) for key, v in within.items()}
    attrs = {"definition": "n, s: parameters, or means over time and samples; _within: sd of these"}
    return xr.Dataset(data, attrs=attrs)


def heterogeneity(
    parameters: xr.Dataset | Sequence[xr.Dataset | nn.Module] | nn.Module,
    start: xr.Dataset | None = None,
    *,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Measure the spread of (n_i, s_i) over neurons (E14).

    Args:
        parameters: n and s with a dimension "neuron" (see `activation_parameters`), and "seed" if
            there are several networks; or networks with parameters n, s; or a sequence of either,
            one a seed.
        start: the same before training; adds the mean changes.
        confidence: of the interval of each standard deviation, a jackknife of the log variance
            (Miller 1968); of very skewed values it holds less (docs/explanation/seeds.md). Its
            replicates are the neurons of one network; over networks use
            `adaptrnn.analysis.interval` on n_sd and s_sd.

    Returns:
        n, s; of each, over neurons: mean, standard deviation n_sd with n_sd_low, n_sd_high, range;
        covariance, its determinant det_covariance (squared area of the cloud in the (n, s) plane),
        correlation (NaN if one of them does not vary); with `start`, n_change and s_change (mean
        absolute change of a neuron).

    Raises:
        InputError: no n, s or no dimension "neuron"; a value that is not finite.

    Example:
        >>> cloud = xr.Dataset({"n": ("neuron", [4.0, 5.0, 6.0]), "s": ("neuron", [0.0, 0.1, 0.2])})
        >>> found = heterogeneity(cloud)
        >>> float(found.n_sd), round(float(found.s_sd), 3), round(float(found.correlation), 3)
        (1.0, 0.1, 1.0)
    """
    cloud = _cloud(parameters)
    n, s = finite("n", cloud.n.astype(float)), finite("s", cloud.s.astype(float))
    count = cloud.sizes["neuron"]
    if count < 2:
        raise bad("parameters", count, "of at least 2 neurons")
    found: dict[str, Any] = {"n": n, "s": s}
    for name, values in (("n", n), ("s", s)):
        found[f"{name}_mean"] = values.mean("neuron")
        found[f"{name}_sd"] = values.std("neuron", ddof=1)
        found[f"{name}_range"] = values.max("neuron") - values.min("neuron")
        low, high = _spread(values, confidence)
        found |= {f"{name}_sd_low": low, f"{name}_sd_high": high}
        if start is not None:
            change = abs(values - finite(f"start.{name}", start[name].astype(float)))
            found[f"{name}_change"] = change.mean("neuron")
        if f"{name}_within" in cloud:
            found[f"{name}_within"] = cloud[f"{name}_within"]
    covariance = xr.cov(n, s, dim="neuron", ddof=1)
    determinant = found["n_sd"] ** 2 * found["s_sd"] ** 2 - covariance**2
    size = found["n_sd"] * found["s_sd"]
    found["covariance"] = covariance
    # exact cancellation leaves rounding of either sign
    found["det_covariance"] = determinant.clip(min=0)
    found["correlation"] = covariance / size.where(size > 0)
    attrs = {
        "definition": "spread of gains n_i and saturations s_i over neurons; sd with n-1; "
        "det_covariance: of their 2x2 covariance",
        "neurons": count,
        "interval": f"{confidence:g} jackknife of the log variance over the neurons of one network",
    }
    return xr.Dataset(found, attrs=attrs)


def _cloud(parameters: object) -> xr.Dataset:
    if isinstance(parameters, nn.Module):
        return activation_parameters(parameters)
    if isinstance(parameters, Sequence):
        return xr.concat([_cloud(one) for one in parameters], "seed")
    if not isinstance(parameters, xr.Dataset) or not {"n", "s"} <= set(parameters.data_vars):
        raise bad("parameters", type(parameters).__name__, "a Dataset with n and s, or networks")
    if "neuron" not in parameters.n.dims or "neuron" not in parameters.s.dims:
        raise bad("parameters.dims", parameters.n.dims, "dimensions that include 'neuron'")
    return parameters


def _spread(values: xr.DataArray, confidence: float) -> tuple[xr.DataArray, xr.DataArray]:
    """Interval of a standard deviation: Student's, of the jackknife's values of the log variance.

    Miller 1968, Annals of Mathematical Statistics 39. The logarithm makes it nearly symmetric.
    NaN where it says nothing: fewer than 3 neurons, or fewer than 3 that differ.
    """
    count = values.sizes["neuron"]
    deviation = values - values.mean("neuron")
    total = (deviation**2).sum("neuron")
    # the sum of squares about the mean of the others, without each neuron in turn
    without = total - deviation**2 * (count / (count - 1))
    known = without > 1e-12 * total
    log = np.log(without.where(known) / max(count - 2, 1))
    pseudo = count * np.log(total.where(total > 0) / (count - 1)) - (count - 1) * log
    pseudo = pseudo.where(known.all("neuron"))
    found = interval(pseudo, unit="neuron", confidence=confidence)
    return np.exp(found.low / 2), np.exp(found.high / 2)
