"""`adaptrnn analyze`: what is kept of an analysis, when it is made again, and what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from rich.console import Console

from adaptrnn import InputError
from adaptrnn.cli import main
from adaptrnn.config import AnalyzeConfig, TrainConfig, to_dict
from adaptrnn.laboratory import command
from adaptrnn.laboratory.command import read_analysis, run_analyze
from adaptrnn.laboratory.protocol import ANALYSES
from adaptrnn.run import build_model
from adaptrnn.storage import write_dataset
from adaptrnn.training import train


@pytest.mark.long
@pytest.mark.parametrize("name", ANALYSES)
def test_a_result_survives_the_file(results, name, tmp_path):
    path = tmp_path / f"{name}.nc"
    write_dataset(path, results[name])
    xr.testing.assert_identical(read_analysis(path).drop_attrs(), results[name].drop_attrs())


def test_command(run, capsys):
    words = ["analyze", "spectrum", str(run.folder), "--draw"]
    assert main(words) == 0
    path = run.folder / "analysis" / "spectrum.nc"
    first = path.read_bytes()
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    found = read_analysis(path)
    assert found.attrs["command"] == f"adaptrnn analyze spectrum {run.folder}"
    assert json.loads(found.attrs["config"]) == to_dict(run.config())
    record = run.record()["task"]
    assert found.attrs["split_hash"] == record["split_hash"]
    assert found.attrs["permutation_hash"] == record["permutation_hash"]
    assert {"torch", "numpy", "adaptrnn"} <= json.loads(found.attrs["versions"]).keys()
    assert found.attrs["analysis_seed"] == 0 and found.attrs["seconds"] >= 0
    weights = {"initial": build_model(run.config(), run.task()), "trained": run.model()}
    for network, model in weights.items():
        values = torch.linalg.eigvals(model.core.weight_hh_l0.detach().double())
        radius = float(found.radius.sel(network=network))
        assert math.isclose(radius, float(values.abs().max()), rel_tol=1e-12)
    capsys.readouterr()
    assert main(words) == 0
    assert "already there" in capsys.readouterr().out and path.read_bytes() == first


def test_a_result_of_other_weights_or_seed_is_made_again(run, tmp_path):
    console = Console(quiet=True)
    (path,) = run_analyze(AnalyzeConfig("controller_manifold", (run.folder,)), console)
    first = read_analysis(path)
    run_analyze(AnalyzeConfig("controller_manifold", (run.folder,), seed=3), console)
    again = read_analysis(path)
    assert again.attrs["analysis_seed"] == 3 and "--seed 3" in again.attrs["command"]
    assert not np.array_equal(first.score, again.score)


def test_a_damaged_file_is_one_error_and_force_mends_it(run):
    console = Console(quiet=True)
    config = AnalyzeConfig("gradients", (run.folder,))
    (path,) = run_analyze(config, console)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"gradients.nc: damaged .*--force"):
        run_analyze(config, console)
    run_analyze(replace(config, force=True), console)
    assert read_analysis(path).attrs["analysis"] == "gradients"


def test_no_temporary_files_stay(run):
    run_analyze(AnalyzeConfig("spectrum", (run.folder,), force=True), Console(quiet=True))
    assert not [path for path in (run.folder / "analysis").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    "model, name, message",
    [
        ("lstm", "spectrum", "one square W_hh .*this is lstm"),
        ("relu", "heterogeneity", r"gains n and saturations s \(gamma-shared, gamma, arun\)"),
        ("gamma", "controller_manifold", r"a controller \(arun\), this is gamma"),
        ("arun", "transfer", "--controller-from"),
    ],
)
def test_a_wrong_model_is_one_error_before_any_work(tmp_path, model, name, message):
    (tmp_path / "config.json").write_text(json.dumps(to_dict(TrainConfig("digits", model))))
    with pytest.raises(InputError, match=message):
        run_analyze(AnalyzeConfig(name, (tmp_path,)), Console(quiet=True))


@pytest.mark.parametrize(
    "words, message",
    [
        (["spectrm", "x"], "Did you mean 'spectrum'"),
        (["spectrum"], "at least one folder"),
        (["spectrum", "nowhere"], "not a run"),
    ],
)
def test_wrong_words(words, message, capsys):
    assert main(["analyze", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_negative_seed_is_an_error():
    with pytest.raises(InputError, match=r"seed=-1: must be an integer"):
        AnalyzeConfig("spectrum", seed=-1)


def test_an_unfinished_run_is_an_error(tmp_path, tiny):
    (tmp_path / "config.json").write_text(json.dumps(to_dict(tiny)))
    with pytest.raises(InputError, match="no weights yet"):
        run_analyze(AnalyzeConfig("spectrum", (tmp_path,)), Console(quiet=True))


def test_list_of_analyses(capsys):
    assert main(["analyze"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in ANALYSES)


def test_all_goes_on_where_a_network_lacks_something(tmp_path, monkeypatch, capsys):
    """One neuron has no spread of gains; the run after it is analysed all the same."""
    config = TrainConfig("perceptual-decision", "gamma", epochs=1, train_size=40, lr=0.01)
    one, two = (
        train(replace(config, hidden_size=size, out=tmp_path / name)).folder
        for name, size in (("one", 1), ("two", 3))
    )
    few = {name: ANALYSES[name] for name in ("heterogeneity", "spectrum")}
    monkeypatch.setattr(command, "ANALYSES", few)
    assert main(["analyze", "all", str(one), str(two)]) == 0
    found = capsys.readouterr().out
    assert f"{one}: heterogeneity: skipped; parameters=1: must be of at least 2" in found
    assert not (one / "analysis" / "heterogeneity.nc").exists()
    for path in (one / "analysis/spectrum.nc", two / "analysis/heterogeneity.nc"):
        assert path.exists()
    assert main(["analyze", "heterogeneity", str(one)]) == 2
    error = capsys.readouterr().err
    assert f"{one}: heterogeneity: parameters=1: must be of at least 2 neurons" in error


@pytest.mark.slow
def test_all_passes_over_what_a_network_lacks(run, capsys):
    assert main(["analyze", "all", str(run.folder)]) == 0
    made = {path.stem for path in (run.folder / "analysis").glob("*.nc")}
    assert made == set(ANALYSES) - {"transfer"}
    assert "transfer: skipped" in capsys.readouterr().out
