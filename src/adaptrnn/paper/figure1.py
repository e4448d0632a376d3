"""Figure 1 shows the family of f-I curves, and how static and adaptive networks are wired."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from adaptrnn.activation import gamma
from adaptrnn.arun import ARUN
from adaptrnn.figure.style import (
    colour,
    ink,
    letters,
    muted,
    name_lines,
    shades,
    subplots,
)
from adaptrnn.paper.item import Item
from adaptrnn.paper.verdict import Claim, Verdict, part, verdict
from adaptrnn.rnn import RNN

__all__ = [
    "E01",
    "E02",
    "ITEM",
    "WIRING",
    "draw",
    "draw_wiring",
    "judge",
    "judge_wiring",
    "measure",
    "measure_wiring",
]

E01 = Claim(
    "E01",
    "Fig 1a",
    "gamma(x; n, s) interpolates known activations: softplus, ReLU, sigmoid, step.",
    "gamma is within 1e-6 of each of its four limits, and its derivatives agree with finite "
    "differences (gradcheck in float64)",
)
E02 = Claim(
    "E02",
    "Fig 1b-d",
    "Each neuron of ARUN is controlled by its own current only, by weights that all neurons share.",
    "Without controller weights ARUN is RNN+gamma with n and s at the controller's bias. Renaming "
    "the neurons renames the rates and changes nothing else. With W_hh = 0 a drive changes the "
    "neuron that gets it and no other",
)
SOFT, STEEP = 1.0, 1e6
ROUNDING = 1e-12
"""Rates of order 1 to 100 in float64, summed in another order over tens of steps."""


def measure() -> xr.Dataset:
    """Compute curves over a grid of (n, s), and the largest distance to each limit.

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
    """Judge E01: every limit is met to 1e-6 and the derivatives are right."""
    parts = [
        part(
            f"largest distance of gamma(x; n, s) from its limit {name}",
            float(value),
            digits=".1e",
            most=1e-6,
        )
        for name, value in zip(data.limit.values, data.deviation.values, strict=True)
    ]
    text = "derivatives of gamma agree with finite differences (gradcheck in float64; 1: yes)"
    parts.append(part(text, float(data.gradcheck), digits=".0f", least=1))
    return [verdict(E01, parts, note="These numbers need neither training nor a seed.")]


@torch.no_grad()
def measure_wiring(draws: int = 5, neurons: int = 12, steps: int = 30) -> xr.Dataset:
    """Measure what must be equal in random ARUNs with two inputs and a controller of 6 units.

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
            core = ARUN(2, neurons, controller_size=6).double()
            x = torch.randn(steps, 3, 2, dtype=torch.float64)
            order = torch.randperm(neurons)
        still = copy.deepcopy(core)
        for name, weight in still.controller.named_parameters():
            if name.startswith("weight"):
                weight.zero_()
        n, s = still.controller.get_parameter("bias_gc")
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
        alone.get_parameter("weight_hh_l0").zero_()
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
    """Judge E02: three equalities, and that the drive does reach the neuron it is given to."""
    tiny = {
        "static": "largest difference of rates of ARUN without controller weights and RNN+gamma",
        "permuted": "largest difference of rates with neurons renamed before and after the run",
        "foreign": "largest change of the rates of all other neurons when one is driven, W_hh = 0",
    }
    parts = [
        part(text, data[name].max("draw").values, digits=".1e", most=ROUNDING)
        for name, text in tiny.items()
    ]
    parts.append(
        part(
            "change of the driven neuron's rate, W_hh = 0, smallest over networks",
            data.own.min("draw").values,
            above=0.1,
        )
    )
    note = (
        "The networks are random, in float64 and not trained, and each number is that of the "
        "worst of them."
    )
    return [verdict(E02, parts, note=note)]


def draw(data: xr.Dataset) -> Figure:
    """Draw curves over the gain at s = 0 and s = 1, and over the saturation at the middle gain.

    Args:
        data: `rate` (n, s, x), with s from 0 to 1.
    """
    figure, axes = subplots(1, 3, width=8.5, height=2.9, sharey=True)
    middle = float(data.n[data.sizes["n"] // 2])
    panels: tuple[tuple[str, str, dict[str, float]], ...] = (
        ("s = 0: softplus to ReLU", "n", {"s": 0.0}),
        ("s = 1: sigmoid to step", "n", {"s": 1.0}),
        (f"n = {middle:g}: s from 0 to 1", "s", {"n": middle}),
    )
    for axis, (title, varied, fixed) in zip(axes[0], panels, strict=True):
        axis.plot(data.x, data.x, color=muted(), lw=0.8, ls=":")
        curves = data.rate.sel(fixed)
        for value, tone in zip(data[varied].values, shades(data.sizes[varied]), strict=True):
            label = f"{varied} = {value:g}"
            axis.plot(data.x, curves.sel({varied: value}), color=tone, label=label)
        axis.set(title=title, xlabel="input current x", ylim=(-0.1, float(data.x.max()) + 0.1))
    axes[0, 0].set_ylabel("rate gamma(x; n, s)")
    axes[0, 0].legend(handlelength=1.2)
    axes[0, 0].text(-0.1, -0.06, "dotted: x", color=muted(), fontsize=7, ha="right")
    ends = [
        (float(curves[k, -1]), f"s = {s:g}", tone)
        for k, (s, tone) in enumerate(zip(data.s.values, shades(data.sizes["s"]), strict=True))
    ]
    name_lines(axes[0, 2], ends)
    letters(axes)
    return figure


_HEIGHTS = (0.82, 0.5, 0.18)  # of the three neurons that stand for all


def draw_wiring(_data: xr.Dataset) -> Figure:
    """Draw both networks; the measures are numbers of the verdict and are not drawn."""
    figure, axes = subplots(1, 2, width=7.5, height=3.3, width_ratios=[1, 1.45])
    _network(axes[0, 0], adaptive=False)
    _network(axes[0, 1], adaptive=True)
    axes[0, 0].set_title("RNN+gamma")
    axes[0, 1].set_title("ARUN")
    letters(axes)
    return figure


def _network(axis: Axes, adaptive: bool) -> None:
    axis.set(xlim=(0, 1.45 if adaptive else 1.0), ylim=(0, 1), aspect="equal")
    axis.axis("off")
    _box(axis, (0.1, 0.5), "$x_t$", ink())
    for y in _HEIGHTS:
        _arrow(axis, (0.18, 0.5), (0.42, y), ink())
        axis.add_patch(Circle((0.52, y), 0.1, fill=False, ec=ink(), lw=1.3))
        t = np.linspace(-1, 1, 50)
        curve = np.log1p(np.exp(6 * t)) / 6
        axis.plot(0.52 + 0.06 * t, y - 0.05 + 0.1 * curve, color=colour("gamma"), lw=1.6)
        if adaptive:
            _box(axis, (1.05, y), "$g_t$", colour("arun"), wide=0.2)
            _arrow(axis, (0.62, y + 0.04), (0.93, y + 0.04), ink())
            _arrow(axis, (0.93, y - 0.04), (0.62, y - 0.04), colour("arun"))
            axis.text(0.78, y + 0.06, "$a_t$", ha="center", va="bottom", fontsize=8)
            below: dict[str, Any] = {
                "ha": "center",
                "va": "top",
                "fontsize": 8,
                "color": colour("arun"),
            }
            axis.text(0.78, y - 0.06, "$n_t, s_t$", **below)
            _loop(axis, (1.17, y), colour("arun"))
        else:
            axis.text(0.66, y, "$n_i, s_i$", va="center", fontsize=8, color=colour("gamma"))
    axis.text(0.52, 0.02, "$W_{hh}$", ha="center", va="center", fontsize=8)
    for low, high in ((0.28, 0.4), (0.6, 0.72)):
        _arrow(axis, (0.5, low), (0.5, high), ink())
        _arrow(axis, (0.54, high), (0.54, low), ink())
    if adaptive:
        words = "the same weights for all"
        axis.text(1.05, 0.02, words, ha="center", va="center", fontsize=8, color=colour("arun"))


def _box(axis: Axes, at: tuple[float, float], text: str, tone: str, wide: float = 0.12) -> None:
    corner = (at[0] - wide / 2, at[1] - 0.06)
    shape = FancyBboxPatch(corner, wide, 0.12, "round,pad=0.01", fill=False, ec=tone, lw=1.3)
    axis.add_patch(shape)
    axis.text(*at, text, ha="center", va="center", fontsize=9, color=tone)


def _arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float], tone: str) -> None:
    settings: dict[str, Any] = {
        "arrowstyle": "-|>",
        "mutation_scale": 7,
        "shrinkA": 0,
        "shrinkB": 0,
    }
    axis.add_patch(FancyArrowPatch(start, end, color=tone, lw=0.9, **settings))


def _loop(axis: Axes, at: tuple[float, float], tone: str) -> None:
    start, end = (at[0], at[1] + 0.03), (at[0], at[1] - 0.03)
    settings: dict[str, Any] = {
        "arrowstyle": "-|>",
        "mutation_scale": 7,
        "connectionstyle": "arc3,rad=-1.6",
    }
    axis.add_patch(FancyArrowPatch(start, end, color=tone, lw=0.9, **settings))


ITEM = Item(
    name="fig1-gamma",
    title="The family of f-I curves",
    caption=(
        "The f-I curve is gamma(x; n, s) = (1-s) ln(1+exp(n x))/n + s/(1+exp(-n x)). Panel a has s "
        "= 0, where the curve goes from softplus to ReLU as the gain n grows. Panel b has s = 1, "
        "where it goes from the sigmoid to a step. Panel c has one gain, and the saturation s goes "
        "from 0 to 1. On the dotted line the rate equals the current. The paper shows this in Fig "
        "1a."
    ),
    alt=(
        "f-I curves in three panels: with s = 0 they sharpen from softplus to ReLU as the gain "
        "grows, with s = 1 from a sigmoid to a step, and between them s from 0 to 1 bends the "
        "upper end down."
    ),
    measure=measure,
    draw=draw,
    judge=judge,
    functions=("adaptrnn.activation.gamma",),
    tests=("tests/test_activation.py",),
)

WIRING = Item(
    name="fig1-wiring",
    title="Static and adaptive networks",
    caption=(
        "Panel a is RNN+gamma, where each neuron has a gain n and a saturation s of its own, or "
        "all share one pair. Panel b is ARUN, where next to each neuron a small recurrent network, "
        "the controller, reads the neuron's current a and sets its n and s at every step. All "
        "neurons use the same controller weights (one colour), but each has a controller state g "
        "of its own, and neurons meet only through W_hh. What this wiring makes equal is measured "
        "on random networks, and the verdict has the numbers. The paper shows this in Fig 1b-d."
    ),
    alt=(
        "Two diagrams of three neurons each. RNN+gamma: an input, neurons that meet through W_hh, "
        "each with its own n and s. ARUN: the same, and next to each neuron a recurrent controller "
        "that reads its current and returns its n and s; all controllers share their weights."
    ),
    measure=measure_wiring,
    draw=draw_wiring,
    judge=judge_wiring,
    functions=(
        "adaptrnn.arun.ARUN",
        "adaptrnn.rnn.RNN",
        "adaptrnn.controller.AdaptationController",
    ),
    tests=("tests/test_arun.py", "tests/test_rnn.py"),
)
