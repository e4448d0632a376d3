"""At torch's border named tuples become a flat list, which an operation is given, and gives.

The arguments of an operation are the fields of some named tuples, one after another; here they
become a list, and named tuples again. A kind is the class of a named tuple.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar, get_type_hints, overload

from torch import Tensor

Kind: TypeAlias = type[NamedTuple]
TYPES: dict[object, str] = {
    Tensor: "Tensor",
    Tensor | None: "Tensor?",
    bool: "bool",
    int: "SymInt",
    str: "str",
    list[bool]: "bool[]",
}
"""What torch calls the type of a field."""

Value: TypeAlias = "Tensor | bool | int | str | list[bool] | None"
"""The value of a field, as torch hands it to an operation."""

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")


def fields(*kinds: Kind | NamedTuple) -> tuple[str, ...]:
    """Return the names of the fields of all kinds."""
    return tuple(itertools.chain.from_iterable(kind._fields for kind in kinds))


def schema(*kinds: Kind, results: int) -> str:
    """Return the schema of an operation that takes the fields of all kinds.

    Example:
        >>> from typing import NamedTuple
        >>> Plan = NamedTuple("Plan", [("steps", int), ("past", Tensor)])
        >>> schema(Plan, results=2)
        '(SymInt steps, Tensor past) -> (Tensor, Tensor)'
    """
    types = itertools.chain.from_iterable(get_type_hints(kind).items() for kind in kinds)
    given = ", ".join(f"{TYPES[kind]} {name}" for name, kind in types)
    return f"({given}) -> ({', '.join(['Tensor'] * results)})"


@overload
def parse(values: Sequence[object], a: type[A], /) -> tuple[A]: ...
@overload
def parse(values: Sequence[object], a: type[A], b: type[B], /) -> tuple[A, B]: ...
@overload
def parse(values: Sequence[object], a: type[A], b: type[B], c: type[C], /) -> tuple[A, B, C]: ...
@overload
def parse(
    values: Sequence[object], a: type[A], b: type[B], c: type[C], d: type[D], /
) -> tuple[A, B, C, D]: ...
@overload
def parse(
    values: Sequence[object], a: type[A], b: type[B], c: type[C], d: type[D], e: type[E], /
) -> tuple[A, B, C, D, E]: ...
@overload
def parse(
    values: Sequence[object],
    a: type[A],
    b: type[B],
    c: type[C],
    d: type[D],
    e: type[E],
    f: type[F],
    /,
) -> tuple[A, B, C, D, E, F]: ...
def parse(values: Sequence[object], *kinds: Any) -> tuple[object, ...]:
    """Return the flat list as named tuples; this is the inverse of `join`."""
    rest = iter(values)
    found = tuple(kind._make(itertools.islice(rest, len(kind._fields))) for kind in kinds)
    if next(rest, rest) is not rest:
        raise ValueError(f"more values than the fields of {kinds}")
    return found


def join(*groups: Iterable[object]) -> tuple[Any, ...]:
    """Return all values of named tuples, one after another."""
    return tuple(itertools.chain(*groups))


def named(*groups: NamedTuple) -> dict[str, Any]:
    """Return all values of named tuples, by the names of their fields."""
    return dict(itertools.chain.from_iterable(group._asdict().items() for group in groups))


def by_name(values: Mapping[str, A], *kinds: Kind) -> tuple[A | None, ...]:
    """Return the flat list of the values of these names, None where there is none.

    Example:
        >>> from typing import NamedTuple
        >>> Plan = NamedTuple("Plan", [("steps", int), ("past", Tensor)])
        >>> by_name({"past": 3}, Plan)
        (None, 3)
    """
    return tuple(values.get(name) for name in fields(*kinds))


def needed(values: Sequence[A], which: Sequence[bool], *kinds: Kind) -> dict[str, A]:
    """Return by name the values of the fields of all kinds that are needed."""
    triples = zip(fields(*kinds), values, which, strict=True)
    return {name: value for name, value, need in triples if need}
