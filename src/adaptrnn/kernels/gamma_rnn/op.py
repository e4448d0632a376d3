"""Check, dispatch and differentiate the recurrent layer with a static nonlinearity."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor

from adaptrnn._error import bad, choose
from adaptrnn.kernels import flat, native, readout
from adaptrnn.kernels.gamma_rnn import reference
from adaptrnn.kernels.gamma_rnn.tensor import Inputs, Results, Slopes, Weights
from adaptrnn.kernels.readout import Readout
from adaptrnn.kernels.triton import gamma_rnn as on_gpu

_NUMBERS = {
    name: number
    for number, name in enumerate(("tanh", "relu", "linear", "softplus", "sigmoid", "gamma"))
}


def gamma_rnn(
    currents: Annotated[Tensor, "T B D"],
    h0: Annotated[Tensor, "B N"],
    weights: Weights,
    nonlinearity: str = "gamma",
    *,
    last_only: bool = False,
    backend: str = "auto",
    memory_budget: int = native.MEMORY_BUDGET,
    precision: str = "auto",
) -> tuple[Annotated[Tensor, "K B N"], Annotated[Tensor, "B N"]]:
    """Compute the rates h_t = f(currents_t + W_hh h_{t-1}; n, s) over a whole sequence.

    Args:
        currents: (T, B, N), everything that does not depend on h: input, biases and drive. With
            `weight_ih`, the input x (T, B, D) instead: currents_t = W_ih x_t + b_ih.
        h0: (B, N), initial rates.
        weights: of the layer, see `Weights`. The kernels for GPUs have no leak, `alpha`.
        nonlinearity: "tanh", "relu", "linear", "softplus", "sigmoid" or "gamma".
        last_only: whether only the last rates are wanted; saves (T, B, N) numbers.
        backend: "auto" takes the native kernels where they can run; "reference" is plain torch;
            "cpu" is the native kernels or an error; "triton" is the kernels for NVIDIA GPUs
            ("gamma" only) or an error, "triton-graph" the same replayed from a CUDA graph.
        memory_budget: bytes, >= 0. What the backward pass needs, except for the output, is kept if
            it fits, else computed again from a state every ~sqrt(T) steps: the same numbers.
        precision: of the native kernels' products. "float32"; "bf16" rounds their operands to
            bfloat16, with float32 sums, twice as fast on processors that have instructions for it
            (docs/explanation/kernels.md); "auto" does so where torch's own float32 products may.

    Returns:
        Rates of all steps (T, B, N), or (0, B, N) if `last_only`; and of the last (B, N).

    Raises:
        InputError: shapes that do not fit, an unknown name, a backend that cannot run this.

    Example:
        >>> h, last = gamma_rnn(torch.ones(5, 2, 3), torch.zeros(2, 3), Weights(torch.eye(3)),
        ...                     nonlinearity="linear")
        >>> last[0]
        tensor([5., 5., 5.])
    """
    native.check_leak(backend, weights.alpha, h0.shape[-1])
    bf16 = native.bfloat16(precision, h0.dtype)
    inputs, weights = native.given(backend, Inputs(currents, h0), weights)
    _check(inputs, weights, nonlinearity, memory_budget)
    if backend in native.ON_GPU:
        options: dict[str, Any] = {"last_only": last_only, "backend": backend}
        return on_gpu.gamma_rnn(*inputs, weights, nonlinearity, **options)
    if not native.takes(backend, *inputs, *weights):
        output, last = reference.gamma_rnn(*inputs, weights, nonlinearity)
        return (output[:0] if last_only else output), last
    segment, keep = 0, False
    if torch.is_grad_enabled() and any(native.needs((*inputs, *weights))):
        steps, batch = inputs.currents.shape[:2]
        apart = last_only + (nonlinearity == "gamma") + (weights.alpha is not None)
        keep = apart * h0.element_size() * steps * h0.numel() <= memory_budget
        segment = native.segment_length(steps, batch)
    plan = Plan(nonlinearity, last_only, segment, keep, bf16)
    arguments = flat.join(inputs, _one_each(weights), plan)
    output, last, *_ = torch.ops.adaptrnn.gamma_rnn(*arguments)
    return output, last


def gamma_rnn_loss(
    currents: Annotated[Tensor, "T B D"],
    h0: Annotated[Tensor, "B N"],
    weights: Weights,
    head: Readout,
    nonlinearity: str = "gamma",
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
    It is the same as `gamma_rnn`, a linear layer and `adaptrnn.kernels.readout.mean_loss`, loss
    and gradient in one visit of the native kernel.

    Args:
        currents: (T, B, N), as for `gamma_rnn`. With `weight_ih`, the input x (T, B, D) instead.
        h0: (B, N).
        weights: of the layer.
        head: the readout, its targets and the weights w of the steps, see
            `adaptrnn.kernels.readout.Readout`.
        nonlinearity: as for `gamma_rnn`.
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
        >>> head = Readout(zero(10, 4), zero(10), y)
        >>> loss, outputs = gamma_rnn_loss(
        ...     torch.ones(3, 2, 4), zero(2, 4), Weights(zero(4, 4)), head, nonlinearity="tanh")
        >>> float(loss), outputs.shape  # ln 10
        (2.302..., torch.Size([3, 2, 10]))
    """
    native.check_leak(backend, weights.alpha, h0.shape[-1])
    bf16 = native.bfloat16(precision, h0.dtype)
    inputs, weights = native.given(
        backend, Inputs(currents, h0), weights, head.weight_out, head.bias_out
    )
    _check(inputs, weights, nonlinearity, memory_budget)
    steps, (batch, size) = inputs.currents.shape[0], h0.shape
    readout.check(steps, batch, size, head)
    last_only = head.target.ndim == 1
    if backend in native.ON_GPU:
        options: dict[str, Any] = {"last_only": last_only, "backend": backend}
        output, h = on_gpu.gamma_rnn(*inputs, weights, nonlinearity, **options)
        return readout.loss_of_rates(h if last_only else output, head)
    if not readout.served(backend, head, *inputs, *weights):
        return _reference_loss(inputs, weights, head, nonlinearity)
    readout.check_classes(head)
    weights = _one_each(weights)
    needed = readout.needs(head, inputs, weights)
    if not (torch.is_grad_enabled() and any(needed)):
        plan = Plan(nonlinearity, last_only, segment=0, keep=False, bf16=bf16)
        output, h, *_ = torch.ops.adaptrnn.gamma_rnn(*flat.join(inputs, weights, plan))
        return readout.loss_of_rates(h if last_only else output, head)
    last = LossPlan(nonlinearity, memory_budget, bf16, needed)
    arguments = flat.join(inputs, weights, head, last)
    loss, outputs, *_ = torch.ops.adaptrnn.gamma_rnn_loss(*arguments)
    return loss, outputs.detach()


def gamma_rnn_trace(
    currents: Annotated[Tensor, "T B D"],
    h0: Annotated[Tensor, "B N"],
    weights: Weights,
    nonlinearity: str = "gamma",
    *,
    backend: str = "auto",
    precision: str = "auto",
) -> tuple[Annotated[Tensor, "T B N"], Annotated[Tensor, "T B N"]]:
    """Record activations a and rates h of all steps, (T, B, N); called like `gamma_rnn`.

    The native kernels give these without gradients; the reference runs where they are wanted.

    Example:
        >>> a, h = gamma_rnn_trace(torch.ones(5, 2, 3), torch.zeros(2, 3), Weights(torch.eye(3)),
        ...                        nonlinearity="relu")
        >>> torch.equal(h, a.relu())
        True
    """
    native.check_leak(backend, weights.alpha, h0.shape[-1])
    gradients = torch.is_grad_enabled() and any(native.needs((currents, h0, *weights)))
    bf16 = native.bfloat16(precision, h0.dtype)
    inputs, weights = native.given(backend, Inputs(currents, h0), weights)
    _check(inputs, weights, nonlinearity, memory_budget=0)
    if backend in native.ON_GPU and not gradients:
        return on_gpu.gamma_rnn_trace(*inputs, weights, nonlinearity)
    if not native.takes(backend, *inputs, *weights) or gradients:
        return reference.gamma_rnn_trace(*inputs, weights, nonlinearity)
    arguments = flat.join(inputs, _one_each(weights), TracePlan(nonlinearity, bf16))
    a, h = torch.ops.adaptrnn.gamma_rnn_trace(*arguments)
    return a, h


# The operations that torch knows: forward and backward are each one node of a graph. Their
# arguments and results are the fields of these, one after another.


class Past(NamedTuple):
    """The backward pass needs what there was in all steps, or the rates before each segment.

    Attributes:
        past_h: rates.
        past_a: activations, for "gamma".
        past_rate: rates without the leak, where there is one.
        kept_h: rates before each segment.
    """

    past_h: Tensor
    past_a: Tensor
    past_rate: Tensor
    kept_h: Tensor


class Plan(NamedTuple):
    """A plan says how the forward pass runs.

    There are `segment` steps between two kept states (0 for none), or all is kept.
    """

    nonlinearity: str
    last_only: bool
    segment: int
    keep: bool
    bf16: bool


class BackwardPlan(NamedTuple):
    """This says how the backward pass runs and which gradients of `Inputs`, `Weights` it needs."""

    nonlinearity: str
    segment: int
    bf16: bool
    needed: list[bool]


class LossPlan(NamedTuple):
    """This plan says how the loss is computed, and which gradients are needed."""

    nonlinearity: str
    memory_budget: int
    bf16: bool
    needed: list[bool]


class TracePlan(NamedTuple):
    """This plan says how a trace is computed."""

    nonlinearity: str
    bf16: bool


_LAYER = (Inputs, Weights)


@torch.library.custom_op(
    "adaptrnn::gamma_rnn",
    mutates_args=(),
    schema=flat.schema(*_LAYER, Plan, results=len(flat.fields(Results, Past))),
)
def _gamma_rnn(*values: flat.Value) -> tuple[Tensor, ...]:
    """`Results` and `Past`."""
    inputs, weights, plan = flat.parse(values, *_LAYER, Plan)
    results, past = flat.parse(_gamma_rnn_results(*values), Results, Past)
    arrays = native.arrays(inputs, weights) | flat.named(results, past)
    segment = plan.segment or inputs.currents.shape[0]
    number = _NUMBERS[plan.nonlinearity]
    native.run("rnn", "forward", number, arrays=arrays, segment=segment, bf16=plan.bf16)
    return flat.join(results, past)


@_gamma_rnn.register_fake
def _gamma_rnn_results(*values: flat.Value) -> tuple[Tensor, ...]:
    inputs, weights, plan = flat.parse(values, *_LAYER, Plan)
    new, steps, (batch, size) = inputs.h0.new_empty, inputs.currents.shape[0], inputs.h0.shape
    apart = plan.segment and plan.last_only and not plan.keep
    curve = plan.keep and plan.nonlinearity == "gamma"
    leaks = plan.keep and weights.alpha is not None
    results = Results(
        output=new(0 if plan.last_only else steps, batch, size), h_last=new(batch, size)
    )
    past = Past(
        past_h=new(steps if plan.keep and plan.last_only else 0, batch, size),
        past_a=new(steps if curve else 0, batch, size),
        past_rate=new(steps if leaks else 0, batch, size),
        kept_h=new((steps - 1) // plan.segment if apart else 0, batch, size),
    )
    return flat.join(results, past)


@torch.library.custom_op(
    "adaptrnn::gamma_rnn_backward",
    mutates_args=(),
    schema=flat.schema(Slopes, *_LAYER, Past, BackwardPlan, results=len(flat.fields(*_LAYER))),
)
def _gamma_rnn_backward(*values: flat.Value) -> tuple[Tensor, ...]:
    """Gradients of `Inputs` and `Weights`; those not needed are empty."""
    slopes, inputs, weights, past, plan = flat.parse(values, Slopes, *_LAYER, Past, BackwardPlan)
    arrays = native.arrays(slopes, inputs, weights, past)
    results = native.empty_gradients((*inputs, *weights), plan.needed)
    names = flat.fields(*_LAYER)
    arrays |= {f"grad_{name}": g for name, g in zip(names, results, strict=True)}
    number = _NUMBERS[plan.nonlinearity]
    native.run("rnn", "backward", number, arrays=arrays, segment=plan.segment, bf16=plan.bf16)
    return results


def _kept(plan: Plan, results: Results, past: Past) -> tuple[Past]:
    """What the backward pass needs: the rates of all steps are among the results or the past."""
    return (past if plan.last_only else past._replace(past_h=results.output),)


native.differentiate_layer(
    _gamma_rnn,
    _gamma_rnn_backward,
    _LAYER,
    Results,
    Past,
    (Plan, BackwardPlan),
    lambda given, weights, plan: reference.gamma_rnn(
        given.currents, given.h0, weights, plan.nonlinearity
    ),
    _kept,
)


@torch.library.custom_op(
    "adaptrnn::gamma_rnn_trace",
    mutates_args=(),
    schema=flat.schema(*_LAYER, TracePlan, results=2),
)
def _gamma_rnn_trace(*values: flat.Value) -> tuple[Tensor, ...]:
    """a, h of all steps."""
    inputs, weights, plan = flat.parse(values, *_LAYER, TracePlan)
    a, h = _gamma_rnn_trace_results(*values)
    arrays = native.arrays(inputs, weights) | {"past_a": a, "output": h}
    steps, number = inputs.currents.shape[0], _NUMBERS[plan.nonlinearity]
    native.run("rnn", "forward", number, arrays=arrays, segment=steps, bf16=plan.bf16)
    return a, h


@_gamma_rnn_trace.register_fake
def _gamma_rnn_trace_results(*values: flat.Value) -> tuple[Tensor, ...]:
    inputs, _, _ = flat.parse(values, *_LAYER, TracePlan)
    shape = (inputs.currents.shape[0], *inputs.h0.shape)
    return inputs.h0.new_empty(shape), inputs.h0.new_empty(shape)


@torch.library.custom_op(
    "adaptrnn::gamma_rnn_loss",
    mutates_args=(),
    schema=flat.schema(*_LAYER, Readout, LossPlan, results=readout.count(*_LAYER)),
)
def _gamma_rnn_loss(*values: flat.Value) -> tuple[Tensor, ...]:
    """The mean loss, the outputs, and the loss's gradients of `readout.with_gradient`."""
    inputs, weights, head, plan = flat.parse(values, *_LAYER, Readout, LossPlan)
    steps, (batch, size) = inputs.currents.shape[0], inputs.h0.shape
    outputs = head.weight_out.shape[0]
    leaks = weights.alpha is not None
    each = native.rnn_past(steps, batch, size, inputs.h0.dtype, plan.bf16, outputs, leaks)
    return readout.fused(
        "rnn",
        head,
        inputs,
        weights,
        arguments=[_NUMBERS[plan.nonlinearity]],
        each=each,
        memory_budget=plan.memory_budget,
        bf16=plan.bf16,
        needed=plan.needed,
    )


@_gamma_rnn_loss.register_fake
def _gamma_rnn_loss_results(*values: flat.Value) -> tuple[Tensor, ...]:
    inputs, weights, head, plan = flat.parse(values, *_LAYER, Readout, LossPlan)
    return readout.results(head, inputs, weights, needed=plan.needed)


def _reference_loss(
    inputs: Inputs, weights: Weights, head: Readout, nonlinearity: str
) -> tuple[Tensor, Tensor]:
    """Loss and outputs by the reference."""
    output, h = reference.gamma_rnn(*inputs, weights, nonlinearity)
    return readout.loss_of_rates(h if head.target.ndim == 1 else output, head)


def _loss_again(*values: flat.Value) -> Tensor:
    """The loss alone of flat arguments, by the reference."""
    inputs, weights, head, plan = flat.parse(values, *_LAYER, Readout, LossPlan)
    return _reference_loss(inputs, weights, head, plan.nonlinearity)[0]


readout.differentiate_loss(_gamma_rnn_loss, *_LAYER, Readout, LossPlan, reference=_loss_again)


def _one_each(weights: Weights) -> Weights:
    """One gain and saturation a neuron, (N,), where all share one."""
    n, s, size = weights.n, weights.s, weights.weight_hh.shape[0]
    if n is None or s is None or n.ndim == s.ndim == 1:
        return weights
    return weights._replace(n=n.expand(size), s=s.expand(size))


def _check(inputs: Inputs, weights: Weights, nonlinearity: str, memory_budget: int) -> None:
    currents, h0 = inputs
    weight_hh, weight_ih = weights.weight_hh, weights.weight_ih
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
    for name, value in (("n", weights.n), ("s", weights.s)):
        if nonlinearity == "gamma":
            if value is None or value.shape not in ((), (size,)):
                shape = None if value is None else tuple(value.shape)
                raise bad(f"{name}.shape", shape, f"() or (N,) = ({size},)")
        elif value is not None:
            raise bad(name, "a tensor", f"None for nonlinearity={nonlinearity!r}")
    if memory_budget < 0:
        raise bad("memory_budget", memory_budget, "a number of bytes, >= 0")
