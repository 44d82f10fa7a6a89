"""Redis goes away and comes back, workers are killed: no task is lost or waits for hours."""

import os
import threading
import time
from pathlib import Path

import pytest
from celery.utils.objects import Bunch
from kombu.transport import redis as redis_transport

from backend_worker.celery_app import app
from backend_worker.config import get_config
from backend_worker.embedded import EmbeddedServers
from backend_worker.library.sample import make_library
from backend_worker.progress.connection import redis_client
from backend_worker.worker.messages import TolerantChannel
from backend_worker.worker.pool import STUCK_SECONDS
from backend_worker.worker.recovery import (
    LOOK_SECONDS,
    GiveBackAfterReconnect,
    RememberingQoS,
    give_back_orphans,
    let_go,
)
from tests.support.disturbance import children, kill
from tests.support.nap_worker import OUR_APP, QUEUE, Naps, nap_worker, restart
from tests.support.naps import NAP_BETWEEN
from tests.support.other_celery import UnavailableError, python_with_celery
from tests.support.tiny_app import PREFETCH_REDUCTION_VARIABLE
from tests.support.waiting import WAIT_SECONDS, wait_for

PROCESSES = 4  # as many as the autoscaler makes
TRACKS = 400
LONG = 600  # seconds: such a nap ends when it is woken
# Far below the visibility time-out, after which Redis would hand out a taken message anyway.
SOON = WAIT_SECONDS
# Until the pool has noticed that a process does not take its task, and a look at messages.
LONGEST_SECONDS = STUCK_SECONDS + 2 * LOOK_SECONDS + SOON


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory):
    """A Redis of this module's own: nobody else notices when it stops."""
    servers = EmbeddedServers(tmp_path_factory.mktemp("redis"))
    servers.redis.start()
    yield servers.redis
    servers.stop()


@pytest.fixture
def naps(redis_server, tmp_path):
    redis_server.start()  # unless it runs
    naps = Naps(redis_server, tmp_path)
    naps.redis.flushall()
    return naps


@pytest.fixture(autouse=True)
def nothing_remembered():
    """What a worker remembers of its messages; here several tests are one."""
    for memory in (
        RememberingQoS.taken,
        RememberingQoS.unrecorded,
        RememberingQoS.unread,
        RememberingQoS.given_back,
        RememberingQoS.doubtful,
    ):
        memory.clear()


def test_taken_messages_would_wait_for_hours():
    assert get_config().visibility_timeout > 3600 > 10 * SOON


@pytest.mark.slow
def test_celery_5_7_0_dies_when_redis_restarts_under_an_unacknowledged_task(naps, redis_server):
    """Why we stay with 5.6.3.

    It happens while a process is free, so that the worker waits for another message; with as
    many tasks as processes 5.7.0 survives.
    """
    try:
        python = python_with_celery("5.7.0")
    except UnavailableError as error:
        pytest.skip(f"Celery 5.7.0 cannot be installed here: {error}")
    with nap_worker(naps, python=python) as worker:
        tasks = naps.send(PROCESSES - 1, seconds=2)
        naps.wait_for("start", tasks)
        restart(redis_server)
        assert worker.process.wait(SOON) != 0
        assert "Unrecoverable error: AttributeError" in worker.log()
        assert "'NoneType' object has no attribute 'hostname'" in worker.log()
        assert naps.taken() == set(tasks)


@pytest.mark.slow
@pytest.mark.parametrize("count", [PROCESSES - 1, PROCESSES])
def test_our_celery_survives_what_5_7_0_does_not(naps, redis_server, count):
    with nap_worker(naps) as worker:
        tasks = naps.send(count, seconds=1.5)
        naps.wait_for("start", tasks)
        restart(redis_server)
        naps.wait_until_empty(SOON)
        assert set(naps.times("end")) == set(tasks)
        naps.wait_for("end", naps.send(1, seconds=0), SOON)
        assert worker.is_alive()


def test_scan_during_which_redis_restarts_stores_the_same(library, servers, tmp_path):
    from backend_worker.cli.scan import start_scan
    from backend_worker.storage import scans

    root = str(tmp_path / "music")
    make_library(root, tracks=TRACKS)
    settings = {"BACKEND_WORKER_SETTLE_SECONDS": 0, "BACKEND_WORKER_BATCH_SIZE": 20}
    with library.running_worker(servers, **settings) as worker:
        library.wait_for(library.worker_is_ready, what="a ready worker")
        assert library.scan(root).stored == TRACKS
        library.settle()
        undisturbed = library.snapshot()

        library.empty()
        scan_id = start_scan(root)
        for stored, away in ((TRACKS // 5, 0), (TRACKS // 2, 1.5)):

            def reached(stored=stored):
                return scans.get(scan_id).stored >= stored

            library.wait_for(reached, what=f"{stored} stored tracks")
            assert scans.get(scan_id).active
            restart(servers.redis, away)
        status = library.ended(scan_id)
        library.settle()
        assert worker.poll() is None
        assert (status.status, status.stored) == ("completed", TRACKS)
        assert library.snapshot() == undisturbed


@pytest.mark.slow
def test_autoscaler_scales_up_after_a_reconnect_while_idle(redis_server, naps, tmp_path):
    """Celery's own, too; with its own setting it stays at one process from then on."""
    celerys = Naps(redis_server, tmp_path, database=1)
    reduction = {PREFETCH_REDUCTION_VARIABLE: "yes"}
    with nap_worker(naps) as ours, nap_worker(celerys, **reduction) as with_reduction:
        restart(redis_server)
        for worker in (ours, with_reduction):
            worker.wait_for_log("Connected to", times=2)
        tasks = [(each, each.send(PROCESSES, seconds=1.5)) for each in (naps, celerys)]
        for each, sent in tasks:
            each.wait_for("end", sent)
    assert naps.most_at_once() == PROCESSES
    assert celerys.most_at_once() == 1


@pytest.mark.slow
def test_processes_that_die_just_before_redis_restarts(servers, naps, redis_server):
    """Celery 5.6.3 ends when it connects again while a dead process is still in its pool."""
    with nap_worker(naps, app=OUR_APP) as worker:
        for pause in (0, 0.2):
            tasks = naps.send(PROCESSES, seconds=1)
            naps.wait_for("start", tasks)
            kill(*children(worker.process))
            time.sleep(pause)
            restart(redis_server)
            naps.wait_for("end", tasks, LONGEST_SECONDS)
        naps.wait_until_empty(LONGEST_SECONDS)
        assert worker.is_alive()


@pytest.mark.slow
def test_worker_notices_that_redis_closed_its_connections(servers, naps):
    """All processes are busy: only the subscription to remote control tells it then."""
    with nap_worker(naps, app=OUR_APP) as worker:
        tasks = naps.send(PROCESSES, seconds=2)
        naps.wait_for("start", tasks)
        for kind in ("normal", "pubsub"):
            naps.redis.client_kill_filter(_type=kind, skipme=True)
        worker.wait_for_log("Connected to", times=2)
        naps.wait_for("end", tasks)
        naps.wait_until_empty(SOON)


@pytest.mark.slow
def test_nothing_is_kept_of_connections_that_were_lost(servers, naps, redis_server):
    """kombu 5.7 keeps all of them: 80 kB and a socket each."""

    def sockets():
        files = Path(f"/proc/{worker.process.pid}/fd").iterdir()
        return sum("socket:" in os.readlink(file) for file in files)

    with nap_worker(naps, app=OUR_APP) as worker:
        counts = []
        for number in range(1, 9):
            naps.wait_for("end", naps.send(PROCESSES, seconds=0))
            counts.append(sockets())
            restart(redis_server)
            worker.wait_for_log("Connected to", times=number + 1)
        assert max(counts[4:]) <= max(counts[1:4]), counts


@pytest.mark.slow
def test_task_that_waits_in_the_worker_survives_a_restart_of_redis(servers, naps, redis_server):
    """As every task does that is to be tried again."""
    with nap_worker(naps, app=OUR_APP):
        tasks = naps.send(1, seconds=0, countdown=3)
        wait_for(lambda: naps.taken() >= set(tasks), what="a taken message")
        restart(redis_server)
        naps.wait_for("end", tasks, SOON)
        naps.wait_until_empty(SOON)


@pytest.mark.slow
def test_task_waits_for_redis_to_send_what_follows(servers, naps, redis_server):
    """Otherwise it would fail, and its retry, which is a message too, would be lost."""
    with nap_worker(naps, app=OUR_APP):
        [task] = naps.send(1, seconds=0.5, name=NAP_BETWEEN)
        naps.wait_for("end", [f"{task}-before"])
        restart(redis_server, away=1.8)
        naps.wait_for("end", [f"{task}-after"], SOON)
        naps.wait_until_empty(SOON)


def test_tasks_of_a_killed_worker_run_when_it_starts_again(servers, naps):
    with nap_worker(naps, app=OUR_APP) as worker:
        tasks = naps.send(PROCESSES + 1, seconds=LONG)
        naps.wait_for("start", tasks[:PROCESSES])
        worker.kill()
    assert naps.times("end") == {}
    assert naps.taken() >= set(tasks[:PROCESSES])
    naps.wake()
    with nap_worker(naps, app=OUR_APP):
        naps.wait_for("end", tasks, SOON)
        naps.wait_until_empty(SOON)
    assert set(naps.times("end").values()) == {1}


@pytest.mark.slow
def test_tasks_of_a_living_worker_are_left_to_it(servers, naps):
    with nap_worker(naps, app=OUR_APP, node="first"):
        tasks = naps.send(1, seconds=LONG)
        naps.wait_for("start", tasks)
        with nap_worker(naps, app=OUR_APP, node="second") as second:
            assert naps.taken() >= set(tasks)
            assert "left to them" in second.log()
            naps.wake()
            naps.wait_for("end", tasks)
            naps.wait_until_empty(SOON)
            assert naps.times("start") == {tasks[0]: 1}


def test_message_of_a_queue_that_nobody_has_declared_is_given_back(library, monkeypatch):
    """As those that the nine old services had taken."""
    monkeypatch.setattr(redis_transport.Transport, "Channel", TolerantChannel)
    # Celery's own clients name no exchange
    place = {"exchange": "maintenance", "routing_key": "maintenance"}
    orphan = app.send_task("maintenance.statistics", ignore_result=True, **place).id
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        channel.basic_get("maintenance")
        channel.do_restore = False  # this worker does not end in good order
    for key in redis_client().keys("_kombu.*"):
        redis_client().delete(key)
    assert give_back_orphans(app) == 1
    with app.connection_for_read() as connection:
        assert connection.default_channel.basic_get("maintenance").headers["id"] == orphan


def test_message_is_not_lost_when_redis_goes_just_after_it_has_handed_it_out(
    naps, redis_server, monkeypatch
):
    monkeypatch.setattr(redis_transport.Transport, "Channel", TolerantChannel)
    [task] = naps.send(1, seconds=0)
    with naps.app.connection_for_read() as connection:
        channel = connection.default_channel
        get = channel._get

        def get_and_lose_redis(queue):
            message = get(queue)
            redis_server.stop()
            return message

        channel._get = get_and_lose_redis
        with pytest.raises(connection.connection_errors):
            channel.basic_get(QUEUE)
    redis_server.start()
    assert not naps.waiting()
    assert not naps.taken()
    with naps.app.connection_for_read() as connection:
        consumer = Bunch(restart_count=1, connection=connection, app=naps.app)
        GiveBackAfterReconnect(consumer).start(consumer)
        assert not naps.taken()
        assert connection.default_channel.basic_get(QUEUE).headers["id"] == task
        naps.redis.flushall()


def test_message_is_not_lost_that_redis_had_handed_out_and_nobody_had_read(
    naps, redis_server, monkeypatch
):
    """Another connection may show first that Redis is away."""
    monkeypatch.setattr(redis_transport.Transport, "Channel", TolerantChannel)
    with naps.app.connection_for_read() as connection:
        channel = connection.default_channel
        channel.basic_consume(QUEUE, no_ack=False, callback=lambda message: None, consumer_tag="1")
        connection.transport.cycle._register_BRPOP(channel)
        [task] = naps.send(1, seconds=0)
        wait_for(lambda: not naps.waiting(), what="a message that was handed out")
        redis_server.stop()
        let_go(connection, Bunch(on_tick=set()))
        [(key, _)] = RememberingQoS.unread
        assert key == QUEUE.encode()
    assert not RememberingQoS.unrecorded, "it would be given back twice"
    redis_server.start()
    assert not naps.waiting()
    assert not naps.taken()
    with naps.app.connection_for_read() as connection:
        consumer = Bunch(restart_count=1, connection=connection, app=naps.app)
        GiveBackAfterReconnect(consumer).start(consumer)
        assert connection.default_channel.basic_get(QUEUE).headers["id"] == task
        naps.redis.flushall()


@pytest.mark.parametrize("handed_out", [True, False])
def test_message_that_was_given_back_just_before_redis_went_is_there_once(
    naps, redis_server, monkeypatch, handed_out
):
    """Redis may have handed it out as it ended, and exited before it sent the answer."""
    monkeypatch.setattr(redis_transport.Transport, "Channel", TolerantChannel)
    others = naps.send(2, seconds=0)
    [task] = naps.send(1, seconds=0)
    with naps.app.connection_for_read() as connection:
        channel = connection.default_channel
        messages = [channel.basic_get(QUEUE) for _ in range(3)]
        [message] = [message for message in messages if message.headers["id"] == task]
        message.reject(requeue=True)
        assert naps.waiting() == 1
        if handed_out:
            naps.redis.rpop(QUEUE)
        let_go(connection, Bunch(on_tick=set()))
        channel.do_restore = False
    restart(redis_server)
    with naps.app.connection_for_read() as connection:
        consumer = Bunch(restart_count=1, connection=connection, app=naps.app)
        GiveBackAfterReconnect(consumer).start(consumer)
        channel = connection.default_channel
        found = [channel.basic_get(QUEUE).headers["id"] for _ in range(naps.waiting())]
        assert [found.count(sent) for sent in (task, *others)] == [1, 1, 1]
        naps.redis.flushall()


def test_what_another_worker_takes_meanwhile_is_left_to_it(naps):
    """Two workers start at once, on two Pis: neither answers the other yet."""
    orphan, other = naps.send(2, seconds=0)
    with naps.app.connection_for_read() as connection:
        channel = connection.default_channel
        channel.basic_get(QUEUE)
        listener = naps.redis.pubsub()
        listener.psubscribe("*pidbox*")
        listener.get_message(timeout=WAIT_SECONDS)
        channel.do_restore = False  # this worker does not end in good order

        def take_when_asked():
            if listener.get_message(timeout=WAIT_SECONDS):
                channel.basic_get(QUEUE)

        thread = threading.Thread(target=take_when_asked)
        thread.start()
        assert give_back_orphans(naps.app) == 1
        thread.join()
        assert naps.taken() == {other}
        assert channel.basic_get(QUEUE).headers["id"] == orphan
    listener.close()
