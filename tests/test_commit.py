"""The commit of the package: in a checkout, in an archive, and where nothing says which it is."""

import importlib.util
import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from adaptrnn import _commit

ROOT = Path(__file__).parents[1]
WHO = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")


def git(folder, *arguments):
    found = subprocess.run(["git", *WHO, *arguments], cwd=folder, capture_output=True, check=True)
    return found.stdout


@pytest.fixture
def checkout(tmp_path):
    """A repository with nothing but this module, and its commit."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    folder = tmp_path / "checkout"
    (folder / "src" / "adaptrnn").mkdir(parents=True)
    shutil.copy(_commit.__file__, folder / "src" / "adaptrnn")
    shutil.copy(ROOT / ".gitattributes", folder)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "Begin")
    return folder, git(folder, "rev-parse", "HEAD").decode().strip()


def found_in(folder):
    path = folder / "src" / "adaptrnn" / "_commit.py"
    spec = importlib.util.spec_from_file_location("commit_of_a_copy", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.commit()


def test_a_checkout_and_its_archive_say_their_commit(checkout, tmp_path):
    folder, expected = checkout
    assert found_in(folder) == expected
    (tmp_path / "archive" / "src" / "adaptrnn").mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(git(folder, "archive", "HEAD"))) as archive:
        name = "src/adaptrnn/_commit.py"
        (tmp_path / "archive" / name).write_bytes(archive.extractfile(name).read())
    assert found_in(tmp_path / "archive") == expected


def test_a_changed_checkout_is_dirty(checkout):
    folder, expected = checkout
    (folder / ".gitattributes").write_text("")
    assert found_in(folder) == f"{expected}-dirty"


def test_a_copy_does_not_take_the_commit_of_the_folder_around_it(checkout):
    folder, _ = checkout
    (folder / "venv" / "src" / "adaptrnn").mkdir(parents=True)
    shutil.copy(_commit.__file__, folder / "venv" / "src" / "adaptrnn")
    assert found_in(folder / "venv") is None
