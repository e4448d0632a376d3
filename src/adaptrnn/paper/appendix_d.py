"""Appendix D: exponents by QR are those by singular values."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import torch
import xarray as xr
from matplotlib.figure import Figure
from torch import Tensor

from adaptrnn.analysis import System, as_system
from adaptrnn.analysis.lyapunov_exponent import lyapunov
from adaptrnn.figure.style import accents, subplots
from adaptrnn.init import haar_
from adaptrnn.paper.item import Item
from adaptrnn.paper.verdict import Claim, Verdict, part, verdict
from adaptrnn.rnn import RNN

__all__ = ["ITEM", "compound", "draw", "judge", "measure"]

E44 = Claim(
    "E44",
    "Appendix D",
    "Exponents by QR equal those by singular values; an orthogonal linear map has exponents 0.",
    "The exponents by QR and by singular values differ by at most 1e-6, and those of an "
    "orthogonal map are at most 1e-6 in size",
)
SIZE, STEPS = 5, 120
TOLERANCE = 1e-6
SHOWN_AS_ZERO = 1e-17
"""Where an exact 0 is drawn."""


def compound(matrix: Tensor, k: int) -> Tensor:
    """Return the k-th compound of a square matrix: all its minors of size k.

    Its spectral norm is the product of the k largest singular values of the matrix, and compounds
    multiply as the matrices do (Cauchy and Binet).

    Args:
        matrix: (N, N).
        k: from 1 to N.

    Returns:
        (C, C), C = binomial(N, k).

    Example:
        >>> compound(torch.diag(torch.tensor([3.0, 2.0, 1.0])), 2).diagonal().tolist()
        [6.0, 3.0, 2.0]
    """
    chosen = torch.tensor(list(itertools.combinations(range(len(matrix)), k)))
    return torch.linalg.det(matrix[chosen[:, None, :, None], chosen[None, :, None, :]])


def measure(draws: int = 3) -> xr.Dataset:
    """Compute exponents both ways, of random linear maps and of networks at their fixed point.

    Both counts leave out the first steps, in which the two definitions differ by a constant. The
    product's small singular values drown in rounding; so products of compounds are taken, of which
    only the largest singular value is needed.

    Args:
        draws: number of each.

    Returns:
        qr and svd (system, draw, exponent), 1/step, natural logarithm; orthogonal (draw), the
        largest |exponent| of a random orthogonal map of 20 dimensions.
    """
    qr, svd, orthogonal = [], [], []
    for draw in range(draws):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(draw)
            moduli = torch.tensor([1.2, 0.9, 0.7, 0.5, 0.3], dtype=torch.float64)
            basis = torch.randn(SIZE, SIZE, dtype=torch.float64)
            linear = basis @ torch.diag(moduli) @ torch.linalg.inv(basis)
            network = RNN(1, SIZE, nonlinearity="gamma", n=2.0, s=0.2).double()
            with torch.no_grad():
                turned = torch.linalg.qr(torch.randn(SIZE, SIZE, dtype=torch.float64))[0]
                weight = turned @ torch.diag(moduli / 1.2) @ turned.mT
                network.get_parameter("weight_hh_l0").copy_(weight)
            rotation = haar_(torch.empty(20, 20, dtype=torch.float64))
        start = torch.ones(1, SIZE, dtype=torch.float64)
        maps = (as_system(partial(_linear, linear), start), as_system(network))
        for model in maps:
            found = lyapunov(model, k=None, steps=STEPS, burn_in=STEPS, tolerance=np.inf)
            qr.append(np.sort(found.lyapunov.values[0])[::-1])
            svd.append(_by_singular_values(model))
        turn = as_system(partial(_linear, rotation), torch.ones(1, 20).double())
        found = lyapunov(turn, k=None, steps=200, burn_in=0, tolerance=np.inf)
        orthogonal.append(float(abs(found.lyapunov).max()))
    dims, shape = ("draw", "system", "exponent"), (draws, 2, SIZE)
    return xr.Dataset(
        {
            "qr": (dims, np.reshape(qr, shape)),
            "svd": (dims, np.reshape(svd, shape)),
            "orthogonal": ("draw", orthogonal),
        },
        coords={"system": ["linear map", "network"], "exponent": np.arange(1, SIZE + 1)},
    )


def _linear(weight: Tensor, x: Tensor | None, h: Tensor) -> Tensor:
    return h @ weight.mT


def _by_singular_values(model: System) -> np.ndarray:
    """Logarithm of the growth of the singular values of P_T from T to 2T steps, over T."""
    z = model.start(1)
    sums = np.zeros((2, SIZE))
    products = [torch.eye(len(compound(torch.eye(SIZE), k + 1))).double() for k in range(SIZE)]
    scale = np.zeros(SIZE)
    with torch.no_grad():
        for t in range(2 * STEPS):
            z, jacobian = model.jacobian(None, z)
            for k in range(SIZE):
                product = compound(jacobian[0], k + 1) @ products[k]
                size = product.abs().max()
                products[k], scale[k] = product / size, scale[k] + float(size.log())
            if (t + 1) % STEPS == 0:
                norms = [float(torch.linalg.matrix_norm(p, 2).log()) for p in products]
                sums[t // STEPS] = scale + norms
    growth = (sums[1] - sums[0]) / STEPS
    return np.diff(growth, prepend=0.0)


def judge(data: xr.Dataset) -> list[Verdict]:
    """Judge E44: both definitions agree, and a rotation has no exponent but 0."""
    distance = abs(data.qr - data.svd).max("exponent")
    parts = [
        part(
            f"largest difference between an exponent by QR and by singular values, {name}",
            distance.sel(system=name).max("draw").values,
            digits=".1e",
            most=1e-6,
        )
        for name in data.system.values.tolist()
    ]
    parts.append(
        part(
            "largest size of an exponent of an orthogonal linear map",
            data.orthogonal.max("draw").values,
            digits=".1e",
            most=1e-6,
        )
    )
    note = (
        "The maps are random and have five dimensions, and each number is that of the worst of "
        "them. At finite T the two definitions differ by a constant divided by T. So the growth "
        "from 120 to 240 steps is compared, where the Jacobian no longer changes."
    )
    return [verdict(E44, parts, note=note)]


def draw(data: xr.Dataset) -> Figure:
    """Draw every distance on one axis, a row for each kind of map, with the criterion.

    Args:
        data: `qr`, `svd` (draw, system, exponent), `orthogonal` (draw).

    Returns:
        The figure.
    """
    figure, axes = subplots(1, 1, width=6.5, height=1.9)
    axis = axes[0, 0]
    rows = {
        f"{k}, QR against SVD": abs(data.qr - data.svd).sel(system=k) for k in data.system.values
    }
    rows["orthogonal map, QR against 0"] = data.orthogonal
    for row, values in enumerate(rows.values()):
        shown = np.maximum(values.values.ravel(), SHOWN_AS_ZERO)
        at = row + np.linspace(-0.2, 0.2, shown.size)
        axis.plot(shown, at, "o", color=accents()[0], alpha=0.7)
    axis.axvline(TOLERANCE, color=accents()[1], lw=1)
    axis.text(TOLERANCE / 2, 2.4, "criterion, 1e-6", color=accents()[1], fontsize=8, ha="right")
    axis.set_yticks(range(len(rows)), list(rows))
    axis.set(xscale="log", xlim=(SHOWN_AS_ZERO / 10, 1e-3), ylim=(2.6, -0.6))
    axis.set(xlabel="distance of an exponent (1/step)")
    axis.grid(axis="y", visible=False)
    return figure


ITEM = Item(
    name="appendix-d",
    title="Lyapunov exponents by QR and by singular values",
    caption=(
        "The dots belong to all five exponents of three random linear maps (eigenvalues 1.2, 0.9, "
        "0.7, 0.5, 0.3, not normal) and of three random networks with gamma at their fixed point. "
        "They show the distance between an exponent by QR and by singular values (SVD) of the "
        "product of Jacobians. The last row is the size of the largest exponent of random "
        "orthogonal maps of 20 dimensions. What is left is rounding. Exponents are per step, with "
        "the natural logarithm. The paper has this in Appendix D."
    ),
    alt=(
        "Three rows of dots on a logarithmic axis, distances between exponents by QR and by "
        "singular values of linear maps and of networks, and from 0 of orthogonal maps: all lie "
        "below 1e-12, far to the left of the criterion at 1e-6."
    ),
    measure=measure,
    draw=draw,
    judge=judge,
    functions=("adaptrnn.analysis.lyapunov_exponent.lyapunov",),
    tests=("tests/analysis/test_lyapunov_exponent.py", "tests/paper/test_appendix_d.py"),
)
