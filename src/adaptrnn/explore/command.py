"""The command `adaptrnn explore` starts marimo's server on the explorer, safe by default."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from adaptrnn._error import bad, require
from adaptrnn.config import ExploreConfig
from adaptrnn.explore.network import find_runs, load_network

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["explore"]


def explore(config: ExploreConfig, console: Console) -> None:
    """Serve the explorer until interrupted.

    Args:
        config: what and where.
        console: where to print the address.

    Raises:
        InputError: no run there, or a port that is taken.
        MissingExtraError: marimo is not installed.
    """
    require("marimo", "explore")
    # a wrong folder is found before any page
    load_network(next(iter(find_runs(config.run).values())))
    _free(config)
    token = config.token or (None if config.local else secrets.token_urlsafe(24))
    address = f"http://{config.host}:{config.port}"
    shown = address if token is None else f"{address}?access_token={token}"
    console.print(f"{shown}   (Ctrl-C ends it)", highlight=False, markup=False, soft_wrap=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server ends too
    process = subprocess.Popen(
        command(config, token is not None),
        stdin=subprocess.PIPE,
        # no look-up of new versions; no module from the folder one happens to be in
        env=os.environ | {"MARIMO_SKIP_UPDATE_CHECK": "1", "PYTHONSAFEPATH": "1"},
    )
    try:
        # by standard input: a command line can be read by others on the machine
        process.communicate((token or "").encode())
    except KeyboardInterrupt:
        return
    finally:
        process.terminate()
        process.wait()
    if process.returncode:
        raise RuntimeError(f"marimo ended with exit code {process.returncode}; see above")


def command(config: ExploreConfig, token: bool) -> list[str]:
    """Return the command that serves the page.

    Args:
        config: what and where.
        token: whether the page asks for a token, given to standard input.

    Returns:
        Its words.

    Example:
        >>> words = command(ExploreConfig(), token=False)
        >>> words[words.index("--host") + 1], "--no-token" in words
        ('127.0.0.1', True)
    """
    words = [sys.executable, "-m", "marimo", "-q", "-y", "run"]
    words += [str(Path(__file__).parent / "app.py")]
    words += ["--host", config.host, "--port", str(config.port), "--no-sandbox"]
    words += [] if config.browser else ["--headless"]
    words += ["--token-password-file", "-"] if token else ["--no-token"]
    return words if config.run is None else [*words, "--", "--run", str(config.run)]


def _free(config: ExploreConfig) -> None:
    """Check that nothing else listens there: marimo would silently take another port."""
    try:
        found = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise bad("host", config.host, "an address of this machine", str(error)) from None
    with socket.socket(found[0][0], socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(found[0][4])
        except OSError as error:
            advice = f"{error.strerror}. Choose another by --port, or another --host."
            place = f"{config.host}:{config.port}"
            raise bad("host, port", place, "an address that is free here", advice) from None
