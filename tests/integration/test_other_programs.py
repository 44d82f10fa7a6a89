"""Other Celery programs on the same Redis: their workers are not ours, nor is what they take."""

import json

import pytest
from celery import Celery
from kombu.transport import redis as redis_transport

from backend_worker.celery_app import app
from backend_worker.cli.workers import running_workers, worker_answers
from backend_worker.progress.connection import redis_client
from backend_worker.worker.messages import TolerantChannel
from backend_worker.worker.recovery import (
    FORMER_UNACKED_INDEX_KEY,
    FORMER_UNACKED_KEY,
    RememberingQoS,
    give_back_orphans,
)
from tests.support.lab import wait_for
from tests.support.nap_worker import OUR_APP, Naps, nap_worker
from tests.support.other_program import QUEUE as OTHER_QUEUE
from tests.support.other_program import other_worker
from tests.support.other_program import work as other_work

# Far below the visibility time-out, after which Redis would hand out a taken message anyway.
SOON = 30


@pytest.mark.slow
def test_another_programs_worker_is_none_of_ours(library, servers, tmp_path):
    naps = Naps(servers.redis, tmp_path)

    def taken_by_the_other():
        return naps.redis.hvals(FORMER_UNACKED_KEY)

    with other_worker(naps) as other:
        client = Celery(broker=naps.environment["BACKEND_WORKER_REDIS_URL"], set_as_current=False)
        client.send_task(other_work.name, [3600], queue=OTHER_QUEUE, ignore_result=True)
        [message] = wait_for(taken_by_the_other, what="a message that the other has taken")
        assert not worker_answers()
        assert running_workers() == []
        with nap_worker(naps, app=OUR_APP) as ours:
            assert [worker["name"].partition("@")[0] for worker in running_workers()] == [
                "celery-worker"
            ]
            tasks = naps.send(1, seconds=2)
            naps.wait_for("start", tasks)
            ours.kill()
        with nap_worker(naps, app=OUR_APP):
            naps.wait_for("end", tasks, SOON)
            naps.wait_until_empty(SOON)
        assert taken_by_the_other() == [message]
        assert "board" not in other.log(), "it was asked what only ours knows"
    naps.redis.flushdb()


def test_what_an_earlier_version_had_taken_is_given_back(library, monkeypatch):
    """It kept that where all programs do."""
    monkeypatch.setattr(redis_transport.Transport, "Channel", TolerantChannel)
    client = redis_client()
    ours = app.send_task("maintenance.statistics", ignore_result=True).id
    message = client.rpop("maintenance")
    others = {
        "other": json.dumps([{"headers": {"task": "mail.send"}}, "", "maintenance"]),
        "namesake": json.dumps([{"headers": {"task": "maintenance.statistics"}}, "", "mail"]),
        "junk": "no JSON",
    }
    entries = {**others, "ours": json.dumps([json.loads(message), "", "maintenance"])}
    client.hset(FORMER_UNACKED_KEY, mapping=entries)
    client.zadd(FORMER_UNACKED_INDEX_KEY, dict.fromkeys(entries, 1))
    assert give_back_orphans(app) == 1
    assert client.hgetall(FORMER_UNACKED_KEY) == others
    assert set(client.zrange(FORMER_UNACKED_INDEX_KEY, 0, -1)) == set(others)
    with app.connection_for_read() as connection:
        assert connection.default_channel.basic_get("maintenance").headers["id"] == ours


def test_own_messages_are_not_handed_out_again_however_long_they_wait_here(library, monkeypatch):
    """A client may put a task off for longer than a message may be taken."""
    monkeypatch.setattr(redis_transport.Transport, "Channel", TolerantChannel)
    client = redis_client()
    own, others = (app.send_task("maintenance.statistics", ignore_result=True).id for _ in range(2))
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        taken = {}
        for _ in range(2):
            message = channel.basic_get("maintenance")
            taken[message.headers["id"]] = message.delivery_tag
        RememberingQoS.taken.discard(taken[others])  # as if another worker had taken it
        client.zadd(channel.unacked_index_key, dict.fromkeys(taken.values(), 1))
        channel.qos.restore_visible(interval=1)
        [waiting] = client.lrange("maintenance", 0, -1)
        assert json.loads(waiting)["headers"]["id"] == others
        assert client.hkeys(channel.unacked_key) == [taken[own]]
        assert client.zscore(channel.unacked_index_key, taken[own]) > 1
        channel.do_restore = False
    RememberingQoS.taken.clear()
