"""Trials and tasks of one's own: shapes, masks, losses against loops, new trials by seed."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from adaptrnn._error import InputError
from adaptrnn.tasks import Task, Trials, trial_loss, trial_scores, weight_sum


def drawn(count, random):
    x = random.normal(size=(6, count, 2))
    return Trials(x, (x[..., 0] > 0).astype(int), conditions={"mean": x.mean((0, 2))})


@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_loss_and_scores_are_those_of_a_loop(steps, count, outputs, seed):
    """The truth is summed step by step and trial by trial in float64, by another formula."""
    random = np.random.RandomState(seed)
    lengths = random.randint(1, steps + 1, size=count)
    weights = random.uniform(0.1, 2, size=(steps, count))
    y = random.normal(size=(steps, count, outputs))
    classes = random.randint(outputs, size=(steps, count))
    values = random.normal(size=(steps, count, outputs))
    x = np.zeros((steps, count, 1))
    real = Trials(x, values, weights, lengths=lengths)
    labelled = Trials(x, classes, weights, lengths=lengths)
    loss, entropy, total, error, hits = 0.0, 0.0, 0.0, [], []
    for b in range(count):
        wrong, right = [], []
        for t in range(lengths[b]):
            off = [y[t, b, k] - values[t, b, k] for k in range(outputs)]
            loss += weights[t, b] * sum(o**2 for o in off) / outputs
            wrong.append(sum(map(abs, off)) / outputs)
            z = sum(math.exp(y[t, b, k]) for k in range(outputs))
            entropy += weights[t, b] * (math.log(z) - y[t, b, classes[t, b]])
            right.append(int(np.argmax(y[t, b])) == classes[t, b])
            total += weights[t, b]
        error.append(sum(wrong) / len(wrong))
        hits.append(sum(right) / len(right))
    given = torch.from_numpy(y)
    # targets and weights are float32
    assert math.isclose(trial_loss(given, real).item(), loss / total, rel_tol=1e-5)
    assert math.isclose(
        trial_loss(given, labelled).item(), entropy / total, rel_tol=1e-5, abs_tol=1e-12
    )
    assert math.isclose(weight_sum(real), total, rel_tol=1e-6)
    np.testing.assert_allclose(trial_scores(given, real), error, rtol=1e-5)
    np.testing.assert_allclose(trial_scores(given, labelled), hits, rtol=1e-12)


def test_what_comes_after_a_trial_does_not_count():
    trials = Trials(np.zeros((4, 2, 1)), np.array([1, 0]), lengths=np.array([2, 4]))
    outputs = torch.randn(4, 2, 3)
    other = outputs.clone()
    other[2:, 0] = 100.0
    other[0] = -50.0  # before its last step nothing counts either
    assert torch.equal(trial_loss(outputs, trials), trial_loss(other, trials))
    ends = torch.stack([outputs[1, 0], outputs[3, 1]])
    expected = torch.nn.functional.cross_entropy(ends, torch.tensor([1, 0]))
    # a mean of two in another order
    assert torch.allclose(trial_loss(outputs, trials), expected, rtol=1e-6)


def test_what_the_padding_holds_changes_nothing():
    """Inputs and real targets after the end of a trial may be anything, and are never scored."""
    x, y, after = np.ones((4, 2, 1)), np.ones((4, 2, 1)), np.arange(4)[:, None] >= [2, 4]

    def padded(value):
        inside = (np.where(after[..., None], value, part) for part in (x, y))
        return Trials(*inside, decision=np.ones((4, 2), bool), lengths=np.array([2, 4]))

    zero = padded(0.0)
    outputs = torch.zeros(4, 2, 1)
    for value in (50.0, np.nan, np.inf):
        trials = padded(value)
        assert torch.equal(trials.inputs, zero.inputs)
        assert torch.equal(trial_loss(outputs, trials), trial_loss(outputs, zero))
        # every step of a trial is wrong by 1; those after its end would be wrong by `value`
        assert trial_scores(outputs, trials).tolist() == [1.0, 1.0]


def test_a_target_that_counts_is_finite():
    y = np.zeros((5, 2, 1))
    y[3, 1, 0] = np.nan
    weights = np.ones((5, 2))
    weights[3, 1] = 0
    with pytest.raises(InputError, match=r"targets\[3, 1, 0\]=nan: must be finite .*weights of 0"):
        Trials(np.zeros((5, 2, 1)), y)
    with pytest.raises(InputError, match=r"targets\[3, 1, 0\]=nan"):
        Trials(np.zeros((5, 2, 1)), y, weights, decision=np.ones((5, 2), bool))
    trials = Trials(np.zeros((5, 2, 1)), y, weights)
    assert trial_loss(torch.zeros(5, 2, 1), trials).item() == 0
    assert trial_scores(torch.zeros(5, 2, 1), trials).tolist() == [0, 0]


def test_some_of_the_trials():
    whole = Trials(
        np.random.normal(size=(5, 4, 2)),  # noqa: NPY002 - the fixture seeds it
        np.arange(20).reshape(5, 4) % 3,
        lengths=np.array([5, 4, 3, 2]),
        conditions={"coherence": np.array([0.0, 0.1, 0.2, 0.3])},
    )
    part = whole[torch.tensor([3, 1])]
    assert len(part) == 2 and part.lengths.tolist() == [2, 4]
    assert torch.equal(part.inputs, whole.inputs[:, [3, 1]])
    assert torch.equal(part.targets, whole.targets[:, [3, 1]])
    # 0.3 and 0.1 are not float32 numbers; they were given as float64
    assert part.conditions["coherence"].tolist() == [0.3, 0.1]
    assert [len(whole[1:3]), len(whole.to("cpu"))] == [2, 4]
    x, y = part
    assert x is part.inputs and y is part.targets


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"targets": np.zeros((5, 2))}, r"targets=.*classes \(B,\) or \(T, B\)"),
        ({"targets": np.zeros((4, 2), int)}, "of the 5 steps and 2 trials"),
        ({"weights": -np.ones((5, 2))}, "finite numbers >= 0"),
        ({"weights": np.ones((5, 1))}, r"weights.shape=\(5, 1\): must be \(5, 2\)"),
        ({"weights": np.eye(5, 2) * [1, 0]}, "weights='0 in all of trial 1'"),
        ({"lengths": np.array([6, 1])}, "integers from 1 to 5"),
        ({"conditions": {"coherence": np.zeros(3)}}, "conditions"),
        ({"targets": np.zeros(2, int), "weights": np.ones((5, 2))}, "one class for each trial"),
        ({"targets": np.zeros(5, int)}, r"targets.shape=\(5,\): must be \(2,\), one for each"),
    ],
)
def test_wrong_trials_are_one_error(arguments, message):
    given = {"inputs": np.zeros((5, 2, 1)), "targets": np.zeros((5, 2), int)} | arguments
    with pytest.raises(InputError, match=message):
        Trials(**given)


def test_new_trials_depend_on_seed_epoch_and_batch_only():
    task = Task("signs", drawn, validation=5, test=5, train_size=25)
    one = task.draw(seed=3, epoch=2, position=1, batch_size=10)
    assert torch.equal(one.inputs, task.draw(3, 2, 1, 10).inputs)
    others = [task.draw(4, 2, 1, 10), task.draw(3, 1, 1, 10), task.draw(3, 2, 0, 10)]
    assert not any(torch.equal(one.inputs, other.inputs) for other in others)
    assert len(task.draw(3, 2, 2, 10)) == 5  # what is left of an epoch of 25
    again = Task("signs", drawn, validation=5, test=5, train_size=25)
    assert torch.equal(task.test.inputs, again.test.inputs)
    assert task.split_hash == again.split_hash
    assert not torch.equal(task.test.inputs, task.validation.inputs)
    other = Task("signs", drawn, validation=5, test=5, train_size=25, seed=1)
    assert other.split_hash != task.split_hash
    assert not torch.equal(task.test.inputs, other.test.inputs)


def test_fixed_arrays_and_what_is_refused():
    trials = [drawn(count, np.random.RandomState(k)) for k, count in enumerate((9, 4, 4))]
    task = Task("fixed", *trials, condition="mean")
    assert (task.answers, task.output_size, task.input_size) == ("classes", 2, 2)
    assert task.generator is None and task.sequence_length == 6
    changed = drawn(9, np.random.RandomState(7))
    assert Task("fixed", changed, *trials[1:]).split_hash != Task("fixed", *trials).split_hash
    with pytest.raises(InputError, match="There is no function"):
        Task("fixed", trials[0])
    with pytest.raises(InputError, match="condition='contrast'"):
        Task("fixed", *trials, condition="contrast")
    with pytest.raises(InputError, match=r"classes from 0 to 0"):
        Task("fixed", *trials, outputs=1)
    with pytest.raises(InputError, match="5 Trials"):
        Task("few", lambda count, random: drawn(3, random), validation=5)
    with pytest.raises(InputError, match="of one kind"):
        Task("two kinds", trials[0], trials[1], Trials(np.zeros((6, 2, 2)), np.zeros((6, 2, 1))))
