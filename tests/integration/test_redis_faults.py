"""Redis restarts empty, is emptied, is full, cannot write: the scan ends as if nothing had been."""

import shutil
import signal

import pytest
import redis.exceptions

from backend_worker.celery_app import app
from backend_worker.cli.scan import start_scan
from backend_worker.progress.connection import redis_client
from backend_worker.storage import scans
from backend_worker.tasks.base import TRANSIENT
from backend_worker.tasks.delivery import count_delivery
from tests.support import lab
from tests.support.disks import Ballast, mounted
from tests.support.disturbance import check, started, wait_for_stored

# Enough that tasks of all queues have met it.
REFUSALS = 5


def refused(error):
    """Return how often Redis has refused something since it was started."""
    return redis_client().info("errorstats").get(f"errorstat_{error}", {}).get("count", 0)


def restart_empty(redis):
    redis.stop()
    shutil.rmtree(redis.folder / "appendonlydir")
    redis.start()


@pytest.mark.chaos
def test_redis_that_comes_back_empty(library, servers, small_batches, sample, undisturbed):
    scan_id = start_scan(sample)
    for part in (0.2, 0.6):
        wait_for_stored(scan_id, part)
        restart_empty(servers.redis)
    check(scan_id, undisturbed)
    assert small_batches.poll() is None


def test_redis_that_is_emptied_unnoticed(library, servers, small_batches, sample, undisturbed):
    scan_id = start_scan(sample)
    wait_for_stored(scan_id, 0.3)
    redis_client().flushall()
    check(scan_id, undisturbed)
    assert small_batches.poll() is None


def test_redis_whose_memory_is_full(library, servers, small_batches, sample, undisturbed):
    scan_id = start_scan(sample)
    wait_for_stored(scan_id, 0.3)
    before = refused("OOM")
    redis_client().config_set("maxmemory", 1)
    library.wait_for(lambda: refused("OOM") >= before + REFUSALS, what="refusals")
    redis_client().config_set("maxmemory", 0)
    check(scan_id, undisturbed)
    assert small_batches.poll() is None


@pytest.fixture
def small_disk(servers):
    """Redis on a disk of its own."""
    servers.redis.stop()
    try:
        with mounted(servers.redis.folder, "24m") as folder:
            servers.redis.start()
            yield Ballast(folder)
            servers.redis.stop()
    finally:
        servers.redis.start()


@pytest.fixture
def refusing_redis(servers):
    """Redis that cannot save, and takes no more for that reason, as when its disk is full."""
    client = redis_client()
    dump = servers.redis.folder / "dump.rdb"
    before = client.config_get("save")["save"]
    shutil.rmtree(dump, ignore_errors=True)
    dump.unlink(missing_ok=True)
    (dump / "in the way").mkdir(parents=True)
    client.config_set("save", "3600 1")
    client.bgsave()
    lab.wait_for(
        lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err",
        what="a Redis that cannot save",
    )
    yield
    shutil.rmtree(dump)
    client.config_set("save", before)
    client.bgsave()
    lab.wait_for(
        lambda: client.info("persistence")["rdb_last_bgsave_status"] == "ok",
        what="a Redis that can save",
    )


def test_what_redis_refuses_is_tried_again(refusing_redis):
    with pytest.raises(redis.exceptions.ResponseError, match="MISCONF") as caught:
        count_delivery("scan-1-1")
    assert isinstance(caught.value, TRANSIENT)


@pytest.mark.slow
def test_redis_whose_disk_is_full(small_disk, library, servers, small_batches, sample, undisturbed):
    scan_id = start_scan(sample)
    wait_for_stored(scan_id, 0.3)
    small_disk.fill()
    library.wait_for(lambda: refused("MISCONF") >= REFUSALS, what="refusals")
    small_disk.drop()
    check(scan_id, undisturbed)
    assert small_batches.poll() is None


@pytest.mark.slow
def test_stop_while_redis_is_away_takes_seconds_and_loses_nothing(
    library, servers, sample, undisturbed, worker_log
):
    with started(servers) as worker:
        scan_id = start_scan(sample)
        wait_for_stored(scan_id, 0.3)
        servers.redis.stop()
        try:
            library.wait_for(lambda: "Redis is not available" in worker_log(), what="its line")
            worker.send_signal(signal.SIGTERM)
            worker.wait(lab.WAIT_SECONDS)
        finally:
            servers.redis.start()
    with started(servers):
        check(scan_id, undisturbed)


@pytest.mark.slow
def test_clock_that_was_set_back_does_not_keep_a_task_that_is_to_be_tried_again(
    library, servers, sample, undisturbed
):
    """A Pi without a clock of its own starts with the time of its last shutdown."""
    scan_id = start_scan(sample)
    redis_client().delete("scan")
    [scan] = scans.active()
    options = {"task_id": scan.task_id, "retries": 1, "countdown": 3600}
    app.send_task("scan.discovery", [sample], **options)
    with started(servers):
        check(scan_id, undisturbed)
