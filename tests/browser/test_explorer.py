"""The explorer in a real browser: move a slider, read the number that must change, look at it.

ADAPTRNN_SCREENSHOTS=FOLDER keeps the screenshots.
"""

from __future__ import annotations

import json
import shutil

import pytest

from adaptrnn.explore.network import SHIPPED

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

HOSTILE = "<script>window.hacked=1</script><img src=x onerror=window.hacked=1>"
WAIT = 120_000  # the page imports torch in its own process first


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


@pytest.fixture(scope="module")
def shipped(serve) -> str:
    return serve()


def first_view(page):
    """The frame with the first view, once its script has run."""
    frame = page.frame_locator("iframe.adaptrnn-view")
    frame.locator("#said:not(:empty)").wait_for(timeout=WAIT)
    return frame


def test_the_first_view_is_there_and_has_an_address(shipped, tab):
    page = tab()
    page.goto(f"{shipped}/#xi=5&digit=2")
    frame = first_view(page)
    assert frame.locator("#xi-number").input_value() == "5"
    assert frame.get_by_role("button", name="digit 2").get_attribute("aria-pressed") == "true"
    frame.locator("#n-number").fill("9")
    page.wait_for_function("location.hash === '#xi=5&digit=2&n=9'")
    assert not page.problems, page.problems


def test_controls_stay_in_sight(shipped, tab):
    page = tab()
    page.goto(shipped)
    page.wait_for_selector("#adaptrnn-7-5", timeout=WAIT)
    before = page.inner_text("#adaptrnn-7-0")
    size = page.get_by_role("slider").first
    size.focus()
    page.keyboard.press("PageUp")
    page.wait_for_function(
        "text => document.querySelector('#adaptrnn-7-0').textContent !== text", arg=before
    )
    page.locator(".adaptrnn-picture").last.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    assert 0 <= size.bounding_box()["y"] < 200
    # only a sinusoid has a period
    assert page.get_by_text("period", exact=True).count() == 0
    page.get_by_text("sinusoid", exact=True).click()
    page.get_by_text("period", exact=True).wait_for()
    assert not page.problems, page.problems


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
def test_it_fits_the_screen(shipped, tab, picture, audit, width, scheme):
    page = tab(width, color_scheme=scheme)
    page.goto(shipped)
    page.wait_for_selector("#adaptrnn-7-5", timeout=WAIT)
    first_view(page)
    # marimo's own menu and its field for files have no name
    audit(page, "button[aria-haspopup=menu]", "marimo-file")
    image = picture(page, f"explorer-{width}-{scheme}")
    assert len(image) > 50_000
    for one in page.locator(".adaptrnn-picture").all():
        box = one.bounding_box()
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
        content.pop("sha256")  # of what was there before the changes
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
    cell = page.frame_locator("iframe.adaptrnn-view").locator("#map .cellname")
    cell.wait_for(timeout=60_000)
    assert cell.text_content() == HOSTILE
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x]").count() == 0
    page.locator("select").first.select_option(label="another")
    page.wait_for_function(
        "!document.querySelector('.adaptrnn-card').textContent.includes('hacked')"
    )
    assert page.evaluate("window.hacked") is None
    assert not page.problems, page.problems
