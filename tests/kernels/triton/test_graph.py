"""The host's part of CUDA graphs: one a shape, results of its own, compared with the loop.

A capture is planted: it runs the loop once, and a replay runs it again into the same results.
"""

from __future__ import annotations

import pytest
import torch

from adaptrnn.kernels.triton import graph, verify


@pytest.fixture
def captured(monkeypatch):
    """The captures that were made; nothing is kept from test to test."""
    made = []

    def capture(function):
        results = function()
        made.append(results)

        def replay():
            for result, again in zip(results, function(), strict=True):
                result.copy_(again)

        return replay, results

    monkeypatch.setattr(graph, "_capture", capture)
    graph.clear()
    yield made
    graph.clear()


def loop(x, y, scale, needed, precision):
    assert precision == "tf32" and needed == (True,)
    return x * scale, x.sum(0) if y is None else x.sum(0) + y


def run(x, y=None, scale=2.0):
    return graph.run(loop, (x, y), (scale, [True]), "tf32")


def test_one_capture_a_shape_and_results_of_every_call_stay(captured):
    x, y = torch.rand(3, 2), torch.rand(2)
    first = run(x)
    second = run(x + 1)
    assert len(captured) == 1
    wanted = loop(x, None, 2.0, (True,), "tf32")
    assert all(torch.equal(f, w) for f, w in zip(first, wanted, strict=True))
    assert torch.equal(second[0], 2 * (x + 1))
    run(x, y)
    run(torch.rand(4, 2))
    run(x, scale=3.0)
    assert len(captured) == 4
    assert torch.equal(run(x, y)[1], x.sum(0) + y) and len(captured) == 4


def test_the_oldest_graph_goes_when_there_are_too_many(captured):
    for rows in range(1, graph.MOST + 2):
        run(torch.rand(rows, 2))
    assert graph._graph.cache_info().currsize == graph.MOST
    run(torch.rand(2, 2))
    assert len(captured) == graph.MOST + 1
    run(torch.rand(1, 2))
    assert len(captured) == graph.MOST + 2


def test_a_graph_that_differs_from_the_loop_is_refused(captured, monkeypatch):
    capture = graph._capture

    def wrong(function):
        replay, results = capture(function)
        return lambda: (replay(), results[1].mul_(1.5)), results

    monkeypatch.setattr(graph, "_capture", wrong)
    for _ in range(2):
        with pytest.raises(verify.KernelError, match=r"result 1 .* 5.0e-01"):
            run(torch.rand(3, 2))


def test_a_capture_that_fails_says_what_to_do(captured, monkeypatch):
    def fail(function):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(graph, "_capture", fail)
    with pytest.raises(
        RuntimeError, match=r"not permitted when.*capturing\). Use backend='triton'"
    ):
        run(torch.rand(3, 2))
