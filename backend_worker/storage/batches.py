"""Batches of a scan: the files that one task reads, and whether they are dealt with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend_worker.storage.connection import one_row, transaction
from backend_worker.storage.walks import WalkCounts, record_counts

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


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
        count: int = one_row(cursor)[0]
        return count + 1


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
        record_counts(cursor, scan_id, counts)
        return running


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


def scan_of(batch_id: str) -> int | None:
    """Return the scan of a batch id as scans number them (``scan-17-3``), else None."""
    parts = batch_id.split("-")
    return int(parts[1]) if len(parts) == 3 and parts[0] == "scan" and parts[1].isdigit() else None


def drop_batch(batch_id: str) -> int | None:
    """Leave the files of a pending batch to the next scan.

    Returns:
        The scan that the batch belongs to, None if it has none or was not pending.
    """
    with transaction() as cursor:
        cursor.execute(
            "UPDATE scan_batch SET state = 'cancelled', ignored = files, paths = NULL"
            " WHERE id = %s AND state = 'pending' RETURNING scan_id",
            (batch_id,),
        )
        row = cursor.fetchone()
        return row[0] if row else None


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
        scan_id: int | None = row[0]
        paths = row[1]
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

    Also nothing if it was split before (see :func:`pending_halves`) or is a single file.
    """
    with transaction() as cursor:
        cursor.execute(
            "UPDATE scan_batch SET state = 'split' WHERE id = %s AND state = 'pending'"
            " AND files > 1 RETURNING scan_id, paths",
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


def pending_batches(except_of: Collection[int] = ()) -> list[tuple[str, list[bytes]]]:
    """Return (id, paths) of the batches of running scans that are not done.

    Args:
        except_of: scans whose batches are left out.
    """
    with transaction() as cursor:
        cursor.execute(
            "SELECT batch.id, paths FROM scan_batch AS batch JOIN scan ON scan.id = scan_id"
            " WHERE state = 'pending' AND status = 'running' AND scan_id <> ALL(%s)"
            " ORDER BY batch.created_at, batch.id",
            (list(except_of),),
        )
        return [(batch_id, [bytes(path) for path in paths]) for batch_id, paths in cursor]
