"""The first view in a real browser: it computes what the layers do, and every control moves it.

The page is opened from the disk, without any server. ADAPTRNN_SCREENSHOTS=FOLDER keeps pictures.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from adaptrnn.activation import gamma, gamma_dx, gamma_sup_slope
from adaptrnn.explore import curve, view
from adaptrnn.perturb import StepDrive
from adaptrnn.run import Run

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>"


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("view") / "view.html"
    path.write_text(view.first_view(cells={HOSTILE: (30.0, 0.4)}), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def page(address, tab):
    one = tab()
    one.goto(address)
    return one


def shown(page, name: str) -> float:
    return page.evaluate(f"state.{name}")


def settle(page) -> None:
    """Two frames: what a control has asked for is drawn in the next one."""
    page.evaluate(
        "() => new Promise((ok) => requestAnimationFrame(() => requestAnimationFrame(ok)))"
    )


def middle(page, selector: str) -> tuple[float, float]:
    box = page.locator(selector).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@torch.no_grad()
def test_it_computes_what_the_layers_compute(page):
    order = torch.tensor(json.loads((view.SHOWN["arun"] / "permutation.json").read_text()))
    images = view.digits(14).flatten(1)[:, order].T[..., None].double()
    for model, digit, xi in (
        ("arun", 9, 0.0),
        ("arun", 4, 3.7),
        ("relu", 9, 0.0),
        ("relu", 2, 12.5),
    ):
        network = Run(view.SHOWN[model]).model().double()
        drive = StepDrive(xi).drive(196, 1, 1, dtype=torch.float64)
        trace = network.core.trace(images[:, digit : digit + 1], drive=drive)
        probability = network.readout(trace.h[:, 0]).softmax(-1)
        seen = page.evaluate(
            """([model, digit, xi]) => {
              const seen = read(model, digit, xi);
              return Object.fromEntries([..."pansh"].map((name) => [name, [...seen[name]]]));
            }""",
            [model, digit, xi],
        )
        want = {"p": probability, "h": trace.h[:, 0]}
        if model == "arun":
            want |= {"a": trace.a[:, 0], "n": trace.n[:, 0], "s": trace.s[:, 0]}
        for name, value in want.items():
            found = np.reshape(seen[name], tuple(value.shape))
            # float64 on both sides, sums in another order; 196 steps of a network whose
            # perturbations do not grow keep that below 1e-8 of the largest value
            scale = float(value.abs().max())
            np.testing.assert_allclose(found, value, rtol=1e-7, atol=1e-8 * scale)


def test_formulas(page):
    n, s, x = (
        v.ravel() for v in np.meshgrid([0.25, 1, 5, 50], [-0.25, 0, 0.2, 1.15], [-3, 0.05, 2])
    )
    found = page.evaluate(
        """(all) => all.map(([n, s, x]) => [gamma(x, n, s), slope(x, n, s), steepest(n, s),
             level(x, n), edgeOfExpanding(n)])""",
        np.stack([n, s, x], 1).tolist(),
    )
    for (gain, saturation, current), got in zip(zip(n, s, x, strict=True), found, strict=True):
        at = torch.tensor(current, dtype=torch.float64)
        want = [
            float(gamma(at, gain, saturation)),
            float(gamma_dx(at, gain, saturation)),
            float(gamma_sup_slope(float(gain), float(saturation))),
            curve.level(float(current), float(gain)),
        ]
        # closed forms in float64; the level cancels where n p is near 1
        assert got[:4] == pytest.approx(want, rel=1e-9, abs=1e-12)
        if gain != 1:  # where the grey region begins the steepest slope is 1
            assert float(gamma_sup_slope(float(gain), got[4])) == pytest.approx(1, rel=1e-9)


def test_sliders_and_numbers(page):
    page.locator("#n").focus()
    page.keyboard.press("ArrowRight")
    settle(page)
    # the gain's slider is logarithmic: a hundredth of the way from 0.25 to 50
    assert shown(page, "n") == pytest.approx(5 * 200**0.01, abs=1e-3)
    page.locator("#s").focus()
    page.keyboard.press("ArrowLeft")
    page.locator("#x-number").fill("0.5")
    settle(page)
    n, s, x = (shown(page, name) for name in "nsx")
    assert (s, x) == (0.195, 0.5)
    g = 1 / (1 + math.exp(-n * x))
    assert float(page.inner_text("#slope")) == pytest.approx(
        (1 - s) * g + s * n * g * (1 - g), abs=5.1e-4
    )
    assert float(page.inner_text("#edge")) == pytest.approx(curve.level(x, n), abs=5.1e-4)
    before = page.inner_html("#traces")
    page.locator("#xi").focus()
    page.keyboard.press("PageUp")
    settle(page)
    # the drive's slider goes by its square root, 0 to 20
    assert shown(page, "xi") == pytest.approx((math.sqrt(3) + 0.1 * math.sqrt(20)) ** 2, abs=1e-3)
    assert page.inner_html("#traces") != before
    page.locator("#xi-number").fill("1000")
    settle(page)
    assert shown(page, "xi") == 20  # the largest
    assert not page.problems, page.problems


def test_the_point_can_be_dragged_and_a_neuron_clicked(page):
    page.locator("#map").scroll_into_view_if_needed()
    x, y = middle(page, "#point")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y - 60, steps=4)
    page.mouse.up()
    settle(page)
    n, s = shown(page, "n"), shown(page, "s")
    assert n > 5 and s > 0.2
    assert middle(page, "#point") == pytest.approx((x + 40, y - 60), abs=1.5)
    page.mouse.move(x, y)  # let go
    settle(page)
    assert shown(page, "n") == n
    # a neuron gives its gain and saturation; the one that is drawn last is not covered
    last = page.locator("#map [data-neuron]").last
    last.click()
    settle(page)
    place = page.evaluate("[state.n, state.s, state.neuron]")
    index = int(place[2])
    seen = page.evaluate(
        """i => {
          const seen = reading("arun", 0, 0), k = (START - 1) * seen.N + i;
          return [seen.n[k], seen.s[k]];
        }""",
        index,
    )
    # n and s are kept to four decimals
    assert place[:2] == pytest.approx(seen, abs=6e-5)
    assert not page.problems, page.problems


def test_a_neuron_of_the_first_plane_is_clicked(page):
    x, y = middle(page, "#this-neuron")
    box = page.locator("#states").bounding_box()
    dots = page.evaluate(
        "[...document.querySelectorAll('#states .rest')].map(e => { const b ="
        " e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2] })"
    )
    far = max(range(len(dots)), key=lambda i: math.dist(dots[i], (x, y)))
    page.mouse.click(*dots[far])
    settle(page)
    picked = int(shown(page, "neuron"))
    assert math.dist(dots[picked], dots[far]) < 1  # that one, or one at the same place
    assert middle(page, "#this-neuron") == pytest.approx(dots[picked], abs=1.5)
    assert page.locator("#neuron").input_value() == str(picked)
    assert box["width"] > 250


def test_the_drive_is_dragged_in_the_picture_of_accuracies(page):
    box = page.locator("#accuracy .pull").bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 20)
    page.mouse.down()
    low = shown(page, "xi")
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 20, steps=3)
    page.mouse.up()
    settle(page)
    assert shown(page, "xi") > low
    percent = round(100 * page.evaluate("accuracyAt('arun', state.xi)"))
    assert f"about {percent}%" in page.inner_text("#said")


def test_digits_and_reading(page):
    page.get_by_role("button", name="digit 2").click()
    settle(page)
    assert shown(page, "digit") == 2
    assert page.get_by_role("button", name="digit 2").get_attribute("aria-pressed") == "true"
    page.locator("#t").fill("60")
    settle(page)
    assert page.inner_text("#read-title") == "pixels read: 60 of 196"
    assert page.locator("#image rect").count() == 60 + 2  # the last one's frame, and the whole's
    total = sum(float(page.get_attribute(f"#relu-{k}", "data-probability")) for k in range(10))
    assert total == pytest.approx(1, abs=1e-3)  # ten numbers of four decimals
    page.locator("#play").click()
    page.wait_for_function("state.t === T", timeout=60_000)
    settle(page)
    assert "At the end" in page.inner_text("#said")
    assert not page.problems, page.problems


def test_a_link_gives_the_same_view(page, tab):
    page.evaluate("ask({ xi: 7.5, digit: 4, neuron: 11, t: 120, n: 20, s: 0.6, x: -1, zoom: 1 })")
    page.wait_for_function("location.hash.includes('neuron=11')")
    other = tab()
    other.goto(page.url)
    settle(other)
    assert other.evaluate("state") == page.evaluate("state")
    for part in ("#traces", "#states", "#map", "#said"):
        assert other.inner_html(part) == page.inner_html(part)
    # what is not a number or out of range is not taken
    other.goto(page.url.split("#")[0] + "#xi=1e9&digit=x&neuron=-5&t=&nothing=1")
    other.reload()
    assert other.evaluate("[state.xi, state.digit, state.neuron, state.t]") == [20, 9, 0, 196]
    assert not other.problems, other.problems


def test_names_of_cells_are_only_words(page):
    assert page.locator("#map .cellname").text_content() == HOSTILE
    assert page.evaluate("window.hacked") is None and page.locator("img").count() == 0


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_screen_and_controls_stay_in_sight(address, tab, picture, audit, width, scheme):
    page = tab(width, color_scheme=scheme)
    page.goto(address)
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for below, control in (("#accuracy", "#xi"), ("#map", "#n")):
        page.locator(below).scroll_into_view_if_needed()
        settle(page)
        box = page.locator(control).bounding_box()
        assert 0 <= box["y"] < 200, control
    assert len(picture(page, f"view-{width}-{scheme}")) > 50_000
    audit(page)
    assert not page.problems, page.problems


def test_a_finger_drags_the_point_on_a_phone(address, tab):
    page = tab(390, has_touch=True, is_mobile=True)
    page.goto(address)
    page.locator("#map").scroll_into_view_if_needed()
    x, y = middle(page, "#point")
    client = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        client.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": u, "y": v} for u, v in points]},
        )

    scrolled = page.evaluate("scrollY")
    touch("touchStart", (x, y))
    for k in range(1, 6):
        touch("touchMove", (x + 8 * k, y - 10 * k))
    touch("touchEnd")
    settle(page)
    assert shown(page, "n") > 5.5 and shown(page, "s") > 0.25
    assert page.evaluate("scrollY") == scrolled  # the page stays where it is
