"""A real worker and what it tells the service manager that started it."""

import signal
import time

import psutil
import pytest

from backend_worker.embedded import EmbeddedServers
from tests.support.nap_worker import OUR_APP, Naps, nap_worker
from tests.support.service_manager import WATCHDOG_SECONDS, service_manager
from tests.support.waiting import WAIT_SECONDS, wait_for


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory):
    servers = EmbeddedServers(tmp_path_factory.mktemp("redis"))
    servers.redis.start()
    yield servers.redis
    servers.stop()


@pytest.fixture
def naps(redis_server, tmp_path):
    redis_server.start()
    naps = Naps(redis_server, tmp_path)
    naps.redis.flushall()
    return naps


@pytest.fixture
def manager(tmp_path):
    with service_manager(tmp_path) as manager:
        yield manager


def consumes(naps):
    naps.wait_for("end", naps.send(1, seconds=0))


def stopped(pid):
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED


def test_start_without_redis_then_stop(servers, naps, redis_server, manager):
    """It is ready only when it consumes, and gets the time that Redis takes."""
    redis_server.stop()
    with nap_worker(naps, app=OUR_APP, started="waiting for it", **manager.environment) as worker:
        wait_for(lambda: len(manager.have(EXTEND_TIMEOUT_USEC="60000000")) >= 2)
        assert manager.statuses()[-1].startswith("waiting for Redis since ")
        assert not manager.have(READY=None)
        redis_server.start()
        manager.wait_for(READY="1")
        consumes(naps)
        manager.wait_for_status("processes")

        [task] = naps.send(1, seconds=600)
        naps.wait_for("start", [task])
        manager.forget()
        worker.process.send_signal(signal.SIGQUIT)  # as which systemd's SIGTERM is taken
        stopping = manager.wait_for(STOPPING="1")
        assert int(stopping["EXTEND_TIMEOUT_USEC"]) > 10_000_000
        worker.process.wait(WAIT_SECONDS)
        assert len(manager.have(STOPPING="1")) == 1
        assert naps.waiting() == 1
        assert "Traceback" not in worker.log()


@pytest.mark.slow
def test_watchdog_is_fed_by_a_loop_that_turns_and_while_redis_is_away(
    servers, naps, redis_server, manager
):
    with nap_worker(naps, app=OUR_APP, **manager.environment) as worker:
        manager.wait_for(READY="1")
        manager.wait_for_status("1/4 processes · idle")

        assert manager.longest_silence(2 * WATCHDOG_SECONDS) < WATCHDOG_SECONDS

        redis_server.stop()
        manager.wait_for_status("waiting for Redis since ")
        assert manager.longest_silence(2 * WATCHDOG_SECONDS) < WATCHDOG_SECONDS
        redis_server.start()
        worker.wait_for_log("Redis is back after")
        consumes(naps)
        manager.forget()
        manager.wait_for_status("processes")
        assert not manager.have(READY=None), "it is said once in a worker's life"

        worker.process.send_signal(signal.SIGSTOP)  # a parent that hangs
        wait_for(lambda: stopped(worker.process.pid), what="a process that was stopped")
        assert manager.longest_silence(WATCHDOG_SECONDS) >= WATCHDOG_SECONDS
        worker.process.send_signal(signal.SIGCONT)
        manager.wait_for(WATCHDOG="1")


@pytest.mark.slow
def test_worker_does_its_work_when_the_socket_vanishes(servers, naps, manager):
    with nap_worker(naps, app=OUR_APP, **manager.environment) as worker:
        manager.wait_for(READY="1")
        manager.vanish()
        time.sleep(WATCHDOG_SECONDS)
        consumes(naps)
        assert worker.is_alive()
        assert worker.log().count("Connected to") == 1
        manager.listen()
        manager.wait_for(WATCHDOG="1")
