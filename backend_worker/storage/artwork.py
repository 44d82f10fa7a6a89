"""Which picture belongs to which album and artist, and what remote services did not have."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend_worker.storage.connection import transaction

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def albums(album_ids: Sequence[int]) -> list[AlbumForCover]:
    """Return the albums with their embedded pictures and folders; unknown ids are left out."""
    found = []
    with transaction() as cursor:
        cursor.execute(
            "SELECT album.id, album.title, artist_credit, mbid::text, release_group_mbid::text,"
            " encode(cover, 'hex'), cover_source, coalesce(disc_total, 1) > 1"
            " FROM album WHERE id = ANY(%s) ORDER BY id",
            (list(album_ids),),
        )
        for row in cursor.fetchall():
            cursor.execute(
                "SELECT file.path, encode(picture, 'hex'), disc_number"
                " FROM track JOIN file USING (id)"
                " WHERE album_id = %s AND state = 'stored'"
                " ORDER BY disc_number NULLS FIRST, track_number NULLS LAST, file.path",
                (row[0],),
            )
            pictures: dict[str, None] = {}
            directories: dict[str, None] = {}
            discs = set()
            for path, picture, disc in cursor:
                directories[os.fsdecode(os.path.dirname(bytes(path)))] = None
                discs.add(disc)
                if picture:
                    pictures[picture] = None
            *facts, multi_disc = row
            found.append(
                AlbumForCover(
                    *facts, multi_disc or len(discs) > 1, tuple(pictures), tuple(directories)
                )
            )
    return found


def set_album_cover(album_id: int, picture: str, source: str) -> bool:
    """Record an album's cover by its hash and where it came from; say whether it is new."""
    with transaction() as cursor:
        cursor.execute(
            "UPDATE album SET cover = %s, cover_source = %s"
            " WHERE id = %s AND (cover, cover_source) IS DISTINCT FROM (%s, %s)",
            (bytes.fromhex(picture), source, album_id, bytes.fromhex(picture), source),
        )
        return cursor.rowcount == 1


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


def count_albums_in(directory: str, limit: int) -> int:
    """Count the albums with tracks in the folder itself, at most up to the limit."""
    prefix = os.fsencode(directory).rstrip(b"/") + b"/"
    with transaction() as cursor:
        cursor.execute(
            "SELECT count(*) FROM (SELECT DISTINCT album_id FROM file JOIN track USING (id)"
            "   WHERE path >= %(prefix)s AND path < %(end)s AND state = 'stored'"
            "     AND position('/'::bytea IN substring(path FROM %(length)s)) = 0"
            "   LIMIT %(limit)s) AS first_ones",
            {
                "prefix": prefix,
                "end": prefix[:-1] + b"0",  # '0' follows '/'
                "length": len(prefix) + 1,
                "limit": limit,
            },
        )
        return cursor.fetchone()[0]


def artist_directories(artist_id: int) -> list[str]:
    """Return the folders of the tracks of an artist's albums."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT DISTINCT file.path FROM album_artist"
            " JOIN track USING (album_id) JOIN file ON file.id = track.id"
            " WHERE artist_id = %s AND state = 'stored' ORDER BY file.path LIMIT 1000",
            (artist_id,),
        )
        directories = {os.path.dirname(bytes(row[0])) for row in cursor}
    return sorted(os.fsdecode(directory) for directory in directories)


def artists_without_image(album_ids: Sequence[int]) -> list[int]:
    """Return the artists of these albums that have no image yet."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT DISTINCT artist_id FROM album_artist JOIN artist ON artist.id = artist_id"
            " WHERE album_id = ANY(%s) AND image IS NULL ORDER BY artist_id",
            (list(album_ids),),
        )
        return [row[0] for row in cursor]


def cover_of_artist(artist_id: int) -> str | None:
    """Return the cover (hash) of the artist's first album that has one."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT encode(cover, 'hex') FROM album JOIN album_artist ON album_id = album.id"
            " WHERE artist_id = %s AND cover IS NOT NULL ORDER BY album.date, album.id LIMIT 1",
            (artist_id,),
        )
        row = cursor.fetchone()
        return row[0] if row else None


def set_artist_image(artist_id: int, picture: str, source: str) -> bool:
    """Record an artist's image by its hash and where it came from; say whether it is new."""
    with transaction() as cursor:
        cursor.execute(
            "UPDATE artist SET image = %s, image_source = %s"
            " WHERE id = %s AND (image, image_source) IS DISTINCT FROM (%s, %s)",
            (bytes.fromhex(picture), source, artist_id, bytes.fromhex(picture), source),
        )
        return cursor.rowcount == 1


def known_picture(picture: str) -> tuple[bool, str | None]:
    """Return (whether the picture was looked at, why it is unusable if it is)."""
    with transaction() as cursor:
        cursor.execute("SELECT unusable FROM picture WHERE hash = %s", (bytes.fromhex(picture),))
        row = cursor.fetchone()
        return (row is not None, row[0] if row else None)


def record_picture(
    picture: str,
    *,
    mime: str | None = None,
    width: int | None = None,
    height: int | None = None,
    unusable: str | None = None,
) -> None:
    """Record what a stored picture is, or why it cannot be shown; sizes in pixels."""
    with transaction() as cursor:
        cursor.execute(
            "INSERT INTO picture (hash, mime, width, height, unusable) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (hash) DO UPDATE SET mime = excluded.mime, width = excluded.width,"
            "   height = excluded.height, unusable = excluded.unusable",
            (bytes.fromhex(picture), mime, width, height, unusable),
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
