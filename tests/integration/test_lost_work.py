"""What Redis has lost of a scan is sent again, whatever else the worker holds meanwhile."""

import os

import pytest
from celery import Celery

from backend_worker.celery_app import app
from backend_worker.cli.scan import start_scan
from backend_worker.config import get_config
from backend_worker.library.sample import make_library
from backend_worker.progress.connection import redis_client
from backend_worker.storage import scans
from backend_worker.tasks import broker
from tests.support import disturbance
from tests.support.disturbance import wait_for_stored
from tests.support.lab import wait_for
from tests.support.messages import waiting

pytestmark = pytest.mark.slow

DAY_SECONDS = 86400


@pytest.fixture
def put_off():
    """Tasks of a client that are to run tomorrow: the worker takes them, and keeps them."""
    client = Celery(broker=get_config().redis_url, set_as_current=False)
    ids = [
        client.send_task(name, args, queue=queue, countdown=DAY_SECONDS, ignore_result=True).id
        for name, args, queue in (
            ("maintenance.statistics", [], "maintenance"),
            ("metadata.extract_batch", [["/m/1.mp3"], "tomorrow"], "extract"),
            ("batch.process_entities", [[]], "batch"),
            ("scan.discovery", ["/m"], "scan"),
            ("vectorization.calculate", [[1]], "vector"),
            ("covers.process_album_covers", [[1]], "covers"),
        )
    ]
    yield ids
    redis_client().flushdb()


@pytest.mark.parametrize("lost", ["batches", "walk"])
def test_far_eta_keeps_nothing_lost(library, servers, sample, undisturbed, put_off, tmp_path, lost):
    queues = set(broker.QUEUE_NAMES)
    with disturbance.started(servers):
        wait_for(
            lambda: not any(broker.queue_lengths().values()), what="a worker that has taken all"
        )
        assert {headers["id"] for headers in broker.held(queues)} >= set(put_off)
        if lost == "batches":
            scan_id = start_scan(sample)
            wait_for_stored(scan_id, 0.1)
            assert redis_client().delete("extract")
        else:  # its message never came, and another scan lets the worker look
            scan_id = scans.begin(os.fsencode(sample), "lost")
            make_library(str(tmp_path / "other"), tracks=12)
            assert start_scan(str(tmp_path / "other")) != scan_id
        assert disturbance.figures(library.ended(scan_id)) == undisturbed[0]
        held = {headers["id"] for headers in broker.held(queues)}
        assert held >= set(put_off), "they are still to run tomorrow"
        app.control.revoke(put_off)


def test_what_is_held_is_told_by_its_headers(library):
    client = redis_client()
    app.send_task("maintenance.statistics", headers={"batch": "scan-1-2"}, ignore_result=True)
    app.send_task("maintenance.statistics", priority=9, ignore_result=True)
    client.lpush("maintenance", "no JSON", "[1]", '{"headers": 1}', "{}")
    client.hset(broker.UNACKED_KEY, mapping={"a": "no JSON", "b": "{}", "c": "[1, 2, 3]"})
    assert len(waiting("covers")) == 0
    held = broker.held({"maintenance"})
    assert {headers.get("batch") for headers in held} == {"scan-1-2", None}
    assert len(held) == 2
    assert broker.held({"covers"}) == []
