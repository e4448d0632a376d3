"""Many jobs in a few processes: one that fails, or dies, takes none of the others with it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

__all__ = ["Job", "Outcome", "processors", "run_jobs"]


@dataclass(frozen=True)
class Job:
    """One piece of work.

    Args:
        name: what people call it.
        work: a function of a module, called in another process.
        arguments: its arguments; they are pickled.
    """

    name: str
    work: Callable[..., object]
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        job: the job.
        state: "started", "done" or "failed".
        error: of a failed job, one line that says why.
        details: of a failed job, the traceback, if there is one.
    """

    job: Job
    state: str
    error: str = ""
    details: str = ""


def processors() -> int:
    """Number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_jobs(jobs: Sequence[Job], workers: int, pause: float = 0.5) -> Iterator[Outcome | None]:
    """Run jobs in worker processes of one thread each, in the order given.

    Workers end with the process that started them, even where it is killed, and when the iterator
    is closed. A worker that dies, for example for want of memory, is replaced; its job has failed.

    Args:
        jobs: what to do.
        workers: number of processes, >= 1.
        pause: after so many seconds without news, None is given, so that the caller can look
            around.

    Yields:
        An `Outcome` whenever a job starts, ends or fails; None in pauses.

    Example:
        >>> jobs = [Job("good", abs, (-1,)), Job("bad", int, ("x",))]
        >>> [o.state for o in run_jobs(jobs, 1) if o]
        ['started', 'done', 'started', 'failed']
    """
    context = multiprocessing.get_context("spawn")
    waiting, pool = list(jobs), []
    try:
        for _ in range(min(workers, len(waiting))):
            worker = _Worker(context)
            pool.append(worker)
            yield worker.give(waiting.pop(0))
        while pool:
            ready = wait([w.pipe for w in pool], pause)
            if not ready:
                yield None
            for worker in [w for w in pool if w.pipe in ready]:
                yield worker.outcome()
                if not worker.process.is_alive():
                    worker.end()
                    pool.remove(worker)
                    if not waiting:
                        continue
                    worker = _Worker(context)
                    pool.append(worker)
                elif not waiting:
                    worker.end()
                    pool.remove(worker)
                    continue
                yield worker.give(waiting.pop(0))
    finally:
        for worker in pool:
            worker.end()


class _Worker:
    """A process and the job it has."""

    def __init__(self, context: Any) -> None:
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other,), daemon=True)
        self.process.start()
        other.close()
        self.job: Job | None = None

    def give(self, job: Job) -> Outcome:
        self.job = job
        with contextlib.suppress(OSError):  # died meanwhile: outcome() says so
            self.pipe.send(job)
        return Outcome(job, "started")

    def outcome(self) -> Outcome:
        job, self.job = self.job, None
        if job is None:  # pragma: no cover - a worker is asked only while it has a job
            raise RuntimeError("the worker has no job")
        try:
            error, details = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode or 0
            why = f"killed by signal {-code}" if code < 0 else f"ended with code {code}"
            more = " (out of memory?)" if code == -9 else ""
            return Outcome(job, "failed", f"the process was {why}{more}")
        return Outcome(job, "failed" if error else "done", error, details)

    def end(self) -> None:
        # killed, not asked: what a run keeps on disk is whole at every moment
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(pipe: Connection) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    torch.set_num_threads(1)
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        try:
            job.work(*job.arguments)
        except KeyboardInterrupt:
            return
        except Exception as error:
            text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            pipe.send((text, traceback.format_exc()))
        else:
            pipe.send(("", ""))


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
