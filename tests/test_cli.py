"""The command line: every command, exit codes, suggestions, nothing heavy before it is needed."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

from adaptrnn.cli import COMMANDS, main
from adaptrnn.config import to_dict
from adaptrnn.run import Run, read_config


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0 and main([]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in COMMANDS)


@pytest.mark.parametrize("columns", ["70", "100", "200"])
def test_summaries_have_a_column_of_their_own(columns, capsys, monkeypatch):
    """Right of the names, where rows are joined again, are the summaries and nothing else."""
    monkeypatch.setenv("COLUMNS", columns)
    assert main(["--help"]) == 0
    place, name = 4 + max(map(len, COMMANDS)), ""
    found: dict[str, list[str]] = {}
    for row in capsys.readouterr().out.splitlines():
        if row.startswith("  ") and not row.startswith("  adaptrnn"):
            name = row[:place].strip() or name
            found.setdefault(name, []).append(row[place:])
            assert row[place - 2 : place] == "  " and len(row) <= int(columns)
    assert {key: " ".join(rows) for key, rows in found.items()} == {
        key: command.summary for key, command in COMMANDS.items()
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_has_examples(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert "examples:" in capsys.readouterr().out


def test_help_imports_nothing_heavy():
    code = (
        "import contextlib, sys\n"
        "from adaptrnn.cli import COMMANDS, main\n"
        "for words in [[], *([command] for command in COMMANDS)]:\n"
        "    with contextlib.suppress(SystemExit):\n"
        "        main([*words, '--help'])\n"
        "heavy = {'torch', 'numpy', 'pandas', 'pytorch_lightning', 'datasets', 'matplotlib'}\n"
        "sys.exit(f'{heavy & {*sys.modules}}' if heavy & {*sys.modules} else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0


def test_train_and_evaluate(tmp_path, capsys):
    words = ["train", "digits", "--model", "gru", "--hidden-size", "6", "--epochs", "1"]
    assert main([*words, "--train-size", "200", "--out", str(tmp_path / "run")]) == 0
    assert "validation accuracy" in capsys.readouterr().out
    assert main(["evaluate", str(tmp_path / "run")]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in ("clean", "noisy-drive", "step-drive", "contrast"))
    assert main(["evaluate", str(tmp_path / "run"), "--perturb", "step:xi=5"]) == 0
    assert "step:xi=5" in capsys.readouterr().out


def test_a_run_or_a_folder_of_runs_in_each_place(tmp_path, capsys):
    """What people give: the folder above the runs, a run for a task, a run before the analysis."""
    words = ["train", "digits", "--model", "relu", "--hidden-size", "4", "--epochs", "1"]
    for seed in ("0", "1"):
        out = str(tmp_path / "runs" / seed)
        assert main([*words, "--train-size", "100", "--seed", seed, "--out", out]) == 0
    assert main(["evaluate", str(tmp_path / "runs"), "--perturb", "step:xi=5"]) == 0
    assert capsys.readouterr().out.count("step:xi=5") == 2
    assert main(["train", out]) == 2
    assert "To resume it:  adaptrnn train --config" in capsys.readouterr().err
    assert main(["analyze", out]) == 2
    assert f"adaptrnn analyze lyapunov {out}" in capsys.readouterr().err.replace("\n", "")
    assert main(["analyze", "spectrum", str(tmp_path / "runs"), "--draw"]) == 0
    shown = capsys.readouterr().out.split()
    for path in (tmp_path / "runs").glob("*/analysis/spectrum.*"):
        assert str(path) in shown  # the result and its picture
    assert len(list((tmp_path / "runs").glob("*/analysis/spectrum.png"))) == 2


def test_models(capsys):
    assert main(["models"]) == 0
    text = capsys.readouterr().out
    assert "167,962" in text and "202" in text and "233" in text


@pytest.mark.parametrize(
    "words, message",
    [
        (["trian"], "Did you mean 'train'"),
        (["evaluate", "nowhere"], "not a run"),
        (["evaluate"], "at least one folder"),
        (["analyze", "a" * 300], "must be one of 'lyapunov'"),
        (["evaluate", "a" * 300], "cannot be read"),
        (["train", "a" * 300], "name='aaa"),
        (["train", "digit"], "Did you mean 'digits'"),
        (["train", "psmnist", "--data-dir", "nowhere"], "nowhere"),
        (["train", "digits", "--image-size", "9", "--epochs", "1"], "image_size=9"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith("error: ") and "Traceback" not in error


@pytest.mark.parametrize(
    "words, message",
    [
        (["train", "digits", "--modle", "arun"], "Did you mean --model?"),
        (["train", "digits", "--model", "arum"], "--model='arum': must be one of 'relu'"),
        (
            ["train", "digits", "--hidden-size", "0"],
            "--hidden-size=0: must be an integer from 1 to 65,536.",
        ),
        (["train", "digits", "--epochs", "many"], "--epochs='many': must be an integer."),
        (["train", "digits", "--lr", "fast"], "--lr='fast': must be a number or None."),
        (["train", "digits", "--lr"], "'--lr'"),
        (["train"], "TASK"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])  # tyro draws other frames
def test_wrong_options_are_one_line_too(words, message, encoding, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding))
    assert main(words) == 2
    error = capsys.readouterr().err
    assert message in error and "See  adaptrnn train --help" in error
    assert error.startswith("error: ") and error.count("\n") == 1
    assert not set("│╭─<>") & set(error)


def test_a_configuration_in_a_file_is_trained_and_changed_by_options(tmp_path, capsys):
    path = tmp_path / "config.json"
    given = {"task": "digits", "model": "relu", "hidden_size": 4, "epochs": 1, "train_size": 100}
    path.write_text(json.dumps(given | {"out": str(tmp_path / "run")}))
    assert main(["train", "--config", str(path)]) == 0
    run = Run(tmp_path / "run")
    assert {name: to_dict(run.config())[name] for name in given} == given
    # the configuration that the run keeps trains the same network again
    again = ["train", "--config", str(run.config_path), "--out", str(tmp_path / "again")]
    assert main(again) == 0
    assert read_config(tmp_path / "again" / "config.json").out == tmp_path / "again"
    assert Run(tmp_path / "again").weights_path.read_bytes() == run.weights_path.read_bytes()
    assert main([*again[:-1], str(tmp_path / "other"), "--seed", "1"]) == 0
    assert Run(tmp_path / "other").config().seed == 1
    capsys.readouterr()


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "must be a JSON file that exists"),
        ("{", "damaged, not JSON"),
        ('{"task": "digits", "epoch": 3}', "Did you mean 'epochs'"),
        ('{"model": "arun"}', "must name a task"),
    ],
)
def test_a_file_that_is_no_configuration_is_one_line(content, message, tmp_path, capsys):
    path = tmp_path / "config.json"
    if content is not None:
        path.write_text(content)
    assert main(["train", "--config", str(path)]) == 2
    assert message in capsys.readouterr().err
    assert main(["train", "--config"]) == 2
    assert "must be followed by a file" in capsys.readouterr().err
