"""Albums of one title and artist that years and folders tell apart.

What is one album and what is two depends on all tracks of a key (``library/albums.part``), so it
is worked out anew whenever a batch brings tracks of it: the result is the same in any order.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from backend_worker.library import albums
from backend_worker.storage.connection import one_row

if TYPE_CHECKING:
    import psycopg2.extensions

_MEMBERS = "ARRAY[base.id] || ARRAY(SELECT id FROM album WHERE album.base_key = base.name_key)"
# Facts of an album that are its tracks' own.
_FACTS = {
    "date": "min(track.date)",
    "original_date": "min(track.original_date)",
    "disc_total": "max(track.disc_total)",
    "label": "best_spelling(track.label)",
    "catalog_number": "best_spelling(track.catalog_number)",
}
_SHARED = "title, sort_title, artist_credit, release_group_mbid, compilation"


def part_albums(cursor: psycopg2.extensions.cursor) -> None:
    """Part and join again the albums of this batch; those concerned are noted as staged."""
    cursor.execute(
        f"SELECT base.id, {_MEMBERS} FROM album AS base"  # noqa: S608 - our own SQL
        " WHERE base.id IN (SELECT album_id FROM staged_album WHERE name_key NOT LIKE '%|dir:%')"
        "   AND base.mbid IS NULL AND (EXISTS (SELECT FROM album WHERE base_key = base.name_key)"
        "     OR (SELECT min(left(date, 4)) <> max(left(date, 4))"
        "       FROM track WHERE album_id = base.id))"
    )
    for base, members in cursor.fetchall():
        _part(cursor, base, members)


def _part(cursor: psycopg2.extensions.cursor, base: int, members: list[int]) -> None:
    cursor.execute(
        "SELECT track.id, file.path, coalesce(left(track.date, 4), '')"
        " FROM track JOIN file USING (id) WHERE album_id = ANY(%s) AND state = 'stored'",
        (members,),
    )
    rows = [
        (number, albums.folder_of(os.fsdecode(bytes(path))), year) for number, path, year in cursor
    ]
    parts = albums.part(rows)
    if len(parts) < 2 and len(members) < 2:
        return
    found = [base]
    for number, (year, tracks) in enumerate(parts):
        if number:
            found.append(_sibling(cursor, base, year))
        cursor.execute(
            "UPDATE track SET album_id = %(album)s WHERE id = ANY(%(tracks)s)"
            " AND album_id IS DISTINCT FROM %(album)s",
            {"album": found[-1], "tracks": tracks},
        )
    concerned = sorted({*found, *members})
    cursor.execute(
        "DELETE FROM album WHERE id = ANY(%s) AND base_key IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM track WHERE album_id = album.id)",
        (concerned,),
    )
    _tell_facts(cursor, concerned)


def _sibling(cursor: psycopg2.extensions.cursor, base: int, year: str) -> int:
    """Return the album of a base that begins with this year; a new one is like the base."""
    shared = _SHARED.split(", ")
    cursor.execute(
        f"INSERT INTO album (name_key, base_key, {_SHARED})"  # noqa: S608 - our own columns
        f" SELECT name_key || '|year:' || %s, name_key, {_SHARED} FROM album WHERE id = %s"
        " ON CONFLICT (name_key) WHERE mbid IS NULL DO UPDATE SET"
        f" {', '.join(f'{column} = excluded.{column}' for column in shared)} RETURNING id",
        (year, base),
    )
    sibling: int = one_row(cursor)[0]
    cursor.execute("DELETE FROM album_artist WHERE album_id = %s", (sibling,))
    cursor.execute(
        "INSERT INTO album_artist (album_id, position, artist_id)"
        " SELECT %s, position, artist_id FROM album_artist WHERE album_id = %s",
        (sibling, base),
    )
    return sibling


def _tell_facts(cursor: psycopg2.extensions.cursor, concerned: list[int]) -> None:
    selected = ", ".join(f"{what} AS {column}" for column, what in _FACTS.items())
    columns = ", ".join(_FACTS)
    cursor.execute(
        f"UPDATE album SET ({columns}) = (SELECT {selected} FROM track JOIN file USING (id)"  # noqa: S608 - our own columns
        "   WHERE album_id = album.id AND state = 'stored') WHERE id = ANY(%s)",
        (concerned,),
    )
    # what is made of albums is made anew for these too
    cursor.execute(
        "INSERT INTO staged_album (key, album_id) SELECT 'parted ' || id, id FROM album"
        " WHERE id = ANY(%s) ON CONFLICT DO NOTHING",
        (concerned,),
    )
