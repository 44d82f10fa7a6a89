"""The pool goes on when processes die and Redis goes at the same time."""

import os
import signal
import struct
import threading
from types import SimpleNamespace

import pytest
from billiard import Pipe
from billiard.compat import setblocking
from celery.concurrency.asynpool import ResultHandler

from backend_worker.worker.pool import SteadyResultHandler


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


@pytest.mark.parametrize("handler", [ResultHandler, SteadyResultHandler])
def test_pool_that_stops_waits_for_no_rest_of_a_result(handler):
    """Of a process that was killed while it wrote, or that the event loop began to read."""
    reader, writer = Pipe(duplex=False)
    setblocking(reader, 0)
    process = SimpleNamespace(outq=SimpleNamespace(_reader=reader))
    taken, removed = [], set()

    def flush():
        handler._flush_outqueue(None, 7, removed.add, {7: process}, taken.append)

    writer.send("a result")
    flush()
    assert (taken, removed) == (["a result"], set())
    os.write(writer.fileno(), struct.pack("!i", 100) + b"half of it")
    thread = threading.Thread(target=flush, daemon=True)
    thread.start()
    thread.join(5)
    if handler is ResultHandler:  # Celery's own: when this fails ours is not needed any more
        assert thread.is_alive()
        writer.close()
    else:
        assert not thread.is_alive()
        assert removed == {7}
