"""Fixtures of the tests with a real worker: an empty library, a worker, a scan to compare with."""

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


@pytest.fixture(scope="module")
def worker(servers):
    """One worker for a module's tests; a test that kills it starts its own instead."""
    from tests.support import lab

    lab.empty()  # or it begins with what earlier tests left
    with lab.running_worker(servers) as process:
        lab.wait_for(lab.worker_is_ready, what="a ready worker")
        yield process


@pytest.fixture(scope="module")
def small_batches(servers):
    """As ``worker``, one that takes many small batches."""
    from tests.support import disturbance, lab

    lab.empty()
    with disturbance.started(servers) as process:
        lab.wait_for(lab.worker_is_ready, what="a ready worker")
        yield process


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    """A library that is scanned under disturbances; nobody changes it."""
    from tests.support.disturbance import TRACKS

    root = str(tmp_path_factory.mktemp("sample") / "music")
    make_library(root, tracks=TRACKS, processes=2)
    return root


@pytest.fixture(scope="session")
def undisturbed(servers, sample):
    """Figures and library of a scan that nothing disturbed."""
    from backend_worker.cli.scan import start_scan
    from tests.support import disturbance, lab

    lab.empty()
    with disturbance.started(servers):
        return disturbance.result(start_scan(sample))


@pytest.fixture
def traps(tmp_path):
    """Files of which a worker with ``traps.settings`` dies, and the like."""
    return Traps(tmp_path / "traps")
