"""A process that has grown over its limit."""

import pytest

from backend_worker.tasks.base import send
from tests.integration.test_memory import children
from tests.integration.test_pending_vectors import store, with_vector
from tests.support import lab
from tests.support.measuring import measures


@measures
@pytest.mark.slow
def test_a_process_over_its_limit_is_replaced_after_its_task(library, servers):
    settings = {
        "BACKEND_WORKER_AUTOSCALE_MAX": 1,
        "BACKEND_WORKER_MAX_MEMORY_PER_CHILD_MIB": 110,
    }
    with lab.running_worker(servers, **settings) as worker:
        lab.wait_for(lab.worker_is_ready, what="a ready worker")
        before = children(worker)
        assert len(before) == 1
        send("maintenance.statistics", [])
        library.settle()
        assert children(worker) == before
        store("client-1", 3)  # scikit-learn takes it over the limit
        library.settle()
        assert with_vector() == [1, 2, 3]  # its task was completed
        lab.wait_for(lambda: children(worker).isdisjoint(before), what="another process")
        lab.wait_for(lambda: len(children(worker)) == 1, what="one process")
        send("maintenance.statistics", [])
        library.settle()
