"""Scans and their batches: what a scan has found, what is still under way, how it ends."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from psycopg2.extras import execute_values

from backend_worker.storage.connection import connection_is_open, transaction

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime

    import psycopg2.extensions

# Serialises the start of scans, so that two of overlapping folders cannot both begin.
SCAN_START_LOCK = 7_203_412
# With a scan's id as the second key: held by the process that walks for it.
SCAN_WALK_LOCKS = 7_203_414
KNOWN_FILES_PAGE = 5000


class ScanRunningError(RuntimeError):
    """Another scan of an overlapping folder is running; ``scan_id`` says which."""

    def __init__(self, scan_id: int, root: bytes) -> None:
        super().__init__(scan_id, root)
        self.scan_id = scan_id
        self.root = root

    def __str__(self) -> str:
        shown = self.root.decode("utf-8", "replace")
        return (
            f"scan {self.scan_id} of {shown} is still running: wait for it, or cancel it with "
            f"`backend-worker cancel {self.scan_id}`"
        )


@dataclass(frozen=True, slots=True)
class ScanStatus:
    """The figures of one scan; found = stored + unchanged + failed + ignored + waiting."""

    id: int
    root: str
    status: str
    started_at: datetime
    finished_at: datetime | None
    walk_ended: bool
    walk_complete: bool
    directories: int
    found: int
    stored: int
    unchanged: int
    failed: int
    ignored: int
    waiting: int
    moved: int
    gone: int
    error_count: int
    message: str | None

    @property
    def active(self) -> bool:
        """Whether the scan has not ended yet."""
        return self.status in {"running", "cancelling"}

    @property
    def seconds(self) -> float | None:
        """Duration of an ended scan in seconds."""
        if self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-able data."""
        values = asdict(self)
        for name in ("started_at", "finished_at"):
            values[name] = values[name].isoformat() if values[name] else None
        return values | {"seconds": self.seconds}


@dataclass(frozen=True, slots=True)
class WalkCounts:
    """What the walk itself counted so far (files that need no reading)."""

    directories: int = 0
    other_files: int = 0
    unchanged: int = 0
    failed: int = 0
    ignored: int = 0
    error_count: int = 0


def begin(root: bytes, task_id: str) -> int:
    """Register a scan of the folder and return its id.

    Args:
        root: the folder.
        task_id: the id of the message that walks it: delivered again, it goes on with the
            scan that it began.

    Raises:
        ScanRunningError: a scan of this folder, of one above or of one below is running.
    """
    with transaction() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (SCAN_START_LOCK,))
        cursor.execute("SELECT id FROM scan WHERE task_id = %s", (task_id,))
        row = cursor.fetchone()
        if row is not None:
            return row[0]
        cursor.execute(
            "SELECT id, root FROM scan WHERE status IN ('running', 'cancelling') ORDER BY id"
        )
        for scan_id, other in cursor.fetchall():
            if overlaps(root, bytes(other)):
                raise ScanRunningError(scan_id, bytes(other))
        cursor.execute(
            "INSERT INTO scan (root, task_id) VALUES (%s, %s) RETURNING id", (root, task_id)
        )
        return cursor.fetchone()[0]


def overlaps(one: bytes, other: bytes) -> bool:
    """Say whether two folders are the same or one lies within the other."""
    one, other = one.rstrip(b"/") + b"/", other.rstrip(b"/") + b"/"
    return one.startswith(other) or other.startswith(one)


def of_task(task_id: str) -> int | None:
    """Return the scan that this message began."""
    with transaction() as cursor:
        cursor.execute("SELECT id FROM scan WHERE task_id = %s", (task_id,))
        row = cursor.fetchone()
        return row[0] if row else None


def needs_walk(scan_id: int) -> bool:
    """Say whether the scan is running and its walk has not ended."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT status = 'running' AND NOT walk_ended FROM scan WHERE id = %s", (scan_id,)
        )
        row = cursor.fetchone()
        return row is not None and row[0]


@contextmanager
def walking(scan_id: int) -> Iterator[bool]:
    """Hold the right to walk for a scan; False if another process has it.

    PostgreSQL gives it back when the process dies, so a message that is delivered while its
    first delivery still runs does nothing, and one delivered after a crash goes on.
    """
    with transaction() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", (SCAN_WALK_LOCKS, scan_id % 2**31))
        mine = cursor.fetchone()[0]
    try:
        yield mine
    finally:
        # a lost connection has given it back already
        if mine and connection_is_open():
            with transaction() as cursor:
                cursor.execute(
                    "SELECT pg_advisory_unlock(%s, %s)", (SCAN_WALK_LOCKS, scan_id % 2**31)
                )


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


def paths_under_way(scan_id: int) -> set[bytes]:
    """Return the paths of the scan's batches that are not done yet (after an interruption)."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT unnest(paths) FROM scan_batch WHERE scan_id = %s AND state = 'pending'",
            (scan_id,),
        )
        return {bytes(row[0]) for row in cursor}


def next_batch_number(scan_id: int) -> int:
    """Return the first unused number for a batch of this scan."""
    with transaction() as cursor:
        cursor.execute("SELECT count(*) FROM scan_batch WHERE scan_id = %s", (scan_id,))
        return cursor.fetchone()[0] + 1


def add_batch(scan_id: int, batch_id: str, paths: Sequence[bytes], counts: WalkCounts) -> bool:
    """Record a batch before its message is sent; False if the scan is not running any more."""
    with transaction() as cursor:
        # A power cut must not lose the record of a message that is on its way: the walk that
        # goes on would give its name to other files.
        cursor.execute("SET LOCAL synchronous_commit = on")
        cursor.execute(
            "INSERT INTO scan_batch (id, scan_id, files, paths)"
            " SELECT %s, id, %s, %s FROM scan WHERE id = %s AND status = 'running' FOR SHARE",
            (batch_id, len(paths), list(paths), scan_id),
        )
        running = cursor.rowcount == 1
        _update_counts(cursor, scan_id, counts)
        return running


def update_counts(scan_id: int, counts: WalkCounts) -> bool:
    """Record the walk's counts so far; False if the scan is not running any more."""
    with transaction() as cursor:
        return _update_counts(cursor, scan_id, counts) == "running"


def _update_counts(
    cursor: psycopg2.extensions.cursor, scan_id: int, counts: WalkCounts
) -> str | None:
    cursor.execute(
        "UPDATE scan SET directories = %s, other_files = %s, walk_unchanged = %s,"
        " walk_failed = %s, walk_ignored = %s, error_count = %s WHERE id = %s RETURNING status",
        (
            counts.directories,
            counts.other_files,
            counts.unchanged,
            counts.failed,
            counts.ignored,
            counts.error_count,
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
        _update_counts(cursor, scan_id, WalkCounts())


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
        _update_counts(cursor, scan_id, counts)
        cursor.execute(
            "UPDATE scan SET walk_ended = true, walk_complete = %s WHERE id = %s",
            (complete, scan_id),
        )


def batch_state(batch_id: str) -> str | None:
    """Return a batch's state, None if it was never recorded."""
    with transaction() as cursor:
        cursor.execute("SELECT state FROM scan_batch WHERE id = %s", (batch_id,))
        row = cursor.fetchone()
        return row[0] if row else None


def adopt_batch(batch_id: str, paths: Sequence[bytes]) -> str:
    """Record a batch that a client sent by itself, and return its state.

    A batch id that is used again after it was done starts anew: clients of the earlier
    system number theirs from one in every run.
    """
    with transaction() as cursor:
        cursor.execute(
            "INSERT INTO scan_batch (id, files, paths) VALUES (%s, %s, %s)"
            " ON CONFLICT (id) DO UPDATE SET state = 'pending', files = excluded.files,"
            " paths = excluded.paths WHERE scan_batch.scan_id IS NULL"
            " RETURNING state",
            (batch_id, len(paths), list(paths)),
        )
        row = cursor.fetchone()
    return row[0] if row else batch_state(batch_id) or "cancelled"


def fail_batch(batch_id: str, reason: str) -> int | None:
    """Record that a batch could not be dealt with: all its files count as failed.

    Without this a fault of ours would leave its scan waiting for ever. Size and time are
    recorded as unknown, so the next scan reads the files again.

    Returns:
        The scan that the batch belongs to, None if it has none or was not pending.
    """
    with transaction() as cursor:
        cursor.execute(
            "SELECT scan_id, paths FROM scan_batch WHERE id = %s AND state = 'pending' FOR UPDATE",
            (batch_id,),
        )
        row = cursor.fetchone()
        if row is None:
            return None
        scan_id, paths = row
        cursor.execute(
            "INSERT INTO file (path, size, mtime_ns, state, reason, scan_id)"
            " SELECT path, 0, -1, 'failed', %(reason)s, %(scan)s FROM unnest(%(paths)s) AS path"
            " ORDER BY path ON CONFLICT (path) DO UPDATE SET mtime_ns = -1, state = 'failed',"
            "   reason = excluded.reason, scan_id = excluded.scan_id, gone_at = NULL",
            {"reason": reason, "scan": scan_id, "paths": paths},
        )
        cursor.execute(
            "UPDATE scan_batch SET state = 'done', failed = files, paths = NULL WHERE id = %s",
            (batch_id,),
        )
        return scan_id


def split_batch(batch_id: str) -> list[tuple[str, list[bytes]]]:
    """Replace a pending batch by two halves and return them; nothing if it is not pending.

    Also nothing if it was split before: see :func:`pending_halves`.
    """
    with transaction() as cursor:
        cursor.execute(
            "UPDATE scan_batch SET state = 'split' WHERE id = %s AND state = 'pending'"
            " RETURNING scan_id, paths",
            (batch_id,),
        )
        row = cursor.fetchone()
        if row is None:
            return []
        scan_id, paths = row[0], [bytes(path) for path in row[1]]
        middle = len(paths) // 2
        halves = [(f"{batch_id}a", paths[:middle]), (f"{batch_id}b", paths[middle:])]
        for half_id, half in halves:
            cursor.execute(
                "INSERT INTO scan_batch (id, scan_id, files, paths) VALUES (%s, %s, %s, %s)",
                (half_id, scan_id, len(half), half),
            )
        cursor.execute("UPDATE scan_batch SET paths = NULL WHERE id = %s", (batch_id,))
        return halves


def pending_halves(batch_id: str) -> list[tuple[str, list[bytes]]]:
    """Return (id, paths) of those halves of a split batch that are not done."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT id, paths FROM scan_batch WHERE id IN (%s, %s) AND state = 'pending'"
            " ORDER BY id",
            (f"{batch_id}a", f"{batch_id}b"),
        )
        return [(half_id, [bytes(path) for path in paths]) for half_id, paths in cursor]


def cancel(scan_id: int | None = None) -> list[int]:
    """Cancel one scan, or all that run; return the ids of those that were running.

    Batches that were not read yet are dropped at once; what is stored stays stored.
    """
    with transaction() as cursor:
        cursor.execute(
            "UPDATE scan SET status = 'cancelling', message = 'cancelled on request'"
            " WHERE status = 'running' AND (%(id)s IS NULL OR id = %(id)s) RETURNING id",
            {"id": scan_id},
        )
        ids = [row[0] for row in cursor]
        cursor.execute(
            "UPDATE scan_batch SET state = 'cancelled', ignored = files, paths = NULL"
            " WHERE state = 'pending' AND scan_id = ANY(%s)",
            (ids,),
        )
        return ids


def abandon(scan_id: int, message: str) -> None:
    """End a scan as failed, with the sentence that says why; nothing in the library changes."""
    with transaction() as cursor:
        cursor.execute(
            "UPDATE scan_batch SET state = 'cancelled', ignored = files, paths = NULL"
            " WHERE scan_id = %s AND state = 'pending'",
            (scan_id,),
        )
        cursor.execute(
            "UPDATE scan SET status = 'cancelling', walk_ended = true, walk_complete = false,"
            " message = %s WHERE id = %s AND status IN ('running', 'cancelling')",
            (message, scan_id),
        )
        _finish(cursor, scan_id, "failed")


def finish_if_done(scan_id: int) -> ScanStatus | None:
    """End the scan when its walk has ended and no batch is under way.

    Returns:
        The final figures, or None while there is work left or if it had ended before.
    """
    with transaction() as cursor:
        cursor.execute(
            "SELECT status, walk_ended FROM scan WHERE id = %s"
            " AND status IN ('running', 'cancelling') FOR UPDATE",
            (scan_id,),
        )
        row = cursor.fetchone()
        if row is None:
            return None
        status, walk_ended = row
        cursor.execute(
            "SELECT EXISTS (SELECT FROM scan_batch WHERE scan_id = %s AND state = 'pending')",
            (scan_id,),
        )
        work_left = cursor.fetchone()[0] or (status == "running" and not walk_ended)
        if work_left:
            return None
        _finish(cursor, scan_id, "completed" if status == "running" else "cancelled")
    return get(scan_id)


def _finish(cursor: psycopg2.extensions.cursor, scan_id: int, status: str) -> None:
    cursor.execute("SELECT status FROM scan WHERE id = %s", (scan_id,))
    gone = 0
    if status == "completed":
        # A file that was found at a new path meanwhile is not missing: its path changed.
        cursor.execute(
            "UPDATE file SET state = 'gone', gone_at = now() FROM scan_missing AS missing"
            " WHERE missing.scan_id = %s AND file.id = missing.file_id AND file.state <> 'gone'"
            " AND file.scan_id IS DISTINCT FROM %s",
            (scan_id, scan_id),
        )
        gone = cursor.rowcount
    cursor.execute("DELETE FROM scan_missing WHERE scan_id = %s", (scan_id,))
    cursor.execute(
        "UPDATE scan SET status = %(status)s, finished_at = clock_timestamp(), gone = %(gone)s,"
        " stored = sums.stored, moved = sums.moved, unchanged = walk_unchanged,"
        " failed = walk_failed + sums.failed, ignored = walk_ignored + sums.ignored,"
        " found = walk_unchanged + walk_failed + walk_ignored + sums.files"
        " FROM (SELECT coalesce(sum(files), 0) AS files, coalesce(sum(stored), 0) AS stored,"
        "   coalesce(sum(failed), 0) AS failed, coalesce(sum(ignored), 0) AS ignored,"
        "   coalesce(sum(moved), 0) AS moved"
        "   FROM scan_batch WHERE scan_id = %(id)s AND state <> 'split') AS sums"
        " WHERE scan.id = %(id)s",
        {"status": status, "gone": gone, "id": scan_id},
    )


_STATUS_QUERY = """
    SELECT scan.id, root, status, started_at, finished_at, walk_ended, walk_complete, directories,
        coalesce(found, walk_unchanged + walk_failed + walk_ignored + sums.files),
        coalesce(scan.stored, sums.stored),
        coalesce(unchanged, walk_unchanged),
        coalesce(scan.failed, walk_failed + sums.failed),
        coalesce(scan.ignored, walk_ignored + sums.ignored),
        CASE WHEN finished_at IS NULL
            THEN sums.files - sums.stored - sums.failed - sums.ignored ELSE 0 END,
        coalesce(scan.moved, sums.moved), coalesce(gone, 0), error_count, message
    FROM scan CROSS JOIN LATERAL (
        SELECT coalesce(sum(files), 0) AS files, coalesce(sum(b.stored), 0) AS stored,
            coalesce(sum(b.failed), 0) AS failed, coalesce(sum(b.ignored), 0) AS ignored,
            coalesce(sum(b.moved), 0) AS moved
        FROM scan_batch AS b WHERE b.scan_id = scan.id AND b.state <> 'split'
    ) AS sums
"""


def get(scan_id: int) -> ScanStatus | None:
    """Return one scan's figures as they are now."""
    with transaction() as cursor:
        cursor.execute(_STATUS_QUERY + " WHERE scan.id = %s", (scan_id,))
        row = cursor.fetchone()
        return _status(row) if row else None


def recent(limit: int = 5) -> list[ScanStatus]:
    """Return the newest scans, newest first."""
    with transaction() as cursor:
        cursor.execute(_STATUS_QUERY + " ORDER BY scan.id DESC LIMIT %s", (limit,))
        return [_status(row) for row in cursor]


def _status(row: tuple[Any, ...]) -> ScanStatus:
    return ScanStatus(row[0], bytes(row[1]).decode("utf-8", "replace"), *row[2:])


def errors_of(scan_id: int, limit: int = 100) -> list[tuple[str, str]]:
    """Return (folder, reason) of what a scan could not look into."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT path, reason FROM scan_error WHERE scan_id = %s ORDER BY path LIMIT %s",
            (scan_id, limit),
        )
        return [(bytes(path).decode("utf-8", "replace"), reason) for path, reason in cursor]


@dataclass(frozen=True, slots=True)
class ActiveScan:
    """A scan that has not ended, as its resumption needs it."""

    id: int
    root: bytes
    task_id: str
    needs_walk: bool


def active() -> list[ActiveScan]:
    """Return the scans that have not ended, oldest first."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT id, root, task_id, status = 'running' AND NOT walk_ended FROM scan"
            " WHERE status IN ('running', 'cancelling') ORDER BY id"
        )
        return [
            ActiveScan(scan_id, bytes(root), task_id, needs_walk)
            for scan_id, root, task_id, needs_walk in cursor
        ]


def pending_batches() -> list[tuple[str, list[bytes]]]:
    """Return (id, paths) of the batches of running scans that are not done."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT batch.id, paths FROM scan_batch AS batch JOIN scan ON scan.id = scan_id"
            " WHERE state = 'pending' AND status = 'running' ORDER BY batch.created_at, batch.id"
        )
        return [(batch_id, [bytes(path) for path in paths]) for batch_id, paths in cursor]


def not_followed_up() -> list[int]:
    """Return completed scans after which covers, vectors and artists were not asked for."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT id FROM scan WHERE status IN ('completed', 'cancelled') AND NOT followed_up"
            " ORDER BY id"
        )
        return [row[0] for row in cursor]


def mark_followed_up(scan_id: int) -> None:
    """Record that the messages that follow a scan were sent."""
    with transaction() as cursor:
        cursor.execute("UPDATE scan SET followed_up = true WHERE id = %s", (scan_id,))


def touched_albums(scan_id: int) -> list[int]:
    """Return the albums of which this scan stored a track."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT DISTINCT album_id FROM track JOIN file USING (id)"
            " WHERE file.scan_id = %s AND album_id IS NOT NULL ORDER BY album_id",
            (scan_id,),
        )
        return [row[0] for row in cursor]


def touched_artists(scan_id: int) -> list[int]:
    """Return the artists of whom this scan stored a track."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT DISTINCT artist_id FROM track_artist JOIN file ON file.id = track_id"
            " WHERE file.scan_id = %s AND role = 'artist' ORDER BY artist_id",
            (scan_id,),
        )
        return [row[0] for row in cursor]
