"""Which spelling of an artist's name is shown: that of most tracks by this artist alone."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from backend_worker.library.grouping import better_spelling
from backend_worker.library.names import normalise

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg2.extensions


def spell_artists(cursor: psycopg2.extensions.cursor) -> None:
    """Choose anew among the spellings of the artists that this batch spells in another way.

    Where nobody has tracks alone, as a guest, it is the better of two (``better_spelling``).
    """
    cursor.execute(
        "SELECT artist.id, artist.name_key, artist.name, best_spelling(staged.name)"
        " FROM staged_artist AS staged JOIN artist ON artist.id = staged.artist_id"
        " GROUP BY artist.id HAVING bool_or(staged.varied OR staged.name <> artist.name)"
    )
    concerned = cursor.fetchall()
    if not concerned:
        return
    counts = _spellings(cursor, [row[0] for row in concerned])
    names: dict[int, str] = {}
    for number, name_key, known, staged in concerned:
        found = {
            credit: tracks
            for credit, tracks in counts.get(number, {}).items()
            if normalise(credit) == name_key
        }
        shown = _most(found) or better_spelling(known, staged)
        if shown:
            names[number] = shown
    cursor.execute(
        "UPDATE artist SET name = named.name FROM unnest(%s::bigint[], %s::text[])"
        " AS named (id, name) WHERE artist.id = named.id AND artist.name <> named.name",
        (list(names), list(names.values())),
    )
    _show_on_albums(cursor, names)


def _spellings(cursor: psycopg2.extensions.cursor, artists: list[int]) -> dict[int, dict[str, int]]:
    """Return how tracks by one of these artists alone write the name, and how many do."""
    cursor.execute(
        "SELECT artist_id, artist_credit, count(*) FROM track_artist AS by"
        " JOIN track ON track.id = track_id"
        " WHERE artist_id = ANY(%s) AND role = 'artist' AND position = 0"
        "   AND artist_credit IS NOT NULL AND NOT EXISTS (SELECT FROM track_artist AS guest"
        "     WHERE guest.track_id = by.track_id AND guest.role = 'artist' AND guest.position > 0)"
        " GROUP BY artist_id, artist_credit",
        (artists,),
    )
    found: dict[int, dict[str, int]] = {}
    for artist, credit, tracks in cursor:
        found.setdefault(artist, {})[credit] = tracks
    return found


def _most(counts: Mapping[str, int]) -> str | None:
    most = max(counts.values(), default=0)
    names = [name for name, tracks in counts.items() if tracks == most]
    return functools.reduce(better_spelling, names, None)


def _show_on_albums(cursor: psycopg2.extensions.cursor, names: Mapping[int, str]) -> None:
    """Write the name alike where an album is by this artist alone."""
    cursor.execute(
        "SELECT album.id, artist_id, artist_credit FROM album_artist AS by"
        " JOIN album ON album.id = album_id WHERE artist_id = ANY(%s)"
        "   AND NOT EXISTS (SELECT FROM album_artist AS other"
        "     WHERE other.album_id = by.album_id AND other.artist_id <> by.artist_id)",
        (list(names),),
    )
    albums = {
        album: names[artist]
        for album, artist, credit in cursor
        if credit and credit != names[artist] and normalise(credit) == normalise(names[artist])
    }
    cursor.execute(
        "UPDATE album SET artist_credit = named.name FROM unnest(%s::bigint[], %s::text[])"
        " AS named (id, name) WHERE album.id = named.id",
        (list(albums), list(albums.values())),
    )
