"""Worker processes are copies of one that has imported what they need."""

from __future__ import annotations

import multiprocessing
import sys
from multiprocessing import forkserver
from multiprocessing.context import BaseContext

__all__ = ["workers"]


def workers(module: str) -> BaseContext:
    """Return how to start processes that have imported a module.

    On Linux the process that they are copies of is started here, unless it runs. It imports while
    the caller does something else, so it pays to call this early. Elsewhere, where copies of a
    process with threads of the system can fail, each worker imports the module itself.

    Args:
        module: its full name.

    Returns:
        For `multiprocessing` or an executor.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([module])
    forkserver.ensure_running()
    return context
