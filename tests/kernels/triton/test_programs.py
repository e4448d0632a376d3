"""No program leaves its tensors or needs another: found by an interpreter that is tested first."""

from __future__ import annotations

import pytest
import torch
from flat_calls import arun, gamma_rnn, reference_arun

from adaptrnn.kernels.triton import arun as arun_triton
from adaptrnn.kernels.triton import device, verify

pytest.importorskip("triton", reason="triton is not installed: `make test-triton` installs it")
pytestmark = [
    pytest.mark.triton,
    pytest.mark.skipif(not device.interpreted(), reason="TRITON_INTERPRET=1 is not set"),
]

SHAPES = [(1, 1, 1, 1), (7, 5, 37, 13), (4, 17, 20, 50), (5, 2, 65, 20)]


@pytest.fixture(autouse=True)
def _no_self_check(monkeypatch):
    monkeypatch.setenv(verify.SWITCH, "0")


def leaves(tensors):
    return [tensor.detach().float().requires_grad_() for tensor in tensors]


def everything(arun_inputs, shape, budget=0):
    """Results and gradients of both operations."""
    found = []
    for function, tensors, options in (
        (arun, leaves(arun_inputs(*shape)), {"memory_budget": budget}),
        (gamma_rnn, leaves(arun_inputs(*shape)), {}),
    ):
        if function is gamma_rnn:
            size = shape[2]
            curve = leaves([torch.linspace(1, 3, size), torch.linspace(0, 0.5, size)])
            tensors = [*tensors[:2], tensors[3], *curve]
        results = function(*tensors, backend="triton", **options)
        ones = [torch.ones_like(result) for result in results]
        found += [*results, *torch.autograd.grad(results, tensors, ones)]
    return found


# First the watch itself: it must find what is planted, and nothing where nothing is.


def planted():
    """Small kernels: name, the kernel, number of programs, the fault that is in it or None."""
    import triton
    import triton.language as tl

    @triton.jit
    def sound(x, y, N: tl.constexpr):
        i = tl.program_id(0) * 4 + tl.arange(0, 4)
        tl.store(y + i, tl.load(x + i, mask=i < N) + tl.load(y + i, mask=i < N), mask=i < N)

    @triton.jit
    def reads_anothers(x, y, N: tl.constexpr):
        i = tl.program_id(0)
        tl.store(x + i + 1, tl.load(x + i) + 1.0, mask=i + 1 < N)

    @triton.jit
    def writes_one_place(x, y, N: tl.constexpr):
        tl.store(y + tl.program_id(0) // 2, 1.0)

    @triton.jit
    def reads_beyond(x, y, N: tl.constexpr):
        i = tl.arange(0, 16)
        tl.store(y + i, tl.load(x + i), mask=i < N)

    @triton.jit
    def writes_beyond(x, y, N: tl.constexpr):
        i = tl.arange(0, 16)
        tl.store(y + i, tl.load(x + i, mask=i < N))

    @triton.jit
    def reads_before(x, y, N: tl.constexpr):
        i = tl.program_id(0)
        tl.store(y + i, tl.load(x + i - 1), mask=i < N)

    @triton.jit
    def adds_atomically(x, y, N: tl.constexpr):
        tl.atomic_add(y + tl.program_id(0), 1.0)

    return [
        (sound, 3, None),
        (reads_anothers, 8, "reads what another writes"),
        (writes_one_place, 4, "write one place"),
        (reads_beyond, 1, "out of bounds"),
        (writes_beyond, 1, "out of bounds"),
        (reads_before, 9, "out of bounds"),
        (adds_atomically, 2, "atomic"),
    ]


def run(kernel, programs):
    x, y = torch.zeros(9), torch.zeros(9)
    kernel[(programs,)](x, y, 9)


def test_the_watch_finds_what_is_planted(watch, counts):
    for kernel, programs, fault in planted():
        if fault is None:
            run(kernel, programs)
            continue
        with pytest.raises(Exception, match=fault):
            run(kernel, programs)
        counts["planted faults found"] += 1


@pytest.mark.parametrize("name", ["forward_rows", "recompute", "backward_rows", "weights"])
def test_the_watch_finds_a_kernel_told_of_too_many_rows(
    name, watch, arun_inputs, monkeypatch, counts
):
    """The kernels of the ARUN, launched over one row more than there is."""
    launch, sums = arun_triton._Launcher.__call__, arun_triton._Launcher.sums

    def more(self, kernel, *arguments):
        *rest, count = arguments
        launch(self, kernel, *rest, count + (kernel == name))

    def more_sums(self, *arguments):
        *rest, count = arguments
        return sums(self, *rest, count + (name == "weights"))

    monkeypatch.setattr(arun_triton._Launcher, "__call__", more)
    monkeypatch.setattr(arun_triton._Launcher, "sums", more_sums)
    with pytest.raises(Exception, match="out of bounds"):
        everything(arun_inputs, (4, 5, 7, 4))
    counts["planted faults found"] += 1


# Then the kernels.


@pytest.mark.parametrize("budget", [0, 2**40])
@pytest.mark.parametrize("shape", SHAPES)
def test_no_program_leaves_its_tensors_or_needs_another(shape, budget, watch, arun_inputs, counts):
    everything(arun_inputs, shape, budget)
    assert watch.launches > 4
    counts["launches watched"] += watch.launches


def test_any_order_of_programs_in_poisoned_memory_gives_the_same_bits(order, poison, arun_inputs):
    for shape in ((7, 5, 37, 13), (3, 40, 33, 4)):
        wanted = everything(arun_inputs, shape)
        assert all(value.isfinite().all() for value in wanted)
        for name in ("reverse", "shuffled"):
            order(name)
            found = everything(arun_inputs, shape)
            assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
        order("forward")


def test_the_order_matters_where_a_program_needs_another(order):
    """The test above would find it."""
    kernel, programs, _ = planted()[1]
    found = []
    for name in ("forward", "reverse"):
        order(name)
        x = torch.zeros(9)
        kernel[(programs,)](x, x, 9)
        found.append(x)
    assert not torch.equal(*found)


# The tensor cores.


def gradients(arun_inputs, shape):
    """Results and gradients of the kernels and the float64 reference's."""
    exact = arun_inputs(*shape)
    wanted, slopes, factors = verify.differentiate(reference_arun, exact, verify.normal(7))
    tensors = leaves(exact)
    results = torch.ops.adaptrnn.arun_triton(*tensors, None, None, None, False, 8, False, False)[:3]
    found = torch.autograd.grad(results, tensors, [factor.float() for factor in factors])
    return (*results, *found), (*wanted, *slopes)


def test_tf32x3_is_as_good_as_float32_and_tf32_is_not(
    tensor_cores, arun_inputs, relative, monkeypatch
):
    worst = {}
    for precision in ("tf32x3", "tf32"):
        monkeypatch.setattr(device, "precision", lambda precision=precision: precision)
        pairs = zip(*gradients(arun_inputs, (50, 2, 32, 20)), strict=True)
        worst[precision] = max(relative(found, wanted) for found, wanted in pairs)
    # 1e-5 is the tolerance of float32; 10 bits round to 1e-3, and sums of them to less
    assert worst["tf32x3"] < 1e-5 < 1e-4 < worst["tf32"] < 2e-2
    assert set(tensor_cores) == {"tf32x3", "tf32"}


def test_the_self_check_passes_on_emulated_tensor_cores(tensor_cores):
    from adaptrnn.kernels.triton import gamma_rnn as gamma_triton

    for precision in ("tf32x3", "tf32"):
        verify.measure.cache_clear()
        for units in (4, 50, 64):
            verify.measure(arun_triton.compare, torch.device("cpu"), precision, units)
        verify.measure(gamma_triton.compare, torch.device("cpu"), precision)
    verify.measure.cache_clear()


def test_the_precision_is_torchs_own_setting():
    before = torch.get_float32_matmul_precision()
    try:
        for setting, precision in (("highest", "tf32x3"), ("high", "tf32"), ("medium", "tf32")):
            torch.set_float32_matmul_precision(setting)
            assert device.precision() == precision
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.slow
def test_tf32_over_a_whole_sequence_of_pixels(tensor_cores, arun_inputs, relative, monkeypatch):
    """T = 784: tf32x3 stays at float32's error, tf32 loses three digits in the gradients."""
    for precision, limit in (("tf32x3", 1e-5), ("tf32", 2e-2)):
        monkeypatch.setattr(device, "precision", lambda precision=precision: precision)
        found, wanted = gradients(arun_inputs, (784, 1, 64, 50))
        errors = [relative(f, w) for f, w in zip(found, wanted, strict=True)]
        print(precision, " ".join(f"{error:.1e}" for error in errors))
        assert max(errors) < limit
