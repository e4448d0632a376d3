"""The workflow on a tiny profile, end to end: resumed, damaged, failing; and single figures."""

import io
import json
from pathlib import Path

import pandas as pd
import pytest
import xarray as xr
import yaml
from rich.console import Console

from adaptrnn._error import InputError
from adaptrnn.paper import item as items
from adaptrnn.paper.catalogue import ITEMS
from adaptrnn.reproduce import FigureConfig, ReproduceConfig, figure, reproduce
from adaptrnn.run import Run

TINY = {
    "summary": "two networks, one epoch",
    "task": "digits",
    "seeds": [0],
    "hidden_size": 40,
    "controller_size": 8,
    "train": {"epochs": 1, "batch_size": 200, "n": "code", "train_size": 200},
    "models": {"gamma": {"lr": 0.01}, "arun": {"lr": 0.01}},
}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder where the tiny profile was reproduced, and what was printed."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    console = Console(record=True, width=200, file=io.StringIO())
    reproduce(config(folder), console)
    return folder, console.export_text()


def config(folder: Path, **more: object) -> ReproduceConfig:
    return ReproduceConfig(
        str(folder / "tiny.yaml"), out=folder / "runs", report=folder / "report", **more
    )


def test_runs_report_and_files_are_there(done):
    folder, text = done
    runs = sorted(path.name for path in (folder / "runs").iterdir())
    assert runs == ["digits-arun-seed0", "digits-gamma-seed0"]
    assert all(Run(folder / "runs" / name).record()["state"] == "finished" for name in runs)
    report = (folder / "report" / "index.html").read_text()
    for name, item in ITEMS.items():
        assert f'id="{name}"' in report, item
        assert (folder / "report" / "figures" / f"{name}.pdf").stat().st_size > 1000
        assert xr.load_dataset(folder / "report" / "data" / f"{name}.nc", engine="h5netcdf").sizes
    assert "Something failed" not in report
    assert "2/2" in text and "index.html" in text


def test_verdicts_know_what_is_missing(done):
    folder, _ = done
    verdicts = pd.read_csv(folder / "report" / "data" / "verdicts.csv")
    outcome = verdicts.groupby("id").verdict.first()
    assert outcome["E01"] == "reproduced"
    assert outcome["E03"] == "no data"  # five of the seven models were not trained
    assert outcome["E14"] in ("reproduced", "partly", "not")


def test_nothing_is_done_twice_and_what_is_damaged_is_done_again(done, monkeypatch):
    folder, _ = done
    run = Run(folder / "runs" / "digits-gamma-seed0")
    name, calls = "fig3-heterogeneity", []
    real = ITEMS[name]
    counted = items.Item(
        **{**vars(real), "measure": lambda run: calls.append(1) or real.measure(run)}
    )
    first = items.measured(counted, run)
    assert not calls
    (run.folder / "measures" / f"{name}.nc").write_bytes(b"cut")
    assert items.measured(counted, run).equals(first)
    assert len(calls) == 1
    run.weights_path.write_bytes(run.weights_path.read_bytes())  # the same weights
    items.measured(counted, run)
    assert len(calls) == 1


def test_a_failed_job_is_named_and_takes_no_other_with_it(done, tmp_path):
    folder, _ = done
    values = TINY | {"models": TINY["models"] | {"relu": {"lr": 0.01}}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(values))
    blocked = tmp_path / "runs" / "digits-relu-seed0"
    blocked.mkdir(parents=True)
    (blocked / "config.json").write_text(json.dumps({"task": "digits", "model": "gru"}))
    for name in ("digits-gamma-seed0", "digits-arun-seed0"):
        (tmp_path / "runs" / name).symlink_to(folder / "runs" / name)
    with pytest.raises(RuntimeError, match="1 of 3 jobs failed: digits-relu-seed0"):
        reproduce(config(tmp_path, workers=1), Console(quiet=True))
    report = (tmp_path / "report" / "index.html").read_text()
    assert "Something failed" in report and "holds another run" in report
    assert 'id="fig3-heterogeneity"' in report  # of the others


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_figure_without_runs(tmp_path, suffix):
    out = tmp_path / f"gamma.{suffix}"
    assert figure(FigureConfig("fig1-gamma", out=out), Console(quiet=True)) == out
    assert out.stat().st_size > 1000


def test_a_figure_of_runs(done, tmp_path):
    folder, _ = done
    runs = tuple(sorted((folder / "runs").iterdir()))
    out = tmp_path / "n.svg"
    figure(FigureConfig("fig3-heterogeneity", runs, out), Console(quiet=True))
    assert (
        out.read_bytes() == (folder / "report" / "figures" / "fig3-heterogeneity.svg").read_bytes()
    )


def test_figures_are_listed_and_errors_say_what_to_do(capsys, tmp_path):
    console = Console(width=200)
    assert figure(FigureConfig(), console) is None
    listed = capsys.readouterr().out
    assert all(name in listed for name in ITEMS)
    with pytest.raises(InputError, match="Did you mean 'fig1-gamma'"):
        figure(FigureConfig("fig1-gama"), console)
    with pytest.raises(InputError, match="format='doc'"):
        figure(FigureConfig("fig1-gamma", out=tmp_path / "a.doc"), console)
    with pytest.raises(InputError, match=r"runs of gamma.*--model gamma"):
        figure(FigureConfig("fig3-heterogeneity"), console)
    with pytest.raises(InputError, match="not a run"):
        figure(FigureConfig("fig3-heterogeneity", (tmp_path,)), console)
    with pytest.raises(InputError, match="workers"):
        ReproduceConfig(workers=0)
