"""Say which commit of adaptrnn is running, for the record of what it computes."""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path

__all__ = ["commit"]

# `git archive` writes the hash of its commit here (.gitattributes)
ARCHIVED = "$Format:%H$"


@functools.cache
def commit() -> str | None:
    """Return the hash of the commit that this package is of.

    Returns:
        The 40 digits of the hash, followed by "-dirty" where a file of the checkout was changed
        since; None where neither an archive nor a checkout of git says which commit it is.
    """
    if "Format" not in ARCHIVED:
        return ARCHIVED
    root, git = Path(__file__).parents[2], shutil.which("git")
    if git is None or not (root / ".git").exists() or not (root / "src" / "adaptrnn").exists():
        return None
    describe = [git, "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"]
    found = subprocess.run([*describe, "--exclude=*"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None
