"""The folders that are in the library, and how one is taken out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend_worker.library.roots import SameFolderError, check, is_below
from backend_worker.storage.connection import one_row, transaction
from backend_worker.storage.maintenance import exclude_inserts, purge_orphans
from backend_worker.storage.scans import refuse_overlap

if TYPE_CHECKING:
    import psycopg2.extensions

__all__ = ["SameFolderError", "forget", "known", "refuse_another_name", "what_would_go"]


def known() -> list[bytes]:
    """Return the folders that were scanned and not forgotten, by path."""
    with transaction() as cursor:
        cursor.execute("SELECT path FROM known_root ORDER BY path")
        return [bytes(row[0]) for row in cursor]


def refuse_another_name(root: bytes) -> None:
    """Refuse a folder that is in the library by another name; see ``library/roots.check``.

    Raises:
        SameFolderError: it is, or holds or lies in one that is.
    """
    check(root, known())


def what_would_go(root: bytes) -> dict[str, int]:
    """Return how many files, albums and artists are in the library by this folder alone."""
    with transaction() as cursor:
        _list_files(cursor, root)
        cursor.execute(
            "SELECT (SELECT count(*) FROM forgotten),"
            " (SELECT count(*) FROM (SELECT album_id FROM track WHERE album_id IS NOT NULL"
            "   GROUP BY album_id HAVING bool_and(id IN (SELECT id FROM forgotten))) AS _),"
            " (SELECT count(*) FROM (SELECT artist_id FROM track_artist"
            "   GROUP BY artist_id HAVING bool_and(track_id IN (SELECT id FROM forgotten))) AS _)"
        )
        return dict(zip(("files", "albums", "artists"), one_row(cursor), strict=True))


def forget(root: bytes) -> int:
    """Take a folder out of the library and return how many files went; the disk is not touched.

    Files of another known folder, above or below it, stay.

    Raises:
        ScanRunningError: a scan of it, of one above or below is running.
    """
    with transaction() as cursor:
        refuse_overlap(cursor, root)
        exclude_inserts(cursor)
        _list_files(cursor, root)
        cursor.execute("DELETE FROM file WHERE id IN (SELECT id FROM forgotten)")
        files = cursor.rowcount
        cursor.execute("DELETE FROM mount_point WHERE root = %s", (root,))
        cursor.execute("DELETE FROM known_root WHERE path = %s", (root,))
    purge_orphans()
    return files


def _list_files(cursor: psycopg2.extensions.cursor, root: bytes) -> None:
    """Put the ids of what is in the library by this folder alone into a table."""
    cursor.execute("SELECT path FROM known_root WHERE path <> %s", (root,))
    others = [bytes(row[0]) for row in cursor]
    covered = any(is_below(root, other) for other in others)
    inner = [other for other in others if is_below(other, root)]
    cursor.execute(
        "CREATE TEMP TABLE forgotten ON COMMIT DROP AS SELECT id FROM file"
        " WHERE NOT %(covered)s AND path > %(after)s AND path < %(end)s"
        "   AND NOT EXISTS (SELECT FROM unnest(%(inner)s::bytea[]) AS other"
        "     WHERE path > other || '\\x2f'::bytea AND path < other || '\\x30'::bytea)",
        {
            "covered": covered,
            # '0' follows '/': everything that starts with "root/" lies between the two
            "after": root.rstrip(b"/") + b"/",
            "end": root.rstrip(b"/") + b"0",
            "inner": [other.rstrip(b"/") for other in inner],
        },
    )
