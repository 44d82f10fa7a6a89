"""The pool's processes: which are idle, which hold most memory, and how one goes in peace.

billiard's own ``shrink`` sends a signal to a process that has confirmed no task. One may be on
its way to it, and is lost with it then. Here a process is let go as Celery does when it stops:
with a sentinel behind whatever else is in its pipe. It ends what it has, reads the sentinel
and exits; the pool writes nothing to it any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_KIB = 1024


@dataclass(frozen=True, slots=True)
class Child:
    """One idle process of the pool.

    Attributes:
        pid: its number.
        own_bytes: memory that is its alone, and free when it ends.
        tasks: that it has done.
        process: the pool's handle.
    """

    pid: int
    own_bytes: int
    tasks: int
    process: Any = None


def idle_children(pool: Any) -> list[Child]:
    """Return the processes that certainly have nothing to do.

    Args:
        pool: Celery's ``AsynPool``.
    """
    at_work = set()
    for job in pool._cache.values():
        at_work.update(job.worker_pids())
        # sent to it, or about to be, and not yet confirmed
        for process in (job._write_to, job._scheduled_for):
            if process is not None:
                at_work.add(process.pid)
    ready = pool._all_inqueues - pool._active_writes - pool._busy_workers
    return [
        Child(
            pid=process.pid,
            own_bytes=own_bytes(process.pid),
            tasks=pool._on_ready_counters[process.pid].value,
            process=process,
        )
        for process in pool._pool
        if process.inqW_fd in ready and process.pid not in at_work and process.exitcode is None
    ]


def heaviest(children: Iterable[Child], count: int) -> list[Child]:
    """Return the children that hold most memory; among equals those that did most tasks."""
    by_weight = sorted(children, key=lambda child: (-child.own_bytes, -child.tasks, child.pid))
    return by_weight[:count]


def heavy(children: Iterable[Child], limit_bytes: int) -> list[Child]:
    """Return the children that would give more than this back if they were replaced.

    One that has done nothing yet is as light as its replacement would be.
    """
    return [child for child in children if child.tasks and child.own_bytes > limit_bytes]


def shrink(pool: Any, children: Iterable[Child]) -> int:
    """Let these idle children go, make the pool smaller, and return by how many."""
    count = 0
    for child in children:
        if _let_go(pool, child):
            pool._processes -= 1
            pool._putlock.shrink()
            count += 1
    return count


def renew(pool: Any, child: Child) -> bool:
    """Put a fresh process in an idle child's place, and say whether the child goes.

    The fresh one first: the pool may notice only seconds later that a process has ended.
    """
    pool.grow(1)
    pool.maintain_pool()
    return shrink(pool, [child]) == 1


def own_bytes(pid: int) -> int:
    """Return the memory that only this process holds, or 0 if that cannot be read.

    Not its resident set: the pages that it shares with the parent since the fork stay anyway.
    """
    total = 0
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            for line in file:
                if line.startswith(("Private_Clean:", "Private_Dirty:")):
                    total += int(line.split()[1]) * _KIB
    except OSError:  # gone, or a kernel without
        return 0
    return total


def _let_go(pool: Any, child: Child) -> bool:
    process = child.process
    try:
        process.inq.put(None)  # a few bytes: all of them are written, or none
    except OSError:  # its pipe is full or closed
        return False
    pool._all_inqueues.discard(process.inqW_fd)
    return True
