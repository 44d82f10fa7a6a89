"""What integration tests share: an empty library, and a worker like the Pi's."""

import pytest


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

    with lab.running_worker(servers) as process:
        lab.wait_for(lab.worker_is_ready, what="a ready worker")
        yield process
