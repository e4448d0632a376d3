"""Three cognitive tasks are built in, and those of NeuroGym can be loaded.

The three draw every trial from their equations, which are given below. NeuroGym (Molano-Mazon et
al. 2022) keeps some thirty tasks of the field; they come with the extra "cognitive".
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from adaptrnn._error import InputError, bad, choose, require
from adaptrnn._registry import Registry
from adaptrnn.preset import PRESETS
from adaptrnn.tasks.own import NamedTask, make_task
from adaptrnn.tasks.task import Task, Trials

__all__ = [
    "COGNITIVE",
    "adding",
    "delayed_match",
    "neurogym",
    "perceptual_decision",
    "register_task",
]


def perceptual_decision(
    coherences: Sequence[float] = (0.0, 0.032, 0.064, 0.128, 0.256, 0.512),
    noise: float = 0.5,
    fixation: int = 5,
    stimulus: int = 40,
    decision: int = 5,
    train_size: int = 2000,
    validation_size: int = 500,
    test_size: int = 3000,
    seed: int = 0,
) -> Task:
    r"""Return a task that asks which of two noisy streams is larger (Britten et al. 1992).

    With the direction d in {-1, 1} and the coherence c of a trial, while the stimulus is on

        x_t = (1, (1 + d c) / 2 + sigma eta_t, (1 - d c) / 2 + sigma eta'_t)

    with independent eta ~ N(0, 1); before and after it both streams are 0. The first input is the
    fixation cue, 1 until the decision and 0 during it. The answer is a class at every step: 0
    (fixate) until the decision, then 1 for d = 1 and 2 for d = -1. An ideal observer sums the
    difference of the streams over the S steps of the stimulus: its accuracy is
    Phi(c sqrt(S / 2) / sigma), with Phi the normal distribution function.

    Args:
        coherences: c, 0 to 1; each trial draws one of them.
        noise: sigma >= 0.
        fixation: steps before the stimulus, >= 0.
        stimulus: steps S of the stimulus, >= 1.
        decision: steps of the decision, >= 1.
        train_size: new trials in an epoch.
        validation_size: trials to choose by.
        test_size: trials to report on.
        seed: of the validation and test trials.

    Returns:
        The task; its trials have the conditions coherence and direction.

    Raises:
        InputError: an argument is outside its range.

    Example:
        >>> task = perceptual_decision(test_size=10)
        >>> tuple(task.test.inputs.shape), task.output_size, task.condition
        ((50, 10, 3), 3, 'coherence')
    """
    levels = _numbers("coherences", coherences, 0, 1)
    _at_least("noise", noise, 0)
    _steps(fixation=(fixation, 0), stimulus=(stimulus, 1), decision=(decision, 1))
    on, steps = fixation + stimulus, fixation + stimulus + decision

    def trials(count: int, random: np.random.RandomState) -> Trials:
        coherence = levels[random.randint(len(levels), size=count)]
        direction = 2 * random.randint(2, size=count) - 1
        x = np.zeros((steps, count, 3))
        x[:on, :, 0] = 1
        evidence = random.normal(size=(stimulus, count, 2)) * noise
        x[fixation:on, :, 1] = (1 + direction * coherence) / 2 + evidence[..., 0]
        x[fixation:on, :, 2] = (1 - direction * coherence) / 2 + evidence[..., 1]
        y = np.zeros((steps, count), np.int64)
        y[on:] = np.where(direction > 0, 1, 2)
        deciding = np.broadcast_to(np.arange(steps)[:, None] >= on, y.shape)
        conditions = {"coherence": coherence, "direction": direction}
        return Trials(
            _tensor(x), _tensor(y), decision=_tensor(deciding), conditions=_tensors(conditions)
        )

    return Task(
        "perceptual-decision",
        trials,
        validation=validation_size,
        test=test_size,
        train_size=train_size,
        outputs=3,
        output_names=("fixate", "first", "second"),
        condition="coherence",
        parameters={
            "coherences": levels.tolist(),
            "noise": noise,
            "fixation": fixation,
            "stimulus": stimulus,
            "decision": decision,
        },
        seed=seed,
        source="adaptrnn.tasks.cognitive.perceptual_decision",
    )


def delayed_match(
    stimuli: int = 2,
    noise: float = 0.1,
    fixation: int = 5,
    sample: int = 10,
    delay: Sequence[int] = (10, 20, 40),
    test: int = 10,
    decision: int = 5,
    train_size: int = 2000,
    validation_size: int = 500,
    test_size: int = 1000,
    seed: int = 0,
) -> Task:
    r"""Return a task that asks whether two stimuli are the same (Miller et al. 1996).

    One of M stimuli is shown, and after a delay one that is the same with probability 1/2 and one
    of the others otherwise. With k_t the stimulus shown at step t,

        x_t = (1, [k_t = 1] + sigma eta_1t, ..., [k_t = M] + sigma eta_Mt),   eta ~ N(0, 1),

    the noise at every step until the decision, where all inputs are 0; the first input is the
    fixation cue. The answer is a class at every step: 0 (fixate) until the decision, then 1 (match)
    or 2 (no match). Delays differ, so trials are of unequal length.

    Args:
        stimuli: M >= 2.
        noise: sigma >= 0.
        fixation: steps before the sample, >= 0.
        sample: steps of the sample, >= 1.
        delay: steps between the stimuli, >= 0; each trial draws one of them.
        test: steps of the second stimulus, >= 1.
        decision: steps of the decision, >= 1.
        train_size: new trials in an epoch.
        validation_size: trials to choose by.
        test_size: trials to report on.
        seed: of the validation and test trials.

    Returns:
        The task; its trials have the conditions delay, sample and match (1 or 0).

    Raises:
        InputError: an argument is outside its range.

    Example:
        >>> task = delayed_match(delay=[5, 10], test_size=3)
        >>> len(task.test.inputs), task.output_names
        (40, ('fixate', 'match', 'no match'))
    """
    delays = _numbers("delay", [delay] if isinstance(delay, int) else delay, 0, 10**6).astype(int)
    _at_least("noise", noise, 0)
    _steps(
        stimuli=(stimuli, 2),
        fixation=(fixation, 0),
        sample=(sample, 1),
        test=(test, 1),
        decision=(decision, 1),
    )
    around = fixation + sample + test + decision
    steps = around + int(delays.max())

    def trials(count: int, random: np.random.RandomState) -> Trials:
        pause = delays[random.randint(len(delays), size=count)]
        first = random.randint(stimuli, size=count)
        match = random.randint(2, size=count)
        other = (first + random.randint(1, stimuli, size=count)) % stimuli
        second = np.where(match == 1, first, other)
        time, ends = np.arange(steps)[:, None], pause + around
        decide = ends - decision
        begins = np.full(count, fixation)
        shown = [(begins, begins + sample, first), (decide - test, decide, second)]
        x = np.zeros((steps, count, 1 + stimuli))
        x[..., 1:] = noise * random.normal(size=(steps, count, stimuli))
        for begin, end, which in shown:
            on = (time >= begin) & (time < end)
            x[..., 1:] += on[..., None] * (np.arange(stimuli) == which[:, None])
        x[..., 0] = 1
        x[time[:, 0, None] >= decide] = 0
        y = np.where((time >= decide) & (time < ends), np.where(match == 1, 1, 2), 0)
        deciding = (time >= decide) & (time < ends)
        return Trials(
            _tensor(x),
            _tensor(y),
            decision=_tensor(deciding),
            lengths=_tensor(ends),
            conditions=_tensors({"delay": pause, "sample": first, "match": match}),
        )

    return Task(
        "delayed-match",
        trials,
        validation=validation_size,
        test=test_size,
        train_size=train_size,
        outputs=3,
        output_names=("fixate", "match", "no match"),
        condition="delay",
        parameters={
            "stimuli": stimuli,
            "noise": noise,
            "fixation": fixation,
            "sample": sample,
            "delay": delays.tolist(),
            "test": test,
            "decision": decision,
        },
        seed=seed,
        source="adaptrnn.tasks.cognitive.delayed_match",
    )


def adding(
    steps: int = 100,
    train_size: int = 2000,
    validation_size: int = 500,
    test_size: int = 1000,
    seed: int = 0,
) -> Task:
    r"""Return a task that asks for the sum of two marked numbers (Hochreiter, Schmidhuber 1997).

    The inputs are u_t, uniform on [0, 1), and a mark m_t, 1 at one step drawn from the first half
    of the sequence and one drawn from the second, 0 elsewhere (Le, Jaitly and Hinton 2015). The
    answer is a real value at the last step, sum_t m_t u_t. A network without any memory can do no
    better than always answer 1: a squared error of 1/6, an absolute error of 1/3.

    Args:
        steps: T >= 2; the classic test of long memory has 100 to 1,000.
        train_size: new trials in an epoch.
        validation_size: trials to choose by.
        test_size: trials to report on.
        seed: of the validation and test trials.

    Returns:
        The task; its trials have the condition gap, the steps between the marks.

    Raises:
        InputError: an argument is outside its range.

    Example:
        >>> task = adding(20, test_size=4)
        >>> task.answers, task.metric, tuple(task.test.targets.shape)
        ('values', 'error', (20, 4, 1))
    """
    _steps(steps=(steps, 2))
    half = steps // 2

    def trials(count: int, random: np.random.RandomState) -> Trials:
        numbers = random.uniform(size=(steps, count))
        first = random.randint(half, size=count)
        second = half + random.randint(steps - half, size=count)
        time = np.arange(steps)[:, None]
        mark = ((time == first) | (time == second)).astype(float)
        y = np.zeros((steps, count, 1))
        y[-1, :, 0] = (mark * numbers).sum(0)
        weights = np.zeros((steps, count))
        weights[-1] = 1
        conditions = _tensors({"gap": second - first})
        x = np.stack([numbers, mark], -1)
        return Trials(_tensor(x), _tensor(y), _tensor(weights), conditions=conditions)

    return Task(
        "adding",
        trials,
        validation=validation_size,
        test=test_size,
        train_size=train_size,
        outputs=1,
        output_names=("sum",),
        condition=None,
        parameters={"steps": steps},
        seed=seed,
        source="adaptrnn.tasks.cognitive.adding",
    )


def neurogym(
    environment: str,
    train_size: int = 2000,
    validation_size: int = 500,
    test_size: int = 1000,
    seed: int = 0,
    **parameters: object,
) -> Task:
    """Return a supervised task of NeuroGym, with each trial kept whole.

    The observations of a trial are the inputs, and its ground truth is the answer at every step, as
    in NeuroGym's own supervised data set. The answer is scored in the period "decision" or, if
    there is none, at the steps whose ground truth is not 0. Numbers that NeuroGym gives for a
    trial, such as its coherence, are its conditions.

    Args:
        environment: its name, such as PerceptualDecisionMaking-v0; "-v0" may be left out.
        train_size: new trials in an epoch.
        validation_size: trials to choose by.
        test_size: trials to report on.
        seed: of the validation and test trials.
        **parameters: the environment's own, such as dt, timing, cohs or sigma.

    Returns:
        The task.

    Raises:
        InputError: an unknown environment or parameter, or one that has no supervised answer.
        MissingExtraError: the extra "cognitive" is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of gymnasium, about metadata
        require("neurogym", "cognitive")
        from neurogym.envs.registration import all_envs, make

        name = environment if environment.endswith("-v0") else f"{environment}-v0"
        choose("environment", name, all_envs())
        try:
            env = make(name, **parameters).unwrapped
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise InputError(
                f"neurogym:{environment}: it does not take {parameters} ({error})."
            ) from None

    def trials(count: int, random: np.random.RandomState) -> Trials:
        env.seed(int(random.randint(2**31)))
        made = [_one(env, name) for _ in range(count)]
        lengths = np.array([len(x) for x, *_ in made])
        steps = int(lengths.max())

        def padded(k: int) -> Tensor:
            return _tensor(np.stack([_pad(np.asarray(trial[k]), steps) for trial in made], 1))

        names = [key for key in made[0][3] if all(key in trial[3] for trial in made)]
        conditions = {key: np.array([trial[3][key] for trial in made]) for key in names}
        return Trials(
            padded(0),
            padded(1),
            decision=padded(2),
            lengths=_tensor(lengths),
            conditions=_tensors(conditions),
        )

    first = trials(1, np.random.RandomState(0))
    condition = next((c for c in ("coherence", "coh") if c in first.conditions), None)
    outputs = getattr(env.action_space, "n", None)
    return Task(
        f"neurogym:{name}",
        trials,
        validation=validation_size,
        test=test_size,
        train_size=train_size,
        outputs=None if outputs is None else int(outputs),
        condition=condition,
        parameters=parameters,
        seed=seed,
        source=f"NeuroGym {metadata.version('neurogym')}, {name}",
    )


def _one(env: Any, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, float]]:
    """Inputs (T, D), answers (T,) or (T, K), where they are scored (T,), conditions of a trial."""
    env.new_trial()
    x, y = getattr(env, "ob", None), getattr(env, "gt", None)
    if x is None or y is None or len(x) == 0 or len(x) != len(y):
        raise InputError(f"neurogym:{name}: it has no supervised answer for each step.")
    x = np.asarray(x, np.float64).reshape(len(x), -1)
    real = not np.issubdtype(np.asarray(y).dtype, np.integer)
    y = np.asarray(y, np.float64).reshape(len(y), -1) if real else np.asarray(y)
    scored = np.zeros(len(x), bool)
    if "decision" in env.start_ind:
        scored[env.start_ind["decision"] : env.end_ind["decision"]] = True
    if not scored.any() and y.ndim == 1:
        scored = y != 0
    if not scored.any():
        scored[:] = True
    facts = {
        key: float(value)
        for key, value in (env.trial or {}).items()
        if isinstance(value, int | float | np.integer | np.floating)
    }
    return x, y, scored, facts


def _pad(values: np.ndarray, steps: int) -> np.ndarray:
    return np.pad(values, [(0, steps - len(values))] + [(0, 0)] * (values.ndim - 1))


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(values))


def _tensors(conditions: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: _tensor(np.asarray(v, np.float64)) for name, v in conditions.items()}


def _steps(**given: tuple[object, int]) -> None:
    for name, (value, least) in given.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise bad(name, value, f"an integer >= {least}")


def _at_least(name: str, value: object, least: float) -> None:
    if not isinstance(value, int | float) or not least <= value < float("inf"):
        raise bad(name, value, f"a number >= {least}")


def _numbers(name: str, values: ArrayLike, low: float, high: float) -> np.ndarray:
    try:
        found = np.atleast_1d(np.asarray(values, np.float64))
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.ndim != 1 or not len(found) or not ((low <= found) & (found <= high)).all():
        raise bad(name, values, f"numbers from {low} to {high}, at least one")
    return found


_BUILT_IN = (
    NamedTask("perceptual-decision", perceptual_decision),
    NamedTask("delayed-match", delayed_match),
    NamedTask("adding", adding),
)

COGNITIVE: Registry[NamedTask] = Registry(
    "task", NamedTask, _BUILT_IN, "adaptrnn.tasks", tuple(PRESETS)
)
"""The tasks of trials by name: those of adaptrnn, those that were registered, and those of
installed packages with an entry point in the group "adaptrnn.tasks"."""


def register_task(task: NamedTask) -> NamedTask:
    """Make a task known by its name in this process.

    To make it known to every process and to the command line, install it as a package whose entry
    point, in the group "adaptrnn.tasks" and of the task's name, is the `NamedTask`.

    Args:
        task: the task; one of the same name that was registered before is replaced.

    Returns:
        `task`.

    Raises:
        InputError: the name is that of a task of adaptrnn, or cannot be a part of a folder's name.

    Example:
        >>> from adaptrnn.tasks import load
        >>> task = register_task(NamedTask("short-adding", lambda: adding(steps=10)))
        >>> load("short-adding").sequence_length
        10
        >>> COGNITIVE.remove("short-adding")
    """
    return COGNITIVE.add(task)


def load_cognitive(name: str, parameters: Mapping[str, Any]) -> Task:
    """Return a cognitive task by name, with its parameters."""
    kind, _, environment = name.partition(":")
    if kind == "neurogym":
        return neurogym(environment, **parameters)
    make = COGNITIVE[name].make
    known = inspect.signature(make).parameters
    for parameter in parameters:
        if not any(one.kind is one.VAR_KEYWORD for one in known.values()):
            choose(f"{name}: parameter", parameter, known)
    return make_task(name, make, parameters)
