"""When nothing is left to be done: no message waits, is being worked on, or is on its way."""

import threading
import uuid
from contextlib import contextmanager

import pytest
import redis

from backend_worker.progress.connection import impatient_client, redis_client
from backend_worker.tasks import broker
from tests.support import lab


@contextmanager
def taker():
    """Wait for a message as a worker does, and let nobody know that one came."""
    farewell = f"farewell-{uuid.uuid4()}"
    with impatient_client(lab.WAIT_SECONDS) as client:
        thread = threading.Thread(target=client.brpop, args=[["scan", "vector", farewell]])
        thread.start()
        with client.pubsub() as remote_control:
            remote_control.psubscribe("/0.celery.pidbox")
            yield
        redis_client().lpush(farewell, "an end to it")
        thread.join()


def test_at_rest_while_all_workers_wait(library):
    with taker():
        lab.wait_for(broker.at_rest)
        with taker():
            lab.wait_for(broker.at_rest)
            assert broker.at_rest()


def test_not_at_rest_where_no_worker_runs(library):
    assert not broker.at_rest()


@pytest.mark.parametrize("key", ["extract", "maintenance\x06\x169"])
def test_not_at_rest_while_a_message_waits(library, key):
    with taker():
        lab.wait_for(broker.at_rest)
        redis_client().lpush(key, "a message")
        assert not broker.at_rest()


def test_not_at_rest_while_a_message_is_worked_on(library):
    with taker():
        lab.wait_for(broker.at_rest)
        redis_client().hset(broker.UNACKED_KEY, "tag", '[{}, "", "extract"]')
        assert not broker.at_rest()


def test_not_at_rest_while_a_message_is_on_its_way_to_a_worker(library):
    """No list holds it, and no other worker that waits makes up for it."""
    with impatient_client(60) as client, client.pubsub() as remote_control, taker():
        lab.wait_for(broker.at_rest)
        redis_client().lpush("batch", "a message")
        assert client.brpop("batch")
        assert broker.at_rest(), "it is no worker, but one that waited for an answer"
        remote_control.psubscribe("/0.celery.pidbox")
        remote_control.get_message(timeout=lab.WAIT_SECONDS)
        assert not broker.holds(broker.QUEUE_NAMES)
        assert not broker.at_rest()


def test_other_databases_are_others_matter(library, servers):
    with taker():
        lab.wait_for(broker.at_rest)
        with redis.Redis(unix_socket_path=str(servers.redis.socket), db=7) as client:
            client.lpush("elsewhere", "a message")
            assert client.brpop("elsewhere")
            assert broker.at_rest()
            client.flushdb()


def test_at_rest_with_a_worker(library, worker):
    lab.wait_for(broker.at_rest)
