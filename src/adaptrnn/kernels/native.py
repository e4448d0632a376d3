"""Are the native CPU kernels here, can they run a call, and how is it split?"""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.functional import linear

from adaptrnn._error import bad, choose
from adaptrnn.kernels import flat

if TYPE_CHECKING:
    from torch.library import CustomOpDef

BACKENDS = ("auto", "reference", "cpu", "triton", "triton-graph")

ON_GPU = ("triton", "triton-graph")
"""The backends of `adaptrnn.kernels.triton`."""

PRECISIONS = ("auto", "float32", "bf16")

BFLOAT16_SETS = ("amx", "avx512bf16")
"""The instruction sets that multiply bfloat16 numbers by instructions of their own."""

MEMORY_BUDGET = 2**30
"""Bytes that a call may spend to keep its past instead of computing it again."""

FEW_INPUTS = 8
"""Up to this number of inputs the kernels make the currents themselves, step by step; above it,
the currents are a product over all steps."""

Inputs = TypeVar("Inputs", bound=NamedTuple)
Weights = TypeVar("Weights", bound=NamedTuple)

_NUMPY = {torch.float32: np.float32, torch.float64: np.float64}

_module: ModuleType | None = None
_missing = ""
try:
    _module = importlib.import_module("adaptrnn.kernels._cpu")
except ImportError as error:
    _missing = str(error)
_SETS: tuple[str, ...] = () if _module is None else tuple(_module.instruction_sets())


def why_not() -> str | None:
    """Return None if the native kernels are here, else why they are not."""
    if _module is not None:
        return None
    return f"the native kernels were not built when adaptrnn was installed ({_missing})"


def no_amx() -> str | None:
    """Return None if AMX multiplies bfloat16 numbers here, else why it does not.

    The system lets a process use AMX that has asked for it. This asks, once, as does the first call
    whose products are of bfloat16.
    """
    return why_not() if _module is None else _module.no_amx() or None


def instruction_sets() -> list[str]:
    """Return the instruction sets that this machine can run, the one in use first.

    The environment variable ADAPTRNN_INSTRUCTION_SET ("amx", "avx512bf16", "avx512", "avx2" or
    "portable") asks for another than the best, for instance to get the same bits on two kinds of
    machine.

    Returns:
        The names; empty if the native kernels are not built.
    """
    if _module is None:
        return []
    names = list(_SETS)
    wanted = _wanted()
    return [wanted, *(name for name in names if name != wanted)] if wanted else names


def bfloat16(precision: str, dtype: torch.dtype) -> bool:
    """Return whether the native kernels round the factors of their products to bfloat16.

    Args:
        precision: "float32" never rounds. "bf16" does, by an emulation of the same rounding where
            the processor has no such instructions. "auto" does where these are faster than float32
            (`fast_bfloat16`) and
            ``torch.get_float32_matmul_precision()`` is "medium".
        dtype: of the tensors of the call; only products of float32 are rounded.

    Returns:
        True where they are rounded.

    Raises:
        InputError: an unknown name.

    Example:
        >>> bfloat16("bf16", torch.float32), bfloat16("bf16", torch.float64)
        (True, False)
    """
    choose("precision", precision, PRECISIONS)
    if dtype != torch.float32 or precision == "float32":
        return False
    if precision == "bf16":
        return True
    return _medium() and fast_bfloat16()


def fast_bfloat16() -> bool:
    """Return whether products of bfloat16 are faster here than those of float32.

    They are with AMX, and with AVX512-BF16 on AMD's processors. Intel's multiply bfloat16 numbers
    without AMX more slowly than float32 (`docs/reference/benchmarks.md`).
    """
    wanted = _wanted()
    if wanted:
        return wanted in BFLOAT16_SETS
    if _module is None or not _SETS or _SETS[0] not in BFLOAT16_SETS:
        return False
    return no_amx() is None or not _module.intel()


def _medium() -> bool:
    """Whether torch may round products to bfloat16; a compiled call does so only when told to."""
    return not torch.compiler.is_compiling() and torch.get_float32_matmul_precision() == "medium"


def takes(backend: str, *tensors: Tensor | None) -> bool:
    """Return whether a call with these tensors goes to the native kernels.

    Args:
        backend: a name in `BACKENDS`.
        tensors: every tensor of the call; None is skipped.

    Returns:
        True for the native kernels, False for the reference.

    Raises:
        InputError: an unknown name, or "cpu" where the kernels cannot run; the message says why.
    """
    choose("backend", backend, BACKENDS)
    if backend == "reference" or backend in ON_GPU:
        return False
    reason = _obstacle([tensor for tensor in tensors if tensor is not None])
    if reason is not None and backend == "cpu":
        raise bad("backend", backend, "'auto' or 'reference' here", f"The reason: {reason}.")
    return reason is None


def check_leak(backend: str, alpha: Tensor | None, size: int) -> None:
    """Raise where a leak cannot be computed.

    Args:
        backend: a name in `BACKENDS`.
        alpha: (N,), the leak, or None.
        size: N.

    Raises:
        InputError: a backend that has no leak; alpha of another shape, or not in (0, 1].
    """
    if alpha is None:
        return
    if choose("backend", backend, BACKENDS) in ON_GPU:
        advice = "The kernels for GPUs have no leak; tau = dt needs none."
        allowed = "'auto', 'cpu' or 'reference' with a leak, dt < tau"
        raise bad("backend", backend, allowed, advice)
    if tuple(alpha.shape) != (size,):
        raise bad("alpha.shape", tuple(alpha.shape), f"(N,) = ({size},)")
    if not torch.compiler.is_compiling() and not bool(((alpha > 0) & (alpha <= 1)).all()):
        raise bad("alpha", alpha, "dt / tau, 0 < alpha <= 1")


def given(
    backend: str, inputs: Inputs, weights: Weights, *others: Tensor | None
) -> tuple[Inputs, Weights]:
    """Return what an operation is given: the input and its weights, or the currents made of them.

    Currents, where the kernels cannot run, where there are many inputs, and where the gradient of
    the input is wanted.

    Args:
        backend: a name in `BACKENDS`.
        inputs: of the layer; `currents` are (T, B, N), or with `weight_ih` the input (T, B, D).
        weights: of the layer; `weight_ih` is (N, D), or None where currents are given, and
            `bias_ih` (N,), or None for zeros.
        others: the other tensors of the call; None is skipped.

    Raises:
        InputError: shapes that do not fit; as `takes`.
    """
    named = flat.named(inputs, weights)
    x, weight_ih, bias_ih = named["currents"], named["weight_ih"], named["bias_ih"]
    if weight_ih is None:
        return inputs, weights._replace(bias_ih=None)
    if x.ndim != 3 or 0 in x.shape:
        raise bad("currents.shape", tuple(x.shape), "(T, B, D), each at least 1, with weight_ih")
    if weight_ih.ndim != 2 or 0 in weight_ih.shape or weight_ih.shape[1] != x.shape[2]:
        raise bad("weight_ih.shape", tuple(weight_ih.shape), f"(N, D) = (N, {x.shape[2]})")
    size = weight_ih.shape[0]
    if bias_ih is not None and bias_ih.shape != (size,):
        raise bad("bias_ih.shape", tuple(bias_ih.shape), f"(N,) = ({size},)")
    native = takes(backend, *inputs, *others, *weights)
    if not native or x.shape[2] > FEW_INPUTS or x.requires_grad or _exporting():
        currents = linear(x, weight_ih, bias_ih)
        return inputs._replace(currents=currents), weights._replace(weight_ih=None, bias_ih=None)
    return inputs, weights._replace(bias_ih=x.new_zeros(size) if bias_ih is None else bias_ih)


def arrays(*groups: NamedTuple) -> dict[str, Tensor | None]:
    """Return arrays for `run`: the tensors of named tuples, by name.

    With `weight_ih` what the operation calls currents is its input.
    """
    found = {
        name: None if tensor is None else tensor.contiguous()
        for name, tensor in flat.named(*groups).items()
    }
    if found.get("weight_ih") is not None:
        found["input"] = found.pop("currents")
    return found


def refuse_gradient_of_input(currents: Tensor, weight_ih: Tensor | None) -> None:
    """Raise where an operation called directly would leave the input without its gradient."""
    if weight_ih is not None and currents.requires_grad:
        raise RuntimeError("with weight_ih the kernels have no gradient of the input")


def _exporting() -> bool:
    """Whether torch.export traces: the program must serve gradients and batches not seen now."""
    asked = getattr(torch.compiler, "is_exporting", None)  # since torch 2.7
    return asked is not None and torch.compiler.is_compiling() and asked()


def segment_length(steps: int, batch: int) -> int:
    """Return the steps between two kept states, a multiple of 16 near the root of T."""
    if _exporting():
        batch = 10
    return 16 * max(1, round(math.sqrt(steps * max(batch, 10) / 10) / 16))


def run(
    operation: str,
    *arguments: int | str,
    arrays: dict[str, Tensor | None],
    segment: int,
    bf16: bool = False,
) -> None:
    """Call the native module; `arrays` are inputs and outputs, None and empty ones left out."""
    if _module is None:
        raise RuntimeError(why_not())
    if forward_ad._current_level >= 0:  # of an exported program; torch would go on with zeros
        raise RuntimeError(
            "the native kernels have no forward-mode derivatives: export the layer with "
            "backend='reference'"
        )
    plain = {
        n: value.detach() for n, value in arrays.items() if value is not None and value.numel()
    }
    function = getattr(_module, operation)
    function(*arguments, plain, segment, bf16, torch.get_num_threads(), _wanted())


def arun_past(
    steps: int,
    batch: int,
    size: int,
    units: int,
    dtype: torch.dtype,
    bf16: bool = False,
    outputs: int = 0,
    leaks: bool = False,
) -> tuple[int, int]:
    """Return the numbers of a call's whole past, and bytes one thread needs to keep its tile's."""
    if _module is None:
        raise RuntimeError(why_not())
    double = dtype == torch.float64
    sizes = (int(steps), int(batch), int(size), int(units), int(outputs))
    return _module.arun_past(*sizes, leaks, double, bf16, _wanted())


def rnn_past(
    steps: int,
    batch: int,
    size: int,
    dtype: torch.dtype,
    bf16: bool,
    outputs: int,
    leaks: bool = False,
) -> int:
    """Return the bytes that one thread needs to keep the past of its tile of a fused call."""
    if _module is None:
        raise RuntimeError(why_not())
    sizes = (int(steps), int(batch), int(size), int(outputs))
    return _module.rnn_past(*sizes, leaks, dtype == torch.float64, bf16, _wanted())[1]


def zeros(like: Tensor, *shape: int) -> Tensor:
    """Return zeros, made without torch's threads where they are not needed.

    torch fills large tensors by several threads, which then wait for more work without sleeping,
    some 5 ms on Linux: next to a kernel that starts at once they would take its time.
    """
    plain = type(like) in (Tensor, torch.nn.Parameter) and like.device.type == "cpu"
    if not plain or like.dtype not in _NUMPY or torch.compiler.is_compiling():
        return like.new_zeros(shape)
    return torch.from_numpy(np.zeros(shape, _NUMPY[like.dtype]))


def needs(tensors: Sequence[Tensor | None]) -> list[bool]:
    """Return whether the gradient of each is wanted."""
    return [tensor is not None and tensor.requires_grad for tensor in tensors]


def empty_gradients(tensors: Sequence[Tensor | None], needed: Sequence[bool]) -> tuple[Tensor, ...]:
    """Return a tensor to be filled for each that is needed, an empty one for each that is not."""
    first = next(tensor for tensor in tensors if tensor is not None)
    return tuple(
        like.new_empty(like.shape) if need and like is not None else first.new_empty(0)
        for like, need in zip(tensors, needed, strict=True)
    )


def differentiate_layer(
    forward: CustomOpDef,
    backward: CustomOpDef,
    layer: tuple[flat.Kind, ...],
    results: flat.Kind,
    past: flat.Kind,
    plans: tuple[flat.Kind, flat.Kind],
    reference: Callable[..., tuple[Tensor, ...]],
    kept: Callable[..., tuple[NamedTuple, ...]] = lambda plan, results, past: (past,),
) -> None:
    """Register the derivatives of the operation of a layer.

    Args:
        forward: takes the fields of `layer` and of a plan, and gives those of `results` and `past`.
        backward: takes the slopes of `results`, the layer, what is kept and a plan that ends with
            `needed`, and gives the gradients of the layer; those not needed are empty.
        layer: classes of the layer's named tuples; `currents` and `weight_ih` are among the fields.
        results: class of the results.
        past: class of what only the backward pass reads.
        plans: classes of both plans; but for `needed`, the second one's fields are in the first.
        reference: (the layer's named tuples, second plan) -> `results`, for second derivatives.
        kept: (first plan, `results`, `past`) -> what of these the backward pass needs.
    """
    plan, backward_plan = plans
    count, size = len(results._fields), len(flat.fields(*layer))

    @backward.register_fake
    def _empty(*values: Any) -> tuple[Tensor, ...]:
        return empty_gradients(values[count : count + size], values[-1])

    def context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        tensors, ctx.plan = inputs[:size], plan._make(inputs[size:])
        named = dict(zip(flat.fields(*layer), tensors, strict=True))
        refuse_gradient_of_input(named["currents"], named["weight_ih"])
        found, rest = results._make(output[:count]), past._make(output[count:])
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*rest)
        ctx.save_for_backward(*tensors, *flat.join(*kept(ctx.plan, found, rest)))

    def gradient(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        slopes, needed = grads[:count], list(ctx.needs_input_grad[:size])
        none = [None] * len(ctx.needs_input_grad)
        if all(slope is None for slope in slopes):
            return (*none,)
        last = flat.by_name({**ctx.plan._asdict(), "needed": needed}, backward_plan)
        found = backward(*slopes, *ctx.saved_tensors, *last)
        wanted = (one if need else None for one, need in zip(found, needed, strict=True))
        return (*wanted, *none[size:])

    def backward_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.plan = backward_plan._make(inputs[-len(backward_plan._fields) :])
        ctx.none = [None] * (len(inputs) - count - size)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs[: count + size])

    def second(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        def function(*values: Tensor | None) -> tuple[Tensor, ...]:
            return reference(*flat.parse(values, *layer), ctx.plan)

        slopes, tensors = ctx.saved_tensors[:count], ctx.saved_tensors[count:]
        return (*second_gradient(function, tensors, slopes, grads), *ctx.none)

    forward.register_autograd(gradient, setup_context=context)
    backward.register_autograd(second, setup_context=backward_context)


def second_gradient(
    function: Callable[..., tuple[Tensor, ...]],
    tensors: Sequence[Tensor | None],
    weights: Sequence[Tensor | None],
    grads: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """Differentiate sum(grads . G), G = d(sum(weights . function(*tensors)))/d(tensors).

    Args:
        function: the reference, differentiable any number of times.
        tensors: its arguments.
        weights: of its results, None for zeros.
        grads: one for each of the tensors, None for zeros.

    Returns:
        Derivatives by the weights and then by the tensors; None where there is none.
    """
    nothing: list[Tensor | None] = [None] * (len(weights) + len(tensors))
    weighted = any(weight is not None and weight.numel() for weight in weights)
    if not weighted or all(grad is None for grad in grads):
        return nothing
    again = torch.is_grad_enabled()  # whether what is returned is to be differentiated too
    with torch.enable_grad():
        inputs, factors = separate(tensors), separate(weights)
        pairs = zip(function(*inputs), factors, strict=True)
        total = torch.stack([(r * f).sum() for r, f in pairs if f is not None and f.numel()]).sum()
        asked = [
            (tensor, grad)
            for tensor, grad in zip(inputs, grads, strict=True)
            if tensor is not None and grad is not None
        ]
        first = torch.autograd.grad(
            total, [tensor for tensor, _ in asked], create_graph=True, allow_unused=True
        )
        terms = [
            (gradient * grad).sum()
            for gradient, (_, grad) in zip(first, asked, strict=True)
            if gradient is not None and gradient.requires_grad
        ]
        if not terms:
            return nothing
        wanted = [tensor for tensor in (*factors, *inputs) if tensor is not None]
        found = iter(
            torch.autograd.grad(
                torch.stack(terms).sum(), wanted, create_graph=again, allow_unused=True
            )
        )
        return [None if tensor is None else next(found) for tensor in (*factors, *inputs)]


def separate(tensors: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Return views by which to differentiate a function of these tensors, each as if alone.

    Where one tensor was computed from another, as the gradient of a loss from the weights, a
    derivative by the tensors themselves would count what flows from the one to the other, which
    the graph that they come from counts already. A view ends there. Tensors that do not require a
    gradient become leaves that do.
    """

    def alone(tensor: Tensor | None) -> Tensor | None:
        if tensor is None:
            return None
        return tensor.view_as(tensor) if tensor.requires_grad else tensor.detach().requires_grad_()

    return [alone(tensor) for tensor in tensors]


def peak(threads: int, seconds: float) -> float:
    """Measure the float32 multiply-adds per second that this machine reaches in registers."""
    if _module is None:
        raise RuntimeError(why_not())
    return _module.peak(threads, seconds, _wanted())


def processor() -> str:
    """Return the name of this machine's processor, as Linux or Python knows it."""
    lines: list[str] = []
    with contextlib.suppress(OSError):  # not Linux
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _wanted() -> str:
    return os.environ.get("ADAPTRNN_INSTRUCTION_SET", "")


def _transformed() -> bool:
    """Whether a transform of torch.func or a forward-mode derivative is being computed."""
    inside = torch._C._functorch.maybe_current_level() is not None
    return inside or forward_ad._current_level >= 0


# torch.compile asks while it traces, as `torch.compiler.assume_constant_result` would tell it; that
# function loads the whole compiler
_transformed._dynamo_marked_constant = True  # type: ignore[attr-defined]


def _obstacle(tensors: list[Tensor]) -> str | None:
    if _module is None:
        return why_not()
    dtype = tensors[0].dtype
    if dtype not in (torch.float32, torch.float64):
        return f"the native kernels compute in float32 or float64, not {dtype}"
    for tensor in tensors:
        if tensor.device.type != "cpu":
            return f"a tensor is on {tensor.device}, not in the memory of the CPU"
        if tensor.dtype != dtype:
            return f"dtypes are mixed: {dtype} and {tensor.dtype}"
    if _transformed():
        return "transforms of torch.func and forward-mode derivatives are left to the reference"
    return None
