"""The public names: all are there, none is hidden by a file, and each is imported when used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import adaptrnn.analysis


@pytest.mark.parametrize("name", adaptrnn.analysis.__all__)
def test_every_name_is_there_and_no_module(name):
    assert not isinstance(getattr(adaptrnn.analysis, name), ModuleType)
    assert name in dir(adaptrnn.analysis)


def test_the_list_is_complete():
    assert set(adaptrnn.analysis.__all__) == set(adaptrnn.analysis._HOME)


def test_no_file_hides_a_name():
    """A file with the name of a function would take its place in the package once imported."""
    folder = Path(adaptrnn.analysis.__file__).parent
    assert not set(adaptrnn.analysis.__all__) & {file.stem for file in folder.glob("*.py")}


@pytest.mark.long
def test_a_name_is_imported_when_it_is_used():
    code = (
        "import adaptrnn.analysis, sys; assert 'sklearn' not in sys.modules;"
        "from adaptrnn.analysis import lyapunov; assert lyapunov.__name__ == 'lyapunov';"
        "assert 'adaptrnn.analysis.manifold' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_names():
    with pytest.raises(AttributeError, match="no attribute 'lyapunow'"):
        _ = adaptrnn.analysis.lyapunow
