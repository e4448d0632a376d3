"""Nothing of the package needs what only Linux, or only Unix, has."""

from __future__ import annotations

import subprocess
import sys

import pytest

ABSENT = """
import builtins
import os
import signal
import types

MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
plain = builtins.__import__


def guarded(name, globals=None, locals=None, fromlist=(), level=0):
    "An import, refused where a module of the package asks for what Windows does not have."
    importer = str((globals or {}).get("__name__", ""))
    if importer.partition(".")[0] == "adaptrnn":
        if name.partition(".")[0] in MODULES:
            raise ModuleNotFoundError(f"{importer} imports {name}", name=name)
        if name in SMALLER:
            return SMALLER[name]
    return plain(name, globals, locals, fromlist, level)


def without(module, names):
    "A module that lacks what Windows lacks."
    smaller = types.ModuleType(module.__name__)
    smaller.__dict__.update({k: v for k, v in vars(module).items() if k not in names})
    return smaller


SMALLER = {
    "os": without(os, {"fork", "forkpty", "getuid", "geteuid", "getgid", "getegid", "killpg",
                       "getloadavg", "nice", "sched_getaffinity", "setsid", "sysconf", "uname"}),
    "signal": without(signal, {"SIGALRM", "SIGHUP", "SIGKILL", "SIGQUIT", "SIGUSR1", "SIGUSR2"}),
}
builtins.__import__ = guarded
"""

EVERY_MODULE = """
import importlib
import importlib.util
import pkgutil

import adaptrnn

# the kernels for GPUs: the one module that imports triton, which only an extra brings
known = set() if importlib.util.find_spec("triton") else {"adaptrnn.kernels.triton._rows"}
for module in pkgutil.walk_packages(adaptrnn.__path__, "adaptrnn."):
    if module.name not in known:
        importlib.import_module(module.name)
"""

EVERY_COMMAND = """
import contextlib

from adaptrnn.cli import COMMANDS, main

for command in COMMANDS:
    try:
        main([command, "--help"])
    except SystemExit as stop:
        assert stop.code == 0, command
"""

ONE_EPOCH = """
import tempfile

with tempfile.TemporaryDirectory() as folder:
    words = ["train", "digits", "--model", "arun", "--hidden-size", "4", "--controller-size", "2"]
    words += ["--epochs", "1", "--train-size", "100", "--out", folder]
    assert main(words) == 0
"""


def run(script: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", ABSENT + script]
    return subprocess.run(command, capture_output=True, text=True, timeout=280)


@pytest.mark.long
def test_a_system_without_fcntl_resource_pwd_fork_and_kill():
    done = run(EVERY_MODULE + EVERY_COMMAND + ONE_EPOCH)
    assert done.returncode == 0, done.stderr
    assert "validation accuracy" in done.stdout


def test_the_mask_masks():
    """What Windows lacks is refused to the package, and to the package only."""
    done = run("exec('import resource', {'__name__': 'adaptrnn.bench'})")
    assert "adaptrnn.bench imports resource" in done.stderr
    done = run("exec('import os; os.fork', {'__name__': 'adaptrnn.bench'})")
    assert "no attribute 'fork'" in done.stderr
    assert run("import os, resource; os.fork").returncode == 0
