"""The walk of a scan: what it compares with, what it counts, and who may walk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg2.extras import execute_values

from backend_worker.storage.connection import session_lock, transaction

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from contextlib import AbstractContextManager

    import psycopg2.extensions

# With a scan's id as the second key: held by the process that walks for it.
SCAN_WALK_LOCKS = 7_203_414
KNOWN_FILES_PAGE = 5000


@dataclass(frozen=True, slots=True)
class WalkCounts:
    """What the walk itself counted so far (files that need no reading)."""

    directories: int = 0
    other_files: int = 0
    unchanged: int = 0
    failed: int = 0
    ignored: int = 0
    error_count: int = 0
    left_out: int = 0  # since their names are those of programs


def walking(scan_id: int) -> AbstractContextManager[bool]:
    """Hold the right to walk for a scan; False if another process has it.

    PostgreSQL gives it back when the process dies, so a message that is delivered while its
    first delivery still runs does nothing, and one delivered after a crash goes on.
    """
    return session_lock(SCAN_WALK_LOCKS, scan_id % 2**31)


def is_being_walked(scan_id: int) -> bool:
    """Say whether some process holds the right to walk for this scan."""
    with walking(scan_id) as free:
        return not free


def known_files(root: bytes) -> Iterator[tuple[bytes, int, int, int, str, int | None]]:
    """Yield (path, size, mtime_ns, id, state, scan_id) of the files below root, by path.

    Page by page, each in a transaction of its own: constant memory, and a walk of hours
    keeps no snapshot open that would hinder vacuum.
    """
    prefix = root.rstrip(b"/")
    # '0' follows '/': everything that starts with "root/" lies between the two
    after, end = prefix + b"/", prefix + b"0"
    while True:
        with transaction() as cursor:
            cursor.execute(
                "SELECT path, size, mtime_ns, id, state, scan_id FROM file"
                " WHERE path > %s AND path < %s ORDER BY path LIMIT %s",
                (after, end, KNOWN_FILES_PAGE),
            )
            rows = cursor.fetchall()
        for path, *rest in rows:
            yield path.tobytes(), *rest
        if len(rows) < KNOWN_FILES_PAGE:
            return
        after = rows[-1][0].tobytes()


def mount_points(root: bytes) -> set[bytes]:
    """Return what was a mount point at or below root at its last complete scan."""
    with transaction() as cursor:
        cursor.execute("SELECT path FROM mount_point WHERE root = %s", (root,))
        return {bytes(row[0]) for row in cursor}


def set_mount_points(root: bytes, paths: Collection[bytes]) -> None:
    """Replace the remembered mount points of a root."""
    with transaction() as cursor:
        cursor.execute("DELETE FROM mount_point WHERE root = %s", (root,))
        execute_values(
            cursor,
            "INSERT INTO mount_point (root, path) VALUES %s",
            [(root, path) for path in paths],
        )


def update_counts(scan_id: int, counts: WalkCounts) -> bool:
    """Record the walk's counts so far; False if the scan is not running any more."""
    with transaction() as cursor:
        return record_counts(cursor, scan_id, counts) == "running"


def record_counts(
    cursor: psycopg2.extensions.cursor, scan_id: int, counts: WalkCounts
) -> str | None:
    """Record the walk's counts within a transaction; return the scan's status."""
    cursor.execute(
        "UPDATE scan SET directories = %s, other_files = %s, walk_unchanged = %s,"
        " walk_failed = %s, walk_ignored = %s, error_count = %s, left_out = %s"
        " WHERE id = %s RETURNING status",
        (
            counts.directories,
            counts.other_files,
            counts.unchanged,
            counts.failed,
            counts.ignored,
            counts.error_count,
            counts.left_out,
            scan_id,
        ),
    )
    row = cursor.fetchone()
    return row[0] if row else None


def begin_walk(scan_id: int) -> None:
    """Forget what an interrupted walk of this scan noted; its batches stay.

    But for the last: that walk may have ended before it sent it. Its files are found again,
    for a batch of another name, and its message is ignored should there be one.
    """
    with transaction() as cursor:
        cursor.execute(
            "UPDATE scan_batch SET state = 'split', paths = NULL WHERE state = 'pending' AND id ="
            " (SELECT id FROM scan_batch WHERE scan_id = %s"
            "   ORDER BY substring(id FROM '-([0-9]+)$')::integer DESC NULLS LAST LIMIT 1)",
            (scan_id,),
        )
        cursor.execute("DELETE FROM scan_missing WHERE scan_id = %s", (scan_id,))
        cursor.execute("DELETE FROM scan_error WHERE scan_id = %s", (scan_id,))
        record_counts(cursor, scan_id, WalkCounts())


def end_walk(
    scan_id: int,
    counts: WalkCounts,
    *,
    complete: bool,
    missing: Sequence[int],
    errors: Sequence[tuple[bytes, str]],
) -> None:
    """Record the end of the walk: what it did not see, and what it could not read.

    ``missing`` is kept only of a complete walk: after any error nothing counts as gone.
    """
    with transaction() as cursor:
        if complete and missing:
            execute_values(
                cursor,
                "INSERT INTO scan_missing (scan_id, file_id) VALUES %s",
                [(scan_id, file_id) for file_id in missing],
                page_size=1000,
            )
        if errors:
            execute_values(
                cursor,
                "INSERT INTO scan_error (scan_id, path, reason) VALUES %s ON CONFLICT DO NOTHING",
                [(scan_id, path, reason) for path, reason in errors],
                page_size=1000,
            )
        record_counts(cursor, scan_id, counts)
        cursor.execute(
            "UPDATE scan SET walk_ended = true, walk_complete = %s WHERE id = %s",
            (complete, scan_id),
        )


def name_left_out(scan_id: int, paths: Sequence[bytes]) -> None:
    """Record some of what the walk left out."""
    with transaction() as cursor:
        cursor.execute(
            "UPDATE scan SET left_out_paths = %s::bytea[] WHERE id = %s", (list(paths), scan_id)
        )
