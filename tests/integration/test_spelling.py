"""An artist's name is shown as most tracks write it, in whatever order they come."""

import itertools
import random

import pytest

from backend_worker.library.grouping import group
from backend_worker.library.model import TrackRecord
from backend_worker.storage.insert import insert_batch

batch_ids = (f"spelling-{number}" for number in itertools.count())


def track(number, artist, **tags):
    return TrackRecord(path=f"/m/{number}", size=1, mtime_ns=1, fingerprint=f"{number:016x}",
                       **({"artists": [artist], "album": "x"} | tags))  # fmt: skip


def store(records):
    insert_batch(next(batch_ids), group(records), still_exists=lambda _: True)


def names(library):
    return [name for (name,) in library.rows("SELECT name FROM artist ORDER BY name_key")]


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize(
    ("odd", "most"),
    [("Ac/Dc", "AC/DC"), ("Abba", "ABBA"), ("K.D. Lang", "k.d. lang"), ("REM", "R.E.M."),
     ("Deadmau5", "deadmau5"), ("Bjork", "Björk"), ("КИНО", "Кино")],
)  # fmt: skip
def test_the_odd_one_does_not_win(library, odd, most, size):
    tracks = [track(number, odd if number == 2 else most) for number in range(5)]
    tracks += [track(9, f"{odd} feat. X"), track(10, f"{odd} feat. X"), track(11, f"{odd} feat. X")]
    random.Random(size).shuffle(tracks)
    for start in range(0, len(tracks), size):
        store(tracks[start : start + size])
    assert most in names(library)
    assert odd not in names(library)


def test_an_album_shows_its_artist_s_name_alike(library):
    tags = {"album_artists": ["Ac/Dc"]}
    store([track(n, "Ac/Dc" if n == 1 else "AC/DC", **tags) for n in range(4)])
    assert library.rows("SELECT artist_credit FROM album") == [("AC/DC",)]
    store([track(5, "Ac/Dc", **tags)])
    assert library.rows("SELECT artist_credit FROM album") == [("AC/DC",)]


def test_tracks_that_are_tagged_anew_count_as_they_are_now(library):
    store([track(1, "Abba"), track(2, "Abba"), track(3, "ABBA")])
    assert names(library) == ["Abba"]
    store([track(1, "ABBA")])
    assert names(library) == ["ABBA"]


def test_of_as_many_tracks_each_the_better_spelling_is_shown(library):
    store([track(1, "QUEEN"), track(2, "Queen")])
    assert names(library) == ["Queen"]


def test_a_guest_without_tracks_alone_is_shown_in_the_better_spelling(library):
    store([track(1, "A feat. QUEEN"), track(2, "A feat. Queen"), track(3, "A feat. QUEEN")])
    assert names(library) == ["A", "Queen"]
