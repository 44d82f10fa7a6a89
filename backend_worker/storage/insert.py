"""One transaction per batch: staging tables, then set-based upserts.

The batch's own row says whether it is done, so the same batch twice changes nothing.
Inserts of several processes take one lock one after the other: a batch of 250 files takes
some 30 ms, and no order of upserts has to be kept to stay free of deadlocks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from psycopg2.extras import execute_values

from backend_worker.library.model import EntityBatch, FailedFile, TrackEntity
from backend_worker.storage.connection import transaction

if TYPE_CHECKING:
    import psycopg2.extensions

INSERT_LOCK = 7_203_413

_TRACK_COLUMNS = (
    "track_number track_total disc_number disc_total date original_date genres bpm key isrc"
    " label catalog_number has_lyrics comment replaygain_track_gain replaygain_track_peak"
    " replaygain_album_gain replaygain_album_peak mb_recording_id mb_track_id title_sort"
    " duration bitrate sample_rate channels bit_depth codec"
).split()
_DEFAULTS = {"genres": [], "has_lyrics": False}

# Kept for the life of the connection and emptied at each commit: creating tables in every
# transaction would bloat the catalogue.
_STAGING = """
CREATE TEMP TABLE IF NOT EXISTS staged_artist (
    key text PRIMARY KEY, name_key text, name text, sort_name text, mbid uuid, artist_id bigint
) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS staged_album (
    key text PRIMARY KEY, name_key text, title text, sort_title text, artist_credit text,
    mbid uuid, release_group_mbid uuid, date text, original_date text, compilation boolean,
    disc_total integer, label text, catalog_number text, album_id bigint
) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS staged_album_artist (
    album_key text, position smallint, artist_key text
) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS staged_file (
    path bytea PRIMARY KEY, size bigint, mtime_ns bigint, fingerprint bytea, reason text,
    file_id bigint
) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS staged_track (
    LIKE track, path bytea, album_key text, file_id bigint
) ON COMMIT DELETE ROWS;
ALTER TABLE staged_track ALTER id DROP NOT NULL, ALTER search_text DROP NOT NULL;
CREATE TEMP TABLE IF NOT EXISTS staged_track_artist (
    path bytea, role text, position smallint, artist_key text
) ON COMMIT DELETE ROWS;
"""


@dataclass(slots=True)
class InsertResult:
    """What one batch changed. ``done_before`` says that it had been inserted already."""

    stored: int = 0
    failed: int = 0
    moved: int = 0
    track_ids: list[int] = field(default_factory=list)
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
    with transaction() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (INSERT_LOCK,))
        state, scan_id = _claim(cursor, batch_id, len(entities.tracks) + len(failures) + ignored)
        if state != "pending":
            return InsertResult(
                scan_id=scan_id,
                done_before=state in {"done", "split"},
                cancelled=state == "cancelled",
                track_ids=_ids_of(cursor, entities.tracks) if state == "done" else [],
            )
        cursor.execute(_STAGING)
        _stage(cursor, entities, failures)
        moved = _move(cursor, scan_id, still_exists)
        _upsert_files(cursor, scan_id)
        _upsert_artists(cursor)
        _upsert_albums(cursor)
        track_ids = _upsert_tracks(cursor)
        _derive_album_artists(cursor)
        result = InsertResult(
            stored=len(track_ids),
            failed=len(failures),
            moved=moved,
            track_ids=track_ids,
            scan_id=scan_id,
        )
        cursor.execute(
            "UPDATE scan_batch SET state = 'done', paths = NULL, stored = %s, failed = %s,"
            " ignored = files - %s, moved = %s WHERE id = %s",
            (result.stored, result.failed, result.stored + result.failed, moved, batch_id),
        )
        return result


def _claim(
    cursor: psycopg2.extensions.cursor, batch_id: str, files: int
) -> tuple[str, int | None]:
    cursor.execute(
        "INSERT INTO scan_batch (id, files) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        (batch_id, files),
    )
    cursor.execute("SELECT state, scan_id FROM scan_batch WHERE id = %s FOR UPDATE", (batch_id,))
    return cursor.fetchone()


def _ids_of(cursor: psycopg2.extensions.cursor, tracks: Sequence[TrackEntity]) -> list[int]:
    paths = [os.fsencode(track.record["path"]) for track in tracks]
    cursor.execute("SELECT id FROM file WHERE path = ANY(%s) AND state = 'stored'", (paths,))
    return [row[0] for row in cursor]


def _stage(
    cursor: psycopg2.extensions.cursor, entities: EntityBatch, failures: Sequence[FailedFile]
) -> None:
    _copy(
        cursor,
        "staged_artist (key, name_key, name, sort_name, mbid)",
        ((a.key, a.name_key or a.key, a.name, a.sort_name, a.mbid) for a in entities.artists),
    )
    _copy(
        cursor,
        "staged_album (key, name_key, title, sort_title, artist_credit, mbid, release_group_mbid,"
        " date, original_date, compilation, disc_total, label, catalog_number)",
        (
            (
                album.key,
                album.name_key or album.key,
                album.title,
                album.sort_title,
                album.artist_credit,
                album.mbid,
                album.release_group_mbid,
                album.date,
                album.original_date,
                album.compilation,
                album.disc_total,
                album.label,
                album.catalog_number,
            )
            for album in entities.albums
        ),
    )
    _copy(
        cursor,
        "staged_album_artist (album_key, position, artist_key)",
        (
            (album.key, position, key)
            for album in entities.albums
            for position, key in enumerate(album.artist_keys)
        ),
    )
    _stage_files(cursor, entities.tracks, failures)
    _copy(
        cursor,
        f"staged_track (path, title, artist_credit, picture, album_key, {', '.join(_TRACK_COLUMNS)})",
        (_track_row(track) for track in entities.tracks),
    )
    _copy(
        cursor,
        "staged_track_artist (path, role, position, artist_key)",
        (
            (os.fsencode(track.record["path"]), role, position, key)
            for track in entities.tracks
            for role, keys in (("artist", track.artist_keys), ("composer", track.composer_keys))
            for position, key in enumerate(keys)
        ),
    )


def _stage_files(
    cursor: psycopg2.extensions.cursor,
    tracks: Sequence[TrackEntity],
    failures: Sequence[FailedFile],
) -> None:
    rows = [
        (
            os.fsencode(track.record["path"]),
            track.record.get("size", 0),
            track.record.get("mtime_ns", 0),
            bytes.fromhex(track.record["fingerprint"]),
            None,
        )
        for track in tracks
    ]
    rows += [
        (os.fsencode(failure.path), failure.size, failure.mtime_ns, None, failure.reason)
        for failure in failures
    ]
    _copy(cursor, "staged_file (path, size, mtime_ns, fingerprint, reason)", rows)


def _track_row(track: TrackEntity) -> tuple[Any, ...]:
    record = track.record
    path = os.fsencode(record["path"])
    stem = os.path.splitext(os.path.basename(path))[0].decode("utf-8", "replace")
    picture = record.get("picture")
    return (
        path,
        record.get("title") or stem.replace("\0", "") or "?",
        track.artist_credit,
        bytes.fromhex(picture) if picture else None,
        track.album_key,
        *(record.get(column, _DEFAULTS.get(column)) for column in _TRACK_COLUMNS),
    )


def _copy(
    cursor: psycopg2.extensions.cursor, target: str, rows: Iterable[tuple[Any, ...]]
) -> None:
    rows = list(rows)
    if rows:
        execute_values(cursor, f"INSERT INTO {target} VALUES %s", rows, page_size=1000)


def _move(
    cursor: psycopg2.extensions.cursor,
    scan_id: int | None,
    still_exists: Callable[[bytes], bool],
) -> int:
    """Give known files their new path when the same content appeared elsewhere."""
    cursor.execute(
        "SELECT staged.path, file.id, file.path FROM staged_file AS staged"
        " JOIN file ON file.fingerprint = staged.fingerprint AND file.size = staged.size"
        " WHERE NOT EXISTS (SELECT FROM file AS known WHERE known.path = staged.path)"
        "   AND NOT EXISTS (SELECT FROM staged_file AS other WHERE other.path = file.path)"
        " ORDER BY staged.path, file.id"
    )
    moves: dict[int, tuple[bytes, bytes]] = {}
    placed: set[bytes] = set()
    for new_path, file_id, old_path in cursor.fetchall():
        new_path, old_path = bytes(new_path), bytes(old_path)
        if new_path in placed or file_id in moves or still_exists(old_path):
            continue
        moves[file_id] = (old_path, new_path)
        placed.add(new_path)
    if moves:
        rows = [(file_id, old, new) for file_id, (old, new) in moves.items()]
        execute_values(
            cursor,
            "UPDATE file SET path = moved.new_path, gone_at = NULL"
            " FROM (VALUES %s) AS moved (id, old_path, new_path)"
            " WHERE file.id = moved.id",
            rows,
            page_size=1000,
        )
        execute_values(
            cursor,
            "INSERT INTO file_move (file_id, scan_id, old_path, new_path) VALUES %s",
            [(file_id, scan_id, old, new) for file_id, old, new in rows],
            page_size=1000,
        )
    return len(moves)


def _upsert_files(cursor: psycopg2.extensions.cursor, scan_id: int | None) -> None:
    cursor.execute(
        "INSERT INTO file (path, size, mtime_ns, fingerprint, state, reason, scan_id)"
        " SELECT path, size, mtime_ns, fingerprint,"
        "   CASE WHEN reason IS NULL THEN 'stored' ELSE 'failed' END, reason, %(scan)s"
        " FROM staged_file ORDER BY path"
        " ON CONFLICT (path) DO UPDATE SET size = excluded.size, mtime_ns = excluded.mtime_ns,"
        "   fingerprint = excluded.fingerprint, state = excluded.state, reason = excluded.reason,"
        "   scan_id = coalesce(excluded.scan_id, file.scan_id), read_at = now(), gone_at = NULL",
        {"scan": scan_id},
    )
    cursor.execute(
        "UPDATE staged_track AS staged SET file_id = file.id FROM file WHERE file.path = staged.path"
    )


def _upsert_artists(cursor: psycopg2.extensions.cursor) -> None:
    # An artist known by name only takes on the MusicBrainz id when a tag brings it.
    cursor.execute(
        "UPDATE artist SET mbid = staged.mbid FROM ("
        "   SELECT DISTINCT ON (name_key) name_key, mbid FROM staged_artist"
        "   WHERE mbid IS NOT NULL ORDER BY name_key, mbid) AS staged"
        " WHERE artist.mbid IS NULL AND artist.name_key = staged.name_key"
        "   AND NOT EXISTS (SELECT FROM artist AS known WHERE known.mbid = staged.mbid)"
    )
    cursor.execute(
        "INSERT INTO artist (name_key, mbid, name, sort_name)"
        " SELECT name_key, mbid, name, sort_name FROM staged_artist WHERE mbid IS NOT NULL"
        " ORDER BY key ON CONFLICT (mbid) DO NOTHING"
    )
    cursor.execute(
        "INSERT INTO artist (name_key, name, sort_name)"
        " SELECT name_key, name, sort_name FROM staged_artist AS staged WHERE mbid IS NULL"
        "   AND NOT EXISTS (SELECT FROM artist WHERE artist.name_key = staged.name_key)"
        " ORDER BY key"
    )
    cursor.execute(
        "UPDATE staged_artist AS staged SET artist_id = coalesce("
        "   (SELECT id FROM artist WHERE artist.mbid = staged.mbid),"
        "   (SELECT id FROM artist WHERE artist.name_key = staged.name_key"
        "     ORDER BY mbid NULLS LAST LIMIT 1))"
    )
    cursor.execute(
        "UPDATE artist SET name = better.name, sort_name = better.sort_name FROM ("
        "   SELECT artist.id, better_spelling(artist.name, staged.name) AS name,"
        "     better_spelling(artist.sort_name, staged.sort_name) AS sort_name"
        "   FROM staged_artist AS staged JOIN artist ON artist.id = staged.artist_id) AS better"
        " WHERE artist.id = better.id"
        "   AND (artist.name, artist.sort_name) IS DISTINCT FROM (better.name, better.sort_name)"
    )


def _upsert_albums(cursor: psycopg2.extensions.cursor) -> None:
    cursor.execute(
        "UPDATE album SET mbid = staged.mbid FROM ("
        "   SELECT DISTINCT ON (name_key) name_key, mbid FROM staged_album"
        "   WHERE mbid IS NOT NULL ORDER BY name_key, mbid) AS staged"
        " WHERE album.mbid IS NULL AND album.name_key = staged.name_key"
        "   AND NOT EXISTS (SELECT FROM album AS known WHERE known.mbid = staged.mbid)"
    )
    columns = (
        "title, sort_title, artist_credit, release_group_mbid, date, original_date, compilation,"
        " disc_total, label, catalog_number"
    )
    cursor.execute(
        f"INSERT INTO album (name_key, mbid, {columns})"
        f" SELECT name_key, mbid, {columns} FROM staged_album WHERE mbid IS NOT NULL"
        " ORDER BY key ON CONFLICT (mbid) DO NOTHING"
    )
    cursor.execute(
        f"INSERT INTO album (name_key, {columns})"
        f" SELECT name_key, {columns} FROM staged_album AS staged WHERE mbid IS NULL"
        "   AND NOT EXISTS (SELECT FROM album WHERE album.name_key = staged.name_key)"
        " ORDER BY key"
    )
    cursor.execute(
        "UPDATE staged_album AS staged SET album_id = coalesce("
        "   (SELECT id FROM album WHERE album.mbid = staged.mbid),"
        "   (SELECT id FROM album WHERE album.name_key = staged.name_key"
        "     ORDER BY mbid NULLS LAST LIMIT 1))"
    )
    # Each rule is commutative: the album looks the same in whatever order its parts arrive.
    cursor.execute(
        "UPDATE album SET title = better.title, sort_title = better.sort_title,"
        "   artist_credit = better.artist_credit, release_group_mbid = better.release_group_mbid,"
        "   date = better.date, original_date = better.original_date,"
        "   compilation = better.compilation, disc_total = better.disc_total,"
        "   label = better.label, catalog_number = better.catalog_number"
        " FROM (SELECT album.id, better_spelling(album.title, staged.title) AS title,"
        "     better_spelling(album.sort_title, staged.sort_title) AS sort_title,"
        "     better_spelling(album.artist_credit, staged.artist_credit) AS artist_credit,"
        "     least(album.release_group_mbid, staged.release_group_mbid) AS release_group_mbid,"
        "     least(album.date, staged.date) AS date,"
        "     least(album.original_date, staged.original_date) AS original_date,"
        "     album.compilation OR staged.compilation AS compilation,"
        "     greatest(album.disc_total, staged.disc_total) AS disc_total,"
        "     better_spelling(album.label, staged.label) AS label,"
        "     better_spelling(album.catalog_number, staged.catalog_number) AS catalog_number"
        "   FROM staged_album AS staged JOIN album ON album.id = staged.album_id) AS better"
        " WHERE album.id = better.id AND (album.title, album.sort_title, album.artist_credit,"
        "   album.release_group_mbid, album.date, album.original_date, album.compilation,"
        "   album.disc_total, album.label, album.catalog_number) IS DISTINCT FROM (better.title,"
        "   better.sort_title, better.artist_credit, better.release_group_mbid, better.date,"
        "   better.original_date, better.compilation, better.disc_total, better.label,"
        "   better.catalog_number)"
    )
    cursor.execute(
        "INSERT INTO album_artist (album_id, position, artist_id)"
        " SELECT album_id, position, artist_id FROM staged_album_artist AS staged"
        "   JOIN staged_album ON staged_album.key = staged.album_key"
        "   JOIN staged_artist ON staged_artist.key = staged.artist_key"
        " ON CONFLICT DO NOTHING"
    )


def _upsert_tracks(cursor: psycopg2.extensions.cursor) -> list[int]:
    columns = ["title", "artist_credit", "picture", *_TRACK_COLUMNS]
    updates = ", ".join(
        f"{column} = excluded.{column}" for column in [*columns, "album_id", "search_text"]
    )
    cursor.execute(
        f"INSERT INTO track (id, album_id, search_text, {', '.join(columns)})"
        " SELECT file_id, staged_album.album_id,"
        "   search_form(concat_ws(' ', staged.title, staged.artist_credit, staged_album.title,"
        "     nullif(staged_album.artist_credit, staged.artist_credit))),"
        f"   {', '.join('staged.' + column for column in columns)}"
        " FROM staged_track AS staged"
        "   LEFT JOIN staged_album ON staged_album.key = staged.album_key"
        f" ON CONFLICT (id) DO UPDATE SET {updates}"
    )
    cursor.execute(
        "DELETE FROM track_artist USING staged_track WHERE track_artist.track_id = staged_track.file_id"
    )
    cursor.execute(
        "INSERT INTO track_artist (track_id, role, position, artist_id)"
        " SELECT file_id, role, position, artist_id FROM staged_track_artist AS staged"
        "   JOIN staged_track USING (path)"
        "   JOIN staged_artist ON staged_artist.key = staged.artist_key"
        " ON CONFLICT DO NOTHING"
    )
    # Its tags may have changed: the vector is made anew.
    cursor.execute(
        "DELETE FROM track_vector USING staged_track WHERE track_vector.track_id = staged_track.file_id"
    )
    cursor.execute("SELECT file_id FROM staged_track ORDER BY file_id")
    return [row[0] for row in cursor]


def _derive_album_artists(cursor: psycopg2.extensions.cursor) -> None:
    """Albums without an album artist get theirs from all of their tracks.

    One first artist throughout: that one; several: various artists, a compilation.
    """
    cursor.execute(
        "WITH derived AS ("
        "   SELECT album.id, min(first.artist_id) AS artist_id,"
        "     count(DISTINCT first.artist_id) > 1 AS various"
        "   FROM album JOIN track ON track.album_id = album.id"
        "     JOIN track_artist AS first ON first.track_id = track.id"
        "       AND first.role = 'artist' AND first.position = 0"
        "   WHERE album.id IN (SELECT album_id FROM staged_album WHERE key IN"
        "       (SELECT key FROM staged_album EXCEPT SELECT album_key FROM staged_album_artist))"
        "     AND album.name_key LIKE '%%|dir:%%'"
        "   GROUP BY album.id),"
        " credited AS ("
        "   SELECT derived.id, artist_id, various,"
        "     CASE WHEN various THEN 'Various Artists' ELSE artist.name END AS credit"
        "   FROM derived JOIN artist ON artist.id = artist_id),"
        " updated AS ("
        "   UPDATE album SET artist_credit = credit, compilation = various FROM credited"
        "   WHERE album.id = credited.id"
        "     AND (artist_credit, compilation) IS DISTINCT FROM (credit, various)),"
        " removed AS ("
        "   DELETE FROM album_artist USING credited"
        "   WHERE album_id = credited.id AND various)"
        " INSERT INTO album_artist (album_id, position, artist_id)"
        " SELECT id, 0, artist_id FROM credited WHERE NOT various"
        " ON CONFLICT (album_id, position) DO UPDATE SET artist_id = excluded.artist_id"
        "   WHERE album_artist.artist_id <> excluded.artist_id"
    )
