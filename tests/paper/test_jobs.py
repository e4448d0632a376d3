"""Jobs: failures and deaths are reported and take no other job with them."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from adaptrnn.paper.jobs import Job, run_jobs


def ends(jobs, workers=2):
    return {o.job.name: o for o in run_jobs(jobs, workers, 0.05) if o and o.state != "started"}


def test_failures_and_deaths_stay_their_own():
    jobs = [
        Job("dies", signal.raise_signal, (signal.SIGKILL,)),
        Job("fails", int, ("x",)),
        Job("leaves", os._exit, (3,)),
        Job("good", abs, (-1,)),
    ]
    found = ends(jobs)
    assert {name: o.state for name, o in found.items()} == {
        "dies": "failed",
        "fails": "failed",
        "leaves": "failed",
        "good": "done",
    }
    assert "killed by signal 9" in found["dies"].error
    assert "ended with code 3" in found["leaves"].error
    assert found["fails"].error.startswith("ValueError: invalid literal")
    assert "Traceback" in found["fails"].details


def test_closing_ends_the_workers_and_starts_no_more():
    jobs = [Job("long", time.sleep, (100,)), Job("never", time.sleep, (100,))]
    news = run_jobs(jobs, 1, 0.05)
    assert next(news).state == "started"
    assert multiprocessing.active_children()
    news.close()
    assert not multiprocessing.active_children()


def test_no_jobs_no_news():
    assert list(run_jobs([], 2)) == []


def test_each_job_runs_in_another_process(tmp_path: Path):
    jobs = [Job(str(i), os.mkdir, (str(tmp_path / str(i)),)) for i in range(5)]
    assert all(o.state == "done" for o in ends(jobs).values())
    assert sorted(p.name for p in tmp_path.iterdir()) == list("01234")


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path):
    code = (
        "import os, sys, time\n"
        "from adaptrnn.paper.jobs import Job, run_jobs\n"
        "if __name__ == '__main__':\n"
        "    for o in run_jobs([Job('long', time.sleep, (300,))], 1, 0.05):\n"
        "        import multiprocessing\n"
        "        print(multiprocessing.active_children()[0].pid, flush=True)\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(code)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    time.sleep(3)  # the worker has started by then; if not, it ends when it reads its pipe
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(300):
        if not _alive(child):
            return
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the worker outlived its parent by 30 s")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
