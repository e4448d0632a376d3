"""The named tuples of a static layer are what the operations take and give."""

from __future__ import annotations

import torch
from schemas import arguments, taken

from adaptrnn.kernels.gamma_rnn import op
from adaptrnn.kernels.gamma_rnn.tensor import Inputs, Results, Slopes, Weights


def test_every_operation_begins_with_inputs_and_weights():
    layer = taken(Inputs) + taken(Weights)
    operations = torch.ops.adaptrnn
    for operation in (operations.gamma_rnn, operations.gamma_rnn_loss, operations.gamma_rnn_trace):
        assert arguments(operation)[: len(layer)] == layer
    back = arguments(operations.gamma_rnn_backward)
    assert back[: len(Slopes._fields)] == [(name, True) for name in Slopes._fields]
    assert back[len(Slopes._fields) :][: len(layer)] == layer


def test_results_and_their_slopes():
    assert Slopes._fields == tuple(f"grad_{name}" for name in Results._fields)
    count = len(torch.ops.adaptrnn.gamma_rnn.default._schema.returns)
    assert count == len(Results._fields) + len(op.Past._fields)
