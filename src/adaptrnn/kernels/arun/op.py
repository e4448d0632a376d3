"""Checks, dispatch and derivatives of the layer of adaptive recurrent units."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from adaptrnn._error import bad
from adaptrnn.kernels import native, readout
from adaptrnn.kernels.arun import reference
from adaptrnn.kernels.triton import arun as on_gpu

NAMES = (
    "currents",
    "h0",
    "g0",
    "weight_hh",
    "weight_ag",
    "weight_gg",
    "bias_g",
    "weight_gc",
    "bias_gc",
)
"""The tensors of the operation, in order."""


def arun(
    currents: Tensor,
    h0: Tensor,
    g0: Tensor,
    weight_hh: Tensor,
    weight_ag: Tensor,
    weight_gg: Tensor,
    bias_g: Tensor,
    weight_gc: Tensor,
    bias_gc: Tensor,
    *,
    alpha: Tensor | None = None,
    weight_ih: Tensor | None = None,
    bias_ih: Tensor | None = None,
    last_only: bool = False,
    backend: str = "auto",
    memory_budget: int = native.MEMORY_BUDGET,
    precision: str = "auto",
) -> tuple[Tensor, Tensor, Tensor]:
    """Rates of a layer of adaptive recurrent units (Geadah et al. 2024, Methods).

        a_t = currents_t + W_hh h_{t-1}
        g_t = tanh(W_ag a_t + W_gg g_{t-1} + b_g)       one state per neuron, weights shared
        [n_t, s_t] = W_gc g_t + b_c
        h_t = gamma(a_t; n_t, s_t)

    Args:
        currents: (T, B, N), everything that does not depend on h: input, biases and drive. With
            `weight_ih`, the input x (T, B, D) instead: currents_t = W_ih x_t + b_ih.
        h0: (B, N), initial rates.
        g0: (B, N, G), initial controller state of every neuron.
        weight_hh: (N, N), recurrent weights.
        weight_ag: (G,), from a neuron's activation to its controller.
        weight_gg: (G, G), within the controller.
        bias_g: (G,).
        weight_gc: (2, G), readout of n (row 0) and s (row 1).
        bias_gc: (2,).
        alpha: (N,), dt / tau, 0 < alpha <= 1, of leaky neurons, whose rate is
            (1 - alpha) h_{t-1} + alpha times the one above; None for 1. In plain torch only.
        weight_ih: (N, D), the input weights, or None where currents are given. The currents of few
            inputs (small D) are then never stored, unless the input's own gradient is wanted.
        bias_ih: (N,), all that is added to every current, or None for 0.
        last_only: whether only the last rates are wanted; saves (T, B, N) numbers.
        backend: "auto" takes the native kernels where they can run; "reference" is plain torch;
            "cpu" is the native kernels or an error; "triton" is the kernels for NVIDIA GPUs or an
            error, "triton-graph" the same replayed from a CUDA graph.
        memory_budget: bytes, >= 0. If the whole past fits it is kept for the backward pass, else
            a state every ~sqrt(T) steps, and the steps between are computed again. Either way the
            numbers are the same, bit by bit.
        precision: of the native kernels' products. "float32"; "bf16" rounds their operands to
            bfloat16, with float32 sums, twice as fast on processors that have instructions for it
            (docs/explanation/kernels.md); "auto" does so where torch's own float32 products may.

    Returns:
        Rates of all steps (T, B, N), or (0, B, N) if `last_only`; of the last (B, N); and the last
        controller state (B, N, G).

    Raises:
        InputError: shapes that do not fit, an unknown name, a backend that cannot run this.

    Example:
        >>> import torch
        >>> zero = torch.zeros
        >>> h, last, g = arun(torch.ones(5, 2, 3), zero(2, 3), zero(2, 3, 4), zero(3, 3), zero(4),
        ...                   zero(4, 4), zero(4), zero(2, 4), torch.tensor([1.0, 0.0]))
        >>> torch.allclose(h, torch.nn.functional.softplus(torch.ones(5, 2, 3)))
        True
    """
    backend = native.without_leak(backend, alpha, h0.shape[-1])
    others = (h0, g0, weight_hh, weight_ag, weight_gg, bias_g, weight_gc, bias_gc)
    wanted = [*others, currents, *(t for t in (weight_ih, bias_ih) if t is not None)]
    gradients = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in wanted)
    bf16 = native.bfloat16(precision, h0.dtype)
    currents, weight, bias = native.given(backend, currents, weight_ih, bias_ih, *others)
    tensors = (currents, *others)
    _check(*tensors, memory_budget=memory_budget, weight_ih=weight)
    if backend in native.ON_GPU:
        options: dict[str, Any] = {"last_only": last_only, "backend": backend}
        return on_gpu.arun(*tensors, **options, memory_budget=memory_budget)
    if not native.takes(backend, *tensors):
        output, h, g = _reference(*tensors, weight, bias, alpha=alpha)
        return (output[:0] if last_only else output), h, g
    segment, keep = 0, False
    if gradients:
        steps, batch, size = currents.shape[0], *h0.shape
        past = steps * batch * size * (g0.shape[-1] + 4) * currents.element_size()
        keep = past <= memory_budget and not torch.compiler.is_compiling()
        segment = steps if keep else native.segment_length(steps, batch)
    return torch.ops.adaptrnn.arun(*tensors, weight, bias, last_only, segment, keep, bf16)[:3]


def arun_loss(
    currents: Tensor,
    h0: Tensor,
    g0: Tensor,
    weight_hh: Tensor,
    weight_ag: Tensor,
    weight_gg: Tensor,
    bias_g: Tensor,
    weight_gc: Tensor,
    bias_gc: Tensor,
    weight_out: Tensor,
    bias_out: Tensor,
    target: Tensor,
    weights: Tensor | None = None,
    *,
    alpha: Tensor | None = None,
    weight_ih: Tensor | None = None,
    bias_ih: Tensor | None = None,
    backend: str = "auto",
    memory_budget: int = native.MEMORY_BUDGET,
    precision: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Mean loss of a linear readout of the rates, the fastest way to train.

        y_t = W_out h_t + b_out
        L = sum_{t,b} w_tb l_tb / sum_{t,b} w_tb

    with l the cross entropy of a class, -ln softmax(y_tb)[target], or the squared error of real
    values, averaged over the K outputs; at every step, or of one class a sample at the last step.
    It is the same as `arun`, a linear layer and `adaptrnn.kernels.readout.mean_loss`. The native
    kernel computes loss and gradient of a few samples in one visit: it keeps their whole past,
    while that fits in the memory budget, and computes nothing twice.

    Args:
        currents: (T, B, N), and so on to `bias_gc` as for `arun`. With `weight_ih`, the input x
            (T, B, D) instead: currents_t = W_ih x_t + b_ih.
        h0: (B, N).
        g0: (B, N, G).
        weight_hh: (N, N).
        weight_ag: (G,).
        weight_gg: (G, G).
        bias_g: (G,).
        weight_gc: (2, G).
        bias_gc: (2,).
        weight_out: (K, N), the readout.
        bias_out: (K,).
        target: classes 0 to K-1 at the last step (B,) or at every step (T, B), int64; or real
            values at every step (T, B, K).
        weights: (T, B) >= 0, how much a step counts in the mean; None for 1 everywhere, and with
            one class a sample.
        alpha: (N,), dt / tau, 0 < alpha <= 1, of leaky neurons, whose rate is
            (1 - alpha) h_{t-1} + alpha times the one above; None for 1. In plain torch only.
        weight_ih: (N, D), the input weights, or None where currents are given.
        bias_ih: (N,), all that is added to every current, or None for 0.
        backend: as for `arun`.
        memory_budget: bytes that all threads together may use to keep the past; as for `arun`.
        precision: as for `arun`.

    Returns:
        The loss () and the outputs y, (B, K) or (T, B, K); the outputs carry no gradient.

    Raises:
        InputError: as `arun`; a class outside 0 to K-1.

    Example:
        >>> zero = torch.zeros
        >>> loss, outputs = arun_loss(
        ...     torch.ones(5, 2, 3), zero(2, 3), zero(2, 3, 4), zero(3, 3), zero(4), zero(4, 4),
        ...     zero(4), zero(2, 4), torch.tensor([1.0, 0.0]), zero(10, 3), zero(10),
        ...     torch.tensor([3, 7]))
        >>> float(loss), outputs.shape  # ln 10
        (2.302..., torch.Size([2, 10]))
    """
    backend = native.without_leak(backend, alpha, h0.shape[-1])
    outward = weight_out, bias_out
    bf16 = native.bfloat16(precision, h0.dtype)
    currents, *given = native.given(backend, currents, weight_ih, bias_ih, h0, *outward)
    tensors = (
        currents,
        h0,
        g0,
        weight_hh,
        weight_ag,
        weight_gg,
        bias_g,
        weight_gc,
        bias_gc,
    )
    _check(*tensors, memory_budget=memory_budget, weight_ih=given[0])
    steps, batch, size = *currents.shape[:2], weight_hh.shape[0]
    readout.check(steps, batch, size, weight_out, bias_out, target, weights)
    last_only, head = target.ndim == 1, (weight_out, bias_out, target, weights)
    if backend in native.ON_GPU:
        options: dict[str, Any] = {"last_only": last_only, "backend": backend}
        output, h, _ = on_gpu.arun(*tensors, **options, memory_budget=memory_budget)
        return readout.loss_of_rates(h if last_only else output, *head)
    if not readout.served(backend, target, weights, *tensors, *outward):
        return _reference_loss(*tensors, *head, *given, alpha=alpha)
    readout.check_classes(target, weight_out.shape[0])
    needed = [t is not None and t.requires_grad for t in (*tensors, *outward, *given)]
    if not (torch.is_grad_enabled() and any(needed)):
        plan = (last_only, 0, False, bf16)
        output, h, *_ = torch.ops.adaptrnn.arun(*tensors, *given, *plan)
        return readout.loss_of_rates(h if last_only else output, *head)
    last = (memory_budget, bf16, needed)
    loss, outputs = torch.ops.adaptrnn.arun_loss(*tensors, *head, *given, *last)[:2]
    return loss, outputs.detach()


def arun_trace(
    currents: Tensor,
    h0: Tensor,
    g0: Tensor,
    weight_hh: Tensor,
    weight_ag: Tensor,
    weight_gg: Tensor,
    bias_g: Tensor,
    weight_gc: Tensor,
    bias_gc: Tensor,
    *,
    alpha: Tensor | None = None,
    backend: str = "auto",
    precision: str = "auto",
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Every internal signal (a, g, n, s, h) of all time steps; arguments as `arun`.

    The native kernels give these without gradients; the reference runs where they are wanted.

    Returns:
        a, g, n, s, h: each (T, B, N), g (T, B, N, G).

    Example:
        >>> import torch
        >>> zero = torch.zeros
        >>> a, g, n, s, h = arun_trace(torch.ones(5, 2, 3), zero(2, 3), zero(2, 3, 4), zero(3, 3),
        ...                            zero(4), zero(4, 4), zero(4), zero(2, 4), zero(2) + 1)
        >>> g.shape, float(n.min())
        (torch.Size([5, 2, 3, 4]), 1.0)
    """
    tensors = (
        currents,
        h0,
        g0,
        weight_hh,
        weight_ag,
        weight_gg,
        bias_g,
        weight_gc,
        bias_gc,
    )
    _check(*tensors, memory_budget=0)
    backend = native.without_leak(backend, alpha, h0.shape[-1])
    bf16 = native.bfloat16(precision, h0.dtype)
    gradients = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    if backend in native.ON_GPU and not gradients:
        return on_gpu.arun_trace(*tensors)
    if not native.takes(backend, *tensors) or gradients:
        return reference.arun_trace(*tensors, alpha=alpha)
    return torch.ops.adaptrnn.arun_trace(*tensors, bf16)


# The operations that torch knows: forward and backward are each one node of a graph.

_TENSORS = ", ".join(f"Tensor {name}" for name in NAMES)
_GIVEN = f"{_TENSORS}, {native.INPUT}"


def _reference(*tensors: Any, alpha: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """The same eleven tensors to the reference."""
    x, *others, weight_ih, bias_ih = tensors
    currents = x if weight_ih is None else linear(x, weight_ih, bias_ih)
    return reference.arun(currents, *others, alpha=alpha)


def _results(count: int) -> str:
    return "(" + ", ".join(["Tensor"] * count) + ")"


@torch.library.custom_op(
    "adaptrnn::arun",
    mutates_args=(),
    schema=f"({_GIVEN}, bool last_only, SymInt segment, bool keep, bool bf16) -> {_results(6)}",
)
def _arun(*inputs: Any) -> tuple[Tensor, ...]:
    """output, h_last, g_last, and for the backward pass: kept_h, kept_g, or the whole past."""
    segment, results = inputs[12], _arun_results(*inputs)
    names = ("output", "h_last", "g_last", "kept_h", "kept_g", "past")
    arrays = native.named(NAMES, inputs[:11]) | dict(zip(names, results, strict=True))
    segment = segment or inputs[0].shape[0]
    native.run("arun", "forward", arrays=arrays, segment=segment, bf16=inputs[14])
    return results


@_arun.register_fake
def _arun_results(*inputs: Any) -> tuple[Tensor, ...]:
    currents, _, g0, *_, last_only, segment, keep, bf16 = inputs
    steps, (batch, size, units) = currents.shape[0], g0.shape
    states = (steps - 1) // segment if segment else 0
    past = native.arun_past(steps, batch, size, units, currents.dtype, bf16)[0] if keep else 0
    return (
        currents.new_empty(0 if last_only else steps, batch, size),
        currents.new_empty(batch, size),
        currents.new_empty(batch, size, units),
        currents.new_empty(0 if keep else states, batch, size),
        currents.new_empty(0 if keep else states, batch, size, units),
        currents.new_empty(past),
    )


@torch.library.custom_op(
    "adaptrnn::arun_backward",
    mutates_args=(),
    schema=f"(Tensor? grad_output, Tensor? grad_h_last, Tensor? grad_g_last, {_GIVEN}, "
    "Tensor kept_h, Tensor kept_g, Tensor past, SymInt segment, bool bf16, bool[] needed)"
    f" -> {_results(11)}",
)
def _arun_backward(*inputs: Any) -> tuple[Tensor, ...]:
    """Gradients of the eleven tensors; those not needed are empty."""
    *tensors, segment, bf16, _ = inputs
    others = native.contiguous((*tensors[:3], *tensors[14:]))
    given = ("grad_output", "grad_h_last", "grad_g_last", "kept_h", "kept_g", "past")
    arrays = native.named(NAMES, tensors[3:14]) | dict(zip(given, others, strict=True))
    results = _arun_backward_results(*inputs)
    names = (*NAMES, "weight_ih", "bias_ih")
    arrays |= {f"grad_{name}": g for name, g in zip(names, results, strict=True)}
    native.run("arun", "backward", arrays=arrays, segment=segment, bf16=bf16)
    return results


@_arun_backward.register_fake
def _arun_backward_results(*inputs: Any) -> tuple[Tensor, ...]:
    return native.empty_gradients(inputs[3:14], inputs[-1])


def _arun_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    native.refuse_gradient_of_input(inputs[:11])
    ctx.segment, ctx.bf16 = inputs[12], inputs[14]
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*output[3:])
    ctx.save_for_backward(*inputs[:11], *output[3:])


def _arun_gradient(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
    needed = list(ctx.needs_input_grad[:11])
    if all(grad is None for grad in grads[:3]):
        return (None,) * 15
    found = torch.ops.adaptrnn.arun_backward(
        *grads[:3], *ctx.saved_tensors, ctx.segment, ctx.bf16, needed
    )
    return (*(g if need else None for g, need in zip(found, needed, strict=True)), *(None,) * 4)


def _arun_backward_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs[:14])


def _arun_second_gradient(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
    """Derivatives of the gradients, by the reference."""
    weights, tensors = ctx.saved_tensors[:3], ctx.saved_tensors[3:]
    found = native.second_gradient(_reference, tensors, weights, grads)
    return (*found, *(None,) * 6)


_arun.register_autograd(_arun_gradient, setup_context=_arun_context)
_arun_backward.register_autograd(_arun_second_gradient, setup_context=_arun_backward_context)


@torch.library.custom_op(
    "adaptrnn::arun_trace", mutates_args=(), schema=f"({_TENSORS}, bool bf16) -> {_results(5)}"
)
def _arun_trace(*inputs: Any) -> tuple[Tensor, ...]:
    """a, g, n, s, h of all steps."""
    *tensors, bf16 = inputs
    results = _arun_trace_results(*inputs)
    names = (*NAMES, "trace_a", "trace_g", "trace_n", "trace_s", "output")
    arrays = dict(zip(names, (*native.contiguous(tensors), *results), strict=True))
    native.run("arun", "forward", arrays=arrays, segment=tensors[0].shape[0], bf16=bf16)
    return results


@_arun_trace.register_fake
def _arun_trace_results(*inputs: Any) -> tuple[Tensor, ...]:
    currents, _, g0, *_ = inputs
    a, n, s, h = (currents.new_empty(currents.shape) for _ in range(4))
    return a, currents.new_empty(*currents.shape, g0.shape[-1]), n, s, h


@torch.library.custom_op(
    "adaptrnn::arun_loss",
    mutates_args=(),
    schema=f"({_TENSORS}, {readout.SCHEMA}, {native.INPUT}, SymInt memory_budget, bool bf16, "
    f"bool[] needed) -> {_results(15)}",
)
def _arun_loss(*inputs: Any) -> tuple[Tensor, ...]:
    """The mean loss, the outputs, and the loss's gradients of the thirteen tensors."""
    (steps, batch, _), (_, size, units) = inputs[0].shape, inputs[2].shape
    bf16, outputs = inputs[-2], inputs[9].shape[0]
    each = native.arun_past(steps, batch, size, units, inputs[0].dtype, bf16, outputs)[1]
    return readout.fused("arun", NAMES, inputs, each=each)


@_arun_loss.register_fake
def _arun_loss_results(*inputs: Any) -> tuple[Tensor, ...]:
    return readout.results(len(NAMES), inputs)


def _reference_loss(*inputs: Any, alpha: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Loss and outputs by the reference; what comes after the fifteen tensors is not used."""
    tensors, (weight, bias, target, weights), given = inputs[:9], inputs[9:13], inputs[13:15]
    output, h, _ = _reference(*tensors, *given, alpha=alpha)
    return readout.loss_of_rates(h if target.ndim == 1 else output, weight, bias, target, weights)


readout.differentiate(_arun_loss, len(NAMES), lambda *inputs: _reference_loss(*inputs)[0])


def _check(
    currents: Tensor,
    h0: Tensor,
    g0: Tensor,
    weight_hh: Tensor,
    weight_ag: Tensor,
    weight_gg: Tensor,
    bias_g: Tensor,
    weight_gc: Tensor,
    bias_gc: Tensor,
    memory_budget: int,
    weight_ih: Tensor | None = None,
) -> None:
    if currents.ndim != 3 or 0 in currents.shape:
        raise bad("currents.shape", tuple(currents.shape), "(T, B, N), each at least 1")
    if g0.ndim != 3 or 0 in g0.shape:
        raise bad("g0.shape", tuple(g0.shape), "(B, N, G), each at least 1")
    (_, batch, size), units = currents.shape, g0.shape[-1]
    if weight_ih is not None:
        size = weight_ih.shape[0]
    for name, value, axes, shape in (
        ("h0", h0, "B, N", (batch, size)),
        ("g0", g0, "B, N, G", (batch, size, units)),
        ("weight_hh", weight_hh, "N, N", (size, size)),
        ("weight_ag", weight_ag, "G,", (units,)),
        ("weight_gg", weight_gg, "G, G", (units, units)),
        ("bias_g", bias_g, "G,", (units,)),
        ("weight_gc", weight_gc, "2, G", (2, units)),
        ("bias_gc", bias_gc, "2,", (2,)),
    ):
        if tuple(value.shape) != shape:
            raise bad(f"{name}.shape", tuple(value.shape), f"({axes}) = {shape}")
    if memory_budget < 0:
        raise bad("memory_budget", memory_budget, "a number of bytes, >= 0")
