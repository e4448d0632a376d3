"""Figure 1a: the family of f-I curves."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr

from adaptrnn.activation import gamma
from adaptrnn.figure.gamma_family import gamma_family
from adaptrnn.paper.item import Item
from adaptrnn.paper.verdict import Claim, Verdict, part, verdict

E01 = Claim(
    "E01",
    "Fig 1a",
    "gamma(x; n, s) interpolates known activations: softplus, ReLU, sigmoid, step.",
    "limits to 1e-6; derivatives by gradcheck in float64",
)
SOFT, STEEP = 1.0, 1e6


def measure() -> xr.Dataset:
    """Curves over a grid of (n, s), and the largest distance to each limit.

    Returns:
        rate (n, s, x); deviation (limit,); gradcheck () 1 or 0.
    """
    n, s = np.array([1.0, 2.0, 5.0, 10.0, 50.0]), np.linspace(0, 1, 5)
    x = np.linspace(-2, 2, 201)
    grid = [torch.from_numpy(v) for v in np.broadcast_arrays(x, n[:, None, None], s[:, None])]
    rate = gamma(*(v.contiguous() for v in grid)).numpy()
    u = torch.linspace(-20, 20, 4001, dtype=torch.float64)
    away = u[u.abs() > 1e-3]  # the step has no value at 0 to compare with
    limits = {
        "softplus": gamma(u, SOFT, 0.0) - torch.nn.functional.softplus(u, threshold=1e9),
        "sigmoid": gamma(u, SOFT, 1.0) - torch.sigmoid(u),
        "ReLU": gamma(u, STEEP, 0.0) - torch.relu(u),
        "step": gamma(away, STEEP, 1.0) - (away > 0).double(),
    }
    points = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in _POINTS]
    exact = torch.autograd.gradcheck(gamma, points, raise_exception=False)
    return xr.Dataset(
        {
            "rate": (("n", "s", "x"), rate),
            "deviation": ("limit", [float(d.abs().max()) for d in limits.values()]),
            "gradcheck": ((), float(exact)),
        },
        coords={"n": n, "s": s, "x": x, "limit": list(limits)},
    )


_POINTS = ([-3.0, -0.2, 0.1, 2.0], [5.0, 0.5, -2.0, 20.0], [0.3, -0.1, 1.0, 0.0])


def judge(data: xr.Dataset) -> list[Verdict]:
    """E01: every limit is met to 1e-6 and the derivatives are right."""
    parts = [
        part(f"distance to {name}", [float(value)], lambda d: d <= 1e-6, digits=".1e")
        for name, value in zip(data.limit.values, data.deviation.values, strict=True)
    ]
    passed = [float(data.gradcheck)]
    parts.append(part("gradcheck passed (1: yes)", passed, lambda value: value == 1, digits=".0f"))
    return [verdict(E01, parts, "Needs no training and no seed.")]


ITEM = Item(
    name="fig1-gamma",
    title="The family of f-I curves",
    caption=(
        "gamma(x; n, s) = (1-s) ln(1+exp(n x))/n + s/(1+exp(-n x)). a: s = 0, from softplus to "
        "ReLU as the gain n grows. b: s = 1, from the sigmoid to a step. c: one gain, saturation s "
        "from 0 to 1. Paper: Fig 1a."
    ),
    models=(),
    measure=measure,
    draw=gamma_family,
    judge=judge,
)
