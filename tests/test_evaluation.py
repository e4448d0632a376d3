"""Evaluation: means over the whole set whatever the batches, perturbations, what is kept."""

from __future__ import annotations

import math
import shlex
from dataclasses import replace

import pandas as pd
import pytest
import torch

from adaptrnn import ARUN, InputError, SequenceModel, evaluation
from adaptrnn.cli import main
from adaptrnn.config import TrainConfig
from adaptrnn.evaluation import evaluate, evaluate_run, kept_evaluations
from adaptrnn.perturb import PAPER_PERTURBATIONS, NoisyDrive, SinusoidalContrast, StepDrive, Sum
from adaptrnn.run import build_model, load_task
from adaptrnn.tasks import load
from adaptrnn.training import train

TINY = TrainConfig("digits", "gamma", hidden_size=6, epochs=1, train_size=200, lr=0.01)


@pytest.fixture(scope="module")
def network():
    task = load_task(TINY)
    return build_model(TINY, task), task


@pytest.mark.parametrize("perturbation", [None, StepDrive(2.0), NoisyDrive(), SinusoidalContrast()])
def test_the_batch_size_does_not_matter(network, perturbation):
    model, task = network
    results = [evaluate(model, task, perturbation, batch_size=size) for size in (None, 1, 100)]
    for result in results[1:]:
        assert result.accuracy == results[0].accuracy and result.images == 359
        # float32 rounding of the recurrent sums in other batches
        assert abs(result.loss - results[0].loss) < 1e-5


def test_what_is_computed(network):
    model, task = network
    x, y = task.inputs(task.test.images), task.test.labels
    drive = StepDrive(2.0).drive(64, 359, 6)
    for perturbation, scores in (
        (None, model(x)),
        (StepDrive(2.0), model(x, drive)),
        (SinusoidalContrast(), model(SinusoidalContrast().stimulus(x))),
    ):
        result = evaluate(model, task, perturbation)
        assert abs(result.loss - torch.nn.functional.cross_entropy(scores, y).item()) < 1e-5
        assert result.accuracy == (scores.argmax(-1) == y).double().mean().item()


class Around(torch.nn.Module):
    """A network of the user's own around a core that is batch first."""

    def __init__(self, core, transposes):
        super().__init__()
        self.core, self.transposes, self.readout = core, transposes, torch.nn.Linear(4, 3)

    def forward(self, x):
        if not self.transposes:
            return self.readout(self.core(x)[0])
        return self.readout(self.core(x.transpose(0, 1))[0]).transpose(0, 1)


@pytest.mark.parametrize("test_size", [1, 7])
def test_a_core_that_is_batch_first_needs_a_network_that_transposes(test_size):
    task = load("perceptual-decision", parameters={"test_size": test_size})
    core = torch.nn.GRU(3, 4, batch_first=True)
    state = torch.get_rng_state()
    right, plain = Around(core, True), Around(torch.nn.GRU(3, 4), False)
    plain.core.load_state_dict(core.state_dict())
    plain.readout = right.readout
    state = torch.get_rng_state()
    # float32 sums over batches in another layout
    assert math.isclose(evaluate(right, task).loss, evaluate(plain, task).loss, rel_tol=1e-5)
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(InputError, match=r"core.batch_first=True: must be False in a module that"):
        evaluate(Around(core, False), task)


def test_a_network_in_double_precision():
    task = load("perceptual-decision", parameters={"test_size": 20})
    model = SequenceModel(ARUN(3, 8, controller_size=4), 3)
    single = evaluate(model, task, NoisyDrive())
    double = evaluate(model.double(), task, NoisyDrive())
    # rounding of float32
    assert math.isclose(double.loss, single.loss, rel_tol=1e-4)


def test_mode_is_left_as_it_was(network):
    model, task = network
    model.train()
    evaluate(model, task)
    assert model.training


def test_convolutional_network_takes_drive_and_contrast(write_parquet_cifar):
    config = TrainConfig("scifar10-conv", "arun", hidden_size=5, controller_size=3)
    task = write_parquet_cifar
    model = build_model(config, task)
    clean = evaluate(model, task)
    for perturbation in (StepDrive(5.0), NoisyDrive(), SinusoidalContrast()):
        assert evaluate(model, task, perturbation).loss != clean.loss


def test_images_encoded_once_give_the_same(write_parquet_cifar):
    config = TrainConfig("scifar10-conv", "arun", hidden_size=5, controller_size=3)
    task = write_parquet_cifar
    model = build_model(config, task)
    encoded = {}
    for perturbation in (None, SinusoidalContrast(), StepDrive(5.0)):
        plain = evaluate(model, task, perturbation, batch_size=5)
        assert evaluate(model, task, perturbation, batch_size=5, encoded=encoded) == plain
    assert list(encoded) == [0, 5, 10]


@pytest.fixture
def write_parquet_cifar():
    """A task of 12 random colour images of 8 x 8 pixels."""
    from adaptrnn.tasks import ImageTask, Split

    split = Split(torch.randint(0, 256, (12, 3, 8, 8), dtype=torch.uint8), torch.arange(12) % 10)
    names = tuple("abcdefghij")
    return ImageTask(
        "random", "image", split, split, split, names, 255, None, None, "", None, "", ""
    )


def test_rows_are_kept_and_not_computed_again(tmp_path, monkeypatch):
    run = train(replace(TINY, out=tmp_path))
    table = evaluate_run(run)
    assert table["name"].tolist() == ["clean", "noisy-drive", "step-drive", "contrast"]
    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "evaluate", None)  # nothing is computed
        pd.testing.assert_frame_equal(evaluate_run(run), table)
        pd.testing.assert_frame_equal(kept_evaluations(run, PAPER_PERTURBATIONS), table)
    run.weights_path.rename(tmp_path / "moved")
    for read in (evaluate_run, kept_evaluations):
        with pytest.raises(InputError, match="no weights"):
            read(run, PAPER_PERTURBATIONS)
    (tmp_path / "moved").rename(run.weights_path)
    missing = {"clean": Sum(()), "strong": StepDrive(9.0), "odd": SinusoidalContrast(phase=0.5)}
    with pytest.raises(InputError, match="not evaluated under step:xi=9") as error:
        kept_evaluations(run, missing)
    command = shlex.split(str(error.value).partition("Run  adaptrnn ")[2])
    assert "strong=step:xi=9" in command
    assert not evaluation.read_evaluations(run)["perturbation"].isin(command).any()
    assert main(command) == 0  # what the message says to run is what is missing
    assert {"strong", "odd"} <= set(evaluation.read_evaluations(run)["name"])  # by its name
    found = kept_evaluations(run, missing)
    assert found["name"].tolist() == list(missing)
    pd.testing.assert_frame_equal(found, evaluate_run(run, missing))
    assert len(evaluate_run(run, {"strong": StepDrive(9.0)})) == 1
    assert len(pd.read_parquet(run.evaluation_path)) == 6
    run.evaluation_path.write_bytes(b"PAR1 not a table")
    with pytest.raises(InputError, match=r"evaluation.parquet: damaged"):
        evaluate_run(run)


@pytest.mark.parametrize("damage", ["cut", "tampered"])
def test_stored_numbers_of_damaged_weights_are_not_shown(damage, tmp_path, capsys):
    run = train(replace(TINY, out=tmp_path))
    evaluate_run(run)
    whole = run.weights_path.read_bytes()
    flipped = bytes([whole[-1] ^ 1])  # the last bit of the last number
    run.weights_path.write_bytes(whole[:1000] if damage == "cut" else whole[:-1] + flipped)
    assert main(["evaluate", str(run.folder)]) == 2
    shown = capsys.readouterr()
    assert "weights.safetensors: damaged" in shown.err and "%" not in shown.out


def test_split_names(network):
    model, task = network
    assert evaluate(model, task, split="validation").images == 359
    with pytest.raises(InputError, match="Did you mean 'test'"):
        evaluate(model, task, split="tset")
