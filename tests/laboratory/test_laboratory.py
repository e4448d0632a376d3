"""Analyses of runs: every one by name, what is kept and when; drawings show its numbers."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from matplotlib.figure import Figure
from rich.console import Console

from adaptrnn import RNN, InputError, gamma
from adaptrnn.activation import gamma_dx
from adaptrnn.analysis.response import step_response
from adaptrnn.cli import main
from adaptrnn.config import AnalyzeConfig, TrainConfig, to_dict
from adaptrnn.figure.style import style
from adaptrnn.laboratory import protocol
from adaptrnn.laboratory.command import read_analysis, run_analyze
from adaptrnn.laboratory.drawing import DRAWINGS
from adaptrnn.laboratory.protocol import ANALYSES
from adaptrnn.laboratory.subject import Subject
from adaptrnn.run import Run, build_model, load_task
from adaptrnn.storage import write_dataset
from adaptrnn.training import train

TINY = TrainConfig(
    "digits", "arun", hidden_size=6, controller_size=3, epochs=1, train_size=200, lr=0.01
)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return train(replace(TINY, out=tmp_path_factory.mktemp("runs") / "arun"))


def subject(model: str, task: str = "digits", **options) -> Subject:
    """An untrained network of 6 neurons, and a twentieth of the standard protocol."""
    config = TrainConfig(task, model, hidden_size=6, controller_size=3, seed=1)
    loaded = load_task(config)
    model_, initial = (build_model(replace(config, seed=k), loaded).eval() for k in (1, 2))
    return Subject(model, model_, initial, loaded, effort=0.05, **options)


@pytest.fixture(scope="module")
def results() -> dict[str, xr.Dataset]:
    """Every analysis once: of an ARUN, and of a gamma network where that has more."""
    arun, gamma = subject("arun"), subject("gamma")
    return {
        name: analysis.measure(gamma if name == "transfer" else arun)
        for name, analysis in ANALYSES.items()
    }


def numbers(figure: Figure) -> np.ndarray:
    """Every number that a figure shows, in lines, dots, bars and images."""
    found = []
    for axis in figure.axes:
        found += [np.ravel(line.get_xydata()) for line in axis.lines]
        found += [np.ravel(np.ma.filled(c.get_offsets(), np.nan)) for c in axis.collections]
        found += [np.ravel(image.get_array()) for image in axis.images]
        found += [np.array([patch.get_height()]) for patch in axis.patches]
    return np.concatenate([np.asarray(part, dtype=float) for part in found])


SHOWN = {
    "lyapunov": lambda d: [d.lyapunov, d.after_onset, d.on_task],
    "jacobian": lambda d: [d.norm, d.step_norm.mean("image")],
    "fractional": lambda d: [d.order.sel(signal="h")],
    "step_response": lambda d: [d[name].mean("neuron") for name in "nsh"],
    "gain_scaling": lambda d: [d.n_steady.mean("neuron"), d.output_variance_frozen.mean("neuron")],
    "heterogeneity": lambda d: [d.n, d.s, d.n_initial, d.s_initial],
    "transfer": lambda d: [100 * d.accuracy, d.n, d.s],
    "controller_manifold": lambda d: [d.steady_score.isel(component=[0, 1])],
    "noise": lambda d: [d.n.sel(stage="steady"), d.s.sel(stage="steady"), d.residual],
    "spectrum": lambda d: [d.real_part, d.imaginary_part],
    "gradients": lambda d: [d.norm, d.contribution],
    "robustness": lambda d: [100 * d.step_accuracy, 100 * d.contrast_map_accuracy],
}


@pytest.mark.parametrize("name", ANALYSES)
def test_a_drawing_shows_the_numbers_of_its_data(results, name):
    with style():
        figure = DRAWINGS[name](results[name])
    assert isinstance(figure, Figure)
    shown = numbers(figure)
    for values in SHOWN[name](results[name]):
        wanted = values.values[np.isfinite(values.values)].ravel()
        assert len(wanted)
        # the same numbers, not rounded on the way
        assert np.isin(wanted.astype(float), shown).all(), values.name


@pytest.mark.parametrize("name", ANALYSES)
def test_a_result_survives_the_file(results, name, tmp_path):
    path = tmp_path / f"{name}.nc"
    write_dataset(path, results[name])
    xr.testing.assert_identical(read_analysis(path).drop_attrs(), results[name].drop_attrs())


def test_step_response_within_the_trained_length(results):
    """Sequences of digits have 64 steps, so before, during and after the step last 16 each."""
    found = results["step_response"]
    assert list(found.attrs["step_trained"]) == [16, 32] and list(found.attrs["step"]) == [200, 400]
    assert (found.sizes["time"], found.sizes["time_trained"]) == (600, 48)
    again = step_response(subject("arun").core, durations=(16, 16, 16))
    for name in "nsh":
        np.testing.assert_array_equal(found[f"{name}_trained"], again[name])
        np.testing.assert_array_equal(found[f"{name}_mean_r2_trained"], again[f"{name}_mean_r2"])


@pytest.mark.parametrize("model", ["relu", "gamma-shared", "lstm", "gru"])
def test_every_analysis_works_for_the_models_that_it_names(model):
    one = subject(model)
    for name in ("lyapunov", "jacobian", "step_response", "gain_scaling", "gradients"):
        found = ANALYSES[name].measure(one)
        with style():
            DRAWINGS[name](found)
    if model in ANALYSES["spectrum"].models:
        # the paper's first weights are orthogonal, in float32
        assert np.allclose(ANALYSES["spectrum"].measure(one).radius, 1, atol=1e-5)


def test_exponents_at_rest_are_those_of_the_fixed_point(results):
    found = results["lyapunov"]
    fixed = found.lyapunov.sel(condition="fixed")
    # with constant n and s the whole state is h, so two definitions are one
    assert np.array_equal(fixed.sel(definition="full"), fixed.sel(definition="frozen"))
    one = replace(subject("arun"), effort=0.3)
    core, a = one.core, None
    trace = core.trace(torch.zeros(200, 1, 1))
    n, s, h = (getattr(trace, name)[-1, 0].double() for name in "nsh")
    weight = core.weight_hh_l0.detach().double()
    for _ in range(2000):
        a = weight @ h
        h = gamma(a, n, s)
    radius = torch.linalg.eigvals(gamma_dx(a, n, s)[:, None] * weight).abs().max().log().item()
    at_rest = ANALYSES["lyapunov"].measure(one).lyapunov
    # the first steps, until the tangent has turned, weigh one in 300
    value = at_rest.sel(definition="paper", condition="fixed", xi=0.0)
    assert math.isclose(float(value), radius, abs_tol=0.01)


def test_the_gradient_of_all_steps_is_torchs(results):
    one = subject("arun")
    x, labels = one.trials(one.count(100, 2))
    loss = torch.nn.functional.cross_entropy(one.model(x), labels)
    (gradient,) = torch.autograd.grad(loss, one.core.weight_hh_l0)
    found = results["gradients"].sel(network="trained")
    # float32, sums in another order
    assert math.isclose(float(found.norm[0]), float(gradient.norm()), rel_tol=1e-4)
    assert math.isclose(float(found.loss), loss.item(), rel_tol=1e-5)


def test_robustness_agrees_with_an_evaluation(results):
    from adaptrnn.evaluation import evaluate
    from adaptrnn.perturb import StepDrive

    one = subject("arun")
    part = replace(one.task, test=one.part(50))
    result = evaluate(one.model, part, StepDrive(5.0))
    at = results["robustness"].sel(xi=5.0)
    assert float(at.step_accuracy) == result.accuracy
    # the same sums in float32
    assert math.isclose(float(at.step_loss), result.loss, rel_tol=1e-6)


def test_retraining_leaves_the_rest_and_the_classes_balanced(results):
    found = results["transfer"]
    assert bool(found.others_identical) and found.attrs["degrees"] == 45
    assert len(set(found.attrs["samples"])) == 1 and found.attrs["samples"][0] % 10 == 0


def test_a_transplanted_controller_is_compared_with_the_donors():
    donor = subject("arun").model
    same = replace(subject("arun", donor=donor), model=donor)
    found = ANALYSES["transfer"].measure(same)
    assert bool(found.controller_identical) and (found.difference == 0).all()
    with style():
        figure = DRAWINGS["transfer"](found)
    assert np.isin(100 * found.accuracy_own.values, numbers(figure)).all()
    other = ANALYSES["transfer"].measure(replace(same, model=same.initial))
    assert not bool(other.controller_identical)


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


def test_an_unfinished_run_is_an_error(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(to_dict(TINY)))
    with pytest.raises(InputError, match="no weights yet"):
        run_analyze(AnalyzeConfig("spectrum", (tmp_path,)), Console(quiet=True))


def test_list_of_analyses(capsys):
    assert main(["analyze"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in ANALYSES)


@pytest.mark.slow
def test_all_passes_over_what_a_network_lacks(run, capsys):
    assert main(["analyze", "all", str(run.folder)]) == 0
    made = {path.stem for path in (run.folder / "analysis").glob("*.nc")}
    assert made == set(ANALYSES) - {"transfer"}
    assert "transfer: skipped" in capsys.readouterr().out


def test_an_exponent_over_fewer_steps_where_rates_overflow(monkeypatch):
    """h -> 10 h leaves float64 after 308 steps, so 1000 steps are halved twice; ln 10 is exact."""
    core = RNN(1, 4, nonlinearity="linear", dtype=torch.float64)
    core.weight_hh_l0.data = 10 * torch.eye(4, dtype=torch.float64)
    found = protocol._largest(core, "paper", 1000, h=np.ones((1, 4)))
    assert found["steps"] == 250
    # a sum of 250 logarithms of about 2.3, each rounded to 2e-16 relative
    np.testing.assert_allclose(found["lyapunov"], np.log(10), rtol=1e-12)

    calls = []

    def refuse(*arguments, **options):
        calls.append(arguments)
        raise InputError("tolerance=nan: must be finite.")

    monkeypatch.setattr(protocol, "lyapunov", refuse)
    with pytest.raises(InputError, match="tolerance"):
        protocol._largest(core, "paper", 1000)
    assert len(calls) == 1  # another error that says "finite" is not answered by fewer steps
