"""What operations take and what named tuples hold, in the same form, to be compared."""

from __future__ import annotations


def arguments(operation):
    """Names of what an operation takes, each with whether it may be left out."""
    given = operation.default._schema.arguments
    return [(argument.name, str(argument.type).startswith("Optional")) for argument in given]


def taken(kind):
    """The same of a named tuple: what may be left out has a default."""
    return [(name, name in kind._field_defaults) for name in kind._fields]
