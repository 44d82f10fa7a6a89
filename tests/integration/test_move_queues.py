"""Moving what waits in the nine services' Redis into ours, as ``playbooks/migrate.yml`` does."""

import json
import os
import pathlib
import subprocess
import sys

import celery
import pytest
import redis

from backend_worker.embedded import EmbeddedRedis
from backend_worker.tasks.broker import queue_lengths
from tests.support import lab
from tests.support.messages import waiting

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = ROOT / "playbooks/files/move_queues.py"
AUDIO = ROOT / "tests/data/tone.oga"
UNACKED_KEY = "unacked"


@pytest.fixture(scope="module")
def old_server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("old")
    server = EmbeddedRedis(folder, folder).start()
    yield server
    server.stop()


@pytest.fixture
def old_url(old_server):
    return old_server.url.replace("redis+socket://", "unix://")


@pytest.fixture
def old(old_url):
    with redis.Redis.from_url(old_url) as connection:
        connection.flushdb()
        yield connection


@pytest.fixture
def client(old_server):
    """Sends as clients of the earlier system do, to their own broker."""
    app = celery.Celery("old-client", broker=old_server.url, set_as_current=False)
    yield app
    app.close()


@pytest.fixture
def move(library, old_url):
    def run():
        environment = os.environ | {"OLD_REDIS_URL": old_url}
        result = subprocess.run(
            [sys.executable, PROGRAM], env=environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        return int(result.stdout)

    return run


def test_what_waits_is_moved_in_its_order_and_of_every_priority(old, client, move):
    for number in range(3):
        client.send_task("metadata.extract_batch", args=[[f"/m/{number}"]], queue="extract")
    client.send_task("insert.direct_batch", args=[{}], queue="insert", priority=5)
    client.send_task("scan.discovery", args=["/m"], queue="scan", priority=9)
    assert move() == 5
    assert [message.args for message in waiting("extract")] == [[["/m/0"]], [["/m/1"]], [["/m/2"]]]
    expected = {"extract": 3, "insert": 1, "scan": 1}
    assert {name: count for name, count in queue_lengths().items() if count} == expected
    assert move() == 0


def test_what_a_dead_worker_had_taken_comes_first(old, client, move):
    client.send_task("metadata.extract_batch", args=[["/m/waits"]], queue="extract")
    client.send_task("metadata.extract_batch", args=[["/m/taken"]], queue="extract")
    taken = json.loads(old.lpop("extract"))
    tag = taken["properties"]["delivery_tag"]
    # the earlier system's routing keys need not be its queues' names
    old.hset(UNACKED_KEY, tag, json.dumps([taken, "tasks", "metadata.extract"]))
    old.zadd("unacked_index", {tag: 1})
    assert move() == 2
    assert [message.args for message in waiting("extract")] == [[["/m/taken"]], [["/m/waits"]]]
    assert not old.exists(UNACKED_KEY, "unacked_index")


def test_queues_of_others_stay(old, client, move):
    client.send_task("mail.send", args=[], queue="mail")
    letter = json.loads(old.lindex("mail", 0))
    old.hset(UNACKED_KEY, "tag", json.dumps([letter, "mail", "mail"]))
    assert move() == 0
    assert old.llen("mail") == 1
    assert old.hlen(UNACKED_KEY) == 1


def test_the_worker_runs_what_was_moved(library, client, move, worker):
    client.send_task("metadata.extract_batch", args=[[str(AUDIO)]], queue="extract", priority=5)
    assert move() == 1
    lab.settle()
    [(path, state)] = library.rows("SELECT path, state FROM file")
    assert (os.fsdecode(bytes(path)), state) == (str(AUDIO), "stored")
