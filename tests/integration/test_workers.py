"""Asking workers how they are: one, several, killed ones, and after Redis was away."""

import time

import pytest

from backend_worker.cli.workers import ANSWER_SECONDS, running_workers, worker_answers
from backend_worker.progress.connection import redis_client
from tests.support.lab import wait_for
from tests.support.nap_worker import OUR_APP, Naps, nap_worker

pytestmark = pytest.mark.slow


def names():
    return [worker["name"].partition("@")[0] for worker in running_workers()]


def test_all_answer_and_nobody_waits_for_more(servers, tmp_path):
    naps = Naps(servers.redis, tmp_path)
    naps.redis.flushall()
    with nap_worker(naps, app=OUR_APP, node="first"):
        before = time.monotonic()
        assert names() == ["first"]
        assert time.monotonic() - before < ANSWER_SECONDS

        with nap_worker(naps, app=OUR_APP, node="second") as second:
            before = time.monotonic()
            assert names() == ["first", "second"]
            assert time.monotonic() - before < ANSWER_SECONDS
            second.kill()
            assert names() == ["first"]

        # this process's connections are of before then, and the worker's as well
        redis_client().client_kill_filter(_type="normal", skipme=True)
        wait_for(worker_answers, what="a worker that has connected again")
        assert names() == ["first"]
