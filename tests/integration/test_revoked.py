"""Tasks that somebody revokes or terminates, by remote control as Flower does: their scan ends."""

import os
import urllib.parse
import urllib.request
import uuid

import pytest

from backend_worker.celery_app import app
from backend_worker.storage import scans
from backend_worker.storage.connection import connect
from backend_worker.tasks import broker
from tests.support.disturbance import BATCH, TRACKS, adds_up, figures
from tests.support.flower import running_flower

pytestmark = pytest.mark.slow

REVOKED = "cancelled: its task was revoked"


@pytest.fixture
def closed(servers):
    """Keep the worker from writing to a table until the returned function is called."""
    connection = connect()

    def close(table):
        connection.cursor().execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
        return connection.rollback

    yield close
    connection.close()


def walk_at(table, library, closed, sample):
    """Start a scan whose walk, or whose batches, wait for a table; return it and what opens it."""
    let_go = closed(table)
    task_id = str(uuid.uuid4())
    app.send_task("scan.discovery", [sample], task_id=task_id, ignore_result=True)
    library.wait_for(
        lambda: library.rows(
            "SELECT FROM pg_locks WHERE NOT granted AND relation = %s::regclass", table
        ),
        what=f"somebody who waits for {table}",
    )
    return task_id, scans.of_task(task_id), let_go


def ended_as_cancelled(library, scan_id):
    status = library.ended(scan_id)
    library.settle()
    assert (status.status, status.message) == ("cancelled", REVOKED)
    assert adds_up(status)
    # and it is not taken up again
    assert [scan.id for scan in scans.recent() if scan.active] == []


def completes(library, sample, undisturbed):
    status = library.scan(sample)
    library.settle()
    assert status.status == "completed"
    assert library.snapshot()["tracks"] == undisturbed[1]["tracks"]


def test_walk_that_is_revoked_before_it_begins(library, small_batches, sample, undisturbed):
    """Its message comes when the worker knows already."""
    task_id = str(uuid.uuid4())
    app.control.revoke(task_id, reply=True)
    scan_id = scans.begin(os.fsencode(sample), task_id)
    app.send_task("scan.discovery", [sample], task_id=task_id, ignore_result=True)
    ended_as_cancelled(library, scan_id)
    completes(library, sample, undisturbed)


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGKILL", "SIGINT", "SIGUSR1", "SIGQUIT", None])
def test_walk_that_is_terminated(library, small_batches, sample, closed, signal):
    """None: revoked only; SIGINT: the processes of the pool do not hear it."""
    task_id, scan_id, let_go = walk_at("scan_batch", library, closed, sample)
    options = {"terminate": True, "signal": signal} if signal else {}
    [answer] = app.control.revoke(task_id, reply=True, **options)
    assert "ok" in next(iter(answer.values()))
    let_go()
    ended_as_cancelled(library, scan_id)
    assert small_batches.poll() is None


def test_scan_whose_walk_has_ended_is_revoked_in_flower(
    library, small_batches, sample, closed, tmp_path, undisturbed
):
    task_id, scan_id, let_go = walk_at("track", library, closed, sample)
    library.wait_for(lambda: scans.get(scan_id).walk_ended, what="the end of the walk")
    with running_flower(tmp_path, FLOWER_UNAUTHENTICATED_API="true") as url:
        query = urllib.parse.urlencode({"terminate": "true", "signal": "SIGTERM"})
        request = urllib.request.Request(f"{url}/api/task/revoke/{task_id}?{query}", method="POST")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        assert opener.open(request, timeout=20).status == 200
    let_go()
    # before the batches that wait
    ended_as_cancelled(library, scan_id)
    completes(library, sample, undisturbed)


def test_batches_that_are_revoked_are_left_to_the_next_scan(
    library, small_batches, sample, closed, undisturbed
):
    _, scan_id, let_go = walk_at("track", library, closed, sample)
    library.wait_for(lambda: scans.get(scan_id).walk_ended, what="the end of the walk")
    # some of them are at work, all others wait
    batches = [headers["id"] for headers in broker.held({"extract"})]
    assert len(batches) >= TRACKS / BATCH / 2
    assert app.control.revoke(batches, terminate=True, signal="SIGKILL", reply=True)
    let_go()
    status = library.ended(scan_id)
    library.settle()
    assert (status.status, adds_up(status)) == ("completed", True)
    assert status.ignored - undisturbed[0]["ignored"] >= TRACKS / 2
    assert figures(status)["gone"] == 0
    completes(library, sample, undisturbed)
