"""Questions that people ask of the library: search, similar tracks, failures, totals."""

from __future__ import annotations

import unicodedata
from typing import Any

from backend_worker.storage.connection import transaction

# Characters of a search: nobody types more, and each word of it costs a look-up.
LONGEST_SEARCH = 200

TRACK_COLUMNS = """
    track.id, track.title, track.artist_credit AS artist, album.title AS album, track.album_id,
    coalesce(track.original_date, track.date, album.date) AS date, track.genres,
    track.duration, track.codec, file.path
"""
TRACK_JOINS = """
    FROM track JOIN file ON file.id = track.id AND file.state = 'stored'
    LEFT JOIN album ON album.id = track.album_id
"""


def search(text: str, limit: int = 20) -> list[dict[str, Any]]:
    """Find tracks by words of title, artist and album; accents, case and typos are forgiven.

    Exact words (the last may be unfinished) come first, then words that look alike.
    """
    with transaction() as cursor:
        form = search_form(cursor, text)
        words = words_of(form)
        if not words:
            return []
        query = " & ".join(f"'{word}'" for word in words) + ":*"
        cursor.execute(
            f"SELECT {TRACK_COLUMNS}, 1.0::real AS score {TRACK_JOINS}"
            " WHERE to_tsvector('simple', search_text) @@ to_tsquery('simple', %s)"
            " ORDER BY ts_rank(to_tsvector('simple', search_text), to_tsquery('simple', %s)) DESC,"
            "   track.id LIMIT %s",
            (query, query, limit),
        )
        rows = as_dicts(cursor)
        if len(rows) < limit:
            # 0.5: one wrong letter in a word of five is still found, other words are not
            cursor.execute("SET LOCAL pg_trgm.word_similarity_threshold = 0.5")
            cursor.execute(
                f"SELECT {TRACK_COLUMNS}, word_similarity(%(form)s, search_text) AS score"
                f" {TRACK_JOINS} WHERE %(form)s <%% search_text AND track.id <> ALL(%(seen)s)"
                " ORDER BY score DESC, track.id LIMIT %(limit)s",
                {
                    "form": form,
                    "seen": [row["id"] for row in rows],
                    "limit": limit - len(rows),
                },
            )
            rows += as_dicts(cursor)
        return rows


def search_form(cursor: Any, text: str) -> str:
    """Return a person's words as they are compared: without accents and case."""
    # PostgreSQL takes neither NUL nor lone surrogates (a byte of the terminal that is no UTF-8)
    text = text[:LONGEST_SEARCH].replace("\0", " ").encode("utf-8", "ignore").decode()
    cursor.execute("SELECT search_form(%s)", (text,))
    return cursor.fetchone()[0]


def words_of(form: str) -> list[str]:
    """Return the words of a text without anything that means something to to_tsquery."""
    # Marks too: the vowels of Hindi or Thai are not letters, but part of the word.
    kept = (char if unicodedata.category(char)[0] in "LMN" else " " for char in form)
    return "".join(kept).split()


def track(track_id: int) -> dict[str, Any] | None:
    """Return one track of the library."""
    with transaction() as cursor:
        cursor.execute(
            f"SELECT {TRACK_COLUMNS}, 1.0::real AS score {TRACK_JOINS} WHERE track.id = %s",
            (track_id,),
        )
        rows = as_dicts(cursor)
        return rows[0] if rows else None


def similar(track_id: int, limit: int = 10) -> list[dict[str, Any]]:
    """Return the tracks nearest to one; ``score`` is the cosine, 1 for the same direction.

    Raises:
        LookupError: the track is not there or has no vector yet.
    """
    with transaction() as cursor:
        cursor.execute("SELECT embedding FROM track_vector WHERE track_id = %s", (track_id,))
        row = cursor.fetchone()
        if row is None:
            raise LookupError(
                f"track {track_id} has no vector: it is unknown, or the vector queue has not "
                "reached it yet"
            )
        # The index returns its nearest before the join drops gone files: ask for more.
        # 200 finds 97 % of the ten nearest among 100,000, 100 finds 95 %; it takes 0.5 ms.
        cursor.execute("SET LOCAL hnsw.ef_search = %s", (min(1000, max(200, limit * 4)),))
        cursor.execute(
            "WITH nearest AS MATERIALIZED ("  # noqa: S608 - our own columns and joins
            "   SELECT track_id, embedding <=> %(vector)s AS distance"
            "   FROM track_vector ORDER BY embedding <=> %(vector)s LIMIT %(more)s)"
            f" SELECT {TRACK_COLUMNS}, (1 - distance)::real AS score {TRACK_JOINS}"
            " JOIN nearest ON nearest.track_id = track.id"
            " WHERE track.id <> %(id)s ORDER BY distance, track.id LIMIT %(limit)s",
            {"vector": row[0], "id": track_id, "limit": limit, "more": limit * 3 + 1},
        )
        return as_dicts(cursor)


def similar_artists(artist_id: int, limit: int = 10) -> list[dict[str, Any]]:
    """Return the artists nearest to one by the mean of their tracks' vectors.

    One without a vector has none; an artist all of whose files are gone is none.
    """
    with transaction() as cursor:
        cursor.execute(
            "SELECT artist.id, artist.name,"
            "   (1 - (other.embedding <=> mine.embedding))::real AS score"
            " FROM artist_vector AS mine, artist_vector AS other"
            " JOIN artist ON artist.id = other.artist_id"
            " WHERE mine.artist_id = %s AND other.artist_id <> mine.artist_id"
            "   AND EXISTS (SELECT FROM track_artist JOIN file ON file.id = track_id"
            "     WHERE artist_id = artist.id AND role = 'artist' AND state = 'stored')"
            " ORDER BY other.embedding <=> mine.embedding, artist.id LIMIT %s",
            (artist_id, limit),
        )
        return as_dicts(cursor)


def find_tracks(text: str) -> list[dict[str, Any]]:
    """Return what ``TRACK`` on the command line means: an id, or words to search."""
    if text.isdecimal() and int(text) < 2**63:
        found = track(int(text))
        return [found] if found else []
    return search(text, limit=1)


def failures(limit: int = 100) -> list[dict[str, Any]]:
    """Return the files that could not be read, with the reason, newest first."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT id, path, size, reason, read_at FROM file WHERE state = 'failed'"
            " ORDER BY read_at DESC, id LIMIT %s",
            (limit,),
        )
        rows = as_dicts(cursor)
    for row in rows:
        row["read_at"] = row["read_at"].isoformat()
    return rows


def totals() -> dict[str, int]:
    """Return how much is in the library."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT"
            " (SELECT count(*) FROM track JOIN file USING (id) WHERE state = 'stored') AS tracks,"
            " (SELECT count(DISTINCT album_id) FROM track JOIN file USING (id)"
            "   WHERE state = 'stored') AS albums,"
            " (SELECT count(DISTINCT artist_id) FROM track_artist JOIN file ON file.id = track_id"
            "   WHERE state = 'stored' AND role = 'artist') AS artists,"
            " (SELECT count(*) FROM album WHERE cover IS NOT NULL) AS covers,"
            " (SELECT count(*) FROM track_vector) AS vectors,"
            " (SELECT count(*) FROM file WHERE state = 'failed') AS failed_files,"
            " (SELECT count(*) FROM file WHERE state = 'gone') AS gone_files,"
            " (SELECT coalesce(sum(duration), 0)::bigint FROM track JOIN file USING (id)"
            "   WHERE state = 'stored') AS seconds,"
            " (SELECT coalesce(sum(size), 0)::bigint FROM file WHERE state = 'stored') AS bytes"
        )
        return as_dicts(cursor)[0]


def as_dicts(cursor: Any) -> list[dict[str, Any]]:
    """Return a query's rows by their columns' names, paths as text to be shown."""
    names = [column.name for column in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    for row in rows:
        if "path" in row:
            # shown to people: a byte that is not UTF-8 becomes \xNN
            row["path"] = bytes(row["path"]).decode("utf-8", "backslashreplace")
    return rows


def any_track_with_vector() -> dict[str, Any] | None:
    """Return a track to show similar ones of: the first with a genre."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT track.id FROM track JOIN track_vector ON track_id = track.id"
            " JOIN file ON file.id = track.id AND state = 'stored'"
            " ORDER BY cardinality(genres) = 0, track.id LIMIT 1"
        )
        row = cursor.fetchone()
    return track(row[0]) if row else None
