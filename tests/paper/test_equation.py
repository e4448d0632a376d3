"""The list of equations names functions and tests that are there."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from adaptrnn.paper.equation import EQUATIONS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("equation", EQUATIONS, ids=[name for _, name, _ in EQUATIONS])
def test_what_an_equation_names_is_there(equation):
    _, name, test = equation
    module, _, function = name.rpartition(".")
    assert callable(getattr(importlib.import_module(module), function))
    assert (ROOT / test).is_file()


def test_an_equation_is_listed_once():
    texts = [text for text, _, _ in EQUATIONS]
    assert len(set(texts)) == len(texts)
