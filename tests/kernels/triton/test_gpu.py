"""The kernels on a real GPU: values, gradients, graphs and memory, against float64 on the CPU.

Run by `make test-gpu`, where torch sees an NVIDIA GPU. The interpreter and the compiler, which need
none, are tested next to this file.
"""

from __future__ import annotations

from functools import partial

import pytest
import torch
from flat_calls import (
    arun,
    arun_trace,
    gamma_rnn,
    gamma_rnn_trace,
    reference_arun,
    reference_arun_trace,
    reference_gamma_rnn,
    reference_gamma_rnn_trace,
)

from adaptrnn.kernels.triton import arun as arun_triton
from adaptrnn.kernels.triton import device, graph, verify
from adaptrnn.kernels.triton import gamma_rnn as gamma_triton

pytest.importorskip("triton", reason="triton is not installed: `make test-triton` installs it")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no NVIDIA GPU"),
    pytest.mark.skipif(device.interpreted(), reason="TRITON_INTERPRET=1 is set"),
]

# Float32: a thousand times the rounding of a sum of 1e4 terms. The same number for tf32x3, whose
# products have three parts of 11 bits. tf32 cuts an operand to 11 bits: 2^-10 a product, always
# towards zero, hence a bias that grows with the steps.
TOLERANCE = {"highest": 1e-5, "high": 2e-2}
SHAPES = [
    (1, 1, 1, 1),
    (2, 1, 3, 2),
    (5, 3, 7, 3),
    (4, 1, 64, 16),
    (9, 17, 20, 13),
    (6, 5, 37, 50),
    (3, 2, 16, 64),
    (10, 13, 5, 4),
    (30, 33, 100, 20),
    (50, 10, 400, 50),
]
LARGE = 2**40
gamma_exact = partial(reference_gamma_rnn, nonlinearity="gamma")
gamma_trace_exact = partial(reference_gamma_rnn_trace, nonlinearity="gamma")


@pytest.fixture(params=["highest", "high"])
def precision(request):
    """Products of three tf32 products, and of one."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(request.param)
    yield request.param
    torch.set_float32_matmul_precision(before)


def gamma_inputs(steps, batch, size):
    normal = verify.normal(steps + 100 * batch + size)
    return [
        normal(steps, batch, size),
        normal(batch, size, scale=0.3),
        normal(size, size, scale=0.5 / size**0.5),
        2.0 + normal(size, scale=0.2),
        normal(size, scale=0.2),
    ]


def there(tensors):
    """Float32 leaves of the same values, on the GPU."""
    return [t.detach().to("cuda", torch.float32).requires_grad_() for t in tensors]


def differentiate(function, tensors, factors, **options):
    """Results, and gradients of the sum of the results times these factors."""
    results = function(*tensors, **options)
    factors = [factor.to(result) for factor, result in zip(factors, results, strict=True)]
    return results, torch.autograd.grad(results, tensors, factors)


def compare(relative, function, reference, exact, tolerance, **options):
    """The kernels on the GPU against the reference in float64 on the CPU."""
    exact = [tensor.detach().requires_grad_() for tensor in exact]
    wanted, slopes, factors = verify.differentiate(reference, exact, verify.normal(7))
    found, gradients = differentiate(function, there(exact), factors, **options)
    for got, want in zip((*found, *gradients), (*wanted, *slopes), strict=True):
        assert got.is_cuda and got.shape == want.shape and got.dtype == torch.float32
        assert relative(got.cpu(), want) < tolerance


@pytest.mark.parametrize("backend", ["triton", "triton-graph"])
@pytest.mark.parametrize("budget", [0, LARGE])
@pytest.mark.parametrize("shape", SHAPES)
def test_arun_equals_the_reference(shape, budget, backend, precision, arun_inputs, relative):
    options = {"backend": backend, "memory_budget": budget}
    compare(relative, arun, reference_arun, arun_inputs(*shape), TOLERANCE[precision], **options)
    graph.clear()


@pytest.mark.parametrize("backend", ["triton", "triton-graph"])
@pytest.mark.parametrize("shape", [shape[:3] for shape in SHAPES])
def test_gamma_rnn_equals_the_reference(shape, backend, precision, relative):
    exact = gamma_inputs(*shape)
    tolerance = TOLERANCE[precision]
    compare(relative, gamma_rnn, gamma_exact, exact, tolerance, backend=backend)


@pytest.mark.parametrize("steps", [784])
def test_a_long_sequence_is_as_exact_as_float32(steps, arun_inputs, relative):
    """The paper's length. Of the plain loop in float32 on the same GPU it is within ten times."""
    exact = [t.detach().requires_grad_() for t in arun_inputs(steps, 4, 100, 20)]
    wanted, slopes, factors = verify.differentiate(reference_arun, exact, verify.normal(7))
    errors = {}
    for name, function, options in (
        ("triton", arun, {"backend": "triton"}),
        ("loop", reference_arun, {}),
    ):
        found, gradients = differentiate(function, there(exact), factors, **options)
        pairs = zip((*found, *gradients), (*wanted, *slopes), strict=True)
        errors[name] = max(relative(got.cpu(), want) for got, want in pairs)
    print(errors)
    assert errors["triton"] < max(TOLERANCE["highest"], 10 * errors["loop"])


def test_the_same_bits_every_time(arun_inputs):
    """No atomic operation: a sum has one order."""
    exact = arun_inputs(30, 33, 100, 20)
    factors = [verify.normal(1)(*shape) for shape in ((30, 33, 100), (33, 100), (33, 100, 20))]
    first, again = (
        differentiate(arun, there(exact), factors, backend="triton", memory_budget=0)
        for _ in range(2)
    )
    for a, b in zip((*first[0], *first[1]), (*again[0], *again[1]), strict=True):
        assert torch.equal(a, b)


def test_every_signal(arun_inputs, relative):
    exact = arun_inputs(9, 17, 20, 13)
    wanted = reference_arun_trace(*exact)
    for got, want in zip(arun_trace(*there(exact), backend="triton"), wanted, strict=True):
        assert relative(got.cpu(), want) < TOLERANCE["highest"]
    exact = gamma_inputs(9, 17, 20)
    wanted = gamma_trace_exact(*exact)
    for got, want in zip(gamma_rnn_trace(*there(exact), backend="triton"), wanted, strict=True):
        assert relative(got.cpu(), want) < TOLERANCE["highest"]


@pytest.mark.parametrize("name", ["tf32x3", "tf32"])
def test_the_self_check_finds_this_chip_right(name):
    where = torch.device("cuda", torch.cuda.current_device())
    for compared, size in ((arun_triton.compare, (20,)), (gamma_triton.compare, ())):
        errors = verify.measure(compared, where, name, *size)
        assert max(errors.values()) < verify.LIMITS[name]


def test_a_graph_is_captured_once_a_shape_and_its_results_stay(arun_inputs):
    graph.clear()
    tensors = there(arun_inputs(5, 3, 7, 3))
    with torch.no_grad():
        first = arun(*tensors, backend="triton-graph")[0]
        kept = first.clone()
        second = arun(tensors[0] + 1, *tensors[1:], backend="triton-graph")[0]
        loop = arun(tensors[0] + 1, *tensors[1:], backend="triton")[0]
    assert graph._graph.cache_info().misses == 1
    assert torch.equal(first, kept) and not torch.equal(first, second)
    torch.testing.assert_close(second, loop, rtol=1e-6, atol=1e-6)


def test_memory_at_the_papers_size_is_what_was_counted(arun_inputs):
    """1.3 GB with the default budget (`test_memory.py`), and all gradients besides."""
    make = verify.normal(0)
    steps, batch, size, units = 784, 100, 400, 50
    shapes = [(steps, batch, size), (batch, size), (batch, size, units), (size, size), (units,)]
    shapes += [(units, units), (units,), (2, units), (2,)]
    tensors = there([make(*shape, scale=0.05) for shape in shapes])
    tensors[-1] = torch.tensor([2.0, 0.1], device="cuda", requires_grad=True)
    arun(*tensors, backend="triton")[1].sum().backward()  # compiles
    for tensor in tensors:
        tensor.grad = None
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    arun(*tensors, backend="triton")[1].sum().backward()
    used = (torch.cuda.max_memory_allocated() - before) / 1e9
    print(f"peak memory of a training step: {used:.2f} GB")
    assert 0.5 < used < 1.6
