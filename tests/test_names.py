"""One word for one thing, one place for one thing: names of things, of files and of their tests."""

from __future__ import annotations

import ast
import importlib
import re
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

import adaptrnn

SOURCE = Path(adaptrnn.__file__).parent
FILES = sorted(path for path in SOURCE.rglob("*.py") if "kernels" not in path.parts)
"""Without the kernels, where an operation has one name in its reference, its op and on a GPU."""

FOLDERS = (
    *(".", "kernels", "tasks", "figure", "explore"),
    *("analysis", "laboratory", "paper", "report"),
)
"""Whose docstrings begin with a whole sentence; "." is the files next to these folders."""

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


TESTS = Path(__file__).parent
ELSEWHERE = {
    "analysis/_type.py": "names of types, which mypy reads",
    "kernels/triton/_rows.py": "programs for a GPU: triton/test_interpreted.py, test_programs.py",
}
"""Modules without a test file of their name, and why."""


def test_every_module_has_a_test_file_of_its_name():
    """In the mirrored folder, so that nobody searches; a leading underscore may be left out."""
    without = set()
    for path in SOURCE.rglob("*.py"):
        module = path.relative_to(SOURCE)
        names = {module.stem, module.stem.lstrip("_")}
        if module.stem != "__init__" and not any(
            (TESTS / module.with_name(f"test_{name}.py")).is_file() for name in names
        ):
            without.add(module.as_posix())
    assert without == ELSEWHERE.keys()


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
    """`Any` where modules meet tells no reader what goes over the border; once there were 68.

    Annotations that say `Any` and nothing else, public or not, once were 211.
    """
    public = whole = 0
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        if not path.stem.startswith("_") or path.stem == "__init__":
            public += sum(says_any(annotation) for annotation in public_annotations(tree.body))
        for node in ast.walk(tree):
            said = getattr(node, "annotation", None), getattr(node, "returns", None)
            whole += sum(isinstance(each, ast.Name) and each.id == "Any" for each in said)
    assert public <= 23
    assert whole <= 57


IMPERATIVES = """
    add adjust analyse apply average bring build call change check choose compare compile
    compute continue copy correlate cut differentiate do draw drive end estimate evaluate fetch
    fill find fit follow forget give hold import join judge launch load make mark measure note
    place print push put raise read record register retrain return run say score serve set share
    show simulate step store test train translate turn unpack upload use write
"""
"""First words of a sentence that tells what to do."""

FINITE = """
    adapts applies are ask become can cannot carries choose come compares compute computes convolves
    could describes do does draws enters excites get gets give gives goes has have hold holds is
    lets make move must needs opens predicts put raises reads reproduces runs say says show shows
    stands starts take takes was were
"""
"""Verbs of a sentence that says what something is or does; no plural of a noun is among them."""

ASKING = {"how", "what", "where", "whether", "which", "whose"}
"""First words of a question, or of a clause that is no sentence by itself."""


def first_sentence(text):
    return re.split(r"(?<=[.?!])\s+(?=[A-Z`])", text.strip().split("\n\n")[0])[0]


def has_verb(sentence):
    """Whether a verb of the lists is in it, outside of code and not as in "a layer that adapts"."""
    words = re.findall(r"[a-z']+", re.sub(r"`[^`]*`", "X", sentence).lower())
    if words[0] in ASKING and not sentence.endswith("?"):
        return False
    return words[0] in IMPERATIVES.split() or any(
        word in FINITE.split()
        and (sentence.endswith("?") or before not in {"that", "which", "who", "what"})
        for before, word in pairwise(["", *words])
    )


def public_docstrings(node, name):
    """Names and docstrings of a module and of what is public in it, special methods too."""
    if text := ast.get_docstring(node):
        yield name, text
    for each in node.body:
        if isinstance(each, ast.FunctionDef | ast.ClassDef) and (
            not each.name.startswith("_") or each.name.endswith("__")
        ):
            if isinstance(each, ast.ClassDef):
                yield from public_docstrings(each, f"{name}.{each.name}")
            elif text := ast.get_docstring(each):
                yield f"{name}.{each.name}", text


@pytest.mark.parametrize("folder", FOLDERS)
def test_docstrings_begin_with_a_whole_sentence(folder):
    found = SOURCE.glob("*.py") if folder == "." else (SOURCE / folder).rglob("*.py")
    texts = [
        pair
        for path in sorted(found)
        for pair in public_docstrings(ast.parse(path.read_text()), str(path.relative_to(SOURCE)))
    ]
    without = {name: text for name, text in texts if not has_verb(first_sentence(text))}
    assert texts and not without, without


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("The base of recurrent layers: directions, layouts and packed sequences.", False),
        ("A controller that has one state for each neuron.", False),
        ("Which runs are evaluated, and under what.", False),
        ("The number `is`.", False),
        ("Images of one part. They are labelled.", False),
        ("A split holds labelled images of one part.", True),
        ("Return the number of directions.", True),
        ("Where do simulated cells lie in the plane?", True),
    ],
)
def test_a_sentence_without_a_verb_is_noticed(text, whole):
    assert has_verb(first_sentence(text)) == whole
