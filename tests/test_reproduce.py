"""The workflow on a tiny profile, end to end: resumed, damaged, failing, killed; single figures."""

import io
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from rich.console import Console

from adaptrnn._error import InputError
from adaptrnn.config import FigureConfig, ReportConfig, ReproduceConfig
from adaptrnn.evaluation import kept_evaluations
from adaptrnn.lock import locked
from adaptrnn.paper.catalogue import ITEMS
from adaptrnn.paper.store import read_results, write_results
from adaptrnn.perturb import PAPER_PERTURBATIONS
from adaptrnn.reproduce import run_figure, run_report, run_reproduce
from adaptrnn.run import Run

TINY = {
    "summary": "two small networks",
    "seeds": [0],
    "hidden_size": 40,
    "controller_size": 4,
    "train": {"epochs": 1, "batch_size": 100, "n": "code", "train_size": 200},
    "roles": {
        "psmnist": {
            "task": "digits",
            "effort": 0.02,
            "models": {"gamma": {"lr": 0.01}, "arun": {"lr": 0.01}},
        }
    },
    "together": True,
}
NAMES = ("psmnist-gamma-seed0", "psmnist-arun-seed0")


def tiny(folder: Path, **models: object) -> Path:
    values = TINY | {
        "roles": {"psmnist": TINY["roles"]["psmnist"] | {"models": models}}
        if models
        else TINY["roles"]
    }
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def config(folder: Path, **more: object) -> ReproduceConfig:
    return ReproduceConfig(
        str(folder / "tiny.yaml"), out=folder / "runs", report=folder / "report", cores=2, **more
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder where the tiny profile was reproduced, and what was printed."""
    folder = tmp_path_factory.mktemp("tiny")
    tiny(folder)
    console = Console(record=True, width=200, file=io.StringIO())
    run_reproduce(config(folder), console)
    return folder, console.export_text()


@pytest.mark.long
def test_runs_results_and_report_are_there(done):
    folder, text = done
    assert all(Run(folder / "runs" / name).record()["state"] == "finished" for name in NAMES)
    items, runs, manifest = read_results(folder / "runs" / "results")
    assert sorted(runs.name) == sorted(NAMES)
    needed = {name for name, item in ITEMS.items() if not item.optional}
    assert set(items) | set(manifest["missing"]) == needed
    assert set(manifest["jobs"]) == {"train", "evaluate", "analyze", "disk"}
    page = (folder / "report" / "index.html").read_text()
    for name in items:
        assert f'id="{name}"' in page
        assert (folder / "report" / "figures" / f"{name}.pdf").stat().st_size > 1000
    assert "train psmnist-arun-seed0" in text and "index.html" in text


@pytest.mark.long
def test_verdicts_know_what_is_missing(done):
    folder, _ = done
    verdicts = pd.read_csv(folder / "report" / "data" / "verdicts.csv")
    outcome = verdicts.groupby("id").verdict.first()
    assert outcome["E01"] == "reproduced"
    assert outcome["E03"] == "no data"  # five of the seven models were not trained
    # one seed has no standard error
    assert outcome["E14"] in ("partly", "not", "not trained enough")


def stamps(folder: Path) -> dict[str, int]:
    found = (folder / "runs").rglob("*")
    kept = (p for p in found if p.suffix in (".safetensors", ".nc", ".ckpt"))
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in kept}


@pytest.mark.long
def test_started_again_nothing_is_computed_twice(done):
    folder, _ = done
    before = stamps(folder)
    assert len(before) > 6
    console = Console(record=True, width=200, file=io.StringIO())
    run_reproduce(config(folder), console)
    assert stamps(folder) == before
    text = console.export_text()
    assert not any(f"/{step}" in text or f" {step} " in text for step in ("train", "collect"))


@pytest.mark.long
def test_the_report_is_made_of_the_tables_alone(done, tmp_path, monkeypatch):
    folder, _ = done
    # a few of the tables: drawing all of them takes as long as the workflow itself
    items, *others = read_results(folder / "runs" / "results")
    few = {
        name: data for name, data in items.items() if name in ("fig1-gamma", "fig3-heterogeneity")
    }
    results = tmp_path / "results"
    write_results(results, few, *others)
    run_report(ReportConfig(results, tmp_path / "report", tmp_path / "docs"), Console(quiet=True))
    for name in few:  # the same bytes, whichever way
        own, other = (f / "report" / "figures" / f"{name}.svg" for f in (tmp_path, folder))
        assert own.read_bytes() == other.read_bytes()
    asked = []
    monkeypatch.setattr(
        "adaptrnn.reproduce.run_report", lambda config, console: asked.append(config)
    )
    run_reproduce(
        ReproduceConfig(from_results=results, report=tmp_path / "again"), Console(quiet=True)
    )
    assert asked == [ReportConfig(results, tmp_path / "again")]
    pages = tmp_path / "docs" / "reference"
    assert "E14" in (pages / "results.md").read_text()
    assert "| claim |" in (pages / "paper-map.md").read_text()
    sheet = (pages / "figures.md").read_text()
    pictures = {path.stem for path in (tmp_path / "docs" / "images" / "results").iterdir()}
    for name in ITEMS:  # of what there is, all, each with words for those who cannot see it
        assert (f"adaptrnn figure {name}" in sheet) == (name in few) == (name in pictures)
    assert sheet.count('alt="') == len(few) and 'alt=""' not in sheet


@pytest.mark.long
def test_a_failed_job_is_named_and_takes_no_other_with_it(tmp_path, monkeypatch):
    tiny(tmp_path, gamma={"lr": 0.01}, relu={"lr": 1e30, "clip": 1e30})
    asked = []  # the report of results with something missing is tested in tests/report
    monkeypatch.setattr(
        "adaptrnn.reproduce.run_report", lambda config, console: asked.append(config)
    )
    with pytest.raises(RuntimeError, match=r"1 jobs failed: train psmnist-relu-seed0"):
        run_reproduce(config(tmp_path), Console(quiet=True))
    assert [one.results for one in asked] == [tmp_path / "runs" / "results"]
    items, runs, manifest = read_results(tmp_path / "runs" / "results")
    assert list(runs.name) == ["psmnist-gamma-seed0"] and "fig3-heterogeneity" in items
    assert manifest["missing"]["psmnist relu"] == "1 network not trained"
    assert Run(tmp_path / "runs" / "psmnist-gamma-seed0").record()["state"] == "finished"


def test_two_at_a_time_in_one_folder_are_refused(tmp_path):
    tiny(tmp_path)
    with (
        locked(tmp_path / "runs", "reproducing the paper there"),
        pytest.raises(InputError, match=r"another process.*--out"),
    ):
        run_reproduce(config(tmp_path), Console(quiet=True))


@pytest.mark.parametrize("profile", ["quick", "laptop", "night", "paper"])
def test_a_dry_run_prints_the_plan_and_does_nothing(profile, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_reproduce(ReproduceConfig(profile, dry_run=True), Console(width=200)) is None
    text = capsys.readouterr().out
    assert "train" in text and "arun" in text and "of one processor" in text
    assert not list(tmp_path.iterdir())


def tables(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (folder / "runs" / "results").glob("*.parquet")}


@pytest.mark.slow
def test_killed_at_random_three_times_it_ends_with_the_same_tables(done, tmp_path):
    """SIGKILL of the workflow's process only: its jobs must end by themselves."""
    undisturbed, _ = done
    tiny(tmp_path)
    words = [sys.executable, "-m", "adaptrnn.cli", "reproduce"]
    words += ["--profile", str(tmp_path / "tiny.yaml"), "--out", str(tmp_path / "runs")]
    words += ["--report", str(tmp_path / "report"), "--cores", "2"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    chance, killed = random.Random(os.urandom(8)), 0
    for _ in range(3):
        with subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL) as process:
            time.sleep(chance.uniform(8, 25))
            killed += process.poll() is None
            process.send_signal(signal.SIGKILL)
        time.sleep(3)
    assert killed, "it had ended before the first signal"
    assert subprocess.run(words, env=environment, stdout=subprocess.DEVNULL).returncode == 0
    expected, found = tables(undisturbed), tables(tmp_path)
    assert set(expected) == set(found)
    for name in set(expected) - {"runs.parquet"}:  # that one has the seconds of training
        assert expected[name] == found[name], name
    columns = ["name", "parameters", "validation_accuracy"]
    both = [read_results(f / "runs" / "results")[1][columns] for f in (undisturbed, tmp_path)]
    pd.testing.assert_frame_equal(*both)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_figure_without_runs(tmp_path, suffix):
    out = tmp_path / f"gamma.{suffix}"
    assert run_figure(FigureConfig("fig1-gamma", out=out), Console(quiet=True)) == out
    assert out.stat().st_size > 1000


def test_a_picture_in_the_working_folder_is_not_overwritten_unasked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("fig1-gamma.png").write_text("mine")
    with pytest.raises(InputError, match=r"fig1-gamma.png: the file already exists.*--out"):
        run_figure(FigureConfig("fig1-gamma"), Console(quiet=True))
    assert Path("fig1-gamma.png").read_text() == "mine"
    run_figure(FigureConfig("fig1-gamma", out=Path("fig1-gamma.png")), Console(quiet=True))
    assert Path("fig1-gamma.png").stat().st_size > 1000


@pytest.mark.long
def test_a_figure_of_runs(done, tmp_path):
    folder, _ = done
    runs = tuple(folder / "runs" / name for name in NAMES)
    out = tmp_path / "n.svg"
    run_figure(FigureConfig("fig3-heterogeneity", runs, out), Console(quiet=True))
    drawn = folder / "report" / "figures" / "fig3-heterogeneity.svg"
    assert out.read_bytes() == drawn.read_bytes()


@pytest.mark.long
def test_a_figure_evaluates_what_is_missing(done, tmp_path):
    folder, _ = done
    first = Run(folder / "runs" / NAMES[0])
    copy = Run(shutil.copytree(first.folder, tmp_path / "copy"))
    copy.evaluation_path.unlink()
    run_figure(FigureConfig("table1", (copy.folder,), tmp_path / "a.svg"), Console(quiet=True))
    both = (kept_evaluations(run, PAPER_PERTURBATIONS) for run in (first, copy))
    pd.testing.assert_frame_equal(*both)


def test_figures_are_listed_and_errors_say_what_to_do(capsys, tmp_path):
    console = Console(width=200)
    assert run_figure(FigureConfig(), console) is None
    listed = capsys.readouterr().out
    assert all(name in listed for name in ITEMS)
    with pytest.raises(InputError, match="Did you mean 'fig1-gamma'"):
        run_figure(FigureConfig("fig1-gama"), console)
    with pytest.raises(InputError, match="format='doc'"):
        run_figure(FigureConfig("fig1-gamma", out=tmp_path / "a.doc"), console)
    with pytest.raises(InputError, match=r"runs of gamma.*--model gamma"):
        run_figure(FigureConfig("fig3-heterogeneity"), console)
    with pytest.raises(InputError, match="not a run"):
        run_figure(FigureConfig("fig3-heterogeneity", (tmp_path,)), console)
    with pytest.raises(InputError, match="cores"):
        ReproduceConfig(cores=0)
    with pytest.raises(InputError, match="snakemake"):
        ReproduceConfig(snakemake="'open")
    with pytest.raises(InputError, match=r"left out with --from-results.*--report"):
        ReproduceConfig(from_results=tmp_path, out=tmp_path)
    (tmp_path / "manifest.json").touch()
    with pytest.raises(InputError, match=r"not a run.*`adaptrnn report"):
        run_figure(FigureConfig("fig3-heterogeneity", (tmp_path,)), console)
