"""Scans: how one begins, its figures, how it ends and what follows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from backend_worker.library.paths import shown
from backend_worker.library.roots import is_below
from backend_worker.storage import fitness
from backend_worker.storage.connection import one_row, transaction

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg2.extensions

# Serialises the start of scans, so that two of overlapping folders cannot both begin.
SCAN_START_LOCK = 7_203_412


class ScanRunningError(RuntimeError):
    """Another scan of an overlapping folder is running; ``scan_id`` says which."""

    def __init__(self, scan_id: int, root: bytes) -> None:
        super().__init__(scan_id, root)
        self.scan_id = scan_id
        self.root = root

    def __str__(self) -> str:
        return (
            f"scan {self.scan_id} of {shown(self.root)} is still running: wait for it, or cancel it"
            f" with `backend-worker cancel {self.scan_id}`"
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
    left_out: int
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


def begin(root: bytes, task_id: str) -> int:
    """Register a scan of the folder and return its id.

    Args:
        root: the folder.
        task_id: the id of the message that walks it: delivered again, it goes on with the
            scan that it began.

    Raises:
        ScanRunningError: a scan of this folder, of one above or of one below is running.
        DatabaseUnusableError: nothing of it could be stored.
    """
    with transaction() as cursor:
        fitness.check(cursor)
        # Its number is told to who asked for the scan: a power cut must not take it back.
        cursor.execute("SET LOCAL synchronous_commit = on")
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (SCAN_START_LOCK,))
        scan_id: int
        cursor.execute("SELECT id FROM scan WHERE task_id = %s", (task_id,))
        row = cursor.fetchone()
        if row is not None:
            (scan_id,) = row
            return scan_id
        refuse_overlap(cursor, root)
        # The next after the newest, and not the sequence's: PostgreSQL takes 32 numbers ahead,
        # and a power cut would skip them. The lock above lets nobody in between.
        cursor.execute(
            "INSERT INTO scan (id, root, task_id) OVERRIDING SYSTEM VALUE"
            " SELECT coalesce(max(id), 0) + 1, %s, %s FROM scan RETURNING id",
            (root, task_id),
        )
        (scan_id,) = one_row(cursor)
        # kept in step for who inserts by hand; a role without rights on it does without
        cursor.execute(
            "SELECT setval(name, %s) FROM pg_get_serial_sequence('scan', 'id') AS name"
            " WHERE has_sequence_privilege(name, 'UPDATE')",
            (scan_id,),
        )
        cursor.execute("INSERT INTO known_root (path) VALUES (%s) ON CONFLICT DO NOTHING", (root,))
        return scan_id


def refuse_overlap(cursor: psycopg2.extensions.cursor, root: bytes) -> None:
    """Let no two overlapping folders be walked or forgotten at once, until the commit.

    Raises:
        ScanRunningError: a scan of this folder, of one above or of one below is running.
    """
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (SCAN_START_LOCK,))
    cursor.execute(
        "SELECT id, root FROM scan WHERE status IN ('running', 'cancelling') ORDER BY id"
    )
    for scan_id, other in cursor.fetchall():
        if is_below(root, bytes(other)) or is_below(bytes(other), root):
            raise ScanRunningError(scan_id, bytes(other))


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


def cancel(scan_id: int | None = None, why: str = "cancelled on request") -> list[int]:
    """Cancel one scan, or all that run; return the ids of those that were running.

    Batches that were not read yet are dropped at once; what is stored stays stored.
    """
    with transaction() as cursor:
        cursor.execute(
            "UPDATE scan SET status = 'cancelling', message = %(why)s"
            " WHERE status = 'running' AND (%(id)s IS NULL OR id = %(id)s) RETURNING id",
            {"id": scan_id, "why": why},
        )
        ids = [row[0] for row in cursor]
        cursor.execute(
            "UPDATE scan_batch SET state = 'cancelled', ignored = files, paths = NULL"
            " WHERE state = 'pending' AND scan_id = ANY(%s)",
            (ids,),
        )
        return ids


def abandon(scan_id: int, message: str) -> str | None:
    """End a scan as failed, with the sentence that says why; nothing in the library changes.

    Returns:
        How it ended, which is cancelled if it was being cancelled; None if it had ended before.
    """
    with transaction() as cursor:
        cursor.execute(
            "SELECT status FROM scan WHERE id = %s AND status IN ('running', 'cancelling')"
            " FOR UPDATE",
            (scan_id,),
        )
        row = cursor.fetchone()
        if row is None:
            return None
        ended = "failed" if row[0] == "running" else "cancelled"
        cursor.execute(
            "UPDATE scan_batch SET state = 'cancelled', ignored = files, paths = NULL"
            " WHERE scan_id = %s AND state = 'pending'",
            (scan_id,),
        )
        cursor.execute(
            "UPDATE scan SET status = 'cancelling', walk_ended = true, walk_complete = false,"
            " message = CASE status WHEN 'running' THEN %s ELSE message END WHERE id = %s",
            (message, scan_id),
        )
        _finish(cursor, scan_id, ended)
        return ended


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
        work_left = one_row(cursor)[0] or (status == "running" and not walk_ended)
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
        coalesce(scan.moved, sums.moved), coalesce(gone, 0), error_count, left_out, message
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
    return ScanStatus(row[0], shown(bytes(row[1])), *row[2:])


def errors_of(scan_id: int, limit: int = 100) -> list[tuple[str, str]]:
    """Return (folder, reason) of what a scan could not look into."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT path, reason FROM scan_error WHERE scan_id = %s ORDER BY path LIMIT %s",
            (scan_id, limit),
        )
        return [(shown(bytes(path)), reason) for path, reason in cursor]


def left_out_of(scan_id: int) -> list[str]:
    """Return what a scan left out since its name is that of a program: the first paths."""
    with transaction() as cursor:
        cursor.execute("SELECT unnest(left_out_paths) FROM scan WHERE id = %s", (scan_id,))
        return [bytes(path).decode("utf-8", "replace") for (path,) in cursor]


def failure_reasons(scan_id: int, limit: int) -> list[tuple[str, int]]:
    """Return why files could not be read that this scan tried, and how many, most first.

    Reasons that differ by a number alone are one.
    """
    with transaction() as cursor:
        cursor.execute(
            "SELECT min(reason), count(*) AS files FROM file"
            " WHERE scan_id = %s AND state = 'failed'"
            " GROUP BY regexp_replace(reason, '[0-9]+', '#', 'g')"
            " ORDER BY files DESC, min(reason) LIMIT %s",
            (scan_id, limit),
        )
        return cursor.fetchall()


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
