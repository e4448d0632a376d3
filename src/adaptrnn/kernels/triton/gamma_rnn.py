"""Triton computes the recurrent layer with the gamma curve: loops over time, and derivatives.

A step is one kernel, `_rows.gamma_forward`: the product W_hh h and the curve of a tile of samples
and neurons. A step backwards is one kernel too, `_rows.gamma_backward`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from adaptrnn._error import bad
from adaptrnn.kernels import flat, native
from adaptrnn.kernels.gamma_rnn import reference
from adaptrnn.kernels.gamma_rnn.tensor import Inputs, Results, Slopes, Weights
from adaptrnn.kernels.triton import device, graph, verify
from adaptrnn.kernels.triton.launch import tile


def gamma_rnn(
    currents: Tensor,
    h0: Tensor,
    weights: Weights,
    nonlinearity: str,
    *,
    last_only: bool = False,
    backend: str = "triton",
) -> tuple[Tensor, Tensor]:
    """Run the operation on a GPU, with the arguments of `adaptrnn.kernels.gamma_rnn.gamma_rnn`.

    The activations of all steps are kept for the backward pass, T B N numbers.

    Raises:
        InputError: the kernels cannot run this call.
        MissingExtraError: triton is not installed.
        RuntimeError: at the first use on a device, the kernels' numbers are wrong there.
    """
    inputs, weights = _checked(Inputs(currents, h0), weights, nonlinearity)
    past = torch.is_grad_enabled() and any(native.needs((*inputs, *weights)))
    plan = Plan(last_only, past, backend == "triton-graph")
    output, h, *_ = torch.ops.adaptrnn.gamma_rnn_triton(*flat.join(inputs, weights, plan))
    return (output[:0] if last_only else output), h


def gamma_rnn_trace(
    currents: Tensor, h0: Tensor, weights: Weights, nonlinearity: str
) -> tuple[Tensor, Tensor]:
    """Record activations and rates of all time steps, without gradients."""
    inputs, weights = _checked(Inputs(currents, h0), weights, nonlinearity)
    plan = Plan(last_only=False, past=True, replay=False)
    h, _, a = torch.ops.adaptrnn.gamma_rnn_triton(*flat.join(inputs, weights, plan))
    return a, h


def _checked(inputs: Inputs, weights: Weights, nonlinearity: str) -> tuple[Inputs, Weights]:
    """What the kernels can run, with one gain and saturation a neuron."""
    if nonlinearity != "gamma" or weights.n is None or weights.s is None:
        reason = f"the Triton kernels have the gamma curve only, not {nonlinearity!r}"
        raise bad("backend", "triton", "'auto' or 'reference' here", f"The reason: {reason}.")
    device.check((*inputs, *weights))
    size = inputs.h0.shape[-1]
    return inputs, weights._replace(n=weights.n.expand(size), s=weights.s.expand(size))


# The operation and its derivatives, as torch knows them. Their arguments and results are the fields
# of named tuples, one after another.


class Past(NamedTuple):
    """The backward pass needs the activations."""

    a: Tensor


class Plan(NamedTuple):
    """A plan says whether the forward pass keeps activations, and replays a CUDA graph."""

    last_only: bool
    past: bool
    replay: bool


class BackwardPlan(NamedTuple):
    """This says how the backward pass runs and which gradients of `Inputs`, `Weights` it needs."""

    replay: bool
    needed: list[bool]


class Rates(NamedTuple):
    """These are the rates of all steps, which the backward pass reads."""

    output: Tensor


_LAYER = (Inputs, Weights)
_BACK = (Slopes, *_LAYER, Rates, Past)


@torch.library.custom_op(
    "adaptrnn::gamma_rnn_triton",
    mutates_args=(),
    schema=flat.schema(*_LAYER, Plan, results=len(flat.fields(Results, Past))),
)
def _gamma_rnn(*values: flat.Value) -> tuple[Tensor, ...]:
    """`Results` and `Past`."""
    inputs, weights, plan = flat.parse(values, *_LAYER, Plan)
    precision, where = device.precision(), inputs.currents.device
    verify.once(compare, where, precision)
    with device.on(where):
        if plan.replay:
            return graph.run(forward, flat.join(inputs, weights), plan, precision)
        return forward(*values, precision)


@_gamma_rnn.register_fake
def _results(*values: flat.Value) -> tuple[Tensor, ...]:
    inputs, _, plan = flat.parse(values, *_LAYER, Plan)
    new, steps, (batch, size) = inputs.h0.new_empty, inputs.currents.shape[0], inputs.h0.shape
    results = Results(
        output=new(0 if plan.last_only and not plan.past else steps, batch, size),
        h_last=new(batch, size),
    )
    return flat.join(results, Past(new(steps if plan.past else 0, batch, size)))


@torch.library.custom_op(
    "adaptrnn::gamma_rnn_triton_backward",
    mutates_args=(),
    schema=flat.schema(*_BACK, BackwardPlan, results=len(flat.fields(*_LAYER))),
)
def _backward(*values: flat.Value) -> tuple[Tensor, ...]:
    """Gradients of `Inputs` and `Weights`; those not needed are empty."""
    *tensors, plan = found = flat.parse(values, *_BACK, BackwardPlan)
    _, inputs, *_ = found
    precision = device.precision()
    with device.on(inputs.currents.device):
        if plan.replay:
            return graph.run(backward, flat.join(*tensors), plan, precision)
        return backward(*values, precision)


def _reference(
    inputs: Inputs, weights: Weights, plan: BackwardPlan | None
) -> tuple[Tensor, Tensor]:
    return reference.gamma_rnn(*inputs, weights, "gamma")


native.differentiate_layer(
    _gamma_rnn,
    _backward,
    _LAYER,
    Results,
    Past,
    (Plan, BackwardPlan),
    _reference,
    lambda plan, results, past: (Rates(results.output), past),
)


# The loops over time.


def _launch(like: Tensor, batch: int, size: int, precision: str) -> tuple[Any, Any, dict[str, Any]]:
    """The kernels, the grid and the options of a launch."""
    samples, neurons, inner, warps, stages = tile(device.capability(like.device))
    options = {"SAMPLES": samples, "NEURONS": neurons, "INNER": inner, "PRECISION": precision}
    grid = (-(-size // neurons), -(-batch // samples))
    return device.rows(), grid, {**options, "num_warps": warps, "num_stages": stages}


def _whole(weights: Weights) -> tuple[Tensor, Tensor, Tensor]:
    """W_hh, n and s as the kernels read them."""
    assert weights.n is not None and weights.s is not None  # `_checked` saw to it
    return weights.weight_hh.contiguous(), weights.n.contiguous(), weights.s.contiguous()


def forward(*values: flat.Value) -> tuple[Tensor, ...]:
    """Run the forward pass.

    Args:
        values: `Inputs`, `Weights` and `Plan`, and the precision.

    Returns:
        Rates (T, B, N), none if only the last are wanted and nothing is kept; the last (B, N);
        activations (T, B, N), if kept.
    """
    *arguments, precision = values
    assert isinstance(precision, str)
    inputs, weights, plan = flat.parse(arguments, *_LAYER, Plan)
    currents, h0, past = inputs.currents.contiguous(), inputs.h0.contiguous(), plan.past
    weight_hh, n, s = _whole(weights)
    steps, batch, size = currents.shape
    kernels, grid, options = _launch(currents, batch, size, precision)
    output, _, a = _results(*arguments)
    every = len(output) == steps
    h = output if every else currents.new_empty(2, batch, size)
    scratch = a if past else currents.new_empty(1, batch, size)
    before, before_at = h0, 0
    for t in range(steps):
        h_at = t if every else t % 2
        kernels.gamma_forward[grid](
            currents, before, weight_hh, n, s, h, scratch, t, before_at, h_at, t if past else 0,
            batch, size, **options,
        )  # fmt: skip
        before, before_at = h, h_at
    return output, h[before_at].clone(), a


def backward(*values: flat.Value) -> tuple[Tensor, ...]:
    """Run the backward pass.

    Args:
        values: `Slopes`, `Inputs`, `Weights`, `Rates`, `Past` and `BackwardPlan`, and the
            precision.

    Returns:
        The gradients of `Inputs` and `Weights`; those not needed are empty.
    """
    *arguments, precision = values
    assert isinstance(precision, str)
    slopes, inputs, weights, rates, past, plan = flat.parse(arguments, *_BACK, BackwardPlan)
    (grad_output, grad_h), output, (a,) = slopes, rates.output, past
    h0, (weight_hh, n, s) = inputs.h0.contiguous(), _whole(weights)
    steps, batch, size = a.shape
    kernels, grid, options = _launch(a, batch, size, precision)
    given = grad_output is not None
    every = a if grad_output is None else grad_output.contiguous()
    da, dh = torch.empty_like(a), a.new_zeros(batch, size)
    for gradient in (every[-1] if given else None, grad_h):
        if gradient is not None:
            dh += gradient
    sums = a.new_zeros(2, grid[1], size, dtype=torch.float64)
    for t in reversed(range(steps)):
        kernels.gamma_backward[grid](
            every, dh, a, weight_hh, n, s, da, sums, t, batch, size,
            GIVEN=given, LAST=t == steps - 1, **options,
        )  # fmt: skip
    by_n, by_s = sums.sum(1).to(a.dtype)
    made: dict[str, Callable[[], Tensor]] = {
        "currents": lambda: da,
        "h0": lambda: da[0] @ weight_hh,
        "weight_hh": lambda: torch.addmm(
            da[0].T @ h0, da[1:].reshape(-1, size).T, output[:-1].reshape(-1, size)
        ),
        "n": lambda: by_n.clone(),
        "s": lambda: by_s.clone(),
    }
    which = zip(flat.fields(*_LAYER), plan.needed, strict=True)
    return tuple(made[name]() if need else a.new_empty(0) for name, need in which)


def compare(where: torch.device, precision: str) -> dict[str, float]:
    """Return the errors of the kernels in a small case, for `verify`.

    Args:
        where: the device.
        precision: how the kernels multiply.

    Returns:
        By name, the relative error of each result and each gradient against the reference in
        float64 on the CPU.
    """
    steps, batch, size = 5, 3, 37
    normal = verify.normal()
    exact = {
        "currents": normal(steps, batch, size),
        "h0": normal(batch, size, scale=0.3),
        "weight_hh": normal(size, size, scale=0.5 / size**0.5),
        "n": 2.0 + normal(size, scale=0.2),
        "s": normal(size, scale=0.2),
    }

    def function(*tensors: Tensor) -> tuple[Tensor, Tensor]:
        layer = flat.by_name(dict(zip(exact, tensors, strict=True)), *_LAYER)
        return _reference(*flat.parse(layer, *_LAYER), None)

    wanted, slopes, cotangents = verify.differentiate(function, [*exact.values()], normal)
    narrow = {name: tensor.to(where, torch.float32) for name, tensor in exact.items()}
    layer = flat.by_name(narrow, *_LAYER)
    gradients = Slopes(*(cotangent.to(where, torch.float32) for cotangent in cotangents))
    plan = Plan(last_only=False, past=True, replay=False)
    last = BackwardPlan(plan.replay, [tensor is not None for tensor in layer])
    with torch.no_grad(), device.on(where):
        results, past = flat.parse(forward(*layer, *plan, precision), Results, Past)
        arguments = flat.join(gradients, layer, Rates(results.output), past, last)
        made = flat.needed(backward(*arguments, precision), last.needed, *_LAYER)
    names = ("rates", "last rates", *(f"gradient of {name}" for name in made))
    return verify.errors(names, (*results, *made.values()), (*wanted, *slopes))
