"""The page: complete HTML, nothing loaded from elsewhere, every string from outside escaped."""

import base64
import hashlib
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

import adaptrnn.report.page as module
from adaptrnn.paper.catalogue import ITEMS
from adaptrnn.paper.item import Table
from adaptrnn.paper.store import read_results, write_results
from adaptrnn.paper.verdict import OUTCOMES, Claim, Part, Verdict
from adaptrnn.report.markdown import write_docs
from adaptrnn.report.opening import SIGNS, Number, anchors
from adaptrnn.report.page import Card, Page, Section, render_page, write_report
from adaptrnn.report.picture import Picture

HOSTILE = "<script>alert('x')</script>\"'><img src=http://evil.example/x onerror=x> {{ 7*7 }}"
VOID = {"meta", "img", "br", "source", "link", "input", "hr"}
SCRIPT = (Path(module.__file__).parent / "page.js").read_text()
DRAWING = Picture("data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>")
LOADS = {"src", "srcset", "poster", "data", "background", "xlink:href", "action"}


class Reader(HTMLParser):
    """Checks that tags close in order; keeps tags, attributes and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(page)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        if "style" not in self.open and "script" not in self.open:
            self.text.append(data)


def page(text: str = "plain") -> Page:
    claim = Claim("E01", text, text, text)
    parts = (Part(text, text, text, text, "yes"), Part("q", "1", "", "", "weakly"))
    shown = (Part(text, text, text, text, "no"),)
    section = Section(text, text, text, DRAWING, Table((text,), ((text,),)), (text,), text, text)
    numbers = (
        Number(parts[0], text, "partly", text),
        Number(Part(text, "", "", "", "no data"), text, "no data", text),
    )
    return Page(
        profile=text,
        summary=text,
        command=text,
        scope=text,
        lead=(text, text),
        findings=(Card(text, text, text, numbers, DRAWING, text),),
        verdicts=(
            (Verdict(claim, parts, shown, shown, text, ""), text),
            (Verdict(claim, (), shown), "absent"),
            (Verdict(claim, parts, untrained=text), "absent"),
            (Verdict(claim, ()), "absent"),
        ),
        changes=Table((text,), ((text,),)),
        rule=text,
        sections=(section,),
        failures={text: text},
        networks=Table((text,), ((text,),)),
        methods=((text, text),),
        versions=((text, text),),
        costs=((text, text),),
    )


def test_html_is_whole_and_says_what_it_was_given():
    reader = Reader(render_page(page("a word")))
    text = " ".join(reader.text)
    # each of the places a text stands in: none is dropped
    assert text.count("a word") >= 45
    for word in ("partly", "no data", "not judged", "not trained enough", "weakly"):
        assert word in text
    for word in ("Missing from these results", "Check of the code", "Also shown"):
        assert word in text


def test_nothing_is_loaded_from_elsewhere_and_only_our_script_runs():
    """One script, the page's own, whose hash is the only one that the page's policy allows."""
    source = render_page(page())
    tags = Reader(source).tags
    assert [attributes for tag, attributes in tags if tag == "script"] == [{}]
    assert f"<script>{SCRIPT}</script>" in source
    assert not any(word in SCRIPT for word in ("fetch", "import", "http", "innerHTML", "eval"))
    (policy,) = (a["content"] for _, a in tags if a.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'",
        "img-src data:",
        "style-src 'unsafe-inline'",
        f"script-src 'sha256-{digest}'",
    ]
    for tag, attributes in tags:
        assert tag not in {"link", "iframe", "object", "embed", "base", "form"}
        for name, value in attributes.items():
            assert not name.startswith("on"), f"<{tag} {name}>"
            if name in LOADS:
                assert value.startswith("data:image/"), f"<{tag} {name}={value[:40]}>"
            if name == "href":
                assert "//" not in value
    style = source.partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style and "@import" not in style


def test_hostile_text_stays_text():
    source = render_page(page(HOSTILE))
    reader = Reader(source)
    assert sum(tag == "script" for tag, _ in reader.tags) == 1  # the page's own
    assert sum(tag == "img" for tag, _ in reader.tags) == 2  # the finding's picture, the figure
    assert any(HOSTILE in text for text in reader.text)  # word for word, not run as a template
    assert not any(name.startswith("on") for _, attrs in reader.tags for name in attrs)


def test_an_empty_page_is_a_page():
    assert Reader(render_page(Page("p", "s", "c", "")))


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_each_verdict_has_a_style(outcome):
    holds = {"reproduced": "yes", "partly": "weakly", "not": "no", "no data": "no data"}
    parts = (Part("q", "1", "", "", holds.get(outcome, "yes")),)
    claim = Claim("E", "", "", "")
    verdict = Verdict(claim, parts)
    if outcome == "not judged":
        verdict = Verdict(claim, (), parts)
    if outcome == "not trained enough":
        verdict = Verdict(claim, parts, untrained="psMNIST")
    assert verdict.outcome == outcome
    source = render_page(Page("p", "s", "c", "", verdicts=((verdict, "x"),)))
    name = verdict.outcome.replace(" ", "-")
    assert f"\n.{name} {{" in source and f'class="verdict {name}"' in source
    assert f'<span aria-hidden="true">{SIGNS[outcome]}</span>' in source


def test_signs_tell_verdicts_apart():
    assert set(SIGNS) == set(OUTCOMES) and len(set(SIGNS.values())) == len(OUTCOMES)


def test_the_page_opens_with_the_findings_then_the_map_then_folded_rows():
    source = render_page(page("a word"))
    order = [source.index(f'<section id="{name}"') for name in ("map", "verdicts", "figures")]
    assert source.index('class="finding"') < order[0] and order == sorted(order)
    rows = [a for tag, a in Reader(source).tags if a.get("class", "").startswith("claim-row")]
    assert len(rows) == 4 and not any("open" in attributes for attributes in rows)


def test_a_row_is_named_by_its_claim_and_figure():
    one, other = (Verdict(Claim(name, "", "", ""), ()) for name in ("E25", "E29, E30"))
    assert anchors([(one, "fig4-tasks"), (other, "fig5-lyapunov")]) == [
        "claim-E25-fig4-tasks",
        "claim-E29-E30-fig5-lyapunov",
    ]


@pytest.mark.long
def test_a_mark_stands_under_its_figure(tmp_path):
    """A table that is not to be trusted as it is says so, in the docs and in the report."""
    tables, runs, manifest = read_results(Path(__file__).parents[2] / "results" / "night")
    results = tmp_path / "results"
    chosen = {name: tables[name] for name in ("fig1-gamma", "s17-transplant")}
    write_results(
        results, chosen, runs, manifest | {"marks": {"s17-transplant": "Made with a wrong ruler."}}
    )
    write_docs(results, tmp_path / "docs")
    text = (tmp_path / "docs" / "reference" / "results.md").read_text()
    before, after = text.split("Made with a wrong ruler.")
    assert before.rindex("###") == before.rindex(f"### {ITEMS['s17-transplant'].title}")
    assert "wrong ruler" not in after
    html = write_report(results, tmp_path / "report", Console(quiet=True)).read_text()
    assert html.count("Made with a wrong ruler.") == 1
    every_link_leads_somewhere(html)
    # a profile without these tables says so, for each of the four claims
    assert html.count("This profile has no ") == text.count("This profile has no ") == 8  # and alt


def every_link_leads_somewhere(html):
    """Names are unique, and each link within the page has one."""
    tags = Reader(html).tags
    names = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(names) == len(set(names))
    links = {attributes["href"] for tag, attributes in tags if tag == "a"}
    assert {link[1:] for link in links if link.startswith("#")} <= set(names)


def test_epochs_are_named_for_the_models_that_have_others():
    runs = pd.DataFrame({"model": ["relu", "arun", "arun", "gru"], "epochs": [30, 30, 30, 120]})
    assert module._epochs(runs) == "30 epochs (GRU: 120)"
    assert module._epochs(runs[:3]) == "30 epochs"


@pytest.mark.slow
def test_the_page_of_night_is_under_five_megabytes(tmp_path):
    results = Path(__file__).parents[2] / "results" / "night"
    html = write_report(results, tmp_path, Console(quiet=True))
    assert html.stat().st_size < 5e6
    every_link_leads_somewhere(html.read_text())
