"""Kills at any moment of a scan: what ends up in the database is what an undisturbed one leaves."""

import contextlib
import functools
import json
import os
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest

from backend_worker.celery_app import app
from backend_worker.cli.scan import start_scan
from backend_worker.progress.connection import redis_client
from backend_worker.storage import batches, scans
from backend_worker.storage.walks import WalkCounts
from backend_worker.tasks import broker
from backend_worker.tasks.delivery import count_delivery, counted_delivery
from tests.support.disturbance import (
    BATCH,
    adds_up,
    check,
    children,
    cut_the_power,
    differences,
    figures,
    kill,
    kill_all,
    ordinary_files,
    started,
    wait_for_stored,
    wait_for_walk,
)
from tests.support.waiting import WAIT_SECONDS


def interrupted_scan(root):
    """Leave what processes leave that die between recording a batch and sending it."""
    task_id = "walks"
    scan_id = scans.begin(os.fsencode(root), task_id)
    paths = ordinary_files(root)[: 2 * BATCH]
    parts = {f"scan-{scan_id}-1": paths[:BATCH], f"scan-{scan_id}-2": paths[BATCH:]}
    for batch_id, part in parts.items():
        batches.add_batch(scan_id, batch_id, [os.fsencode(path) for path in part], WalkCounts())
    halved = f"scan-{scan_id}-1"
    batches.split_batch(halved)
    app.send_task("metadata.extract_batch", [parts[halved], halved])
    app.send_task("scan.discovery", [root], task_id=task_id)
    return scan_id


@pytest.mark.parametrize("where_read", ["yes", pytest.param("no", marks=pytest.mark.slow)])
def test_killed_processes_lose_nothing(library, servers, sample, undisturbed, where_read):
    with started(servers, BACKEND_WORKER_STORE_WHERE_READ=where_read) as worker:
        library.wait_for(library.worker_is_ready, what="a ready worker")
        scan_id = interrupted_scan(sample)
        wait_for_walk(scan_id)
        kill(*children(worker))
        for part in (0.1, 0.3, 0.5, 0.7, 0.9):
            wait_for_stored(scan_id, part)
            kill(*children(worker))
        check(scan_id, undisturbed)
        assert worker.poll() is None
        # one died between the end of the scan and what follows; its batch is delivered again
        library.rows("UPDATE scan SET followed_up = false RETURNING id")
        batch_id = f"scan-{scan_id}-5"
        if where_read == "yes":
            app.send_task("metadata.extract_batch", [ordinary_files(sample)[:1], batch_id])
        else:
            app.send_task("insert.direct_batch", [{"batch_id": batch_id}])
        library.wait_for(lambda: not scans.not_followed_up(), what="what follows a scan")


def kill_parent(worker, servers):
    """As the kernel's out-of-memory killer might: its processes stay and go on."""
    kill(worker.pid)
    worker.wait()


def stop(worker, servers):
    """As systemd does."""
    worker.send_signal(signal.SIGTERM)
    worker.wait(WAIT_SECONDS)


@pytest.mark.parametrize(
    "disturbances",
    [(kill_parent, kill_all, kill_parent), (cut_the_power, stop, cut_the_power)],
    ids=["kills", "power cuts and a stop"],
)
def test_next_worker_goes_on_by_itself(library, servers, sample, undisturbed, disturbances):
    with contextlib.ExitStack() as workers:

        def next_worker():
            return workers.enter_context(started(servers))

        worker = next_worker()
        scan_id = start_scan(sample)
        wait_for_walk(scan_id)
        disturbances[0](worker, servers)
        for part, disturb in zip((0.4, 0.95), disturbances[1:], strict=True):
            worker = next_worker()
            wait_for_stored(scan_id, part)
            disturb(worker, servers)
        next_worker()
        check(scan_id, undisturbed)


def everything():
    redis_client().flushall()


def what_followed_extraction():
    """Remove the messages of batches that were read and not stored, and of vectors to be made."""
    lost = {"batch", "insert", "vector"}
    client = redis_client()
    client.delete(*lost)
    for tag, message in client.hgetall(broker.UNACKED_KEY).items():
        if json.loads(message)[2] in lost:
            client.hdel(broker.UNACKED_KEY, tag)


@pytest.mark.slow
@pytest.mark.parametrize("lost", [everything, what_followed_extraction])
def test_scan_goes_on_when_redis_has_lost(library, servers, sample, undisturbed, lost):
    through_queues = {"BACKEND_WORKER_STORE_WHERE_READ": "no"}
    with started(servers, **through_queues) as worker:
        scan_id = start_scan(sample)
        wait_for_stored(scan_id, 0.3)
        kill_all(worker, servers)
    lost()
    with started(servers, **through_queues):
        check(scan_id, undisturbed)


@pytest.mark.slow
def test_files_that_kill_or_engage_their_reader_are_found(
    library, servers, sample, undisturbed, traps
):
    files = ordinary_files(sample)
    killing, engaging = files[40:42], files[60]
    cover = next(str(path) for path in sorted(Path(sample).rglob("cover.jpg")))
    traps.set(kill=[*killing, cover], busy=[engaging])
    settings = {"BACKEND_WORKER_READ_TIMEOUT_SECONDS": 1, "BACKEND_WORKER_MAX_DELIVERIES": 1}
    with started(servers, **settings, **traps.settings):
        status = library.scan(sample)
        library.settle()
        assert status.failed == undisturbed[0]["failed"] + 3
        assert status.stored == undisturbed[0]["stored"] - 3
        assert adds_up(status)
        crashed = "its reader crashed each time; the file is probably damaged"
        expected = dict.fromkeys(killing, crashed)
        expected[engaging] = "reading it took longer than 1 s"
        reasons = library.rows(
            "SELECT path, reason FROM file WHERE state = 'failed' AND path = ANY(%s)",
            [os.fsencode(path) for path in expected],
        )
        assert {os.fsdecode(bytes(path)): reason for path, reason in reasons} == expected
        for part in ("tracks", "links", "vectors"):
            assert without(library.snapshot()[part], expected) == without(
                undisturbed[1][part], expected
            )
        # one death for each size of the batch, which is halved down to the file
        deaths = Counter(traps.sprung())
        assert deaths[engaging] == 1
        assert all(1 <= deaths[path] <= (BATCH - 1).bit_length() + 1 for path in killing)
        # its task is given up, and that which may look for gaps
        assert 1 <= deaths[cover] <= 6
        status = library.scan(sample)
        assert (status.stored, status.failed) == (0, undisturbed[0]["failed"] + 3)
        assert Counter(traps.sprung()) == deaths


def without(rows, paths):
    left_out = {"\\x" + os.fsencode(path).hex() for path in paths}
    return [row for row in rows if row[0] not in left_out]


@pytest.mark.slow
def test_files_that_the_system_cannot_read_are_read_by_the_next_scan(
    library, servers, sample, undisturbed, traps
):
    """An unplugged disk answers with errors, or not at all, until it is noticed."""
    files = ordinary_files(sample)
    traps.set(fail=files[40:60], keep=files[60:62], starve=files[62:64])
    settings = traps.settings | {"BACKEND_WORKER_READ_TIMEOUT_SECONDS": 1}
    with started(servers, **settings):
        status = library.scan(sample)
        library.settle()
        assert status.failed == undisturbed[0]["failed"] + 24
        traps.set()
    reasons = library.rows("SELECT reason, count(*) FROM file WHERE mtime_ns = -1 GROUP BY 1")
    assert dict(reasons) == {
        "cannot be read: Input/output error": 20,
        "cannot be read: there was not enough memory": 2,
        "its disk did not answer within 1 s": 2,
    }
    with started(servers, **traps.settings):
        status = library.scan(sample)
        library.settle()
    assert (status.stored, status.failed) == (24, undisturbed[0]["failed"])
    found = library.snapshot()
    assert found == undisturbed[1], differences((figures(status), found), undisturbed)


@pytest.mark.slow
def test_stop_of_the_worker_is_not_taken_for_a_crash(library, servers, sample, traps, tmp_path):
    music = tmp_path / "music"
    music.mkdir()
    file = shutil.copy2(ordinary_files(sample)[0], music)
    traps.set(keep=[file])
    scan_id = start_scan(str(music))
    settings = traps.settings | {"BACKEND_WORKER_SOFT_SHUTDOWN_TIMEOUT": 1}
    for disturb in (kill_all, stop, kill_all):
        sprung = len(traps.sprung())
        with started(servers, **settings) as worker:
            library.wait_for(functools.partial(traps.sprung_since, sprung), what="the reading")
            disturb(worker, servers)
    with started(servers):
        status = library.ended(scan_id)
    assert (status.stored, status.failed) == (1, 0)


def test_only_a_death_counts(library):
    for _ in range(4):
        with contextlib.suppress(OSError), counted_delivery("a batch") as count:
            assert count == 1
            raise OSError("the disk is full")
    assert [count_delivery("a batch") for _ in range(3)] == [1, 2, 3]
