import dataclasses
import inspect
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend_worker.library import grouping
from backend_worker.library.grouping import better_spelling, group
from backend_worker.library.model import AlbumEntity, EntityBatch, TrackRecord
from backend_worker.library.names import VARIOUS_ARTISTS_MBID
from backend_worker.storage import staging

MBID = "11111111-2222-3333-4444-55555555555{}".format


def track(path="/m/A/Album/01.flac", **tags):
    return TrackRecord(path=path, size=1, mtime_ns=1, fingerprint="00", **tags)


def keys(entities):
    return [entity.key for entity in entities]


def album_keys(*records):
    return keys(group(records).albums)


def test_spellings_are_one_artist_and_one_album():
    batch = group(
        [
            track("/m/1", artists=["THE BEATLES"], album_artists=["beatles"], album="HELP!"),
            track("/m/2", artists=["The Beatles"], album_artists=["Beatles, The"], album="Help!"),
        ]
    )
    assert keys(batch.artists) == ["beatles"]
    assert batch.artists[0].name == "Beatles, The"
    assert keys(batch.albums) == ["help|beatles"]
    assert batch.albums[0].title == "Help!"
    assert batch.albums[0].artist_keys == ["beatles"]
    assert [entity.album_key for entity in batch.tracks] == ["help|beatles"] * 2


def test_albums_of_one_title_by_two_artists_are_two():
    assert album_keys(
        track("/m/1", album="Greatest Hits", album_artists=["Queen"]),
        track("/m/2", album="Greatest Hits", album_artists=["ABBA"]),
    ) == ["greatest hits|abba", "greatest hits|queen"]


def test_guests_named_as_album_artists_do_not_split_an_album():
    batch = group(
        [
            track("/m/1", album="X", album_artists=["A"]),
            track("/m/2", album="X", album_artists=["A feat. B"]),
        ]
    )
    assert keys(batch.albums) == ["x|a"]


def test_the_order_of_album_artists_does_not_matter():
    assert album_keys(
        track("/m/1", album="X", album_artists=["A", "B"]),
        track("/m/2", album="X", album_artists=["B; A"]),
    ) == ["x|a+b"]


def test_discs_are_one_album():
    assert album_keys(
        track("/m/A/Album/CD1/01.flac", album="Album"),
        track("/m/A/Album/CD2/01.flac", album="Album (Disc 2)"),
        track("/m/A/Album/03.flac", album="Album"),
    ) == ["album|dir:/m/A/Album"]


@pytest.mark.parametrize(
    ("path", "tags", "expected"),
    [
        ("/m/Chrono - Disc 1/1.flac", {}, (1, None)),
        ("/m/Chrono/CD II/1.flac", {}, (2, None)),
        ("/m/Chrono/1.flac", {"album": "Chrono (Disc two: Live)"}, (2, "Live")),
        ("/m/Rub/37/1.flac", {"album": "The Collection CD 37: Liszt"}, (37, "Liszt")),
        ("/m/Chrono/CD2 - Live/1.flac", {"album": "Chrono [CD2]"}, (2, "Live")),
        # a tag knows better, unless each disc is the first of one
        ("/m/Chrono/CD1/1.flac", {"disc_number": 3}, (3, None)),
        ("/m/Chrono/CD2/1.flac", {"disc_number": 1, "disc_total": 2}, (1, None)),
        ("/m/Chrono/CD2/1.flac", {"disc_number": 1, "disc_total": 1}, (2, None)),
        ("/m/Chrono/CD1/1.flac", {"album": "Chrono (Disc 2)"}, (2, None)),
        ("/m/Chrono/1.flac", {}, (None, None)),
        ("/m/Disco 2/1.flac", {"album": "Italo Disco 1"}, (None, None)),
    ],
)
def test_what_is_known_of_a_disc_is_kept(path, tags, expected):
    (entity,) = group([track(path, **({"album": "Chrono"} | tags))]).tracks
    assert (entity.record.get("disc_number"), entity.record.get("disc_title")) == expected


@pytest.mark.parametrize(
    "tags",
    [
        {"album_artists": ["Various Artists"]},
        {"album_artists": ["VA"]},
        {"album_artists": ["Verschiedene"]},
        {"mb_album_artist_ids": [VARIOUS_ARTISTS_MBID], "album_artists": ["Diverse Leute"]},
    ],
)
def test_compilations_come_together_from_any_folder(tags):
    batch = group(
        [
            track("/m/A/1", artists=["A"], album="Now 5", **tags),
            track("/m/B/1", artists=["B"], album="Now 5", **tags),
        ]
    )
    (album,) = batch.albums
    assert album.key == "now 5|various"
    assert album.artist_credit == "Various Artists"
    assert album.artist_keys == []
    assert album.compilation
    assert keys(batch.artists) == ["a", "b"]


def test_a_collection_of_one_artist_is_that_artist_s():
    (album,) = group([track(album="Gold", album_artists=["ABBA"], compilation=True)]).albums
    assert (album.key, album.artist_credit, album.compilation) == ("gold|abba", "ABBA", True)


def test_without_album_artist_the_folder_tells_and_nobody_is_credited():
    (album,) = group([track("/m/A/Album/01.flac", artists=["A"], album="Album")]).albums
    assert album.name_key == "album|dir:/m/A/Album"
    assert album.artist_keys == []
    assert album.artist_credit is None


@pytest.mark.parametrize("title", [None, "", "  "])
def test_a_track_without_album_title_has_no_album(title):
    batch = group([track(album=title, artists=["A"], album_artists=["A"])])
    assert batch.albums == []
    assert batch.tracks[0].album_key is None


def test_musicbrainz_ids_are_the_identity():
    batch = group(
        [
            track(
                artists=["A feat. B"],
                mb_artist_ids=[MBID(1), MBID(2)],
                album="X",
                album_artists=["A"],
                mb_album_artist_ids=[MBID(1).upper()],
                mb_release_id=MBID(3),
            )
        ]
    )
    assert [(a.key, a.name_key, a.name, a.mbid) for a in batch.artists] == [
        ("mbid:" + MBID(1), "a", "A", MBID(1)),
        ("mbid:" + MBID(2), "b", "B", MBID(2)),
    ]
    assert (batch.albums[0].key, batch.albums[0].name_key) == ("mbid:" + MBID(3), "x|a")
    assert batch.albums[0].artist_keys == ["mbid:" + MBID(1)]
    assert batch.tracks[0].artist_keys == ["mbid:" + MBID(1), "mbid:" + MBID(2)]
    assert batch.tracks[0].artist_credit == "A feat. B"


def test_credit_of_a_tag_is_shown_rather_than_one_made_from_the_names():
    record = track(artists=["A", "B"], artist_credit="A versus B")
    assert group([record]).tracks[0].artist_credit == "A versus B"


def test_two_artists_of_one_name_are_told_apart_by_id():
    (entity,) = group([track(artists=["X", "X"], mb_artist_ids=[MBID(1), MBID(2)])]).tracks
    assert entity.artist_keys == ["mbid:" + MBID(1), "mbid:" + MBID(2)]


@pytest.mark.parametrize("ids", [[MBID(1)], [MBID(1), MBID(2), MBID(3)], ["x", "y"]])
def test_ids_that_do_not_fit_the_names_are_left_out(ids):
    batch = group([track(artists=["A feat. B"], mb_artist_ids=ids)])
    assert keys(batch.artists) == ["a", "b"]
    assert all(artist.mbid is None for artist in batch.artists)


def test_an_unusable_release_id_is_left_out():
    (album,) = group([track(album="X", album_artists=["A"], mb_release_id="none")]).albums
    assert (album.key, album.mbid) == ("x|a", None)


def test_guests_of_the_title_are_artists_of_the_track():
    (entity,) = group([track(title="Song (feat. B)", artists=["A"])]).tracks
    assert entity.artist_keys == ["a", "b"]
    assert entity.artist_credit == "A"
    (entity,) = group([track(title="Song (feat. B)", artists=["A feat. B"])]).tracks
    assert entity.artist_keys == ["a", "b"]
    (entity,) = group([track(title="Song (feat. B)")]).tracks
    assert entity.artist_keys == []


def test_composers_are_artists_in_their_own_role():
    batch = group([track(artists=["A"], composers=["C; D", "A"])])
    assert keys(batch.artists) == ["a", "c", "d"]
    assert batch.tracks[0].composer_keys == ["c", "d", "a"]
    assert batch.tracks[0].artist_keys == ["a"]


def test_sort_names_go_with_their_artists():
    batch = group(
        [track(artists=["The A", "B"], artist_sorts=["A, The", "B"]), track("/x", artists=["B"])]
    )
    assert [(a.name, a.sort_name) for a in batch.artists] == [("The A", "A, The"), ("B", "B")]


def test_what_tracks_say_of_an_album_is_merged():
    common = {"album_artists": ["A"], "mb_release_group_id": None}
    (album,) = group(
        [
            track("/1", album="ALBUM", date="2001-05", disc_total=1, label="emi", **common),
            track("/2", album="Album", date="2001", disc_total=2, label="EMI", **common),
            track("/3", album="album", compilation=True, original_date="1969", **common),
        ]
    ).albums
    assert album.title == "Album"
    assert (album.date, album.original_date, album.disc_total) == ("2001", "1969", 2)
    assert (album.compilation, album.label) == (True, "EMI")


def test_of_one_path_twice_the_later_counts():
    (entity,) = group([track(title="old"), track(title="new")]).tracks
    assert entity.record["title"] == "new"


def test_a_name_that_is_no_utf8_survives_and_its_key_is_plain_text():
    path = "/m/caf\udce9/01.mp3"
    batch = group([track(path, album="X")])
    assert batch.albums[0].key == "x|dir:/m/caf\\xe9"
    again = EntityBatch.from_message(json.loads(json.dumps(batch.to_message())))
    assert again.tracks[0].record["path"] == path


def test_keys_fit_into_an_index_of_postgresql():
    long = "é" * 5000
    batch = group(
        [
            track("/m/" + "ü" * 4000 + "/1", album=long, artists=[long]),
            track("/m/2", album=long, album_artists=[long]),
            track("/m/3", album=long + "x", album_artists=[long]),
        ]
    )
    assert len(batch.albums) == 3
    assert all(len(album.name_key.encode()) < 2700 for album in batch.albums)
    assert all(len(artist.name_key.encode()) < 2700 for artist in batch.artists)


def test_better_spelling():
    assert better_spelling("QUEEN", "Queen") == "Queen"
    assert better_spelling("queen", "QUEEN") == "QUEEN"
    assert better_spelling(None, "x") == "x"
    assert better_spelling("КИНО", "Кино") == "Кино"


def values(*options):
    return st.lists(st.sampled_from(options), max_size=2)


ids = st.sampled_from([MBID(n) for n in range(3)])
records = st.builds(
    track,
    path=st.sampled_from(["/a/{}", "/a/CD1/{}", "/a CD2/{}", "/b\udcff/{}"]),
    title=st.sampled_from([None, "Song", "Song (feat. C)"]),
    artists=values("A", "a", "The A", "B", "A feat. B", "!!!"),
    album_artists=values("A", "THE A", "VA", "A feat. B"),
    album=st.sampled_from([None, "X", "x", "X (Disc 2)", "Y"]),
    compilation=st.booleans(),
    composers=values("C", "c"),
    date=st.sampled_from([None, "2001", "2001-05", "1999"]),
    disc_total=st.sampled_from([None, 1, 2]),
    label=st.sampled_from([None, "L", "l", "La"]),
    artist_sorts=values("A", "a"),
    mb_artist_ids=st.lists(ids, max_size=2),
    mb_release_id=st.none() | ids,
)


@st.composite
def libraries(draw):
    """Records with a path each."""
    drawn = draw(st.lists(records, max_size=12))
    for number, record in enumerate(drawn):
        record.path = record.path.format(number)
    return drawn


@given(libraries(), st.randoms(use_true_random=False))
def test_the_order_of_tracks_does_not_matter(library, random):
    shuffled = random.sample(library, len(library))
    assert group(shuffled) == group(library)


@given(libraries(), st.integers(1, 5))
def test_batches_may_cut_anywhere(library, size):
    whole = group(library)
    parts = [group(library[start : start + size]) for start in range(0, len(library), size)]
    assert {key for part in parts for key in keys(part.artists)} == set(keys(whole.artists))
    assert {key for part in parts for key in keys(part.albums)} == set(keys(whole.albums))
    cut = [entity for part in parts for entity in part.tracks]
    assert sorted(cut, key=lambda entity: entity.record["path"]) == whole.tracks


@given(libraries())
def test_every_key_that_is_used_is_there_once(library):
    batch = group(library)
    artists, albums = keys(batch.artists), keys(batch.albums)
    assert artists == sorted(set(artists))
    assert albums == sorted(set(albums))
    for entity in batch.tracks:
        assert {*entity.artist_keys, *entity.composer_keys} <= set(artists)
        assert entity.album_key is None or entity.album_key in albums
        assert len(set(entity.artist_keys)) == len(entity.artist_keys)
    for album in batch.albums:
        assert set(album.artist_keys) <= set(artists)


@given(libraries())
def test_a_batch_survives_its_message(library):
    batch = group(library)
    assert EntityBatch.from_message(json.loads(json.dumps(batch.to_message()))) == batch


def test_tracks_of_one_album_cost_one_look_however_many_pictures_they_have(monkeypatch):
    """Each track may have a picture of its own, which says nothing of the album's identity."""
    looks = []

    def counting(record, _album=grouping._album):
        looks.append(record.path)
        return _album(record)

    monkeypatch.setattr(grouping, "_album", counting)
    batch = group(
        [
            track(f"/m/A/B/{n}.flac", album="B", artists=["A"], picture=f"{n:064x}")
            for n in range(12)
        ]
    )
    assert len(batch.albums) == 1
    assert len(looks) == 1


def test_every_field_of_an_album_is_stored():
    """What is read and merged and then thrown away only costs."""
    fields = {field.name for field in dataclasses.fields(AlbumEntity)}
    staged = inspect.getsource(staging)
    assert {name for name in fields if f"album.{name}" not in staged} == set()
