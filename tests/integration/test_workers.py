"""Asking workers how they are: one, several, killed ones, and after Redis was away."""

import time

from backend_worker.cli import workers
from backend_worker.cli.workers import running_workers, worker_answers
from backend_worker.progress.connection import redis_client
from tests.support.nap_worker import OUR_APP, Naps, nap_worker
from tests.support.waiting import wait_for


def names():
    return [worker["name"].partition("@")[0] for worker in running_workers()]


# Where a worker is missing all of it is waited for; on a busy machine an answer takes its time.
PATIENCE_SECONDS = 15


def test_all_answer_and_nobody_waits_for_more(servers, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "ANSWER_SECONDS", PATIENCE_SECONDS)
    naps = Naps(servers.redis, tmp_path)
    naps.redis.flushall()
    with nap_worker(naps, app=OUR_APP, node="first"):
        before = time.monotonic()
        assert names() == ["first"]
        assert time.monotonic() - before < PATIENCE_SECONDS

        with nap_worker(naps, app=OUR_APP, node="second") as second:
            before = time.monotonic()
            assert names() == ["first", "second"]
            assert time.monotonic() - before < PATIENCE_SECONDS
            second.kill()
            assert names() == ["first"]

        # this process's connections are of before then, and the worker's as well
        redis_client().client_kill_filter(_type="normal", skipme=True)
        wait_for(worker_answers, what="a worker that has connected again")
        assert names() == ["first"]
