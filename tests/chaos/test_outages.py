"""A server is away for a minute in mid-scan: the scan goes on when it is back."""

import time

import pytest

from backend_worker.cli.scan import start_scan
from backend_worker.storage.connection import close_process_connection
from tests.support.disturbance import check, wait_for_stored

pytestmark = pytest.mark.chaos

AWAY_SECONDS = 60


@pytest.mark.parametrize("name", ["redis", "postgres"])
def test_server_is_away_for_a_minute(library, servers, small_batches, sample, undisturbed, name):
    server = getattr(servers, name)
    scan_id = start_scan(sample)
    wait_for_stored(scan_id, 0.3)
    close_process_connection()
    server.stop()
    time.sleep(AWAY_SECONDS)
    server.start()
    check(scan_id, undisturbed, 120)
    assert small_batches.poll() is None
