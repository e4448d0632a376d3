"""What a protocol measures: how many trials, which ones, and networks under any name."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from adaptrnn import RNN, InputError
from adaptrnn.laboratory.subject import subject_of_network
from adaptrnn.tasks import load


@pytest.fixture(scope="module")
def task():
    return load("adding", parameters={"steps": 5, "test_size": 11})


def of(network, task, **options):
    given = {"state": None, "initial": None, "seed": 0, "effort": 1.0}
    return subject_of_network(network, task, **{**given, **options})


@pytest.mark.parametrize("effort", [0.001, 0.5, 1.0, 3.0])
def test_a_count_follows_the_effort_within_its_bounds(subject, effort):
    one = replace(subject("relu"), effort=effort)
    assert one.count(100) == max(1, round(100 * effort))
    assert one.count(100, 20, 60) == min(60, max(20, round(100 * effort)))


@pytest.mark.parametrize("count", [1, 2, 5, 11, 50])
def test_a_part_is_spread_over_the_test_trials(task, count):
    one = of(RNN(2, 3), task)
    part = one.part(count)
    assert len(part) == min(count, 11)
    assert torch.equal(part.inputs[:, 0], task.test.inputs[:, 0])
    if count >= 11:
        assert torch.equal(part.inputs, task.test.inputs)
    elif count > 1:
        assert torch.equal(part.inputs[:, -1], task.test.inputs[:, -1])


def test_the_core_is_found_under_any_name(task):
    class Net(nn.Module):
        def __init__(self, layers):
            super().__init__()
            self.parts = nn.ModuleList(layers)

        def forward(self, x):
            return self.parts[0](x)[0]

    gru = nn.GRU(2, 3)
    found = of(Net([gru, nn.Linear(3, 1)]), task)
    assert found.core is gru and found.name == "GRU" and not found.adaptive
    assert [name for name, _ in found.stages] == ["trained"]
    with pytest.raises(InputError, match="2 recurrent layers"):
        of(Net([gru, nn.RNN(3, 3)]), task)


def test_a_network_needs_a_task():
    with pytest.raises(InputError, match="task=None"):
        of(RNN(2, 3), None)
