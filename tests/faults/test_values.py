"""Values that are not numbers, devices that are not there."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from adaptrnn import InputError
from adaptrnn import training as training_module
from adaptrnn.evaluation import evaluate
from adaptrnn.perturb import StepDrive, parse
from adaptrnn.run import build_model, load_task
from adaptrnn.storage import read_weights, write_weights
from adaptrnn.training import TrainingError, train


def test_nan_in_the_data(tmp_path, tiny, monkeypatch, undisturbed, same):
    original = training_module.Batches.__iter__

    def poisoned(self):
        for index, trials in enumerate(original(self)):
            wrong = (self.epoch, index) == (1, 2)
            yield replace(trials, inputs=trials.inputs * float("nan")) if wrong else trials

    config = replace(tiny, out=tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(training_module.Batches, "__iter__", poisoned)
        with pytest.raises(
            TrainingError, match=r"epoch 1, batch 2.*The input has values.*last good"
        ):
            train(config)
    same(undisturbed, train(config))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(run, value):
    weights = read_weights(run.weights_path)
    weights["core.weight_hh_l0"][1, 2] = value
    write_weights(run.weights_path, weights)
    with pytest.raises(InputError, match=r"core.weight_hh_l0 has values that are not finite"):
        run.model()


def test_evaluation_of_a_network_that_is_not_finite(tiny):
    task = load_task(tiny)
    model = build_model(tiny, task)
    with torch.no_grad():
        model.core.bias_hh_l0[0] = float("nan")
    with pytest.raises(InputError, match=r"weights that are not finite: core.bias_hh_l0"):
        evaluate(model, task)


def test_nan_in_the_drive(tiny):
    with pytest.raises(InputError, match="nan"):
        parse("step:xi=nan")

    class Broken(StepDrive):
        def drive(self, *arguments, **options):
            return super().drive(*arguments, **options) * float("nan")

    task = load_task(tiny)
    with pytest.raises(InputError, match=r"loss=nan under step"):
        evaluate(build_model(tiny, task), task, Broken(1.0))


def test_more_gpus_asked_for_than_there_are(tmp_path, tiny, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match=r"devices=2: must be at most 1, the GPUs here"):
        train(replace(tiny, out=tmp_path / "run", accelerator="gpu", devices=2))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["split_hash", "permutation_hash"])
def test_data_other_than_the_run_was_trained_on(run, name):
    other = replace(run.task(), **{name: "0" * 64})
    with pytest.raises(InputError, match=rf"{name} .* there, 000000000000 now.*--data-dir"):
        run.task_is(other)
