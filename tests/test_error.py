"""Messages: they name the argument, its value, what is allowed, and stay short."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from adaptrnn._error import (
    InputError,
    KindError,
    MissingExtraError,
    ShapeError,
    bad,
    choose,
    require,
)

NAMES = st.lists(st.text("abcdefgh", min_size=1, max_size=8), min_size=1, max_size=5, unique=True)


@given(st.text(max_size=500), st.text(max_size=50))
def test_a_message_shows_the_value_and_stays_short(value, allowed):
    message = str(bad("argument", value, allowed))
    shown = message.removeprefix("argument=").removesuffix(f": must be {allowed}.")
    assert shown == repr(value) if len(repr(value)) <= 200 else len(shown) == 200


@given(NAMES, st.text("abcdefgh", max_size=8))
def test_a_name_is_chosen_or_all_of_them_are_listed(names, value):
    if value in names:
        assert choose("name", value, names) == value
        return
    with pytest.raises(InputError) as error:
        choose("name", value, names)
    assert all(repr(name) in str(error.value) for name in names)


@given(NAMES)
def test_one_wrong_letter_is_answered_by_the_right_name(names):
    wrong = names[0] * 2
    if wrong not in names:
        with pytest.raises(InputError, match=r"Did you mean '\w+'\?"):
            choose("name", wrong, names)


@pytest.mark.parametrize(("kind", "builtin"), [(ShapeError, RuntimeError), (KindError, TypeError)])
def test_what_torch_raises_is_caught_as_torchs(kind, builtin):
    with pytest.raises(builtin):
        raise bad("x", 1, "a tensor", error=kind)


def test_a_missing_module_names_the_command_that_brings_it():
    with pytest.raises(MissingExtraError, match=r"no_such.*pip install 'adaptrnn\[train\]'"):
        require("no_such", "train")


def test_a_module_that_is_broken_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "broken_one.py").write_text("import no_such_module")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        require("broken_one", "train")
