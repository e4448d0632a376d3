"""A lock on a folder lets one process at a time work in it, on every system."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from adaptrnn._error import InputError

__all__ = ["locked"]

log = logging.getLogger(__name__)


@contextmanager
def locked(folder: Path, doing: str) -> Iterator[None]:
    """Hold a folder against other processes; the system frees it when this process dies.

    On a file system without locks this only warns.

    Args:
        folder: the folder; it is created if it does not exist. The lock is its file `.lock`.
        doing: what a process that holds the folder does, after the words "another process is".

    Raises:
        InputError: another process holds the folder, or it cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with locked(Path(folder), "training this run"):
        ...         (Path(folder) / ".lock").exists()
        True
    """
    # a lock of its own each time: a second one in the same process is refused too
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(
            f"{folder}: another process is {doing}. Wait until it ends, or choose another folder "
            "by --out."
        ) from None
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written ({error.strerror}). Choose another folder by --out."
        ) from None
    except NotImplementedError:
        log.warning("%s: its file system has no locks; use it in one process only.", folder)
        yield
        return
    try:
        yield
    finally:
        lock.release()
