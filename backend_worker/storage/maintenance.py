"""Housekeeping of the database: purge, orphans, statistics, integrity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backend_worker.storage.connection import connect, one_row, transaction
from backend_worker.storage.insert import INSERT_LOCK

if TYPE_CHECKING:
    import psycopg2.extensions

# Instead of a file's time of change: no file has it, so the next scan reads the file again.
READ_AGAIN = -1


def purge_gone(days: int) -> int:
    """Remove files (with track, vector and links) that have been gone for so many days."""
    with transaction() as cursor:
        exclude_inserts(cursor)
        cursor.execute(
            "DELETE FROM file WHERE state = 'gone' AND gone_at < now() - make_interval(days => %s)",
            (days,),
        )
        return cursor.rowcount


def purge_orphans() -> dict[str, int]:
    """Remove albums without tracks, artists without tracks and albums, words no track has.

    What a scan is still storing is left alone: nothing happens while one runs.
    """
    with transaction() as cursor:
        exclude_inserts(cursor)
        cursor.execute("SELECT EXISTS (SELECT FROM scan WHERE status IN ('running', 'cancelling'))")
        if one_row(cursor)[0]:
            return {"albums": 0, "artists": 0, "words": 0}
        cursor.execute(
            "DELETE FROM album WHERE NOT EXISTS (SELECT FROM track WHERE album_id = album.id)"
        )
        albums = cursor.rowcount
        cursor.execute(
            "DELETE FROM artist"
            " WHERE NOT EXISTS (SELECT FROM track_artist WHERE artist_id = artist.id)"
            "   AND NOT EXISTS (SELECT FROM album_artist WHERE artist_id = artist.id)"
        )
        artists = cursor.rowcount
        cursor.execute(
            "DELETE FROM search_word"
            " WHERE word NOT IN (SELECT word FROM ts_stat('SELECT words FROM track'))"
        )
        return {"albums": albums, "artists": artists, "words": cursor.rowcount}


def exclude_inserts(cursor: psycopg2.extensions.cursor) -> None:
    """Wait for batches that are being stored: they may just refer to what is to be removed."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (INSERT_LOCK,))


def purge_scans(keep: int) -> int:
    """Remove all but the newest scans; batches of clients older than a day go too."""
    with transaction() as cursor:
        cursor.execute(
            "DELETE FROM scan WHERE status NOT IN ('running', 'cancelling') AND id NOT IN"
            " (SELECT id FROM scan ORDER BY id DESC LIMIT %s)",
            (keep,),
        )
        removed = cursor.rowcount
        cursor.execute(
            "DELETE FROM scan_batch WHERE scan_id IS NULL AND created_at < now() - interval '1 day'"
        )
        return removed


def purge_lookups() -> int:
    """Forget remembered misses that may be asked again anyway."""
    with transaction() as cursor:
        cursor.execute("DELETE FROM remote_lookup WHERE retry_at < now() - interval '90 days'")
        return cursor.rowcount


def referenced_pictures() -> set[str]:
    """Return the hashes of all pictures that something refers to."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT encode(picture, 'hex') FROM track WHERE picture IS NOT NULL"
            " UNION SELECT encode(cover, 'hex') FROM album WHERE cover IS NOT NULL"
            " UNION SELECT encode(image, 'hex') FROM artist WHERE image IS NOT NULL"
        )
        return {row[0] for row in cursor}


def forget_pictures(hashes: list[str]) -> None:
    """Remove pictures from the list of known ones."""
    with transaction() as cursor:
        cursor.execute(
            "DELETE FROM picture WHERE hash = ANY(%s)", ([bytes.fromhex(h) for h in hashes],)
        )


def unlink_picture(picture: str) -> None:
    """Forget a lost or damaged picture wherever it is referred to, so that it is made anew."""
    value = bytes.fromhex(picture)
    with transaction() as cursor:
        cursor.execute(
            "UPDATE album SET cover = NULL, cover_source = NULL WHERE cover = %s", (value,)
        )
        cursor.execute(
            "UPDATE artist SET image = NULL, image_source = NULL WHERE image = %s", (value,)
        )
        # its file is read again by the next scan, which stores the picture again
        cursor.execute(
            "UPDATE file SET mtime_ns = %s FROM track WHERE track.id = file.id AND picture = %s",
            (READ_AGAIN, value),
        )
        cursor.execute("UPDATE track SET picture = NULL WHERE picture = %s", (value,))


def forget_failures() -> int:
    """Let the next scan read again what could not be read; return how many files."""
    with transaction() as cursor:
        cursor.execute("UPDATE file SET mtime_ns = %s WHERE state = 'failed'", (READ_AGAIN,))
        return cursor.rowcount


def failed_paths() -> list[bytes]:
    """Return the paths of the files that could not be read."""
    with transaction() as cursor:
        cursor.execute("SELECT path FROM file WHERE state = 'failed' ORDER BY path")
        return [bytes(row[0]) for row in cursor]


def stored_paths_page(after: bytes, limit: int) -> list[tuple[bytes, int, int]]:
    """Return a page of (path, size, mtime_ns) of stored files, by path."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT path, size, mtime_ns FROM file WHERE state = 'stored' AND path > %s"
            " ORDER BY path LIMIT %s",
            (after, limit),
        )
        return [(bytes(path), size, mtime_ns) for path, size, mtime_ns in cursor]


_INCONSISTENCIES = {
    "stored files without a track": (
        "SELECT count(*) FROM file LEFT JOIN track USING (id)"
        " WHERE state = 'stored' AND track.id IS NULL"
    ),
    "tracks without an artist": (
        "SELECT count(*) FROM track WHERE artist_credit IS NOT NULL AND NOT EXISTS"
        " (SELECT FROM track_artist WHERE track_id = track.id AND role = 'artist')"
    ),
    "albums without a track": (
        "SELECT count(*) FROM album WHERE NOT EXISTS (SELECT FROM track WHERE album_id = album.id)"
    ),
    "scans whose figures do not add up": (
        "SELECT count(*) FROM scan WHERE finished_at IS NOT NULL"
        " AND found <> stored + unchanged + failed + ignored"
    ),
}


def inconsistencies() -> dict[str, int]:
    """Count what should never be, by a sentence that names it; zero counts are left out."""
    with transaction() as cursor:
        found = {}
        for sentence, query in _INCONSISTENCIES.items():
            cursor.execute(query)
            found[sentence] = one_row(cursor)[0]
    return {sentence: count for sentence, count in found.items() if count}


def analyze() -> None:
    """Clear away dead rows and refresh the planner's statistics, outside of any transaction.

    Autovacuum goes by counts that PostgreSQL loses with each power cut: on a Pi that is
    switched off by its plug it may never come.
    """
    connection = connect()
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("VACUUM (ANALYZE)")
    finally:
        connection.close()


def database_facts() -> dict[str, Any]:
    """Return size in bytes and version of the database."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT pg_database_size(current_database()), current_setting('server_version')"
        )
        size, version = one_row(cursor)
        return {"database_bytes": size, "postgresql": version}
