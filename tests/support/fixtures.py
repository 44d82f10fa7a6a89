"""Fixtures of the tests with a real worker: an empty library, a worker, a scan to compare with."""

import contextlib
import fcntl
import os
import pickle

import pytest

from backend_worker.library.sample import make_library
from tests.support.traps import Traps


@pytest.fixture
def library(servers, request):
    """An empty database and an empty Redis."""
    from tests.support import lab

    lab.empty()
    yield lab
    if "worker" in request.fixturenames:
        lab.settle()  # nothing of this test may reach into the next


@pytest.fixture(scope="session")
def shared_worker(servers):
    """The worker that files of tests share; the hook of tests/conftest.py knows who uses it."""
    from tests.support.shared import SHARED

    return SHARED


@pytest.fixture(scope="module")
def worker(servers, shared_worker, request):
    """A worker for a module's tests; a test that kills it starts its own instead."""
    from tests.support import lab

    return shared_worker.get(request.module, servers, lab.running_worker)


@pytest.fixture(scope="module")
def small_batches(servers, shared_worker, request):
    """As ``worker``, one that takes many small batches."""
    from tests.support import disturbance

    return shared_worker.get(request.module, servers, disturbance.started)


@pytest.fixture
def worker_log(servers):
    """Returns what the worker has written since the test began."""
    file = servers.folder / "worker.log"
    before = file.stat().st_size if file.exists() else 0

    def written():
        with file.open(encoding="utf-8", errors="replace") as text:
            text.seek(before)
            return text.read()

    return written


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Returns a path that the first of several processes of the suite has made."""
    own = tmp_path_factory.getbasetemp()
    folder = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def path_of(name, make):
        path = folder / name
        with open(f"{path}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                unfinished = folder / f"{name}.unfinished"
                make(unfinished)
                unfinished.rename(path)
        return path

    return path_of


@pytest.fixture(scope="session")
def sample(made_once):
    """A library that is scanned under disturbances; nobody changes it."""
    from tests.support.disturbance import TRACKS

    return str(made_once("music", lambda path: make_library(str(path), tracks=TRACKS, processes=2)))


@pytest.fixture(scope="session")
def undisturbed(servers, sample, made_once):
    """Figures and library of a scan that nothing disturbed."""
    from backend_worker.cli.scan import start_scan
    from tests.support import disturbance, lab
    from tests.support.shared import SHARED

    def scan(path):
        with contextlib.ExitStack() as stack:
            if not SHARED.runs(disturbance.started):
                SHARED.stop()
                lab.empty()
                stack.enter_context(disturbance.started(servers))
            path.write_bytes(pickle.dumps(disturbance.result(start_scan(sample))))

    return pickle.loads(made_once("undisturbed", scan).read_bytes())


@pytest.fixture
def traps(tmp_path):
    """Files of which a worker with ``traps.settings`` dies, and the like."""
    return Traps(tmp_path / "traps")
