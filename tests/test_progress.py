"""The board of a running workflow: what it says of jobs, accuracies and the time left."""

import io

import pandas as pd
import pytest
import yaml
from rich.console import Console

from adaptrnn.paper.plan import Plan
from adaptrnn.progress import PRIOR, Board
from adaptrnn.storage import write_table

PROFILE = {
    "summary": "two small networks",
    "seeds": [0],
    "hidden_size": 40,
    "controller_size": 4,
    "train": {"epochs": 3, "batch_size": 100, "n": "code", "train_size": 200},
    "roles": {
        "psmnist": {
            "task": "digits",
            "effort": 0.02,
            "models": {"gamma": {"lr": 0.01}, "arun": {"lr": 0.01}},
        }
    },
    "together": True,
}
TRAIN = ("train psmnist-gamma-seed0", "train psmnist-arun-seed0")


class Clock:
    time = 0.0

    def __call__(self):
        return self.time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def board(tmp_path, clock):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(PROFILE))
    return Board(Plan.of(str(path)), tmp_path / "runs", 1, clock)


def said(board):
    console = Console(file=io.StringIO(), width=160)
    console.print(board.table())
    return console.file.getvalue()


def test_at_first_the_plan_is_believed(board):
    assert board.left() == pytest.approx(sum(board._cost.values()))
    board.cores = 2
    assert sum(board._cost.values()) / 2 < board.left() < sum(board._cost.values())


def test_the_time_left_follows_what_jobs_took(board, clock):
    """After a job that took twice its cost c the rest takes (P + 2c) / (P + c) as long."""
    cost, rest = board._cost[TRAIN[0]], board.left() - board._cost[TRAIN[0]]
    board.start(TRAIN[0])
    clock.time = 2 * cost
    board.end(TRAIN[0])
    assert board.left() == pytest.approx(rest * (PRIOR + 2 * cost) / (PRIOR + cost))


def test_a_failed_job_says_nothing_of_the_pace(board, clock):
    rest = board.left() - board._cost[TRAIN[0]]
    board.start(TRAIN[0])
    clock.time = 1e4
    board.end(TRAIN[0], failed=True)
    assert board.left() == pytest.approx(rest)


def test_time_that_a_job_has_run_is_not_counted_again(board, clock):
    before = board.left()
    board.start(TRAIN[0])
    clock.time = 2.0
    assert board.left() == pytest.approx(before - 2)
    clock.time = 1e6  # far over its cost: never less than nothing
    assert 0 < board.left() < before


def test_what_is_done_already_is_not_waited_for(board, tmp_path):
    marker = tmp_path / "runs" / "done" / "train" / "psmnist-arun-seed0"
    marker.parent.mkdir(parents=True)
    marker.touch()
    again = Board(board.plan, board.folder, 1, board.now)
    assert again.left() == pytest.approx(board.left() - board._cost[TRAIN[1]])


def test_the_table_names_what_is_trained_and_how_well(board, clock, tmp_path):
    assert "Snakemake reads the plan" in said(board)
    board.done, board.total = 1, 9
    for job in TRAIN:
        board.start(job)
    losses = {"train_loss": [2.0, 1.0], "validation_loss": [2.0, 1.5]}
    metrics = pd.DataFrame({"epoch": [0, 1], **losses, "validation_accuracy": [0.25, 0.5]})
    write_table(tmp_path / "runs" / "psmnist-arun-seed0" / "metrics.parquet", metrics)
    clock.time = 75
    text = said(board)
    lines = {
        word: line for line in text.splitlines() for word in ("ARUN", "RNN+gamma") if word in line
    }
    assert "8x8 digits" in lines["ARUN"] and "2/3" in lines["ARUN"] and "50.0%" in lines["ARUN"]
    assert "0/3" in lines["RNN+gamma"] and "%" not in lines["RNN+gamma"]
    assert "1 min 15 s" in text and "1 of 9 jobs done, about" in text
    board.done = 2
    line = board.end(TRAIN[1])
    assert line.startswith("   2/9 train psmnist-arun-seed0: accuracy 50.0%, 1 min 15 s; about ")


def test_the_last_job_leaves_nothing(board):
    for job in list(board._cost):
        board.start(job)
        line = board.end(job)
    assert board.left() == 0 and "left" not in line
