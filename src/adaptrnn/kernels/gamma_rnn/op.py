"""Checks, dispatch and derivatives of the recurrent layer with a static nonlinearity."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from adaptrnn._error import bad, choose
from adaptrnn.kernels import native, readout
from adaptrnn.kernels.gamma_rnn import reference
from adaptrnn.kernels.triton import gamma_rnn as on_gpu

NAMES = ("currents", "h0", "weight_hh", "n", "s")
"""The tensors of the operation, in order."""

_NUMBERS = {
    name: number
    for number, name in enumerate(("tanh", "relu", "linear", "softplus", "sigmoid", "gamma"))
}


def gamma_rnn(
    currents: Tensor,
    h0: Tensor,
    weight_hh: Tensor,
    n: Tensor | None = None,
    s: Tensor | None = None,
    nonlinearity: str = "gamma",
    *,
    alpha: Tensor | None = None,
    weight_ih: Tensor | None = None,
    bias_ih: Tensor | None = None,
    last_only: bool = False,
    backend: str = "auto",
    memory_budget: int = native.MEMORY_BUDGET,
    precision: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Rates h_t = f(currents_t + W_hh h_{t-1}; n, s) over a whole sequence.

    Args:
        currents: (T, B, N), everything that does not depend on h: input, biases and drive. With
            `weight_ih`, the input x (T, B, D) instead: currents_t = W_ih x_t + b_ih.
        h0: (B, N), initial rates.
        weight_hh: (N, N), recurrent weights.
        n: gain, () shared or (N,) one per neuron; only for "gamma".
        s: saturation, as `n`.
        nonlinearity: "tanh", "relu", "linear", "softplus", "sigmoid" or "gamma".
        alpha: (N,), dt / tau, 0 < alpha <= 1, of leaky neurons, whose rate is
            (1 - alpha) h_{t-1} + alpha times the one above; None for 1. In plain torch only.
        weight_ih: (N, D), the input weights, or None where currents are given. The currents of few
            inputs (small D) are then never stored, unless the input's own gradient is wanted.
        bias_ih: (N,), all that is added to every current, or None for 0.
        last_only: whether only the last rates are wanted; saves (T, B, N) numbers.
        backend: "auto" takes the native kernels where they can run; "reference" is plain torch;
            "cpu" is the native kernels or an error; "triton" is the kernels for NVIDIA GPUs
            ("gamma" only) or an error, "triton-graph" the same replayed from a CUDA graph.
        memory_budget: bytes, >= 0. What the backward pass needs beside the output is kept if it
            fits, else computed again from a state every ~sqrt(T) steps: the same numbers.
        precision: of the native kernels' products. "float32"; "bf16" rounds their operands to
            bfloat16, with float32 sums, twice as fast on processors that have instructions for it
            (docs/explanation/kernels.md); "auto" does so where torch's own float32 products may.

    Returns:
        Rates of all steps (T, B, N), or (0, B, N) if `last_only`; and of the last (B, N).

    Raises:
        InputError: shapes that do not fit, an unknown name, a backend that cannot run this.

    Example:
        >>> h, last = gamma_rnn(torch.ones(5, 2, 3), torch.zeros(2, 3), torch.eye(3),
        ...                     nonlinearity="linear")
        >>> last[0]
        tensor([5., 5., 5.])
    """
    backend = native.without_leak(backend, alpha, h0.shape[-1])
    bf16 = native.bfloat16(precision, h0.dtype)
    currents, *weights = native.given(backend, currents, weight_ih, bias_ih, h0, weight_hh, n, s)
    _check(currents, h0, weight_hh, n, s, nonlinearity, memory_budget, weights[0])
    if backend in native.ON_GPU:
        return on_gpu.gamma_rnn(
            currents, h0, weight_hh, n, s, nonlinearity, last_only=last_only, backend=backend
        )
    if not native.takes(backend, currents, h0, weight_hh, n, s):
        output, last = _reference(
            currents, h0, weight_hh, n, s, *weights, nonlinearity=nonlinearity, alpha=alpha
        )
        return (output[:0] if last_only else output), last
    tensors = (currents, h0, weight_hh, _each(n, h0), _each(s, h0), *weights)
    segment, keep = 0, False
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors):
        extra = (last_only + (nonlinearity == "gamma")) * h0.element_size()
        keep = extra * currents.shape[0] * h0.numel() <= memory_budget
        segment = native.segment_length(*currents.shape[:2])
    options = (nonlinearity, last_only, segment, keep, bf16)
    return torch.ops.adaptrnn.gamma_rnn(*tensors, *options)[:2]


def gamma_rnn_loss(
    currents: Tensor,
    h0: Tensor,
    weight_hh: Tensor,
    n: Tensor | None,
    s: Tensor | None,
    weight_out: Tensor,
    bias_out: Tensor,
    target: Tensor,
    weights: Tensor | None = None,
    nonlinearity: str = "gamma",
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
    It is the same as `gamma_rnn`, a linear layer and `adaptrnn.kernels.readout.mean_loss`, loss
    and gradient in one visit of the native kernel.

    Args:
        currents: (T, B, N), and so on to `s` as for `gamma_rnn`. With `weight_ih`, the input x
            (T, B, D) instead: currents_t = W_ih x_t + b_ih.
        h0: (B, N).
        weight_hh: (N, N).
        n: () or (N,); only for "gamma".
        s: () or (N,); only for "gamma".
        weight_out: (K, N), the readout.
        bias_out: (K,).
        target: classes 0 to K-1 at the last step (B,) or at every step (T, B), int64; or real
            values at every step (T, B, K).
        weights: (T, B) >= 0, how much a step counts in the mean; None for 1 everywhere, and with
            one class a sample.
        nonlinearity: as for `gamma_rnn`.
        alpha: (N,), dt / tau, 0 < alpha <= 1, of leaky neurons, whose rate is
            (1 - alpha) h_{t-1} + alpha times the one above; None for 1. In plain torch only.
        weight_ih: (N, D), the input weights, or None where currents are given.
        bias_ih: (N,), all that is added to every current, or None for 0.
        backend: as for `gamma_rnn`.
        memory_budget: bytes that all threads together may use to keep the past; what does not fit
            is computed again from a state every ~sqrt(T) steps: the same numbers.
        precision: as for `gamma_rnn`.

    Returns:
        The loss () and the outputs y, (B, K) or (T, B, K); the outputs carry no gradient.

    Raises:
        InputError: as `gamma_rnn`; a class outside 0 to K-1.

    Example:
        >>> zero, y = torch.zeros, torch.tensor([[0, 1], [2, 3], [4, 5]])
        >>> loss, outputs = gamma_rnn_loss(
        ...     torch.ones(3, 2, 4), zero(2, 4), zero(4, 4), None, None, zero(10, 4), zero(10), y,
        ...     nonlinearity="tanh")
        >>> float(loss), outputs.shape  # ln 10
        (2.302..., torch.Size([3, 2, 10]))
    """
    backend = native.without_leak(backend, alpha, h0.shape[-1])
    outward = weight_out, bias_out
    bf16 = native.bfloat16(precision, h0.dtype)
    others = (h0, weight_hh, n, s, *outward)
    currents, *given = native.given(backend, currents, weight_ih, bias_ih, *others)
    _check(currents, h0, weight_hh, n, s, nonlinearity, memory_budget, given[0])
    steps, batch = currents.shape[:2]
    readout.check(steps, batch, h0.shape[-1], *outward, target, weights)
    last_only, head = target.ndim == 1, (*outward, target, weights)
    if backend in native.ON_GPU:
        options: dict[str, Any] = {"last_only": last_only, "backend": backend}
        output, h = on_gpu.gamma_rnn(currents, h0, weight_hh, n, s, nonlinearity, **options)
        return readout.loss_of_rates(h if last_only else output, *head)
    if not readout.served(backend, target, weights, currents, *others):
        plain = (currents, h0, weight_hh, n, s)
        return _reference_loss(*plain, *head, *given, nonlinearity, alpha=alpha)
    readout.check_classes(target, weight_out.shape[0])
    tensors = (currents, h0, weight_hh, _each(n, h0), _each(s, h0))
    needed = [t is not None and t.requires_grad for t in (*tensors, *outward, *given)]
    if not (torch.is_grad_enabled() and any(needed)):
        plan = (nonlinearity, last_only, 0, False, bf16)
        output, h, *_ = torch.ops.adaptrnn.gamma_rnn(*tensors, *given, *plan)
        return readout.loss_of_rates(h if last_only else output, *head)
    last = (nonlinearity, memory_budget, bf16, needed)
    loss, outputs = torch.ops.adaptrnn.gamma_rnn_loss(*tensors, *head, *given, *last)[:2]
    return loss, outputs.detach()


def gamma_rnn_trace(
    currents: Tensor,
    h0: Tensor,
    weight_hh: Tensor,
    n: Tensor | None = None,
    s: Tensor | None = None,
    nonlinearity: str = "gamma",
    *,
    alpha: Tensor | None = None,
    backend: str = "auto",
    precision: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Activations a and rates h of all time steps, each (T, B, N); arguments as `gamma_rnn`.

    The native kernels give these without gradients; the reference runs where they are wanted.

    Example:
        >>> a, h = gamma_rnn_trace(torch.ones(5, 2, 3), torch.zeros(2, 3), torch.eye(3),
        ...                        nonlinearity="relu")
        >>> torch.equal(h, a.relu())
        True
    """
    _check(currents, h0, weight_hh, n, s, nonlinearity, 0)
    backend = native.without_leak(backend, alpha, h0.shape[-1])
    bf16 = native.bfloat16(precision, h0.dtype)
    tensors = (currents, h0, weight_hh, n, s)
    gradients = torch.is_grad_enabled() and any(
        tensor is not None and tensor.requires_grad for tensor in tensors
    )
    if backend in native.ON_GPU and not gradients:
        return on_gpu.gamma_rnn_trace(*tensors, nonlinearity)
    if not native.takes(backend, *tensors) or gradients:
        return reference.gamma_rnn_trace(*tensors, nonlinearity, alpha)
    return torch.ops.adaptrnn.gamma_rnn_trace(
        *tensors[:3], _each(n, h0), _each(s, h0), nonlinearity, bf16
    )


# The operations that torch knows: forward and backward are each one node of a graph.

_TENSORS = "Tensor currents, Tensor h0, Tensor weight_hh, Tensor? n, Tensor? s"
_GIVEN = f"{_TENSORS}, {native.INPUT}"


@torch.library.custom_op(
    "adaptrnn::gamma_rnn",
    mutates_args=(),
    schema=f"({_GIVEN}, str nonlinearity, bool last_only, SymInt segment, bool keep, bool bf16)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _gamma_rnn(*inputs: Any) -> tuple[Tensor, ...]:
    """output, h_last, and for the backward pass: past_h, past_a, kept_h."""
    results = _gamma_rnn_results(*inputs)
    names = ("output", "h_last", "past_h", "past_a", "kept_h")
    arrays = native.named(NAMES, inputs[:7]) | dict(zip(names, results, strict=True))
    segment = inputs[9] or inputs[0].shape[0]
    number, bf16 = _NUMBERS[inputs[7]], inputs[11]
    native.run("rnn", "forward", number, arrays=arrays, segment=segment, bf16=bf16)
    return results


@_gamma_rnn.register_fake
def _gamma_rnn_results(*inputs: Any) -> tuple[Tensor, ...]:
    currents, h0, *_, nonlinearity, last_only, segment, keep, _ = inputs
    steps, (batch, size) = currents.shape[0], h0.shape
    states = (steps - 1) // segment if segment and last_only and not keep else 0
    return (
        currents.new_empty(0 if last_only else steps, batch, size),
        currents.new_empty(batch, size),
        currents.new_empty(steps if keep and last_only else 0, batch, size),
        currents.new_empty(steps if keep and nonlinearity == "gamma" else 0, batch, size),
        currents.new_empty(states, batch, size),
    )


@torch.library.custom_op(
    "adaptrnn::gamma_rnn_backward",
    mutates_args=(),
    schema=f"(Tensor? grad_output, Tensor? grad_h_last, {_GIVEN}, Tensor past_h,"
    " Tensor past_a, Tensor kept_h, str nonlinearity, SymInt segment, bool bf16, bool[] needed)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _gamma_rnn_backward(*inputs: Any) -> tuple[Tensor, ...]:
    """Gradients of the seven tensors; those not needed are empty."""
    *tensors, nonlinearity, segment, bf16, _ = inputs
    others = native.contiguous((*tensors[:2], *tensors[9:]))
    given = ("grad_output", "grad_h_last", "past_h", "past_a", "kept_h")
    arrays = native.named(NAMES, tensors[2:9]) | dict(zip(given, others, strict=True))
    results = _gamma_rnn_backward_results(*inputs)
    names = (*NAMES, "weight_ih", "bias_ih")
    arrays |= {f"grad_{name}": g for name, g in zip(names, results, strict=True)}
    number = _NUMBERS[nonlinearity]
    native.run("rnn", "backward", number, arrays=arrays, segment=segment, bf16=bf16)
    return results


@_gamma_rnn_backward.register_fake
def _gamma_rnn_backward_results(*inputs: Any) -> tuple[Tensor, ...]:
    return native.empty_gradients(inputs[2:9], inputs[-1])


def _context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, ctx.nonlinearity, last_only, ctx.segment, _, ctx.bf16 = inputs
    native.refuse_gradient_of_input(tensors)
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*output[2:])
    past_h = output[2] if last_only else output[0]
    ctx.save_for_backward(*tensors, past_h, *output[3:])


def _gradient(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
    needed = list(ctx.needs_input_grad[:7])
    if all(grad is None for grad in grads[:2]):
        return (None,) * 12
    found = torch.ops.adaptrnn.gamma_rnn_backward(
        *grads[:2], *ctx.saved_tensors, ctx.nonlinearity, ctx.segment, ctx.bf16, needed
    )
    return (*(g if n else None for g, n in zip(found, needed, strict=True)), *(None,) * 5)


def _backward_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.nonlinearity = inputs[12]
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs[:9])


def _second_gradient(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
    """Derivatives of the gradients, by the reference."""
    weights, tensors = ctx.saved_tensors[:2], ctx.saved_tensors[2:]

    function = partial(_reference, nonlinearity=ctx.nonlinearity)
    return (*native.second_gradient(function, tensors, weights, grads), *(None,) * 7)


_gamma_rnn.register_autograd(_gradient, setup_context=_context)
_gamma_rnn_backward.register_autograd(_second_gradient, setup_context=_backward_context)


@torch.library.custom_op(
    "adaptrnn::gamma_rnn_trace",
    mutates_args=(),
    schema=f"({_TENSORS}, str nonlinearity, bool bf16) -> (Tensor, Tensor)",
)
def _gamma_rnn_trace(*inputs: Any) -> tuple[Tensor, ...]:
    """a, h of all steps."""
    results = _gamma_rnn_trace_results(*inputs)
    names = (*NAMES, "past_a", "output")
    arrays = dict(zip(names, (*native.contiguous(inputs[:5]), *results), strict=True))
    steps, number = inputs[0].shape[0], _NUMBERS[inputs[5]]
    native.run("rnn", "forward", number, arrays=arrays, segment=steps, bf16=inputs[6])
    return results


@_gamma_rnn_trace.register_fake
def _gamma_rnn_trace_results(*inputs: Any) -> tuple[Tensor, ...]:
    shape = inputs[0].shape
    return inputs[0].new_empty(shape), inputs[0].new_empty(shape)


@torch.library.custom_op(
    "adaptrnn::gamma_rnn_loss",
    mutates_args=(),
    schema=f"({_TENSORS}, {readout.SCHEMA}, {native.INPUT}, str nonlinearity, "
    "SymInt memory_budget, bool bf16, bool[] needed) -> (Tensor, Tensor, Tensor, Tensor, Tensor, "
    "Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _gamma_rnn_loss(*inputs: Any) -> tuple[Tensor, ...]:
    """The mean loss, the outputs, and the loss's gradients of the nine tensors."""
    currents, h0, *_, nonlinearity, _, bf16, _ = inputs
    steps, (batch, size), outputs = currents.shape[0], h0.shape, inputs[5].shape[0]
    each = native.rnn_past(steps, batch, size, currents.dtype, bf16, outputs)
    return readout.fused("rnn", NAMES, inputs, _NUMBERS[nonlinearity], each=each)


@_gamma_rnn_loss.register_fake
def _gamma_rnn_loss_results(*inputs: Any) -> tuple[Tensor, ...]:
    return readout.results(len(NAMES), inputs)


def _reference_loss(*inputs: Any, alpha: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Loss and outputs by the reference; what comes after `nonlinearity` is not used."""
    tensors, (weight, bias, target, weights), given = inputs[:5], inputs[5:9], inputs[9:11]
    output, h = _reference(*tensors, *given, nonlinearity=inputs[11], alpha=alpha)
    return readout.loss_of_rates(h if target.ndim == 1 else output, weight, bias, target, weights)


readout.differentiate(_gamma_rnn_loss, len(NAMES), lambda *inputs: _reference_loss(*inputs)[0])


def _reference(
    *tensors: Any, nonlinearity: str, alpha: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The same seven tensors to the reference."""
    x, h0, weight_hh, n, s, weight_ih, bias_ih = tensors
    currents = x if weight_ih is None else linear(x, weight_ih, bias_ih)
    return reference.gamma_rnn(currents, h0, weight_hh, n, s, nonlinearity, alpha)


def _each(value: Tensor | None, h0: Tensor) -> Tensor | None:
    """One value a neuron, (N,)."""
    return None if value is None else value.expand(h0.shape[-1])


def _check(
    currents: Tensor,
    h0: Tensor,
    weight_hh: Tensor,
    n: Tensor | None,
    s: Tensor | None,
    nonlinearity: str,
    memory_budget: int,
    weight_ih: Tensor | None = None,
) -> None:
    choose("nonlinearity", nonlinearity, reference.ACTIVATIONS)
    if currents.ndim != 3 or 0 in currents.shape:
        raise bad("currents.shape", tuple(currents.shape), "(T, B, N), each at least 1")
    _, batch, size = currents.shape
    if weight_ih is not None:
        size = weight_ih.shape[0]
    if h0.shape != (batch, size):
        raise bad("h0.shape", tuple(h0.shape), f"(B, N) = ({batch}, {size})")
    if weight_hh.shape != (size, size):
        raise bad("weight_hh.shape", tuple(weight_hh.shape), f"(N, N) = ({size}, {size})")
    for name, value in (("n", n), ("s", s)):
        if nonlinearity == "gamma":
            if value is None or value.shape not in ((), (size,)):
                shape = None if value is None else tuple(value.shape)
                raise bad(f"{name}.shape", shape, f"() or (N,) = ({size},)")
        elif value is not None:
            raise bad(name, "a tensor", f"None for nonlinearity={nonlinearity!r}")
    if memory_budget < 0:
        raise bad("memory_budget", memory_budget, "a number of bytes, >= 0")
