"""`adaptrnn explore`: where it listens, what it asks for, how it ends."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from rich.console import Console

from adaptrnn._error import InputError
from adaptrnn.config import ExploreConfig
from adaptrnn.explore.command import command, explore

TOKEN = "token-of-this-test"
SOURCES = Path(__file__).parents[2] / "src"
MAIN = """
from rich.console import Console
from adaptrnn.config import ExploreConfig
from adaptrnn.explore.command import explore
explore(ExploreConfig(port={port}, browser=False, token={token!r}), Console())
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments):
        return None


def status(address: str) -> tuple[int, str]:
    """Status and where it sends one, without going there."""
    try:
        with urllib.request.build_opener(_Stay).open(address, timeout=10) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get("Location") or ""


def test_only_this_machine_by_default():
    words = command(ExploreConfig(), token=False)
    assert words[words.index("--host") + 1] == "127.0.0.1"
    assert ExploreConfig().local and not ExploreConfig(host="0.0.0.0").local


@pytest.mark.parametrize("token", [None, TOKEN])
def test_another_host_always_asks_for_a_token(monkeypatch, token):
    """Also where none is given; and no token is on a command line, which others can read."""
    started = {}

    class Process:
        returncode = 0

        def __init__(self, words, **arguments):
            started["words"] = words

        def communicate(self, given):
            started["token"] = given.decode()

        def terminate(self):
            pass

        def wait(self):
            pass

    monkeypatch.setattr(subprocess, "Popen", Process)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    out = io.StringIO()
    explore(ExploreConfig(host="0.0.0.0", port=free_port(), token=token), Console(file=out))
    assert started["words"][-2:] == ["--token-password-file", "-"]
    assert "--no-token" not in started["words"]
    assert started["token"] == token if token else len(started["token"]) >= 32
    assert started["token"] not in " ".join(started["words"])
    assert started["token"] in out.getvalue().replace("\n", "")


def test_wrong_values():
    with pytest.raises(InputError, match="at least 8 characters"):
        ExploreConfig(token="")
    with pytest.raises(InputError, match="port=0"):
        ExploreConfig(port=0)
    with pytest.raises(InputError, match="run="):
        explore(ExploreConfig(run="nowhere"), Console(file=io.StringIO()))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="--port"):
            explore(ExploreConfig(port=taken.getsockname()[1]), Console(file=io.StringIO()))


@pytest.mark.long
def test_without_the_token_there_is_no_answer():
    port = free_port()
    program = MAIN.format(port=port, token=TOKEN)
    server = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(SOURCES)},
    )
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            try:
                code, place = status(address)
                break
            except OSError:
                assert server.poll() is None
                time.sleep(0.3)
        assert code == 303 and "/auth/login" in place
        assert status(f"{address}/api/status")[0] == 401
        assert "/auth/login" in status(f"{address}/?access_token=another")[1]
        assert "/auth/login" not in status(f"{address}/?access_token={TOKEN}")[1]
        # the page lives in a websocket: no token, no socket
        with socket.create_connection(("127.0.0.1", port), timeout=10) as one:
            one.sendall(
                b"GET /ws?session_id=s_abcdef HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            assert b" 403 " in one.recv(1000).split(b"\r\n")[0]
        # other addresses of this machine are not listened on
        with pytest.raises(OSError), socket.create_connection(("127.0.0.2", port), timeout=3):
            pass
    finally:
        server.terminate()
        server.wait(30)
    # the server ends with the command
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            status(address)
        except OSError:
            break
        time.sleep(0.2)
    with pytest.raises(OSError):
        status(address)
