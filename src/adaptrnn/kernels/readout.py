"""A linear readout of the rates and its loss, at the last step or at every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from adaptrnn._error import bad
from adaptrnn.kernels import native

NAMES = ("weight_out", "bias_out")
"""The tensors of the readout, in order."""

SCHEMA = "Tensor weight_out, Tensor bias_out, Tensor target, Tensor? weights"
"""Arguments of the operations that compute a loss; the input weights and options follow."""


def mean_loss(outputs: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    r"""Mean loss of outputs, each step counted by its weight.

        L = sum_{t,b} w_tb l_tb / sum_{t,b} w_tb

    with l the cross entropy of a class, -ln softmax(y_tb)[target], or the squared error of real
    values, averaged over the K outputs.

    Args:
        outputs: (B, K) for one class a sample, else (T, B, K).
        target: classes (B,) or (T, B), int64, or real values (T, B, K).
        weights: (T, B) >= 0; None for 1 everywhere, and with one class a sample.

    Returns:
        The loss, ().

    Example:
        >>> target = torch.tensor([[0, 1], [2, 3]])
        >>> round(mean_loss(torch.zeros(2, 2, 4), target, torch.eye(2)).item(), 4)  # ln 4
        1.3863
    """
    if target.ndim == 1:
        return cross_entropy(outputs, target)
    if target.is_floating_point():
        each = (outputs - target).square().mean(-1)
    else:
        each = cross_entropy(outputs.flatten(0, -2), target.flatten(), reduction="none")
        each = each.view(target.shape)
    if weights is None:
        return each.mean()
    weights = weights.to(each.dtype)
    return (each * weights).sum() / weights.sum()


def loss_of_rates(
    rates: Tensor,
    weight_out: Tensor,
    bias_out: Tensor,
    target: Tensor,
    weights: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """`mean_loss` of a linear readout of rates (B, N) or (T, B, N), and its outputs."""
    outputs = linear(rates, weight_out, bias_out)
    return mean_loss(outputs, target, weights), outputs.detach()


def check(
    steps: int,
    batch: int,
    size: int,
    weight_out: Tensor,
    bias_out: Tensor,
    target: Tensor,
    weights: Tensor | None,
) -> None:
    """Raise an InputError for shapes and dtypes that do not fit."""
    if weight_out.ndim != 2 or weight_out.shape[0] < 1 or weight_out.shape[1] != size:
        raise bad("weight_out.shape", tuple(weight_out.shape), f"(K, N) = (K, {size})")
    outputs, every = weight_out.shape[0], (steps, batch)
    if bias_out.shape != (outputs,):
        raise bad("bias_out.shape", tuple(bias_out.shape), f"(K,) = ({outputs},)")
    real = target.is_floating_point()
    shapes = [(*every, outputs)] if real else [(batch,), every]
    if tuple(target.shape) not in shapes or not (real or target.dtype == torch.int64):
        shown = f"{tuple(target.shape)} of {target.dtype}"
        classes = f"(B,) = ({batch},) or (T, B) = {every} of torch.int64"
        raise bad("target.shape", shown, f"{classes}, or real values (T, B, K) = {shapes[0]}")
    if weights is not None and (target.ndim == 1 or tuple(weights.shape) != every):
        allowed = "None with one class a sample" if target.ndim == 1 else f"(T, B) = {every}"
        raise bad("weights.shape", tuple(weights.shape), allowed)


def check_classes(target: Tensor, outputs: int) -> None:
    """Raise an InputError for a class outside 0 to K-1; a traced call cannot look."""
    if target.is_floating_point() or torch.compiler.is_compiling():
        return
    if not 0 <= int(target.min()) <= int(target.max()) < outputs:
        raise bad("target", target, f"classes from 0 to K-1 = {outputs - 1}")


def served(backend: str, target: Tensor, weights: Tensor | None, *tensors: Tensor | None) -> bool:
    """Whether a native kernel computes this loss; it has no gradient by target and weights."""
    given = [target] if weights is None else [target, weights]
    if not native.takes(backend, *tensors) or any(t.device.type != "cpu" for t in given):
        return False
    return not (torch.is_grad_enabled() and any(t.requires_grad for t in given))


# What the operations of both layers share. Their arguments are the layer's own tensors, as many as
# it has `names`, then `SCHEMA`, `native.INPUT` and options; their results the loss, the outputs,
# and the gradients of the layer's tensors, of the readout and of the input weights.


def results(count: int, inputs: Sequence[Any]) -> tuple[Tensor, ...]:
    """Empty results for a layer of `count` tensors; those not needed have no numbers."""
    tensors, (weight_out, bias_out, target, _, *given) = inputs[:count], inputs[count : count + 6]
    scores = tensors[0].new_empty(*target.shape[:2], weight_out.shape[0])
    gradients = native.empty_gradients((*tensors, weight_out, bias_out, *given), inputs[-1])
    return tensors[0].new_empty(()), scores, *gradients


def fused(
    operation: str, names: Sequence[str], inputs: Sequence[Any], *arguments: Any, each: int
) -> tuple[Tensor, ...]:
    """Run a native kernel that computes loss and gradient in one visit.

    Args:
        operation: of the native module.
        names: of the layer's tensors.
        inputs: of the torch operation; the last three are memory_budget, bf16 and needed.
        arguments: further ones of the native operation.
        each: bytes that one thread needs to keep the past of its tile.
    """
    count, (budget, bf16, _) = len(names), inputs[-3:]
    tensors, (weight_out, bias_out, target, weights, *given) = (
        inputs[:count],
        inputs[count : count + 6],
    )
    currents = tensors[0]
    steps, batch = currents.shape[:2]
    outputs = weight_out.shape[0]
    losses = currents.new_empty(batch, dtype=torch.float64)
    _, scores, *gradients = results(count, inputs)
    real = target.is_floating_point()
    arrays = native.named(names, (*tensors, *given))
    arrays |= {
        "weight_out": weight_out.contiguous(),
        "bias_out": bias_out.contiguous(),
        "target": None if real else target.reshape(-1, batch).contiguous(),
        "values": target.to(currents.dtype).contiguous() if real else None,
        "counts": None if weights is None else weights.to(currents.dtype).contiguous(),
        "scores": scores.view(-1, batch, outputs),
        "loss": losses,
    }
    every = (*names, *NAMES, "weight_ih", "bias_ih")
    arrays |= {f"grad_{name}": g for name, g in zip(every, gradients, strict=True)}
    fits = each * min(torch.get_num_threads(), batch) <= budget
    segment = steps if fits else native.segment_length(steps, 10)
    native.run(operation, "fused", *arguments, arrays=arrays, segment=segment, bf16=bf16)
    return losses.sum().to(currents.dtype), scores, *gradients


def differentiate(operation: Any, count: int, reference: Callable[..., Tensor]) -> None:
    """Register the derivatives of an operation that computes a loss.

    Args:
        operation: the torch operation, made with `results` and `fused`.
        count: of the layer's own tensors.
        reference: (arguments of the operation) -> loss, for second derivatives.
    """
    end = count + 6
    places = (*range(count + 2), count + 4, count + 5)  # of what has a gradient

    def context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        native.refuse_gradient_of_input((inputs[0], *inputs[end - 2 : end]))
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*output[1:])
        ctx.options = inputs[end:]
        ctx.save_for_backward(*inputs[:end], *output[2:])

    def gradient(ctx: Any, grad: Tensor | None, *_: Tensor | None) -> tuple[Any, ...]:
        answer: list[Tensor | None] = [None] * (end + len(ctx.options))
        if grad is None:
            return tuple(answer)
        needed = [place for place in places if ctx.needs_input_grad[place]]
        saved: tuple[Tensor, ...] = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient is to be differentiated again
            inputs: list[Any] = list(saved[:end])
            for place, tensor in zip(
                places, native.separate([saved[p] for p in places]), strict=True
            ):
                inputs[place] = tensor
            loss = reference(*inputs, *ctx.options)
            wanted = [inputs[place] for place in needed]
            found = torch.autograd.grad(loss, wanted, grad, create_graph=True)
            for place, value in zip(needed, found, strict=True):
                answer[place] = value
        else:
            # a value can be looked at only outside of a graph being traced
            one = type(grad) is Tensor and float(grad) == 1
            for place, value in zip(places, saved[end:], strict=True):
                if place in needed:
                    answer[place] = value if one else value * grad
        return tuple(answer)

    operation.register_autograd(gradient, setup_context=context)
