"""The named tuples of adaptive units are what the operations take and give."""

from __future__ import annotations

import torch
from schemas import arguments, taken

from adaptrnn.kernels.arun import op
from adaptrnn.kernels.arun.tensor import (
    ControllerWeights,
    Inputs,
    Results,
    Signals,
    Slopes,
    Weights,
)


def test_every_operation_begins_with_inputs_and_weights():
    layer = taken(Inputs) + taken(Weights)
    operations = torch.ops.adaptrnn
    for operation in (operations.arun, operations.arun_loss, operations.arun_trace):
        assert arguments(operation)[: len(layer)] == layer
    back = arguments(operations.arun_backward)
    assert back[: len(Slopes._fields)] == [(name, True) for name in Slopes._fields]
    assert back[len(Slopes._fields) :][: len(layer)] == layer


def test_results_and_their_slopes():
    assert Slopes._fields == tuple(f"grad_{name}" for name in Results._fields)
    count = len(torch.ops.adaptrnn.arun.default._schema.returns)
    assert count == len(Results._fields) + len(op.Past._fields)
    assert len(torch.ops.adaptrnn.arun_trace.default._schema.returns) == len(Signals._fields)


def test_the_controller_is_a_part_of_the_weights_in_the_same_order():
    assert Weights._fields[1:6] == ControllerWeights._fields
