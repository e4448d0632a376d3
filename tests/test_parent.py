"""A job ends with the process that started it, on systems that keep its number or change it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time

import psutil
import pytest

CHILD = """
import os
import sys
import time

from adaptrnn._parent import end_with_parent

if sys.argv[1] == "windows":  # which keeps the number of a parent that has ended
    number = os.getppid()
    os.getppid = lambda: number
end_with_parent(0.05)
print(os.getpid(), flush=True)
time.sleep(120)
"""

PARENT = """
import subprocess
import sys

child = subprocess.Popen([sys.executable, *sys.argv[1:]], stdout=subprocess.PIPE, text=True)
print(child.stdout.readline())
"""


@pytest.mark.parametrize("system", ["unix", "windows"])
def test_a_job_ends_with_the_workflow_that_started_it(system):
    words = [sys.executable, "-c", PARENT, "-c", CHILD, system]
    # the job must not hold a pipe of this process, which would wait for it
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    number = int(subprocess.run(words, check=True, **quiet).stdout)
    limit = time.monotonic() + 60  # it takes about 0.1 s
    while psutil.pid_exists(number) and time.monotonic() < limit:
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(number).status() == psutil.STATUS_ZOMBIE:
                return
        time.sleep(0.05)
    assert time.monotonic() < limit
