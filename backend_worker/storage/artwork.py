"""Which picture belongs to which album and artist, and what remote services did not have."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg2.extras import execute_values

from backend_worker.storage.connection import transaction
from backend_worker.storage.insert import INSERT_LOCK

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import psycopg2.extensions

# `service` of the remembered searches for an album's cover as a whole; the key is its id.
COVER_SEARCH = "cover"
EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class AlbumForCover:
    """What the search for an album's cover needs."""

    id: int
    title: str
    artist: str | None
    mbid: str | None
    release_group_mbid: str | None
    cover: str | None  # SHA-256 hex
    cover_source: str | None
    multi_disc: bool
    embedded: tuple[str, ...]  # hashes in the order of the tracks, each once
    directories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ArtistForImage:
    """What the search for an artist's image needs."""

    id: int
    directories: tuple[str, ...]  # of the tracks of the artist's albums
    cover: str | None  # SHA-256 hex, of the artist's first album that has one


@dataclass(frozen=True, slots=True)
class Picture:
    """A stored picture and what it is, or why it cannot be shown; sizes in pixels."""

    hash: str  # SHA-256 hex
    mime: str | None = None
    width: int | None = None
    height: int | None = None
    unusable: str | None = None


def albums(album_ids: Sequence[int]) -> list[AlbumForCover]:
    """Return the albums with their embedded pictures and folders; unknown ids are left out."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT album.id, album.title, artist_credit, mbid::text, release_group_mbid::text,"
            " encode(cover, 'hex'), cover_source, coalesce(disc_total, 1) > 1"
            " FROM album WHERE id = ANY(%s) ORDER BY id",
            (list(album_ids),),
        )
        rows = cursor.fetchall()
        pictures: dict[int, dict[str, None]] = {row[0]: {} for row in rows}
        directories: dict[int, dict[str, None]] = {row[0]: {} for row in rows}
        discs: dict[int, set[int | None]] = {row[0]: set() for row in rows}
        cursor.execute(
            "SELECT album_id, file.path, encode(picture, 'hex'), disc_number"
            " FROM track JOIN file USING (id)"
            " WHERE album_id = ANY(%s) AND state = 'stored'"
            " ORDER BY album_id, disc_number NULLS FIRST, track_number NULLS LAST, file.path",
            (list(pictures),),
        )
        for album_id, path, picture, disc in cursor:
            directories[album_id][os.fsdecode(os.path.dirname(bytes(path)))] = None
            discs[album_id].add(disc)
            if picture:
                pictures[album_id][picture] = None
    return [
        AlbumForCover(
            album_id,
            title,
            artist,
            mbid,
            release_group_mbid,
            cover,
            cover_source,
            multi_disc=multi_disc or len(discs[album_id]) > 1,
            embedded=tuple(pictures[album_id]),
            directories=tuple(directories[album_id]),
        )
        for (
            album_id,
            title,
            artist,
            mbid,
            release_group_mbid,
            cover,
            cover_source,
            multi_disc,
        ) in rows
    ]


def set_album_covers(covers: Sequence[tuple[int, str, str]]) -> set[int]:
    """Record albums' covers as (album, hash, where it came from); return whose are new."""
    with transaction() as cursor:
        return _set_pictures(
            cursor,
            "UPDATE album SET cover = found.hash, cover_source = found.source"
            " FROM (VALUES %s) AS found (id, hash, source) WHERE album.id = found.id"
            "   AND (cover, cover_source) IS DISTINCT FROM (found.hash, found.source)"
            " RETURNING album.id",
            covers,
        )


def set_artist_images(images: Sequence[tuple[int, str, str]]) -> set[int]:
    """Record artists' images as (artist, hash, where it came from); return whose are new."""
    with transaction() as cursor:
        return _set_pictures(
            cursor,
            "UPDATE artist SET image = found.hash, image_source = found.source"
            " FROM (VALUES %s) AS found (id, hash, source) WHERE artist.id = found.id"
            "   AND (image, image_source) IS DISTINCT FROM (found.hash, found.source)"
            " RETURNING artist.id",
            images,
        )


def _set_pictures(
    cursor: psycopg2.extensions.cursor, statement: str, rows: Sequence[tuple[int, str, str]]
) -> set[int]:
    if not rows:
        return set()
    # Inserts change these rows too, each in its own order: taken in turn, no two can deadlock.
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (INSERT_LOCK,))
    values = [(number, bytes.fromhex(picture), source) for number, picture, source in rows]
    return {row[0] for row in execute_values(cursor, statement, values, fetch=True)}


def albums_without_cover(limit: int) -> list[int]:
    """Return albums that have no cover and for which it is time to look again."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT id FROM album WHERE cover IS NULL AND NOT EXISTS"
            "   (SELECT FROM remote_lookup WHERE service = %s AND key = album.id::text"
            "     AND retry_at > now())"
            " ORDER BY id LIMIT %s",
            (COVER_SEARCH, limit),
        )
        return [row[0] for row in cursor]


def albums_without_mbid(album_ids: Sequence[int]) -> list[tuple[int, str, str]]:
    """Return (id, artist, title) of those albums that have no MusicBrainz id but an artist."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT id, artist_credit, title FROM album"
            " WHERE id = ANY(%s) AND mbid IS NULL AND artist_credit IS NOT NULL ORDER BY id",
            (list(album_ids),),
        )
        return cursor.fetchall()


def crowded(directories: Iterable[str], most: int) -> set[str]:
    """Return those folders that hold, themselves, tracks of more albums than ``most``."""
    folders = list(directories)
    prefixes = [os.fsencode(folder).rstrip(b"/") + b"/" for folder in folders]
    ends = [prefix[:-1] + b"0" for prefix in prefixes]  # '0' follows '/'
    with transaction() as cursor:
        cursor.execute(
            "SELECT number FROM unnest(%(prefixes)s::bytea[], %(ends)s::bytea[])"
            "     WITH ORDINALITY AS folder (prefix, after, number),"
            "   LATERAL (SELECT count(*) AS albums FROM ("
            "     SELECT DISTINCT album_id FROM file JOIN track USING (id)"
            "     WHERE path >= prefix AND path < after AND state = 'stored'"
            "       AND position('/'::bytea IN substring(path FROM length(prefix) + 1)) = 0"
            "     LIMIT %(most)s + 1) AS first_ones) AS counted"
            " WHERE albums > %(most)s",
            {"prefixes": prefixes, "ends": ends, "most": most},
        )
        return {folders[row[0] - 1] for row in cursor}


def artists(artist_ids: Sequence[int]) -> list[ArtistForImage]:
    """Return the artists with the folders of their albums and a cover of one of these."""
    directories: dict[int, dict[str, None]] = {artist_id: {} for artist_id in artist_ids}
    with transaction() as cursor:
        cursor.execute(
            "SELECT wanted.id, path FROM unnest(%s::bigint[]) AS wanted (id), LATERAL ("
            "   SELECT DISTINCT file.path FROM album_artist"
            "     JOIN track USING (album_id) JOIN file ON file.id = track.id"
            "   WHERE artist_id = wanted.id AND state = 'stored'"
            "   ORDER BY file.path LIMIT 1000) AS found"
            " ORDER BY path",
            (list(artist_ids),),
        )
        for artist_id, path in cursor:
            directories[artist_id][os.fsdecode(os.path.dirname(bytes(path)))] = None
        cursor.execute(
            "SELECT DISTINCT ON (artist_id) artist_id, encode(cover, 'hex')"
            " FROM album JOIN album_artist ON album_id = album.id"
            " WHERE artist_id = ANY(%s) AND cover IS NOT NULL"
            " ORDER BY artist_id, album.date, album.id",
            (list(artist_ids),),
        )
        covers = dict(cursor.fetchall())
    return [
        ArtistForImage(artist_id, tuple(found), covers.get(artist_id))
        for artist_id, found in directories.items()
    ]


def artists_without_image(album_ids: Sequence[int]) -> list[int]:
    """Return the artists of these albums that have no image yet."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT DISTINCT artist_id FROM album_artist JOIN artist ON artist.id = artist_id"
            " WHERE album_id = ANY(%s) AND image IS NULL ORDER BY artist_id",
            (list(album_ids),),
        )
        return [row[0] for row in cursor]


def known_pictures(pictures: Iterable[str]) -> dict[str, str | None]:
    """Return of the pictures (hashes) that were looked at why they are unusable; None: usable."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT encode(hash, 'hex'), unusable FROM picture WHERE hash = ANY(%s)",
            ([bytes.fromhex(picture) for picture in pictures],),
        )
        return dict(cursor.fetchall())


def record_pictures(pictures: Iterable[Picture]) -> None:
    """Record what stored pictures are, or why they cannot be shown; of two of one hash the last."""
    latest = {picture.hash: picture for picture in pictures}
    rows = [
        (bytes.fromhex(name), picture.mime, picture.width, picture.height, picture.unusable)
        for name, picture in sorted(latest.items())  # in one order: no two processes deadlock
    ]
    if not rows:
        return
    with transaction() as cursor:
        execute_values(
            cursor,
            "INSERT INTO picture (hash, mime, width, height, unusable) VALUES %s"
            " ON CONFLICT (hash) DO UPDATE SET mime = excluded.mime, width = excluded.width,"
            "   height = excluded.height, unusable = excluded.unusable",
            rows,
        )


def set_track_picture(path: bytes, picture: str) -> None:
    """Record the embedded picture of a stored file."""
    with transaction() as cursor:
        cursor.execute(
            "UPDATE track SET picture = %s FROM file WHERE file.id = track.id AND file.path = %s",
            (bytes.fromhex(picture), path),
        )


def albums_of_paths(paths: Sequence[bytes]) -> list[int]:
    """Return the albums to which these files belong."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT DISTINCT album_id FROM track JOIN file USING (id)"
            " WHERE path = ANY(%s) AND album_id IS NOT NULL ORDER BY album_id",
            (list(paths),),
        )
        return [row[0] for row in cursor]


def set_album_mbid(album_id: int, mbid: str, release_group_mbid: str | None) -> bool:
    """Give an album the MusicBrainz id found for it; False if another album has it."""
    with transaction() as cursor:
        cursor.execute(
            "UPDATE album SET mbid = %(mbid)s,"
            "   release_group_mbid = coalesce(%(group)s, release_group_mbid)"
            " WHERE id = %(id)s AND mbid IS NULL"
            "   AND NOT EXISTS (SELECT FROM album WHERE mbid = %(mbid)s)",
            {"mbid": mbid, "group": release_group_mbid, "id": album_id},
        )
        return cursor.rowcount == 1


def may_ask(service: str, key: str) -> bool:
    """Say whether a remote service may be asked for this now (no remembered miss)."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT retry_at <= now() FROM remote_lookup WHERE service = %s AND key = %s",
            (service, key),
        )
        row = cursor.fetchone()
        return row is None or row[0]


def remember(
    service: str, key: str, outcome: str, retry_seconds: float, longest_seconds: float | None = None
) -> None:
    """Remember an answer, so that this is not asked for again too soon.

    Args:
        service: who was asked.
        key: for what; ``EVERYTHING`` pauses the whole service.
        outcome: the answer in words.
        retry_seconds: when it may be asked for again.
        longest_seconds: if given, the time doubles with each attempt up to this.
    """
    with transaction() as cursor:
        cursor.execute(
            "INSERT INTO remote_lookup (service, key, outcome, retry_at)"
            " VALUES (%(service)s, %(key)s, %(outcome)s,"
            "   now() + make_interval(secs => %(seconds)s))"
            " ON CONFLICT (service, key) DO UPDATE SET outcome = excluded.outcome,"
            "   attempts = remote_lookup.attempts + 1,"
            "   retry_at = now() + make_interval(secs => least(%(longest)s,"
            "     %(seconds)s * power(2, least(remote_lookup.attempts, 30))))",
            {
                "service": service,
                "key": key,
                "outcome": outcome,
                "seconds": float(retry_seconds),
                "longest": float(retry_seconds if longest_seconds is None else longest_seconds),
            },
        )
