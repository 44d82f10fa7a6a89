"""The figures of running scans in a real Redis."""

import threading

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from backend_worker.library.sample import make_library
from backend_worker.progress import figures
from backend_worker.progress.connection import redis_client


def test_scan_is_among_the_running_ones_from_its_beginning_to_its_end(library):
    figures.begin(7, "/music")
    figures.write(7, folder="/music/a", found=300, unchanged=100)
    figures.write(7, stored=80, failed=20)
    [scan] = figures.running()
    assert (scan.scan_id, scan.root, scan.folder) == (7, "/music", "/music/a")
    assert (scan.done, scan.waiting, scan.percent) == (200, 100, None)
    figures.write(7, walk_ended=True)
    assert figures.running()[0].percent == 66
    figures.end(7, "completed")
    assert figures.running() == []


def test_batch_that_comes_late_does_not_call_back_a_scan_that_has_ended(library):
    figures.begin(7, "/music")
    figures.end(7, "completed")
    figures.write(7, stored=80)
    assert figures.running() == []
    assert redis_client().smembers(figures.RUNNING_KEY) == set()


def test_figures_that_come_late_are_not_written(library):
    """Of two processes that store a batch each, the first to look may be the last to tell."""
    figures.begin(7, "/music")
    figures.write_stored(7, 36, 2, root="/music")
    figures.write_stored(7, 26, 3, root="/music")
    [scan] = figures.running()
    assert (scan.stored, scan.failed) == (36, 2)
    figures.write_stored(7, 36, 4, root="/music")
    assert figures.running()[0].failed == 4


def test_the_highest_of_figures_that_are_written_at_once_remains(library):
    figures.begin(7, "/music")

    def write(start):
        for stored in range(start, 200, 4):
            figures.write_stored(7, stored, 0)

    threads = [threading.Thread(target=write, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert figures.running()[0].stored == 199


def test_scan_is_there_again_after_redis_lost_everything(library):
    figures.begin(7, "/music")
    redis_client().flushdb()
    figures.write(7, stored=80)
    assert [scan.stored for scan in figures.running()] == [80]


def test_scan_whose_figures_have_expired_is_forgotten(library):
    figures.begin(7, "/music")
    assert 0 < redis_client().ttl("backend_worker:scan:7") <= figures.KEEP_SECONDS
    redis_client().delete("backend_worker:scan:7")
    assert figures.running() == []
    assert redis_client().exists(figures.RUNNING_KEY) == 0


def test_nothing_is_raised_while_redis_is_away(monkeypatch, tmp_path):
    nobody = redis.Redis(unix_socket_path=str(tmp_path / "redis"), retry=Retry(NoBackoff(), 0))
    monkeypatch.setattr(figures, "redis_client", lambda: nobody)
    figures.begin(7, "/music")
    figures.write(7, stored=1)
    figures.end(7, "completed")


@pytest.mark.slow
def test_tasks_tell_figures_that_add_up_and_end_with_the_scan(library, servers, tmp_path):
    from backend_worker.cli.scan import start_scan
    from backend_worker.storage import scans

    root = str(tmp_path / "music")
    make_library(root, tracks=300)
    settings = {"BACKEND_WORKER_SETTLE_SECONDS": 0, "BACKEND_WORKER_BATCH_SIZE": 10}
    with library.running_worker(servers, **settings):
        scan_id = start_scan(root)
        seen = []

        def ended():
            seen.extend(figures.running())
            return not scans.get(scan_id).active

        library.wait_for(ended, what="end of the scan")
        assert figures.running() == []
    assert any(scan.folder.startswith(root) for scan in seen)
    later = {scan.folder for scan in seen if scan.walk_ended}
    assert len(later) > 1, "after the walk it is the folder of what was stored"
    stored = [scan.stored for scan in seen]
    assert stored == sorted(stored), "it never goes back"
    assert len(set(stored)) > 5
    assert all(scan.done <= scan.found for scan in seen if scan.walk_ended)
    assert max(scan.percent or 0 for scan in seen) > 50
