"""Figure 1: the family of f-I curves, and how static and adaptive networks are wired."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
import xarray as xr

from adaptrnn.activation import gamma
from adaptrnn.arun import ARUN
from adaptrnn.figure.gamma_family import gamma_curves
from adaptrnn.figure.wiring import wiring_diagram
from adaptrnn.paper.item import Item
from adaptrnn.paper.verdict import Claim, Verdict, part, verdict
from adaptrnn.rnn import RNN

__all__ = ["E01", "E02", "ITEM", "WIRING", "judge", "judge_wiring", "measure", "measure_wiring"]

E01 = Claim(
    "E01",
    "Fig 1a",
    "gamma(x; n, s) interpolates known activations: softplus, ReLU, sigmoid, step.",
    "limits to 1e-6; derivatives by gradcheck in float64",
)
E02 = Claim(
    "E02",
    "Fig 1b-d",
    "Each neuron of ARUN is controlled by its own current only, by weights that all neurons share.",
    "without controller weights ARUN is RNN+gamma with n and s at the controller's bias; "
    "renaming the neurons renames the rates and changes nothing else",
)
SOFT, STEEP = 1.0, 1e6
ROUNDING = 1e-12
"""Rates of order 1 to 100 in float64, summed in another order over tens of steps."""


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
        part(f"largest distance to {name}", float(value), digits=".1e", most=1e-6)
        for name, value in zip(data.limit.values, data.deviation.values, strict=True)
    ]
    text = "derivatives agree with finite differences (gradcheck in float64; 1: yes)"
    parts.append(part(text, float(data.gradcheck), digits=".0f", least=1))
    return [verdict(E01, parts, note="Needs no training and no seed.")]


@torch.no_grad()
def measure_wiring(draws: int = 5, neurons: int = 12, steps: int = 30) -> xr.Dataset:
    """What must be equal, of random ARUNs with two inputs and a controller of six units.

    Args:
        draws: number of networks.
        neurons: N of each.
        steps: T of a random input of three sequences.

    Returns:
        Largest differences of rates, (draw,): static, between ARUN with all weights of its
        controller 0 and RNN+gamma with n and s at the controller's bias; permuted, between a
        network whose neurons were renamed and the first with its rates renamed; foreign, of all
        other neurons when one neuron gets a drive and W_hh = 0; own, of that neuron itself.
    """
    found: dict[str, list[float]] = {"static": [], "permuted": [], "foreign": [], "own": []}
    for draw in range(draws):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(draw)
            core: Any = ARUN(2, neurons, controller_size=6).double()
            x = torch.randn(steps, 3, 2, dtype=torch.float64)
            order = torch.randperm(neurons)
        still = copy.deepcopy(core)
        for name, weight in still.controller.named_parameters():
            if name.startswith("weight"):
                weight.zero_()
        n, s = still.controller.bias_gc
        fixed = RNN(2, neurons, nonlinearity="gamma", n=float(n), s=float(s)).double()
        fixed.load_state_dict(
            {k: v for k, v in still.state_dict().items() if not k.startswith("controller")},
            strict=False,
        )
        found["static"].append(_distance(still(x)[0], fixed(x)[0]))
        renamed = copy.deepcopy(core)
        for name, weight in renamed.named_parameters():
            if name == "weight_hh_l0":
                weight.copy_(weight[order][:, order])
            elif not name.startswith("controller"):
                weight.copy_(weight[order])
        found["permuted"].append(_distance(renamed(x)[0], core(x)[0][..., order]))
        alone = copy.deepcopy(core)
        alone.weight_hh_l0.zero_()
        drive = torch.zeros(steps, 1, neurons, dtype=torch.float64)
        drive[:, :, 0] = 1.0
        change = (alone(x, drive=drive)[0] - alone(x)[0]).abs()
        found["foreign"].append(float(change[..., 1:].max()))
        found["own"].append(float(change[..., 0].max()))
    return xr.Dataset(
        {name: ("draw", values) for name, values in found.items()},
        coords={"draw": np.arange(draws)},
    )


def _distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max())


def judge_wiring(data: xr.Dataset) -> list[Verdict]:
    """E02: three equalities, and that the drive does reach the neuron it is given to."""
    tiny = {
        "static": "ARUN without controller weights minus RNN+gamma, largest difference of rates",
        "permuted": "neurons renamed before minus after the run, largest difference of rates",
        "foreign": "largest change of all other neurons when one is driven, W_hh = 0",
    }
    parts = [
        part(text, data[name].max("draw").values, digits=".1e", most=ROUNDING)
        for name, text in tiny.items()
    ]
    parts.append(
        part("smallest change of the driven neuron", data.own.min("draw").values, above=0.1)
    )
    note = "Random networks in float64, the worst of them; needs no training."
    return [verdict(E02, parts, note=note)]


ITEM = Item(
    name="fig1-gamma",
    title="The family of f-I curves",
    caption=(
        "gamma(x; n, s) = (1-s) ln(1+exp(n x))/n + s/(1+exp(-n x)). a: s = 0, from softplus to "
        "ReLU as the gain n grows. b: s = 1, from the sigmoid to a step. c: one gain, saturation s "
        "from 0 to 1. Paper: Fig 1a."
    ),
    measure=measure,
    draw=gamma_curves,
    judge=judge,
    functions=("adaptrnn.activation.gamma",),
    tests=("tests/test_activation.py",),
)

WIRING = Item(
    name="fig1-wiring",
    title="Static and adaptive networks",
    caption=(
        "a: RNN+gamma; each neuron has a gain n and a saturation s of its own, or all share one "
        "pair. b: ARUN; next to each neuron a small recurrent network, the controller, reads the "
        "neuron's current a and sets its n and s at every step. All neurons use the same "
        "controller weights (one colour), each with a state g of its own; neurons meet only "
        "through W_hh. c: largest differences of rates that this wiring makes 0, of five random "
        "networks of 12 neurons in float64, and of the driven neuron, which is not 0. Paper: "
        "Fig 1b-d."
    ),
    measure=measure_wiring,
    draw=wiring_diagram,
    judge=judge_wiring,
    functions=(
        "adaptrnn.arun.ARUN",
        "adaptrnn.rnn.RNN",
        "adaptrnn.controller.AdaptationController",
    ),
    tests=("tests/test_arun.py", "tests/test_rnn.py"),
)
