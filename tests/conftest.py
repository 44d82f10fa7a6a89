"""Real servers for the tests: their addresses are set before anything of ours is imported."""

import gc
import os
import tempfile
from pathlib import Path

import hypothesis
import pytest

from backend_worker.embedded import EmbeddedServers

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


def pytest_collection_modifyitems(items):
    """Run the fast tests first: unit before integration, unmarked before slow."""
    items.sort(key=lambda item: ("integration" in item.nodeid, "slow" in item.keywords))


@pytest.fixture(scope="session")
def servers():
    """PostgreSQL and Redis, started when the first test asks for them."""
    from backend_worker.storage.connection import close_process_connection, connect
    from backend_worker.storage.migrations import migrate

    with _SERVERS:
        connection = connect()
        migrate(connection)
        connection.close()
        yield _SERVERS
        close_process_connection()
        gc.collect()  # Celery's results say goodbye to Redis when they are collected


@pytest.fixture(scope="session", autouse=True)
def _remove_folder():
    import shutil

    yield
    shutil.rmtree(_FOLDER, ignore_errors=True)
