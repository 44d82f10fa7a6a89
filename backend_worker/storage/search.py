"""Questions that people ask of the library: search, similar tracks, failures, totals."""

from __future__ import annotations

import math
import unicodedata
from typing import Any

from backend_worker.library.paths import shown
from backend_worker.library.search_words import pieces_of, signs_of
from backend_worker.storage.connection import one_row, transaction

# Characters of a search: nobody types more, and each word of it costs a look-up.
LONGEST_SEARCH = 200
# Of so many tracks with the words asked for the best are chosen.
RANKED = 2000
# Of so many with one of the words, or one that looks like it, those with most of them are
# compared letter by letter, 9 µs each.
RANKED_PER_WORD = 1000
COMPARED = 500
# A misspelt word may be each of so many words of the library.
SPELLINGS = 20
# So many words of a search may be misspelt.
MOST_WORDS = 12
# Cosine distance from which a track by another artist is no better than one more by the same.
UNLIKE = 0.5

TRACK_COLUMNS = """
    track.id, track.title, track.artist_credit AS artist, album.title AS album, track.album_id,
    coalesce(track.original_date, track.date, album.date) AS date, track.genres,
    track.duration, track.codec, file.path
"""
TRACK_JOINS = """
    FROM track JOIN file ON file.id = track.id AND file.state = 'stored'
    LEFT JOIN album ON album.id = track.album_id
"""
# Looked up track by track: a join could begin with all files.
_STORED = "(SELECT state FROM file WHERE file.id = track.id) = 'stored'"


def search(text: str, limit: int = 20) -> list[dict[str, Any]]:
    """Find tracks by words of title, artist and album; accents, case and typos are forgiven.

    Exact words come first, then those of which the last is unfinished, then words that look
    alike. Where more than ``RANKED`` tracks have the words, as with a single letter, only the
    longest in the library of them are compared with each other.
    """
    with transaction() as cursor:
        form = search_form(cursor, text)
        words = list(dict.fromkeys(words_of(form)))
        signs = "" if words else signs_of(_sendable(text))
        if not words and not signs:
            return []
        # With a limit in sight the planner likes to read the whole table, which takes long
        # where few tracks match, and begins anywhere when two do so at a time.
        cursor.execute("SET LOCAL enable_seqscan = off")
        if signs:
            return _exact(cursor, "", [signs], [], limit)
        whole = " & ".join(f"'{word}'" for word in words)
        queries: list[tuple[str, list[str]]] = [(whole, []), (f"{whole}:*", [])]
        pieces = [piece for word in words for piece in pieces_of(word)]
        if pieces:
            others = " & ".join(f"'{word}'" for word in words if not pieces_of(word))
            queries.append((others, pieces))
        rows: list[dict[str, Any]] = []
        for query, lexemes in queries:
            if len(rows) < limit:
                rows += _exact(cursor, query, lexemes, rows, limit)
        if len(rows) < limit:
            rows += _alike(cursor, form, words, rows, limit)
        return rows


def _exact(
    cursor: Any, query: str, lexemes: list[str], seen: list[dict[str, Any]], limit: int
) -> list[dict[str, Any]]:
    """Return tracks with the words of a query and with these lexemes, those with most first."""
    cursor.execute(
        "WITH asked AS ("  # noqa: S608 - our own columns and joins
        "   SELECT to_tsquery('simple', %(query)s) && %(lexemes)s::tsquery AS query),"
        " found AS MATERIALIZED ("
        "   SELECT id, ts_rank(words, query) AS rank FROM asked, track"
        f"  WHERE words @@ query AND {_STORED} AND id <> ALL(%(seen)s) LIMIT %(ranked)s)"
        f" SELECT {TRACK_COLUMNS}, 1.0::real AS score {TRACK_JOINS} JOIN ("
        "   SELECT id, rank FROM found ORDER BY rank DESC, id LIMIT %(limit)s"
        " ) AS best ON best.id = track.id ORDER BY rank DESC, track.id",
        {
            "query": query,
            "lexemes": " & ".join(map(_lexeme, lexemes)),
            "ranked": RANKED,
        }
        | _remaining(seen, limit),
    )
    return as_dicts(cursor)


def _alike(
    cursor: Any, form: str, words: list[str], seen: list[dict[str, Any]], limit: int
) -> list[dict[str, Any]]:
    """Return tracks with words that look like those asked for, the most alike first."""
    spellings = _spellings(cursor, words[:MOST_WORDS])
    if not spellings:
        return []
    cursor.execute("SET LOCAL pg_trgm.word_similarity_threshold = 0.5")
    cursor.execute(
        "WITH complete AS MATERIALIZED ("  # noqa: S608 - our own columns and joins
        f"  SELECT id FROM track WHERE words @@ %(all)s::tsquery AND {_STORED}"
        "   LIMIT %(compared)s),"
        " asked AS MATERIALIZED ("
        "   SELECT * FROM unnest(%(each)s::tsquery[], %(letters)s) AS _ (query, letters)"
        "   WHERE (SELECT count(*) FROM complete) < %(limit)s),"
        " hit AS MATERIALIZED (SELECT DISTINCT ON (track.id) track.id, track.words FROM asked,"
        "   LATERAL (SELECT id, words FROM track WHERE words @@ query LIMIT %(ranked)s) AS track),"
        # A word may be one too many; with less than half of the letters none is alike.
        " partly AS MATERIALIZED (SELECT id FROM ("
        "   SELECT hit.id FROM hit JOIN asked ON hit.words @@ query"
        "   GROUP BY hit.id HAVING sum(letters) >= %(enough)s ORDER BY sum(letters) DESC, id"
        f" ) AS track WHERE {_STORED} LIMIT %(compared)s)"
        f" SELECT {TRACK_COLUMNS}, word_similarity(%(form)s, search_text) AS score {TRACK_JOINS}"
        " WHERE track.id = ANY(ARRAY(SELECT id FROM complete UNION SELECT id FROM partly))"
        "   AND track.id <> ALL(%(seen)s) AND %(form)s <%% search_text"
        " ORDER BY score DESC, track.id LIMIT %(limit)s",
        {
            "all": " & ".join(f"({query})" for query in spellings.values()),
            "each": list(spellings.values()),
            "letters": [len(word) for word in spellings],
            "enough": 0.4 * sum(map(len, words)),
            "form": form,
            "ranked": RANKED_PER_WORD,
            "compared": COMPARED,
        }
        | _remaining(seen, limit),
    )
    return as_dicts(cursor)


def _spellings(cursor: Any, words: list[str]) -> dict[str, str]:
    """Return each word that resembles some of the library's, with a query for one of those.

    One that the library has stands for itself, except the last, which may be unfinished.
    """
    cursor.execute("SELECT word FROM search_word WHERE word = ANY(%s)", (words[:-1],))
    found = {word: _lexeme(word) for (word,) in cursor}
    # Less than what a track must reach: it may have in two words what was typed as one.
    cursor.execute("SET LOCAL pg_trgm.word_similarity_threshold = 0.4")
    cursor.execute(
        "SELECT asked, array_agg(word) FROM unnest(%(words)s) AS asked, LATERAL ("
        "   SELECT word FROM search_word WHERE asked <%% word"
        "   ORDER BY word_similarity(asked, word) DESC, similarity(asked, word) DESC, word"
        "   LIMIT %(spellings)s) AS alike GROUP BY asked",
        {"words": [word for word in words if word not in found], "spellings": SPELLINGS},
    )
    return found | {asked: " | ".join(map(_lexeme, alike)) for asked, alike in cursor}


def _lexeme(word: str) -> str:
    """Return a word as a text of type tsquery has it."""
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


def _remaining(seen: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    return {"seen": [row["id"] for row in seen], "limit": limit - len(seen)}


def search_form(cursor: Any, text: str) -> str:
    """Return a person's words as they are compared: without accents and case."""
    cursor.execute("SELECT search_form(%s)", (_sendable(text),))
    form: str = one_row(cursor)[0]
    return form


def _sendable(text: str) -> str:
    # PostgreSQL takes neither NUL nor lone surrogates (a byte of the terminal that is no UTF-8)
    return text[:LONGEST_SEARCH].replace("\0", " ").encode("utf-8", "ignore").decode()


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

    Of one artist (the first that a track names) there are at most three in ten, as long as
    others have tracks that are alike.

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
        # More than asked for: gone files and what is too much of one artist are left out.
        # 200 finds 97 % of the ten nearest among 100,000, 100 finds 95 %; it takes 0.5 ms.
        nearest = min(1000, max(200, limit * 20))
        cursor.execute("SET LOCAL hnsw.ef_search = %s", (nearest,))
        cursor.execute(
            "WITH nearest AS MATERIALIZED ("  # noqa: S608 - our own columns and joins
            "   SELECT track_id, embedding <=> %(vector)s AS distance"
            "   FROM track_vector ORDER BY embedding <=> %(vector)s LIMIT %(nearest)s),"
            " ranked AS ("
            # a track without an artist is one of its own
            "   SELECT track_id, distance, row_number() OVER ("
            "     PARTITION BY artist_id, CASE WHEN artist_id IS NULL THEN track_id END"
            "     ORDER BY distance, track_id) AS number"
            "   FROM nearest JOIN file ON file.id = track_id AND state = 'stored'"
            "     LEFT JOIN LATERAL (SELECT artist_id FROM track_artist"
            "       WHERE track_artist.track_id = nearest.track_id AND role = 'artist'"
            "       ORDER BY position LIMIT 1) AS foremost ON true"
            "   WHERE track_id <> %(id)s),"
            " best AS (SELECT * FROM ranked ORDER BY CASE WHEN distance > %(unlike)s THEN 2"
            "     WHEN number > %(of_one_artist)s THEN 1 ELSE 0 END, distance, track_id"
            "   LIMIT %(limit)s)"
            f" SELECT {TRACK_COLUMNS}, (1 - distance)::real AS score {TRACK_JOINS}"
            " JOIN best ON best.track_id = track.id ORDER BY distance, track.id",
            {
                "vector": row[0],
                "id": track_id,
                "limit": limit,
                "nearest": nearest,
                "unlike": UNLIKE,
                "of_one_artist": math.ceil(limit * 0.3),
            },
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
            "WITH stored AS MATERIALIZED (SELECT track.id, album_id, duration"
            "   FROM track JOIN file USING (id) WHERE state = 'stored'),"
            " files AS (SELECT count(*) FILTER (WHERE state = 'failed') AS failed,"
            "   count(*) FILTER (WHERE state = 'gone') AS gone,"
            "   coalesce(sum(size) FILTER (WHERE state = 'stored'), 0)::bigint AS bytes FROM file)"
            " SELECT (SELECT count(*) FROM stored) AS tracks,"
            " (SELECT count(*) FROM (SELECT album_id FROM stored WHERE album_id IS NOT NULL"
            "   GROUP BY album_id) AS _) AS albums,"
            " (SELECT count(*) FROM (SELECT artist_id FROM track_artist"
            "   JOIN stored ON id = track_id WHERE role = 'artist' GROUP BY artist_id"
            " ) AS _) AS artists,"
            " (SELECT count(*) FROM album WHERE cover IS NOT NULL) AS covers,"
            " (SELECT count(*) FROM track_vector) AS vectors,"
            " failed AS failed_files, gone AS gone_files,"
            " (SELECT coalesce(sum(duration), 0)::bigint FROM stored) AS seconds, bytes FROM files"
        )
        return as_dicts(cursor)[0]


def as_dicts(cursor: Any) -> list[dict[str, Any]]:
    """Return a query's rows by their columns' names, paths as text to be shown."""
    names = [column.name for column in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    for row in rows:
        if "path" in row:
            # shown to people: a byte that is not UTF-8 becomes \xNN
            row["path"] = shown(bytes(row["path"]))
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
