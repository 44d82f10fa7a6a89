"""Real servers for the tests: their addresses are set before anything of ours is imported."""

import gc
import os
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

import hypothesis
import pytest

from backend_worker.embedded import EmbeddedServers

MOST_SIDE_BY_SIDE = 8  # each has its own PostgreSQL, Redis and worker
_TESTS = Path(__file__).parent
_FOLDER = Path(tempfile.mkdtemp(prefix="bw-tests-"))
_SERVERS = EmbeddedServers(_FOLDER)
for _name in [name for name in os.environ if name.startswith("BACKEND_WORKER_")]:
    del os.environ[_name]  # what a developer has set must not change what the tests see
os.environ.update(_SERVERS.environment())
os.environ["BACKEND_WORKER_COVER_ART_ARCHIVE"] = "no"  # tests speak to loopback alone
# what is short on the machine that runs the tests must not change what they see
os.environ["BACKEND_WORKER_SYSTEM_ROOT"] = str(_FOLDER / "no-board")

# No test is timed: how long one takes says more of the machine than of us.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_addoption(parser):
    """Let a random run be repeated; Hypothesis has ``--hypothesis-seed`` of its own."""
    parser.addoption("--seed", type=int, help="of random moments and changes (random)")


def pytest_xdist_auto_num_workers():
    """Run twice as many tests side by side as there are processors: half the time they wait."""
    return min(MOST_SIDE_BY_SIDE, 2 * len(os.sched_getaffinity(0)))


def pytest_collection_modifyitems(items):
    """Run the files with the slowest tests first, or the last of them runs alone at the end.

    Behind each other those that share a worker.
    """
    slow = Counter(item.path for item in items if "slow" in item.keywords)
    shares = {item.path for item in items if "shared_worker" in item.fixturenames}

    def turn(item):
        unit = "unit" in item.path.relative_to(_TESTS).parts
        return unit, item.path in shares, -slow[item.path], "slow" in item.keywords

    items.sort(key=turn)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Stop the worker that other tests share, unless this one uses it."""
    if "servers" in item.fixturenames and "shared_worker" not in item.fixturenames:
        from tests.support.shared import SHARED

        SHARED.leave_alone(item.module)


@pytest.fixture(scope="session")
def servers():
    """PostgreSQL and Redis, started when the first test asks for them."""
    from backend_worker.storage.connection import close_process_connection, connect
    from backend_worker.storage.migrations import migrate
    from tests.support.shared import SHARED

    with _SERVERS:
        connection = connect()
        migrate(connection)
        connection.close()
        yield _SERVERS
        SHARED.stop()
        close_process_connection()
        gc.collect()  # Celery's results say goodbye to Redis when they are collected


@pytest.fixture
def chance(request):
    """Random numbers; the output of a test that failed names the seed that repeats them."""
    seed = request.config.getoption("--seed")
    if seed is None:
        seed = random.randrange(2**32)
    sys.stdout.write(f"repeat with --seed={seed}\n")
    return random.Random(seed)


@pytest.fixture(scope="session", autouse=True)
def _remove_folder():
    import shutil

    yield
    shutil.rmtree(_FOLDER, ignore_errors=True)
