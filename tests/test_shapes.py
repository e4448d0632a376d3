"""Shapes in annotations hold: the examples of every module run with them checked.

A public function says the shape of a tensor as `Annotated[Tensor, "T B D"]`; equal letters in one
call are equal numbers, and "..." is any number of axes. jaxtyping and beartype check that here.
"""

from __future__ import annotations

import doctest
import functools
import importlib
import inspect
import types
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Union, get_args, get_origin

import beartype
import jaxtyping
import pytest
import torch
from torch import Tensor

MODULES = (
    "classifier",
    "controller",
    "dale",
    "gated",
    "init",
    "kernels.arun.op",
    "kernels.gamma_rnn.op",
    "sequence",
    "tasks.image",
    "analysis.gradient",
    "analysis.jacobian",
    "analysis.lyapunov_exponent",
    "analysis.manifold",
    "analysis.scaling",
    "analysis.system",
    "analysis.transfer",
)


def in_words_of_jaxtyping(hint: Any) -> Any:
    """The same hint for jaxtyping; what says no shape becomes Any, which is not checked."""
    if get_origin(hint) is Annotated:
        kind, shape = get_args(hint)
        return jaxtyping.Shaped[kind, shape]
    if hint is type(None):
        return None
    parts = [in_words_of_jaxtyping(part) for part in get_args(hint)]
    if get_origin(hint) is tuple:
        return tuple[tuple(parts)]
    if get_origin(hint) in (Union, types.UnionType):
        return Union[tuple(parts)]  # noqa: UP007 - made of parts
    return Any


def checked(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """The function with its shapes checked in every call; None if it says none."""
    said = {
        name: text for name, text in function.__annotations__.items() if "Annotated" in str(text)
    }
    if not said:
        return None
    decorated, function = hasattr(function, "__wrapped__"), inspect.unwrap(function)
    plain = types.FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    plain.__kwdefaults__ = function.__kwdefaults__
    plain.__annotations__ = {
        name: in_words_of_jaxtyping(eval(text, function.__globals__)) for name, text in said.items()
    }
    found = jaxtyping.jaxtyped(plain, typechecker=beartype.beartype)
    return torch.no_grad()(found) if decorated else found  # the only decorator there is


def functions(module: types.ModuleType) -> Iterator[tuple[Any, str, Callable[..., Any]]]:
    """Holder, name and function: of a module, and of its classes."""
    for name, value in list(vars(module).items()):
        if getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(value):
            yield from ((value, k, v) for k, v in vars(value).items() if inspect.isfunction(v))
        elif inspect.isfunction(value):
            yield module, name, value


def test_examples_run_with_their_shapes_checked(monkeypatch):
    modules = [importlib.import_module(f"adaptrnn.{name}") for name in MODULES]
    called: dict[str, int] = {}
    for module in modules:
        for holder, name, function in list(functions(module)):
            with_check = checked(function)
            if with_check is None:
                continue
            key = f"{module.__name__}.{function.__qualname__}"
            called[key] = 0

            def counted(*args, _key=key, _call=with_check, **kwargs):
                called[_key] += 1
                return _call(*args, **kwargs)

            monkeypatch.setattr(holder, name, functools.wraps(function)(counted))
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    for module in modules:
        assert doctest.testmod(module, optionflags=flags).failed == 0, module.__name__
    # an abstract method is called by nobody
    assert [name for name, times in called.items() if not times] == [
        "adaptrnn.controller.AbstractController.forward"
    ]
    assert len(called) > 25


def _planted(
    x: Annotated[Tensor, "T B D"], z: Annotated[Tensor, "B S"] | None
) -> Annotated[Tensor, "B"]:
    return x[0, :, 0] if z is None else z[0]


def test_a_wrong_shape_is_noticed():
    right = checked(_planted)
    x = torch.zeros(5, 3, 2)
    assert right(x, None).shape == (3,)
    for wrong in (
        lambda: right(x[0], None),  # an axis is missing
        lambda: right(x, torch.zeros(2, 3)),  # another number of samples
        lambda: right(x, torch.zeros(3, 4)),  # what comes back has 4 samples, not 3
    ):
        with pytest.raises(jaxtyping.TypeCheckError):
            wrong()
