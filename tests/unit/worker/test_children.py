"""Processes of a real pool: who is idle, and that who goes ends its task first."""

import os

import pytest

from backend_worker.worker.children import (
    Child,
    heaviest,
    heavy,
    idle_children,
    own_bytes,
    renew,
    shrink,
)

MIB = 1024 * 1024


def child_of(pool, process):
    return Child(process.pid, 0, 0, process)


def test_process_with_a_job_on_its_way_to_it_is_not_idle(pool):
    job = pool.send(seconds=0.3)
    pool.run_until(lambda: job._write_to is not None, "a written job")
    assert not job.accepted()
    assert pool.idle_pids() == pool.pids() - {job._write_to.pid}
    pool.run_until(job.accepted, "a confirmed job")
    assert pool.idle_pids() == pool.pids() - {job._write_to.pid}
    pool.run_until(job.ready, "an ended job")
    assert pool.idle_pids() == pool.pids()
    assert sorted(child.tasks for child in idle_children(pool.pool)) == [0, 1]


def test_job_that_is_on_its_way_to_a_process_that_goes_is_done_once(pool):
    """Where billiard's own ``shrink`` loses it: it takes the process for free."""
    job = pool.send(seconds=0.3)
    pool.run_until(lambda: job._write_to is not None, "a written job")
    goes = job._write_to
    assert not job.accepted()
    assert goes in list(pool.pool._iterinactive())  # those that billiard would choose from
    assert shrink(pool.pool, [child_of(pool, goes)]) == 1
    later = [pool.send(seconds=0) for _ in range(3)]
    pool.run_until(lambda: all(j.ready() for j in (job, *later)), "all jobs")
    pool.run_until(lambda: goes.pid not in pool.pids(), "the end of the process")
    assert goes.exitcode == 0
    assert pool.results.count(goes.pid) == 1
    assert len(pool.results) == 4
    assert sorted(pool.lines()).count(f"start {goes.pid}") == 1
    assert len(pool.lines()) == 8
    assert len(pool.pids()) == pool.pool._processes == 1


def test_pool_grows_again_after_it_shrank(pool):
    first = pool.pids()
    assert shrink(pool.pool, heaviest(idle_children(pool.pool), 1)) == 1
    pool.pool.grow(1)
    pool.pool.maintain_pool()
    pool.run_until(lambda: len(pool.idle_pids()) == 2 and pool.pids() != first, "two processes")
    jobs = [pool.send(seconds=0.05) for _ in range(6)]
    pool.run_until(lambda: all(job.ready() for job in jobs), "all jobs")
    assert len(pool.results) == 6


def test_renewed_process_is_replaced_and_takes_no_job_any_more(pool):
    old, other = idle_children(pool.pool)
    assert renew(pool.pool, old)
    jobs = [pool.send(seconds=0.05) for _ in range(4)]
    pool.run_until(lambda: all(job.ready() for job in jobs), "all jobs")
    pool.run_until(lambda: len(pool.pids()) == 2 and old.pid not in pool.pids(), "a fresh one")
    assert other.pid in pool.pids()
    assert old.pid not in pool.results
    assert pool.pool._processes == 2


def test_process_that_is_gone_cannot_be_let_go(pool):
    child, _ = idle_children(pool.pool)
    child.process.inq._writer.close()
    assert shrink(pool.pool, [child]) == 0
    assert pool.pool._processes == 2


@pytest.fixture
def some():
    return [
        Child(1, 20 * MIB, 5),
        Child(2, 90 * MIB, 3),
        Child(3, 90 * MIB, 9),
        Child(4, 99 * MIB, 0),
    ]


def test_heaviest_go_first(some):
    assert [child.pid for child in heaviest(some, 2)] == [4, 3]
    assert [child.pid for child in heaviest(some, 9)] == [4, 3, 2, 1]


def test_heavy_is_who_would_give_something_back(some):
    """One that has done nothing is as light as its replacement."""
    assert [child.pid for child in heavy(some, 60 * MIB)] == [2, 3]
    assert heavy(some, 90 * MIB) == []


def test_own_memory_grows_with_what_a_process_keeps():
    before = own_bytes(os.getpid())
    assert before > MIB
    kept = bytearray(b"x") * (50 * MIB)
    assert 45 * MIB < own_bytes(os.getpid()) - before < 60 * MIB
    del kept


def test_memory_of_a_process_that_is_gone_is_nothing():
    assert own_bytes(2**22 + 1) == 0  # above the largest number that Linux gives
