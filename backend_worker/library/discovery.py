"""Telling what a walk found apart: to read, unchanged, known as unreadable, too fresh, missing."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from backend_worker.library.walk import Found

# (path, size, mtime_ns, id, state, id of the scan that last read it), as the database has it
Known = tuple[bytes, int, int, int, str, int | None]


class Verdict(enum.Enum):
    """What is to be done about one file."""

    READ = "read"  # new or changed
    UNCHANGED = "unchanged"
    FAILED = "failed"  # could not be read before and has not changed since
    FRESH = "fresh"  # written in the last seconds: left for the next scan
    WATCH = "watch"  # perhaps so; its time does not tell
    UNDER_WAY = "under way"  # in a batch of this scan, from before an interruption
    MISSING = "missing"  # known, but the walk did not see it


def compare(
    found: Iterable[Found],
    known: Iterable[Known],
    *,
    scan_id: int,
    judge: Callable[[bytes, int], Verdict],
    under_way: Collection[bytes] = (),
) -> Iterator[tuple[Verdict, bytes, int]]:
    """Yield (verdict, path, id) for every file of either side; the id is 0 if it has none.

    Args:
        found: the walk's files, by path.
        known: the database's files, by path.
        scan_id: this scan; what it read before an interruption is under way, not unchanged.
        judge: tells from path and time of modification (ns) whether a new or changed file may
            still be written: ``READ``, ``FRESH`` or ``WATCH``.
        under_way: paths in batches of this scan that are not done.
    """
    known_files = iter(known)
    row = next(known_files, None)
    for path, size, mtime_ns in found:
        while row is not None and row[0] < path:
            if row[4] != "gone":
                yield Verdict.MISSING, row[0], row[3]
            row = next(known_files, None)
        same = row if row is not None and row[0] == path else None
        if path in under_way or (same and same[5] == scan_id):
            yield Verdict.UNDER_WAY, path, same[3] if same else 0
        elif same and same[1] == size and same[2] == mtime_ns and same[4] != "gone":
            verdict = Verdict.UNCHANGED if same[4] == "stored" else Verdict.FAILED
            yield verdict, path, same[3]
        else:
            yield judge(path, mtime_ns), path, same[3] if same else 0
        if same:
            row = next(known_files, None)
    while row is not None:
        if row[4] != "gone":
            yield Verdict.MISSING, row[0], row[3]
        row = next(known_files, None)
