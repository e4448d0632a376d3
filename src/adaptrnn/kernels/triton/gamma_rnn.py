"""The recurrent layer with the gamma curve by Triton: the loops over time and the derivatives.

A step is one kernel, `_rows.gamma_forward`: the product W_hh h and the curve of a tile of samples
and neurons; backwards likewise (`_rows.gamma_backward`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from adaptrnn._error import bad
from adaptrnn.kernels import native
from adaptrnn.kernels.gamma_rnn import reference
from adaptrnn.kernels.triton import device, graph, verify
from adaptrnn.kernels.triton.settings import tile

NAMES = ("currents", "h0", "weight_hh", "n", "s")
"""The tensors of the operation, in order."""


def gamma_rnn(
    currents: Tensor,
    h0: Tensor,
    weight_hh: Tensor,
    n: Tensor | None,
    s: Tensor | None,
    nonlinearity: str,
    *,
    last_only: bool = False,
    backend: str = "triton",
) -> tuple[Tensor, Tensor]:
    """The operation on a GPU; arguments as `adaptrnn.kernels.gamma_rnn.gamma_rnn` takes them.

    The activations of all steps are kept for the backward pass, T B N numbers.

    Raises:
        InputError: the kernels cannot run this call.
        MissingExtraError: triton is not installed.
        RuntimeError: at the first use on a device, the kernels' numbers are wrong there.
    """
    tensors = _checked(currents, h0, weight_hh, n, s, nonlinearity)
    past = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    replay = backend == "triton-graph"
    output, h, _ = torch.ops.adaptrnn.gamma_rnn_triton(*tensors, last_only, past, replay)
    return (output[:0] if last_only else output), h


def gamma_rnn_trace(*inputs: Any) -> tuple[Tensor, Tensor]:
    """Activations and rates of all time steps, without gradients."""
    tensors = _checked(*inputs)
    h, _, a = torch.ops.adaptrnn.gamma_rnn_triton(*tensors, False, True, False)
    return a, h


def _checked(*inputs: Any) -> tuple[Tensor, ...]:
    *tensors, nonlinearity = inputs
    if nonlinearity != "gamma":
        reason = f"the Triton kernels have the gamma curve only, not {nonlinearity!r}"
        raise bad("backend", "triton", "'auto' or 'reference' here", f"The reason: {reason}.")
    device.check(tensors)
    currents, h0, weight_hh, n, s = tensors
    return currents, h0, weight_hh, n.expand(h0.shape[-1]), s.expand(h0.shape[-1])


# The operation and its derivatives, as torch knows them.

_TENSORS = ", ".join(f"Tensor {name}" for name in NAMES)


@torch.library.custom_op(
    "adaptrnn::gamma_rnn_triton",
    mutates_args=(),
    schema=f"({_TENSORS}, bool last_only, bool past, bool replay) -> (Tensor, Tensor, Tensor)",
)
def _gamma_rnn(*inputs: Any) -> tuple[Tensor, ...]:
    """output, h_last, and for the backward pass the activations."""
    precision = device.precision()
    verify.once(compare, inputs[0].device, precision)
    last_only, past, replay = inputs[5:]
    with device.on(inputs[0].device):
        if replay:
            return graph.run(forward, inputs[:5], (last_only, past), precision)
        return forward(*inputs[:5], last_only, past, precision)


@_gamma_rnn.register_fake
def _results(*inputs: Any) -> tuple[Tensor, ...]:
    currents, h0, *_, last_only, past, _ = inputs
    steps, (batch, size) = currents.shape[0], h0.shape
    return (
        currents.new_empty(0 if last_only and not past else steps, batch, size),
        currents.new_empty(batch, size),
        currents.new_empty(steps if past else 0, batch, size),
    )


@torch.library.custom_op(
    "adaptrnn::gamma_rnn_triton_backward",
    mutates_args=(),
    schema=f"(Tensor? grad_output, Tensor? grad_h_last, {_TENSORS}, Tensor output, Tensor a, "
    "bool replay, bool[] needed) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _backward(*inputs: Any) -> tuple[Tensor, ...]:
    """Gradients of the five tensors; those not needed are empty."""
    replay, needed = inputs[9:]
    with device.on(inputs[2].device):
        if replay:
            return graph.run(backward, inputs[:9], (needed,), device.precision())
        return backward(*inputs[:9], needed, device.precision())


@_backward.register_fake
def _backward_results(*inputs: Any) -> tuple[Tensor, ...]:
    return native.empty_gradients(inputs[2:7], inputs[-1])


def _context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.replay = inputs[7]
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[2])
    ctx.save_for_backward(*inputs[:5], output[0], output[2])


def _gradient(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
    needed = list(ctx.needs_input_grad[:5])
    if all(grad is None for grad in grads[:2]):
        return (None,) * 8
    found = torch.ops.adaptrnn.gamma_rnn_triton_backward(
        *grads[:2], *ctx.saved_tensors, ctx.replay, needed
    )
    return (*(g if need else None for g, need in zip(found, needed, strict=True)), *(None,) * 3)


def _backward_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs[:7])


def _second_gradient(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
    """Derivatives of the gradients, by the reference."""
    weights, tensors = ctx.saved_tensors[:2], ctx.saved_tensors[2:]
    function = partial(reference.gamma_rnn, nonlinearity="gamma")
    return (*native.second_gradient(function, tensors, weights, grads), *(None,) * 4)


_gamma_rnn.register_autograd(_gradient, setup_context=_context)
_backward.register_autograd(_second_gradient, setup_context=_backward_context)


# The loops over time.


def _launch(like: Tensor, batch: int, size: int, precision: str) -> tuple[Any, Any, dict[str, Any]]:
    """The kernels, the grid and the options of a launch."""
    samples, neurons, inner, warps, stages = tile(device.capability(like.device))
    options = {"SAMPLES": samples, "NEURONS": neurons, "INNER": inner, "PRECISION": precision}
    grid = (-(-size // neurons), -(-batch // samples))
    return device.rows(), grid, {**options, "num_warps": warps, "num_stages": stages}


def forward(*inputs: Any) -> tuple[Tensor, ...]:
    """The forward pass.

    Args:
        inputs: the five tensors; whether only the last rates are wanted; whether the activations
            are kept; the precision.

    Returns:
        Rates (T, B, N), none if only the last are wanted and nothing is kept; the last (B, N);
        activations (T, B, N), if kept.
    """
    *tensors, _, past, precision = inputs
    currents, h0, weight_hh, n, s = (tensor.contiguous() for tensor in tensors)
    steps, batch, size = currents.shape
    kernels, grid, options = _launch(currents, batch, size, precision)
    output, _, a = _results(*inputs)
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


def backward(*inputs: Any) -> tuple[Tensor, ...]:
    """The backward pass.

    Args:
        inputs: gradients of the two results (None: zero), the five tensors, the rates, the
            activations, which of the five gradients are needed, and the precision.

    Returns:
        The five gradients; those not needed are empty.
    """
    grad_output, grad_h, *tensors = inputs[:7]
    output, a, needed, precision = inputs[7:]
    _, h0, weight_hh, n, s = (tensor.contiguous() for tensor in tensors)
    steps, batch, size = a.shape
    kernels, grid, options = _launch(a, batch, size, precision)
    given = grad_output is not None
    grad_output = grad_output.contiguous() if given else a
    da, dh = torch.empty_like(a), a.new_zeros(batch, size)
    for gradient in (grad_output[-1] if given else None, grad_h):
        if gradient is not None:
            dh += gradient
    sums = a.new_zeros(2, grid[1], size, dtype=torch.float64)
    for t in reversed(range(steps)):
        kernels.gamma_backward[grid](
            grad_output, dh, a, weight_hh, n, s, da, sums, t, batch, size,
            GIVEN=given, LAST=t == steps - 1, **options,
        )  # fmt: skip
    by_n, by_s = sums.sum(1).to(a.dtype)
    made: list[Callable[[], Tensor]] = [
        lambda: da,
        lambda: da[0] @ weight_hh,
        lambda: torch.addmm(
            da[0].T @ h0, da[1:].reshape(-1, size).T, output[:-1].reshape(-1, size)
        ),
        lambda: by_n.clone(),
        lambda: by_s.clone(),
    ]
    return tuple(
        make() if need else a.new_empty(0) for make, need in zip(made, needed, strict=True)
    )


def compare(where: torch.device, precision: str) -> dict[str, float]:
    """Errors of the kernels in a small case, for `verify`.

    Args:
        where: the device.
        precision: how the kernels multiply.

    Returns:
        By name, the relative error of each result and each gradient against the reference in
        float64 on the CPU.
    """
    steps, batch, size = 5, 3, 37
    normal = verify.normal()
    tensors = [
        normal(steps, batch, size),
        normal(batch, size, scale=0.3),
        normal(size, size, scale=0.5 / size**0.5),
        2.0 + normal(size, scale=0.2),
        normal(size, scale=0.2),
    ]
    function = partial(reference.gamma_rnn, nonlinearity="gamma")
    wanted, slopes, cotangents = verify.differentiate(function, tensors, normal)
    narrow = [tensor.to(where, torch.float32) for tensor in tensors]
    gradients = [cotangent.to(where, torch.float32) for cotangent in cotangents]
    with torch.no_grad(), device.on(where):
        output, h, a = forward(*narrow, False, True, precision)
        found = backward(*gradients, *narrow, output, a, [True] * 5, precision)
    names = ("rates", "last rates", *(f"gradient of {name}" for name in NAMES))
    return verify.errors(names, (output, h, *found), (*wanted, *slopes))
