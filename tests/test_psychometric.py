"""Psychometric curves: each point is the mean over the trials of its value."""

from __future__ import annotations

import math

import pytest
import torch

from adaptrnn import ARUN, InputError, SequenceModel, StepDrive
from adaptrnn.evaluation import evaluate_trials
from adaptrnn.perturb import Sum
from adaptrnn.psychometric import psychometric_curve
from adaptrnn.tasks import load


def test_psychometric_is_the_mean_of_each_group():
    task = load("delayed-match", parameters={"delay": [2, 5], "test_size": 40})
    torch.manual_seed(0)
    model = SequenceModel(ARUN(3, 6, controller_size=3), 3)
    curve = psychometric_curve(model, task, {"clean": Sum(()), "step": StepDrive(2.0)})
    for name, perturbation in (("clean", None), ("step", StepDrive(2.0))):
        score = evaluate_trials(model, task, perturbation).score
        for value in (2.0, 5.0):
            group = score[task.test.conditions["delay"] == value]
            one = curve.sel(perturbation=name, value=value)
            assert math.isclose(float(one.accuracy), group.mean().item(), rel_tol=1e-12)
            deviation = group.std().item() / math.sqrt(len(group))
            assert math.isclose(float(one.standard_error), deviation, rel_tol=1e-9, abs_tol=1e-12)
            assert int(one.trials) == len(group)
    with pytest.raises(InputError, match="Did you mean 'delay'"):
        psychometric_curve(model, task, condition="dela")
