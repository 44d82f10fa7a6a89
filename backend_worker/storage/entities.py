"""From the staging tables into artists, albums and tracks: set-based upserts.

What makes two artists or albums the same, and what of two tracks' words about one is kept,
are the rules of ``library/grouping.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend_worker.storage.staging import TRACK_COLUMNS

if TYPE_CHECKING:
    import psycopg2.extensions


def upsert_artists(cursor: psycopg2.extensions.cursor) -> None:
    """Merge the staged artists and note their ids in the staging table."""
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
    # Grouped: an artist may be staged twice, with its MusicBrainz id and by name only.
    # The name is chosen by the tracks: see spelling.py.
    cursor.execute(
        "WITH better AS ("
        "   SELECT artist.id, better_spelling(artist.sort_name, staged.sort_name) AS sort_name"
        "   FROM artist JOIN (SELECT artist_id, best_spelling(sort_name) AS sort_name"
        "       FROM staged_artist GROUP BY artist_id) AS staged ON staged.artist_id = artist.id)"
        " UPDATE artist SET sort_name = better.sort_name FROM better"
        " WHERE artist.id = better.id AND artist.sort_name IS DISTINCT FROM better.sort_name"
    )


def upsert_albums(cursor: psycopg2.extensions.cursor) -> None:
    """Merge the staged albums and their artists, and note their ids in the staging table."""
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
        f"INSERT INTO album (name_key, mbid, {columns})"  # noqa: S608 - our own column names
        f" SELECT name_key, mbid, {columns} FROM staged_album WHERE mbid IS NOT NULL"
        " ORDER BY key ON CONFLICT (mbid) DO NOTHING"
    )
    cursor.execute(
        f"INSERT INTO album (name_key, {columns})"  # noqa: S608 - our own column names
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
    _merge_albums(cursor)
    cursor.execute(
        "DELETE FROM album_artist USING staged_album AS staged"
        " WHERE album_artist.album_id = staged.album_id AND staged.name_key ~ '[|]various([|]|$)'"
    )
    cursor.execute(
        "INSERT INTO album_artist (album_id, position, artist_id)"
        " SELECT DISTINCT ON (album_id, position) album_id, position, artist_id"
        " FROM staged_album_artist AS staged"
        "   JOIN staged_album ON staged_album.key = staged.album_key"
        "   JOIN staged_artist ON staged_artist.key = staged.artist_key"
        " ORDER BY album_id, position, staged.album_key"
        " ON CONFLICT (album_id, position) DO UPDATE SET artist_id = excluded.artist_id"
        "   WHERE album_artist.artist_id <> excluded.artist_id"
    )


def _merge_albums(cursor: psycopg2.extensions.cursor) -> None:
    """Merge what the batch says of its albums into what is known of them.

    Each rule is commutative: an album looks the same in whatever order its parts arrive.
    Credit and compilation of an album in a folder are derived, and give way to tagged ones.
    """
    cursor.execute(
        "WITH staged AS ("
        "   SELECT album_id, (array_agg(name_key"
        "       ORDER BY name_key LIKE '%|dir:%', name_key COLLATE \"C\"))[1] AS name_key,"
        "     best_spelling(title) AS title, best_spelling(sort_title) AS sort_title,"
        "     best_spelling(artist_credit) AS artist_credit,"
        "     min(release_group_mbid::text)::uuid AS release_group_mbid,"
        "     min(date) AS date, min(original_date) AS original_date,"
        "     bool_or(compilation) AS compilation, max(disc_total) AS disc_total,"
        "     best_spelling(label) AS label, best_spelling(catalog_number) AS catalog_number"
        "   FROM staged_album GROUP BY album_id),"
        " joined AS ("
        "   SELECT staged.*, album.name_key LIKE '%|dir:%' AND staged.name_key NOT LIKE '%|dir:%'"
        "     AS tagged_now FROM staged JOIN album ON album.id = album_id),"
        " better AS ("
        "   SELECT album.id, CASE WHEN tagged_now THEN staged.name_key ELSE album.name_key END"
        "       AS name_key,"
        "     better_spelling(album.title, staged.title) AS title,"
        "     better_spelling(album.sort_title, staged.sort_title) AS sort_title,"
        "     CASE WHEN tagged_now THEN staged.artist_credit"
        "       ELSE better_spelling(album.artist_credit, staged.artist_credit) END"
        "       AS artist_credit,"
        "     least(album.release_group_mbid, staged.release_group_mbid) AS release_group_mbid,"
        "     least(album.date, staged.date) AS date,"
        "     least(album.original_date, staged.original_date) AS original_date,"
        "     CASE WHEN tagged_now THEN staged.compilation"
        "       ELSE album.compilation OR staged.compilation END AS compilation,"
        "     greatest(album.disc_total, staged.disc_total) AS disc_total,"
        "     better_spelling(album.label, staged.label) AS label,"
        "     better_spelling(album.catalog_number, staged.catalog_number) AS catalog_number"
        "   FROM joined AS staged JOIN album ON album.id = album_id)"
        " UPDATE album SET name_key = better.name_key, title = better.title,"
        "   sort_title = better.sort_title, artist_credit = better.artist_credit,"
        "   release_group_mbid = better.release_group_mbid, date = better.date,"
        "   original_date = better.original_date, compilation = better.compilation,"
        "   disc_total = better.disc_total, label = better.label,"
        "   catalog_number = better.catalog_number"
        " FROM better WHERE album.id = better.id AND (album.name_key, album.title,"
        "   album.sort_title, album.artist_credit, album.release_group_mbid, album.date,"
        "   album.original_date, album.compilation, album.disc_total, album.label,"
        "   album.catalog_number) IS DISTINCT FROM (better.name_key, better.title,"
        "   better.sort_title, better.artist_credit, better.release_group_mbid, better.date,"
        "   better.original_date, better.compilation, better.disc_total, better.label,"
        "   better.catalog_number)"
    )


def upsert_tracks(cursor: psycopg2.extensions.cursor) -> list[int]:
    """Store the staged tracks with their artists and return their ids."""
    columns = ["title", "artist_credit", "picture", "search_extra", *TRACK_COLUMNS]
    updates = ", ".join(
        f"{column} = excluded.{column}" for column in [*columns, "album_id", "search_text"]
    )
    cursor.execute(
        f"WITH stored AS (INSERT INTO track (id, album_id, search_text, {', '.join(columns)})"  # noqa: S608 - our own column names
        " SELECT file_id, staged_album.album_id,"
        "   search_form(concat_ws(' ', staged.title, staged.artist_credit, staged_album.title,"
        "     CASE WHEN staged_album.artist_credit IS DISTINCT FROM staged.artist_credit"
        "         AND search_form(staged_album.artist_credit)"
        "           IS DISTINCT FROM search_form(staged.artist_credit)"
        "       THEN staged_album.artist_credit END)),"
        f"   {', '.join('staged.' + column for column in columns)}"
        " FROM staged_track AS staged"
        "   LEFT JOIN staged_album ON staged_album.key = staged.album_key"
        f" ON CONFLICT (id) DO UPDATE SET {updates} RETURNING words)"
        " INSERT INTO search_word SELECT DISTINCT unnest(tsvector_to_array(words)) FROM stored"
        " ON CONFLICT DO NOTHING"
    )
    cursor.execute(
        "DELETE FROM track_artist USING staged_track AS staged"
        " WHERE track_artist.track_id = staged.file_id"
    )
    cursor.execute(
        "INSERT INTO track_artist (track_id, role, position, artist_id)"
        " SELECT file_id, role, position, artist_id FROM staged_track_artist AS staged"
        "   JOIN staged_track USING (path)"
        "   JOIN staged_artist ON staged_artist.key = staged.artist_key"
        " ON CONFLICT DO NOTHING"
    )
    cursor.execute("SELECT file_id FROM staged_track ORDER BY file_id")
    return [row[0] for row in cursor]


def derive_album_artists(cursor: psycopg2.extensions.cursor) -> None:
    """Albums of this batch without an album artist get theirs from all of their tracks.

    Who appears on every track, the foremost of them; nobody: various artists, a compilation.
    """
    cursor.execute(
        "WITH performed AS ("
        "   SELECT album_id, track.id AS track_id, artist_id, position"
        "   FROM (SELECT DISTINCT album_id FROM staged_album WHERE name_key LIKE '%|dir:%')"
        "       AS staged"
        "     JOIN album ON album.id = album_id AND album.name_key LIKE '%|dir:%'"
        "     JOIN track USING (album_id)"
        "     JOIN file ON file.id = track.id AND file.state = 'stored'"
        "     JOIN track_artist ON track_id = track.id AND role = 'artist'),"
        " total AS ("
        "   SELECT album_id, count(DISTINCT track_id) AS tracks FROM performed GROUP BY album_id),"
        " throughout AS ("
        "   SELECT DISTINCT ON (album_id) album_id, artist_id, name"
        "   FROM performed JOIN total USING (album_id) JOIN artist ON artist.id = artist_id"
        "   GROUP BY album_id, tracks, artist_id, name, name_key, mbid"
        "   HAVING count(DISTINCT track_id) = tracks"
        "   ORDER BY album_id, sum(position), name_key, mbid),"
        " credited AS ("
        "   SELECT album_id, artist_id, artist_id IS NULL AS various,"
        "     coalesce(name, 'Various Artists') AS credit"
        "   FROM total LEFT JOIN throughout USING (album_id)),"
        " updated AS ("
        "   UPDATE album SET artist_credit = credit, compilation = various FROM credited"
        "   WHERE album.id = album_id"
        "     AND (artist_credit, compilation) IS DISTINCT FROM (credit, various)),"
        " removed AS ("
        "   DELETE FROM album_artist USING credited"
        "   WHERE album_artist.album_id = credited.album_id AND various)"
        " INSERT INTO album_artist (album_id, position, artist_id)"
        " SELECT album_id, 0, artist_id FROM credited WHERE NOT various"
        " ON CONFLICT (album_id, position) DO UPDATE SET artist_id = excluded.artist_id"
        "   WHERE album_artist.artist_id <> excluded.artist_id"
    )


def drop_vectors(cursor: psycopg2.extensions.cursor) -> list[int]:
    """Drop the vectors of the staged tracks and of all others of their albums.

    Their tags may have changed, and what is known of their albums: all are made anew.

    Returns:
        The others' ids, of those that had a vector.
    """
    cursor.execute(
        "DELETE FROM track_vector USING staged_track AS staged"
        " WHERE track_vector.track_id = staged.file_id"
    )
    cursor.execute(
        "DELETE FROM track_vector USING staged_album, track"
        " WHERE track.album_id = staged_album.album_id AND track_vector.track_id = track.id"
        " RETURNING track_id"
    )
    return [row[0] for row in cursor]
