"""The three built-in tasks against their closed forms; NeuroGym's against its own data set."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from adaptrnn._error import InputError, MissingExtraError
from adaptrnn.cli import main
from adaptrnn.run import Run
from adaptrnn.tasks import COGNITIVE, NamedTask, load, register_task
from adaptrnn.tasks.cognitive import adding, delayed_match, neurogym, perceptual_decision


def test_an_ideal_observer_of_perceptual_decisions():
    """Summing the streams' difference answers Phi(c sqrt(S / 2) / sigma) of the trials rightly."""
    levels, stimulus, noise = (0.064, 0.128, 0.512), 40, 1.0
    task = perceptual_decision(levels, noise, stimulus=stimulus, test_size=6000)
    x, y = task.test
    summed = (x[..., 1] - x[..., 2]).sum(0)
    hits = (summed > 0) == (y[-1] == 1)
    coherence = task.test.conditions["coherence"]
    for level in levels:
        mine = hits[coherence == level].double()
        expected = 0.5 * (1 + math.erf(level * math.sqrt(stimulus / 2) / noise / math.sqrt(2)))
        # five standard errors of a proportion
        tolerance = 5 * math.sqrt(expected * (1 - expected) / len(mine))
        assert abs(mine.mean().item() - expected) < tolerance, level


def test_perceptual_decisions_are_laid_out_as_said():
    task = perceptual_decision(
        (0.5,), 0.0, fixation=2, stimulus=3, decision=2, test_size=50, train_size=4
    )
    x, y = task.test
    direction = task.test.conditions["direction"]
    cue = torch.tensor([1.0, 1, 1, 1, 1, 0, 0])
    assert torch.equal(x[..., 0], cue[:, None].expand(7, 50))
    # without noise the streams are (1 + d c) / 2, exact in float32 for c = 1/2
    assert torch.equal(x[2:5, :, 1], ((1 + direction / 2) / 2).float().expand(3, 50))
    assert not x[:2, :, 1:].any() and not x[5:].any()
    assert torch.equal(y[5], torch.where(direction > 0, 1, 2)) and not y[:5].any()
    assert task.test.decision.sum(0).eq(2).all()
    # both directions occur; that none of 50 does has a chance of 2^-49
    assert set(direction.tolist()) == {-1.0, 1.0}


def test_delayed_match_is_answered_by_comparing_the_two_stimuli():
    task = delayed_match(3, noise=0.0, delay=[0, 4], test_size=200)
    trials = task.test
    for b in range(200):
        length, delay = int(trials.lengths[b]), int(trials.conditions["delay"][b])
        assert length == 5 + 10 + delay + 10 + 5
        x = trials.inputs[:length, b]
        first, second = x[5:15, 1:].argmax(1), x[15 + delay : 25 + delay, 1:].argmax(1)
        same = bool((first == second).all())
        assert (first == first[0]).all() and first[0] == trials.conditions["sample"][b]
        assert not x[15 : 15 + delay, 1:].any()
        answers = trials.targets[:length, b]
        assert set(answers[-5:].tolist()) == {1 if same else 2} and not answers[:-5].any()
        assert not trials.weights[length:, b].any()
    share = trials.conditions["match"].mean().item()
    assert abs(share - 0.5) < 5 * 0.5 / math.sqrt(200)  # five standard errors


def test_the_adding_problem():
    task = adding(30, test_size=20_000)
    x, y = task.test
    numbers, mark = x[..., 0].double(), x[..., 1].double()
    assert torch.equal(mark[:15].sum(0), torch.ones(20_000).double())
    assert torch.equal(mark[15:].sum(0), torch.ones(20_000).double())
    # the sum of two float32 numbers, rounded once more
    assert torch.allclose((numbers * mark).sum(0), y[-1, :, 0].double(), atol=1e-6)
    answer = torch.ones(30, 20_000, 1)
    from adaptrnn.tasks import trial_loss, trial_scores

    # (s - 1)^2 of a sum of two uniform numbers has mean 1/6 and variance 1/15 - 1/36;
    # |s - 1| has mean 1/3 and variance 1/6 - 1/9; five standard errors
    squared = 5 * math.sqrt((1 / 15 - 1 / 36) / 20_000)
    assert abs(trial_loss(answer, task.test).item() - 1 / 6) < squared
    absolute = 5 * math.sqrt((1 / 6 - 1 / 9) / 20_000)
    assert abs(trial_scores(answer, task.test).mean().item() - 1 / 3) < absolute


@pytest.mark.parametrize(
    "name, parameters, message",
    [
        ("perceptual-decision", {"coherences": [2.0]}, "coherences=.*numbers from 0 to 1"),
        ("perceptual-decision", {"stimulus": 0}, "stimulus=0: must be an integer >= 1"),
        ("perceptual-decision", {"nois": 1}, "Did you mean 'noise'"),
        ("delayed-match", {"stimuli": 1}, "stimuli=1: must be an integer >= 2"),
        ("adding", {"steps": 1}, "steps=1"),
        ("perceptual-decisions", {}, "Did you mean 'perceptual-decision'"),
        ("digits", {"steps": 1}, "must be empty"),
    ],
)
def test_wrong_parameters_are_one_error(name, parameters, message):
    with pytest.raises(InputError, match=message):
        load(name, parameters=parameters)


def test_without_neurogym_the_extra_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "neurogym", None)
    with pytest.raises(MissingExtraError, match=r"adaptrnn\[cognitive\]"):
        load("neurogym:PerceptualDecisionMaking")


@pytest.fixture
def gym():
    """NeuroGym, or skip where the extra is not installed; `make cognitive` installs it."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield pytest.importorskip("neurogym", reason="the extra cognitive; run make cognitive")


def test_neurogym_gives_the_trials_of_its_own_data_set(gym):
    """Its data set strings whole trials together; ours gives the same ones one by one."""
    name, seed = "PerceptualDecisionMaking-v0", 11
    theirs = gym.Dataset(gym.make(name, dt=20).unwrapped, batch_size=1, seq_len=330)
    theirs.seed(seed)
    theirs._cache()
    x, y = theirs()

    class Seeded:
        def randint(self, high):
            return seed

    task = neurogym(name, dt=20, test_size=2, validation_size=2)
    ours = task.generator(3, Seeded())
    assert ours.inputs.shape == (110, 3, 3)
    strung = ours.inputs.transpose(0, 1).reshape(330, 3)
    assert torch.equal(strung, torch.from_numpy(x[:, 0]).float())
    assert np.array_equal(ours.targets.T.reshape(330), y[:, 0])
    assert set(ours.conditions) == {"ground_truth", "coh"}
    assert torch.equal(ours.targets[-1] - 1, ours.conditions["ground_truth"].long())
    assert ours.decision.sum(0).tolist() == [5, 5, 5]  # 100 ms
    assert task.condition == "coh" and task.output_size == 3


def test_neurogym_trials_of_unequal_length(gym):
    task = neurogym("ReadySetGo", test_size=30, validation_size=2)
    lengths = task.test.lengths
    assert len(lengths.unique()) > 1 and int(lengths.max()) == len(task.test.inputs)
    for b in range(30):
        assert not task.test.weights[lengths[b] :, b].any()
    assert torch.equal(task.test.inputs, neurogym("ReadySetGo", 5, 2, 30).test.inputs)


@pytest.mark.parametrize(
    "name, parameters, message",
    [
        ("PerceptualDecisionMakin", {}, "Did you mean 'PerceptualDecisionMaking-v0'"),
        ("PerceptualDecisionMaking", {"dtt": 20}, "does not take .*dtt"),
        ("Bandit", {}, "no supervised answer"),
    ],
)
def test_neurogym_refuses_in_one_error(gym, name, parameters, message):
    with pytest.raises(InputError, match=message):
        neurogym(name, **parameters)


@pytest.fixture
def short():
    """A task of another package, known while a test runs."""

    def make(steps=10, **others):
        return adding(steps=steps, **others)

    yield register_task(NamedTask("short", make))
    COGNITIVE.remove("short")


def test_a_registered_task_is_loaded_trained_and_evaluated_by_its_name(short, tmp_path, capsys):
    task = load("short", train_size=30, parameters={"steps": 12, "seed": 3})
    assert task.sequence_length == 12 and task.train_size == 30
    words = f"train short --hidden-size 4 --controller-size 2 --epochs 1 --out {tmp_path / 'run'}"
    assert main([*words.split(), "--train-size", "20", "--task-options", "test_size=10"]) == 0
    assert main(["evaluate", str(tmp_path / "run"), "--perturb", "step:xi=1"]) == 0
    assert "step:xi=1" in capsys.readouterr().out
    assert Run(tmp_path / "run").task().sequence_length == 10  # read again, by its name


def test_an_unknown_task_is_one_error_that_lists_the_known(short):
    with pytest.raises(InputError, match=r"name='shorter': must be one of 'digits'.*'short'"):
        load("shorter")
    with pytest.raises(InputError, match="parameter='sizes': must be one of 'steps', 'train_size'"):
        load("adding", parameters={"sizes": 3})


def test_what_cannot_be_registered_as_a_task():
    for name in ("digits", "adding"):
        with pytest.raises(InputError, match="other than the task names of adaptrnn"):
            register_task(NamedTask(name, adding))
    with pytest.raises(InputError, match="begin with a letter or digit"):
        register_task(NamedTask("a/b", adding))
    register_task(NamedTask("none", lambda: None))
    try:
        with pytest.raises(InputError, match="none: what it returned=None: must be an adaptrnn"):
            load("none")
    finally:
        COGNITIVE.remove("none")
