"""Folders that do not answer: a network mount whose server is gone, a disk that is dying.

Who looks at one waits in the kernel and cannot even be killed. So nobody tries: the folder is
left alone until those who wait there are answered, other processes take their place, and what
was left is done afterwards.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from celery.worker import state as celery_state

from backend_worker.config import get_config
from backend_worker.library.mounts import mount_of, resolved
from backend_worker.library.paths import shown
from backend_worker.tasks import touch
from backend_worker.worker.logs import tell_repeats
from backend_worker.worker.pool import kill

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

# A process that does not come on has its processor time, and is not woken but by an alarm.
FEW_TICKS = 5  # of 10 ms
FEW_SWITCHES = 2
# At a stop, after the soft shutdown: until processes are killed, and until nobody waits for them.
KILL_SECONDS = 10.0
LEAVE_SECONDS = 5.0


@dataclass(slots=True)
class _Wait:
    """One look of one process, and when it last came on."""

    look: touch.Look
    progress: tuple[int, int]  # processor time in ticks, switches
    since: float


class Hangs:
    """Watches what the processes look at; called from the event loop every few seconds.

    Args:
        resume: sends what lets interrupted scans go on.
        clock: monotonic seconds.

    Attributes:
        stuck: the processes that wait for a folder that hangs.
    """

    def __init__(
        self, resume: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._resume = resume
        self._clock = clock
        self._waits: dict[int, _Wait] = {}  # by pid
        self._folders: dict[bytes, float] = {}  # since when each hangs
        self._resume_is_due = False
        self.stuck: frozenset[int] = frozenset()

    def look(self) -> None:
        """See who hangs where; tell it once, and go on with what was left when that is over."""
        now = self._clock()
        self._waits = {look.pid: self._wait(look, now) for look in touch.looks()}
        hanging = [
            wait for wait in self._waits.values() if now - wait.since >= get_config().hang_seconds
        ]
        folders: dict[bytes, float] = {}
        for wait in hanging:
            folder = wait.look.folder or folder_of(wait.look.path)
            if not wait.look.folder:
                touch.mark(wait.look, folder)
            folders[folder] = min(wait.since, folders.get(folder, wait.since))
        self.stuck = frozenset(wait.look.pid for wait in hanging)
        self._tell(folders, now)
        self._folders = folders
        if self._resume_is_due:
            self._resume()
            self._resume_is_due = False

    def describe(self) -> list[dict[str, Any]]:
        """Return each folder that hangs, for how many seconds, and both in a sentence."""
        now = self._clock()
        return [
            {
                "folder": shown(folder),
                "seconds": round(now - since),
                "sentence": touch.sentence(folder, now - since),
            }
            for folder, since in sorted(self._folders.items())
        ]

    def reserved(self) -> int:
        """Return how many of the tasks that the worker has taken wait for such a folder."""
        return sum(request.worker_pid in self.stuck for request in celery_state.active_requests)

    def _wait(self, look: touch.Look, now: float) -> _Wait:
        before = self._waits.get(look.pid)
        progress = _progress(look.pid)
        if before is None or before.look.since != look.since:
            return _Wait(look, progress, look.since)
        ticks, switches = (b - a for a, b in zip(before.progress, progress, strict=True))
        came_on = ticks > FEW_TICKS or switches > FEW_SWITCHES
        return _Wait(look, progress, now if came_on else before.since)

    def _tell(self, folders: dict[bytes, float], now: float) -> None:
        for folder in folders.keys() - self._folders.keys():
            logger.warning(
                "%s: it is left alone until it does; nothing in it counts as gone, and other "
                "folders go on",
                touch.sentence(folder, now - folders[folder]),
            )
        for folder in self._folders.keys() - folders.keys():
            self._resume_is_due = True
            logger.info(
                "the folder %s answers again, or nobody asks it any more, after %.0f s",
                shown(folder),
                now - self._folders[folder],
            )


def folder_of(path: bytes) -> bytes:
    """Return the folder that hangs with a path: all of its mount, else its own."""
    real = resolved(path)
    point = mount_of(real).point
    return os.path.dirname(real) if point == b"/" else point


def end_in_time(worker: Any) -> None:
    """See to it that a worker that was told to stop ends, whoever still waits for a folder.

    Celery waits for its processes for ever. What they held is unacknowledged in Redis, and is
    given back when the worker starts again.
    """
    threading.Thread(target=_end, args=(worker.pool._pool,), daemon=True).start()


def _end(pool: Any) -> None:
    processes = list(pool._pool)
    time.sleep(get_config().soft_shutdown_timeout + KILL_SECONDS)
    for process in processes:
        with suppress(Exception):
            kill(process)
    time.sleep(LEAVE_SECONDS)
    left = [str(process.pid) for process in processes if os.path.exists(f"/proc/{process.pid}")]
    logger.warning(
        "the worker ends without its processes %s, which wait for a folder that does not answer; "
        "unfinished tasks are given back when it starts again",
        ", ".join(left),
    )
    tell_repeats(all_of_them=True)
    os._exit(0)


def _progress(pid: int) -> tuple[int, int]:
    """Return the processor time of a process in ticks, and how often it gave up a processor."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        with open(f"/proc/{pid}/status", "rb") as file:
            switches = [int(line.split()[1]) for line in file if b"ctxt_switches" in line]
    except OSError:
        return 0, 0
    return int(fields[11]) + int(fields[12]), sum(switches)
