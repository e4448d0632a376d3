"""Triton's interpreter made to see what it does not: bounds, races, order, the tensor cores.

It runs the programs of a launch one after another, in order, with NumPy, and reads whatever lies
at an address. The fixtures here patch it (`triton.runtime.interpreter`, private, triton 3.7).
"""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
import torch

COUNTS = Counter()
"""What was run, for the summary: shapes, launches watched, planted faults found, programs."""


@pytest.fixture
def counts():
    """Add here what the summary is to report."""
    return COUNTS


def pytest_terminal_summary(terminalreporter):
    """One line with what was run."""
    if COUNTS:
        text = ", ".join(f"{number} {name}" for name, number in sorted(COUNTS.items()))
        terminalreporter.write_line(f"triton: {text}")


class Fault(AssertionError):
    """A program touched what it must not."""


class Watch:
    """Every address a launch touches lies in one of its tensors; no program needs another.

    A program must not read or write what another program of the same launch writes: on a GPU
    they run at the same time, in any order.
    """

    def __init__(self):
        self.spans, self.reads, self.writes, self.launches = [], {}, {}, 0

    def begin(self, memory):
        self.spans = [(part.data_ptr(), part.data_ptr() + part.nbytes) for part in memory]
        self.reads, self.writes = {}, {}
        self.launches += 1

    def touch(self, book, program, pointers, mask):
        shape = np.broadcast_shapes(pointers.data.shape, mask.data.shape)
        chosen = np.broadcast_to(mask.data, shape)
        at = np.unique(np.broadcast_to(pointers.data, shape)[chosen].astype(np.uint64))
        width = pointers.get_element_ty().primitive_bitwidth // 8
        inside = np.zeros(at.shape, bool)
        for low, high in self.spans:
            inside |= (at >= np.uint64(low)) & (at + np.uint64(width) <= np.uint64(high))
        if not inside.all():
            raise Fault(f"{(~inside).sum()} addresses out of bounds")
        book.setdefault(program, []).append(at)

    def end(self):
        writes = {p: np.unique(np.concatenate(parts)) for p, parts in self.writes.items()}
        everyone = np.concatenate([*writes.values(), np.empty(0, np.uint64)])
        if np.unique(everyone).size != everyone.size:
            raise Fault("two programs write one place")
        for program, parts in self.reads.items():
            others = np.setdiff1d(everyone, writes.get(program, np.empty(0, np.uint64)))
            if np.intersect1d(np.unique(np.concatenate(parts)), others).size:
                raise Fault("a program reads what another writes")


class Apart:
    """Copies of the memory of tensors, each with room on both sides that belongs to none.

    Else a program that leaves one tensor may come upon another, and nobody would notice.
    """

    ROOM = 2**16  # bytes; a row of the largest tensor in these tests has fewer

    def __init__(self):
        self.memory = {}

    def view(self, value):
        """The same view of the copy; what is not a tensor stays as it is."""
        if not isinstance(value, torch.Tensor):
            return value
        storage = value.untyped_storage()
        if storage.data_ptr() not in self.memory:
            whole = torch.empty(0, dtype=torch.uint8).set_(storage)
            room = torch.zeros(storage.nbytes() + 2 * self.ROOM, dtype=torch.uint8)
            copy = room[self.ROOM : self.ROOM + storage.nbytes()]
            self.memory[storage.data_ptr()] = whole, copy.copy_(whole)
        typed = self.memory[storage.data_ptr()][1].view(value.dtype)
        start = typed.storage_offset() + value.storage_offset()
        return typed.as_strided(value.shape, value.stride(), start)

    def write_back(self):
        for whole, copy in self.memory.values():
            whole.copy_(copy)


@pytest.fixture
def watch(monkeypatch):
    """Launches are watched while the test runs."""
    from triton.runtime import interpreter

    found, builder = Watch(), interpreter.InterpreterBuilder
    load, store = builder.create_masked_load, builder.create_masked_store
    call = interpreter.GridExecutor.__call__

    def create_masked_load(self, pointers, mask, *rest):
        found.touch(found.reads, tuple(self.grid_idx), pointers, mask)
        return load(self, pointers, mask, *rest)

    def create_masked_store(self, pointers, value, mask, *rest):
        found.touch(found.writes, tuple(self.grid_idx), pointers, mask)
        return store(self, pointers, value, mask, *rest)

    def atomic(self, *arguments):
        raise Fault("an atomic operation")

    def launch(self, *arguments, **options):
        apart = Apart()
        given = [apart.view(value) for value in arguments]
        named = {name: apart.view(value) for name, value in options.items()}
        found.begin([copy for _, copy in apart.memory.values()])
        call(self, *given, **named)
        found.end()
        apart.write_back()

    monkeypatch.setattr(builder, "create_masked_load", create_masked_load)
    monkeypatch.setattr(builder, "create_masked_store", create_masked_store)
    monkeypatch.setattr(builder, "create_atomic_rmw", atomic)
    monkeypatch.setattr(builder, "create_atomic_cas", atomic)
    monkeypatch.setattr(interpreter.GridExecutor, "__call__", launch)
    return found


@pytest.fixture
def order(monkeypatch):
    """A function that sets the order of programs: "forward", "reverse" or "shuffled"."""
    from triton.runtime import interpreter

    builder, chosen = interpreter.InterpreterBuilder, ["forward"]
    original = builder.set_grid_idx

    def permuted(index, size):
        if chosen[0] == "reverse":
            return size - 1 - index
        places = list(range(size))
        if chosen[0] == "shuffled":
            random.Random(3).shuffle(places)
        return places[index]

    def set_grid_idx(self, *index):
        original(self, *(permuted(i, n) for i, n in zip(index, self.grid_dim, strict=True)))

    monkeypatch.setattr(builder, "set_grid_idx", set_grid_idx)
    return lambda name: chosen.__setitem__(0, name)


@pytest.fixture
def poison(monkeypatch):
    """New memory holds NaN."""
    make, like = torch.Tensor.new_empty, torch.empty_like
    nan = float("nan")
    monkeypatch.setattr(torch.Tensor, "new_empty", lambda *a, **k: make(*a, **k).fill_(nan))
    monkeypatch.setattr(torch, "empty_like", lambda *a, **k: like(*a, **k).fill_(nan))


def nearest(x, bits=10):
    """Round to so many bits of the mantissa, ties away from zero, as cvt.rna does."""
    low, number = 23 - bits, np.ascontiguousarray(x, np.float32).view(np.uint32)
    kept = np.uint32(0xFFFFFFFF ^ ((1 << low) - 1))
    return ((number + np.uint32(1 << (low - 1))) & kept).view(np.float32)


def truncated(x, bits=10):
    """Cut to so many bits: what a tensor core does to a float32 given as tf32."""
    kept = np.uint32(0xFFFFFFFF ^ ((1 << (23 - bits)) - 1))
    return (np.ascontiguousarray(x, np.float32).view(np.uint32) & kept).view(np.float32)


@pytest.fixture
def tensor_cores(monkeypatch):
    """Products as a GPU makes them in tf32 and tf32x3; the interpreter's own are float32."""
    from triton.runtime import interpreter

    used = Counter()

    def dot(self, a, b, d, precision, *_):
        name = str(precision).rpartition(".")[2].lower()
        used[name] += 1
        x, y = a.data, b.data
        if name == "tf32":
            product = np.matmul(truncated(x), truncated(y))
        else:
            assert name == "tf32x3", name
            (x1, y1) = nearest(x), nearest(y)
            x2, y2 = nearest(x - x1), nearest(y - y1)
            product = np.matmul(x2, y1) + np.matmul(x1, y2) + np.matmul(x1, y1)
        return interpreter.TensorHandle(product.astype(np.float32) + d.data, d.dtype.scalar)

    monkeypatch.setattr(interpreter.InterpreterBuilder, "create_dot", dot)
    return used
