"""The site and the report in a real browser, opened from the disk as `make docs` leaves them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
PAGES = (
    "index.html",
    "tutorial/train-perturb-probe.html",
    "howto/explorer.html",
    "reference/results.html",
    "reference/layers.html",
    "explanation/compare.html",
)
MADE = ("notebooks/swap_layer.html", "notebooks/explore.html")


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """What `make docs` has built; without it, a site that lacks report and notebooks."""
    if (ROOT / "site" / "index.html").exists():
        return ROOT / "site"
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site") / "site"
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True)
    return folder


def opened(tab, path: Path, width: int, scheme: str):
    page = tab(width, color_scheme=scheme)
    page.goto(path.as_uri())
    page.wait_for_load_state("load")
    page.wait_for_timeout(500)
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", [*PAGES, *MADE])
def test_pages_of_the_site(site, tab, picture, audit, name, scheme):
    if name in MADE and not (site / name).exists():
        pytest.skip("the notebooks are not executed; `make docs` does it")
    page = opened(tab, site / name, 1280, scheme)
    audit(page)
    picture(page, f"site-{name.replace('/', '-').removesuffix('.html')}-1280-{scheme}")
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    picture(page, f"site-{name.replace('/', '-').removesuffix('.html')}-390-{scheme}")
    assert not page.problems, page.problems


@pytest.mark.parametrize(
    ("words", "found"), [("autocast", "howto/"), ("fractional order", "fractional")]
)
def test_search_works_from_the_disk(site, tab, words, found):
    page = opened(tab, site / "index.html", 1280, "light")
    page.locator(".md-search__input").fill(words)
    first = page.locator(".md-search-result__link").first
    first.wait_for(timeout=30_000)
    links = [one.get_attribute("href") for one in page.locator(".md-search-result__link").all()]
    assert any(found in link for link in links), links
    assert not page.problems, page.problems


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report(site, tab, picture, audit, width, scheme):
    path = site / "report" / "index.html"
    if not path.exists():
        pytest.skip("there is no report in the site; `make docs` writes it")
    assert path.stat().st_size < 5_000_000
    page = opened(tab, path, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    audit(page)
    picture(page, f"report-{width}-{scheme}")
    assert not page.problems, page.problems


def test_the_report_is_printed_with_its_parts_open(site, tab, tmp_path):
    path = site / "report" / "index.html"
    if not path.exists():
        pytest.skip("there is no report in the site; `make docs` writes it")
    page = opened(tab, path, 1280, "dark")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 700, "height": 1000})  # A4 without its margins, at 96 dots
    cut = page.evaluate(
        """[...document.querySelectorAll(".scroll, figure")]
             .filter((one) => one.scrollWidth > one.clientWidth + 1).length"""
    )
    assert cut == 0 and page.evaluate("document.documentElement.scrollWidth") <= 700
    # every row is open, so that its parts are on paper
    inside = "[...document.querySelectorAll('.claim-row .inside')].map((one) => one.offsetHeight)"
    assert min(page.evaluate(inside)) > 0
    printed = tmp_path / "report.pdf"
    page.pdf(path=printed, format="A4", prefer_css_page_size=True)
    # a page of paper is white and holds the figures: hundreds of kilobytes
    assert printed.stat().st_size > 200_000
