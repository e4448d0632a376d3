"""One word for one thing: no two modules give one name to two things, no name is that of a file."""

from __future__ import annotations

import ast
import importlib
from collections import defaultdict
from pathlib import Path

import adaptrnn

SOURCE = Path(adaptrnn.__file__).parent
FILES = sorted(
    path for path in SOURCE.rglob("*.py") if not {"kernels", "explore"} & set(path.parts)
)
"""Without the kernels, where an operation has one name in its reference, its op and on a GPU, and
without the explorer, whose parts no other module uses."""

OF_ONE_KIND = {"ITEM", "measure", "draw", "judge", "table", "log", "main"}
"""What several files have each one of: the items of the paper, the loggers, the programs."""


def defined(path):
    """Public names of functions, classes and values that a module defines at its top."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names = [node.name]
        else:
            targets = getattr(node, "targets", [getattr(node, "target", None)])
            names = [target.id for target in targets if isinstance(target, ast.Name)]
        yield from (name for name in names if not name.startswith("_"))


def test_no_two_modules_define_one_name():
    homes = defaultdict(set)
    for path in FILES:
        for name in defined(path):
            homes[name].add(path.relative_to(SOURCE).as_posix())
    twice = {name: where for name, where in homes.items() if len(where) > 1}
    assert twice.keys() <= OF_ONE_KIND, {n: twice[n] for n in twice.keys() - OF_ONE_KIND}


def test_no_package_exports_the_name_of_a_file():
    """Such a name would be the file's module as soon as that is imported."""
    for path in SOURCE.rglob("__init__.py"):
        package = ".".join(path.parent.relative_to(SOURCE.parent).parts)
        names = getattr(importlib.import_module(package), "__all__", ())
        assert not {each.stem for each in path.parent.iterdir()} & set(names), package


def test_no_file_defines_the_name_of_another_in_its_folder():
    for path in FILES:
        others = {other.stem for other in path.parent.iterdir()} - {path.stem}
        assert not others & set(defined(path)), path


def says_any(annotation):
    return annotation is not None and any(
        isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(annotation)
    )


def public_annotations(body):
    """Annotations of arguments, results and attributes that other modules meet."""
    for node in body:
        if isinstance(node, ast.FunctionDef) and (
            not node.name.startswith("_") or node.name.startswith("__")
        ):
            given = node.args
            every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
            yield from (each.annotation for each in every if each is not None)
            yield node.returns
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_annotations(node.body)
        elif isinstance(node, ast.AnnAssign) and not getattr(node.target, "id", "_").startswith(
            "_"
        ):
            yield node.annotation


def test_few_public_annotations_say_any():
    """`Any` where modules meet tells no reader what goes over the border; once there were 168."""
    count = 0
    for path in SOURCE.rglob("*.py"):
        if not path.stem.startswith("_") or path.stem == "__init__":
            found = public_annotations(ast.parse(path.read_text()).body)
            count += sum(says_any(annotation) for annotation in found)
    assert count <= 60
