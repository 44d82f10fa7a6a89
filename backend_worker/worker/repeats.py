"""Log lines that repeat themselves: the first are written, the others counted.

Ten thousand files that cannot be read would be ten thousand lines in the journal of an SD card.
"""

from __future__ import annotations

import logging
import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW_SECONDS = 60.0
# Lines of one kind that are written within that time ...
FIRST = 100
# ... of those that give a reason only the first, of so many reasons.
MOST_REASONS = 20
_EXAMPLE_CHARACTERS = 300
_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d+")

_Kind = tuple[str, int, str, str]


@dataclass(slots=True)
class _Count:
    since: float
    written: int = 0
    left_out: int = 0
    example: logging.LogRecord | None = None


class RepeatFilter(logging.Filter):
    """Lets the first lines of each kind through and tells later how many more there were.

    Of one kind are lines of one place in the program: the same text before its values are put
    in. Where a line is logged with ``extra={"reason": …}``, each reason is a kind; two that
    differ by a number are the same.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._pid = os.getpid()
        self._counts: dict[_Kind, _Count] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a line is written."""
        if record.levelno <= logging.DEBUG or getattr(record, "counted", False):
            return True
        if os.getpid() != self._pid:  # what the parent counted the parent tells
            self._pid, self._counts = os.getpid(), {}
        self.tell_what_is_over()
        kind, most = self._kind(record)
        count = self._counts.setdefault(kind, _Count(self._clock()))
        if count.written < most:
            count.written += 1
            return True
        count.left_out += 1
        count.example = record
        return False

    def tell_what_is_over(self, *, all_of_it: bool = False) -> None:
        """Write how many lines were left out of each kind whose time is over.

        Args:
            all_of_it: also of those whose time is not.
        """
        now = self._clock()
        over = [
            kind
            for kind, count in self._counts.items()
            if all_of_it or now - count.since >= WINDOW_SECONDS
        ]
        for kind in over:
            count = self._counts.pop(kind)
            if count.example is not None:
                _tell(count, count.example, now)

    def _kind(self, record: logging.LogRecord) -> tuple[_Kind, int]:
        reason = getattr(record, "reason", None)
        place = (record.name, record.levelno, str(record.msg))
        if reason is None:
            return (*place, ""), FIRST
        kind = (*place, _NUMBER.sub("#", str(reason)))
        others = sum(known[:3] == place for known in self._counts)
        if kind in self._counts or others < MOST_REASONS:
            return kind, 1
        return (*place, ""), 0


def _tell(count: _Count, example: logging.LogRecord, now: float) -> None:
    text = " ".join(example.getMessage().split())[:_EXAMPLE_CHARACTERS]
    reason = getattr(example, "reason", None)
    like = f"such as {text}" if reason is None else f"with the reason {str(reason)!r}"
    logging.getLogger(example.name).log(
        example.levelno,
        "%d more lines like this within %.0f s, %s",
        count.left_out,
        now - count.since,
        like,
        extra={"counted": True},
    )
