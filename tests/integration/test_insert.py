"""Batches in PostgreSQL: whole or not at all, once, in any order, from several processes."""

import dataclasses
import itertools
import multiprocessing
import os
import random
import shutil

import mutagen
import psycopg2
import pytest

from backend_worker.library.grouping import group
from backend_worker.library.model import EntityBatch, FailedFile, TrackRecord
from backend_worker.library.sample import make_library
from backend_worker.library.tags import AUDIO_EXTENSIONS
from backend_worker.library.walk import Walk
from backend_worker.storage import scans
from backend_worker.storage.batches import add_batch
from backend_worker.storage.connection import close_process_connection
from backend_worker.storage.insert import insert_batch
from backend_worker.storage.moves import MOST_IN_VAIN
from backend_worker.storage.walks import WalkCounts
from backend_worker.tasks.extract import read_files
from backend_worker.tasks.vector import calculate
from tests.support import lab
from tests.support.waiting import WAIT_SECONDS

TRACKS = 240


@pytest.fixture(scope="module")
def sample(servers, tmp_path_factory):
    """The records and failures of the sample library."""
    root = tmp_path_factory.mktemp("insert") / "music"
    make_library(str(root), tracks=TRACKS)
    walk = Walk(os.fsencode(root), AUDIO_EXTENSIONS)
    paths = [os.fsdecode(path) for path, _, _ in walk.files()]
    records, failures, ignored = read_files(paths)
    assert (len(records), ignored) == (TRACKS, 0)
    assert failures
    return records, failures


def store(batch_id, records, failures=()):
    """Send records through grouping and a message's form into the database."""
    message = group(records).to_message()
    return insert_batch(batch_id, EntityBatch.from_message(message), failures)


def track(path, **tags):
    return TrackRecord(path=path, size=1, mtime_ns=1, fingerprint=path.encode().hex(), **tags)


def split(chance, items):
    """Cut a list at random places."""
    places = sorted(chance.sample(range(1, len(items)), chance.randint(1, 12)))
    return [items[a:b] for a, b in itertools.pairwise([0, *places, len(items)])]


def snapshot():
    """Return the library without what makes no difference to what a search finds."""
    found = lab.snapshot()
    # the words are the same, but one may be repeated: spellings of an album's artist are
    # compared within a batch
    found["tracks"] = [(*row[:-1], frozenset((row[-1] or "").split())) for row in found["tracks"]]
    return found


def everything():
    """Return all rows that an insert writes, with their numbers."""
    tables = ("file", "track", "album", "artist", "track_artist", "album_artist", "track_vector")
    return {name: lab.rows(f"SELECT {name}::text FROM {name} ORDER BY 1") for name in tables}


def test_same_batch_twice_changes_nothing(library, sample):
    records, failures = sample
    first = store("one", records, failures)
    assert (first.stored, first.failed, first.moved) == (TRACKS, len(failures), 0)
    calculate(first.track_ids)
    before = everything()
    again = store("one", records, failures)
    assert again.done_before
    assert again.stored == 0
    assert sorted(again.track_ids) == first.track_ids
    assert everything() == before


def test_same_tracks_in_another_batch_change_nothing_but_the_vectors_to_be_made(library, sample):
    records, failures = sample
    calculate(store("one", records, failures).track_ids)
    before = library.snapshot()
    again = store("two", records, failures)
    assert (again.stored, again.moved, again.done_before) == (TRACKS, 0, False)
    assert library.snapshot() == before | {"vectors": []}
    calculate(again.track_ids)
    assert library.snapshot() == before


ODD_TEXTS = [
    "back\\slash \\. \\N",
    "a\ttab",
    "two\nlines\r\n",
    "'single' and \"double\"",
    "{brace, comma}",
    "NULL",
    "\\x41",
    "%s %(name)s",
    "\x01\x08\x1b",
    "é 音楽 \U0001f3b5",
]


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_text_is_stored_as_it_is(library, text):
    path = f"/music/{text}.mp3"
    record = track(path, title=text, artists=[text], genres=[text, "Jazz"], comment=text)
    store("odd", [record])
    [row] = lab.rows("SELECT path, title, genres, comment FROM file JOIN track USING (id)")
    assert (bytes(row[0]), *row[1:]) == (path.encode(), text, [text, "Jazz"], text)


def test_batch_with_text_that_cannot_be_stored_fails_for_good(library):
    """A lone surrogate: it would be tried again without end if it looked like a passing trouble."""
    with pytest.raises(UnicodeEncodeError):
        store("odd", [track("/music/a.mp3", title="\ud800")])
    assert store("odd", [track("/music/a.mp3", title="fine")]).stored == 1


def test_vectors_do_not_depend_on_when_the_rest_of_the_album_came(library):
    """They take its year and its artists, of which a later track may know more."""
    tags = {"album": "Album", "artists": ["Somebody"], "genres": ["Jazz"]}
    tracks = [
        track("/music/a/1.mp3", title="One", date="1999", **tags),
        track("/music/a/2.mp3", title="Two", date="1959", **tags),
    ]
    calculate(store("whole", tracks).track_ids)
    expected = library.snapshot()
    library.empty()
    first = store("one", tracks[:1])
    calculate(first.track_ids)
    second = store("two", tracks[1:])
    assert second.outdated == first.track_ids
    calculate([*second.track_ids, *second.outdated])
    assert library.snapshot() == expected


@pytest.mark.parametrize("seed", range(4))
def test_order_and_split_do_not_matter(library, sample, seed):
    records, failures = sample
    store("whole", records, failures)
    expected = snapshot()
    library.empty()
    chance = random.Random(seed)
    for number, part in enumerate(split(chance, chance.sample(records, len(records)))):
        store(f"part-{number}", part)
    for number, failure in enumerate(chance.sample(failures, len(failures))):
        store(f"failure-{number}", [], [failure])
    assert snapshot() == expected


def test_musicbrainz_id_that_comes_later_joins_what_is_known_by_name(library):
    mbid = "11111111-0000-4000-8000-00000000000{}".format
    tags = {"artists": ["Björk"], "album": "Homogenic", "album_artists": ["Björk"]}
    identified = tags | {
        "mb_artist_ids": [mbid(1)],
        "mb_album_artist_ids": [mbid(1)],
        "mb_release_id": mbid(2),
    }
    store("one", [track("/m/1", **tags)])
    known = library.rows("SELECT (SELECT id FROM artist), (SELECT id FROM album)")
    store("two", [track("/m/2", **identified)])
    store("three", [track("/m/3", **tags)])
    assert library.rows("SELECT (SELECT id FROM artist), (SELECT id FROM album)") == known
    assert library.rows(
        "SELECT mbid::text FROM artist UNION SELECT mbid::text FROM album ORDER BY 1"
    ) == [
        (mbid(1),),
        (mbid(2),),
    ]
    assert library.rows("SELECT count(*) FROM track WHERE album_id IS NOT NULL") == [(3,)]


def test_folder_of_several_artists_without_album_artist_is_a_compilation(library):
    one = track("/m/Mix/1", artists=["A"], album="Mix")
    two = track("/m/Mix/2", artists=["B"], album="Mix")
    album = "SELECT artist_credit, compilation FROM album"
    store("one", [one])
    assert library.rows(album) == [("A", False)]
    store("two", [two])
    assert library.rows(album) == [("Various Artists", True)]
    assert library.rows("SELECT FROM album_artist") == []
    store("three", [dataclasses.replace(two, artists=["A"])])
    assert library.rows(album) == [("A", False)]


def test_nul_in_tags_and_names_that_are_not_utf8(library, sample, tmp_path):
    flac = next(record.path for record in sample[0] if record.codec == "flac")
    path = str(tmp_path / os.fsdecode(b"n\xff.flac"))
    shutil.copy(flac, path)
    file = mutagen.File(path)
    file.delete()
    for name in ("title", "artist", "album", "albumartist", "genre", "composer", "comment"):
        file[name] = f"a\0{name}"
    file.save()
    records, failures, _ = read_files([path])
    assert failures == []
    assert store("one", records).stored == 1
    [row] = library.rows(
        "SELECT path, track.title, track.artist_credit, album.title, genres, comment"
        " FROM file JOIN track USING (id) JOIN album ON album.id = album_id"
    )
    assert bytes(row[0]) == os.fsencode(path)
    assert row[1:] == ("atitle", "aartist", "aalbum", ["agenre"], "acomment")


def test_failure_of_a_file_whose_name_is_not_utf8(library):
    failure = FailedFile("/m/caf\udce9.mp3", 1, 1, "no music")
    result = insert_batch("one", EntityBatch(), [FailedFile.from_message(failure.to_message())])
    assert result.failed == 1
    [(path,)] = library.rows("SELECT path FROM file WHERE state = 'failed'")
    assert bytes(path) == b"/m/caf\xe9.mp3"


def test_batch_that_fails_leaves_nothing(library, sample):
    records, failures = sample
    bad = dataclasses.replace(records[-1], duration="for ever")
    before = (everything(), library.rows("SELECT FROM scan_batch"))
    with pytest.raises(psycopg2.Error):
        store("one", [*records[:-1], bad], failures)
    assert (everything(), library.rows("SELECT FROM scan_batch")) == before
    # nor does it leave anything in the connection's staging tables
    assert store("one", records[:5]).stored == 5
    assert library.rows("SELECT count(*) FROM track") == [(5,)]


def test_batch_that_fails_changes_nothing_of_what_was_there(library, sample):
    records, _ = sample
    store("one", records[:50])
    before = everything()
    changed = [dataclasses.replace(record, title="changed") for record in records[:50]]
    changed[-1] = dataclasses.replace(changed[-1], track_number=2**40)
    with pytest.raises(psycopg2.Error):
        store("two", changed)
    assert everything() == before


def test_processes_that_insert_overlapping_batches_do_not_deadlock(library, sample):
    records, failures = sample
    store("whole", records, failures)
    expected = snapshot()
    library.empty()
    fork = multiprocessing.get_context("fork")
    outcomes = fork.Queue()
    processes = [
        fork.Process(target=_insert_shuffled, args=(number, sample, outcomes))
        for number in range(3)
    ]
    for process in processes:
        process.start()
    assert [outcomes.get(timeout=WAIT_SECONDS) for _ in processes] == ["done"] * 3
    for process in processes:
        process.join(WAIT_SECONDS)
    assert snapshot() == expected


def _insert_shuffled(number, sample, outcomes):
    records, failures = sample
    chance = random.Random(number)
    try:
        for place, part in enumerate(split(chance, chance.sample(records, len(records)))):
            store(f"process-{number}-{place}", part)
        store(f"process-{number}", [], failures)
        close_process_connection()
    except BaseException as error:
        outcomes.put(repr(error))
        raise
    outcomes.put("done")


def copies(first, count, folder="/m"):
    return [
        dataclasses.replace(track(f"{folder}/{number:05}.mp3", title="t"), fingerprint="abcd")
        for number in range(first, first + count)
    ]


class Looks:
    """Counts how often a batch looks whether a path is there."""

    def __init__(self, there):
        self.there = there
        self.count = 0

    def __call__(self, path):
        self.count += 1
        return path.startswith(self.there)


def store_copies(scan_id, number, records, looks):
    batch_id = f"scan-{scan_id}-{number}"
    paths = [os.fsencode(record.path) for record in records]
    assert add_batch(scan_id, batch_id, paths, WalkCounts())
    return insert_batch(batch_id, group(records), still_exists=looks)


def test_thousands_of_identical_files_cost_each_as_much_as_the_first(library):
    scan_id = scans.begin(b"/m", "one")
    looks = Looks(there=b"/")
    for number in range(20):
        assert store_copies(scan_id, number, copies(100 * number, 100), looks).moved == 0
    assert looks.count == 0  # this scan has read them just now
    scans.abandon(scan_id, "over")
    again = scans.begin(b"/m", "two")
    for number in range(10):
        assert store_copies(again, number, copies(100 * number, 100, "/m/new"), looks).moved == 0
    assert looks.count <= 10 * (100 + MOST_IN_VAIN)


def test_identical_files_that_all_moved_keep_their_ids(library):
    scan_id = scans.begin(b"/m", "one")
    for number in range(10):
        store_copies(scan_id, number, copies(100 * number, 100), Looks(there=b"/"))
    scans.abandon(scan_id, "over")
    before = lab.rows("SELECT id, convert_from(path, 'UTF8') FROM file ORDER BY id")
    again = scans.begin(b"/m", "two")
    looks = Looks(there=b"/elsewhere")
    for number in range(10):
        moved = store_copies(again, number, copies(100 * number, 100, "/elsewhere"), looks).moved
        assert moved == 100
    after = lab.rows("SELECT id, convert_from(path, 'UTF8') FROM file ORDER BY id")
    assert after == [(number, path.replace("/m/", "/elsewhere/")) for number, path in before]
    assert looks.count == 1000
