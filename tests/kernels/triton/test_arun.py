"""Memory of the loops of adaptive units on a GPU by count of bytes, on a device that holds none."""

from __future__ import annotations

import weakref

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from adaptrnn.kernels.triton import arun, device


class Bytes(TorchDispatchMode):
    """How many bytes of storage are there, and were at most."""

    def __init__(self):
        super().__init__()
        self.now, self.most, self.known = 0, 0, set()

    def __torch_dispatch__(self, function, kinds, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.add(tensor.untyped_storage())
        return result

    def add(self, storage):
        key, size = storage._cdata, storage.nbytes()
        if key in self.known:
            return
        self.known.add(key)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self.remove, key, size)

    def remove(self, key, size):
        self.known.discard(key)
        self.now -= size


class NoKernels:
    """Kernels that are launched and do nothing."""

    def __getattr__(self, name):
        class Grid:
            def __getitem__(self, programs):
                return lambda *arguments, **options: None

        return Grid()


def test_bytes_are_counted_and_given_back():
    with Bytes() as count:
        a = torch.empty(1000, device="meta")
        b = a[:10]
        assert count.now == 4000
        c = torch.zeros(500, device="meta")
        del a
        assert count.now == 6000 and b is not None  # a view keeps it
        del b, c
        assert (count.now, count.most) == (0, 6000)


def test_a_training_step_of_the_papers_size(monkeypatch):
    """What docs/howto/gpu.md says: 1.3 GB by default, 7.3 if all states are kept."""
    steps, batch, size, units = 784, 100, 400, 50
    monkeypatch.setattr(device, "rows", NoKernels)
    shapes = [(steps, batch, size), (batch, size), (batch, size, units), (size, size)]
    shapes += [(units,), (units, units), (units,), (2, units), (2,)]
    none = [None, None, None]  # no leak, and currents
    found = []
    for keep in (False, True):
        with Bytes() as count:
            tensors = [*(torch.empty(shape, device="meta") for shape in shapes), *none]
            output, h, _, a, kept = arun.forward(*tensors, False, 28, keep, False, "tf32x3")
            needed = [True] * 9 + [False] * 3
            options = (output, a, kept, 28, keep, False, needed, "tf32x3")
            arun.backward(None, h, None, *tensors, *options)
            found.append(count.most / 1e9)
    assert 1.2 < found[0] < 1.3 and 7.2 < found[1] < 7.4
