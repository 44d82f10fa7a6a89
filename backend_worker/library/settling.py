"""Whether a file is still being written: its times tell, or else it is looked at twice."""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TYPE_CHECKING

from backend_worker.library.discovery import Verdict
from backend_worker.library.mounts import foreign_below

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# By so much another machine's clock may be wrong, as that of a NAS.
SKEW_NS = 3600 * 10**9
# A setting of hours is one of the files' age; nobody waits so long for a second look.
LONGEST_WATCH_SECONDS = 10.0
MOST_WATCHED = 5000

Facts = tuple[int, int, int]  # size in bytes, mtime and ctime in ns


def facts_of(status: os.stat_result) -> Facts:
    """Return what changes while a file is written.

    The ctime too: a program may set the size and the mtime before it writes.
    """
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def look_at(path: bytes) -> Facts | None:
    """Return the facts of a path, None if it is gone."""
    try:
        return facts_of(os.stat(path))
    except OSError:
        return None


def is_fresh(age_ns: int, seconds: float) -> bool:
    """Say whether a file of this age was written within the last seconds, by one clock."""
    return 0 <= age_ns < seconds * 1e9


class Freshness:
    """Judges by a file's time of modification what is to be done with a new or changed file.

    The clock is read each time: a walk takes minutes, and the clock of a board without a
    battery jumps when the network comes.

    Args:
        root: the folder that is walked.
        seconds: a file written less than this long ago may still be written.
        clock: nanoseconds since 1970.
    """

    def __init__(
        self, root: bytes, seconds: float, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._mounts = foreign_below(root)
        self._root, self._real_root = root, os.path.realpath(root)

    def verdict(self, path: bytes, mtime_ns: int) -> Verdict:
        """Return ``FRESH``, ``READ``, or ``WATCH`` where the time says nothing.

        That is one from the future: this clock is wrong, or was. And one near this moment
        where another machine's clock set it.
        """
        if not self._seconds:
            return Verdict.READ
        age = self._clock() - mtime_ns
        if is_fresh(age, self._seconds):
            return Verdict.FRESH
        doubtful = age < 0 or (age < SKEW_NS and self._is_foreign(path))
        return Verdict.WATCH if doubtful else Verdict.READ

    def _is_foreign(self, path: bytes) -> bool:
        if not self._mounts:
            return False
        real = self._real_root + path[len(self._root) :]
        return next(mount for mount in self._mounts if mount.holds(real)).is_foreign


class Watched:
    """Files that are looked at twice, some seconds apart: no clock can mislead that.

    Args:
        seconds: between the two looks.
        look: returns the facts of a path, None if it is gone.
        clock: seconds that never go back.
        sleep: waits.
    """

    def __init__(
        self,
        seconds: float,
        look: Callable[[bytes], Facts | None] = look_at,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._seconds = min(seconds, LONGEST_WATCH_SECONDS)
        self._look = look
        self._clock = clock
        self._sleep = sleep
        self._files: deque[tuple[float, bytes, Facts]] = deque()

    def __len__(self) -> int:
        return len(self._files)

    def add(self, path: bytes) -> bool:
        """Take the first look; False if the file is gone."""
        look = self._look(path)
        if look is None:
            return False
        self._files.append((self._clock(), path, look))
        return True

    def is_due(self) -> bool:
        """Say whether a file waits for its second look."""
        return bool(self._files) and (
            len(self._files) > MOST_WATCHED or self._files[0][0] + self._seconds <= self._clock()
        )

    def second_look(self, most_seconds: float) -> Iterator[tuple[bytes, bool]]:
        """Yield (path, whether it stayed as it was) of the files whose time has come.

        Args:
            most_seconds: to wait for the first of them.
        """
        if self._files:
            wait = self._files[0][0] + self._seconds - self._clock()
            self._sleep(max(0.0, min(wait, most_seconds)))
        while self._files and self._files[0][0] + self._seconds <= self._clock():
            _, path, before = self._files.popleft()
            yield path, self._look(path) == before
