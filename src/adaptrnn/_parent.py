"""A process ends when the process that started it has ended, for whatever reason."""

from __future__ import annotations

import os
import threading
import time

__all__ = ["VARIABLE", "end_with_parent"]

VARIABLE = "ADAPTRNN_END_WITH_PARENT"
"""Set by a workflow for its jobs: no job continues, unseen, after the workflow was killed."""


def end_with_parent(pause: float = 0.5) -> None:
    """End this process, at once and without cleaning up, soon after its parent has ended.

    What a run keeps on disk is whole at every moment, so nothing is lost.

    Args:
        pause: seconds between two looks.
    """
    import psutil

    parent = psutil.Process().parent()
    if parent is None:  # it is not to be seen from here, as the parent of a container's first
        return

    def watch() -> None:
        # Windows keeps the number of a parent that has ended; elsewhere it changes at once
        while os.getppid() == parent.pid and parent.is_running():
            time.sleep(pause)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
