"""A lock on a folder: one at a time, and free again however its holder ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

from adaptrnn import InputError
from adaptrnn.lock import locked

HOLDER = """
import sys, time
from pathlib import Path
from adaptrnn.lock import locked
with locked(Path(sys.argv[1]), "testing it"):
    print("held", flush=True)
    time.sleep(120)
"""


def test_another_holder_is_refused_and_an_error_frees_the_folder(tmp_path):
    folder = tmp_path / "new" / "folder"
    with pytest.raises(ZeroDivisionError), locked(folder, "testing it"):
        with (
            pytest.raises(InputError, match="another process is testing"),
            locked(folder, "testing"),
        ):
            pytest.fail("two hold one folder")
        raise ZeroDivisionError
    with locked(folder, "testing it"):
        pass


def test_a_holder_that_is_killed_holds_it_no_longer(tmp_path):
    words = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(InputError, match="Wait until it ends"), locked(tmp_path, "waiting"):
                pytest.fail("two hold one folder")
        finally:
            holder.kill()
    with locked(tmp_path, "testing it"):
        pass


def test_a_folder_that_cannot_be_made_is_one_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"), locked(tmp_path / "file" / "x", "y"):
        pytest.fail("a folder inside a file")
