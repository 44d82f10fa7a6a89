"""How fast a count grows, and how long the rest takes."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Rate:
    """Growth a second over the last so many seconds, so that it follows what happens now.

    Args:
        window: seconds.
        clock: the time in seconds, from any start.
    """

    def __init__(self, window: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._window = window
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque()

    def update(self, count: int) -> float:
        """Take the count as it is now and return the rate."""
        now = self._clock()
        self._samples.append((now, count))
        while now - self._samples[0][0] > self._window and len(self._samples) > 2:
            self._samples.popleft()
        first_time, first_count = self._samples[0]
        elapsed = now - first_time
        return (count - first_count) / elapsed if elapsed > 0 else 0.0


def time_left(waiting: int, rate: float) -> str | None:
    """Return the time that so many take at this rate, roughly; None if none or nobody knows."""
    if rate <= 0 or not waiting:
        return None
    seconds = waiting / rate
    if seconds < 60:
        return f"{max(round(seconds), 1)} s left"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min left"
    return f"{round(seconds / 3600)} h left"
