"""A task of the user's own is a function with a name, or one in a file, FILE.py:FUNCTION."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from adaptrnn._error import InputError, bad
from adaptrnn.tasks.task import Task

__all__ = ["NamedTask", "is_file", "load_file"]


@dataclass(frozen=True)
class NamedTask:
    """This is a task of trials that has a name.

    Args:
        name: as on the command line.
        make: returns the `Task`; its keyword arguments are the task's parameters, `train_size`
            among them if it is to be set by its own option.
    """

    name: str
    make: Callable[..., Task]


_FILE = re.compile(r".+\.py:[A-Za-z_]\w*")


def is_file(name: str) -> bool:
    """Return whether a task's name is that of a function in a file, FILE.py:FUNCTION.

    Example:
        >>> is_file("./my_task.py:task"), is_file("digits")
        (True, False)
    """
    return _FILE.fullmatch(name) is not None


def load_file(name: str, parameters: Mapping[str, object]) -> Task:
    """Run a file of Python and take the task that a function of it returns.

    Args:
        name: FILE.py:FUNCTION. The code of the file is run: only give one that you trust.
        parameters: keyword arguments of the function.

    Returns:
        The task.

    Raises:
        InputError: there is no such file or function, the file cannot be run, or what the function
            returns is not a `Task`.
    """
    place, _, function = name.rpartition(":")
    path = Path(place).expanduser()
    if not path.is_file():
        raise bad("task", name, "the path of a Python file and a function, FILE.py:FUNCTION")
    spec = importlib.util.spec_from_file_location(f"adaptrnn_task_{path.stem}", path.resolve())
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # code of the user may raise anything
        raise InputError(f"{path}: cannot be run ({type(error).__name__}: {error}).") from error
    make = getattr(module, function, None)
    if not callable(make):
        raise InputError(f"{path}: has no function {function!r}.")
    try:
        return make_task(name, make, parameters)
    except TypeError as error:
        raise InputError(f"{name}: {error}.") from error


def make_task(name: str, make: Callable[..., object], parameters: Mapping[str, object]) -> Task:
    """Return what a function returns, checked to be a task."""
    task = make(**parameters)
    if not isinstance(task, Task):
        raise bad(f"{name}: what it returned", task, "an adaptrnn.tasks.Task")
    return task
