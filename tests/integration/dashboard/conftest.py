"""A library that the worker has scanned, and a dashboard that shows it."""

import contextlib
import os
import time

import pytest

from backend_worker.library.sample import make_library
from tests.support import lab
from tests.support.dashboard import Dashboard

TRACKS = 60
ODD_NAME = b"caf\xe9 <b>\xf0\x9f\xa6\x94.mp3"  # neither UTF-8 nor harmless in HTML


@pytest.fixture(scope="module")
def music(tmp_path_factory, servers, worker):
    """A library that the worker has scanned, with a file that is no music."""
    root = tmp_path_factory.mktemp("dashboard") / "music"
    make_library(str(root), tracks=TRACKS)
    with open(os.fsencode(root) + b"/" + ODD_NAME, "wb") as file:
        file.write(b"no music")
    old = time.time() - 3600
    os.utime(os.fsencode(root) + b"/" + ODD_NAME, (old, old))
    lab.empty()
    status = lab.scan(root)
    assert status.stored == TRACKS
    lab.settle()
    return root


@pytest.fixture(scope="package")
def dashboard(tmp_path_factory, servers):
    with Dashboard(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def own(tmp_path, servers):
    """Starts dashboards with settings of the test's own."""
    with contextlib.ExitStack() as stack:
        yield lambda **settings: stack.enter_context(Dashboard(tmp_path, **settings))
