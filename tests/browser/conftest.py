"""A browser, what looks at its pages, and the explorer served to it.

Tests are skipped with a message where there is no browser. ADAPTRNN_SCREENSHOTS=FOLDER keeps the
pictures that tests take.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
SOURCES = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="session")
def browser():
    """Chromium of this machine."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)}; on Debian: apt install chromium")
    with api.sync_playwright() as library:
        opened = library.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def serve():
    """A function that serves the explorer for a run and gives its address."""
    pytest.importorskip("marimo", reason="marimo is not installed")
    from adaptrnn.config import ExploreConfig
    from adaptrnn.explore.command import command

    servers = []

    def start(run: Path | None = None) -> str:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        words = command(ExploreConfig(run=run, port=port, browser=False), token=False)
        environment = {"PYTHONPATH": str(SOURCES), "MARIMO_SKIP_UPDATE_CHECK": "1"}
        servers.append(subprocess.Popen(words, env=os.environ | environment))
        address = f"http://127.0.0.1:{port}"
        end = time.monotonic() + 120
        while time.monotonic() < end:
            try:
                urllib.request.urlopen(address, timeout=5).close()
                return address
            except OSError:
                assert servers[-1].poll() is None, "marimo ended"
                time.sleep(0.2)
        raise TimeoutError(address)

    yield start
    for server in servers:
        server.terminate()
        server.wait()


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
    here = ("http://127.0.0.1:", "ws://127.0.0.1:", "file:", "about:", "data:", "blob:")
    if not url.startswith(here):
        tab.problems.append(f"asked another machine: {url}")


@pytest.fixture
def picture():
    """A function that takes a picture of a whole page, kept where the environment says."""

    def take(page, name: str) -> bytes:
        page.wait_for_timeout(1500)  # fonts, and pictures that are still being drawn
        height = page.evaluate(
            "Math.max(...[...document.querySelectorAll('*')].map(e => e.scrollHeight))"
        )
        page.set_viewport_size({"width": page.viewport_size["width"], "height": height})
        page.wait_for_timeout(500)
        image = page.screenshot(timeout=180_000)  # a long page on a busy machine
        folder = os.environ.get("ADAPTRNN_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            (Path(folder) / f"{name}.png").write_bytes(image)
        return image

    return take


@pytest.fixture
def audit():
    """A function that checks a page, and the frames in it, with the accessibility rules of axe."""
    library = pytest.importorskip("axe_playwright_python", reason="axe is not installed")
    script = (Path(library.__file__).parent / "axe.min.js").read_text(encoding="utf-8")

    def check(page, *left_out: str) -> None:
        """Fail for a serious or critical finding outside the selectors `left_out`."""
        page.evaluate(script)
        # styles are not read once more, which a browser refuses on a page from the disk
        found = page.evaluate(
            "left => axe.run({exclude: left.map((one) => [one])}, {preload: false})",
            list(left_out),
        )
        lines = [
            f"{one['impact']}: {one['id']}: {node['html'][:150]} {node['failureSummary'][:250]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]
        assert not lines, "\n".join(lines)

    return check
