"""Staging tables: a batch as it came, before it is merged into the library."""

from __future__ import annotations

import io
import os
import re
from typing import TYPE_CHECKING, Any

from backend_worker.library.search_words import extra_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import psycopg2.extensions

    from backend_worker.library.model import EntityBatch, FailedFile, TrackEntity

TRACK_COLUMNS = (
    "track_number",
    "track_total",
    "disc_number",
    "disc_total",
    "disc_title",
    "date",
    "original_date",
    "genres",
    "bpm",
    "key",
    "isrc",
    "label",
    "catalog_number",
    "has_lyrics",
    "comment",
    "replaygain_track_gain",
    "replaygain_track_peak",
    "replaygain_album_gain",
    "replaygain_album_peak",
    "mb_recording_id",
    "mb_track_id",
    "title_sort",
    "duration",
    "bitrate",
    "sample_rate",
    "channels",
    "bit_depth",
    "codec",
)
_DEFAULTS = {"genres": [], "has_lyrics": False}
_COLUMNS_WITH_DEFAULTS = [(column, _DEFAULTS.get(column)) for column in TRACK_COLUMNS]

# What separates values and rows in COPY's text format, and what escapes it.
_ESCAPED = re.compile(r"[\\\t\n\r]")
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
_COPY_CHUNK = 1 << 20  # bytes at a time; a batch is a few hundred kB

# Kept for the life of the connection and emptied at each commit: creating tables in every
# transaction would bloat the catalogue.
_STAGING = """
CREATE TEMP TABLE IF NOT EXISTS staged_artist (
    key text PRIMARY KEY, name_key text, name text, sort_name text, mbid uuid, varied boolean,
    artist_id bigint
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
    path bytea PRIMARY KEY, size bigint, mtime_ns bigint, fingerprint bytea, reason text
) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS staged_track (
    LIKE track, path bytea, album_key text, file_id bigint
) ON COMMIT DELETE ROWS;
ALTER TABLE staged_track ALTER id DROP NOT NULL, ALTER search_text DROP NOT NULL;
CREATE TEMP TABLE IF NOT EXISTS staged_track_artist (
    path bytea, role text, position smallint, artist_key text
) ON COMMIT DELETE ROWS;
"""


def stage(
    cursor: psycopg2.extensions.cursor, entities: EntityBatch, failures: Sequence[FailedFile]
) -> None:
    """Put a batch into staging tables of this connection, empty until then."""
    cursor.execute(_STAGING)
    _copy(
        cursor,
        "staged_artist (key, name_key, name, sort_name, mbid, varied)",
        ((a.key, a.name_key, a.name, a.sort_name, a.mbid, a.varied) for a in entities.artists),
    )
    _copy(
        cursor,
        "staged_album (key, name_key, title, sort_title, artist_credit, mbid, release_group_mbid,"
        " date, original_date, compilation, disc_total, label, catalog_number)",
        (
            (
                album.key,
                album.name_key,
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
        "staged_track (path, title, artist_credit, picture, album_key, search_extra,"
        f" {', '.join(TRACK_COLUMNS)})",
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
    rows: list[tuple[bytes, int, int, bytes | None, str | None]] = [
        (
            os.fsencode(track.record["path"]),
            track.record.get("size", 0),
            track.record.get("mtime_ns", 0),
            # a client that read the tags by itself sends none
            bytes.fromhex(track.record.get("fingerprint", "")) or None,
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
        extra_words(
            [
                record.get("title"),
                record.get("album"),
                track.artist_credit,
                *record.get("artists", ()),
                *record.get("album_artists", ()),
            ]
        ),
        *[record.get(column, default) for column, default in _COLUMNS_WITH_DEFAULTS],
    )


def _copy(cursor: psycopg2.extensions.cursor, target: str, rows: Iterable[tuple[Any, ...]]) -> None:
    writers = _WRITERS
    text = "".join("\t".join([writers[type(value)](value) for value in row]) + "\n" for row in rows)
    if text:
        # encoded here: within psycopg2 a text that cannot be would look like a cancelled query
        cursor.copy_expert(f"COPY {target} FROM STDIN", io.BytesIO(text.encode()), _COPY_CHUNK)


def _text(value: str) -> str:
    # translate() takes ten times as long as this search, which mostly finds nothing
    return value.translate(_ESCAPES) if _ESCAPED.search(value) else value


def _array(values: list[str]) -> str:
    return _text(f"{{{','.join(map(_item, values))}}}")


def _item(text: str) -> str:
    """Return a text as an array's literal has it."""
    escaped = text.replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'


# How COPY's text format has a value, by its type.
_WRITERS: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: r"\N",
    str: _text,
    int: str,
    float: str,
    bool: lambda value: "t" if value else "f",
    bytes: lambda value: rf"\\x{value.hex()}",
    list: _array,
}
