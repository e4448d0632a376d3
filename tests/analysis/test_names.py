"""The public names: all there, imported when used, and functions even where a file has the name."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

import adaptrnn.analysis


@pytest.mark.parametrize("name", adaptrnn.analysis.__all__)
def test_every_name_is_there_and_no_module(name):
    assert not isinstance(getattr(adaptrnn.analysis, name), ModuleType)
    assert name in dir(adaptrnn.analysis)


def test_the_list_is_complete():
    assert set(adaptrnn.analysis.__all__) == set(adaptrnn.analysis._HOME)


@pytest.mark.parametrize("first", ["adaptrnn.analysis.lyapunov", "adaptrnn.analysis"])
def test_a_function_with_the_name_of_its_file(first):
    code = (
        f"import {first}, sys; assert 'sklearn' not in sys.modules;"
        "from adaptrnn.analysis import lyapunov; assert lyapunov.__name__ == 'lyapunov';"
        "from adaptrnn.analysis.lyapunov import system_of; import adaptrnn.analysis as a;"
        "assert a.lyapunov is lyapunov and a.system_of is system_of"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_names():
    with pytest.raises(AttributeError, match="no attribute 'lyapunow'"):
        _ = adaptrnn.analysis.lyapunow
