"""Fixtures for every test: fixed seeds, untouched global state of torch, reference data."""

from __future__ import annotations

import importlib.util
import os
import socket
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parent.parent
SEED = int(os.environ.get("ADAPTRNN_TEST_SEED", "0"))  # other ones find tests that pass by luck


@pytest.fixture(autouse=True)
def _seed_and_guard_torch():
    """Seed every generator and fail a test that leaves torch's global settings changed."""
    torch.manual_seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002 - for libraries that draw from the legacy generator
    before = (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled())
    yield
    after = (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled())
    assert before == after, f"the test changed torch's global state: {before} -> {after}"


@pytest.fixture(scope="session", autouse=True)
def _first_use_of_forward_derivatives():
    """torch warns at the first one, which is no matter of whichever test comes first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.func.jvp(torch.sin, (torch.zeros(()),), (torch.ones(()),))


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory):
    """Decoded images of one test session, apart from the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADAPTRNN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_network():
    """No test reaches beyond this machine."""
    connect = socket.socket.connect

    def guarded(self, address):
        host = str(address[0]) if isinstance(address, tuple) else ""
        if host and not (host.startswith("127.") or host in ("::1", "localhost")):
            raise AssertionError(f"a test wants to connect to {address}")
        return connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


@pytest.fixture
def golden() -> Path:
    """Folder of the reference values."""
    return Path(__file__).parent / "golden"


@pytest.fixture
def data_dir() -> Path:
    """Folder of the real data (mnist/, cifar10/ in parquet), or skip."""
    named = os.environ.get("ADAPTRNN_DATA_DIR")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not (folder / "mnist").is_dir():
        pytest.skip(f"no real data in {folder}; set ADAPTRNN_DATA_DIR to a folder with mnist/")
    return folder


@pytest.fixture(scope="session")
def shapes():
    """The module that checks shapes, `tests/shapes.py`."""
    spec = importlib.util.spec_from_file_location("shapes", Path(__file__).with_name("shapes.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def shapes_checked(shapes, request):
    """Check the shapes in every call of a file's tests."""
    with shapes.installed(request.module):
        yield
