"""Named tuples at torch's border: what becomes a flat list comes back by name."""

from __future__ import annotations

from typing import NamedTuple

import hypothesis.strategies as st
import pytest
from hypothesis import given
from torch import Tensor

from adaptrnn.kernels import flat
from adaptrnn.kernels.arun.tensor import Inputs, Slopes, Weights


class Plan(NamedTuple):
    steps: int
    past: Tensor | None
    needed: list[bool]


KINDS = (Inputs, Weights, Slopes, Plan)


@given(kinds=st.permutations(KINDS), values=st.data())
def test_a_flat_list_comes_back_by_name(kinds, values):
    count = len(flat.fields(*kinds))
    drawn = values.draw(st.lists(st.integers(), min_size=count, max_size=count))
    groups = flat.parse(drawn, *kinds)
    assert [type(group) for group in groups] == kinds
    assert flat.join(*groups) == tuple(drawn)
    assert flat.by_name(flat.named(*groups), *kinds) == tuple(drawn)
    weights = groups[kinds.index(Weights)]
    assert weights.alpha == drawn[flat.fields(*kinds).index("alpha")]


def test_what_is_missing_is_none_and_what_is_too_much_an_error():
    assert flat.by_name({"past": 1}, Slopes, Plan) == (None, None, None, None, 1, None)
    for values in ([1] * 5, [1] * 7):
        with pytest.raises((TypeError, ValueError)):
            flat.parse(values, Slopes, Plan)


def test_the_schema_has_the_types_of_the_fields():
    text = "(SymInt steps, Tensor? past, bool[] needed) -> (Tensor)"
    assert flat.schema(Plan, results=1) == text
    assert flat.schema(Inputs, results=2).endswith("Tensor g0) -> (Tensor, Tensor)")


def test_only_what_is_needed_is_given_back():
    assert flat.needed("abc", [True, False, True], Plan) == {"steps": "a", "needed": "c"}
    with pytest.raises(ValueError, match="shorter"):
        flat.needed("ab", [True, False], Plan)
