"""Registries hold what has a name: in this package, added by the user, or in other packages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, Protocol, TypeVar

from adaptrnn._error import InputError, bad, choose


@cache
def installed(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name; packages are searched once in a process."""
    return {point.name: point for point in entry_points(group=group)}


class Named(Protocol):
    """This protocol describes anything that has a name."""

    @property
    def name(self) -> str:
        """Return the name."""


_Entry = TypeVar("_Entry", bound=Named)


class Registry(Mapping[str, _Entry], Generic[_Entry]):
    """A registry is a read-only mapping from names to entries that other packages can add to.

    The names of the package itself come first. An entry point of an installed package is imported
    when its entry is asked for, not when names are listed.

    Args:
        argument: what a name is called in messages, such as "model".
        kind: class of the entries.
        built_in: the entries of the package itself.
        group: entry point group of other packages, whose objects are entries.
        reserved: names that no other package can take.
    """

    def __init__(
        self,
        argument: str,
        kind: type[_Entry],
        built_in: Iterable[_Entry],
        group: str,
        reserved: tuple[str, ...] = (),
    ) -> None:
        self.argument, self.kind, self.group, self.reserved = argument, kind, group, reserved
        self.built_in = {entry.name: entry for entry in built_in}
        self._registered: dict[str, _Entry] = {}

    def add(self, entry: _Entry) -> _Entry:
        """Add an entry, or replace one of the same name that was added before.

        Raises:
            InputError: not an entry, or a name that cannot be taken.
        """
        if not isinstance(entry, self.kind):
            raise bad(self.argument, entry, f"an adaptrnn.{self.kind.__name__}")
        # a name becomes a part of folders and of command lines
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", entry.name):
            allowed = "letters, digits, '.', '_' and '-', and begin with a letter or digit"
            raise bad("name", entry.name, allowed)
        if entry.name in (*self.built_in, *self.reserved):
            raise bad("name", entry.name, f"other than the {self.argument} names of adaptrnn")
        self._registered[entry.name] = entry
        return entry

    def remove(self, name: str) -> None:
        """Forget an entry that was added."""
        del self._registered[choose("name", name, self._registered)]

    def __getitem__(self, name: str) -> _Entry:
        """Return the entry of a name; an unknown one is an `InputError` that lists those known."""
        for known in (self.built_in, self._registered):
            if isinstance(name, str) and name in known:
                return known[name]
        points = installed(self.group)
        advice = (
            f"The {self.argument} of another package is known where that package is installed, or "
            f"after adaptrnn.register_{self.argument}."
        )
        point = points[choose(self.argument, name, self, advice)]
        try:
            entry: object = point.load()
        except Exception as error:  # code of another package may raise anything
            raise InputError(
                f"{self.argument}={name!r}: {point.value} cannot be imported "
                f"({type(error).__name__}: {error}). Repair or remove the package that brings it."
            ) from error
        if not isinstance(entry, self.kind) or entry.name != name:
            allowed = f"an adaptrnn.{self.kind.__name__} of the name {name!r}"
            raise bad(f"{self.argument} {name!r}, {point.value}", entry, allowed)
        return entry

    def get(self, name: str, default: Any = None) -> Any:
        """Return the entry of a name, or another value where there is none."""
        if name in self:
            return self[name]
        return default

    def __contains__(self, name: object) -> bool:
        return name in self.built_in or name in self._registered or name in installed(self.group)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self.built_in, *self._registered, *installed(self.group))))

    def __len__(self) -> int:
        return len(list(iter(self)))
