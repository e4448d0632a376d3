"""The layer of adaptive recurrent units by Triton: the loops over time, memory, derivatives.

A step is a library product, W_hh h, and one kernel over rows (`_rows.forward_rows`); backwards
likewise, and once a segment the states between two kept ones (`_rows.recompute`) and the gradients
of the controller's weights (`_rows.weights`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear, pad

from adaptrnn.kernels import native
from adaptrnn.kernels.arun import reference
from adaptrnn.kernels.triton import device, graph, verify
from adaptrnn.kernels.triton.settings import KERNELS, columns, pitch, setting

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

CHUNK = 4096
"""Rows whose contributions to the weights' gradients one program sums."""


def arun(
    *tensors: Tensor, last_only: bool = False, memory_budget: int, backend: str = "triton"
) -> tuple[Tensor, Tensor, Tensor]:
    """The operation on a GPU; the nine tensors as `adaptrnn.kernels.arun.arun` takes them.

    Raises:
        InputError: the kernels cannot run this call.
        MissingExtraError: triton is not installed.
        RuntimeError: at the first use on a device, the kernels' numbers are wrong there.
    """
    device.check(tensors, tensors[2].shape[-1])
    (steps, batch, size), units = tensors[0].shape, tensors[2].shape[-1]
    segment, keep = 0, False
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        segment = math.isqrt(steps - 1) + 1
        keep = 4 * steps * batch * size * (pitch(units) + 2) <= memory_budget
    replay = backend == "triton-graph"
    output, h, g, _, _ = torch.ops.adaptrnn.arun_triton(*tensors, last_only, segment, keep, replay)
    return (output[:0] if last_only else output), h, g


def arun_trace(*tensors: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """a, g, n, s, h of all steps, without gradients."""
    device.check(tensors, tensors[2].shape[-1])
    h, _, _, a, kept = torch.ops.adaptrnn.arun_triton(*tensors, False, 1, True, False)
    g = kept[1:, :, : tensors[2].shape[-1]].reshape(*h.shape, -1)
    n, s = linear(g, *tensors[7:]).unbind(-1)
    return a, g, n, s, h


# The operation and its derivatives, as torch knows them.

_TENSORS = ", ".join(f"Tensor {name}" for name in NAMES)


@torch.library.custom_op(
    "adaptrnn::arun_triton",
    mutates_args=(),
    schema=f"({_TENSORS}, bool last_only, SymInt segment, bool keep, bool replay)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _arun(*inputs: Any) -> tuple[Tensor, ...]:
    """output, h_last, g_last, and for the backward pass: the activations and the kept states."""
    precision = device.precision()
    verify.once(compare, inputs[0].device, precision, inputs[2].shape[-1])
    *options, replay = inputs[9:]
    with device.on(inputs[0].device):
        if replay:
            return graph.run(forward, inputs[:9], options, precision)
        return forward(*inputs[:9], *options, precision)


@_arun.register_fake
def _results(*inputs: Any) -> tuple[Tensor, ...]:
    currents, _, g0, *_, last_only, segment, keep, _ = inputs
    steps, (batch, size, units) = currents.shape[0], g0.shape
    states = (steps + 1 if keep else -(-steps // segment)) if segment else 0
    return (
        currents.new_empty(0 if last_only and not segment else steps, batch, size),
        currents.new_empty(batch, size),
        currents.new_empty(batch, size, units),
        currents.new_empty(steps if segment else 0, batch, size),
        currents.new_empty(states, batch * size, pitch(units)),
    )


@torch.library.custom_op(
    "adaptrnn::arun_triton_backward",
    mutates_args=(),
    schema=f"(Tensor? grad_output, Tensor? grad_h_last, Tensor? grad_g_last, {_TENSORS}, "
    "Tensor output, Tensor a, Tensor kept, SymInt segment, bool keep, bool replay, "
    "bool[] needed) -> "
    f"({', '.join(['Tensor'] * 9)})",
)
def _backward(*inputs: Any) -> tuple[Tensor, ...]:
    """Gradients of the nine tensors; those not needed are empty."""
    segment, keep, replay, needed = inputs[15:]
    options, precision = (segment, keep, needed), device.precision()
    with device.on(inputs[3].device):
        if replay:
            return graph.run(backward, inputs[:15], options, precision)
        return backward(*inputs[:15], *options, precision)


@_backward.register_fake
def _backward_results(*inputs: Any) -> tuple[Tensor, ...]:
    return native.empty_gradients(inputs[3:12], inputs[-1])


def _context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.options = inputs[10:13]
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*output[3:])
    ctx.save_for_backward(*inputs[:9], output[0], *output[3:])


def _gradient(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
    needed = list(ctx.needs_input_grad[:9])
    if all(grad is None for grad in grads[:3]):
        return (None,) * 13
    found = torch.ops.adaptrnn.arun_triton_backward(
        *grads[:3], *ctx.saved_tensors, *ctx.options, needed
    )
    return (*(g if need else None for g, need in zip(found, needed, strict=True)), *(None,) * 4)


def _backward_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs[:12])


def _second_gradient(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
    """Derivatives of the gradients, by the reference."""
    weights, tensors = ctx.saved_tensors[:3], ctx.saved_tensors[3:]
    found = native.second_gradient(reference.arun, tensors, weights, grads)
    return (*found, *(None,) * 7)


_arun.register_autograd(_gradient, setup_context=_context)
_backward.register_autograd(_second_gradient, setup_context=_backward_context)


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

    def __call__(self, name: str, *arguments: Any) -> None:
        """Launch one program for each block of rows; their number is the last argument."""
        block, options = self.ready[name]
        getattr(self.kernels, name)[(-(-arguments[-1] // block),)](*arguments, **options)

    def sums(self, *arguments: Any) -> Tensor:
        """Launch `_rows.weights`, and add up what the programs found, (U + 5, U) in float64."""
        *tensors, first, slot, steps, count = arguments
        block, options = self.ready["weights"]
        over = (steps + 1) * count
        chunk = min(CHUNK, -(-over // block) * block)
        programs = -(-over // chunk)
        sums = tensors[0].new_empty(programs, self.columns + 5, self.columns)
        kernel = self.kernels.weights[(programs,)]
        kernel(*tensors, sums, first, slot, steps, count, chunk, **options)
        return sums.sum(0, dtype=torch.float64)


def _padded(controller: tuple[Tensor, ...], units: int) -> tuple[Tensor, ...]:
    """The controller's weights with zeros up to U columns (and rows of W_gg)."""
    weight_ag, weight_gg, bias_g, weight_gc, bias_gc = controller
    more = columns(units) - units
    wide = (
        pad(weight_ag, (0, more)),
        pad(weight_gg, (0, more, 0, more)),
        pad(bias_g, (0, more)),
        pad(weight_gc, (0, more)),
        bias_gc,
    )
    return tuple(tensor.contiguous() for tensor in wide)


def forward(*inputs: Any) -> tuple[Tensor, ...]:
    """The forward pass, and what the backward pass needs of it.

    Args:
        inputs: the nine tensors; whether only the last rates are wanted; the steps between two
            kept states, 0 for no gradients; whether every state is kept; the precision.

    Returns:
        Rates (T, B, N), none if only the last are wanted and there are no gradients; the last
        rates and states; activations (T, B, N); states (kept, B N, PITCH), either all T + 1 or
        those before steps 0, S, 2 S, ...
    """
    *tensors, _, segment, keep, precision = inputs
    currents, h0, g0, weight_hh, *controller = tensors
    steps, (batch, size, units) = currents.shape[0], g0.shape
    count, wide = batch * size, pitch(units)
    weight_ag, weight_gg, bias_g, weight_gc, bias_gc = _padded(tuple(controller), units)
    launch = _Launcher(currents, units, precision)
    output, _, _, a, kept = _results(*inputs)
    # without gradients only what the next step needs: activations of one step, states of two
    every, past = len(output) == steps, segment > 0
    h = output if every else currents.new_empty(2, batch, size)
    a = a if past else currents.new_empty(1, batch, size)
    kept = kept if past else currents.new_empty(1, count, wide)
    kept[0].copy_(pad(g0.reshape(count, units), (0, wide - units)))
    ring = kept if keep else currents.new_empty(2, count, wide)
    coupling = weight_hh.T
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


def backward(*inputs: Any) -> tuple[Tensor, ...]:
    """The backward pass.

    Args:
        inputs: gradients of the three results (None: zero), the nine tensors, the rates, the
            activations, the kept states, the steps between two of them, whether all are kept, which
            of the nine gradients are needed, and the precision.

    Returns:
        The nine gradients; those not needed are empty.
    """
    grad_output, grad_h, grad_g, *tensors = inputs[:12]
    output, a, kept, segment, keep, needed, precision = inputs[12:]
    _, h0, g0, weight_hh, *controller = tensors
    steps, (batch, size, units) = a.shape[0], g0.shape
    count, wide = batch * size, pitch(units)
    weight_ag, weight_gg, bias_g, weight_gc, bias_gc = _padded(tuple(controller), units)
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
    high = launch.columns
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
        if any(needed[4:]):
            total += launch.sums(dz, dn, ds, a, scratch, first, slot, length, count)
    found = total.to(a.dtype)
    made: list[Callable[[], Tensor]] = [
        lambda: da,
        lambda: da[0] @ weight_hh,
        lambda: dg.view(batch, size, wide)[..., :units].clone(),
        lambda: torch.addmm(
            da[0].T @ h0, da[1:].reshape(-1, size).T, output[:-1].reshape(-1, size)
        ),
        lambda: found[high, :units].clone(),
        lambda: found[:units, :units].clone(),
        lambda: found[high + 1, :units].clone(),
        lambda: found[high + 2 : high + 4, :units].clone(),
        lambda: found[high + 4, :2].clone(),
    ]
    return tuple(
        make() if need else a.new_empty(0) for make, need in zip(made, needed, strict=True)
    )


def compare(where: torch.device, precision: str, units: int) -> dict[str, float]:
    """Errors of the kernels in a small case, for `verify`.

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
    tensors = [
        normal(steps, batch, size),
        normal(batch, size, scale=0.3),
        normal(batch, size, units, scale=0.3),
        normal(size, size, scale=0.5 / size**0.5),
        normal(units, scale=0.5),
        normal(units, units, scale=0.7 / units**0.5),
        normal(units, scale=0.2),
        normal(2, units, scale=0.2 / units**0.5),
        torch.tensor([2.0, 0.1], dtype=torch.float64),
    ]
    wanted, slopes, cotangents = verify.differentiate(reference.arun, tensors, normal)
    narrow = [tensor.to(where, torch.float32) for tensor in tensors]
    gradients = [cotangent.to(where, torch.float32) for cotangent in cotangents]
    with torch.no_grad(), device.on(where):
        output, h, g, a, kept = forward(*narrow, False, 2, False, precision)
        options = (output, a, kept, 2, False, [True] * 9, precision)
        found = backward(*gradients, *narrow, *options)
    names = ("rates", "last rates", "last states", *(f"gradient of {n}" for n in NAMES))
    return verify.errors(names, (output, h, g, *found), (*wanted, *slopes))
