"""Check in every call that tensors have the shapes that the annotations of a function say.

A public function says the shape of a tensor as `Annotated[Tensor, "T B D"]`. Equal letters in one
call are equal numbers; "..." is any number of axes, and "*B" any number that has a name; axes with
"#" broadcast. A letter that the object fixes, such as N in a layer of N neurons, is that number.
jaxtyping and beartype check this in tests alone, so that it costs users nothing.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import beartype
import jaxtyping
import torch
from beartype.vale import Is
from torch import Tensor

import adaptrnn

_LAYER = {
    "D": "self.input_size",
    "N": "self.hidden_size",
    "H": "self.hidden_size*(1+self.bidirectional)",
    "L": "self.num_layers*(1+self.bidirectional)",
    "G": "self.controller_size",
}
_TORCH_LAYER = _LAYER | {  # a projection makes the output narrower than the state
    "P": "self.weight_hh_l0.shape[1]",
    "H": "self.weight_hh_l0.shape[1]*(1+self.bidirectional)",
}
_READOUT = {"N": "self.core.hidden_size", "K": "self.readout.out_features"}
FIXED = {
    "Recurrent": _LAYER,
    "LSTM": _TORCH_LAYER,
    "GRU": _TORCH_LAYER,
    "Classifier": _READOUT,
    "SequenceModel": _READOUT,
    "System": {"N": "self.neurons", "S": "self.size"},
    "AdaptationController": {"G": "self.controller_size"},
}
"""What the letters in the methods of a class stand for."""

NoTensor = Annotated[object, Is[lambda value: not isinstance(value, Tensor)]]


def modules() -> list[types.ModuleType]:
    """Every module whose functions say a shape."""
    root = Path(adaptrnn.__file__).parent
    found = [path for path in sorted(root.rglob("*.py")) if "Annotated[Tensor" in path.read_text()]
    names = [".".join(path.relative_to(root.parent).with_suffix("").parts) for path in found]
    return [importlib.import_module(name) for name in names]


def in_words_of_jaxtyping(hint: Any, fixed: dict[str, str]) -> Any:
    """The same hint for jaxtyping; what says no shape becomes Any, which is not checked."""
    if get_origin(hint) is Annotated:
        kind, shape = get_args(hint)
        known = (f"{{{fixed[word]}}}" if word in fixed else word for word in shape.split())
        return jaxtyping.Shaped[kind, " ".join(known)]
    if hint is type(None):
        return None
    if isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields"):
        parts = list(get_type_hints(hint, include_extras=True).values())
        hint = tuple[tuple(parts)] if any(map(says_a_shape, parts)) else Any
    parts = [in_words_of_jaxtyping(part, fixed) for part in get_args(hint) if part is not ...]
    if get_origin(hint) is tuple:
        return tuple[(parts[0], ...)] if ... in get_args(hint) else tuple[tuple(parts)]
    if get_origin(hint) in (Union, types.UnionType):  # Any would allow a tensor of any shape too
        some = any(map(says_a_shape, get_args(hint)))
        parts = [NoTensor if some and part is Any else part for part in parts]
        return Union[tuple(parts)]  # noqa: UP007 - made of parts
    return Any


def says_a_shape(hint: Any) -> bool:
    """Whether there is a shape in a hint, or in the fields of a named tuple in it."""
    if get_origin(hint) is Annotated:
        return get_args(hint)[0] is Tensor
    if isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields"):
        return any(map(says_a_shape, get_type_hints(hint, include_extras=True).values()))
    return any(map(says_a_shape, get_args(hint)))


def checked(function: Callable[..., Any], holder: Any = None) -> Callable[..., Any] | None:
    """The function with the shapes of every call that returns checked; None if it says none.

    What a call refuses with an error of its own is not looked at, nor what torch compiles.
    """
    scope = inspect.unwrap(function).__globals__
    signature = inspect.signature(function)
    hints = {name: hint_of(text, scope) for name, text in function.__annotations__.items()}
    if not any(map(says_a_shape, hints.values())):
        return None
    fixed = FIXED.get(getattr(holder, "__name__", ""), {})
    words = {name: in_words_of_jaxtyping(hint, fixed) for name, hint in hints.items()}

    def returned(*arguments: Any, returned_value: Any, **named: Any) -> Any:
        return returned_value

    parameters = [
        parameter.replace(annotation=words.get(name, Any))
        for name, parameter in signature.parameters.items()
    ]
    result = inspect.Parameter("returned_value", inspect.Parameter.KEYWORD_ONLY, annotation=Any)
    rest = [p for p in parameters if p.kind is inspect.Parameter.VAR_KEYWORD]
    returned.__signature__ = inspect.Signature(
        [*(p for p in parameters if p not in rest), result, *rest],
        return_annotation=words.get("return", Any),
    )
    for name in ("__module__", "__name__", "__qualname__"):
        setattr(returned, name, getattr(function, name))
    check = jaxtyping.jaxtyped(returned, typechecker=beartype.beartype)

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        value = function(*arguments, **named)
        if not torch.compiler.is_compiling():
            check(*arguments, returned_value=value, **named)
        return value

    return call


def hint_of(text: Any, scope: dict[str, Any]) -> Any:
    """The hint that a text stands for; Any if only a type checker can read it."""
    try:
        return eval(text, scope) if isinstance(text, str) else text
    except (NameError, TypeError):
        if "Annotated[Tensor" in text:
            raise
        return Any


def functions(module: types.ModuleType) -> Iterator[tuple[Any, str, Callable[..., Any]]]:
    """Holder, name and function: of a module, and of its classes."""
    for name, value in list(vars(module).items()):
        if getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(value):
            yield from ((value, k, v) for k, v in vars(value).items() if inspect.isfunction(v))
        elif inspect.isfunction(value):
            yield module, name, value


@functools.cache
def all_checked() -> list[tuple[Any, str, Callable[..., Any], Callable[..., Any]]]:
    """Holder, name, function and checked function of all that say a shape."""
    found = []
    for module in modules():
        for holder, name, function in functions(module):
            with_check = checked(function, holder)
            if with_check is not None:
                found.append((holder, name, function, with_check))
    return found


@contextlib.contextmanager
def installed(*more: types.ModuleType) -> Iterator[dict[str, int]]:
    """Check all functions in a `with` block, also where these modules import them by name.

    Gives how often each was called.
    """
    called: dict[str, int] = {}
    undo: list[tuple[Any, str, Any]] = []

    def counted(key: str, function: Callable[..., Any], check: Callable[..., Any]) -> Any:
        @functools.wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            if not torch.compiler.is_compiling():
                called[key] += 1
            return check(*arguments, **named)

        return call

    places = [m for name, m in list(sys.modules.items()) if name.split(".")[0] == "adaptrnn"]
    for holder, name, function, check in all_checked():
        key = f"{function.__module__}.{function.__qualname__}"
        called[key] = 0
        new = counted(key, function, check)
        holders = [holder]
        if not inspect.isclass(holder):
            holders = [m for m in (*places, *more) if vars(m).get(name) is function]
        for place in holders:
            undo.append((place, name, vars(place)[name]))
            setattr(place, name, new)
    try:
        yield called
    finally:
        for place, name, before in undo:
            setattr(place, name, before)
