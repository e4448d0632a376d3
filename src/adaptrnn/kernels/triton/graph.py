"""A CUDA graph of a whole loop over time is captured once a shape, then replayed by one launch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from adaptrnn.kernels.triton.verify import LIMITS, KernelError

MOST = 8
"""Graphs that are kept; each holds its inputs, its results and all memory of its loop."""

Loop = Callable[..., tuple[Tensor, ...]]


def run(
    loop: Loop, tensors: Sequence[Tensor | None], options: Sequence[object], precision: str
) -> tuple[Tensor, ...]:
    """Return what ``loop(*tensors, *options, precision)`` returns, by a graph of these shapes.

    Args:
        loop: the loop over time, which reads no value of a tensor.
        tensors: its tensors, all float32 on one GPU; None is a part of the shape.
        options: what else it is given, hashable or lists.
        precision: "tf32x3" or "tf32".

    Raises:
        RuntimeError: the loop cannot be captured.
        KernelError: the graph's results are not those of the loop.
    """
    device = next(tensor.device for tensor in tensors if tensor is not None)
    if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
        return loop(*tensors, *options, precision)  # becomes a part of the caller's own graph
    shapes = tuple(None if tensor is None else tuple(tensor.shape) for tensor in tensors)
    plain = tuple(tuple(value) if isinstance(value, list) else value for value in options)
    return _graph(loop, device, shapes, (*plain, precision))(tensors)


class _Graph:
    """A captured loop with its own inputs and results, compared with the loop at its first use."""

    def __init__(
        self, loop: Loop, device: torch.device, shapes: Sequence[Any], options: tuple[Any, ...]
    ) -> None:
        self.loop, self.options, self.checked = loop, options, False
        # ones, since a gain of 0 is not allowed; the first call brings the numbers
        self.inputs = [None if s is None else torch.ones(s, device=device) for s in shapes]
        loop(*self.inputs, *options)  # compiles the kernels, which a capture must not
        try:
            self.replay, self.results = _capture(lambda: loop(*self.inputs, *options))
        except Exception as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise RuntimeError(
                "backend='triton-graph': the loop over time cannot be captured as a CUDA graph "
                f"({reason}). Use backend='triton', which launches every kernel."
            ) from error

    def __call__(self, tensors: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
        for own, given in zip(self.inputs, tensors, strict=True):
            if own is not None and given is not None:
                own.copy_(given)
        self.replay()
        results = tuple(result.clone() for result in self.results)
        if not self.checked:
            self._check(results, self.loop(*tensors, *self.options))
            self.checked = True
        return results

    def _check(self, results: Sequence[Tensor], wanted: Sequence[Tensor]) -> None:
        limit = LIMITS[self.options[-1]]
        for place, (found, want) in enumerate(zip(results, wanted, strict=True)):
            error = float((found - want).norm() / want.norm().clamp_min(1e-30))
            if want.numel() and not error <= limit:
                raise KernelError(
                    f"backend='triton-graph': result {place} of a CUDA graph is not that of the "
                    f"loop (relative error {error:.1e}, at most {limit:g} allowed). Use "
                    "backend='triton', and please report this message."
                )


_graph = functools.lru_cache(maxsize=MOST)(_Graph)


def clear() -> None:
    """Give up every graph that is kept, with its memory."""
    _graph.cache_clear()


def _capture(
    function: Callable[[], tuple[Tensor, ...]],
) -> tuple[Callable[[], None], tuple[Tensor, ...]]:
    """A replay of the function's launches, and the results that it writes."""
    graph = torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        results = function()
    return graph.replay, results
