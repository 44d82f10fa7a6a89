"""The pool goes on when processes die and Redis goes at the same time."""

import os
import signal

import pytest


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
