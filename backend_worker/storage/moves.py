"""Files that moved: what was known at another path, which is gone, keeps its id."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING

from psycopg2.extras import execute_values

from backend_worker.storage.connection import transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import psycopg2.extensions

    from backend_worker.library.model import TrackEntity

# Of files with the same content so many more are looked at than new ones have come: thousands
# of them must not be looked at once for each other.
MOST_IN_VAIN = 100

Move = tuple[int, bytes, bytes]  # id of the file, its old and its new path

# What this scan has read is where it was read. Three ranges of one index, since a condition of
# "another scan" would go through all of this one's.
_CANDIDATES = """
    WITH new AS (
        SELECT * FROM unnest(%(paths)s::bytea[], %(fingerprints)s::bytea[], %(sizes)s::bigint[])
            AS new (path, fingerprint, size)
        WHERE NOT EXISTS (SELECT FROM file AS known WHERE known.path = new.path)
    ), wanted AS (
        SELECT fingerprint, size, count(*) + %(in_vain)s AS most FROM new GROUP BY 1, 2
    ), this AS (
        SELECT coalesce((SELECT scan_id FROM scan_batch WHERE id = %(batch)s), 0) AS scan_id
    )
    SELECT wanted.fingerprint, wanted.size, found.id, found.path
    FROM this, wanted CROSS JOIN LATERAL (
        (SELECT id, path FROM file WHERE file.fingerprint = wanted.fingerprint
            AND file.size = wanted.size AND file.scan_id < this.scan_id LIMIT wanted.most)
        UNION ALL
        (SELECT id, path FROM file WHERE file.fingerprint = wanted.fingerprint
            AND file.size = wanted.size AND file.scan_id > this.scan_id LIMIT wanted.most)
        UNION ALL
        (SELECT id, path FROM file WHERE file.fingerprint = wanted.fingerprint
            AND file.size = wanted.size AND file.scan_id IS NULL LIMIT wanted.most)
    ) AS found ORDER BY found.id
"""


def find(
    batch_id: str, tracks: Sequence[TrackEntity], still_exists: Callable[[bytes], bool]
) -> list[Move]:
    """Return which of these tracks' files are known ones that moved.

    To be called outside of any transaction: a disk may let one wait who looks at it.

    Args:
        batch_id: the batch as recorded in ``scan_batch``; one that is not is fine.
        tracks: of the batch.
        still_exists: tells whether a path is still there.
    """
    new = {
        os.fsencode(track.record["path"]): (
            bytes.fromhex(track.record["fingerprint"]),
            track.record.get("size", 0),
        )
        for track in tracks
        if track.record.get("fingerprint")
    }
    if not new:
        return []
    known = _candidates(batch_id, new)
    moves: list[Move] = []
    for path in sorted(new):
        candidates = known.get(new[path], [])
        while candidates:
            file_id, old = candidates.pop()
            if old not in new and not still_exists(old):
                moves.append((file_id, old, path))
                break
    return moves


def _candidates(
    batch_id: str, new: dict[bytes, tuple[bytes, int]]
) -> dict[tuple[bytes, int], list[tuple[int, bytes]]]:
    """Return known files by fingerprint and size, that with the lowest id last."""
    with transaction() as cursor:
        cursor.execute(
            _CANDIDATES,
            {
                "paths": list(new),
                "fingerprints": [fingerprint for fingerprint, _ in new.values()],
                "sizes": [size for _, size in new.values()],
                "in_vain": MOST_IN_VAIN,
                "batch": batch_id,
            },
        )
        found = defaultdict(list)
        for fingerprint, size, file_id, path in reversed(cursor.fetchall()):
            found[bytes(fingerprint), size].append((file_id, bytes(path)))
        return found


def apply(cursor: psycopg2.extensions.cursor, scan_id: int | None, moves: Sequence[Move]) -> int:
    """Give the files their new paths within a transaction, and return how many.

    Not one that another batch has moved or found again in the meantime, nor to a path that is
    known by now.
    """
    if not moves:
        return 0
    moved = execute_values(
        cursor,
        "UPDATE file SET path = moved.new_path, gone_at = NULL"
        " FROM (VALUES %s) AS moved (id, old_path, new_path)"
        " WHERE file.id = moved.id AND file.path = moved.old_path"
        "   AND NOT EXISTS (SELECT FROM file AS known WHERE known.path = moved.new_path)"
        " RETURNING file.id, moved.old_path, moved.new_path",
        moves,
        page_size=len(moves),
        fetch=True,
    )
    execute_values(
        cursor,
        "INSERT INTO file_move (file_id, scan_id, old_path, new_path) VALUES %s",
        [(file_id, scan_id, old, new) for file_id, old, new in moved],
        page_size=1000,
    )
    return len(moved)
