"""Going through the library page by page: albums, artists, failures, and their pictures.

A page ends with a cursor, the sort key and id of its last row: the next page begins after it,
whatever was added or removed meanwhile, and costs no more than the first.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from backend_worker.storage import search
from backend_worker.storage.connection import transaction

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_ID = 2**63 - 1
_BAD_CURSOR = "`after` is not the `next` of an earlier page of this list"


class CursorError(ValueError):
    """A cursor is not one that an earlier page ended with."""


@dataclass(frozen=True, slots=True)
class Sort:
    """An order of rows: an SQL expression that is never null, its type and its direction."""

    key: str
    kind: str = "text"
    descending: bool = False


# As search_form() has it, which is slower to call for each row of a sort.
_ALBUM_KEY = "lower(unaccent(coalesce(album.sort_title, album.title)))"
ALBUM_SORTS: Mapping[str, Sort] = {
    "title": Sort(_ALBUM_KEY),
    "artist": Sort(f"lower(unaccent(coalesce(album.artist_credit, ''))) || chr(1) || {_ALBUM_KEY}"),
    "date": Sort("coalesce(album.original_date, album.date, '')", descending=True),
    "newest": Sort("album.added_at", "timestamptz", descending=True),
}
ARTIST_SORTS: Mapping[str, Sort] = {
    "name": Sort("lower(unaccent(coalesce(artist.sort_name, artist.name)))"),
    "newest": Sort("artist.added_at", "timestamptz", descending=True),
}
_NEWEST_TRACK = Sort("track.id", "bigint", descending=True)  # in the order of the primary key
_NEWEST_FAILURE = Sort("file.read_at", "timestamptz", descending=True)

# Hexadecimal digits of a picture's hash that tell one from the next.
VERSION_DIGITS = 16


def _version(picture: str) -> str:
    """Return SQL for what tells a picture from its successor; null where there is none."""
    return f"left(encode({picture}, 'hex'), {VERSION_DIGITS})"


_STORED_TRACKS = "FROM track JOIN file USING (id) WHERE album_id = album.id AND state = 'stored'"
_ALBUM_COLUMNS = f"""
    album.id, album.title, album.artist_credit AS artist,
    coalesce(album.original_date, album.date) AS date, album.compilation,
    (SELECT count(*) {_STORED_TRACKS}) AS tracks, {_version("album.cover")} AS cover
"""
_HAS_TRACKS = f"EXISTS (SELECT {_STORED_TRACKS})"
_OF_ARTIST = (
    "FROM track_artist JOIN file ON file.id = track_id"
    " WHERE artist_id = artist.id AND role = 'artist' AND state = 'stored'"
)
_ALBUMS_OF_ARTIST = (
    "FROM album_artist JOIN album ON album.id = album_id"
    f" WHERE artist_id = artist.id AND {_HAS_TRACKS}"
)


@dataclass(frozen=True, slots=True)
class _Listing:
    """A list to go through; all of it is SQL of this module."""

    name: str
    table: str
    select: str
    source: str
    searched: str


_ALBUMS = _Listing(
    "albums",
    "album",
    f"SELECT {_ALBUM_COLUMNS}",
    f"FROM album WHERE {_HAS_TRACKS}",
    "lower(unaccent(album.title || ' ' || coalesce(album.artist_credit, '')))",
)
_ARTISTS = _Listing(
    "artists",
    "artist",
    f"SELECT artist.id, artist.name, {_version('artist.image')} AS image,"
    f" (SELECT count(*) {_ALBUMS_OF_ARTIST}) AS albums, (SELECT count(*) {_OF_ARTIST}) AS tracks",
    f"FROM artist WHERE (EXISTS (SELECT {_OF_ARTIST}) OR EXISTS (SELECT {_ALBUMS_OF_ARTIST}))",
    "lower(unaccent(artist.name))",
)
_TRACKS = _Listing(
    "tracks", "track", f"SELECT {search.TRACK_COLUMNS}", f"{search.TRACK_JOINS} WHERE true",
    "search_text",
)  # fmt: skip
_FAILURES = _Listing(
    "failures",
    "file",
    "SELECT file.id, file.path, file.size, file.reason, file.read_at",
    "FROM file WHERE state = 'failed'",
    "lower(unaccent(reason))",
)


def albums(
    limit: int, after: str | None = None, words: str = "", sort: str = "title"
) -> dict[str, Any]:
    """Return a page of albums that have a stored track, and the cursor of the next.

    Args:
        limit: the most rows.
        after: the cursor that the page before ended with.
        words: only albums whose title and artist contain each of these words.
        sort: one of ``ALBUM_SORTS``.

    Raises:
        CursorError: ``after`` is no cursor of this order.
    """
    return _page(_ALBUMS, ALBUM_SORTS[sort], limit, after, words)


def artists(
    limit: int, after: str | None = None, words: str = "", sort: str = "name"
) -> dict[str, Any]:
    """Return a page of artists of stored tracks or albums; arguments as for :func:`albums`.

    Raises:
        CursorError: ``after`` is no cursor of this order.
    """
    return _page(_ARTISTS, ARTIST_SORTS[sort], limit, after, words)


def tracks(limit: int, after: str | None = None, words: str = "") -> dict[str, Any]:
    """Return a page of stored tracks, the newest first; arguments as for :func:`albums`.

    Raises:
        CursorError: ``after`` is no cursor of this list.
    """
    return _page(_TRACKS, _NEWEST_TRACK, limit, after, words)


def failures(limit: int, after: str | None = None) -> dict[str, Any]:
    """Return a page of files that could not be read, newest first; arguments as for albums.

    Raises:
        CursorError: ``after`` is no cursor of this list.
    """
    page = _page(_FAILURES, _NEWEST_FAILURE, limit, after, "")
    for row in page["failures"]:
        row["read_at"] = row["read_at"].isoformat()
    return page


def album(album_id: int) -> dict[str, Any] | None:
    """Return an album with its artists and its stored tracks; None if it has none of these."""
    with transaction() as cursor:
        cursor.execute(
            f"SELECT {_ALBUM_COLUMNS}, album.date AS release_date, album.original_date,"  # noqa: S608 - our own columns
            " album.disc_total, album.label, album.catalog_number, album.cover_source,"
            f" album.mbid::text FROM album WHERE album.id = %s AND {_HAS_TRACKS}",
            (album_id,),
        )
        rows = search.as_dicts(cursor)
        if not rows:
            return None
        cursor.execute(
            "SELECT artist.id, artist.name FROM album_artist JOIN artist ON artist.id = artist_id"
            " WHERE album_id = %s ORDER BY position",
            (album_id,),
        )
        rows[0]["artists"] = search.as_dicts(cursor)
        cursor.execute(
            f"SELECT {search.TRACK_COLUMNS}, track.disc_number, track.disc_title,"
            " track.track_number"
            f" {search.TRACK_JOINS} WHERE track.album_id = %s"
            " ORDER BY disc_number NULLS FIRST, track_number NULLS LAST, file.path",
            (album_id,),
        )
        tracks = search.as_dicts(cursor)
        return rows[0] | {
            "tracks": tracks,
            "duration": sum(track["duration"] or 0 for track in tracks),
        }


def artist(artist_id: int, similar: int = 10) -> dict[str, Any] | None:
    """Return an artist with albums, number of tracks and so many similar artists."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT artist.id, artist.name, artist.sort_name,"  # noqa: S608 - our own columns
            f" {_version('artist.image')} AS image,"
            f" artist.mbid::text, (SELECT count(*) {_OF_ARTIST}) AS tracks"
            " FROM artist WHERE artist.id = %s",
            (artist_id,),
        )
        rows = search.as_dicts(cursor)
        if not rows:
            return None
        # his own albums first, then those of others on which he appears
        cursor.execute(
            f"SELECT {_ALBUM_COLUMNS}, own.album_id IS NULL AS appears_on FROM album"  # noqa: S608 - our own columns
            " LEFT JOIN album_artist AS own ON own.album_id = album.id AND own.artist_id = %(id)s"
            f" WHERE {_HAS_TRACKS} AND (own.album_id IS NOT NULL OR album.id IN"
            "   (SELECT track.album_id FROM track_artist JOIN track ON track.id = track_id"
            "     WHERE artist_id = %(id)s AND role = 'artist'))"
            " ORDER BY own.album_id IS NULL, coalesce(album.original_date, album.date), album.id",
            {"id": artist_id},
        )
        found = rows[0] | {"albums": search.as_dicts(cursor)}
    return found | {"similar": search.similar_artists(artist_id, similar)}


def artists_of_track(track_id: int) -> list[dict[str, Any]]:
    """Return id and name of a track's artists in their order."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT artist.id, artist.name FROM track_artist JOIN artist ON artist.id = artist_id"
            " WHERE track_id = %s AND role = 'artist' ORDER BY position",
            (track_id,),
        )
        return search.as_dicts(cursor)


def album_cover(album_id: int) -> tuple[str, str | None] | None:
    """Return (hash, MIME type) of an album's cover; None if it has none."""
    return _picture("SELECT cover AS hash FROM album WHERE id = %s", album_id)


def artist_image(artist_id: int) -> tuple[str, str | None] | None:
    """Return (hash, MIME type) of an artist's image; None if there is none."""
    return _picture("SELECT image AS hash FROM artist WHERE id = %s", artist_id)


def _picture(query: str, owner_id: int) -> tuple[str, str | None] | None:
    with transaction() as cursor:
        cursor.execute(
            f"SELECT encode(hash, 'hex'), mime FROM ({query}) AS owner"  # noqa: S608 - ours
            " LEFT JOIN picture USING (hash) WHERE hash IS NOT NULL",
            (owner_id,),
        )
        return cursor.fetchone()


def _page(
    listing: _Listing, sort: Sort, limit: int, after: str | None, words: str
) -> dict[str, Any]:
    """Return ``{name: rows, "next": cursor or None}``."""
    source = listing.source
    values: dict[str, Any] = {"limit": limit + 1}
    direction = "DESC" if sort.descending else "ASC"
    if after:
        values["key"], values["id"] = _decode(after, sort)
        source += (
            f" AND ({sort.key}, {listing.table}.id) {'<' if sort.descending else '>'}"
            f" (%(key)s::{sort.kind}, %(id)s)"
        )
    with transaction() as cursor:
        if words:
            source += f" AND {listing.searched} LIKE ALL (%(patterns)s)"
            form = search.search_form(cursor, words)
            values["patterns"] = [f"%{word}%" for word in search.words_of(form)]
        cursor.execute(
            f"{listing.select}, ({sort.key})::text AS sort_key {source}"
            f" ORDER BY {sort.key} {direction}, {listing.table}.id {direction} LIMIT %(limit)s",
            values,
        )
        found = search.as_dicts(cursor)
    keys = [row.pop("sort_key") for row in found]
    more = len(found) > limit
    found = found[:limit]
    return {
        listing.name: found,
        "next": _encode(keys[limit - 1], found[-1]["id"]) if more else None,
    }


def _encode(key: str, row_id: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([key, row_id]).encode()).decode().rstrip("=")


def _decode(cursor: str, sort: Sort) -> tuple[str, int]:
    """Return the key and id within a cursor.

    Raises:
        CursorError: it is none, or none of this order.
    """
    try:
        key, row_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        key = key.replace("\0", "").encode("utf-8", "replace").decode()
        if sort.kind == "timestamptz":
            datetime.fromisoformat(key)
        elif sort.kind == "bigint":
            key = str(min(int(key), LARGEST_ID))
    except (binascii.Error, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CursorError(_BAD_CURSOR) from error
    if not isinstance(row_id, int) or not 0 <= row_id <= LARGEST_ID:
        raise CursorError(_BAD_CURSOR)
    return key, row_id
