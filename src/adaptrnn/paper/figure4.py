"""Figure 4 shows adaptation under steps of drive, and its fractional order."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adaptrnn._error import InputError
from adaptrnn.analysis.statistic import holm, paired_test, unpaired_test
from adaptrnn.figure.order import neuron_orders, order_panels
from adaptrnn.figure.response import SIGNALS, step_response_curves
from adaptrnn.figure.style import (
    accents,
    count_seeds,
    drive_axis,
    ink,
    letters,
    mean_and_seeds,
    name_lines,
    shade_bar,
    subplots,
    task_title,
)
from adaptrnn.paper.item import Item, RunData
from adaptrnn.paper.note import means_along
from adaptrnn.paper.ordering import TASK_LABELS as ROLE_NAMES
from adaptrnn.paper.ordering import drop_missing
from adaptrnn.paper.verdict import Claim, Part, Verdict, part, verdict

__all__ = [
    "ITEM",
    "NEURON_ORDERS",
    "SIGN_NOTE",
    "TASK_ORDERS",
    "draw",
    "draw_orders",
    "draw_tasks",
    "judge",
    "judge_orders",
    "judge_tasks",
    "measure",
    "measure_orders",
    "measure_tasks",
]

E19 = Claim(
    "E19",
    "Fig 4a",
    "Under a step of drive n and s jump by an amount that depends on ξ, then decay exponentially "
    "to a steady state that depends on ξ.",
    "For ξ ≥ 1 the exponentials fitted to the means of n and s over neurons have R² ≥ 0.9 (ours). "
    "Jump and steady state of both at ξ = 30 differ from those at ξ = 1 (related t-test, p < "
    "0.05)",
    {"psmnist": ("arun",)},
)
E20 = Claim(
    "E20-23",
    "Fig 4b, c",
    "Neurons differ in fractional order; in the network most integrate the step (alpha > 0); "
    "isolated they shift to differentiation, and more than half differentiate.",
    "The standard deviation of alpha over neurons is ≥ 0.05 (ours), and more than half of the "
    "neurons in the network have alpha > 0. The mean shift of alpha from neurons in the network "
    "to isolated ones is below 0, paired over seeds, and more than half of the isolated neurons "
    "have alpha < 0",
    {"psmnist": ("arun",)},
)
E25_NEURONS = Claim(
    "E25",
    "control of Fig 4b, c",
    "Ours: do the signs of E20-23 survive an estimator that cannot take a gain for an order?",
    "The paper states nothing that could fail, so nothing is judged",
    {"psmnist": ("arun",)},
)
E24 = Claim(
    "E24",
    "Fig 4d",
    "alpha(ξ) differs between psMNIST and sCIFAR10 with convolutional encoder; it depends on ξ and "
    "rises to a plateau.",
    "By the paper's tests alpha differs between tasks with p < 0.05 at every ξ ≥ 1 (independent "
    "t-test), and between ξ = 1 and 30 with p < 0.05 in each task (related t-test). In each task "
    "alpha(30) is above alpha(1)",
    {"psmnist": ("arun",), "scifar10-conv": ("arun",)},
)
E25_TASKS = Claim(
    "E25",
    "control of Fig 4d",
    "Ours: is the course of E24 still there by an estimator that cannot take a gain for an order?",
    "The paper states nothing that could fail, so nothing is judged",
    {"psmnist": ("arun",), "scifar10-conv": ("arun",)},
)

SIGN_NOTE = (
    "The fractional operator acts on the activity, and the result is compared with the step. So "
    "alpha > 0 means that the activity is a fractional integral of the step (it sensitises), and "
    "alpha < 0 that it is a fractional derivative (it adapts). In the paper's formula r = D^alpha "
    "u, alpha has the opposite sign."
)
PROTOCOL_NOTE = (
    "The released scripts have two protocols, and both are used here. Protocol A has 150 steps, a "
    "drive from step 51 to step 100, and noise with a standard deviation of 0.1. Protocol B has "
    "300 steps, a drive from step 102 to step 201, and noise with a standard deviation of 5."
)


# --- Fig 4a -------------------------------------------------------------------------------------


def measure(run: RunData) -> xr.Dataset:
    """Measure means over neurons of n, s, h, (time, xi), and the fits to them and to each neuron.

    Before, during and after the step lie 200/784 of the sequence that the network was trained on:
    what it does far beyond that length it was never asked for. Fits with the paper's 200 steps
    are kept next to them, as _long.
    """
    found = run.analyses["step_response"]
    if "step_trained" not in found.attrs:
        raise InputError(
            f"{run.name}: its step_response lacks the response within the trained length. Run  "
            f"adaptrnn analyze step_response {run.name} --force"
        )
    steps = int(found.attrs["step_trained"][0])
    time = found.time_trained - steps
    result = xr.Dataset(coords={"time": time.values, "xi": found.xi.values})
    for name in SIGNALS:
        result[f"{name}_mean"] = ("time", "xi"), found[f"{name}_trained"].mean("neuron").values
        for key in ("r2", "tau", "steady", "jump"):
            result[f"{name}_mean_{key}"] = "xi", found[f"{name}_mean_{key}_trained"].values
        # the fit to each neuron is judged by the middle one
        result[f"{name}_r2"] = "xi", found[f"{name}_r2_trained"].median("neuron").values
        result[f"{name}_mean_r2_long"] = "xi", found[f"{name}_mean_r2"].values
    return result.astype("float32").assign(steps=float(steps))


def judge(data: xr.Dataset) -> list[Verdict]:
    """Judge E19 by fits to the mean curves at drives of 1 or more, and by the drive's effect."""
    arun = data.sel(role="psmnist", model="arun").astype(float)
    strong = arun.sel(xi=arun.xi >= 1)
    parts, shown, notes = [], [], []
    fit = "R² of the exponential fitted to"
    for name in ("n", "s"):
        mean, each = strong[f"{name}_mean_r2"], strong[f"{name}_r2"]
        text = f"{fit} the mean of {name} over neurons, median over drives ξ ≥ 1"
        parts.append(part(text, mean.median("xi").values, least=0.9))
        for key, what in (
            ("jump", "jump at the onset of a drive ξ"),
            ("steady", "steady state under a drive ξ"),
        ):
            values = arun[f"{name}_mean_{key}"]
            parts.append(_depends(f"mean {name} over neurons, {what}", values))
            change = (values.sel(xi=30.0) - values.sel(xi=1.0)).values
            shown.append(
                part(
                    f"mean {name} over neurons, {what}: at ξ = 30 minus at ξ = 1",
                    change,
                    "",
                    "+.3f",
                )
            )
        text = f"{fit} the mean of {name} over neurons, smallest over drives ξ ≥ 1"
        shown.append(part(text, mean.min("xi").values, least=0.9))
        text = f"{fit} {name} of each neuron, median neuron, median over drives ξ ≥ 1"
        shown.append(part(text, each.median("xi").values, least=0.9))
        text = f"{fit} the mean of {name} over neurons, median over all drives ξ"
        shown.append(part(text, arun[f"{name}_mean_r2"].median("xi").values, least=0.9))
        text = f"{fit} {name} of each neuron, median neuron, median over all drives ξ"
        shown.append(part(text, arun[f"{name}_r2"].median("xi").values, least=0.9))
        ends = means_along(arun[f"{name}_mean_steady"], "xi", ".3g", "ξ = ")
        if ends:
            tau = float(arun[f"{name}_mean_tau"].median())
            late = float(arun[f"{name}_mean_r2_long"].median())
            notes.append(
                f"For the mean of {name} over neurons, the median time constant is {tau:.1f} "
                f"steps, and the steady state is {ends}. With the paper's 200 steps, the median R² "
                f"of the fit to this mean is {late:.2f}."
            )
    return [verdict(E19, parts, shown, note=" ".join([*notes, _CHOSEN_AFTER]))]


def _depends(what: str, values: xr.DataArray) -> Part:
    """Whether values (seed, xi) at the drives 1 and 30 differ, by the related t-test."""
    p = related(values)
    return part(
        f"{what}: p-value of the change from ξ = 1 to 30 (related t-test)", p, "", ".2g", below=0.05
    )


def related(values: xr.DataArray) -> float:
    """Return the p-value of the related t-test between drives of 1 and 30; NaN for one seed.

    Example:
        >>> rows = {"seed": [0, 1, 2], "xi": [1.0, 30.0]}
        >>> round(related(xr.DataArray([[0.0, 1.0], [0.0, 1.1], [0.0, 0.9]], rows)), 4)
        0.0033
    """
    pair = values.sel(xi=[1.0, 30.0]).dropna("seed")
    if pair.sizes["seed"] < 2:
        return float("nan")
    ends = [pair.sel(xi=xi, drop=True) for xi in (30.0, 1.0)]
    test = paired_test(*ends, resamples=1)
    if not bool(test.p_t.notnull()):  # all seeds alike: no doubt, or no change
        return 0.0 if bool(test.difference != 0) else 1.0
    return float(test.p_t)


def draw(data: xr.Dataset) -> Figure:
    """Draw the means over neurons of n_t, s_t and h_t, of the first network and of all networks.

    Args:
        data: `n_mean`, `s_mean`, `h_mean` (role, model, seed, time, xi) of one role and model, time
            0 at the onset; `steps` (role, model, seed), for how long the drive is on. Seeds without
            a number are left out.

    Returns:
        The figure: above one network; below, with more than one, the mean over networks of the
        change since just before the onset.
    """
    data = drop_missing(data).isel(role=0, model=0)
    one, rows = data.isel(seed=[0]), 1 + (data.sizes["seed"] > 1)
    figure, axes = subplots(rows, 3, width=9, height=0.6 + 2.4 * rows, sharex=True)
    before = data.sel(time=slice(None, -1)).isel(time=slice(-10, None)).mean("time")
    edges = (0.0, float(data.steps.max()))
    for name, column in zip(SIGNALS, axes.T, strict=True):
        step_response_curves(column[0], one[f"{name}_mean"], edges)
        column[0].set_ylabel(SIGNALS[name])
        if rows > 1:
            change = data[f"{name}_mean"] - before[f"{name}_mean"]
            step_response_curves(column[1], change, edges)
            column[1].set_ylabel(f"change of {SIGNALS[name]}")
        column[-1].set_xlabel("steps from the onset")
    for axis in axes[:, 2]:
        axis.set_yscale("symlog", linthresh=1)
        axis.set_ylim(bottom=min(-0.2, 1.2 * float(data.h_mean.min().fillna(0))))
    shade_bar(figure, axes, data.xi.values.tolist(), "drive ξ")
    axes[0, 0].set_title(f"network {one.seed.values[0]}")
    axes[0, 1].set_title(task_title(data))
    if rows > 1:
        axes[1, 0].set_title("mean of all")
        count_seeds(axes[1, 2], data.n_mean, corner=(0.03, 0.97))
    letters(axes)
    return figure


_CHOSEN_AFTER = (
    "The length of the step was chosen after a first look at the results. With the paper's 200 "
    "steps, which reach far beyond the length that these networks were trained on, the fits were "
    "worse. The fits to means over neurons were added at the same time."
)

ITEM = Item(
    name="fig4-step",
    title="Gain, saturation and rate under steps of drive",
    caption=(
        "The curves are means over the neurons of ARUN of gain, saturation and rate, while a drive "
        "ξ is switched on and off (dotted), with no other input. The upper row shows one network. "
        "The lower row shows the change since just before the onset as the mean over networks, "
        "with a band from the 10th to the 90th percentile for the largest drive. Each part lasts "
        "200/784 of the sequence that the network was trained on. The paper shows this in Fig 4a."
    ),
    alt=(
        "Gain, saturation and rate against time under steps of seven sizes of drive: each jumps at "
        "the onset and relaxes while the drive lasts. Above one network, below the change averaged "
        "over networks."
    ),
    roles=("psmnist",),
    models=("arun",),
    analyses=("step_response",),
    measure=measure,
    draw=draw,
    judge=judge,
    functions=(
        "adaptrnn.analysis.response.step_response",
        "adaptrnn.analysis.response.describe_step",
    ),
    tests=("tests/analysis/test_response.py",),
)


# --- Fig 4b, c ----------------------------------------------------------------------------------


def measure_orders(run: RunData) -> xr.Dataset:
    """Measure the orders of all neurons' rates, and their shift in isolated neurons.

    Returns:
        order and excess, which is order minus that of a memoryless unit of the same amplitude,
        (protocol, estimator, network, xi, neuron), NaN where the order is not within the range
        tried; shift and p (quantity, protocol, estimator), isolated minus interacting of each
        neuron's mean over those drives at which it has an order in both, and the permutation test
        over neurons; pairs (protocol, estimator), the number of neurons compared.
    """
    found = run.analyses["fractional"].sel(signal="h", drop=True)
    both = found.order.notnull().all("network")
    kept = {"order": found.order, "excess": found.order - found.null_order}
    shape = (len(kept), found.sizes["protocol"], found.sizes["estimator"])
    shift, p = np.full(shape, np.nan), np.full(shape, np.nan)
    for (i, j, k), _ in np.ndenumerate(shift):
        values = list(kept.values())[i].where(both).isel(protocol=j, estimator=k).mean("xi")
        values = values.dropna("neuron")
        if values.sizes["neuron"] > 1:
            pair = [values.sel(network=name, drop=True) for name in ("isolated", "interacting")]
            test = paired_test(*pair, unit="neuron", alternative="less", resamples=999)
            shift[i, j, k], p[i, j, k] = float(test.difference), float(test.p_permutation)
    dims = ("protocol", "estimator", "network", "xi", "neuron")
    result = xr.Dataset({k: v.transpose(*dims) for k, v in kept.items()}).astype("float32")
    result["shift"] = ("quantity", "protocol", "estimator"), shift
    result["p"] = ("quantity", "protocol", "estimator"), p
    result["pairs"] = both.any("xi").sum("neuron").astype("float32")
    neurons = np.arange(result.sizes["neuron"])
    return result.assign_coords(quantity=list(kept), neuron=neurons)


def judge_orders(data: xr.Dataset) -> list[Verdict]:
    """Judge E20 to E23, each protocol by the paper's estimator, and E25, the controls."""
    arun = data.sel(role="psmnist", model="arun")
    parts: list[Part] = []
    shown: list[Part] = []
    controls: list[Part] = []
    notes = []
    for protocol in data.protocol.values.tolist():
        at = arun.sel(protocol=protocol)
        paper = at.sel(estimator="paper")
        inside, isolated = (
            paper.order.sel(network=name).astype(float) for name in ("interacting", "isolated")
        )
        test = paper.sel(quantity="order")
        parts += [
            part(
                f"protocol {protocol}: standard deviation of fractional order alpha over neurons "
                "in the network",
                inside.std("neuron").mean("xi").values,
                least=0.05,
            ),
            part(
                f"protocol {protocol}: share of neurons in the network with fractional order "
                "alpha > 0",
                100 * _share(inside, 1).values,
                "%",
                ".0f",
                above=50,
            ),
            part(
                f"protocol {protocol}: fractional order alpha, isolated minus in the network, mean "
                "over neurons",
                test["shift"].values,
                "",
                "+.3f",
                below=0,
            ),
            part(
                f"protocol {protocol}: share of isolated neurons with fractional order alpha < 0",
                100 * _share(isolated, -1).values,
                "%",
                ".0f",
                above=50,
            ),
        ]
        shown.append(_over_neurons(f"protocol {protocol}: fractional order alpha", test))
        free = at.sel(estimator="scale-free")
        for what, values, quantity in (
            (_FREE_ALPHA, free.order, free.sel(quantity="order")),
            (
                "fractional order alpha minus that of a memoryless unit",
                paper.excess,
                paper.sel(quantity="excess"),
            ),
        ):
            name = f"protocol {protocol}: {what}"
            mean = values.sel(network="interacting").mean(["xi", "neuron"]).values
            controls += [
                part(f"{name}, in the network, mean over neurons", mean, "", "+.3f", above=0),
                part(
                    f"{name}, isolated minus in the network, mean over neurons",
                    quantity["shift"].values,
                    "",
                    "+.3f",
                    below=0,
                ),
                _over_neurons(name, quantity),
            ]
        if bool(inside.notnull().any()):
            groups = [
                f"{float(one.where(sign * one > 0).mean()):+.2f}"
                for one in (inside, isolated)
                for sign in (1, -1)
            ]
            notes.append(
                f"In protocol {protocol}, the mean order in the network is {groups[0]} over "
                f"neurons with alpha > 0 and {groups[1]} over those with alpha < 0. Over isolated "
                f"neurons these means are {groups[2]} and {groups[3]}. Pairs of a neuron and a "
                "drive are left out if the neuron is silent or constant, or if its order is not "
                f"between -1 and 1, which are {_left_out(inside)} in the network and "
                f"{_left_out(isolated)} of isolated neurons."
            )
    replicate = (
        "The test over neurons compares the neurons of one network, each by its mean over drives, "
        "and the spread is over seeds."
    )
    return [
        verdict(E20, parts, shown, note=" ".join([*notes, replicate, PROTOCOL_NOTE, SIGN_NOTE])),
        verdict(E25_NEURONS, shown=controls, note=f"{_FREE} {PROTOCOL_NOTE}"),
    ]


def _share(order: xr.DataArray, sign: int) -> xr.DataArray:
    """Share of the neurons and drives that have an order whose order has this sign, (seed,)."""
    has = order.notnull().sum(["xi", "neuron"])
    return (sign * order > 0).sum(["xi", "neuron"]) / has.where(has > 0)


def _left_out(order: xr.DataArray) -> str:
    """How many neurons and drives have no order, of how many, over the seeds that have any."""
    there = order.dropna("seed", how="all")
    return f"{int(there.isnull().sum())} of {there.size} pairs"


def _over_neurons(what: str, test: xr.Dataset) -> Part:
    """The p-value over the neurons of each network that its isolated neurons shift down."""
    text = f"{what}, p-value over neurons that it is lower in isolated neurons"
    return part(text, test.p.values, "", ".3f", below=0.05)


_FREE_ALPHA = "fractional order alpha by the scale-free estimator"
_FREE = (
    "The paper's estimator fits no amplitude, so it gives a memoryless unit r = c u an order that "
    "grows with c: -0.31 at c = 0.25, 0 at c = 1 and +0.34 at c = 4. The scale-free estimator fits "
    "amplitude and offset together with the order, and gives every memoryless unit the order 0."
)


def draw_orders(data: xr.Dataset) -> Figure:
    """Draw the order of every neuron against the drive, in the network and isolated.

    Args:
        data: `order`, `excess` (role, model, seed, protocol, estimator, network, xi, neuron) of one
            role and model.
    """
    data = drop_missing(data).isel(role=0, model=0)
    figure, axes = order_panels(data, r"order $\alpha$ of the rate")
    for (protocol, estimator), axis in axes.items():
        one = data.sel(protocol=protocol, estimator=estimator)
        inside = one.sel(network="interacting")
        null = (inside.order - inside.excess).mean(["neuron", "seed"])
        neuron_orders(axis, one.order, null)
        axis.label_outer()
    first = next(iter(axes.values()))
    figure.legend(*first.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    seeds = data.sizes["seed"]
    count = f"n = {seeds} network{'' if seeds == 1 else 's'} of {data.sizes['neuron']} neurons"
    figure.suptitle(f"{task_title(data)}; {count}", fontsize=9)
    return figure


NEURON_ORDERS = Item(
    name="fig4-orders",
    title="Fractional orders of neurons, in the network and isolated",
    caption=(
        "The dots are the orders alpha of every neuron's rate relative to a step of drive of size "
        "ξ, for all seeds. The lines are means of the neurons with alpha > 0 and with alpha < 0 "
        "over seeds, full and filled in the network, dashed and open for isolated neurons. The "
        "rows are protocols A and B, and the columns are the paper's estimator and the scale-free "
        "one. In an isolated network W_hh is replaced by its diagonal. A cross is the order that "
        "the estimator gives a memoryless unit of the same amplitude, as the mean over interacting "
        "neurons. A neuron with alpha > 0 integrates the step, and one with alpha < 0 "
        "differentiates it. The paper shows this in Fig 4b, c."
    ),
    alt=(
        "Dots for the fractional order of every neuron against the drive, in four panels for two "
        "protocols and two estimators, with lines for the mean of positive and of negative orders, "
        "in the network and isolated; above each panel stands the share of positive orders."
    ),
    roles=("psmnist",),
    models=("arun",),
    analyses=("fractional",),
    measure=measure_orders,
    draw=draw_orders,
    judge=judge_orders,
    functions=(
        "adaptrnn.analysis.fractional.fractional_order",
        "adaptrnn.analysis.isolation.isolate",
        "adaptrnn.analysis.statistic.paired_test",
    ),
    tests=(
        "tests/analysis/test_fractional.py",
        "tests/analysis/test_isolation.py",
        "tests/analysis/test_statistic.py",
    ),
)


# --- Fig 4d -------------------------------------------------------------------------------------


def measure_tasks(run: RunData) -> xr.Dataset:
    """Average the order of the rates over neurons, (protocol, estimator, network, xi)."""
    found = run.analyses["fractional"].sel(signal="h", drop=True)
    mean = found.order.mean("neuron")
    return xr.Dataset({"order": mean.transpose("protocol", "estimator", "network", "xi")})


def judge_tasks(data: xr.Dataset) -> list[Verdict]:
    """Judge E24 by the paper's estimator, and E25, the same by the scale-free one."""
    verdicts = []
    inside = data.order.sel(model="arun", network="interacting", drop=True).astype(float)
    for claim, estimator in ((E24, "paper"), (E25_TASKS, "scale-free")):
        parts, shown, notes = [], [], []
        for protocol in data.protocol.values.tolist():
            order = inside.sel(estimator=estimator, protocol=protocol, drop=True)
            p, few, note = _differ(order)
            at = f"protocol {protocol}, {'fractional order alpha' if claim is E24 else _FREE_ALPHA}"
            text = (
                f"{at}: largest p-value of the difference between tasks over drives ξ ≥ 1 "
                "(independent t-test)"
            )
            parts.append(part(text, p, "", ".2g", below=0.05))
            text = (
                f"{at}: number of drives (of {order.sizes['xi']}) at which the tasks differ with "
                "p < 0.05"
            )
            shown.append(part(text, few, "", ".0f", above=order.sizes["xi"] / 2))
            notes.append(f"In protocol {protocol}, {note}")
            for role in data.role.values.tolist():
                one = order.sel(role=role, drop=True)
                name = f"{at}, {ROLE_NAMES[role]}"
                parts.append(_depends_alpha(name, one))
                rise = (one.sel(xi=30.0) - one.sel(xi=1.0)).values
                parts.append(part(f"{name}: {_change(1, 30)}", rise, "", "+.3f", above=0))
                shown += _plateau(name, one)
        both = [_FREE] if claim is E25_TASKS else [SIGN_NOTE, PROTOCOL_NOTE]
        note = " ".join([*notes, *both])
        if claim is E24:
            verdicts.append(verdict(claim, parts, shown, note=note))
        else:
            verdicts.append(verdict(claim, shown=[*parts, *shown], note=note))
    return verdicts


def _change(first: float, last: float) -> str:
    return f"value at drive ξ = {last:g} minus value at ξ = {first:g}"


def _depends_alpha(where: str, order: xr.DataArray) -> Part:
    text = f"{where}: p-value of the change from drive ξ = 1 to 30 (related t-test)"
    return part(text, related(order), "", ".2g", below=0.05)


def _plateau(where: str, order: xr.DataArray) -> list[Part]:
    """The whole rise, and how much of it comes after ξ = 10."""
    first, late, last = (order.sel(xi=xi, drop=True) for xi in (0.5, 10.0, 30.0))
    rise = last - first
    text = (
        f"{where}: size of the change from drive ξ = 10 to 30 minus 15% of the rise from ξ = 0.5 "
        "to 30"
    )
    return [
        part(f"{where}: {_change(0.5, 30)}", rise.values, "", "+.3f", above=0),
        part(f"{where}: {_change(10, 30)}", (last - late).values, "", "+.3f"),
        part(f"{where}: {_change(0.5, 10)}", (late - first).values, "", "+.3f"),
        part(text, (abs(last - late) - 0.15 * rise).values, "", "+.3f", most=0),
    ]


def _differ(order: xr.DataArray) -> tuple[float, float, str]:
    """Largest p between tasks over drives of 1 and more, number below 0.05, and p at each."""
    sides = [order.isel(role=k, drop=True).dropna("seed", how="all") for k in range(2)]
    counts = [side.sizes["seed"] for side in sides]
    if min(counts) < 2:
        return np.nan, np.nan, "the tasks are not tested, because that needs two seeds of each."
    test = unpaired_test(*sides, resamples=199)
    p = test.p_t.values
    held = int((holm(p) < 0.05).sum())
    note = (
        "the p-value of the difference of alpha between the tasks is "
        f"{means_along(test.p_t, 'xi', '.2g', 'ξ = ')}, by Welch's t-test with n = {counts[0]} and "
        f"{counts[1]} seeds. After Holm's correction, {held} of these p-values are below 0.05."
    )
    return float(p[test.xi.values >= 1].max()), float((p < 0.05).sum()), note


def draw_tasks(data: xr.Dataset) -> Figure:
    """Draw the mean order over neurons against the drive, of each task.

    Args:
        data: `order` (role, model, seed, protocol, estimator, network, xi) of one model.
    """
    data = data.isel(model=0)
    figure, axes = order_panels(data, r"mean order $\alpha$ of the rate")
    for (_, estimator), (key, axis) in zip(axes, axes.items(), strict=True):
        ends = []
        for role, tone in zip(data.role.values.tolist(), accents(), strict=False):
            one = data.order.sel(protocol=key[0], estimator=estimator, role=role)
            if not bool(one.notnull().any()):
                continue
            for network, dashes in (("isolated", "--"), ("interacting", "-")):
                values = one.sel(network=network)
                line: dict[str, Any] = {"color": tone, "ls": dashes, "ms": 3.5, "marker": "o"}
                line |= {"mfc": tone if dashes == "-" else "none", "lw": 2 if dashes == "-" else 1}
                if dashes == "-":
                    _, mean = mean_and_seeds(axis, values, "xi", **line)
                else:
                    axis.plot(data.xi, values.mean("seed"), **line)
            ends.append((float(mean[-1]), ROLE_NAMES[role].replace(" (", "\n("), tone))
        axis.axhline(0, color=ink(), lw=0.6)
        drive_axis(axis, data.xi.values)
        if estimator == data.estimator.values[-1]:
            name_lines(axis, ends, gap=0.2)
        else:
            count_seeds(axis, data.order, "seed", (0.98, 0.97))
        axis.label_outer()
    return figure


TASK_ORDERS = Item(
    name="fig4-tasks",
    title="Fractional order against the drive, by task",
    caption=(
        "The lines are the order alpha of the rate relative to the step, as the mean over the "
        "neurons of ARUN. A thick line is the mean over seeds, a thin line is one seed, and a "
        "dashed line is the mean over seeds of isolated neurons. The rows are protocols A and B, "
        "and the columns are the paper's estimator and the scale-free one. Neurons with alpha > 0 "
        "integrate the step, and those with alpha < 0 differentiate it. The paper shows this in "
        "Fig 4d."
    ),
    alt=(
        "Mean fractional order of ARUN's neurons against the drive, a colour for each of two "
        "tasks, in four panels for two protocols and two estimators."
    ),
    roles=("psmnist", "scifar10-conv"),
    models=("arun",),
    analyses=("fractional",),
    measure=measure_tasks,
    draw=draw_tasks,
    judge=judge_tasks,
    functions=(
        "adaptrnn.analysis.fractional.fractional_order",
        "adaptrnn.analysis.statistic.unpaired_test",
    ),
    tests=("tests/analysis/test_fractional.py", "tests/analysis/test_statistic.py"),
)
