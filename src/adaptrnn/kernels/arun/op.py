"""Check, dispatch and differentiate the layer of adaptive recurrent units."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor

from adaptrnn._error import bad
from adaptrnn.kernels import flat, native, readout
from adaptrnn.kernels.arun import reference
from adaptrnn.kernels.arun.tensor import Inputs, Results, Signals, Slopes, Weights
from adaptrnn.kernels.readout import Readout
from adaptrnn.kernels.triton import arun as on_gpu


def arun(
    currents: Annotated[Tensor, "T B D"],
    h0: Annotated[Tensor, "B N"],
    g0: Annotated[Tensor, "B N G"],
    weights: Weights,
    *,
    last_only: bool = False,
    backend: str = "auto",
    memory_budget: int = native.MEMORY_BUDGET,
    precision: str = "auto",
) -> tuple[Annotated[Tensor, "K B N"], Annotated[Tensor, "B N"], Annotated[Tensor, "B N G"]]:
    """Compute the rates of a layer of adaptive recurrent units (Geadah et al. 2024, Methods).

        a_t = currents_t + W_hh h_{t-1}
        g_t = tanh(W_ag a_t + W_gg g_{t-1} + b_g)       one state per neuron, weights shared
        [n_t, s_t] = W_gc g_t + b_c
        h_t = gamma(a_t; n_t, s_t)

    Args:
        currents: (T, B, N), everything that does not depend on h: input, biases and drive. With
            `weight_ih`, the input x (T, B, D) instead: currents_t = W_ih x_t + b_ih.
        h0: (B, N), initial rates.
        g0: (B, N, G), initial controller state of every neuron.
        weights: of the layer, see `Weights`. The kernels for GPUs have no leak, `alpha`.
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
        >>> weights = Weights(zero(3, 3), zero(4), zero(4, 4), zero(4), zero(2, 4),
        ...                   torch.tensor([1.0, 0.0]))
        >>> h, last, g = arun(torch.ones(5, 2, 3), zero(2, 3), zero(2, 3, 4), weights)
        >>> torch.allclose(h, torch.nn.functional.softplus(torch.ones(5, 2, 3)))
        True
    """
    native.check_leak(backend, weights.alpha, h0.shape[-1])
    given = native.needs((currents, h0, g0, *weights))
    bf16 = native.bfloat16(precision, h0.dtype)
    inputs, weights = native.given(backend, Inputs(currents, h0, g0), weights)
    _check(inputs, weights, memory_budget)
    if backend in native.ON_GPU:
        options: dict[str, Any] = {"last_only": last_only, "backend": backend}
        return on_gpu.arun(*inputs, weights, **options, memory_budget=memory_budget)
    if not native.takes(backend, *inputs, *weights):
        output, h, g = reference.arun(*inputs, weights)
        return (output[:0] if last_only else output), h, g
    segment, keep = 0, False
    if torch.is_grad_enabled() and any(given):
        steps, batch, size = inputs.currents.shape[0], *h0.shape
        each = g0.shape[-1] + (4 if weights.alpha is None else 5)
        past = steps * batch * size * each * h0.element_size()
        keep = past <= memory_budget and not torch.compiler.is_compiling()
        segment = steps if keep else native.segment_length(steps, batch)
    plan = Plan(last_only, segment, keep, bf16)
    output, h, g, *_ = torch.ops.adaptrnn.arun(*flat.join(inputs, weights, plan))
    return output, h, g


def arun_loss(
    currents: Annotated[Tensor, "T B D"],
    h0: Annotated[Tensor, "B N"],
    g0: Annotated[Tensor, "B N G"],
    weights: Weights,
    head: Readout,
    *,
    backend: str = "auto",
    memory_budget: int = native.MEMORY_BUDGET,
    precision: str = "auto",
) -> tuple[Annotated[Tensor, ""], Annotated[Tensor, "... B K"]]:
    """Return the mean loss of a linear readout of the rates; this is the fastest way to train.

        y_t = W_out h_t + b_out
        L = sum_{t,b} w_tb l_tb / sum_{t,b} w_tb

    with l the cross entropy of a class, -ln softmax(y_tb)[target], or the squared error of real
    values, averaged over the K outputs; at every step, or of one class a sample at the last step.
    It is the same as `arun`, a linear layer and `adaptrnn.kernels.readout.mean_loss`. The native
    kernel computes loss and gradient of a few samples in one visit: it keeps their whole past,
    while that fits in the memory budget, and computes nothing twice.

    Args:
        currents: (T, B, N), and so on to `weights` as for `arun`. With `weight_ih`, the input x
            (T, B, D) instead: currents_t = W_ih x_t + b_ih.
        h0: (B, N).
        g0: (B, N, G).
        weights: of the layer.
        head: the readout, its targets and the weights w of the steps, see
            `adaptrnn.kernels.readout.Readout`.
        backend: as for `arun`.
        memory_budget: bytes that all threads together may use to keep the past; as for `arun`.
        precision: as for `arun`.

    Returns:
        The loss () and the outputs y, (B, K) or (T, B, K); the outputs carry no gradient.

    Raises:
        InputError: as `arun`; a class outside 0 to K-1.

    Example:
        >>> zero = torch.zeros
        >>> weights = Weights(zero(3, 3), zero(4), zero(4, 4), zero(4), zero(2, 4),
        ...                   torch.tensor([1.0, 0.0]))
        >>> head = Readout(zero(10, 3), zero(10), torch.tensor([3, 7]))
        >>> loss, outputs = arun_loss(
        ...     torch.ones(5, 2, 3), zero(2, 3), zero(2, 3, 4), weights, head)
        >>> float(loss), outputs.shape  # ln 10
        (2.302..., torch.Size([2, 10]))
    """
    native.check_leak(backend, weights.alpha, h0.shape[-1])
    bf16 = native.bfloat16(precision, h0.dtype)
    inputs, weights = native.given(
        backend, Inputs(currents, h0, g0), weights, head.weight_out, head.bias_out
    )
    _check(inputs, weights, memory_budget)
    steps, (batch, size) = inputs.currents.shape[0], h0.shape
    readout.check(steps, batch, size, head)
    last_only = head.target.ndim == 1
    if backend in native.ON_GPU:
        options: dict[str, Any] = {"last_only": last_only, "backend": backend}
        output, h, _ = on_gpu.arun(*inputs, weights, **options, memory_budget=memory_budget)
        return readout.loss_of_rates(h if last_only else output, head)
    if not readout.served(backend, head, *inputs, *weights):
        return _reference_loss(inputs, weights, head)
    readout.check_classes(head)
    needed = readout.needs(head, inputs, weights)
    if not (torch.is_grad_enabled() and any(needed)):
        plan = Plan(last_only, segment=0, keep=False, bf16=bf16)
        output, h, *_ = torch.ops.adaptrnn.arun(*flat.join(inputs, weights, plan))
        return readout.loss_of_rates(h if last_only else output, head)
    last = LossPlan(memory_budget, bf16, needed)
    arguments = flat.join(inputs, weights, head, last)
    loss, outputs, *_ = torch.ops.adaptrnn.arun_loss(*arguments)
    return loss, outputs.detach()


def arun_trace(
    currents: Annotated[Tensor, "T B D"],
    h0: Annotated[Tensor, "B N"],
    g0: Annotated[Tensor, "B N G"],
    weights: Weights,
    *,
    backend: str = "auto",
    precision: str = "auto",
) -> Signals:
    """Record every signal (a, g, n, s, h) of all time steps; called like `arun`.

    The native kernels give these without gradients; the reference runs where they are wanted.

    Returns:
        a, g, n, s, h: each (T, B, N), g (T, B, N, G).

    Example:
        >>> import torch
        >>> zero = torch.zeros
        >>> weights = Weights(zero(3, 3), zero(4), zero(4, 4), zero(4), zero(2, 4), zero(2) + 1)
        >>> signals = arun_trace(torch.ones(5, 2, 3), zero(2, 3), zero(2, 3, 4), weights)
        >>> signals.g.shape, float(signals.n.min())
        (torch.Size([5, 2, 3, 4]), 1.0)
    """
    native.check_leak(backend, weights.alpha, h0.shape[-1])
    gradients = torch.is_grad_enabled() and any(native.needs((currents, h0, g0, *weights)))
    bf16 = native.bfloat16(precision, h0.dtype)
    inputs, weights = native.given(backend, Inputs(currents, h0, g0), weights)
    _check(inputs, weights, memory_budget=0)
    if backend in native.ON_GPU and not gradients:
        return Signals(*on_gpu.arun_trace(*inputs, weights))
    if not native.takes(backend, *inputs, *weights) or gradients:
        return reference.arun_trace(*inputs, weights)
    arguments = flat.join(inputs, weights, TracePlan(bf16))
    return Signals(*torch.ops.adaptrnn.arun_trace(*arguments))


# The operations that torch knows: forward and backward are each one node of a graph. Their
# arguments and results are the fields of these, one after another.


class Past(NamedTuple):
    """The backward pass needs the states before each segment, or all there was."""

    kept_h: Tensor
    kept_g: Tensor
    past: Tensor


class Plan(NamedTuple):
    """A plan says how the forward pass runs.

    There are `segment` steps between two kept states (0 for none), or all is kept.
    """

    last_only: bool
    segment: int
    keep: bool
    bf16: bool


class BackwardPlan(NamedTuple):
    """This says how the backward pass runs and which gradients of `Inputs`, `Weights` it needs."""

    segment: int
    bf16: bool
    needed: list[bool]


class LossPlan(NamedTuple):
    """This plan says how the loss is computed, and which gradients are needed."""

    memory_budget: int
    bf16: bool
    needed: list[bool]


class TracePlan(NamedTuple):
    """This plan says how a trace is computed."""

    bf16: bool


_LAYER = (Inputs, Weights)


@torch.library.custom_op(
    "adaptrnn::arun",
    mutates_args=(),
    schema=flat.schema(*_LAYER, Plan, results=len(flat.fields(Results, Past))),
)
def _arun(*values: flat.Value) -> tuple[Tensor, ...]:
    """`Results` and `Past`."""
    inputs, weights, plan = flat.parse(values, *_LAYER, Plan)
    results, past = flat.parse(_arun_results(*values), Results, Past)
    arrays = native.arrays(inputs, weights) | flat.named(results, past)
    segment = plan.segment or inputs.currents.shape[0]
    native.run("arun", "forward", arrays=arrays, segment=segment, bf16=plan.bf16)
    return flat.join(results, past)


@_arun.register_fake
def _arun_results(*values: flat.Value) -> tuple[Tensor, ...]:
    inputs, weights, plan = flat.parse(values, *_LAYER, Plan)
    new, steps = inputs.h0.new_empty, inputs.currents.shape[0]
    batch, size, units = inputs.g0.shape
    states = (steps - 1) // plan.segment if plan.segment else 0
    past = 0
    if plan.keep:
        sizes, leaks = (steps, batch, size, units), weights.alpha is not None
        past, _ = native.arun_past(*sizes, inputs.h0.dtype, plan.bf16, leaks=leaks)
    results = Results(
        output=new(0 if plan.last_only else steps, batch, size),
        h_last=new(batch, size),
        g_last=new(batch, size, units),
    )
    kept = Past(
        kept_h=new(0 if plan.keep else states, batch, size),
        kept_g=new(0 if plan.keep else states, batch, size, units),
        past=new(past),
    )
    return flat.join(results, kept)


@torch.library.custom_op(
    "adaptrnn::arun_backward",
    mutates_args=(),
    schema=flat.schema(Slopes, *_LAYER, Past, BackwardPlan, results=len(flat.fields(*_LAYER))),
)
def _arun_backward(*values: flat.Value) -> tuple[Tensor, ...]:
    """Gradients of `Inputs` and `Weights`; those not needed are empty."""
    slopes, inputs, weights, past, plan = flat.parse(values, Slopes, *_LAYER, Past, BackwardPlan)
    arrays = native.arrays(slopes, inputs, weights, past)
    results = native.empty_gradients((*inputs, *weights), plan.needed)
    names = flat.fields(*_LAYER)
    arrays |= {f"grad_{name}": g for name, g in zip(names, results, strict=True)}
    native.run("arun", "backward", arrays=arrays, segment=plan.segment, bf16=plan.bf16)
    return results


native.differentiate_layer(
    _arun,
    _arun_backward,
    _LAYER,
    Results,
    Past,
    (Plan, BackwardPlan),
    lambda given, weights, plan: reference.arun(given.currents, given.h0, given.g0, weights),
)


@torch.library.custom_op(
    "adaptrnn::arun_trace",
    mutates_args=(),
    schema=flat.schema(*_LAYER, TracePlan, results=len(Signals._fields)),
)
def _arun_trace(*values: flat.Value) -> tuple[Tensor, ...]:
    """`Signals` of all steps."""
    inputs, weights, plan = flat.parse(values, *_LAYER, TracePlan)
    found = Signals(*_arun_trace_results(*values))
    arrays = native.arrays(inputs, weights)
    arrays |= {"trace_a": found.a, "trace_g": found.g, "trace_n": found.n, "trace_s": found.s}
    steps = inputs.currents.shape[0]
    arrays["output"] = found.h
    native.run("arun", "forward", arrays=arrays, segment=steps, bf16=plan.bf16)
    return found


@_arun_trace.register_fake
def _arun_trace_results(*values: flat.Value) -> tuple[Tensor, ...]:
    inputs, _, _ = flat.parse(values, *_LAYER, TracePlan)
    shape = (inputs.currents.shape[0], *inputs.h0.shape)
    a, n, s, h = (inputs.h0.new_empty(shape) for _ in range(4))
    return Signals(a, inputs.g0.new_empty(*shape, inputs.g0.shape[-1]), n, s, h)


@torch.library.custom_op(
    "adaptrnn::arun_loss",
    mutates_args=(),
    schema=flat.schema(*_LAYER, Readout, LossPlan, results=readout.count(*_LAYER)),
)
def _arun_loss(*values: flat.Value) -> tuple[Tensor, ...]:
    """The mean loss, the outputs, and the loss's gradients of `readout.with_gradient`."""
    inputs, weights, head, plan = flat.parse(values, *_LAYER, Readout, LossPlan)
    steps, (batch, size, units) = inputs.currents.shape[0], inputs.g0.shape
    sizes, outputs = (steps, batch, size, units), head.weight_out.shape[0]
    leaks = weights.alpha is not None
    _, each = native.arun_past(*sizes, inputs.h0.dtype, plan.bf16, outputs, leaks)
    return readout.fused("arun", head, inputs, weights, each=each, **plan._asdict())


@_arun_loss.register_fake
def _arun_loss_results(*values: flat.Value) -> tuple[Tensor, ...]:
    inputs, weights, head, plan = flat.parse(values, *_LAYER, Readout, LossPlan)
    return readout.results(head, inputs, weights, needed=plan.needed)


def _reference_loss(inputs: Inputs, weights: Weights, head: Readout) -> tuple[Tensor, Tensor]:
    """Loss and outputs by the reference."""
    output, h, _ = reference.arun(*inputs, weights)
    return readout.loss_of_rates(h if head.target.ndim == 1 else output, head)


def _loss_again(*values: flat.Value) -> Tensor:
    """The loss alone of flat arguments, by the reference."""
    inputs, weights, head, _ = flat.parse(values, *_LAYER, Readout, LossPlan)
    return _reference_loss(inputs, weights, head)[0]


readout.differentiate_loss(_arun_loss, *_LAYER, Readout, LossPlan, reference=_loss_again)


def _check(inputs: Inputs, weights: Weights, memory_budget: int) -> None:
    currents, g0, weight_ih = inputs.currents, inputs.g0, weights.weight_ih
    if currents.ndim != 3 or 0 in currents.shape:
        raise bad("currents.shape", tuple(currents.shape), "(T, B, N), each at least 1")
    if g0.ndim != 3 or 0 in g0.shape:
        raise bad("g0.shape", tuple(g0.shape), "(B, N, G), each at least 1")
    (_, batch, size), units = currents.shape, g0.shape[-1]
    if weight_ih is not None:
        size = weight_ih.shape[0]
    for name, value, axes, shape in (
        ("h0", inputs.h0, "B, N", (batch, size)),
        ("g0", g0, "B, N, G", (batch, size, units)),
        ("weight_hh", weights.weight_hh, "N, N", (size, size)),
        ("weight_ag", weights.weight_ag, "G,", (units,)),
        ("weight_gg", weights.weight_gg, "G, G", (units, units)),
        ("bias_g", weights.bias_g, "G,", (units,)),
        ("weight_gc", weights.weight_gc, "2, G", (2, units)),
        ("bias_gc", weights.bias_gc, "2,", (2,)),
    ):
        if tuple(value.shape) != shape:
            raise bad(f"{name}.shape", tuple(value.shape), f"({axes}) = {shape}")
    if memory_budget < 0:
        raise bad("memory_budget", memory_budget, "a number of bytes, >= 0")
