"""One transaction per batch: staging tables, then set-based upserts.

The batch's own row says whether it is done, so the same batch twice changes nothing.
Inserts of several processes take one lock one after the other: a batch of 250 files takes
some 60 ms, and no order of upserts has to be kept to stay free of deadlocks.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backend_worker.storage import entities as merge
from backend_worker.storage import moves, statistics
from backend_worker.storage.connection import one_row, transaction
from backend_worker.storage.parting import part_albums
from backend_worker.storage.spelling import spell_artists
from backend_worker.storage.staging import stage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import psycopg2.extensions

    from backend_worker.library.model import EntityBatch, FailedFile

INSERT_LOCK = 7_203_413
# The planner's statistics are refreshed whenever the table of tracks has grown so many times.
GROWTH = 4


@dataclass(slots=True)
class InsertResult:
    """What one batch changed.

    Attributes:
        track_ids: the tracks of the batch.
        outdated: other tracks of its albums, whose vectors must be made anew.
        done_before: it had been inserted already.
    """

    stored: int = 0
    failed: int = 0
    moved: int = 0
    track_ids: list[int] = field(default_factory=list)
    outdated: list[int] = field(default_factory=list)
    scan_id: int | None = None
    done_before: bool = False
    cancelled: bool = False


def insert_batch(
    batch_id: str,
    entities: EntityBatch,
    failures: Sequence[FailedFile] = (),
    ignored: int = 0,
    *,
    still_exists: Callable[[bytes], bool] = os.path.lexists,
) -> InsertResult:
    """Store a batch in one transaction.

    Args:
        batch_id: the batch as recorded in ``scan_batch``; an unknown one is recorded.
        entities: artists, albums and tracks.
        failures: files that could not be read.
        ignored: number of files left for the next scan (vanished or still being written).
        still_exists: tells whether a path is still there; a known file with the same
            content whose path is not was moved, and keeps its id.

    Raises:
        psycopg2.Error: nothing was stored; errors in ``RETRYABLE`` are worth another try.
    """
    # before the transaction, which others wait for
    moved = moves.find(batch_id, entities.tracks, still_exists)
    result = _insert(batch_id, entities, failures, ignored, moved)
    if result.stored:
        statistics.refresh(growth=GROWTH)
    return result


class _UndoneError(Exception):
    """Rolls a trial back."""


def try_to_insert(entities: EntityBatch, failures: Sequence[FailedFile]) -> None:
    """Raise what :func:`insert_batch` would raise; nothing is stored."""
    moves.find("", entities.tracks, lambda _: True)
    with suppress(_UndoneError), transaction() as cursor:
        stage(cursor, entities, failures)
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (INSERT_LOCK,))
        _write(cursor, None)
        raise _UndoneError


def _insert(
    batch_id: str,
    entities: EntityBatch,
    failures: Sequence[FailedFile],
    ignored: int,
    moved_files: Sequence[moves.Move],
) -> InsertResult:
    with transaction() as cursor:
        stage(cursor, entities, failures)  # this connection's own tables: nobody waits for them
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (INSERT_LOCK,))
        state, scan_id = _claim(cursor, batch_id, len(entities.tracks) + len(failures) + ignored)
        if state != "pending":
            paths = [os.fsencode(track.record["path"]) for track in entities.tracks]
            return _before(cursor, state, scan_id, paths)
        moved = moves.apply(cursor, scan_id, moved_files)
        track_ids, outdated = _write(cursor, scan_id)
        result = InsertResult(
            stored=len(track_ids),
            failed=len(failures),
            moved=moved,
            track_ids=track_ids,
            outdated=outdated,
            scan_id=scan_id,
        )
        cursor.execute(
            "UPDATE scan_batch SET state = 'done', paths = NULL, stored = %s, failed = %s,"
            " ignored = files - %s, moved = %s WHERE id = %s",
            (result.stored, result.failed, result.stored + result.failed, moved, batch_id),
        )
        return result


def _write(cursor: psycopg2.extensions.cursor, scan_id: int | None) -> tuple[list[int], list[int]]:
    """Store what is staged; return the tracks, and others whose vectors must be made anew."""
    _upsert_files(cursor, scan_id)
    merge.upsert_artists(cursor)
    merge.upsert_albums(cursor)
    track_ids = merge.upsert_tracks(cursor)
    part_albums(cursor)
    merge.derive_album_artists(cursor)
    spell_artists(cursor)
    return track_ids, merge.drop_vectors(cursor)


def stored_before(batch_id: str, paths: Sequence[bytes]) -> InsertResult:
    """Return what :func:`insert_batch` returns of a batch that is recorded and not pending.

    Args:
        batch_id: the batch.
        paths: its files.
    """
    with transaction() as cursor:
        cursor.execute("SELECT state, scan_id FROM scan_batch WHERE id = %s", (batch_id,))
        state, scan_id = one_row(cursor)
        return _before(cursor, state, scan_id, paths)


def _claim(cursor: psycopg2.extensions.cursor, batch_id: str, files: int) -> tuple[str, int | None]:
    cursor.execute(
        "INSERT INTO scan_batch (id, files) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        (batch_id, files),
    )
    cursor.execute("SELECT state, scan_id FROM scan_batch WHERE id = %s FOR UPDATE", (batch_id,))
    state, scan_id = one_row(cursor)
    return state, scan_id


def _before(
    cursor: psycopg2.extensions.cursor, state: str, scan_id: int | None, paths: Sequence[bytes]
) -> InsertResult:
    """Return the result of a batch that was dealt with before."""
    result = InsertResult(
        scan_id=scan_id, done_before=state in {"done", "split"}, cancelled=state == "cancelled"
    )
    if state == "done":
        cursor.execute(
            "SELECT id FROM file WHERE path = ANY(%s) AND state = 'stored'", (list(paths),)
        )
        result.track_ids = [row[0] for row in cursor]
    return result


def _upsert_files(cursor: psycopg2.extensions.cursor, scan_id: int | None) -> None:
    """Store the staged files, and note their ids in the staging table of tracks."""
    cursor.execute(
        "WITH stored AS ("
        " INSERT INTO file (path, size, mtime_ns, fingerprint, state, reason, scan_id)"
        " SELECT path, size, mtime_ns, fingerprint,"
        "   CASE WHEN reason IS NULL THEN 'stored' ELSE 'failed' END, reason, %(scan)s"
        " FROM staged_file ORDER BY path"
        " ON CONFLICT (path) DO UPDATE SET size = excluded.size, mtime_ns = excluded.mtime_ns,"
        "   fingerprint = excluded.fingerprint, state = excluded.state, reason = excluded.reason,"
        "   scan_id = coalesce(excluded.scan_id, file.scan_id), read_at = now(), gone_at = NULL"
        " RETURNING id, path)"
        " UPDATE staged_track AS staged SET file_id = stored.id FROM stored"
        " WHERE stored.path = staged.path",
        {"scan": scan_id},
    )
