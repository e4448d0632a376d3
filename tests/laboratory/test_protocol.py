"""The protocols by name, and one of another package among them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from adaptrnn import ARUN, RNN, Analysis, InputError, SequenceModel, register_analysis
from adaptrnn.cli import main
from adaptrnn.figure.style import subplots
from adaptrnn.laboratory import analyze
from adaptrnn.laboratory.command import read_analysis
from adaptrnn.laboratory.drawing import DRAWINGS
from adaptrnn.laboratory.protocol import ANALYSES
from adaptrnn.model import MODELS
from adaptrnn.tasks import load


def measure(subject):
    """How large are the rates at the last step?"""
    rates = subject.core(subject.inputs(4))[0].detach()
    return xr.Dataset({"rate": ("neuron", rates[-1].mean(0).numpy())})


def draw(data):
    figure, axes = subplots(1, 1)
    axes[0, 0].plot(data.rate)
    return figure


@pytest.fixture
def last_rate():
    yield register_analysis(Analysis("last_rate", measure, "rates", draw=draw))
    ANALYSES.remove("last_rate")


def test_every_analysis_of_adaptrnn_has_a_drawing_and_models():
    assert ANALYSES.built_in.keys() == DRAWINGS.keys()
    assert all(analysis.models for analysis in ANALYSES.values())


def test_the_models_of_an_analysis_are_those_with_what_it_needs():
    """As the paper's rows say: Fig 3 and 4 need n and s, Fig 5a a controller, Fig 5d a square W."""
    curves = ("gamma-shared", "gamma", "arun")
    assert ANALYSES["heterogeneity"].models == ANALYSES["noise"].models == curves
    assert ANALYSES["controller_manifold"].models == ("arun",)
    assert set(MODELS) - set(ANALYSES["spectrum"].models) == {"lstm", "gru"}
    assert ANALYSES["lyapunov"].models == tuple(MODELS)


def test_a_registered_analysis_is_listed_made_kept_and_drawn(last_rate, tmp_path, capsys):
    """Its numbers are those of the network's own call on the same test trials."""
    task = load("adding", parameters={"steps": 6, "test_size": 4})
    network = SequenceModel(RNN(2, 5), 1)
    found = analyze(network, task, ["last_rate"], out=tmp_path, draw=True)["last_rate"]
    with torch.no_grad():
        rates = network.core(task.test.inputs)[0][-1].mean(0)
    # the same operations on the same numbers, in another order of trials at most
    np.testing.assert_allclose(found.rate, rates, rtol=1e-6, atol=1e-7)
    kept = read_analysis(tmp_path / "last_rate.nc")
    assert np.array_equal(kept.rate, found.rate) and kept.attrs["analysis"] == "last_rate"
    assert (tmp_path / "last_rate.png").read_bytes()[:4] == b"\x89PNG"
    assert main(["analyze"]) == 0
    assert "How large are the rates at the last step?" in capsys.readouterr().out


def test_an_analysis_without_a_drawing_says_so(tmp_path):
    register_analysis(Analysis("plain", measure))
    try:
        task = load("adding", parameters={"steps": 6, "test_size": 4})
        with pytest.raises(InputError, match="draw='plain': must be an analysis that has"):
            analyze(ARUN(2, 3, controller_size=2), task, ["plain"], out=tmp_path, draw=True)
    finally:
        ANALYSES.remove("plain")


def test_names_that_cannot_be_registered():
    for name in ("lyapunov", "all"):
        with pytest.raises(InputError, match="other than the analysis names of adaptrnn"):
            register_analysis(Analysis(name, measure))
