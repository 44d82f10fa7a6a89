"""The dashboard while PostgreSQL or Redis is away, and when they are back."""

import os
import signal
import time

import pytest

from backend_worker.embedded import EmbeddedServers
from tests.support import lab
from tests.support.dashboard import Dashboard


@pytest.fixture(scope="module")
def away(tmp_path_factory):
    """Servers of this module's own, and a dashboard that asks them."""
    from backend_worker.config import get_config
    from backend_worker.storage.connection import close_process_connection, connect
    from backend_worker.storage.migrations import migrate

    folder = tmp_path_factory.mktemp("outages")
    before = dict(os.environ)
    close_process_connection()
    with EmbeddedServers(folder) as servers:
        os.environ.update(servers.environment())
        get_config.cache_clear()
        try:
            connection = connect()
            migrate(connection)
            connection.close()
            with Dashboard(tmp_path_factory.mktemp("server")) as dashboard:
                yield servers, dashboard
        finally:
            close_process_connection()
            os.environ.clear()
            os.environ.update(before)
            get_config.cache_clear()


def publish(servers, n, *, on_disk=False):
    """Publish an event; if need be wait until it is on the disk: Redis writes every second."""
    import redis

    from backend_worker.config import get_config

    with redis.Redis.from_url(get_config().redis_client_url) as client:
        client.xadd(
            get_config().progress_stream,
            {"kind": "test.event", "time": "1.0", "details": f'{{"n": {n}}}'},
        )
        if on_disk:
            client.waitaof(num_local=1, num_replicas=0, timeout=0)


def test_postgresql_away_is_said_and_passes(away):
    servers, dashboard = away
    assert dashboard.get("/api/status").json["library"]["tracks"] == 0
    with dashboard.listen() as listener:
        listener.head()
        listener.events({"board"}, 1)
        servers.postgres.stop(signal.SIGQUIT)
        for path in ("/api/albums", "/api/scans", "/api/search?q=x", "/api/tracks/1"):
            answer = dashboard.get(path)
            assert answer.status == 503
            assert "PostgreSQL" in answer.error
        [told] = listener.events({"server.away"}, 1)
        assert told["server"] == "postgresql"
        assert "PostgreSQL is not available" in told["error"]
        listener.events({"board"}, 2)  # what Redis knows is told all the same
        assert b"backend_worker_postgresql_up 0" in dashboard.get("/metrics").body
        assert dashboard.get("/healthz").json == {"ok": True, "away": ["postgresql"]}
        servers.postgres.start()
        [told] = listener.events({"server.back"}, 1)
        assert told["server"] == "postgresql"
    assert dashboard.get("/api/albums").json == {"albums": [], "next": None}


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGINT, signal.SIGKILL])
def test_a_transaction_knows_a_server_that_went_away(away, how):
    """After an immediate shutdown (SIGQUIT) psycopg2 raises its base class: see connection.py."""
    from backend_worker.storage import connection

    servers, _ = away
    with connection.transaction() as cursor:
        cursor.execute("SELECT 1")
    servers.postgres.stop(how)
    try:
        for _ in range(2):
            with (
                pytest.raises((*connection.RETRYABLE, connection.DatabaseAwayError)),
                connection.transaction() as cursor,
            ):
                cursor.execute("SELECT 1")
        assert not connection.connection_is_open()
    finally:
        servers.postgres.start()
    with connection.transaction() as cursor:
        cursor.execute("SELECT 2")
        assert cursor.fetchone() == (2,)


@pytest.mark.slow
def test_redis_that_was_restarted_while_nobody_asked_is_no_error(away):
    servers, dashboard = away
    for _ in range(3):
        assert dashboard.get("/api/status").status == 200  # a connection is kept from here on
        servers.redis.stop()
        servers.redis.start()
        time.sleep(2)  # the last answer is too old
        assert dashboard.get("/api/status").status == 200, dashboard.log.read_text()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_redis_away_is_said_and_listeners_go_on_where_they_were(away, how):
    servers, dashboard = away
    publish(servers, 0)
    with dashboard.listen() as listener:
        listener.head()
        listener.events({"hello"}, 1)
        publish(servers, 1, on_disk=True)
        assert listener.events({"test.event"}, 1) == [{"time": 1.0, "scan": None, "n": 1}]
        servers.redis.stop(how)
        # its answer is remembered for a moment
        lab.wait_for(lambda: dashboard.get("/api/status").status == 503, what="a refusal")
        assert "Redis is not available at" in dashboard.get("/api/status").error
        [told] = listener.events({"server.away"}, 1)
        assert told["server"] == "redis"
        assert dashboard.get("/api/albums").status == 200  # PostgreSQL is there
        with dashboard.listen() as newcomer:  # one who comes just now is told as well
            newcomer.head()
            [hello] = newcomer.events({"hello"}, 1)
            assert list(hello["away"]) == ["redis"]
            servers.redis.start()
            publish(servers, 2)
            [told] = listener.events({"server.back"}, 1)
            assert told == {"server": "redis"}
            assert listener.events({"test.event"}, 1)[0]["n"] == 2
            lab.wait_for(lambda: dashboard.get("/api/status").status == 200, what="status")
            publish(servers, 3)
            assert [e["n"] for e in newcomer.events({"test.event"}, 2)] == [2, 3]


def test_a_stream_that_was_lost_begins_anew(away):
    servers, dashboard = away
    import redis

    from backend_worker.config import get_config

    publish(servers, 1)
    with dashboard.listen("?last=1") as listener:
        listener.head()
        listener.events({"test.event"}, 1)
        with redis.Redis.from_url(get_config().redis_client_url) as client:
            # as after a clock that was wrong: the new events have lower ids than the old
            client.delete(get_config().progress_stream)
            client.xadd(
                get_config().progress_stream,
                {"kind": "test.event", "time": "1.0", "details": '{"n": "new"}'},
                id="5-1",
            )
        servers.redis.stop()
        listener.events({"server.away"}, 1)
        servers.redis.start()
        assert listener.events({"test.event"}, 1)[0]["n"] == "new"
        with dashboard.listen(last_event_id="1795000000000-0") as other:
            other.head()
            publish(servers, "2")
            other.events({"test.event"}, 1)
