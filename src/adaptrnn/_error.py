"""An error is one clear sentence: it names argument, value, what is allowed and what to do."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType


class InputError(ValueError):
    """A value given by the user cannot be used.

    Example:
        >>> from adaptrnn._error import bad
        >>> raise bad("hidden_size", 0, "an integer >= 1")
        Traceback (most recent call last):
        adaptrnn._error.InputError: hidden_size=0: must be an integer >= 1.
    """


class NotFiniteError(InputError):
    """A value is NaN or infinite, either a given one or the state that a network reached."""


class ShapeError(InputError, RuntimeError):
    """A tensor does not fit; also a RuntimeError, as torch.nn.RNN raises for such a tensor."""


class KindError(InputError, TypeError):
    """A value is of a wrong type; also a TypeError, as torch.nn.RNN raises for such a value."""


class MissingExtraError(ImportError):
    """An optional dependency is not installed; the message holds the command that installs it."""


def missing_extra(module: str, extra: str) -> MissingExtraError:
    """Build the error of a module that an extra of adaptrnn brings."""
    return MissingExtraError(
        f"{module} is not installed; it comes with the extra {extra!r}: "
        f"run  pip install 'adaptrnn[{extra}]'"
    )


def bad(
    argument: str,
    value: object,
    allowed: str,
    advice: str = "",
    error: type[InputError] = InputError,
) -> InputError:
    """Build an `InputError`: ``argument=value: must be <allowed>. <advice>``.

    Args:
        argument: name of the argument as its user wrote it.
        value: what was given; long values are shortened.
        allowed: what is allowed, continuing the words "must be".
        advice: what to do, a whole sentence (optional).
        error: which error, where a caller of torch.nn.RNN would expect another built-in type.

    Returns:
        The error, to be raised by the caller.
    """
    shown = repr(value)
    if len(shown) > 200:
        shown = shown[:197] + "..."
    message = f"{argument}={shown}: must be {allowed}."
    return error(f"{message} {advice}" if advice else message)


def choose(argument: str, value: str, options: Iterable[str], advice: str = "") -> str:
    """Return `value` if it is one of `options`, else raise with the nearest one suggested.

    Args:
        argument: name of the argument.
        value: what was given.
        options: the allowed names.
        advice: what to do where none of them is near, a whole sentence (optional).

    Returns:
        `value`, unchanged.

    Raises:
        InputError: `value` is not among `options`.

    Example:
        >>> choose("nonlinearity", "gama", ["tanh", "gamma"])
        Traceback (most recent call last):
        adaptrnn._error.InputError: nonlinearity='gama': must be one of 'tanh', 'gamma'. Did you ...
    """
    names = list(options)
    if isinstance(value, str) and value in names:
        return value
    near = difflib.get_close_matches(str(value), names, n=1, cutoff=0.4)
    advice = f"Did you mean {near[0]!r}?" if near else advice
    raise bad(argument, value, "one of " + ", ".join(repr(name) for name in names), advice)


def require(module: str, extra: str) -> ModuleType:
    """Import an optional dependency, or say which command installs it.

    Args:
        module: dotted name of the module.
        extra: the extra of adaptrnn that brings it.

    Returns:
        The imported module.

    Raises:
        MissingExtraError: the module is not installed.

    Example:
        >>> require("math", "train").sqrt(4.0)
        2.0
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or module.split(".")[0] != error.name.split(".")[0]:
            raise
        raise missing_extra(module, extra) from error
