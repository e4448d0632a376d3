"""The pages in docs/ and the README: code runs, commands parse, links hold, no name is missing."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import adaptrnn
from adaptrnn import RNN, Model, cli, register_model
from adaptrnn.evaluation import read_evaluations
from adaptrnn.laboratory.protocol import ANALYSES
from adaptrnn.model import MODELS
from adaptrnn.tasks import COGNITIVE

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
LONG = ("train-perturb-probe.md", "cell.md")  # pages whose blocks take some seconds
FENCED = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.DOTALL | re.MULTILINE)

# Parts that stand behind a command; docs/reference/paper.md shows what of them may be extended.
APPLICATIONS = (
    "bench",
    "cli",
    "explore",
    "figure",
    "info",
    "paper",
    "progress",
    "report",
    "reproduce",
    "workflow",
)


@pytest.fixture(autouse=True)
def _registered():
    """What pages register is known to their commands, and forgotten after each test."""
    register_model(Model("lstm-cell", RNN))
    yield
    MODELS.remove("lstm-cell")
    for registry, name in ((COGNITIVE, "compare"), (ANALYSES, "activity")):
        if name in registry:
            registry.remove(name)


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def blocks(page):
    """Language ("" where none is named) and text of the page's code blocks."""
    return [(name, text) for _, name, text in FENCED.findall(page.read_text())]


def commands(language, text):
    """The words of every adaptrnn command in a block, without prompt and comment."""
    if language in ("console", "bash", "sh", ""):
        for line in text.replace("\\\n", " ").splitlines():
            line = line.strip().removeprefix("$ ")
            if line.startswith("adaptrnn"):
                yield shlex.split(line, comments=True)[1:]


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=pytest.mark.long) if p.name in LONG else p for p in PAGES],
    ids=name_of,
)
def test_blocks_run(page, tmp_path, monkeypatch):
    """Blocks marked `python` run in order, in one namespace and an empty folder.

    So do the commands of the tutorial, whose blocks read what they leave.
    """
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    for language, text in blocks(page):
        if language == "python":
            exec(compile(text, str(page), "exec"), names)
        elif page.parent.name == "tutorial":
            for words in commands(language, text):
                assert cli.main(words) == 0, words
    if page.parent.name == "tutorial":
        what_the_tutorial_says_holds(names["runs"])


def what_the_tutorial_says_holds(runs):
    """Both networks learn, and noise that they never met costs both of them accuracy.

    Half is asked for, where chance is 10%, and under noise a loss of ten points, four times the
    sampling error of 359 images: networks of other seeds and processors lie far from both.
    """
    for run in runs.values():
        accuracy = read_evaluations(run).set_index("name").accuracy
        assert accuracy["clean"] > 0.5
        assert accuracy["noisy-drive"] < accuracy["clean"] - 0.1


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_parse(page, monkeypatch):
    """The command line reads every command that a page shows; what it would do is not done."""
    find = cli._at

    def at(place, extra):
        runs = place in {command.run for command in cli.COMMANDS.values()}
        return (lambda config, console: None) if runs else find(place, extra)

    monkeypatch.setattr(cli, "_at", at)
    for words in [words for block in blocks(page) for words in commands(*block)]:
        try:
            code = cli.main(words)
        except SystemExit as end:  # of the parser: 0 after help, 2 after an error
            code = end.code
        assert code in (0, None), f"{name_of(page)}: adaptrnn {shlex.join(words)}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if not link.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / link).exists(), f"{name_of(page)}: {link}"


SECTION = re.DOTALL | re.MULTILINE
NAMED = re.compile(r"(?<![\w./-])((?:tests|src|benchmarks|examples)/[\w./-]+\.\w+)(?:::(\w+))?")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_and_tests_that_a_page_names_exist(page):
    for path, test in NAMED.findall(page.read_text()):
        if "NAME" not in path:  # what the reader fills in
            assert (ROOT / path).exists(), f"{name_of(page)}: {path}"
            assert not test or f"def {test}(" in (ROOT / path).read_text(), f"{path}::{test}"


def test_the_tree_of_the_source_names_every_part_of_the_package():
    tree = (DOCS / "explanation" / "architecture.md").read_text()
    for path in Path(adaptrnn.__file__).parent.iterdir():
        if path.suffix == ".py" and path.name != "__init__.py":
            assert f" {path.name} " in tree, path.name
        elif (path / "__init__.py").exists():
            assert f" {path.name}/ " in tree, path.name


def public_modules():
    """Names of all modules that have public names, but for the applications."""
    source = Path(adaptrnn.__file__).parent
    found = []
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        private = any(part.startswith("_") for part in parts)
        if not private and (not parts or parts[0] not in APPLICATIONS):
            found.append(".".join(("adaptrnn", *parts)))
    return found


@pytest.mark.parametrize("module", public_modules())
def test_every_public_name_is_in_the_reference(module):
    text = "\n".join(page.read_text() for page in (DOCS / "reference").glob("*.md"))
    for name in getattr(importlib.import_module(module), "__all__", ()):
        assert f"| `{name}` |" in text, f"{module}.{name} has no row in a table of docs/reference"


@pytest.mark.parametrize("page", sorted((DOCS / "reference").glob("*.md")), ids=name_of)
def test_every_name_in_a_table_of_the_reference_exists(page):
    for heading, text in re.findall(
        r"^## (adaptrnn[\w.]*)$(.*?)(?=^## |\Z)", page.read_text(), SECTION
    ):
        module = importlib.import_module(heading)
        for name in re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE):
            assert hasattr(module, name), f"{name_of(page)}: {heading}.{name}"


def test_every_command_is_in_the_reference():
    text = (DOCS / "reference" / "commands.md").read_text()
    assert [name for name in cli.COMMANDS if f"adaptrnn {name}" not in text] == []


@pytest.fixture(scope="module")
def hooks():
    """What the site's build calls."""
    pytest.importorskip("mkdocs")
    spec = importlib.util.spec_from_file_location("hooks", DOCS / "assets" / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_broken_link_of_a_site_is_found_and_no_other(hooks, tmp_path):
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "index.html").write_text('<p id="there"><a name="old"></a>')
    (tmp_path / "a.png").touch()
    good = ("part", "part/#there", "part/index.html#old", "#here", "a.png", "https://x.y/z#q")
    bad = ("gone.html", "part/#gone", "#gone", "b.png")
    links = "".join(f'<a href="{link}"></a>' for link in (*good, *bad[:3]))
    page = f'<h1 id="here">{links}<img src="a.png"><img src="{bad[3]}">'
    (tmp_path / "index.html").write_text(page)
    (tmp_path / "404.html").write_text('<a href="/nowhere">')
    assert hooks.broken_links(tmp_path) == sorted(("index.html", link) for link in bad)


@pytest.mark.parametrize(
    ("markdown", "sentence"),
    [
        ("# Title\n\nIt is [a page](b.md) of **words**. More.\n", "It is a page of words."),
        (
            "# T\n\n```\ncode\n```\n\n- list\n\n| a |\n\nThree commands do this:\n",
            "Three commands do this",
        ),
        ("# Only a title\n", ""),
    ],
)
def test_the_first_sentence_of_a_page(hooks, markdown, sentence):
    assert hooks.first_sentence(markdown) == sentence


def test_an_executed_notebook_becomes_a_page():
    spec = importlib.util.spec_from_file_location("notebooks", DOCS / "assets" / "notebooks.py")
    notebooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(notebooks)

    def code(source, **output):
        return {"cell_type": "code", "source": [source], "outputs": [output] if output else []}

    html = "<div>\n\n  <img src='data:,'></div>"
    cells = [
        code("import this"),
        {"cell_type": "markdown", "source": ["# Title"]},
        code("print(1)", output_type="stream", text=["1\n"]),
        code("picture", output_type="display_data", data={"text/html": [html]}),
        code("slider", output_type="display_data", data={"text/html": ["<marimo-slider>"]}),
    ]
    page = notebooks.markdown({"cells": cells}, "a.py")
    assert page.startswith("# Title\n") and "(../../examples/a.py)" in page
    assert page.index("import this") < page.index("```text\n1\n```")
    # one block of HTML without a blank line, and words for those who do not see it
    assert "\n\n" not in page[page.index("<div>") : page.index("</div>")] and " alt=" in page
    assert "marimo-slider" not in page and notebooks.CONTROL in page
    with pytest.raises(RuntimeError, match="boom"):
        notebooks.shown({"output_type": "error", "evalue": "boom"})


@pytest.mark.slow
def test_site_builds_and_needs_no_network(tmp_path):
    """Strictly; nothing is fetched from elsewhere; equations are set; no public name is missing."""
    pytest.importorskip("mkdocs")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    listed = re.findall(r"\]\(([^)]+)\)", (tmp_path / "site" / "llms.txt").read_text())
    assert len(listed) > 30 and all((tmp_path / "site" / page).exists() for page in listed)
    fetched = re.compile(r"<(?:script|img|iframe)[^>]* src=\"?https?:|<link[^>]* href=\"?https?:")
    for page in (tmp_path / "site").rglob("*.html"):
        text = page.read_text()
        assert not fetched.search(text), page.name
        for equation in re.findall(r"<math.*?</math>", text, re.DOTALL):
            assert "\\" not in equation, f"{page.name}: TeX that was not understood: {equation}"
    inventory = (tmp_path / "site" / "objects.inv").read_bytes().split(b"\n", 4)[4]
    names = {line.split(" ")[0] for line in zlib.decompress(inventory).decode().splitlines()}
    for module in public_modules():
        for name in getattr(importlib.import_module(module), "__all__", ()):
            assert any(found.split(".")[-1] == name for found in names), f"{module}.{name}"
