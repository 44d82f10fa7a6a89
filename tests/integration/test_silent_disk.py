"""A music disk that says nothing for longer than a file may take, and then is fine again."""

import time

import pytest

from backend_worker.cli.scan import start_scan
from backend_worker.storage import scans
from tests.support import disturbance, fuse
from tests.support.disturbance import adds_up

pytestmark = pytest.mark.slow

LIMIT_SECONDS = 1
SILENT_SECONDS = 2
PAUSE_SECONDS = 0.5


def silent(library):
    """Return how many files were not read because the disk did not answer."""
    query = "SELECT count(*) FROM file WHERE reason LIKE 'its disk did not answer%%'"
    return library.rows(query)[0][0]


def test_good_songs_are_read_by_the_next_scan(library, servers, sample, tmp_path, undisturbed):
    """Who reads waits in the kernel, where no signal reaches him."""
    with (
        fuse.mounted(sample, tmp_path / "music") as disk,
        disturbance.started(servers, BACKEND_WORKER_READ_TIMEOUT_SECONDS=LIMIT_SECONDS),
    ):
        scan_id = start_scan(disk.folder)
        library.wait_for(lambda: scans.get(scan_id).stored, what="the first files")
        while not silent(library) and scans.get(scan_id).active:
            disk.hang()  # who asks only for a file's size is not in a hurry
            time.sleep(SILENT_SECONDS)
            disk.resume()
            time.sleep(PAUSE_SECONDS)
        first = library.ended(scan_id, 180)
        assert (first.status, adds_up(first)) == ("completed", True)
        left = silent(library)
        assert left, "nobody read while the disk was silent"
        assert left == first.failed - undisturbed[0]["failed"]
        second = library.scan(disk.folder, 180)
        library.settle()
        assert second.failed == undisturbed[0]["failed"]
        assert second.stored >= left
        third = library.scan(disk.folder, 180)
        assert (third.stored, third.failed) == (0, undisturbed[0]["failed"])
