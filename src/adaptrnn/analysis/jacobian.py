"""Jacobians of one step, and of many: does a network expand or contract?

Geadah et al. 2024, Methods "Jacobian norm" and Fig S6a (E32):

    JN(n, s) = E over h ~ U(-5, 5)^N of || diag(gamma'(W_hh h; n, s)) W_hh ||_2

with the text's spectral norm (the authors' scripts take another one). For an orthogonal W_hh it is
the largest slope among the neurons, so it tends to sup gamma' from below as N grows. The products
of Jacobians

    P_T = D F(h_{T-1}) ... D F(h_0)

have singular values that say what becomes of perturbations over T steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from adaptrnn._error import bad
from adaptrnn.activation import gamma_dx, gamma_sup_slope
from adaptrnn.analysis._finite import finite
from adaptrnn.analysis._type import State
from adaptrnn.analysis.system import Network, as_system

__all__ = ["jacobian_norm", "jacobian_product", "recurrent_weight"]


def recurrent_weight(network: Network | Tensor) -> Annotated[Tensor, "N N"]:
    """Return W_hh (N, N) of a network with one state per neuron, or the matrix itself.

    Args:
        network: an RNN, ARUN, torch.nn.RNN or RNNCell (of several layers the first), or a matrix.

    Returns:
        The matrix in float64, without gradient.

    Raises:
        InputError: there is no square recurrent matrix (a GRU and an LSTM have several); a weight
            is not finite.

    Example:
        >>> recurrent_weight(torch.nn.RNNCell(1, 3)).shape
        torch.Size([3, 3])
    """
    weight: object = network
    if isinstance(network, nn.Module):
        weight = getattr(network, "weight_hh_l0", getattr(network, "weight_hh", None))
    if not isinstance(weight, Tensor) or weight.ndim != 2 or weight.shape[0] != weight.shape[1]:
        shown = tuple(weight.shape) if isinstance(weight, Tensor) else type(network).__name__
        raise bad("network", shown, "one with a square weight_hh, or a matrix (N, N)")
    return finite("network" if weight is network else "weight_hh", weight.detach().double())


def jacobian_norm(
    network: Network | Tensor,
    n: Sequence[float] | None = None,
    s: Sequence[float] | None = None,
    *,
    bound: float = 5.0,
    samples: int = 20,
    seed: int = 0,
) -> xr.Dataset:
    """Average the spectral norm of diag(gamma'(W_hh h; n, s)) W_hh over random rates (E32).

    Args:
        network: an RNN, ARUN, torch.nn.RNN or RNNCell, or W_hh (N, N) itself.
        n: gains of the grid, each shared by all neurons. None, with s None too: the one pair of
            values, per neuron, that an RNN with gamma has.
        s: saturations of the grid.
        bound: rates are uniform on (-bound, bound).
        samples: number of random h, the same ones at every grid point.
        seed: of the random h.

    Returns:
        norm and standard_error over (n, s), the mean and its error over samples; with a grid also
        sup_slope (n, s), sup gamma', where n > 0: what the norm tends to for orthogonal W_hh. The
        network contracts at every h where the norm is < 1. Norms of few neurons are skewed: with 20
        samples, t times the standard error holds the mean in 92% of experiments for 100 neurons
        and in 76% for 10 (docs/explanation/seeds.md).

    Raises:
        InputError: no W_hh, only one of n and s, samples < 2, a value that is not finite.

    Example:
        >>> grid = jacobian_norm(torch.eye(50), n=[1.0, 5.0], s=[0.0, 0.5, 1.0])
        >>> grid.norm.dims, bool((grid.norm <= grid.sup_slope + 1e-12).all())
        (('n', 's'), True)
    """
    weight = recurrent_weight(network)
    if (n is None) != (s is None):
        raise bad("n, s", (n, s), "both given or both left out")
    if samples < 2:
        raise bad("samples", samples, "an integer >= 2")
    count = weight.shape[0]
    rates = np.random.default_rng(seed).uniform(-bound, bound, (samples, count))
    currents = torch.from_numpy(rates).to(weight) @ weight.mT
    attrs = {
        "definition": "E over h ~ U(-bound, bound)^N of ||diag(gamma'(W h; n, s)) W||_2",
        "bound": bound,
        "samples": samples,
        "seed": seed,
    }
    if n is None or s is None:
        if not hasattr(network, "n_l0"):
            raise bad("n, s", None, "given, since this network has none of its own")
        gain, saturation = (
            finite(name, getattr(network, name).detach().double()) for name in ("n_l0", "s_l0")
        )
        found = _mean_norm(currents, weight, gain, saturation)
        own = dict(zip(("norm", "standard_error"), found, strict=True))
        return xr.Dataset(own, attrs=attrs)
    finite("n", n), finite("s", s)
    grid = [[_mean_norm(currents, weight, gain, sat) for sat in s] for gain in n]
    mean, error = np.moveaxis(np.array(grid).reshape(len(n), len(s), 2), -1, 0)
    gains = torch.tensor(n, dtype=torch.float64)[:, None]
    saturations = torch.tensor(s, dtype=torch.float64)
    sup = torch.full((len(n), len(s)), torch.nan, dtype=torch.float64)
    valid = gains[:, 0] > 0
    sup[valid] = gamma_sup_slope(gains[valid], saturations)
    dims = ("n", "s")
    variables = {"norm": mean, "standard_error": error, "sup_slope": sup.numpy()}
    coords = {"n": np.asarray(n, float), "s": np.asarray(s, float)}
    return xr.Dataset({k: (dims, v) for k, v in variables.items()}, coords, attrs)


def _mean_norm(
    currents: Tensor, weight: Tensor, n: Tensor | float, s: Tensor | float
) -> tuple[float, float]:
    slopes = gamma_dx(currents, n, s)
    norms = torch.stack([torch.linalg.matrix_norm(row[:, None] * weight, 2) for row in slopes])
    return float(norms.mean()), float(norms.std() / len(norms) ** 0.5)


def jacobian_product(
    network: Network,
    x: Annotated[Tensor, "T B D"] | Annotated[Tensor, "T D"] | None = None,
    *,
    steps: int | None = None,
    state: State | None = None,
    drive: Tensor | float | None = None,
    every: int = 1,
    dtype: torch.dtype | None = torch.float64,
) -> xr.Dataset:
    """Compute singular values of one-step Jacobians and of their products P_T.

    Args:
        network: any recurrent network; a step function as the `System` made of it.
        x: input, (T, B, D), or (T, D) given to every sample, or None.
        steps: T; needed only without x.
        state: first states, the network's own form or flat (B, S); zeros if None.
        drive: current added to each neuron, a number or broadcastable to (T, B, N).
        every: number of steps between two sets of singular values.
        dtype: to compute in; None for the network's own.

    Returns:
        step_norm (time, sample), the spectral norm of each Jacobian; log_singular (time, sample,
        rank), ln of the singular values of P_T, and exponent, the same divided by T (1/step,
        natural logarithm: the Lyapunov exponents of the SVD definition, E44); resolved (time,
        sample, rank), whether a singular value is above the rounding of the product, S eps times
        the largest: where it is not, use `lyapunov`.

    Raises:
        InputError: a shape that does not fit.
        NotFiniteError: a state that is not finite.

    Example:
        >>> found = jacobian_product(torch.nn.GRUCell(1, 3), torch.zeros(6, 1), every=3)
        >>> found.log_singular.shape, found.time.values
        ((2, 1, 3), array([3, 6]))
    """
    model = as_system(network, dtype=dtype)
    z = None if state is None else model.states(state)
    if every < 1:
        raise bad("every", every, "an integer >= 1")
    total, inputs, drives = model.signals(x, steps, None if z is None else z.shape[0], drive)
    if z is None:
        known = [part[0] for part in (inputs, drives) if part and part[0] is not None]
        z = model.start(known[0].shape[0] if known else 1)
    model.check_step(inputs[0], z, drives[0])
    eye = torch.eye(model.size, dtype=z.dtype, device=z.device)
    product = eye.repeat(z.shape[0], 1, 1)
    scale = z.new_zeros(z.shape[0])  # P_T = exp(scale) product
    norms, singular, times = [], [], []
    with torch.no_grad():
        for t in range(total):
            after, jacobian = model.jacobian(inputs[t], z, drives[t])
            product = jacobian @ product
            z = after
            finite(f"network: state after step {t + 1}", z, "Check the input and the weights.")
            norms.append(torch.linalg.matrix_norm(jacobian, 2))
            size = product.abs().amax((1, 2)).clamp(min=torch.finfo(z.dtype).tiny)
            product, scale = product / size[:, None, None], scale + size.log()
            if (t + 1) % every == 0:
                singular.append(torch.linalg.svdvals(product).log() + scale[:, None])
                times.append(t + 1)
    if not singular:
        raise bad("every", every, f"at most the number of steps, {total}")
    logs = torch.stack(singular).cpu().double().numpy()
    at = np.array(times)
    floor = logs[..., :1] + np.log(model.size * torch.finfo(z.dtype).eps)
    dims = ("time", "sample", "rank")
    return xr.Dataset(
        {
            "step_norm": (("step", "sample"), torch.stack(norms).cpu().double().numpy()),
            "log_singular": (dims, logs, {"units": "natural logarithm"}),
            "exponent": (dims, logs / at[:, None, None], {"units": "1/step, natural logarithm"}),
            "resolved": (dims, logs > floor, {"definition": "above S eps times the largest"}),
        },
        {"time": at, "step": np.arange(1, total + 1), "rank": np.arange(1, model.size + 1)},
        {"definition": "P_T = D F(z_{T-1}) ... D F(z_0)", "network": model.name},
    )
