"""Compute a linear readout of the rates and its loss, at the last step or at every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from adaptrnn._error import bad
from adaptrnn.kernels import flat, native

if TYPE_CHECKING:
    from torch.library import CustomOpDef


class Readout(NamedTuple):
    """A readout maps H rates linearly to K outputs, and holds what its loss compares them with.

    Attributes:
        weight_out: (K, H).
        bias_out: (K,).
        target: classes 0 to K-1 at the last step (B,) or at every step (T, B), int64; or real
            values at every step (T, B, K).
        weights: (T, B) >= 0, how much a step counts in the mean; None for 1 everywhere, and with
            one class a sample.
    """

    weight_out: Annotated[Tensor, "K H"]
    bias_out: Annotated[Tensor, "K"]
    target: Annotated[Tensor, "B"] | Annotated[Tensor, "T B"] | Annotated[Tensor, "T B K"]
    weights: Annotated[Tensor, "T B"] | None = None


TRAINED = ("weight_out", "bias_out")
"""The fields of `Readout` that have a gradient."""


def mean_loss(
    outputs: Annotated[Tensor, "B K"] | Annotated[Tensor, "T B K"],
    target: Annotated[Tensor, "B"] | Annotated[Tensor, "T B"] | Annotated[Tensor, "T B K"],
    weights: Annotated[Tensor, "T B"] | None = None,
) -> Annotated[Tensor, ""]:
    r"""Return the mean loss of outputs, each step counted by its weight.

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
    rates: Annotated[Tensor, "B H"] | Annotated[Tensor, "T B H"], readout: Readout
) -> tuple[Annotated[Tensor, ""], Annotated[Tensor, "B K"] | Annotated[Tensor, "T B K"]]:
    """Return `mean_loss` of a linear readout of rates (B, H) or (T, B, H), and its outputs."""
    outputs = linear(rates, readout.weight_out, readout.bias_out)
    return mean_loss(outputs, readout.target, readout.weights), outputs.detach()


def check(steps: int, batch: int, size: int, readout: Readout) -> None:
    """Raise an InputError for shapes and dtypes that do not fit."""
    weight_out, bias_out, target, weights = readout
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


def check_classes(readout: Readout) -> None:
    """Raise an InputError for a class outside 0 to K-1; a traced call cannot look."""
    target, outputs = readout.target, readout.weight_out.shape[0]
    if target.is_floating_point() or torch.compiler.is_compiling():
        return
    if not 0 <= int(target.min()) <= int(target.max()) < outputs:
        raise bad("target", target, f"classes from 0 to K-1 = {outputs - 1}")


def served(backend: str, readout: Readout, *tensors: Tensor | None) -> bool:
    """Return whether a native kernel computes this loss, without gradient by target and weights."""
    given = [t for t in (readout.target, readout.weights) if t is not None]
    tensors = (*tensors, readout.weight_out, readout.bias_out)
    if not native.takes(backend, *tensors) or any(t.device.type != "cpu" for t in given):
        return False
    return not (torch.is_grad_enabled() and any(t.requires_grad for t in given))


# What the operations of both layers share. Their arguments are the layer's tensors in two named
# tuples, `Readout`, and a plan of their own; their results the loss, the outputs, and the gradients
# of the layer's tensors and of what is `TRAINED` of the readout.


def with_gradient(*layer: flat.Kind | NamedTuple) -> tuple[str, ...]:
    """Return the names of the tensors whose gradients the operation of a layer computes.

    Args:
        layer: the classes of the layer's named tuples.
    """
    return (*flat.fields(*layer), *TRAINED)


def count(*layer: flat.Kind) -> int:
    """Return how many results the operation of a layer has: loss, outputs and gradients."""
    return len(("loss", "outputs", *with_gradient(*layer)))


def needs(readout: Readout, *layer: NamedTuple) -> list[bool]:
    """Return whether each gradient of `with_gradient` is wanted; `layer` are the tuples."""
    named = flat.named(*layer, readout)
    return native.needs([named[name] for name in with_gradient(*layer)])


def results(readout: Readout, *layer: NamedTuple, needed: Sequence[bool]) -> tuple[Tensor, ...]:
    """Return empty results of an operation; gradients that are not needed have no numbers."""
    named = flat.named(*layer, readout)
    like: Tensor = named["currents"]
    scores = like.new_empty(*readout.target.shape[:2], readout.weight_out.shape[0])
    tensors = [named[name] for name in with_gradient(*layer)]
    return like.new_empty(()), scores, *native.empty_gradients(tensors, needed)


def fused(
    operation: str,
    readout: Readout,
    *layer: NamedTuple,
    arguments: Sequence[int] = (),
    each: int,
    memory_budget: int,
    bf16: bool,
    needed: Sequence[bool],
) -> tuple[Tensor, ...]:
    """Run a native kernel that computes loss and gradient in one visit.

    Args:
        operation: of the native module.
        readout: the readout and its targets.
        layer: the named tuples of the layer's tensors.
        arguments: further ones of the native operation.
        each: bytes that one thread needs to keep the past of its tile.
        memory_budget: bytes that all threads together may use for it.
        bf16: whether operands of products are rounded to bfloat16.
        needed: which gradients, as `needs`.
    """
    target, counts = readout.target, readout.weights
    currents: Tensor = flat.named(*layer)["currents"]
    steps, batch = currents.shape[:2]
    losses = currents.new_empty(batch, dtype=torch.float64)
    _, scores, *gradients = results(readout, *layer, needed=needed)
    real = target.is_floating_point()
    arrays = native.arrays(*layer) | {
        "weight_out": readout.weight_out.contiguous(),
        "bias_out": readout.bias_out.contiguous(),
        "target": None if real else target.reshape(-1, batch).contiguous(),
        "values": target.to(currents.dtype).contiguous() if real else None,
        "counts": None if counts is None else counts.to(currents.dtype).contiguous(),
        "scores": scores.view(-1, batch, readout.weight_out.shape[0]),
        "loss": losses,
    }
    every = with_gradient(*layer)
    arrays |= {f"grad_{name}": g for name, g in zip(every, gradients, strict=True)}
    fits = each * min(torch.get_num_threads(), batch) <= memory_budget
    segment = steps if fits else native.segment_length(steps, 10)
    native.run(operation, "fused", *arguments, arrays=arrays, segment=segment, bf16=bf16)
    return losses.sum().to(currents.dtype), scores, *gradients


def differentiate_loss(
    operation: CustomOpDef, *kinds: flat.Kind, reference: Callable[..., Tensor]
) -> None:
    """Register the derivatives of an operation that computes a loss.

    Args:
        operation: the torch operation, made with `results` and `fused`.
        kinds: classes of its arguments: two of the layer, `Readout`, and that of its plan.
        reference: (arguments of the operation) -> loss, for second derivatives.
    """
    *layer, _, plan = kinds
    tensors, names = flat.fields(*layer, Readout), with_gradient(*layer)

    def context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        given = dict(zip(flat.fields(*kinds), inputs, strict=True))
        native.refuse_gradient_of_input(given["currents"], given["weight_ih"])
        ctx.set_materialize_grads(False)
        _, scores, *slopes = output
        ctx.mark_non_differentiable(scores, *slopes)
        ctx.plan = [given[name] for name in flat.fields(plan)]
        ctx.save_for_backward(*(given[name] for name in tensors), *slopes)

    def gradient(ctx: Any, grad: Tensor | None, *_: Tensor | None) -> tuple[Any, ...]:
        if grad is None:
            return flat.by_name({}, *kinds)
        wanted = dict(zip(flat.fields(*kinds), ctx.needs_input_grad, strict=True))
        needed = [name for name in names if wanted[name]]
        saved = iter(ctx.saved_tensors)
        given = {name: next(saved) for name in tensors}
        slopes = dict(zip(names, saved, strict=True))
        if torch.is_grad_enabled():  # the gradient is to be differentiated again
            apart = native.separate([given[name] for name in names])
            given |= dict(zip(names, apart, strict=True))
            loss = reference(*given.values(), *ctx.plan)
            leaves = [given[name] for name in needed]
            found = torch.autograd.grad(loss, leaves, grad, create_graph=True)
            return flat.by_name(dict(zip(needed, found, strict=True)), *kinds)
        # a value can be looked at only outside of a graph being traced
        one = type(grad) is Tensor and float(grad) == 1
        answer = {name: slopes[name] if one else slopes[name] * grad for name in needed}
        return flat.by_name(answer, *kinds)

    operation.register_autograd(gradient, setup_context=context)
