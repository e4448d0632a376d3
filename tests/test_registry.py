"""A registry: the names of its own come first and cannot be taken, others come and go."""

from __future__ import annotations

from dataclasses import dataclass

import hypothesis.strategies as st
import pytest
from hypothesis import given

from adaptrnn import InputError
from adaptrnn._registry import Registry


@dataclass(frozen=True)
class Entry:
    name: str
    value: int = 0


OWN = (Entry("first"), Entry("second"))


def registry() -> Registry[Entry]:
    return Registry("entry", Entry, OWN, "adaptrnn.no-such-group", ("reserved",))


@given(st.lists(st.from_regex(r"[a-z][a-z0-9_.-]{0,8}", fullmatch=True), max_size=6))
def test_it_is_a_mapping_of_what_was_added(names):
    names = [name for name in names if name not in ("first", "second", "reserved")]
    found = registry()
    for value, name in enumerate(names):
        found.add(Entry(name, value))
    last = {name: value for value, name in enumerate(names)}
    assert list(found) == ["first", "second", *dict.fromkeys(names)]
    assert len(found) == 2 + len(last)
    assert {name: found[name].value for name in last} == last
    for name in last:
        found.remove(name)
    assert dict(found) == {entry.name: entry for entry in OWN}


@pytest.mark.parametrize("name", ["first", "reserved", "", "-x", "a b", "a/b", "../x", "é"])
def test_a_name_that_cannot_be_taken_changes_nothing(name):
    found = registry()
    with pytest.raises(InputError, match="name="):
        found.add(Entry(name))
    assert list(found) == ["first", "second"]


def test_only_entries_are_taken_and_only_what_was_added_is_removed():
    found = registry()
    with pytest.raises(InputError, match=r"an adaptrnn\.Entry"):
        found.add("first")  # type: ignore[type-var]
    with pytest.raises(InputError, match="name='first'"):
        found.remove("first")


def test_a_name_that_is_not_there():
    found = registry()
    assert "frist" not in found and found.get("frist") is None
    with pytest.raises(InputError, match="Did you mean 'first'"):
        found["frist"]
