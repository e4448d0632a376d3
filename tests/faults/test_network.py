"""No module reaches for the network when it is imported, and what needs it says so."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import adaptrnn

IMPORT_ALL = textwrap.dedent("""
    import importlib, pkgutil, socket, sys

    def refuse(*arguments, **options):
        raise SystemExit(f"network: {arguments}")

    socket.socket.connect = socket.socket.connect_ex = refuse
    socket.create_connection = socket.getaddrinfo = refuse
    import adaptrnn

    count = 0
    for module in pkgutil.walk_packages(adaptrnn.__path__, "adaptrnn."):
        if module.name.split(".")[-1] == "__main__":
            continue
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:  # of an extra that is not installed
            if error.name.startswith("adaptrnn"):
                raise
        count += 1
    for name in adaptrnn.__all__:
        getattr(adaptrnn, name)
    print(count)
""")


@pytest.mark.long
def test_importing_every_module_needs_no_network(tmp_path):
    source = os.environ | {"PYTHONPATH": str(Path(adaptrnn.__file__).parents[1])}
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IMPORT_ALL],
        capture_output=True,
        text=True,
        env=source,
        cwd=tmp_path,
    )
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 40
    assert not list(tmp_path.iterdir())  # and leaves nothing where it is called


def test_tests_cannot_reach_beyond_this_machine():
    with socket.socket() as one, pytest.raises(AssertionError, match="wants to connect"):
        one.connect(("192.0.2.1", 80))  # an address for documentation: nobody's
