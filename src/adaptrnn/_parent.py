"""A process that ends when the one that started it does, however that one ended."""

from __future__ import annotations

import os
import threading
import time

__all__ = ["VARIABLE", "end_with_parent"]

VARIABLE = "ADAPTRNN_END_WITH_PARENT"
"""Set by a workflow for its jobs: no job goes on, unseen, when the workflow was killed."""


def end_with_parent(pause: float = 0.5) -> None:
    """End this process, at once and without cleaning up, soon after its parent has ended.

    What a run keeps on disk is whole at every moment, so nothing is lost.

    Args:
        pause: seconds between two looks.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(pause)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
