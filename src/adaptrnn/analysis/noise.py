"""When do f-I curves keep noise from growing, and where in the (n, s) plane are neurons then?

Geadah et al. 2024, Proposition 1: if W_hh is unitary, currents with mean mu and standard deviation
sigma keep their variance along every unit vector from growing if and only if

    sigma |gamma'(mu_i; n_i, s_i)| <= 1    for all neurons i

to first order in sigma: the next term of the variance is, relative to the first,
sigma^2 (gamma''^2 / (2 gamma'^2) + gamma''' / gamma'), so the proposition fails first where a
neuron is nearly silent or sigma n is not small.

Fig 5b: adapted neurons lie where the slope at the drive xi is just below 1,

    Lambda(xi) = {(n, s): gamma'(xi; n, s) = 1 - eps}

which is, with S = 1/(1 + exp(-n xi)) and p = 1 - S, the curve s = (p - eps) / (S (n p - 1)).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from adaptrnn._error import bad
from adaptrnn.activation import gamma, gamma_dx
from adaptrnn.analysis._finite import finite
from adaptrnn.analysis._type import Values

__all__ = ["level_residual", "level_set", "noise_variance", "slope_at_drive"]


def noise_variance(
    n: Tensor | float,
    s: Tensor | float,
    sigma: Sequence[float],
    *,
    mu: Tensor | float = 0.0,
    weight: Annotated[Tensor, "N N"] | None = None,
    samples: int = 100_000,
    seed: int = 0,
) -> xr.Dataset:
    """Compare the variance behind the f-I curve, simulated, with Proposition 1 (E28).

    Rates h = W^T mu + sigma z, z standard normal, give currents W h of mean mu and, W being
    unitary, of independent components of variance sigma^2. Predicted: Var gamma(W h)_i =
    (sigma gamma'(mu_i; n_i, s_i))^2, and the variance along a unit vector is at most the largest.

    Args:
        n: gains, a number or (N,).
        s: saturations, a number or (N,).
        sigma: standard deviations of the noise, each >= 0.
        mu: mean currents, a number or (N,).
        weight: orthogonal W_hh (N, N); the identity if None.
        samples: number of Monte Carlo samples; the relative error is about sqrt(2 / samples).
        seed: of the noise.

    Returns:
        Over (sigma, neuron): variance, its Monte Carlo standard_error, predicted, relative_error =
        variance / predicted - 1; over sigma: largest, the largest variance along any unit vector,
        and bounded, whether Proposition 1 says that noise does not grow; over neuron: breaks_at,
        the smallest sigma given at which |relative_error| > 5 %, else NaN.

    Raises:
        InputError: W is not orthogonal, shapes do not fit, or a value is not finite.

    Example:
        >>> found = noise_variance(1.0, 0.0, [0.1, 0.3], mu=torch.tensor([0.0, 2.0]))
        >>> bool((abs(found.relative_error) < 0.05).all()), bool(found.bounded.all())
        (True, True)
    """
    mean = torch.as_tensor(mu, dtype=torch.float64, device="cpu")
    gains, saturations = (
        torch.as_tensor(value, dtype=torch.float64, device="cpu") for value in (n, s)
    )
    for name, value in (("mu", mean), ("n", gains), ("s", saturations), ("sigma", sigma)):
        finite(name, value)
    if weight is not None:
        finite("weight", weight)
    wide = torch.broadcast_shapes((1,), mean.shape, gains.shape, saturations.shape)
    if weight is not None and wide in ((1,), (weight.shape[0],)):
        wide = (weight.shape[0],)
    if len(wide) != 1:
        raise bad("mu, n, s", tuple(wide), "numbers or of shape (N,)")
    count = wide[0]
    mean, gains, saturations = (v.expand(count) for v in (mean, gains, saturations))
    turn = (
        torch.eye(count, dtype=torch.float64) if weight is None else weight.detach().double().cpu()
    )
    identity = torch.eye(count, dtype=torch.float64)
    if turn.shape != (count, count) or not torch.allclose(turn @ turn.mT, identity, atol=1e-4):
        raise bad("weight", tuple(turn.shape), f"orthogonal, ({count}, {count})")
    if samples < 2 or min(sigma) < 0:
        raise bad("samples, sigma", (samples, min(sigma)), "samples >= 2, sigma >= 0")
    noise = np.random.default_rng(seed).standard_normal((samples, count))
    turned = torch.from_numpy(noise) @ turn.mT
    slopes = gamma_dx(mean, gains, saturations)
    found: dict[str, list[np.ndarray]] = {}
    for size in sigma:
        rates = gamma(mean + size * turned, gains, saturations)
        centred = rates - rates.mean(0)
        squares = centred**2
        covariance = centred.mT @ centred / (samples - 1)
        predicted = (size * slopes) ** 2
        row = {
            "variance": covariance.diagonal(),
            "standard_error": squares.std(0) / samples**0.5,
            "predicted": predicted,
            "relative_error": covariance.diagonal() / predicted - 1,
            "largest": torch.linalg.eigvalsh(covariance)[-1],
            "bounded": (predicted <= 1).all(),
        }
        for name, value in row.items():
            found.setdefault(name, []).append(value.numpy())
    single = ("largest", "bounded")
    dims = {name: ("sigma",) if name in single else ("sigma", "neuron") for name in found}
    result = xr.Dataset(
        {name: (dims[name], np.stack(values)) for name, values in found.items()},
        {"sigma": np.asarray(sigma, float)},
        {
            "definition": "Var gamma(W h; n, s), h Gaussian of covariance sigma^2 1; predicted "
            "(sigma gamma'(mu))^2",
            "samples": samples,
            "seed": seed,
        },
    )
    broken = abs(result.relative_error) > 0.05
    result["breaks_at"] = result.sigma.where(broken).min("sigma")
    result = result.assign_coords(
        n=("neuron", gains.numpy()), s=("neuron", saturations.numpy()), mu=("neuron", mean.numpy())
    )
    return result


def level_set(
    xi: Sequence[float] | float, n: Sequence[float], epsilon: float = 0.013
) -> xr.DataArray:
    """Return the saturation at which gamma'(xi; n, s) = 1 - eps: the curve Lambda(xi), s over n.

    Args:
        xi: drives, a number or several.
        n: gains, not 0.
        epsilon: eps; the paper chose 0.013 by hand. For xi >= 3 and n >= 3 the curve is s = eps.

    Returns:
        s over (xi, n); NaN where n p = 1, where the slope does not depend on s.

    Raises:
        InputError: a value is not finite.

    Example:
        >>> level_set([10.0], [2.0, 5.0]).values.round(6)
        array([[0.013, 0.013]])
    """
    drive = finite("xi", np.atleast_1d(np.asarray(xi, float)))
    gain = finite("n", np.asarray(n, float))
    finite("epsilon", epsilon)
    values = _saturation(gain, drive[:, None], epsilon)
    return xr.DataArray(
        values,
        {"xi": drive, "n": gain},
        ("xi", "n"),
        "s",
        {"definition": "gamma'(xi; n, s) = 1 - epsilon", "epsilon": epsilon},
    )


def _saturation(n: np.ndarray, xi: np.ndarray, epsilon: float) -> np.ndarray:
    u = torch.from_numpy(np.asarray(n * xi, float))
    large, small = torch.sigmoid(u).numpy(), torch.sigmoid(-u).numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        s = (small - epsilon) / (large * (n * small - 1))
    return np.where(np.isfinite(s), s, np.nan)


def slope_at_drive(n: xr.DataArray, s: xr.DataArray) -> xr.DataArray:
    """Compute the slope of f-I curves at the drive they adapted to, gamma'(xi; n, s).

    Args:
        n: gains, over xi and any other dimension.
        s: saturations, over the same.

    Returns:
        Slopes over the dimensions of n.

    Example:
        >>> n = xr.DataArray([50.0, 50.0], coords={"xi": [1.0, 10.0]})
        >>> slope_at_drive(n, xr.full_like(n, 0.02)).values.round(6)
        array([0.98, 0.98])
    """
    values = (n.xi.broadcast_like(n).transpose(*n.dims), n, s.transpose(*n.dims))
    tensors = (torch.from_numpy(v.values.astype(float)) for v in values)
    return n.copy(data=gamma_dx(*tensors).numpy())


def level_residual(
    n: Values,
    s: Values,
    xi: Sequence[float],
    *,
    epsilon: float | None = None,
    fit_at: float = 10.0,
) -> xr.Dataset:
    """Measure how far gains and saturations lie from Lambda(xi) (E27).

    Args:
        n: gains reached under each drive, (xi, neuron) or (xi,), an array or DataArray.
        s: saturations, as n.
        xi: the drives.
        epsilon: eps; None to fit it at one drive, by least squares of the slope: 1 minus the mean
            of gamma'(xi; n, s) there. The other drives then test it.
        fit_at: the drive at which eps is fitted.

    Returns:
        Over (xi, neuron): slope_residual, gamma'(xi; n, s) - (1 - eps); s_distance, s minus the s
        of Lambda(xi) at the same n. Over xi: residual, the root mean square of slope_residual, and
        fitted, whether eps was fitted there. eps is in attrs.

    Raises:
        InputError: shapes do not fit, `fit_at` is not among xi, or a value is not finite.

    Example:
        >>> drives = [1.0, 10.0, 20.0]
        >>> found = level_residual(np.full((3, 2), 4.0), np.full((3, 2), 0.02), drives)
        >>> round(found.attrs["epsilon"], 6), [round(float(r), 3) for r in found.residual]
        (0.02, [0.016, 0.0, 0.0])
    """
    drive = np.asarray(xi, float)
    gain, saturation = finite("n", np.asarray(n, float)), finite("s", np.asarray(s, float))
    finite("xi", drive), finite("epsilon", 0.0 if epsilon is None else epsilon)
    gain, saturation = (v[:, None] if v.ndim == 1 else v for v in (gain, saturation))
    if gain.ndim != 2 or gain.shape != saturation.shape or len(gain) != len(drive):
        shapes = (gain.shape, saturation.shape)
        raise bad("n.shape, s.shape", shapes, f"equal, ({len(drive)}, neurons), one row per xi")
    grid = (torch.from_numpy(np.ascontiguousarray(v)) for v in (gain, saturation))
    currents = torch.from_numpy(drive)[:, None].expand(gain.shape)
    slopes = gamma_dx(currents, *grid).numpy()
    fitted = np.isclose(drive, fit_at) & (epsilon is None)
    if epsilon is None:
        if not fitted.any():
            raise bad("fit_at", fit_at, f"one of the drives {drive.tolist()}, or give epsilon")
        epsilon = float(1 - slopes[fitted].mean())
    residual = slopes - (1 - epsilon)
    dims = ("xi", "neuron")
    return xr.Dataset(
        {
            "slope_residual": (dims, residual),
            "s_distance": (dims, saturation - _saturation(gain, drive[:, None], epsilon)),
            "residual": ("xi", np.sqrt((residual**2).mean(1))),
            "fitted": ("xi", fitted),
        },
        {"xi": drive},
        {"definition": "gamma'(xi; n, s) - (1 - epsilon)", "epsilon": epsilon},
    )
