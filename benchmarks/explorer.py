"""How fast the explorer answers a slider: what it computes alone, and in a real browser.

    python benchmarks/explorer.py            # computing and drawing, in this process
    python benchmarks/explorer.py --browser  # and in a browser, from key press to painted answer

The browser part needs playwright and chromium, found where the tests find it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

# when a key went down, when the number in #ID had changed on screen, when the last picture had
WATCH = """
(id) => {
  const seen = (window.adaptrnnSeen = {});
  const target = () => document.querySelector('#' + id);
  const before = target().textContent;
  document.addEventListener('keydown', (e) => { seen.key ??= performance.now(); }, true);
  new MutationObserver((all) => requestAnimationFrame(() => {
    const now = performance.now();
    if (target() && target().textContent !== before) seen.number ??= now;
    for (const one of all) {
      const node = one.target.nodeType === 1 ? one.target : one.target.parentElement;
      const inside = node?.closest('.adaptrnn-picture, .adaptrnn-pictures');
      if (inside || node?.querySelector?.('.adaptrnn-picture')) seen.picture = now;
    }
  })).observe(document.body,
    {subtree: true, childList: true, characterData: true, attributes: true});
}
"""


def computing(repeat: int) -> dict[str, list[float]]:
    """Milliseconds of everything that happens between a slider's value and what is sent back."""
    from adaptrnn.analysis import isolate
    from adaptrnn.explore import network, neuron, page, picture

    net = network.load_network(network.SHIPPED)
    alone = isolate(net.core)
    pictures = [getattr(picture, f"{name}Picture")() for name in ("Trace", "Order", "State")]
    trace, order, state = pictures
    count = net.core.hidden_size
    steps: dict[str, Callable[[float], Any]] = {}
    kept: dict[str, Any] = {}

    def probe(core: Any) -> Callable[[float], None]:
        def run(xi: float) -> None:
            kept["every"] = neuron.neuron_signals(core, neuron.drive("step", xi), range(count))
            kept["seen"] = kept["every"].sel(neuron=[0, 7, 20])
            kept["orders"] = neuron.order_curves(kept["seen"])
            page.orders_table(kept["seen"], kept["orders"])

        return run

    steps["drive, neurons alone: the table"] = probe(alone)
    steps["drive, network: the table"] = probe(net.core)
    steps["drive: three pictures"] = lambda xi: (
        trace.show(kept["seen"]),
        state.show(kept["seen"], kept["every"], xi),
        order.show(kept["orders"]),
    )
    found: dict[str, list[float]] = {}
    for name, step in steps.items():
        step(4.0)  # the first one makes caches
        for turn in range(repeat):
            begin, busy = time.perf_counter(), time.process_time()
            step(5.0 + 0.25 * turn)
            ends = time.perf_counter() - begin, time.process_time() - busy
            for kind, seconds in zip(("", " (processor time)"), ends, strict=True):
                found.setdefault(name + kind, []).append(1e3 * seconds)
    return found


# when a key went down in the first view, and when what it asked for had been drawn
WATCH_VIEW = """
() => {
  const draw = show;
  show = () => { draw(); requestAnimationFrame(() => { window.answered = performance.now(); }); };
  document.addEventListener('keydown', () => {
    window.pressed = performance.now();
    window.answered = 0;
  }, true);
}
"""


def viewing(repeat: int) -> dict[str, list[float]]:
    """Milliseconds of the first view, which needs no server: key to drawn, and processor time."""
    from playwright.sync_api import sync_playwright

    from adaptrnn.explore import view

    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as library:
        path = Path(folder) / "view.html"
        path.write_text(view.first_view(), encoding="utf-8")
        browser = library.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.goto(path.as_uri())
        tab.evaluate(WATCH_VIEW)
        client = tab.context.new_cdp_session(tab)
        client.send("Performance.enable", {"timeDomain": "threadTicks"})

        def busy() -> float:
            metrics = client.send("Performance.getMetrics")["metrics"]
            return 1e3 * next(one["value"] for one in metrics if one["name"] == "TaskDuration")

        for name, slider, keys in (
            ("drive", "#xi", ("ArrowRight",)),
            ("step", "#t", ("ArrowLeft",)),
            ("gain", "#n", ("ArrowRight",)),
            ("saturation", "#s", ("ArrowRight",)),
            ("current", "#x", ("ArrowRight",)),
            ("digit", "#digits button >> nth=3", ("Enter", "Tab")),
        ):
            tab.locator(slider).focus()
            for turn in range(repeat if name != "digit" else 10):
                before = busy()
                tab.keyboard.press(keys[turn % len(keys)])
                if keys[turn % len(keys)] == "Tab":
                    continue
                tab.wait_for_function("window.answered > 0")
                tab.wait_for_timeout(100)
                waited = tab.evaluate("window.answered - window.pressed")
                found.setdefault(f"first view, {name}: key to drawn", []).append(waited)
                used = found.setdefault(f"first view, {name} (processor time)", [])
                used.append(busy() - before)
        browser.close()
    return found


def browsing(repeat: int) -> dict[str, list[float]]:
    """Milliseconds from key press to the painted number and to the last painted picture."""
    from playwright.sync_api import sync_playwright

    from adaptrnn.config import ExploreConfig
    from adaptrnn.explore.command import command

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = command(ExploreConfig(port=port, browser=False), token=False)
    server = subprocess.Popen(words, env=os.environ | {"MARIMO_SKIP_UPDATE_CHECK": "1"})
    address = f"http://127.0.0.1:{port}"
    found: dict[str, list[float]] = {}
    try:
        while server.poll() is None:
            try:
                urllib.request.urlopen(address, timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        with sync_playwright() as library:
            browser = library.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
            tab = browser.new_page(viewport={"width": 1280, "height": 900})
            tab.goto(address)
            tab.wait_for_selector("#adaptrnn-7-0", timeout=120_000)
            tab.wait_for_timeout(2000)
            thumb = tab.get_by_role("slider").first
            for _ in range(repeat):
                tab.evaluate(WATCH, "adaptrnn-7-0")
                thumb.focus()
                tab.keyboard.press("PageUp")
                tab.wait_for_timeout(1200)
                seen = tab.evaluate("window.adaptrnnSeen")
                for part in ("number", "picture"):
                    if part in seen:
                        name = f"drive, alone: key to {part}"
                        found.setdefault(name, []).append(seen[part] - seen["key"])
            browser.close()
    finally:
        server.terminate()
        server.wait()
    return found


def chromium() -> str | None:
    """Debian's chromium or what there is; None for playwright's own."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--browser", action="store_true")
    parser.add_argument("--repeat", type=int, default=21)
    options = parser.parse_args()
    found = computing(options.repeat)
    if options.browser:
        found |= viewing(options.repeat) | browsing(options.repeat)
    print(f"{'milliseconds':<52}{'median':>8}{'largest':>9}   of")
    for name, values in found.items():
        print(f"{name:<52}{statistics.median(values):>8.1f}{max(values):>9.1f}{len(values):>5}")


if __name__ == "__main__":
    main()
