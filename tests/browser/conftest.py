"""A browser, and the explorer served to it; skipped with a message where there is none."""

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
