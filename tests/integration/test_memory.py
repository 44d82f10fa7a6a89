"""What the worker occupies when idle and while it reads.

The limits leave room for other Python versions and libraries, not for scikit-learn, Pillow or
a command line in the wrong process: each of these costs more than the margin.
"""

import pytest

from backend_worker.cli.scan import start_scan
from backend_worker.library.sample import make_library
from backend_worker.storage import scans
from backend_worker.worker.usage import tree_usage
from tests.integration.test_pending_vectors import with_vector
from tests.support import lab
from tests.support.measuring import measures

MIB = 1024 * 1024
IDLE_MIB = 70
READING_MIB = 180


@pytest.fixture(scope="module")
def worker(servers):
    """One of its own: what other tests had theirs do, it would hold still."""
    lab.empty()
    with lab.running_worker(servers) as process:
        lab.wait_for(lab.worker_is_ready, what="a ready worker")
        yield process


def children(worker):
    return {process.pid for process in tree_usage(worker.pid).processes[1:]}


def holds_scikit_learn(pid):
    with open(f"/proc/{pid}/maps", encoding="utf-8") as file:
        return "/sklearn/" in file.read()


@measures
def test_idle_unit(library, worker):
    library.settle()
    usage = tree_usage(worker.pid)
    assert len(usage.processes) == 2
    assert usage.pss / MIB < IDLE_MIB


@measures
@pytest.mark.slow
def test_four_processes_that_read_tags(library, worker, tmp_path):
    make_library(str(tmp_path / "music"), tracks=2000)
    scan_id = start_scan(str(tmp_path / "music"))
    seen = []

    def ended():
        usage = tree_usage(worker.pid)
        if active := scans.get(scan_id).active:  # what follows the scan is another matter
            seen.append(usage)
        return not active

    lab.wait_for(ended)
    library.settle()
    assert max(len(usage.processes) for usage in seen) == 5
    assert max(usage.pss for usage in seen) / MIB < READING_MIB
    assert len(with_vector()) == 2000
    heavy = [process for process in children(worker) if holds_scikit_learn(process)]
    assert len(heavy) <= 1
