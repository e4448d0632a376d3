"""The explorer in a real browser: move a slider, read the number that must change, look at it.

ADAPTRNN_SCREENSHOTS=FOLDER keeps the screenshots.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from pathlib import Path

import pytest

from adaptrnn.explore.network import SHIPPED

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

HOSTILE = "<script>window.hacked=1</script><img src=x onerror=window.hacked=1>"
WAIT = 120_000  # the page imports torch in its own process first


def closed_form(n: float, s: float, x: float) -> tuple[float, float]:
    """Rate and slope by the formula, in plain Python."""
    g1 = math.log(1 + math.exp(n * x)) / n
    g2 = 1 / (1 + math.exp(-n * x))
    return (1 - s) * g1 + s * g2, (1 - s) * g2 + s * n * g2 * (1 - g2)


@pytest.fixture
def tab(browser):
    """A page that remembers what went wrong in it and what it asked of other machines."""
    made = []

    def make(width: int = 1280, **arguments):
        one = browser.new_page(viewport={"width": width, "height": 900}, **arguments)
        one.problems = []
        one.on("console", lambda m: one.problems.append(m.text) if m.type == "error" else None)
        one.on("pageerror", lambda error: one.problems.append(str(error)))
        one.on("request", lambda request: _local(one, request.url))
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


def _local(tab, url: str) -> None:
    if not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")):
        tab.problems.append(f"asked another machine: {url}")


def read(tab, name: str) -> float:
    return float(tab.inner_text(f"#adaptrnn-{name}"))


def wait_for(tab, name: str, value: float, digits: int = 3) -> None:
    """Wait until a number on the page is this one; the message says what was there instead."""
    from playwright.sync_api import Error

    try:
        tab.wait_for_function(
            "([id, text]) => document.querySelector(id)?.textContent === text",
            arg=[f"#adaptrnn-{name}", f"{value:.{digits}f}"],
            timeout=30_000,
        )
    except Error:
        pytest.fail(f"{name}: {tab.inner_text(f'#adaptrnn-{name}')}, expected {value:.{digits}f}")


def keep(tab, name: str) -> bytes:
    """Screenshot of the whole page, kept where the environment says."""
    tab.wait_for_timeout(1500)  # fonts, and pictures that are still being drawn
    height = tab.evaluate(
        "Math.max(...[...document.querySelectorAll('*')].map(e => e.scrollHeight))"
    )
    tab.set_viewport_size({"width": tab.viewport_size["width"], "height": height})
    tab.wait_for_timeout(500)
    image = tab.screenshot()
    folder = os.environ.get("ADAPTRNN_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"{name}.png").write_bytes(image)
    return image


@pytest.fixture(scope="module")
def shipped(serve) -> str:
    return serve()


def test_sliders_move_the_numbers(shipped, tab):
    page = tab()
    page.goto(shipped)
    page.wait_for_selector("#adaptrnn-7-5", timeout=WAIT)
    rate, slope = closed_form(5.0, 0.2, 1.0)
    assert (read(page, "rate"), read(page, "slope")) == pytest.approx((rate, slope), abs=5e-4)

    n, s, x, size = (page.get_by_role("slider").nth(k) for k in range(4))
    x.focus()
    for _ in range(20):  # from 1 to 0 in steps of 0.05
        page.keyboard.press("ArrowLeft")
    wait_for(page, "rate", closed_form(5.0, 0.2, 0.0)[0])
    n.focus()
    page.keyboard.press("ArrowRight")
    wait_for(page, "rate", closed_form(5.05, 0.2, 0.0)[0])
    s.focus()
    page.keyboard.press("PageUp")  # ten steps of 0.005
    wait_for(page, "slope", closed_form(5.05, 0.25, 0.0)[1])
    page.locator("svg[aria-label*='n = 5.05, s = 0.25']").nth(1).wait_for()  # both pictures

    before = page.inner_text("#adaptrnn-7-0")
    size.focus()
    page.keyboard.press("PageUp")
    page.wait_for_function(
        "text => document.querySelector('#adaptrnn-7-0').textContent !== text", arg=before
    )
    assert not page.problems, page.problems
    assert len(keep(page, "moved")) > 50_000


def test_numbers_of_a_neuron_are_those_computed_here(shipped, tab):
    from adaptrnn.analysis import isolate
    from adaptrnn.explore import network, neuron

    page = tab()
    page.goto(shipped)
    page.wait_for_selector("#adaptrnn-7-5", timeout=WAIT)
    core = network.load_network(SHIPPED).core
    for alone in (True, False):
        if not alone:
            page.get_by_role("switch").first.click()
        seen = neuron.neuron_signals(
            isolate(core) if alone else core, neuron.drive("step", 5.0), [7]
        )
        found = neuron.order_curves(seen)
        wait_for(page, "7-0", float(seen.n[201, 0]))
        wait_for(page, "7-3", float(found.order[0, 0]), 2)
        wait_for(page, "7-5", float(found.order[1, 0]), 2)
    page.get_by_text("sinusoid", exact=True).click()
    seen = neuron.neuron_signals(core, neuron.drive("sinusoid", 5.0, 25.0), [7])
    wait_for(page, "7-0", float(seen.n[201, 0]))
    assert not page.problems, page.problems


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_it_fits_the_screen(shipped, tab, width, scheme):
    page = tab(width, color_scheme=scheme)
    page.goto(shipped)
    page.wait_for_selector("#adaptrnn-7-5", timeout=WAIT)
    image = keep(page, f"{scheme}-{width}")
    assert len(image) > 50_000
    for picture in page.locator(".adaptrnn-picture").all():
        box = picture.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
        assert box["width"] > 300 and box["height"] > 150
    ink = page.evaluate(
        "getComputedStyle(document.querySelector('.adaptrnn-picture svg text')).fill"
    )
    assert ink == ("rgb(228, 230, 234)" if scheme == "dark" else "rgb(28, 30, 33)")
    assert not page.problems, page.problems


def test_words_of_a_run_are_only_words(serve, tab, tmp_path):
    """A folder, a task, an accuracy and a cell named like programs are shown, not run."""
    folder = tmp_path / "runs" / "<img src=x onerror=window.hacked=1>"
    shutil.copytree(SHIPPED, folder)
    shutil.copytree(SHIPPED, folder.parent / "another")
    for name, changes in (
        ("config.json", {"task": HOSTILE, "out": HOSTILE}),
        ("record.json", {"validation_accuracy": HOSTILE}),
    ):
        content = json.loads((folder / name).read_text()) | changes
        (folder / name).write_text(json.dumps(content))
    page = tab()
    page.goto(serve(folder.parent))
    page.wait_for_selector("#adaptrnn-7-5", timeout=WAIT)
    card = page.inner_text(".adaptrnn-card")
    assert card.count(HOSTILE) == 2 and folder.name in card
    table = tmp_path / "table.csv"
    rows = [f"{i / 10},{max(0, i - 3)},{HOSTILE}" for i in range(20)]
    table.write_text("\n".join(["current,rate,neuron", *rows]))
    page.locator("input[type=file]").first.set_input_files(table)
    page.get_by_text("onerror", exact=False).nth(3).wait_for(timeout=60_000)
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x]").count() == 0
    page.locator("select").first.select_option(label="another")
    page.wait_for_function(
        "!document.querySelector('.adaptrnn-card').textContent.includes('hacked')"
    )
    assert page.evaluate("window.hacked") is None
    assert not page.problems, page.problems
