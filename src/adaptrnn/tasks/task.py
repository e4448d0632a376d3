"""A task has trials of input, target and weight, drawn from a seed or kept as arrays."""

from __future__ import annotations

import copy
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Generic, Literal, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from adaptrnn._error import NotFiniteError, bad
from adaptrnn.kernels.readout import mean_loss

__all__ = [
    "AbstractTask",
    "Generator",
    "Task",
    "TaskPart",
    "Trials",
    "trial_loss",
    "trial_scores",
    "weight_sum",
]

Answers = Literal["last", "classes", "values"]


@dataclass(frozen=True, eq=False)
class Trials:
    """Trials hold what a network reads, what it should answer, and where the answer counts.

    T counts time steps, B trials, D inputs, K outputs. NumPy arrays are accepted too. Trials of
    unequal length are padded to T with any values; `lengths` says where each of them ends. Inputs
    after the end become 0, and these steps have no weight and are not scored.

    Args:
        inputs: (T, B, D) float32; of an image task whatever its encoder reads.
        targets: a class for each trial, answered after the last step, (B,) int64; a class for
            every step, (T, B) int64; or real values for every step, (T, B, K) float32. With
            `lengths`, one class for each trial becomes a class for every step, which has weight at
            the trial's own last step only. Real values must be finite where they have weight or are
            scored; elsewhere those that are not finite become 0.
        weights: (T, B) >= 0, the weight of each step in the loss; None for 1 everywhere.
        decision: (T, B) bool, the steps at which the answer is scored; None for all those that
            have weight.
        lengths: (B,) int64, steps of each trial, 1 to T; None if all have T.
        conditions: numbers that describe each trial, such as its coherence, each (B,).

    Raises:
        InputError: shapes or dtypes that do not fit, a weight that is negative or not finite, a
            target that counts and is not finite, a trial without any weight or without a decision.

    Example:
        >>> trials = Trials(np.zeros((5, 2, 3)), np.array([0, 1]), lengths=np.array([5, 3]))
        >>> tuple(trials.targets.shape), trials.weights.T.tolist()
        ((5, 2), [[0.0, 0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0, 0.0]])
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor | None = None
    decision: Tensor | None = None
    lengths: Tensor | None = None
    conditions: Mapping[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        def keep(name: str, value: Tensor) -> Tensor:
            object.__setattr__(self, name, value)
            return value

        x = keep("inputs", torch.as_tensor(self.inputs).float())
        y = torch.as_tensor(self.targets)
        y = keep("targets", y.float() if y.is_floating_point() else y.long())
        real = y.is_floating_point()
        if y.ndim != 3 if real else y.ndim not in (1, 2):
            raise bad(
                "targets",
                f"{y.dtype} {tuple(y.shape)}",
                "classes (B,) or (T, B), or real values (T, B, K)",
            )
        if self.weights is None and self.lengths is None and y.ndim == 1:
            self._fits(("decision", self.decision, None))
            if x.ndim == 3 and x.shape[1] != len(y):
                allowed = f"({x.shape[1]},), one for each trial of inputs (T, B, D)"
                raise bad("targets.shape", tuple(y.shape), allowed)
            self._keep_conditions(len(y))
            return  # one answer after the last step
        if x.ndim != 3:
            raise bad("inputs.shape", tuple(x.shape), "(T, B, D)")
        steps, count = x.shape[:2]
        shape = (steps, count)
        if (tuple(y.shape) if y.ndim == 1 else tuple(y.shape[:2])) != shape[-y.ndim :][:2]:
            raise bad("targets.shape", tuple(y.shape), f"of the {steps} steps and {count} trials")
        weights = torch.ones(shape) if self.weights is None else torch.as_tensor(self.weights)
        self._fits(("weights", weights, shape))
        inside: Tensor | None = None  # which steps are of a trial, not after its end
        if self.lengths is not None:
            lengths = keep("lengths", torch.as_tensor(self.lengths).long())
            self._fits(("lengths", lengths, (count,)))
            if count and not (int(lengths.min()) >= 1 and int(lengths.max()) <= steps):
                raise bad("lengths", lengths.tolist(), f"integers from 1 to {steps}")
            time = torch.arange(steps, device=x.device)[:, None]
            inside = time < lengths
            x = keep("inputs", torch.where(inside[..., None], x, 0.0))
            weights = torch.where(inside, weights, 0.0)
            if y.ndim == 1:
                weights = torch.where(time == lengths - 1, weights, 0.0)
        if y.ndim == 1:
            if self.lengths is None:
                raise bad("weights", tuple(weights.shape), "None with one class for each trial")
            keep("targets", y.expand(shape).contiguous())
        weights = keep("weights", weights.float())
        if not (weights.isfinite().all() and (weights >= 0).all()):
            raise bad("weights", "negative or not finite", "finite numbers >= 0")
        decision = weights > 0 if self.decision is None else torch.as_tensor(self.decision).bool()
        self._fits(("decision", decision, shape))
        decision = keep("decision", decision if inside is None else decision & inside)
        for name, has in (("weights", weights > 0), ("decision", decision)):
            empty = (~has.any(0)).nonzero().flatten()
            if len(empty):
                raise bad(name, f"0 in all of trial {int(empty[0])}", "other than 0 at some step")
        if real and not y.isfinite().all():
            keep("targets", self._finite_targets((weights > 0) | decision))
        self._keep_conditions(count)

    def _keep_conditions(self, count: int) -> None:
        found = {k: torch.as_tensor(v) for k, v in self.conditions.items()}
        self._fits(*((f"conditions[{k!r}]", value, (count,)) for k, value in found.items()))
        object.__setattr__(self, "conditions", found)

    def _finite_targets(self, counts: Tensor) -> Tensor:
        """Real targets with 0 for what is not finite; an error where a step counts."""
        y, lost = self.targets, ~self.targets.isfinite()
        wrong = (lost & counts[..., None]).nonzero()
        if len(wrong):
            place = ", ".join(map(str, wrong[0].tolist()))
            allowed = "finite at every step that has weight or is scored"
            advice = "Give weights of 0, or lengths, where there is no target."
            value = float(y[tuple(wrong[0])])
            raise bad(f"targets[{place}]", value, allowed, advice, NotFiniteError)
        return torch.where(lost, 0.0, y)

    @staticmethod
    def _fits(*given: tuple[str, Tensor | None, tuple[int, ...] | None]) -> None:
        for name, value, shape in given:
            if shape is None and value is not None:
                raise bad(name, tuple(value.shape), "None with one class for each trial")
            if shape is not None and (value is None or tuple(value.shape) != shape):
                raise bad(
                    f"{name}.shape", None if value is None else tuple(value.shape), f"{shape}"
                )

    def __len__(self) -> int:
        """Return the number of trials."""
        return self.targets.shape[0 if self.targets.ndim == 1 else 1]

    def __iter__(self) -> Iterator[Tensor]:
        """Unpack as inputs and targets."""
        return iter((self.inputs, self.targets))

    def __getitem__(self, index: Tensor | slice) -> Trials:
        """Return some of the trials, by a slice or a tensor of indices."""
        at = (slice(None), index)

        def step(value: Tensor | None) -> Tensor | None:
            return None if value is None else value[at]

        return self._with(
            self.inputs[at],
            self.targets[index if self.targets.ndim == 1 else at],
            step(self.weights),
            step(self.decision),
            None if self.lengths is None else self.lengths[index],
            {name: value[index] for name, value in self.conditions.items()},
        )

    def apply(self, function: Callable[[Tensor], Tensor]) -> Trials:
        """Return the same trials with a function applied to each of their tensors."""

        def each(value: Tensor | None) -> Tensor | None:
            return None if value is None else function(value)

        return self._with(
            function(self.inputs),
            function(self.targets),
            each(self.weights),
            each(self.decision),
            each(self.lengths),
            {name: function(value) for name, value in self.conditions.items()},
        )

    def with_inputs(self, inputs: Tensor) -> Trials:
        """Return the same trials with other inputs, which are not checked."""
        new = copy.copy(self)
        object.__setattr__(new, "inputs", inputs)
        return new

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Trials:
        """Return the same trials on a device; `non_blocking` does not wait for pinned memory."""
        return self.apply(lambda value: value.to(device, non_blocking=non_blocking))

    @classmethod
    def _with(cls, *values: Tensor | Mapping[str, Tensor] | None) -> Trials:
        """Trials whose parts were checked before."""
        new = object.__new__(cls)
        names = ("inputs", "targets", "weights", "decision", "lengths", "conditions")
        for name, value in zip(names, values, strict=True):
            object.__setattr__(new, name, value)
        return new

    @property
    def answers(self) -> Answers:
        """Return what is answered: "last" (a class), "classes" or "values" (both at every step)."""
        if self.targets.ndim == 1:
            return "last"
        return "values" if self.targets.is_floating_point() else "classes"


def weight_sum(trials: Trials) -> float:
    """Return what the trials' mean loss is divided by: the sum of the weights, or their number."""
    if trials.weights is None:
        return len(trials)
    return float(trials.weights.sum(dtype=torch.float64))


def trial_loss(
    outputs: Annotated[Tensor, "B K"] | Annotated[Tensor, "T B K"], trials: Trials
) -> Annotated[Tensor, ""]:
    r"""Compute the mean loss of a network's outputs, each step counted by its weight.

        L = sum_{t,b} w_tb l_tb / sum_{t,b} w_tb

    with l the cross entropy of a class, -ln softmax(y_tb)[target], or the squared error of a
    value, averaged over the K outputs. With one class for each trial it is the mean over trials.

    Args:
        outputs: (B, K) for one class a trial, else (T, B, K).
        trials: the trials.

    Returns:
        The loss, ().

    Example:
        >>> trials = Trials(np.zeros((2, 1, 1)), np.array([[0], [1]]), weights=[[0.0], [1.0]])
        >>> round(trial_loss(torch.zeros(2, 1, 4), trials).item(), 4)  # ln 4
        1.3863
    """
    return mean_loss(outputs, trials.targets, trials.weights)


def trial_scores(
    outputs: Annotated[Tensor, "B K"] | Annotated[Tensor, "T B K"], trials: Trials
) -> Annotated[Tensor, "B"]:
    """Score how well each trial was answered at its decision.

    Args:
        outputs: (B, K) for one class a trial, else (T, B, K).
        trials: the trials.

    Returns:
        (B,) float64. For classes it is the share of the decision's steps, 0 to 1, at which the
        largest output is the target's. For values it is the mean absolute error over these steps,
        in the units of the targets.

    Example:
        >>> trials = Trials(np.zeros((2, 1, 1)), np.array([[0], [1]]))
        >>> trial_scores(torch.tensor([[[2.0, 1.0]], [[2.0, 1.0]]]), trials).tolist()
        [0.5]
    """
    y = trials.targets
    if trials.answers == "last":
        return (outputs.argmax(-1) == y).double()
    assert trials.decision is not None
    if trials.answers == "values":
        each = (outputs.double() - y.double()).abs().mean(-1)
    else:
        each = (outputs.argmax(-1) == y).double()
    decision = trials.decision.double()
    return (each * decision).sum(0) / decision.sum(0)


class TaskPart(Protocol):
    """A part is the training, validation or test trials of a task, as far as all need them."""

    def __len__(self) -> int:
        """Return the number of trials."""


_Part = TypeVar("_Part", bound=TaskPart)
_Task = TypeVar("_Task", bound="AbstractTask[Any]")


class AbstractTask(ABC, Generic[_Part]):
    """A task has everything that training, evaluation and analyses need to know of it.

    Attributes:
        name: the task's name.
        kind: "sequence" (a network reads (T, B, D)) or "image" (its encoder reads images).
        train: trials of an epoch; `batch` makes them what a network reads.
        validation: trials to choose by.
        test: trials to report on.
        split_hash: SHA-256 over what decides which trials there are.
        permutation_hash: SHA-256 over a fixed order of the steps, if there is one.
        permutation: that order, (T,) int64.
        condition: name of the trials' condition that a psychometric curve is drawn against.
        answers: "last", "classes" or "values", see `Trials.answers`.
        generator: what makes new training trials in every epoch; None where they are fixed.
    """

    name: str
    kind: Literal["sequence", "image"]
    train: _Part
    validation: _Part
    test: _Part
    split_hash: str
    permutation_hash: str | None
    permutation: Tensor | None
    condition: str | None = None
    answers: Answers = "last"
    generator: Generator | None = None

    @property
    @abstractmethod
    def input_size(self) -> int:
        """Return the features of one step, D; of an image its channels."""

    @property
    @abstractmethod
    def output_size(self) -> int:
        """Return the number of classes, or of real values a step, K."""

    @property
    @abstractmethod
    def sequence_length(self) -> int | None:
        """Return the steps T of the longest validation trial, or None for images.

        The encoder of images makes the steps.
        """

    @property
    def core_steps(self) -> int:
        """Return the steps of the recurrent core; of images those that the encoder makes."""
        assert self.sequence_length is not None
        return self.sequence_length

    @property
    def metric(self) -> Literal["accuracy", "error"]:
        """Return what `trial_scores` gives: "accuracy" of classes, "error" of values."""
        return "error" if self.answers == "values" else "accuracy"

    @abstractmethod
    def batch(self, part: _Part, index: Tensor | slice) -> Trials:
        """Return some trials of a part, as a network reads them.

        Args:
            part: `train`, `validation`, `test`, or trials of their kind.
            index: which of them.
        """

    def with_test(self: _Task, part: TaskPart) -> _Task:
        """Return the same task with other test trials, such as a few of its own."""
        new = copy.copy(self)
        object.__setattr__(new, "test", part)
        return new

    @abstractmethod
    def describe(self) -> dict[str, object]:
        """Return the facts of the task as plain values, for a run's record (JSON)."""


Generator = Callable[[int, np.random.RandomState], Trials]
"""Makes new trials: a function of their number and of the source of randomness to draw from, which
is a numpy.random.RandomState, not a numpy.random.Generator."""


@dataclass(frozen=True)
class _Drawn:
    """Trials that are drawn again in every epoch: only their number is fixed."""

    count: int

    def __len__(self) -> int:
        return self.count


@dataclass(frozen=True, eq=False)
class Task(AbstractTask[Trials]):
    """This is a task of your own, from fixed trials or from a function that makes new ones.

    What is answered follows from the targets: see `Trials`. Classes are trained by cross entropy
    and scored by accuracy, real values by the mean squared error and scored by the mean absolute
    error (`trial_loss`, `trial_scores`). New trials depend only on the seed, the epoch and the
    number of the batch, so a training run that was interrupted sees the same ones.

    Args:
        name: of the task.
        train: trials to train on, or a function (count, random) -> `Trials`, which draws all that
            is random from `random`, a numpy.random.RandomState, whose stream NumPy has frozen; it
            has `normal`, `uniform`, `choice`, `permutation` and, for integers, `randint`.
        validation: trials, or how many to draw from the function.
        test: trials, or how many to draw from the function.
        train_size: trials of an epoch, where they are drawn.
        outputs: K; None takes it from the targets: the largest class of `validation` and `test`
            and one, or the number of values.
        output_names: a name for each output; None for none.
        condition: the condition that a psychometric curve is drawn against; None for none.
        parameters: numbers and texts that made the task, for the record of a run.
        seed: of the validation and test trials.
        source: where the trials come from, for the record of a run.

    Raises:
        InputError: trials of different kinds, a class or a condition that does not exist, a size
            that is not allowed.

    Example:
        >>> def echo(count, random):
        ...     x = random.normal(size=(6, count, 1))
        ...     return Trials(x, (x[..., 0] > 0).astype(int))
        >>> task = Task("sign", echo, validation=20, test=30, train_size=100)
        >>> task.answers, task.output_size, task.input_size, task.metric, len(task.train)
        ('classes', 2, 1, 'accuracy', 100)
    """

    name: str
    train: Any
    validation: Any = 500
    test: Any = 1000
    train_size: int = 2000
    outputs: int | None = None
    output_names: tuple[str, ...] | None = None
    condition: str | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    seed: int = 0
    source: str = "made by a function"
    generator: Generator | None = field(default=None, init=False, repr=False)
    split_hash: str = field(default="", init=False)

    kind: ClassVar[Literal["sequence"]] = "sequence"  # type: ignore[misc]
    permutation: ClassVar[None] = None  # type: ignore[misc]
    permutation_hash: ClassVar[None] = None  # type: ignore[misc]

    def __post_init__(self) -> None:
        def keep(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        if not isinstance(self.seed, int) or not 0 <= self.seed < 2**32:
            raise bad("seed", self.seed, "an integer, 0 <= seed < 2^32")
        if not isinstance(self.train, Trials):
            if not callable(self.train):
                raise bad("train", self.train, "Trials, or a function (count, random) -> Trials")
            if not isinstance(self.train_size, int) or self.train_size < 1:
                raise bad("train_size", self.train_size, "an integer >= 1")
            keep("generator", self.train)
            keep("train", _Drawn(self.train_size))
        for tag, name in ((2, "validation"), (3, "test")):
            part = getattr(self, name)
            if isinstance(part, Trials):
                continue
            if not isinstance(part, int) or isinstance(part, bool) or part < 1:
                raise bad(name, part, "Trials, or how many to draw: an integer >= 1")
            if self.generator is None:
                raise bad(name, part, "Trials", "There is no function that makes new ones.")
            keep(name, self._make(part, [tag, self.seed]))
        kept = [part for part in (self.train, self.validation, self.test) if len(part) == 0]
        if kept:
            raise bad("train, validation, test", "one without trials", "of at least one trial each")
        self._check()
        keep("split_hash", self._hash())

    def _make(self, count: int, seed: list[int]) -> Trials:
        assert self.generator is not None
        made = self.generator(count, np.random.RandomState(seed))
        if not isinstance(made, Trials) or len(made) != count:
            given = f"{len(made)} trials" if isinstance(made, Trials) else type(made).__name__
            raise bad(f"{self.name}: what the function returned", given, f"{count} Trials")
        return made

    def _check(self) -> None:
        parts = [p for p in (self.validation, self.test, self.train) if isinstance(p, Trials)]
        kinds = {(part.answers, part.inputs.shape[-1]) for part in parts}
        if len(kinds) > 1 or any(part.inputs.ndim != 3 for part in parts):
            raise bad("trials", sorted(kinds), "of one kind of target and one number of inputs")
        if self.answers == "values":
            found = self.validation.targets.shape[-1]
        else:
            found = 1 + max(int(part.targets.max()) for part in parts)
        if self.outputs is None:
            object.__setattr__(self, "outputs", max(found, 1 if self.answers == "values" else 2))
        self._classes(*parts)
        names = self.output_names
        if names is not None and len(names) != self.outputs:
            raise bad("output_names", names, f"{self.outputs} names, one for each output")
        if self.condition is not None and self.condition not in self.test.conditions:
            raise bad("condition", self.condition, f"one of {sorted(self.test.conditions)}")

    def _classes(self, *parts: Trials) -> None:
        size = self.output_size
        for part in parts:
            y = part.targets
            if self.answers == "values" and y.shape[-1] != size:
                raise bad("targets.shape", tuple(y.shape), f"(T, B, {size})")
            if self.answers != "values" and not (int(y.min()) >= 0 and int(y.max()) < size):
                raise bad("targets", (int(y.min()), int(y.max())), f"classes from 0 to {size - 1}")

    @property
    def answers(self) -> Answers:  # type: ignore[override]
        """Return what is answered, see `Trials.answers`."""
        return self.test.answers if isinstance(self.test, Trials) else "last"

    @property
    def input_size(self) -> int:
        """Return the number of inputs of one step, D."""
        return int(self.test.inputs.shape[-1])

    @property
    def output_size(self) -> int:
        """Return the number of outputs, K."""
        assert self.outputs is not None
        return self.outputs

    @property
    def sequence_length(self) -> int:
        """Return the steps T of the longest validation or test trial."""
        return max(len(self.validation.inputs), len(self.test.inputs))

    def batch(self, part: Trials, index: Tensor | slice) -> Trials:
        """Return some trials of a part. See `AbstractTask.batch`."""
        return part[index]

    def draw(self, seed: int, epoch: int, position: int, batch_size: int) -> Trials:
        """Draw new trials to train on; they depend on the arguments only.

        Args:
            seed: of the training run.
            epoch: number of the epoch, from 0.
            position: number of the batch in it, from 0.
            batch_size: trials of a batch; the last batch of an epoch may have fewer.
        """
        count = min(batch_size, len(self.train) - position * batch_size)
        made = self._make(count, [1, seed, epoch, position])
        if made.answers != self.answers or made.inputs.shape[-1] != self.input_size:
            raise bad(f"{self.name}: new trials", made.answers, f"of the kind {self.answers}")
        self._classes(made)
        return made

    def _hash(self) -> str:
        digest = hashlib.sha256()
        facts = [self.name, dict(self.parameters), self.seed, self.output_size, self.answers]
        digest.update(json.dumps(facts, sort_keys=True, default=str).encode())
        for name in ("train", "validation", "test"):
            part = getattr(self, name)
            digest.update(json.dumps([name, len(part)]).encode())
            if not isinstance(part, Trials):
                continue
            # drawn real numbers may differ in their last bit from machine to machine
            exact = self.generator is None
            for value in (part.inputs, part.targets, part.weights, part.lengths):
                if value is None or (value.is_floating_point() and not exact):
                    continue
                kind = "<f4" if value.is_floating_point() else "<i8"
                digest.update(value.contiguous().numpy().astype(kind).tobytes())
        return digest.hexdigest()

    def describe(self) -> dict[str, object]:
        """Return the facts of the task as plain values, for a run's record (JSON)."""
        return {
            "name": self.name,
            "kind": self.kind,
            "answers": self.answers,
            "input_size": self.input_size,
            "output_size": self.output_size,
            "output_names": None if self.output_names is None else list(self.output_names),
            "metric": self.metric,
            "condition": self.condition,
            "sequence_length": self.sequence_length,
            "parameters": json.loads(json.dumps(dict(self.parameters), default=str)),
            "new_trials_each_epoch": self.generator is not None,
            "train_size": len(self.train),
            "validation_size": len(self.validation),
            "test_size": len(self.test),
            "split_hash": self.split_hash,
            "permutation_hash": None,
            "source": self.source,
        }
