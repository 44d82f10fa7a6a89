"""Similarity vectors: what they are made from, and where they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg2.extras import execute_values

from backend_worker.library.features import TrackFeatures
from backend_worker.storage.connection import session_lock, transaction

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

# Cosine distance below which two vectors differ by rounding only (at most 2e-7 was seen).
SAME_DIRECTION = 1e-6

# Held by the process that makes the vectors of all that wait.
VECTORS_LOCK = 7_203_415


def making_vectors() -> AbstractContextManager[bool]:
    """Hold the right to make the vectors of all that wait; False if another process has it.

    PostgreSQL gives it back when the process dies.
    """
    return session_lock(VECTORS_LOCK)


def features(track_ids: Sequence[int]) -> list[TrackFeatures]:
    """Return what the vectors of these tracks are made from; unknown ids are left out."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT track.id, track.title,"
            "   coalesce((SELECT array_agg(artist.name_key ORDER BY position)"
            "     FROM track_artist JOIN artist ON artist.id = artist_id"
            "     WHERE track_id = track.id AND role = 'artist'), '{}'),"
            "   coalesce((SELECT array_agg(artist.name_key ORDER BY position)"
            "     FROM album_artist JOIN artist ON artist.id = artist_id"
            "     WHERE album_artist.album_id = track.album_id), '{}'),"
            "   genres, substring(coalesce(track.original_date, track.date, album.original_date,"
            "     album.date) FROM '^\\d{4}')::integer,"
            "   bpm, key, duration, replaygain_track_gain,"
            "   coalesce((SELECT array_agg(artist.name_key ORDER BY position)"
            "     FROM track_artist JOIN artist ON artist.id = artist_id"
            "     WHERE track_id = track.id AND role = 'composer'), '{}'),"
            "   coalesce(track.label, album.label)"
            " FROM track LEFT JOIN album ON album.id = track.album_id"
            " WHERE track.id = ANY(%s) ORDER BY track.id",
            (list(track_ids),),
        )
        return [
            TrackFeatures(
                track_id=row[0],
                title=row[1],
                artists=tuple(row[2]),
                album_artists=tuple(row[3]),
                genres=tuple(row[4]),
                year=row[5],
                bpm=row[6],
                key=row[7],
                duration=row[8],
                loudness=row[9],
                composers=tuple(row[10]),
                label=row[11],
            )
            for row in cursor
        ]


def without_vector(model_version: int, limit: int) -> list[int]:
    """Return tracks that have no vector of this model yet."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT track.id FROM track JOIN file USING (id)"
            " LEFT JOIN track_vector ON track_id = track.id AND model_version = %s"
            " WHERE state = 'stored' AND track_id IS NULL ORDER BY track.id LIMIT %s",
            (model_version, limit),
        )
        return [row[0] for row in cursor]


def store_track_vectors(model_version: int, vectors: Iterable[tuple[int, Sequence[float]]]) -> int:
    """Store (track id, vector) pairs in one transaction and return how many were kept.

    A track that was removed meanwhile is left out.
    """
    rows = [(track_id, _literal(vector)) for track_id, vector in vectors]
    with transaction() as cursor:
        if not rows:
            return 0
        # Sorted by the query: processes that store overlapping sets do not deadlock.
        kept = execute_values(
            cursor,
            "INSERT INTO track_vector (track_id, model_version, embedding)"  # noqa: S608 - a number
            f" SELECT track.id, {int(model_version)}, vector::vector"
            " FROM (VALUES %s) AS given (track_id, vector) JOIN track ON track.id = given.track_id"
            " ORDER BY track.id ON CONFLICT (track_id) DO UPDATE"
            " SET model_version = excluded.model_version, embedding = excluded.embedding"
            " RETURNING track_id",
            rows,
            page_size=len(rows),
            fetch=True,
        )
        return len(kept)


def artists_of(track_ids: Sequence[int]) -> list[int]:
    """Return the artists of these tracks."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT DISTINCT artist_id FROM track_artist"
            " WHERE track_id = ANY(%s) AND role = 'artist' ORDER BY artist_id",
            (list(track_ids),),
        )
        return [row[0] for row in cursor]


def artists_awaiting_vectors(artist_ids: Sequence[int], model_version: int) -> list[int]:
    """Return those of the artists who have a stored track without a vector of this model."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT DISTINCT artist_id FROM track_artist JOIN file ON file.id = track_id"
            " LEFT JOIN track_vector AS made"
            "   ON made.track_id = file.id AND made.model_version = %s"
            " WHERE artist_id = ANY(%s) AND role = 'artist' AND state = 'stored'"
            "   AND made.track_id IS NULL ORDER BY artist_id",
            (model_version, list(artist_ids)),
        )
        return [row[0] for row in cursor]


def make_artist_vectors(artist_ids: Sequence[int], model_version: int) -> None:
    """Give artists the mean of their stored tracks' vectors, of length 1.

    One of whom no track has a vector of this model is left as it is.
    """
    with transaction() as cursor:
        # Sorted by the query: processes that store overlapping sets do not deadlock.
        cursor.execute(
            "INSERT INTO artist_vector (artist_id, model_version, embedding)"
            " SELECT artist_id, %(model)s, l2_normalize(avg(embedding))"
            " FROM track_artist JOIN file ON file.id = track_artist.track_id"
            "   JOIN track_vector AS made ON made.track_id = file.id AND model_version = %(model)s"
            " WHERE artist_id = ANY(%(ids)s) AND role = 'artist' AND state = 'stored'"
            " GROUP BY artist_id ORDER BY artist_id"
            " ON CONFLICT (artist_id) DO UPDATE"
            " SET model_version = excluded.model_version, embedding = excluded.embedding",
            {"ids": list(artist_ids), "model": model_version},
        )


def artists_to_make(model_version: int, limit: int) -> list[int]:
    """Return artists whose vector is missing, of another model, or not the mean of its tracks'.

    That also finds artists of whom tracks came, changed or went without word to
    ``vectorization.artists``, and those of whom a track still lacks its vector. It takes 0.2 s
    for 100,000 tracks of 8,000 artists on a PC.
    """
    with transaction() as cursor:
        cursor.execute(
            "WITH tracks AS ("
            "   SELECT artist_id, avg(embedding) AS mean, count(*) > count(embedding) AS lacking"
            "   FROM track_artist JOIN file ON file.id = track_artist.track_id"
            "     LEFT JOIN track_vector AS made"
            "       ON made.track_id = file.id AND model_version = %(model)s"
            "   WHERE role = 'artist' AND state = 'stored' GROUP BY artist_id)"
            " SELECT artist_id FROM tracks LEFT JOIN artist_vector AS own USING (artist_id)"
            " WHERE lacking OR own.artist_id IS NULL OR own.model_version <> %(model)s"
            "   OR own.embedding <=> mean > %(difference)s"
            " ORDER BY artist_id LIMIT %(limit)s",
            {"model": model_version, "difference": SAME_DIRECTION, "limit": limit},
        )
        return [row[0] for row in cursor]


def _literal(vector: Sequence[float]) -> str:
    return "[" + ",".join(f"{value:.7g}" for value in vector) + "]"
