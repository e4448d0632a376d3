"""A trained run, untrained subjects, and every analysis of them once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import xarray as xr

from adaptrnn.config import TrainConfig
from adaptrnn.laboratory.protocol import ANALYSES
from adaptrnn.laboratory.subject import Subject
from adaptrnn.run import Run, build_model, load_task
from adaptrnn.training import train


@pytest.fixture(scope="package")
def tiny() -> TrainConfig:
    return TrainConfig(
        "digits", "arun", hidden_size=6, controller_size=3, epochs=1, train_size=200, lr=0.01
    )


@pytest.fixture(scope="package")
def run(tmp_path_factory, tiny) -> Run:
    return train(replace(tiny, out=tmp_path_factory.mktemp("runs") / "arun"))


@pytest.fixture(scope="package")
def subject() -> Callable[..., Subject]:
    """Makes an untrained network of 6 neurons, for a twentieth of the standard protocol."""

    def make(model: str, task: str = "digits", **options) -> Subject:
        config = TrainConfig(task, model, hidden_size=6, controller_size=3, seed=1)
        loaded = load_task(config)
        model_, initial = (build_model(replace(config, seed=k), loaded).eval() for k in (1, 2))
        return Subject(model, model_, initial, loaded, effort=0.05, **options)

    return make


@pytest.fixture(scope="package")
def results(subject) -> dict[str, xr.Dataset]:
    """Every analysis once: of an ARUN, and of a gamma network where that has more."""
    arun, gamma = subject("arun"), subject("gamma")
    return {
        name: analysis.measure(gamma if name == "transfer" else arun)
        for name, analysis in ANALYSES.items()
    }
