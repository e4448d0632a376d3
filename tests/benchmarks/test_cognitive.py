"""The comparison on cognitive tasks: equal chances for every model, resumed, written to a page."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

pytest.importorskip("matplotlib")
PATH = Path(__file__).parents[2] / "benchmarks" / "cognitive.py"
_spec = importlib.util.spec_from_file_location("cognitive", PATH)
cognitive = importlib.util.module_from_spec(_spec)
sys.modules["cognitive"] = cognitive  # where dataclasses look their annotations up
_spec.loader.exec_module(cognitive)

SHORT = {"steps": 2, "every": 1, "batch": 4, "validation": 8, "test": 12}
DECISION = cognitive.Setting(
    "perceptual-decision", {"fixation": 1, "stimulus": 4, "decision": 1}, **SHORT
)
ADDING = cognitive.Setting("adding", {"steps": 5}, **SHORT)


def test_the_settings_give_every_model_as_many_parameters():
    for setting in cognitive.SETTINGS:
        task = cognitive.Setting(setting.task, setting.parameters, **SHORT).made(0)
        counts = {
            model: sum(w.numel() for w in cognitive.build(setting, model, task, 0).parameters())
            for model in cognitive.MODELS
        }
        assert max(counts.values()) < 1.03 * min(counts.values()), counts


def test_every_model_sees_the_same_trials(monkeypatch):
    seen: dict[str, list[torch.Tensor]] = {}
    plain = cognitive.SequenceModel.trial_loss
    for model in cognitive.MODELS:
        given = seen.setdefault(model, [])

        def noted(self, trials, drive=None, given=given):
            given.append(trials.inputs)
            return plain(self, trials, drive)

        monkeypatch.setattr(cognitive.SequenceModel, "trial_loss", noted)
        cognitive.train(cognitive.Job(ADDING, model, 3, 1e-2))
    first, *others = seen.values()
    assert len(first) == ADDING.steps and not torch.equal(*first)
    assert all(torch.equal(a, b) for other in others for a, b in zip(first, other, strict=True))


def test_the_weights_with_the_least_validation_loss_are_kept():
    # a rate at which the loss goes up and down
    setting = cognitive.Setting("adding", {"steps": 5}, **{**SHORT, "steps": 8})
    model, task, curve = cognitive.train(cognitive.Job(setting, "gamma", 0, 0.3))
    losses = [row["loss"] for row in curve]
    assert min(losses) < losses[-1]
    found = cognitive.evaluate_trials(model, task, split="validation")
    assert found.loss == min(losses)  # the same operations on the same weights


def test_the_rate_is_searched_on_another_seed_and_clean(monkeypatch, tmp_path):
    planted = {"arun": 3e-3, "gamma": 1e-3, "relu": 1e-2, "lstm": 1e-2, "gru": 3e-3}

    def work(job, folder):
        loss = abs(np.log(job.rate / planted[job.model]))
        asked.append(job)
        curve = [{"step": 0, "loss": 9.0, "score": 0.5}, {"step": 1, "loss": loss, "score": 0.5}]
        return {"curve": curve, "seconds": 0.0}

    asked: list = []
    monkeypatch.setattr(cognitive, "work", work)
    cognitive.measure((DECISION, ADDING), (0, 1), (1e-3, 3e-3, 1e-2), tmp_path)
    search = [job for job in asked if not job.drives]
    assert {job.seed for job in search} == {cognitive.SEARCH_SEED}
    assert len(search) == 2 * 5 * 3
    reported = [job for job in asked if job.drives]
    assert {(job.model, job.rate) for job in reported} == set(planted.items())
    assert len(reported) == 2 * 5 * 2 and {job.seed for job in reported} == {0, 1}


@pytest.mark.long
def test_a_page_is_made_and_a_second_command_trains_nothing(monkeypatch, tmp_path):
    page = tmp_path / "docs" / "explanation" / "page.md"
    page.parent.mkdir(parents=True)
    page.write_text(f"# Mine\n\n{cognitive.BEGIN}\nto be replaced\n{cognitive.END}\n\nAlso mine.\n")
    settings, seeds = (DECISION, ADDING), (0, 1)
    runs = tmp_path / "runs"
    for models in (("relu", "gru"), cognitive.MODELS):  # some of them first
        cognitive.measure(settings, seeds, (1e-2,), runs, models=models)
    found = cognitive.tables(cognitive.finished(settings, runs))
    assert len(found["networks"]) == 2 * 5 * 3 and found["networks"].search.sum() == 2 * 5
    cognitive.write(page, found)
    first = page.read_text()
    assert (
        first.startswith("# Mine\n")
        and first.endswith("Also mine.\n")
        and "to be replaced" not in first
    )
    assert {path.name for path in (tmp_path / "docs" / "images").iterdir()} == {
        f"cognitive-{name}.png" for name in ("learning", "drives", "psychometric")
    }

    monkeypatch.setattr(cognitive, "train", lambda job: pytest.fail("trained again"))
    cognitive.measure(settings, seeds, (1e-2,), runs)
    cognitive.write(page, cognitive.tables(cognitive.finished(settings, runs)))
    assert page.read_text() == first


def test_a_run_of_other_settings_is_not_taken(tmp_path):
    job = cognitive.Job(ADDING, "relu", 0, 1e-2, drives=False)
    cognitive.work(job, tmp_path)
    longer = cognitive.Setting("adding", {"steps": 5}, **{**SHORT, "steps": 3})
    other = cognitive.Job(longer, "relu", 0, 1e-2, drives=False)
    assert other.name == job.name and len(cognitive.work(other, tmp_path)["curve"]) == 4


def test_accuracies_at_each_coherence_average_to_the_whole():
    model, task, _ = cognitive.train(cognitive.Job(DECISION, "relu", 0, 1e-2))
    rows = pd.DataFrame(cognitive.scores(model, task))
    level, count = np.unique(task.test.conditions["coherence"].numpy(), return_counts=True)
    for _, own in rows.groupby("drive"):
        each = own[own.condition.notna()].set_index("condition").score
        whole = own[own.condition.isna()].score.item()
        np.testing.assert_allclose((each[level] * count).sum() / count.sum(), whole, rtol=1e-12)


def test_the_ideal_observer_is_who_sums_the_evidence():
    task = cognitive.load("perceptual-decision", parameters={"test_size": 3000})
    trials = task.test
    evidence = (trials.inputs[..., 1] - trials.inputs[..., 2]).sum(0).numpy()
    share = np.mean(np.sign(evidence) == trials.conditions["direction"].numpy())
    # 4 standard errors of a share, and of which coherences were drawn
    assert abs(share - cognitive.ideal_observer(task)) < 4 * np.sqrt(0.78 * 0.22 / 3000)


def planted(difference: float) -> xr.DataArray:
    """Scores of five seeds, in which the ARUN differs from the others by what is given."""
    random = np.random.default_rng(0)
    drives, models = list(cognitive.DRIVES), list(cognitive.MODELS)
    seeds = random.normal(size=(1, 1, 5))
    values = 0.5 + 0.02 * seeds + 1e-3 * random.normal(size=(len(drives), len(models), 5))
    values[:, models.index("arun")] += difference
    coords = {"drive": drives, "model": models, "seed": range(5)}
    return xr.DataArray(values, coords, ("drive", "model", "seed"))


@pytest.mark.parametrize(
    ("unit", "difference", "word"),
    [
        ("accuracy", 0.05, "better"),
        ("accuracy", -0.05, "worse"),
        ("error", -0.05, "better"),
        ("error", 0.05, "worse"),
    ],
)
def test_a_planted_difference_is_said(unit, difference, word):
    found = cognitive.compare(planted(difference), unit)
    lines = cognitive.verdict(found, unit)
    assert len(lines) == 4
    for line in lines:
        assert f"is {word} in clean, " in line and "not clearly" not in line
    assert cognitive.difference_table(found, unit).count("\\*") == 40  # all outlive Holm


def test_what_does_not_differ_is_said_too():
    """Of 40 intervals of 95%, 2 have no 0 by chance, and more than 8 in one of 10,000 draws."""
    found = cognitive.compare(planted(0.0), "accuracy")
    clear = cognitive.difference_table(found, "accuracy").count("**") // 2
    assert clear <= 8
    assert "\\*" not in cognitive.difference_table(found, "accuracy")


def test_errors_are_compared_by_their_ratio():
    data = planted(0.0)
    around = xr.DataArray(np.exp([0.1, -0.1, 0.0, 0.05, -0.05]), dims="seed")
    data.loc[{"model": "arun"}] = 3 * around * data.sel(model="gru")
    found = cognitive.difference_table(cognitive.compare(data, "error"), "error")
    assert "| **3.0 (2.7 to 3.3)**\\* |" in found.splitlines()[2]  # exp(ln 3 +- 2.78 * 0.035)
    level = xr.full_like(data, 0.25) * xr.DataArray([1, 1, 1, 1, 16], dims="seed")
    table = cognitive.score_table(level, "error")
    assert "| clean | 0.44 (" in table  # 0.25 times the fifth root of 16


def test_scores_that_are_all_equal_have_no_interval():
    equal = planted(0.0) * 0 + 1
    found = cognitive.compare(equal, "accuracy")
    assert "| clean | 0.0 | 0.0 | 0.0 | 0.0 |" in cognitive.difference_table(found, "accuracy")
    assert "| clean | 100.0 | " in cognitive.score_table(equal, "accuracy")
    assert "different in 10 of the 10 conditions." in cognitive.verdict(found, "accuracy")[0]


def test_how_much_the_loss_fell_at_the_end():
    steps = np.arange(0, 101, 10)
    curves = [
        pd.DataFrame({"model": name, "seed": 0, "step": steps, "loss": loss})
        for name, loss in {"still": 1 - steps / 200, "flat": np.full(11, 0.3)}.items()
    ]
    found = cognitive.flat(pd.concat(curves))
    assert found["flat"] == 0
    assert found["still"] == pytest.approx((0.6 - 0.5) / 0.6)  # from step 80 to step 100
