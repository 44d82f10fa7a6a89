"""One value that PostgreSQL refuses costs its own file, never the others of its batch."""

import os

import pytest

from backend_worker.library.grouping import group
from backend_worker.library.model import FailedFile, TrackRecord
from backend_worker.storage import batches
from backend_worker.storage.insert import insert_batch
from backend_worker.storage.maintenance import READ_AGAIN
from backend_worker.storage.walks import WalkCounts
from backend_worker.tasks import extract
from backend_worker.tasks.insert import store

GOOD = 12
TOO_BIG = 2**40
NUL = "a\0b"
SURROGATE = "a\ud800b"

TEXTS = (
    "title artist_credit album key isrc label catalog_number comment title_sort codec date"
    " original_date album_sort"
)
LISTS = ["artists", "album_artists", "genres", "composers"]
NUMBERS = "track_number track_total disc_number disc_total bitrate sample_rate channels bit_depth"
REFUSED = [
    *((name, NUL) for name in TEXTS.split()),
    ("title", SURROGATE),
    ("codec", SURROGATE),
    *((name, [text]) for name in LISTS for text in (NUL, SURROGATE)),
    *((name, number) for name in NUMBERS.split() for number in (TOO_BIG, "many")),
    *((name, 1e300) for name in ("bpm", "replaygain_track_gain", "replaygain_album_peak")),
    ("duration", "long"),
    *((name, "no uuid") for name in ("mb_recording_id", "mb_track_id")),
    *((name, value) for name in ("size", "mtime_ns") for value in (2**63, -(2**70), "soon")),
    ("fingerprint", "no hex"),
    ("picture", "no hex"),
    ("has_lyrics", "perhaps"),
    ("genres", [["Jazz"], 7]),
]


def track(name, **tags):
    tags = {"title": name, "artists": ["A"], "album": "X", "album_artists": ["A"]} | tags
    facts = {"size": 1, "mtime_ns": 1, "fingerprint": name.encode().hex()}
    return TrackRecord(path=f"/music/{name}.mp3", **(facts | tags))


def states(library):
    rows = library.rows("SELECT path, state, mtime_ns, reason FROM file ORDER BY path")
    return {bytes(path).decode(): rest for path, *rest in rows}


def good():
    return [track(f"good{number}") for number in range(GOOD)]


def test_a_value_refused_in_a_column_costs_its_file_alone(library):
    records = good()
    for number, (column, value) in enumerate(REFUSED):
        records.append(track(f"bad{number}", **({"album": f"{number}"} | {column: value})))
    entities = group(records)
    with pytest.raises(Exception):  # noqa: B017, PT011 - of several kinds: it is refused
        insert_batch("as it is", entities)
    store("batch", entities, [], 0)
    found = states(library)
    for number, refused in enumerate(REFUSED):
        state, mtime_ns, reason = found.pop(f"/music/bad{number}.mp3")
        assert (state, mtime_ns, refused) == ("failed", READ_AGAIN, refused)
        assert reason.startswith("the database does not take ")
    assert [row[0] for row in found.values()] == ["stored"] * GOOD
    [counts] = library.rows("SELECT files, stored, failed, ignored FROM scan_batch")
    assert counts == (GOOD + len(REFUSED), GOOD, len(REFUSED), 0)


def test_the_reason_names_the_column(library):
    store("batch", group([track("bad", disc_number=TOO_BIG)]), [], 0)
    assert "its disc_number" in states(library)["/music/bad.mp3"][2]


def test_a_track_that_was_stored_before_stays_when_another_is_refused(library):
    store("before", group(good()), [], 0)
    store("again", group([*good(), track("bad", title=NUL), track("worse", size=2**63)]), [], 0)
    assert sum(row[0] == "stored" for row in states(library).values()) == GOOD
    assert library.rows("SELECT count(*) FROM track") == [(GOOD,)]


def test_a_failure_that_cannot_be_recorded_as_it_is_is_recorded_otherwise(library):
    failures = [
        FailedFile("/music/a.mp3", 2**63, 1, "no music"),
        FailedFile("/music/b.mp3", 1, 1, NUL),
        FailedFile("/music/c.mp3", 1, 1, "no music"),
        FailedFile("/music/" + os.urandom(3000).hex(), 1, 1, "no index takes its path"),
    ]
    store("batch", group(good()), failures, 0)
    found = states(library)
    assert [found[f"/music/{name}.mp3"][1] for name in "abc"] == [READ_AGAIN, READ_AGAIN, 1]
    assert library.rows("SELECT files, stored, failed, ignored FROM scan_batch") == [
        (GOOD + 4, GOOD, 3, 1)
    ]


def test_a_batch_whose_reading_fails_is_halved_until_the_file_is_found(library, tmp_path):
    """As if a fault of ours were in the way of reading: the scan's batch, task by task."""
    paths = [b"%s/%d.mp3" % (os.fsencode(tmp_path), number) for number in range(5)]
    [(scan_id,)] = library.rows(
        "INSERT INTO scan (root, task_id) VALUES ('\\x2f', 'test') RETURNING id"
    )
    batch_id = f"scan-{scan_id}-1"
    assert batches.add_batch(scan_id, batch_id, paths, WalkCounts())
    task = extract.extract_batch
    task.on_failure(KeyError("x"), "id", ([], batch_id), {}, None)
    task.on_failure(KeyError("x"), "id", ([], batch_id + "a"), {}, None)
    task.on_failure(KeyError("x"), "id", ([], batch_id + "aa"), {}, None)
    found = library.rows("SELECT id, state, files, failed FROM scan_batch ORDER BY id")
    assert [(row[0].removeprefix(batch_id), *row[1:]) for row in found] == [
        ("", "split", 5, 0),
        ("a", "split", 2, 0),
        ("aa", "done", 1, 1),
        ("ab", "pending", 1, 0),
        ("b", "pending", 3, 0),
    ]
    assert [row[0] for row in states(library).values()] == ["failed"]
