"""The pool goes on when processes die and Redis goes at the same time."""

import os
import select
import signal
import struct
import subprocess
import threading
import time
from types import SimpleNamespace

import pytest
from billiard import Pipe
from billiard.compat import setblocking
from celery.concurrency.asynpool import AsynPool, ResultHandler

from backend_worker.config import get_config
from backend_worker.worker.pool import RESULTS_TAKEN_SECONDS, SteadyPool, SteadyResultHandler
from tests.support.pool import Pool
from tests.support.waiting import WAIT_SECONDS

# For which billiard's own processes wait for their results to be taken.
BILLIARD_SECONDS = 30


def kill_at_work(pool):
    """Give each process a job and kill it."""
    jobs = [pool.send(seconds=60) for _ in pool.pids()]
    pool.run_until(lambda: all(job.accepted() for job in jobs), "taken jobs")
    for pid in pool.pids():
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("noticed", ["by the loop", "while it reconnects"])
def test_pipes_of_dead_processes_are_forgotten(pool, noticed):
    """Their numbers go to other pipes, from which the pool would read as if they were results."""
    for _ in range(3):
        before = pool.pids()
        kill_at_work(pool)
        if noticed == "by the loop":
            pool.run_until(lambda before=before: not before & pool.pids(), "fresh processes")
        pool.reconnect()
        assert set(pool.pool._fileno_to_outq.values()) <= set(pool.pool._pool)
        pool.run_until(lambda: len(pool.idle_pids()) == 2, "two idle processes")
        jobs = [pool.send(seconds=0) for _ in range(4)]
        pool.run_until(lambda jobs=jobs: all(job.ready() for job in jobs), "all jobs")


def test_open_files_do_not_grow_when_processes_die(pool):
    def open_files():
        return len(os.listdir("/proc/self/fd"))

    kill_at_work(pool)
    pool.reconnect()
    pool.run_until(lambda: len(pool.idle_pids()) == 2, "two idle processes")
    before = open_files()
    for _ in range(5):
        kill_at_work(pool)
        pool.reconnect()
        pool.run_until(lambda: len(pool.idle_pids()) == 2, "two idle processes")
    assert open_files() <= before


class Pipes:
    """What a pool knows of one process: the pipe that its results come from."""

    def __init__(self):
        reader, self.writer = Pipe(duplex=False)
        setblocking(reader, 0)
        self.process = subprocess.Popen(["sleep", "60"])
        self.process._is_alive = lambda: self.process.poll() is None
        self.process.outq = SimpleNamespace(_reader=reader)
        self.taken, self.removed = [], set()

    def flush(self, handler):
        handler._flush_outqueue(None, 7, self.removed.add, {7: self.process}, self.taken.append)


@pytest.fixture
def pipes():
    pipes = Pipes()
    yield pipes
    pipes.writer.close()
    pipes.process.kill()
    pipes.process.wait()


@pytest.mark.parametrize("handler", [ResultHandler, SteadyResultHandler])
def test_pool_that_stops_waits_for_no_rest_of_a_result(pipes, handler):
    """Of a process that was killed while it wrote, or that the event loop began to read."""
    pipes.writer.send("a result")
    pipes.flush(handler)
    assert (pipes.taken, pipes.removed) == (["a result"], set())
    os.write(pipes.writer.fileno(), struct.pack("!i", 100) + b"half of it")
    thread = threading.Thread(target=pipes.flush, args=[handler], daemon=True)
    thread.start()
    thread.join(1 if handler is ResultHandler else WAIT_SECONDS)
    if handler is ResultHandler:  # Celery's own: when this fails ours is not needed any more
        assert thread.is_alive()
        pipes.writer.close()
        thread.join(WAIT_SECONDS)
    else:
        assert not thread.is_alive()
        assert pipes.removed == {7}
        assert pipes.process.wait(WAIT_SECONDS) == -signal.SIGKILL, (
            "it would wait for its result's taking"
        )


def test_pool_that_stops_takes_a_large_result_that_comes_in_pieces(pipes):
    result = "x" * 1_000_000
    thread = threading.Thread(target=pipes.writer.send, args=[result])
    thread.start()
    while not pipes.taken and not pipes.removed:
        pipes.flush(SteadyResultHandler)
    thread.join(WAIT_SECONDS)
    assert (pipes.taken, pipes.removed) == ([result], set())
    assert pipes.process.poll() is None


def test_pool_that_stops_ends_a_process_that_writes_no_results(pipes):
    os.write(pipes.writer.fileno(), b"\xff" * 100)
    pipes.flush(SteadyResultHandler)
    assert (pipes.taken, pipes.removed) == ([], {7})
    assert pipes.process.wait(WAIT_SECONDS) == -signal.SIGKILL


def test_pool_stops_soon_though_a_result_was_lost(pool):
    """Its process would wait for half a minute until it is taken."""
    job = pool.send(seconds=0.5)
    pool.run_until(job.accepted, "a job that was taken")
    readers = [process.outq._reader for process in pool.pool._pool]
    ready, _, _ = select.select(readers, [], [], WAIT_SECONDS)
    os.read(ready[0].fileno(), 1 << 16)
    pool.pool._cache.clear()
    started = time.monotonic()
    pool.pool.close()
    pool.pool.join()
    most = get_config().soft_shutdown_timeout + RESULTS_TAKEN_SECONDS
    assert most - 2 < time.monotonic() - started < BILLIARD_SECONDS


@pytest.mark.parametrize("kind", [AsynPool, SteadyPool])
def test_signal_finds_each_result_counted_or_unread(tmp_path, monkeypatch, kind):
    """The worker stops in the signal's handler and waits there for processes that wait for that."""
    pool = Pool(tmp_path / "journal", kind)
    try:
        pool.run_until(lambda: len(pool.idle_pids()) == 2, "two idle processes")
        seen = []
        signal.signal(
            signal.SIGTERM, lambda *_: seen.append((bool(job.accepted()), bool(job.ready())))
        )
        add_reader = pool.hub.add_reader

        def add_reader_and_signal(fd, *args):
            # Celery calls it when it has read a message, before it looks what that says
            if fd in pool.pool._fileno_to_outq and job:
                os.kill(os.getpid(), signal.SIGTERM)
            return add_reader(fd, *args)

        job = None
        monkeypatch.setattr(pool.hub, "add_reader", add_reader_and_signal)
        pool.reconnect()
        job = pool.send(seconds=0)
        pool.run_until(job.ready, "the job")
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        pool.end()
    if kind is AsynPool:  # Celery's own: when this fails ours is not needed any more
        assert seen == [(False, False), (True, False)]
    else:
        assert seen == [(True, False), (True, True)]
