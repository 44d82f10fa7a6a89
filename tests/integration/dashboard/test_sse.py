"""Events as a listener gets them."""

import contextlib
import json
import time

import pytest

from backend_worker.cli.scan import start_scan
from backend_worker.dashboard.sse import MOST_LISTENERS, MOST_LISTENERS_OF_ADDRESS
from backend_worker.library.sample import make_library
from tests.support import lab
from tests.support.dashboard import publish, publish_all

HEARTBEAT = ": still here"


def test_a_listener_is_greeted_and_sees_a_scan(music, dashboard, worker, tmp_path):
    make_library(str(tmp_path / "more"), tracks=8)
    with dashboard.listen() as listener:
        status, headers = listener.head()
        assert status == 200
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert headers["cache-control"] == "no-store"
        kind, hello, text = listener.block()
        assert kind == "hello"
        assert hello["away"] == {}
        assert hello["missed"] is False
        assert text.startswith("retry: 2000\n")
        scan = start_scan(str(tmp_path / "more"))
        seen = {}
        # in any order: boards come every two seconds, vectors when they are made
        while not {"scan.completed", "board", "vectors.stored"} <= set(seen):
            kind, data, _ = listener.block()
            seen[kind] = data
        wanted = ["scan.started", "batch.stored", "scan.completed"]
        assert [kind for kind in seen if kind in wanted] == wanted
        completed = seen["scan.completed"]
        assert completed["scan"] == scan
        assert seen["file.failed"]["count"] == completed["failed"] >= 1
        assert all(file["path"] and file["reason"] for file in seen["file.failed"]["files"])
        assert seen["board"]["processes"] >= 1
        assert seen["vectors.stored"].get("tracks") or seen["vectors.stored"]["artists"]
    lab.settle()


def test_progress_is_told_every_second_while_a_scan_runs(music, dashboard):
    from backend_worker.storage import scans

    scan = scans.begin(b"/nowhere/progress", "another-that-walks-nothing")
    try:
        with dashboard.listen(f"?scan={scan}") as listener:
            listener.head()
            blocks = []
            while len(told := [data for kind, data, _ in blocks if kind == "scan.progress"]) < 2:
                blocks.append(listener.block())
        assert (None, None, HEARTBEAT) not in blocks, "it would come within ten seconds of silence"
        for progress in told:
            assert progress["scan"] == scan
            assert {
                "found",
                "stored",
                "failed",
                "waiting",
                "rate",
                "seconds_left",
                "folder",
            } <= set(progress)
    finally:
        scans.abandon(scan, "the test has ended")


def test_a_filter_shows_one_scan_only(dashboard):
    with dashboard.listen("?scan=4242") as listener:
        listener.head()
        publish(scan=1, n=1)
        publish(n=2)
        publish(scan=4242, n=3)
        assert listener.events({"test.event", "board"}, 1)[0]["n"] == 3


def test_listening_goes_on_where_it_was_over_a_restart_of_the_server(own):
    dashboard = own()
    with dashboard.listen() as listener:
        listener.head()
        listener.block()
        for n in range(5):
            publish(n=n)
        assert [e["n"] for e in listener.events({"test.event"}, 3)] == [0, 1, 2]
        last_id = listener.last_id
        assert dashboard.stop() == 0
    for n in range(5, 9):
        publish(n=n)
    dashboard.start()
    with dashboard.listen(last_event_id=last_id) as listener:
        listener.head()
        _, hello, _ = listener.block()
        assert hello["missed"] is False
        publish(n=9)
        assert [e["n"] for e in listener.events({"test.event"}, 7)] == [3, 4, 5, 6, 7, 8, 9]


def test_many_missed_events_come_in_order_and_each_once(dashboard):
    publish(n=-1)
    with dashboard.listen() as listener:
        listener.head()
        listener.events({"hello"}, 1)
        publish(n=0)
        listener.events({"test.event"}, 1)
        last_id = listener.last_id
    publish_all(range(1, 901))  # more than the reader keeps, and more than a page
    with dashboard.listen(last_event_id=last_id) as listener:
        listener.head()
        assert [e["n"] for e in listener.events({"test.event"}, 900)] == list(range(1, 901))


def test_the_newest_events_can_be_had_at_once(dashboard):
    for n in range(5):
        publish(n=n)
    with dashboard.listen("?last=3") as listener:
        listener.head()
        assert [e["n"] for e in listener.events({"test.event"}, 3)] == [2, 3, 4]


def test_a_client_learns_that_events_are_lost_for_good(dashboard):
    publish()
    with dashboard.listen(last_event_id="1-1") as listener:
        listener.head()
        [hello] = listener.events({"hello"}, 1)
        assert hello["missed"] is True


def test_events_of_others_do_not_harm(dashboard):
    from backend_worker.config import get_config
    from backend_worker.progress.connection import redis_client

    with dashboard.listen() as listener:
        listener.head()
        listener.block()
        redis_client().xadd(get_config().progress_stream, {"what": "ever"})
        redis_client().xadd(
            get_config().progress_stream,
            {
                "kind": "a\ndata: b",
                "time": "1",
                "details": json.dumps({"x": "line\n\nbreak \udcff"}),
            },
        )
        publish(n="last")
        [data] = listener.events({"a_data__b"}, 1)
        assert data["x"].startswith("line\n\nbreak ")
        assert listener.events({"test.event"}, 1)[0]["n"] == "last"


def test_a_slow_client_holds_up_nobody_and_loses_nothing(own):
    dashboard = own()
    padding = "x" * 5000
    with dashboard.listen() as quick:
        quick.head()
        quick.events({"hello"}, 1)
        publish_all(range(500), padding=padding)  # what it keeps for all, and what it needs once
        quick.events({"test.event"}, 500)
        with dashboard.listen(receive_buffer=4096) as slow:
            slow.head()
            slow.events({"hello"}, 1)
            before = dashboard.own_mib()
            publish_all(range(1500), padding=padding)  # 7 MB, and the slow one takes nothing
            got = [e["n"] for e in quick.events({"test.event"}, 1500)]
            assert got == list(range(1500))
            assert dashboard.get("/healthz").status == 200
            assert dashboard.own_mib() - before < 6
            assert [e["n"] for e in slow.events({"test.event"}, 1500)] == list(range(1500))


def test_vanished_clients_leave_nothing_behind(own):
    dashboard = own()
    with dashboard.listen() as listener:
        listener.head()
        listener.events({"board"}, 2)  # it has all its connections to the servers now
        steady = dashboard.descriptors()
        for _ in range(30):
            with dashboard.listen() as gone:
                gone.head()
        lab.wait_for(lambda: dashboard.descriptors() <= steady, what="closed connections")


def test_nobody_reads_the_stream_while_nobody_listens(own):
    from backend_worker.progress.connection import redis_client

    def readers():
        return [c for c in redis_client().client_list() if c["cmd"] == "xread"]

    dashboard = own()
    before = len(readers())
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(dashboard.listen()).head()
        lab.wait_for(lambda: len(readers()) == before + 1, what="one reader for all")
    lab.wait_for(lambda: len(readers()) == before, what="no reader for none")


def test_the_number_of_listeners_is_limited(own):
    dashboard = own()
    with contextlib.ExitStack() as stack:
        for _ in range(MOST_LISTENERS_OF_ADDRESS):
            status, _ = stack.enter_context(dashboard.listen()).head()
            assert status == 200
        answer = dashboard.get("/api/events")
        assert answer.status == 429
        assert "listen already" in answer.error

    def is_let_in():
        with dashboard.listen() as listener:
            return listener.head()[0] == 200

    lab.wait_for(is_let_in, what="a free place")
    assert MOST_LISTENERS > MOST_LISTENERS_OF_ADDRESS


@pytest.mark.slow
def test_silence_is_broken_by_heartbeats(own):
    dashboard = own()
    with dashboard.listen("?scan=999999") as listener:
        listener.head()
        listener.block()
        began = time.monotonic()
        kind, _, text = listener.block()
        assert (kind, text) == (None, HEARTBEAT)
        assert time.monotonic() - began > 10
