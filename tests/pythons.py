"""Run the test suite in every Python that the package supports and that is on this machine.

    python tests/pythons.py                                        all versions
    python tests/pythons.py --python 3.12 tests/kernels            one of them, and some tests
    python tests/pythons.py --python 3.11 --torch 2.14.1           with another torch

Each gets an environment under build/, with the pinned torch as its CPU build: on Linux the wheel
torch==VERSION+cpu, which PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu has for all of
them; the wheels on PyPI bring several GB for GPUs and are taken only with --torch. A version that
cannot be tried is named with the reason, and its interpreter, where there is one, at least compiles
every module. Other words on the command line are given to pytest.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
EVERY = "not slow and not slurm and not browser and not triton and not gpu"  # tests to run
COMPILE = """
import pathlib
for path in pathlib.Path("src").rglob("*.py"):
    compile(path.read_text(encoding="utf-8"), str(path), "exec")
"""


def run(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    """A command in the repository's root."""
    return subprocess.run([str(word) for word in words], cwd=ROOT, text=True, **options)  # type: ignore[call-overload]


def interpreter(version: str) -> Path | None:
    """An interpreter of this version: this one, one on the PATH, or one of pyenv's."""
    candidates = [sys.executable, shutil.which(f"python{version}")]
    if shutil.which("pyenv"):
        root = run("pyenv", "root", capture_output=True).stdout.strip()
        candidates += sorted(map(str, Path(root, "versions").glob(f"{version}.*/bin/python")))
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    for candidate in candidates:
        if candidate:
            said = run(candidate, "-c", ask, capture_output=True)  # a shim of pyenv may refuse
            if said.returncode == 0 and said.stdout.strip() == version:
                return Path(candidate)
    return None


def pinned() -> str:
    """The torch of constraints.txt, as its build for CPUs."""
    line = re.search(r"^torch==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert line is not None
    local = "+cpu" if platform.system() == "Linux" and platform.machine() == "x86_64" else ""
    return line[1] + local


def tried(version: str, torch: str, arguments: list[str]) -> tuple[str, bool]:
    """What came of one version, and whether it is a failure."""
    python = interpreter(version)
    if python is None:
        return "not tried: no interpreter of this version is here", False
    if run(python, "-c", COMPILE).returncode:
        return "failed: a module does not compile", True
    folder = ROOT / "build" / f"python-{version}-torch-{torch}"
    inside = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if run(python, "-m", "venv", folder).returncode:
        return "compiles; not tried further: no environment can be made", False
    pip = (inside, "-m", "pip", "install", "-q", "--disable-pip-version-check")
    if run(*pip, f"torch=={torch}").returncode:
        return f"compiles; not tried further: no wheel of torch {torch} for it is to be had", False
    # the pinned versions are those of one Python: here pip chooses what each Python can take
    if run(*pip, f"torch=={torch}", "-e", ".[dev]").returncode:
        return "failed: the package cannot be installed", True
    done = run(
        *(inside, "-m", "pytest", "-q", "-n", "auto", "--dist", "loadfile", "-m", EVERY),
        *arguments,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
    )
    print(done.stdout)
    last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else "no output"
    return f"torch {torch}: {last.strip('= ')}", done.returncode != 0


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", choices=VERSIONS, action="append", help="repeatable")
    parser.add_argument("--torch", default=pinned(), help="version of torch (default %(default)s)")
    options, arguments = parser.parse_known_args(words)
    results = {
        version: tried(version, options.torch, arguments) for version in options.python or VERSIONS
    }
    print("| Python | result |\n| --- | --- |")
    for version, (text, _) in results.items():
        print(f"| {version} | {text} |")
    return int(any(failed for _, failed in results.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
