"""The library in PostgreSQL is the same in whatever order and batches its tracks arrive."""

import itertools
import random

import pytest

from backend_worker.library.grouping import better_spelling, group
from backend_worker.library.model import EntityBatch, TrackRecord
from backend_worker.storage.connection import transaction
from backend_worker.storage.insert import insert_batch

MBID = "{:08x}-0000-4000-8000-000000000000".format
batch_ids = (f"grouping-{number}" for number in itertools.count())


@pytest.fixture(autouse=True)
def _empty_library(servers):
    empty()
    yield
    empty()


def empty():
    with transaction() as cursor:
        cursor.execute("TRUNCATE file, artist, album, scan_batch CASCADE")


def store(records):
    message = group(records).to_message()
    insert_batch(next(batch_ids), EntityBatch.from_message(message), still_exists=lambda _: True)


def track(path, number=0, **tags):
    return TrackRecord(path=path, size=1, mtime_ns=1, fingerprint=f"{number:016x}", **tags)


def contents():
    """Return albums and artists with their links, without the numbers that storing gave."""
    with transaction() as cursor:
        cursor.execute(
            "SELECT name_key, mbid::text, title, artist_credit, date, compilation, disc_total,"
            "   label, (SELECT string_agg(encode(path, 'hex'), ' ' ORDER BY path) FROM track"
            "     JOIN file USING (id) WHERE album_id = album.id),"
            "   (SELECT string_agg(artist.name_key, '+' ORDER BY position) FROM album_artist"
            "     JOIN artist ON artist.id = artist_id WHERE album_id = album.id)"
            " FROM album ORDER BY 1, 2"
        )
        albums = cursor.fetchall()
        cursor.execute(
            "SELECT name_key, mbid::text, name, (SELECT count(*) FROM track_artist"
            "   WHERE artist_id = artist.id) FROM artist ORDER BY 1, 2"
        )
        return albums, cursor.fetchall()


def made_up_track(number, chance):
    tags = {
        "title": chance.choice([None, "T", "t (feat. Z)"]),
        "artists": chance.choice([["A"], ["a"], ["B"], ["A feat. B"], ["A", "B"], ["The A"]]),
        "album": chance.choice(["Alpha", "ALPHA", "Beta (Disc 1)", "Beta (Disc 2)", None]),
        "date": chance.choice([None, "2001", "2001-05"]),
        "disc_total": chance.choice([None, 1, 2]),
        "label": chance.choice([None, "L", "La"]),
        "composers": chance.choice([[], ["Co"]]),
    }
    kind = chance.random()
    if kind < 0.3:
        tags["album_artists"] = [chance.choice(["A", "a", "The A"])]
    elif kind < 0.4:
        tags["album_artists"] = ["VA"]
    elif kind < 0.5:
        tags["compilation"] = True
    elif kind < 0.6:
        tags |= {"album": "Gamma", "album_artists": ["A"], "mb_release_id": MBID(7)}
    if tags["artists"] == ["A"] and chance.random() < 0.3:
        tags["mb_artist_ids"] = [MBID(1)]
    folder = chance.choice(["/m/x", "/m/x/CD1", "/m/y CD 2", "/m/z\udcff"])
    return track(f"{folder}/{number}.mp3", number, **tags)


@pytest.mark.parametrize("seed", range(8))
def test_order_and_batches_do_not_matter(seed):
    chance = random.Random(seed)
    tracks = [made_up_track(number, chance) for number in range(60)]
    store(tracks)
    expected = contents()
    for size in (1, 7):
        empty()
        shuffled = chance.sample(tracks, len(tracks))
        for start in range(0, len(shuffled), size):
            store(shuffled[start : start + size])
        assert contents() == expected


def only_album():
    ((_, _, _, credit, _, compilation, _, _, _, artists),) = contents()[0]
    return credit, compilation, artists


def test_an_album_without_album_artist_gets_who_is_on_every_track():
    store([track("/m/X/1", 1, album="X", artists=["A feat. B"])])
    assert only_album() == ("A", False, "a")
    store([track("/m/X/2", 2, album="X", artists=["C feat. A"])])
    assert only_album() == ("A", False, "a")
    store([track("/m/X/3", 3, album="X", artists=["D"])])
    assert only_album() == ("Various Artists", True, None)
    store([track("/m/X/3", 3, album="X", artists=["A"])])  # tagged anew
    assert only_album() == ("A", False, "a")


def test_a_derived_credit_follows_the_artist_s_name():
    store([track("/m/X/1", 1, album="X", artists=["QUEEN"])])
    store([track("/m/Y/1", 2, artists=["Queen"])])
    assert only_album() == ("Queen", False, "queen")


def test_tagged_album_artists_replace_derived_ones():
    store([track("/m/X/1", 1, album="X", artists=["A"], mb_release_id=MBID(1)),
           track("/m/X/2", 2, album="X", artists=["B"], mb_release_id=MBID(1))])  # fmt: skip
    assert only_album() == ("Various Artists", True, None)
    tagged = {"album": "X", "album_artists": ["Z"], "mb_release_id": MBID(1)}
    store([track("/m/X/1", 1, artists=["A"], **tagged)])
    assert only_album() == ("Z", False, "z")


def test_an_artist_known_by_name_takes_on_its_id():
    store([track("/m/1", 1, artists=["A"])])
    store([track("/m/2", 2, artists=["A"], mb_artist_ids=[MBID(1)])])
    store([track("/m/3", 3, artists=["A"])])
    assert contents()[1] == [("a", MBID(1), "A", 3)]


def test_a_track_from_a_client_needs_no_fingerprint():
    record = track("/m/1", artists=["A"])
    record.fingerprint = ""
    store([record])
    assert contents()[1] == [("a", None, "A", 1)]


def test_the_better_spelling_is_the_same_in_python_and_in_sql():
    chance = random.Random(3)
    letters = [*"aAßÉéςΣ1 ÿŸǆǅǄōが", "\u0130", "\u0131", "\u041a", "\u043a", "\ufb01"]

    def word():
        return "".join(chance.choices(letters, k=chance.randint(0, 4)))

    pairs = [(word(), word()) for _ in range(2000)]
    with transaction() as cursor:
        cursor.execute(
            "SELECT better_spelling(a, b)"
            " FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS pair (a, b, place)"
            " ORDER BY place",
            tuple(map(list, zip(*pairs, strict=True))),
        )
        assert [row[0] for row in cursor] == [better_spelling(a, b) for a, b in pairs]
