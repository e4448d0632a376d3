"""Triton computes the layer of adaptive recurrent units: loops over time, memory, derivatives.

A step is a library product, W_hh h, and one kernel over rows (`_rows.forward_rows`), and so is a
step backwards (`_rows.backward_rows`). Once a segment come the states between two kept ones
(`_rows.recompute`) and the gradients of the controller's weights (`_rows.weights`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear, pad

from adaptrnn.kernels import flat, native
from adaptrnn.kernels.arun import reference
from adaptrnn.kernels.arun.tensor import (
    ControllerWeights,
    Inputs,
    Results,
    Signals,
    Slopes,
    Weights,
)
from adaptrnn.kernels.triton import device, graph, verify
from adaptrnn.kernels.triton.launch import KERNELS, columns, pitch, setting

CHUNK = 4096
"""Rows whose contributions to the weights' gradients one program sums."""


def arun(
    currents: Tensor,
    h0: Tensor,
    g0: Tensor,
    weights: Weights,
    *,
    last_only: bool = False,
    memory_budget: int,
    backend: str = "triton",
) -> tuple[Tensor, Tensor, Tensor]:
    """Run the operation on a GPU, with the arguments of `adaptrnn.kernels.arun.arun`.

    There is neither a leak nor an input in place of the currents.

    Raises:
        InputError: the kernels cannot run this call.
        MissingExtraError: triton is not installed.
        RuntimeError: at the first use on a device, the kernels' numbers are wrong there.
    """
    inputs, units = Inputs(currents, h0, g0), g0.shape[-1]
    device.check((*inputs, *weights), units)
    steps, batch, size = currents.shape
    segment, keep = 0, False
    if torch.is_grad_enabled() and any(native.needs((*inputs, *weights))):
        segment = math.isqrt(steps - 1) + 1
        keep = 4 * steps * batch * size * (pitch(units) + 2) <= memory_budget
    plan = Plan(last_only, segment, keep, backend == "triton-graph")
    output, h, g, *_ = torch.ops.adaptrnn.arun_triton(*flat.join(inputs, weights, plan))
    return (output[:0] if last_only else output), h, g


def arun_trace(currents: Tensor, h0: Tensor, g0: Tensor, weights: Weights) -> Signals:
    """Record every signal of all steps, without gradients."""
    inputs, units = Inputs(currents, h0, g0), g0.shape[-1]
    device.check((*inputs, *weights), units)
    plan = Plan(last_only=False, segment=1, keep=True, replay=False)
    values = torch.ops.adaptrnn.arun_triton(*flat.join(inputs, weights, plan))
    results, past = flat.parse(values, Results, Past)
    g = past.kept[1:, :, :units].reshape(*results.output.shape, -1)
    n, s = linear(g, weights.weight_gc, weights.bias_gc).unbind(-1)
    return Signals(past.a, g, n, s, results.output)


# The operation and its derivatives, as torch knows them. Their arguments and results are the fields
# of named tuples, one after another.


class Past(NamedTuple):
    """The backward pass needs activations and kept states."""

    a: Tensor
    kept: Tensor


class Plan(NamedTuple):
    """A plan says how the forward pass runs.

    Attributes:
        last_only: whether only the last rates are wanted.
        segment: steps between two kept states, 0 for no gradients.
        keep: whether every state is kept.
        replay: whether a CUDA graph is replayed.
    """

    last_only: bool
    segment: int
    keep: bool
    replay: bool


class BackwardPlan(NamedTuple):
    """This says how the backward pass runs and which gradients of `Inputs`, `Weights` it needs."""

    segment: int
    keep: bool
    replay: bool
    needed: list[bool]


class Rates(NamedTuple):
    """These are the rates of all steps, which the backward pass reads."""

    output: Tensor


_LAYER = (Inputs, Weights)
_BACK = (Slopes, *_LAYER, Rates, Past)


@torch.library.custom_op(
    "adaptrnn::arun_triton",
    mutates_args=(),
    schema=flat.schema(*_LAYER, Plan, results=len(flat.fields(Results, Past))),
)
def _arun(*values: flat.Value) -> tuple[Tensor, ...]:
    """`Results` and `Past`."""
    inputs, weights, plan = flat.parse(values, *_LAYER, Plan)
    precision, where = device.precision(), inputs.currents.device
    verify.once(compare, where, precision, inputs.g0.shape[-1])
    with device.on(where):
        if plan.replay:
            return graph.run(forward, flat.join(inputs, weights), plan, precision)
        return forward(*values, precision)


@_arun.register_fake
def _results(*values: flat.Value) -> tuple[Tensor, ...]:
    inputs, _, plan = flat.parse(values, *_LAYER, Plan)
    new, steps, segment = inputs.currents.new_empty, inputs.currents.shape[0], plan.segment
    batch, size, units = inputs.g0.shape
    states = (steps + 1 if plan.keep else -(-steps // segment)) if segment else 0
    results = Results(
        output=new(0 if plan.last_only and not segment else steps, batch, size),
        h_last=new(batch, size),
        g_last=new(batch, size, units),
    )
    past = Past(
        a=new(steps if segment else 0, batch, size),
        kept=new(states, batch * size, pitch(units)),
    )
    return flat.join(results, past)


@torch.library.custom_op(
    "adaptrnn::arun_triton_backward",
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
) -> tuple[Tensor, Tensor, Tensor]:
    return reference.arun(*inputs, weights)


native.differentiate_layer(
    _arun,
    _backward,
    _LAYER,
    Results,
    Past,
    (Plan, BackwardPlan),
    _reference,
    lambda plan, results, past: (Rates(results.output), past),
)


# The loops over time.


class _Launcher:
    """Launches a kernel over rows with the settings of the device, and knows its columns."""

    def __init__(self, like: Tensor, units: int, precision: str) -> None:
        self.kernels, self.columns = device.rows(), columns(units)
        capability = device.capability(like.device)
        self.ready: dict[str, tuple[int, dict[str, Any]]] = {}
        for name in KERNELS:
            block, warps, stages = setting(name, self.columns, capability)
            options: dict[str, Any] = {"U": self.columns, "PITCH": pitch(units), "BLOCK": block}
            options |= {"PRECISION": precision, "num_warps": warps, "num_stages": stages}
            self.ready[name] = block, options

    def __call__(self, name: str, *arguments: Tensor | int) -> None:
        """Launch one program for each block of rows; their number is the last argument."""
        block, options = self.ready[name]
        getattr(self.kernels, name)[(-(-arguments[-1] // block),)](*arguments, **options)

    def sums(
        self, tensors: Sequence[Tensor], first: int, slot: int, steps: int, count: int
    ) -> Tensor:
        """Launch `_rows.weights`, and add up what the programs found, (U + 5, U) in float64."""
        block, options = self.ready["weights"]
        over = (steps + 1) * count
        chunk = min(CHUNK, -(-over // block) * block)
        programs = -(-over // chunk)
        sums = tensors[0].new_empty(programs, self.columns + 5, self.columns)
        kernel = self.kernels.weights[(programs,)]
        kernel(*tensors, sums, first, slot, steps, count, chunk, **options)
        return sums.sum(0, dtype=torch.float64)


def _padded(weights: Weights, units: int) -> ControllerWeights:
    """The controller's weights with zeros up to U columns (and rows of W_gg)."""
    more = columns(units) - units
    wide = ControllerWeights(
        weight_ag=pad(weights.weight_ag, (0, more)),
        weight_gg=pad(weights.weight_gg, (0, more, 0, more)),
        bias_g=pad(weights.bias_g, (0, more)),
        weight_gc=pad(weights.weight_gc, (0, more)),
        bias_gc=weights.bias_gc,
    )
    return ControllerWeights(*(tensor.contiguous() for tensor in wide))


def forward(*values: flat.Value) -> tuple[Tensor, ...]:
    """Run the forward pass, and return what the backward pass needs of it too.

    Args:
        values: `Inputs`, `Weights` and `Plan`, and the precision.

    Returns:
        Rates (T, B, N), none if only the last are wanted and there are no gradients; the last
        rates and states; activations (T, B, N); states (kept, B N, PITCH), either all T + 1 or
        those before steps 0, S, 2 S, ...
    """
    *arguments, precision = values
    assert isinstance(precision, str)
    (currents, h0, g0), weights, plan = flat.parse(arguments, *_LAYER, Plan)
    segment, keep = plan.segment, plan.keep
    steps, (batch, size, units) = currents.shape[0], g0.shape
    count, wide = batch * size, pitch(units)
    weight_ag, weight_gg, bias_g, weight_gc, bias_gc = _padded(weights, units)
    launch = _Launcher(currents, units, precision)
    output, _, _, a, kept = _results(*arguments)
    # without gradients only what the next step needs: activations of one step, states of two
    every, past = len(output) == steps, segment > 0
    h = output if every else currents.new_empty(2, batch, size)
    a = a if past else currents.new_empty(1, batch, size)
    kept = kept if past else currents.new_empty(1, count, wide)
    kept[0].copy_(pad(g0.reshape(count, units), (0, wide - units)))
    ring = kept if keep else currents.new_empty(2, count, wide)
    coupling = weights.weight_hh.T
    last, before, before_at = h0, kept, 0
    for t in range(steps):
        a_at, h_at = (t if past else 0), (t if every else t % 2)
        now, now_at = (kept, t + 1) if keep else (ring, t % 2)
        if past and not keep and (t + 1) % segment == 0 and t + 1 < steps:
            now, now_at = kept, (t + 1) // segment
        torch.addmm(currents[t], last, coupling, out=a[a_at])
        launch(
            "forward_rows", a, before, weight_ag, weight_gg, bias_g, weight_gc, bias_gc,
            h, now, a_at, h_at, before_at, now_at, count,
        )  # fmt: skip
        last, before, before_at = h[h_at], now, now_at
    g = before[before_at].view(batch, size, wide)[..., :units].clone()
    if not past:
        a, kept = currents.new_empty(0, batch, size), currents.new_empty(0, count, wide)
    return output if every else output[:0], last.clone(), g, a, kept


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
    (grad_output, grad_h, grad_g), (a, kept), output = slopes, past, rates.output
    (_, h0, g0), weight_hh, (segment, keep, _, needed) = inputs, weights.weight_hh, plan
    steps, (batch, size, units) = a.shape[0], g0.shape
    count, wide = batch * size, pitch(units)
    weight_ag, weight_gg, bias_g, weight_gc, bias_gc = _padded(weights, units)
    launch = _Launcher(a, units, precision)
    most = min(segment, steps)
    scratch = kept if keep else a.new_empty(most + 1, count, wide)
    dz = a.new_empty(most, count, wide)
    dn, ds, da = a.new_empty(most, count), a.new_empty(most, count), torch.empty_like(a)
    dg, dh = a.new_zeros(count, wide), a.new_zeros(batch, size)
    if grad_g is not None:
        dg[:, :units] = grad_g.reshape(count, units)
    for given in (None if grad_output is None else grad_output[-1], grad_h):
        if given is not None:
            dh += given
    high, which = launch.columns, dict(zip(flat.fields(*_LAYER), needed, strict=True))
    total = a.new_zeros(high + 5, high, dtype=torch.float64)
    for k in reversed(range(-(-steps // segment))):
        first = k * segment
        length, slot = min(segment, steps - first), first if keep else 0
        if not keep:
            scratch[0].copy_(kept[k])
            launch(
                "recompute", a, scratch, weight_ag, weight_gg, bias_g, first, length, count
            )  # fmt: skip
        for i in reversed(range(length)):
            t = first + i
            launch(
                "backward_rows", dh, a, scratch, dg, weight_ag, weight_gg, weight_gc, bias_gc,
                da, dz, dn, ds, t, slot + i + 1, i, count,
            )  # fmt: skip
            if t == 0:
                continue
            if grad_output is None:
                torch.mm(da[t], weight_hh, out=dh)
            else:
                torch.addmm(grad_output[t - 1], da[t], weight_hh, out=dh)
        if any(which[name] for name in ControllerWeights._fields):
            total += launch.sums((dz, dn, ds, a, scratch), first, slot, length, count)
    found = total.to(a.dtype)
    made: dict[str, Callable[[], Tensor]] = {
        "currents": lambda: da,
        "h0": lambda: da[0] @ weight_hh,
        "g0": lambda: dg.view(batch, size, wide)[..., :units].clone(),
        "weight_hh": lambda: torch.addmm(
            da[0].T @ h0, da[1:].reshape(-1, size).T, output[:-1].reshape(-1, size)
        ),
        "weight_ag": lambda: found[high, :units].clone(),
        "weight_gg": lambda: found[:units, :units].clone(),
        "bias_g": lambda: found[high + 1, :units].clone(),
        "weight_gc": lambda: found[high + 2 : high + 4, :units].clone(),
        "bias_gc": lambda: found[high + 4, :2].clone(),
    }
    return tuple(made[name]() if need else a.new_empty(0) for name, need in which.items())


def compare(where: torch.device, precision: str, units: int) -> dict[str, float]:
    """Return the errors of the kernels in a small case, for `verify`.

    Args:
        where: the device.
        precision: how the kernels multiply.
        units: G.

    Returns:
        By name, the relative error of each result and each gradient against the reference in
        float64 on the CPU.
    """
    steps, batch, size = 5, 3, 37
    normal = verify.normal()
    exact = {
        "currents": normal(steps, batch, size),
        "h0": normal(batch, size, scale=0.3),
        "g0": normal(batch, size, units, scale=0.3),
        "weight_hh": normal(size, size, scale=0.5 / size**0.5),
        "weight_ag": normal(units, scale=0.5),
        "weight_gg": normal(units, units, scale=0.7 / units**0.5),
        "bias_g": normal(units, scale=0.2),
        "weight_gc": normal(2, units, scale=0.2 / units**0.5),
        "bias_gc": torch.tensor([2.0, 0.1], dtype=torch.float64),
    }

    def function(*tensors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        layer = flat.by_name(dict(zip(exact, tensors, strict=True)), *_LAYER)
        return _reference(*flat.parse(layer, *_LAYER), None)

    wanted, slopes, cotangents = verify.differentiate(function, [*exact.values()], normal)
    narrow = {name: tensor.to(where, torch.float32) for name, tensor in exact.items()}
    layer = flat.by_name(narrow, *_LAYER)
    gradients = Slopes(*(cotangent.to(where, torch.float32) for cotangent in cotangents))
    plan = Plan(last_only=False, segment=2, keep=False, replay=False)
    needed = [tensor is not None for tensor in layer]
    last = BackwardPlan(plan.segment, plan.keep, plan.replay, needed)
    with torch.no_grad(), device.on(where):
        results, past = flat.parse(forward(*layer, *plan, precision), Results, Past)
        arguments = flat.join(gradients, layer, Rates(results.output), past, last)
        made = flat.needed(backward(*arguments, precision), needed, *_LAYER)
    names = ("rates", "last rates", "last states", *(f"gradient of {name}" for name in made))
    return verify.errors(names, (*results, *made.values()), (*wanted, *slopes))
