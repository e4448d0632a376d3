"""Figure 4: adaptation under steps of drive, and its fractional order."""

from __future__ import annotations

import numpy as np
import xarray as xr

from adaptrnn._error import InputError
from adaptrnn.analysis.statistics import holm, paired_test, unpaired_test
from adaptrnn.figure.orders import order_by_task, orders
from adaptrnn.figure.response import response
from adaptrnn.paper.item import Item, analysis_of
from adaptrnn.paper.notes import along
from adaptrnn.paper.verdict import Claim, Part, Verdict, part, verdict
from adaptrnn.run import Run

__all__ = [
    "ITEM",
    "ORDERS",
    "SIGN",
    "TASKS",
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
    "Under a step of drive n and s jump, then decay exponentially to a steady state that depends "
    "on ξ.",
    "exponential fit R² ≥ 0.9",
)
E20 = Claim(
    "E20-23",
    "Fig 4b, c",
    "Neurons differ in fractional order; in the network most integrate the step (alpha > 0); "
    "isolated they shift to differentiation.",
    "sd over neurons ≥ 0.05 (ours); most have alpha > 0; isolated - interacting < 0, paired "
    "permutation test over neurons p < 0.05",
)
E25_NEURONS = Claim(
    "E25",
    "control of Fig 4b, c",
    "The signs of E20-23 are not made by the size of the response.",
    "the same signs by the scale-free estimator, and of alpha minus that of a memoryless unit of "
    "the same amplitude",
)
E24 = Claim(
    "E24",
    "Fig 4d",
    "alpha(ξ) differs between psMNIST and sCIFAR10 with convolutional encoder; it rises with ξ, "
    "then plateaus.",
    "Welch's test p < 0.05 at most drives; alpha(30) - alpha(0.5) > 0, and |alpha(30) - alpha(10)| "
    "≤ 15% of it (27% on a straight line in ln ξ)",
)
E25_TASKS = Claim(
    "E25",
    "control of Fig 4d",
    "The rise and the plateau of E24 are not made by the size of the response.",
    "the same by the scale-free estimator",
)

SIGN = (
    "Sign: the operator acts on the activity, which is compared with the step, so alpha > 0 is a "
    "fractional integral of the step (sensitising) and alpha < 0 a fractional derivative "
    "(adapting); the paper's formula r = D^alpha u has the opposite sign."
)
PROTOCOLS = (
    "Two protocols are in the released scripts and both are judged: A, 150 steps, driven from 51 "
    "to 100, noise 0.1; B, 300 steps, driven from 102 to 201, noise 5."
)
SIGNALS = ("n", "s", "h")


# --- Fig 4a -------------------------------------------------------------------------------------


def measure(run: Run) -> xr.Dataset:
    """Mean over neurons of n, s, h, (time, xi); the fits to it, (xi,), and to each neuron's.

    Before, during and after the step lie 200/784 of the sequence that the network was trained on:
    what it does far beyond that length it was never asked for. Fits with the paper's 200 steps
    are kept next to them, as _long.
    """
    found = analysis_of(run, "step_response")
    if "step_trained" not in found.attrs:
        raise InputError(
            f"{run.folder}: its step_response lacks the response within the trained length. Run  "
            f"adaptrnn analyze step_response {run.folder} --force"
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
    """E19: the middle one over drives of the R² of the mean curves, and of all neurons' curves."""
    arun = data.sel(role="psmnist", model="arun")
    parts, notes = [], []
    for name in ("n", "s"):
        for what, r2 in (
            ("mean over neurons", arun[f"{name}_mean_r2"].median("xi")),
            ("each neuron", arun[f"{name}_r2"].median("xi")),
        ):
            parts.append(part(f"R² of {name}, {what}; median", r2.values, lambda v: v >= 0.9))
        ends = along(arun[f"{name}_mean_steady"], "xi", ".3g")
        if ends:
            tau = float(arun[f"{name}_mean_tau"].median())
            late = float(arun[f"{name}_mean_r2_long"].median())
            notes.append(
                f"{name}: time constant {tau:.1f} steps; steady, by ξ: {ends}; R² of the mean with "
                f"the paper's 200 steps {late:.2f}."
            )
    return [verdict(E19, parts, " ".join([*notes, _CHOSEN_AFTER]))]


_CHOSEN_AFTER = (
    "The length of the step was chosen after a first look: with the paper's 200 steps, far beyond "
    "what these networks were trained on, the fits were worse. The fits to means over neurons were "
    "added then too."
)

ITEM = Item(
    name="fig4-step",
    title="Gain, saturation and rate under steps of drive",
    caption=(
        "Mean over the neurons of ARUN of gain, saturation and rate while a drive ξ is switched on "
        "and off (dotted), with no other input; a column for each seed. Each part lasts 200/784 of "
        "the sequence that the network was trained on. Paper: Fig 4a."
    ),
    roles=("psmnist",),
    models=("arun",),
    analyses=("step_response",),
    measure=measure,
    draw=response,
    judge=judge,
    functions=(
        "adaptrnn.analysis.step_response.step_response",
        "adaptrnn.analysis.step_response.describe_step",
    ),
    tests=("tests/analysis/test_step_response.py",),
)


# --- Fig 4b, c ----------------------------------------------------------------------------------


def measure_orders(run: Run) -> xr.Dataset:
    """Orders of the rates of every neuron, and their shift when the neurons are isolated.

    Returns:
        order and excess, which is order minus that of a memoryless unit of the same amplitude,
        (protocol, estimator, network, xi, neuron), NaN where the order is not within the range
        tried; shift and p (quantity, protocol, estimator), isolated minus interacting of each
        neuron's mean over those drives at which it has an order in both, and the permutation test
        over neurons; pairs (protocol, estimator), the number of neurons compared.
    """
    found = analysis_of(run, "fractional").sel(signal="h", drop=True)
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
    """E20 to E23, each protocol by the paper's estimator; E25, the controls."""
    arun = data.sel(role="psmnist", model="arun")
    parts: list[Part] = []
    controls: list[Part] = []
    notes = []
    for protocol in data.protocol.values.tolist():
        at = arun.sel(protocol=protocol)
        paper = at.sel(estimator="paper")
        inside = paper.order.sel(network="interacting")
        known = inside.notnull().sum(["xi", "neuron"])
        share = (inside > 0).sum(["xi", "neuron"]) / known.where(known > 0)
        parts += [
            part(
                f"{protocol}: sd over neurons, interacting",
                inside.std("neuron").mean("xi").values,
                lambda v: v >= 0.05,
            ),
            part(
                f"{protocol}: share with alpha > 0, interacting",
                100 * share.values,
                lambda v: v > 50,
                "%",
                ".0f",
            ),
            *_shift(f"{protocol}: alpha", paper.sel(quantity="order")),
        ]
        free = at.sel(estimator="scale-free")
        for what, values, quantity in (
            ("scale-free alpha", free.order, free.sel(quantity="order")),
            ("alpha - memoryless", paper.excess, paper.sel(quantity="excess")),
        ):
            mean = values.sel(network="interacting").mean(["xi", "neuron"]).values
            controls.append(
                part(f"{protocol}: {what}, interacting, mean", mean, lambda v: v > 0, "", "+.3f")
            )
            controls += _shift(f"{protocol}: {what}", quantity)
        if bool(inside.notnull().any()):
            isolated = paper.order.sel(network="isolated")
            groups = [
                f"{float(one.where(sign * one > 0).mean()):+.2f}"
                for one in (inside, isolated)
                for sign in (1, -1)
            ]
            missing = float(inside.where(known > 0).isnull().mean())
            notes.append(
                f"{protocol}: mean of the neurons with alpha > 0 {groups[0]} and with alpha < 0 "
                f"{groups[1]}, isolated {groups[2]} and {groups[3]}; {missing:.0%} of neurons and "
                "drives have no order from -1 to 1 and are left out."
            )
    replicate = (
        "The test is over neurons of one network, by their mean over drives; the spread here is "
        "over seeds."
    )
    return [
        verdict(E20, parts, " ".join([*notes, replicate, PROTOCOLS, SIGN])),
        verdict(E25_NEURONS, controls, f"{_FREE} {PROTOCOLS}"),
    ]


def _shift(what: str, test: xr.Dataset) -> list[Part]:
    """Isolated minus interacting is negative, and significantly so."""
    return [
        part(f"{what}, isolated - interacting", test["shift"].values, lambda v: v < 0, "", "+.3f"),
        part(f"{what}, p of that", test.p.values, lambda v: v < 0.05, "", ".3f"),
    ]


_FREE = (
    "The paper's estimator fits no amplitude, so a memoryless unit r = c u has an order that grows "
    "with c: -0.31 at c = 0.25, 0 at 1, +0.34 at 4. The scale-free one fits amplitude and offset "
    "along with the order and gives every memoryless unit 0."
)

ORDERS = Item(
    name="fig4-orders",
    title="Fractional orders of neurons, in the network and isolated",
    caption=(
        "Order alpha of every neuron's rate relative to a step of drive of size ξ (dots, all "
        "seeds), and means of the neurons with alpha > 0 and with alpha < 0 (lines, over seeds). "
        "Rows: protocols A and B; columns: the paper's estimator and the scale-free one. Isolated: "
        "W_hh replaced by its diagonal. Cross: the order that the estimator gives a memoryless "
        "unit of the same amplitude, mean over interacting neurons. alpha > 0 integrates, "
        "alpha < 0 differentiates the step. Paper: Fig 4b, c."
    ),
    roles=("psmnist",),
    models=("arun",),
    analyses=("fractional",),
    measure=measure_orders,
    draw=orders,
    judge=judge_orders,
    functions=(
        "adaptrnn.analysis.fractional.fractional_order",
        "adaptrnn.analysis.isolate.isolate",
        "adaptrnn.analysis.statistics.paired_test",
    ),
    tests=(
        "tests/analysis/test_fractional.py",
        "tests/analysis/test_isolate.py",
        "tests/analysis/test_statistics.py",
    ),
)


# --- Fig 4d -------------------------------------------------------------------------------------


def measure_tasks(run: Run) -> xr.Dataset:
    """Mean order of the rates over neurons, order (protocol, estimator, network, xi)."""
    found = analysis_of(run, "fractional").sel(signal="h", drop=True)
    mean = found.order.mean("neuron")
    return xr.Dataset({"order": mean.transpose("protocol", "estimator", "network", "xi")})


def judge_tasks(data: xr.Dataset) -> list[Verdict]:
    """E24 by the paper's estimator, and again by the scale-free one."""
    verdicts = []
    inside = data.order.sel(model="arun", network="interacting", drop=True)
    for claim, estimator in ((E24, "paper"), (E25_TASKS, "scale-free")):
        parts, notes = [], []
        for protocol in data.protocol.values.tolist():
            order = inside.sel(estimator=estimator, protocol=protocol, drop=True)
            for role in data.role.values.tolist():
                parts += _rise(f"{protocol}, {role}", order.sel(role=role, drop=True))
            count, note = _differ(order)
            most = order.sizes["xi"] / 2  # more drives than this
            quantity = f"{protocol}: drives of {order.sizes['xi']} with p < 0.05"
            parts.append(part(quantity, [count], most.__lt__, "", ".0f"))
            notes.append(f"{protocol}: {note}")
        both = [_FREE] if claim is E25_TASKS else [SIGN, PROTOCOLS]
        verdicts.append(verdict(claim, parts, " ".join([*notes, *both])))
    return verdicts


def _rise(where: str, order: xr.DataArray) -> list[Part]:
    """It rises from the first drive to the last, and most of that before xi = 10."""
    first, late, last = (order.sel(xi=xi, drop=True) for xi in (0.5, 10.0, 30.0))
    rise = last - first
    excess = abs(last - late) - 0.15 * rise
    text = f"{where}: |alpha(30) - alpha(10)| - 15% of that"
    return [
        part(f"{where}: alpha(30) - alpha(0.5)", rise.values, lambda v: v > 0, "", "+.3f"),
        part(text, excess.values, lambda v: v <= 0, "", "+.3f"),
    ]


def _differ(order: xr.DataArray) -> tuple[float, str]:
    """At how many drives the tasks differ, NaN if that cannot be tested; p at each in words."""
    sides = [order.isel(role=k, drop=True).dropna("seed", how="all") for k in range(2)]
    counts = [side.sizes["seed"] for side in sides]
    if min(counts) < 2:
        return np.nan, "a test between tasks needs two seeds of each."
    test = unpaired_test(*sides, resamples=199)
    p = test.p_t.values
    shown = ", ".join(f"{v:.2g} at {xi:g}" for v, xi in zip(p, test.xi.values, strict=True))
    held = int((holm(p) < 0.05).sum())
    note = (
        f"p between tasks, by ξ: {shown} (n = {counts[0]} and {counts[1]} seeds; after Holm's "
        f"correction {held} are below 0.05)."
    )
    return float((p < 0.05).sum()), note


TASKS = Item(
    name="fig4-tasks",
    title="Fractional order against the drive, by task",
    caption=(
        "Order alpha of the rate relative to the step, mean over the neurons of ARUN; line: mean "
        "over seeds, band: from the least to the greatest. Dashed: isolated neurons. Rows: "
        "protocols A and B; columns: the paper's estimator and the scale-free one. alpha > 0 "
        "integrates, alpha < 0 differentiates the step. Paper: Fig 4d."
    ),
    roles=("psmnist", "scifar10-conv"),
    models=("arun",),
    analyses=("fractional",),
    measure=measure_tasks,
    draw=order_by_task,
    judge=judge_tasks,
    functions=(
        "adaptrnn.analysis.fractional.fractional_order",
        "adaptrnn.analysis.statistics.unpaired_test",
    ),
    tests=("tests/analysis/test_fractional.py", "tests/analysis/test_statistics.py"),
)
