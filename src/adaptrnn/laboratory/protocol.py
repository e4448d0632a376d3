"""The paper's standard protocols make each analysis of the laboratory on one trained network.

An analysis answers one question about any network. A protocol is that analysis with the paper's
stimuli and numbers, on one trained classifier and its task; it returns one labelled data set. The
rows E10 to E43 are those of the paper's figures and of docs/howto/laboratory.md.
"""

from __future__ import annotations

import copy
import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike
from torch import Tensor, nn

from adaptrnn._error import NotFiniteError, bad
from adaptrnn._registry import Registry
from adaptrnn.analysis.curve_parameter import activation_parameters, heterogeneity
from adaptrnn.analysis.eigenvalue import spectrum
from adaptrnn.analysis.fractional import SIGN, fractional_order, group_means, respond
from adaptrnn.analysis.gradient import gradient_norm
from adaptrnn.analysis.isolation import isolate
from adaptrnn.analysis.jacobian import jacobian_norm, jacobian_product
from adaptrnn.analysis.lyapunov_exponent import EXPONENT_DEFINITIONS, ConvergenceWarning, lyapunov
from adaptrnn.analysis.manifold import controller_manifold
from adaptrnn.analysis.noise import level_residual, level_set, noise_variance
from adaptrnn.analysis.response import step_response
from adaptrnn.analysis.robustness import sweep
from adaptrnn.analysis.scaling import freeze, gain_scaling
from adaptrnn.analysis.statistic import paired_test
from adaptrnn.analysis.system import Network, as_system
from adaptrnn.analysis.transfer import (
    balanced_split,
    compare_transplant,
    rotate,
    rotated_digits,
)
from adaptrnn.arun import ARUN
from adaptrnn.evaluation import Evaluation, evaluate, in_dtype_of
from adaptrnn.laboratory.subject import Subject
from adaptrnn.model import MODELS, Model
from adaptrnn.perturb import PAPER_PERTURBATIONS, START, Perturbation, SinusoidalContrast, StepDrive
from adaptrnn.rnn import RNN
from adaptrnn.tasks import AbstractTask, ImageTask, trial_loss

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ANALYSES", "Analysis", "register_analysis"]

DRIVES = (0.0, 0.5, 1.0, 2.5, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0)
"""The drives xi of Figs 2 and 5."""

RETRAINING_RATE = 3e-3
"""Adam's rate for n and s alone: of 3e-4, 1e-3, 3e-3 and 1e-2 that with the least loss over the
images retrained on, for 100 neurons at 196 steps; at 1e-2 it diverged."""


@dataclass(frozen=True)
class Analysis:
    """One protocol says what is measured of a trained network and its task, and how it is drawn.

    Args:
        name: as on the command line.
        measure: of a `Subject`, the data set. The first line of its docstring is what
            `adaptrnn analyze` lists.
        needs: what a network must have, continuing the words "a network with".
        suits: whether a model has that.
        draw: of the data set, the figure; None for those of `adaptrnn.laboratory.drawing`.
        seconds: on one core for 100 neurons at 196 steps, for estimates of cost.
    """

    name: str
    measure: Callable[[Subject], xr.Dataset]
    needs: str = "a state"
    suits: Callable[[Model], bool] = lambda model: True
    draw: Callable[[xr.Dataset], Figure] | None = None
    seconds: float = 5.0

    def timed_measure(self, subject: Subject) -> xr.Dataset:
        """Return what is measured, with the name and the seconds it took in its attributes."""
        begin = time.perf_counter()
        data = self.measure(subject)
        seconds = round(time.perf_counter() - begin, 3)
        return data.assign_attrs(analysis=self.name, seconds=seconds)

    @property
    def models(self) -> tuple[str, ...]:
        """Return the names of the models that the protocol works for."""
        return tuple(name for name, model in MODELS.items() if self.suits(model))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run on one thread.

    Small operations one after the other are slower on two; where other processes share the cores,
    twenty times, because the threads wait for each other at every step.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


# --- dynamics -----------------------------------------------------------------------------------


@_one_thread()
def lyapunov_protocol(subject: Subject) -> xr.Dataset:
    """Measure largest exponents after a drive's onset (E29), against the drive (E30), on the task.

    Returns:
        after_onset (xi, delay), definition "paper", from the state that the driven network has
        `delay` steps after the onset of xi, with the n and s that an ARUN has then; lyapunov
        (definition, condition, xi) with standard_error and converged: condition "adaptive", n and
        s as xi leaves them, and "fixed", n and s as they are at rest, which is all that a static
        network has. In definition "paper", where no drive comes in, the first state for each xi is
        the one that 200 steps of it leave in the network. on_task (image), the conditional
        exponent of the whole state under test images, each to the end of its trial; NaN for a trial
        of one step. steps says how many counted. LSTM and GRU have lyapunov in definition "full"
        and on_task only.
    """
    steps, core = subject.count(1000, 40), subject.core
    ours = isinstance(core, RNN | ARUN)  # others have no current that a drive adds to
    seen = None
    found: dict[str, Any] = {}
    if ours:
        subject.say("states under steps of drive")
        # an unstable network grows beyond float32 in so many steps
        double = copy.deepcopy(core).double()
        seen = step_response(double, DRIVES, durations=(200, 200, 0))
        onset = [0.0, 1.0, 5.0, 30.0]
        delays = [0, 50, 100, 150]
        subject.say("after the onset")
        at = seen.sel(xi=onset).isel(time=[200 + delay for delay in delays])
        flat = at.stack(sample=("xi", "time")).transpose("sample", "neuron", ...)
        curve = {"n": flat.n.values, "s": flat.s.values} if subject.adaptive else {}
        one = _largest(core, "paper", steps, h=flat.h.values, **curve)
        for name, key in (("after_onset", "lyapunov"), ("after_onset_error", "standard_error")):
            values = one[key].reshape(len(onset), len(delays))
            found[name] = ("xi_onset", "delay"), values
        found["xi_onset"], found["delay"] = onset, delays
    definitions = list(EXPONENT_DEFINITIONS) if ours else ["full"]
    conditions = ["adaptive", "fixed"] if subject.adaptive else ["fixed"]
    drive = torch.tensor(DRIVES, dtype=torch.float64)
    cells: dict[str, list[Any]] = {}
    for definition in definitions:
        for condition in conditions:
            subject.say(f"{definition} definition, {condition} n and s")
            options: dict[str, Any] = {}
            which = definition
            if (
                seen is not None
                and subject.adaptive
                and not (definition == "full" and condition == "adaptive")
            ):
                at = seen.isel(time=-1) if condition == "adaptive" else seen.isel(time=199)
                options = {key: at[key].values for key in "nsh"}
                # with constant n and s the whole state is h
                which = "frozen" if definition == "full" else definition
            if seen is not None and definition == "paper":
                options["h"] = seen.h.isel(time=-1).values
                one = _largest(core, which, steps, **options)
            else:
                one = _largest(subject.core, which, steps, drive=drive, **options)
            for name, values in one.items():
                cells.setdefault(name, []).append(values)
    shape = (len(definitions), len(conditions), len(DRIVES))
    for name, parts in cells.items():
        found[name] = (
            ("definition", "condition", "xi"),
            np.stack(parts).reshape(shape),
        )
    count = subject.count(10, 2)
    x, lengths = subject.inputs(count), subject.lengths(count)
    subject.say("under the task's input")
    ends = torch.full((x.shape[1],), len(x)) if lengths is None else lengths.cpu()
    exponents = np.full((2, len(ends)), np.nan)
    for end in ends.unique().tolist():  # trials of equal length together
        here, burn_in = ends == end, end // 8
        if lengths is not None and end < 2:
            continue
        # at least two intervals, in trials that are shorter than others too
        interval = 5 if lengths is None else min(5, (end - burn_in) // 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            task = lyapunov(
                subject.core,
                x[:end, here.to(x.device)],
                burn_in=burn_in,
                interval=interval,
                seed=subject.seed,
            )
        pair = task.lyapunov.values[:, 0], task.standard_error.values[:, 0]
        exponents[:, here.numpy()] = pair
    found["on_task"], found["on_task_error"] = (("image", row) for row in exponents)
    result = xr.Dataset(
        found,
        coords={"definition": definitions, "condition": conditions, "xi": list(DRIVES)},
        attrs={
            "definition": "; ".join(f"{k}: {v}" for k, v in EXPONENT_DEFINITIONS.items()),
            "conditions": "adaptive: n and s as each drive leaves them after 200 steps, in 'full' "
            "free to move; fixed: as they are at rest, before the drive",
            "images": x.shape[1],
        },
    )
    for name in ("lyapunov", "standard_error", "after_onset", "on_task", "on_task_error"):
        if name in result:
            result[name].attrs["units"] = "1/step, natural logarithm"
    return result


def _largest(
    network: Network,
    definition: str,
    steps: int,
    *,
    drive: Tensor | None = None,
    n: ArrayLike | None = None,
    s: ArrayLike | None = None,
    h: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Largest exponent of each sample; with fewer steps where the rates would overflow."""
    options: dict[str, Any] = {"definition": definition}
    if n is not None:
        options |= {"n": torch.as_tensor(n), "s": torch.as_tensor(s)}
    if h is not None:
        whole = as_system(network)
        state = torch.zeros(len(h), whole.size, dtype=torch.float64)
        state[:, whole.first_rate : whole.first_rate + whole.neurons] = torch.as_tensor(h)
        options["state"] = state
    burn_in = min(100, steps)
    while True:
        if drive is not None:
            options["drive"] = drive[:, None].expand(steps + burn_in, -1, 1)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                found = lyapunov(
                    network, steps=steps, burn_in=burn_in, interval=min(10, steps // 4), **options
                )
            break
        except NotFiniteError:
            if steps < 40:
                raise
            steps, burn_in = steps // 2, burn_in // 2
    return {
        "lyapunov": found.lyapunov.values[:, 0],
        "standard_error": found.standard_error.values[:, 0],
        "converged": found.converged.values[:, 0],
        "steps": np.full(found.sizes["sample"], steps),
    }


@_one_thread()
def jacobian_protocol(subject: Subject) -> xr.Dataset:
    """Compute Jacobian norms over (n, s) (E32), and products of Jacobians on the task.

    Returns:
        norm and norm_error (weights, n, s) for initial and trained W_hh, sup_slope (n, s), where
        there is one W_hh; own_norm, at the network's own n and s; exponent (time, image, rank),
        ln of the singular values of P_T over T, whether each is resolved or rounding, and step_norm
        (step, image), along test images. Of an ARUN these hold n and s at their means on the task.
        Where trials differ in length there is length (image), and NaN after the end of a trial.
    """
    core, found = subject.core, xr.Dataset()
    count = subject.count(4, 1)
    x, lengths = subject.inputs(count), subject.lengths(count)
    if lengths is not None:
        x = x[: int(lengths.max())]
    network = subject.core
    if isinstance(core, RNN | ARUN):
        subject.say("norms over gains and saturations")
        n = [1.0, *(1.25 * k for k in range(1, 17))]
        s = [0.0, 0.25, 0.5, 0.75, 1.0]
        samples = subject.count(20, 2)
        norms = [
            jacobian_norm(model.core, n, s, samples=samples, seed=subject.seed)
            for _, model in subject.stages
        ]
        found = found.assign(
            norm=xr.concat([one.norm for one in norms], "weights"),
            norm_error=xr.concat([one.standard_error for one in norms], "weights"),
            sup_slope=norms[0].sup_slope,
        ).assign_coords(weights=[name for name, _ in subject.stages])
        found.attrs |= norms[0].attrs
        if subject.adaptive:
            mean = _mean_curves(core, x, lengths)
            network = freeze(core, torch.as_tensor(mean.n.values), torch.as_tensor(mean.s.values))
        if hasattr(network, "n_l0"):
            own = jacobian_norm(network, samples=samples, seed=subject.seed)
            found["own_norm"], found["own_norm_error"] = own.norm, own.standard_error
    subject.say("products along the task's input")
    product = jacobian_product(network, x, every=max(1, len(x) // 16))
    product = product[["step_norm", "exponent", "resolved"]].rename(sample="image")
    if lengths is not None:
        product["length"] = "image", lengths.cpu().numpy(), {"units": "steps"}
        within = product.time <= product.length
        product["step_norm"] = product.step_norm.where(product.step <= product.length)
        product["exponent"] = product.exponent.where(within)
        product["resolved"] = product.resolved & within
    found = found.merge(product, combine_attrs="override")
    found.attrs["products"] = product.attrs["definition"]
    found.attrs["images"] = x.shape[1]
    return found


def _mean_curves(core: nn.Module, x: Tensor, lengths: Tensor | None) -> xr.Dataset:
    """Mean n and s under (T, B, D), over the steps of each trial, whatever the core's layout."""
    x = x.transpose(0, 1) if getattr(core, "batch_first", False) else x
    return activation_parameters(core, x, lengths=lengths)


def spectrum_protocol(subject: Subject) -> xr.Dataset:
    """Compute the eigenvalues of W_hh before and after training (E31)."""
    return spectrum({name: model.core for name, model in subject.stages})


def gradients_protocol(subject: Subject) -> xr.Dataset:
    """Compute the norm of dL/dW_hh from each step on, before and after training (E43).

    Returns:
        norm, contribution (network, time), loss (network), over a batch of test images.
    """
    parts = []
    trials = subject.trials(subject.count(100, 2))
    for name, model in subject.stages:
        subject.say(f"{name} network")
        if not hasattr(model, "readout"):
            raise bad("network", subject.name, "a module with its readout as `readout`")
        x, readout = subject.inputs(len(trials), model), model.readout

        def loss(h: Tensor, readout: nn.Module = readout) -> Tensor:
            return trial_loss(readout(h[-1] if trials.answers == "last" else h), trials)

        one = gradient_norm(model.core, x, loss)
        parts.append(one.assign(loss=one.attrs.pop("loss")))
    whole = xr.concat(parts, "network", combine_attrs="drop_conflicts", data_vars="all")
    where = "the cross entropy at the last step"
    if trials.answers != "last":
        where = "the loss of the task over all steps that have weight"
    return whole.assign_coords(network=[name for name, _ in subject.stages]).assign_attrs(
        images=x.shape[1],
        definition=f"dL/dW_hh accumulated from step t to the last, L {where}",
    )


def noise_protocol(subject: Subject) -> xr.Dataset:
    """Test Proposition 1 by Monte Carlo (E28), and gains against level sets Lambda(xi) (E27).

    Returns:
        n, s, slope_residual (stage, xi, neuron) and residual (stage, xi) at the onset of a step of
        drive, and steady; epsilon, fitted to the steady ones at xi = 10; level (xi, gain), the
        curves; relative_error (mu, sigma, neuron) of the predicted variance at the steady n and s
        of drive mu, breaks_at (mu, neuron) and bounded (mu, sigma).
    """
    core, drives = subject.core, DRIVES[1:]
    if subject.adaptive:
        subject.say("gains under steps of drive")
        seen = step_response(core, drives, durations=(200, 200, 0))
        at = {"onset": 200, "steady": -1}
        stages: dict[str, tuple[Any, Any]] = {
            k: (seen.n.values[t], seen.s.values[t]) for k, t in at.items()
        }
    else:
        own = activation_parameters(core)
        shape = (len(drives), own.sizes["neuron"])
        n, s = (np.broadcast_to(own[k].values, shape) for k in "ns")
        stages = {"steady": (n, s)}
    steady = level_residual(*stages["steady"], drives)
    epsilon = steady.attrs["epsilon"]
    each = [level_residual(n, s, drives, epsilon=epsilon) for n, s in stages.values()]
    found = xr.concat(each, "stage")[["slope_residual", "s_distance", "residual"]]
    found = found.assign_coords(stage=list(stages))
    dims = ("stage", "xi", "neuron")
    found["n"] = dims, np.stack([pair[0] for pair in stages.values()])
    found["s"] = dims, np.stack([pair[1] for pair in stages.values()])
    gains = found.n.values
    grid = np.linspace(max(0.25, gains.min() - 1), gains.max() + 1, 200)
    found["level"] = level_set(drives, grid.tolist(), epsilon).rename(n="gain")
    found["epsilon"] = epsilon
    means, samples = [0.0, 1.0, 5.0], subject.count(20_000, 200)
    sigma = [0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0]
    turn = torch.linalg.qr(
        torch.randn(
            gains.shape[-1],
            gains.shape[-1],
            dtype=torch.float64,
            generator=torch.Generator().manual_seed(subject.seed),
        )
    )[0]
    parts = []
    for mean in means:
        subject.say(f"noise around a drive of {mean:g}")
        near = found.sel(stage="steady").isel(xi=int(np.abs(np.subtract(drives, mean)).argmin()))
        pair = (torch.as_tensor(near.n.values), torch.as_tensor(near.s.values))
        one = noise_variance(*pair, sigma, mu=mean, weight=turn, samples=samples, seed=subject.seed)
        parts.append(one[["relative_error", "breaks_at", "bounded"]].drop_vars(["n", "s", "mu"]))
    variance = xr.concat(parts, "mu", combine_attrs="override").assign_coords(mu=means)
    attrs = {"prop1": parts[0].attrs["definition"], "samples": samples, **each[0].attrs}
    return xr.merge([found, variance], combine_attrs="drop").assign_attrs(attrs)


# --- neurons ------------------------------------------------------------------------------------


@_one_thread()
def step_response_protocol(subject: Subject) -> xr.Dataset:
    """Record gains, saturations and rates under steps of drive (E19).

    Returns:
        What `step_response` does, with the paper's 200 steps before, during and after the drive;
        and the same, its names and its time with the ending _trained, where each of the three
        lasts 200/784 of the sequence that the network was trained on.
    """
    steps = max(10, round(START * subject.task.core_steps))
    long, short = (
        step_response(subject.core, durations=(count, count, count), seed=subject.seed)
        for count in (200, steps)
    )
    short = short.rename({name: f"{name}_trained" for name in (*short.data_vars, "time")})
    return long.merge(short).assign_attrs(step_trained=short.attrs["step"])


@_one_thread()
def gain_scaling_protocol(subject: Subject) -> xr.Dataset:
    """Measure n(xi), s(xi) and output variance under noise of switching size (E16 to E18)."""
    trials = subject.count(10)
    return gain_scaling(subject.core, trials=trials, seed=subject.seed)


def heterogeneity_protocol(subject: Subject) -> xr.Dataset:
    """Compare gains and saturations of the neurons before and after training (E14).

    Returns:
        What `analysis.heterogeneity` does, and n_initial, s_initial. Those of an ARUN are means
        over the steps of all test images.
    """
    clouds = []
    count = subject.count(200, 2)
    for _, model in subject.stages:
        if subject.adaptive:
            x = subject.inputs(count, model)
            clouds.append(_mean_curves(model.core, x, subject.lengths(count)))
        else:
            clouds.append(activation_parameters(model.core))
    if len(clouds) == 1:
        return heterogeneity(clouds[0])
    found = heterogeneity(clouds[1], clouds[0])
    return found.assign({f"{name}_initial": clouds[0][name] for name in "ns"})


@_one_thread()
def controller_manifold_protocol(subject: Subject) -> xr.Dataset:
    """Follow the states of the controller alone under constant currents (E26)."""
    return controller_manifold(subject.core, seed=subject.seed)


@_one_thread()
def fractional_protocol(subject: Subject) -> xr.Dataset:
    """Estimate fractional orders of neurons, in the network and isolated (E20-E25, E37, E38).

    Returns:
        order (protocol, signal, estimator, network, xi, neuron), NaN where it is not between the
        ends of the range tried; null_order, what the estimator gives a memoryless unit of the same
        amplitude; over neurons mean, mean_positive, mean_negative, share_positive, count, and
        error (..., alpha), the mean error curve; difference, p_permutation, n_pairs: isolated
        minus interacting, paired over neurons, of the rates; response (network, xi, time), the
        mean rate in protocol A.
    """
    signals = ["h", "n", "s"] if subject.adaptive else ["h"]
    levels = (0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0)
    networks = {"interacting": subject.core, "isolated": isolate(subject.core)}
    trials = {"A": subject.count(20), "B": subject.count(50)}
    by_protocol, response = [], []
    for protocol, count in trials.items():
        by_network = []
        for name, network in networks.items():
            subject.say(f"protocol {protocol}, {name}")
            seen = respond(network, levels, protocol=protocol, trials=count, seed=subject.seed)
            if protocol == "A":
                response.append(seen.h.mean("neuron"))
            by_network.append(_orders(seen, signals, protocol))
        by_protocol.append(xr.concat(by_network, "network"))
    found = xr.concat(by_protocol, "protocol").assign_coords(
        protocol=list(trials), network=list(networks)
    )
    found["order"] = found.order.where(~found.at_edge)
    found = found.drop_vars("at_edge").merge(group_means(found.order))
    found["response"] = xr.concat(response, "network")
    subject.say("isolated against interacting")
    pair = [found.order.sel(signal="h", network=name, drop=True) for name in networks]
    both = pair[0].notnull() & pair[1].notnull()
    if bool((both.sum("neuron") >= 2).all()):
        test = paired_test(pair[1].where(both), pair[0].where(both), unit="neuron", resamples=999)
        found = found.assign(
            {
                k: test[k]
                for k in (
                    "difference",
                    "standard_error",
                    "low",
                    "high",
                    "p_permutation",
                    "cohen_dz",
                )
            }
        ).assign(n_pairs=test.n)
    found["order"].attrs = found["alpha"].attrs = {"units": "1", "sign": SIGN}
    return found.assign_attrs(
        definition="order of the activity relative to the step of size xi that caused it; "
        "estimator paper: no amplitude fitted, so a gain that is not 1 looks like an order "
        "(null_order); scale-free: amplitude and offset fitted",
        sign=SIGN,
        unit_of_replication="neurons of one network, not independent: the test is about this "
        "network, not about training",
        trials=list(trials.values()),
    )


def _orders(seen: xr.Dataset, signals: Sequence[str], protocol: str) -> xr.Dataset:
    """Orders of every signal by both estimators, each step against its own size."""
    by_estimator = []
    for estimator in ("paper", "scale-free"):
        by_xi = []
        for xi in seen.xi.values:
            at = seen.sel(xi=xi)
            response = xr.concat([at[name] for name in signals], "signal")
            one = fractional_order(
                response, at.stimulus.values, protocol=protocol, estimator=estimator
            )
            # every fifth order is enough to draw the error
            one = one.assign(error=one.error.mean("neuron")).isel(alpha=slice(None, None, 5))
            by_xi.append(one[["order", "null_order", "at_edge", "error"]])
        by_estimator.append(xr.concat(by_xi, "xi"))
    found = xr.concat(by_estimator, "estimator", combine_attrs="drop")
    return found.assign_coords(
        estimator=["paper", "scale-free"], signal=list(signals), xi=seen.xi.values
    )


# --- the task -----------------------------------------------------------------------------------


def transfer_protocol(subject: Subject) -> xr.Dataset:
    """Retrain only n and s on turned digits (E15), or test an ARUN's foreign controller (E42).

    Returns:
        What `rotated_digits` does, on test images turned by 45 degrees: of every class equally
        many to train on and to test on, up to 5,000 each. For an ARUN with a transplanted
        controller what `compare_transplant` does, against the donor with its own.
    """
    if subject.adaptive:
        return _transplanted(subject)
    task = subject.task
    if not isinstance(task, ImageTask):
        raise bad("task", task.name, "a task of images, which can be turned")
    labels = task.test.labels
    classes, counts = torch.unique(labels, return_counts=True)
    each = min(int(counts.min()) // 2, subject.count(5000, 20) // len(classes))
    first, second = balanced_split(
        labels, each * len(classes), each * len(classes), seed=subject.seed
    )
    subject.say(f"turning and retraining on {len(first)} images")
    turned = rotate(task.test.images / task.maximum)
    turned = (turned * task.maximum).round().to(torch.uint8)
    upright, train, test = (
        (
            in_dtype_of(subject.model, task.inputs(images).to(subject.device)),
            labels[part].to(subject.device),
        )
        for images, part in (
            (task.test.images[second], second),
            (turned[first], first),
            (turned[second], second),
        )
    )
    _, found = rotated_digits(
        subject.model,
        upright,
        train,
        test,
        epochs=subject.count(10, 2),
        learning_rate=RETRAINING_RATE,
        batch_dim=0 if task.kind == "image" else 1,
        seed=subject.seed,
    )
    return found.assign_attrs(degrees=45, learning_rate=RETRAINING_RATE)


def _transplanted(subject: Subject) -> xr.Dataset:
    if subject.donor is None:
        advice = "Train one with --controller-from, or analyze a run of gamma or gamma-shared."
        raise bad(
            "run", subject.name, "with n and s as parameters, or a foreign controller", advice
        )
    accuracies = []
    part = subject.task.with_test(subject.part(subject.count(1000, 10)))
    for model in (subject.donor, subject.model):
        rows = {}
        for name, perturbation in PAPER_PERTURBATIONS.items():
            subject.say(f"transplant, {name}")
            rows[name] = [evaluate(model, part, perturbation).accuracy]
        accuracies.append(rows)
    found = compare_transplant(subject.donor.core, subject.core, *accuracies)
    for name, rows in zip(("own", "transplanted"), accuracies, strict=True):
        found[f"accuracy_{name}"] = "condition", [row[0] for row in rows.values()]
    return found.assign_attrs(images=len(part.test))


def robustness_protocol(subject: Subject) -> xr.Dataset:
    """Measure accuracy and loss under step drives and contrasts (E10-E13), and as maps (E39).

    Returns:
        step_accuracy (xi), contrast_accuracy (amplitude), drive_map_accuracy (map_xi, map_length),
        contrast_map_accuracy (map_phase, map_amplitude), with _loss, _area and _accuracy_error, the
        standard error from the number of images; map_length as a fraction of the sequence. Near 0
        or 1, +- 1.96 of these errors hold less than 95%: 92% at an accuracy of 98% of 359 images.
    """
    curves: dict[str, tuple[dict[str, list[float]], Callable[..., Perturbation], int]] = {
        "step": ({"xi": list(DRIVES)}, StepDrive, 1000),
        "contrast": (
            {"amplitude": [k / 10 for k in range(11)]},
            lambda amplitude: SinusoidalContrast(amplitude),
            1000,
        ),
        "drive_map": (
            {"map_xi": [1.0, 5.0, 10.0, 20.0, 30.0], "map_length": [0.05, 0.15, 0.25, 0.45, 0.7]},
            lambda map_xi, map_length: StepDrive(map_xi, 200 / 784, 200 / 784 + map_length),
            250,
        ),
        "contrast_map": (
            {
                "map_phase": [k * math.pi / 4 for k in range(8)],
                "map_amplitude": [0.2, 0.4, 0.6, 0.8, 1.0],
            },
            lambda map_phase, map_amplitude: SinusoidalContrast(map_amplitude, phase=map_phase),
            250,
        ),
    }
    parts: list[xr.Dataset] = []
    attrs: dict[str, Any] = {}
    for name, (axes, make, images) in curves.items():
        part = subject.task.with_test(subject.part(subject.count(images, 10)))
        encoded: dict[int, Tensor] | None = {} if part.kind == "image" else None
        total, done = math.prod(map(len, axes.values())), iter(range(1, 10**6))

        def score(
            perturbation: Perturbation,
            part: AbstractTask = part,
            name: str = name,
            total: int = total,
            done: Iterator[int] = done,
            encoded: dict[int, Tensor] | None = encoded,
        ) -> Evaluation:
            subject.say(f"{name.replace('_', ' ')} {next(done)}/{total}, {len(part.test)} trials")
            return evaluate(subject.model, part, perturbation, encoded=encoded)

        if part.metric == "error":
            one = sweep(lambda p: {"error": (r := score(p)).error, "loss": r.loss}, axes, make)
        else:
            one = sweep(lambda p: ((r := score(p)).accuracy, r.loss), axes, make)
            p = one.accuracy
            one["accuracy_error"] = np.sqrt(p * (1 - p) / len(part.test))
        parts.append(one.rename({key: f"{name}_{key}" for key in one.data_vars}))
        attrs[f"{name}_images"] = len(part.test)
    if subject.task.answers != "last":
        attrs["trials"] = "test trials"
    found = xr.merge(parts, combine_attrs="drop").assign_attrs(attrs)
    return found.assign_attrs(
        definition="accuracy (0 to 1) and loss (nats) on test images, evenly spaced in the split; "
        "_area: trapezoids over the width; _accuracy_error: sqrt(p (1 - p) / images)",
    )


def _has_curves(model: Model) -> bool:
    return model.has_curves


_CURVES = "gains n and saturations s"
_TRAINED = "trained n and s, or a transplanted controller"

_BUILT_IN = (
    Analysis("lyapunov", lyapunov_protocol, seconds=60.0),
    Analysis("jacobian", jacobian_protocol, seconds=20.0),
    Analysis("fractional", fractional_protocol, "rates", seconds=60.0),
    Analysis("step_response", step_response_protocol, "rates"),
    Analysis("gain_scaling", gain_scaling_protocol, "rates", seconds=20.0),
    Analysis("heterogeneity", heterogeneity_protocol, _CURVES, _has_curves),
    Analysis("transfer", transfer_protocol, _TRAINED, _has_curves, seconds=60.0),
    Analysis(
        "controller_manifold",
        controller_manifold_protocol,
        "a controller",
        lambda m: m.has_controller,
    ),
    Analysis("noise", noise_protocol, _CURVES, _has_curves),
    Analysis("spectrum", spectrum_protocol, "one square W_hh", lambda m: m.square),
    Analysis("gradients", gradients_protocol, "recurrent weights"),
    Analysis("robustness", robustness_protocol, "a readout", seconds=60.0),
)

ANALYSES: Registry[Analysis] = Registry(
    "analysis", Analysis, _BUILT_IN, "adaptrnn.analyses", ("all",)
)
"""The protocols by the name of their analysis: those of adaptrnn, those that were registered, and
those of installed packages with an entry point in the group "adaptrnn.analyses"."""


def register_analysis(analysis: Analysis) -> Analysis:
    """Make an analysis known by its name in this process.

    To make it known to every process and to the command line, install it as a package whose entry
    point, in the group "adaptrnn.analyses" and of the analysis's name, is the `Analysis`.

    Args:
        analysis: the analysis; one of the same name that was registered before is replaced.

    Returns:
        `analysis`.

    Raises:
        InputError: the name is that of an analysis of adaptrnn, or cannot be that of a file.

    Example:
        >>> def measure(subject):
        ...     "How large the recurrent weights are."
        ...     weight = subject.core.weight_hh_l0.detach()
        ...     return xr.Dataset({"size": float(weight.abs().mean())})
        >>> found = register_analysis(Analysis("weight_size", measure))
        >>> list(ANALYSES)[-1]
        'weight_size'
        >>> ANALYSES.remove("weight_size")
    """
    return ANALYSES.add(analysis)
