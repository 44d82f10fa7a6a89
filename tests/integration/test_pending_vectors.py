"""Vectors of stored tracks are made by one process at a time, and each is made in the end."""

import subprocess
import sys

import pytest

from backend_worker.config import get_config
from backend_worker.library import vectors as mathematics
from backend_worker.library.grouping import group
from backend_worker.library.model import TrackRecord
from backend_worker.storage import vectors as storage
from backend_worker.storage.connection import connect
from backend_worker.tasks.followup import follow_up
from backend_worker.tasks.insert import direct_batch
from backend_worker.tasks.maintenance import fill_gaps
from backend_worker.tasks.pending import ARTISTS, TRACKS, PendingSet
from backend_worker.tasks.vector import calculate, pending
from tests.support import lab
from tests.support.messages import waiting


@pytest.fixture
def scan_id(library):
    return library.rows("INSERT INTO scan (root, task_id) VALUES ('/', 'x') RETURNING id")[0][0]


@pytest.fixture
def batch_size(monkeypatch):
    """Twenty tracks that wait are enough for a run."""
    monkeypatch.setenv("BACKEND_WORKER_VECTOR_BATCH_SIZE", "20")
    get_config.cache_clear()
    yield
    get_config.cache_clear()


def store(name, tracks, scan=None, first=1):
    """Insert a batch of a scan (recorded as such), or of a client."""
    if scan is not None:
        lab.rows(
            "INSERT INTO scan_batch (id, scan_id, files) VALUES (%s, %s, %s)"
            " ON CONFLICT DO NOTHING RETURNING id",
            name,
            scan,
            tracks,
        )
    records = [
        TrackRecord(f"/m/{number}", 1, 1, f"{number:02x}", artists=[f"A{number % 3}"])
        for number in range(first, first + tracks)
    ]
    direct_batch({"batch_id": name, **group(records).to_message()})


def sent():
    return [message.task for message in waiting("vector")]


def with_vector():
    return [row[0] for row in lab.rows("SELECT track_id FROM track_vector ORDER BY 1")]


def artists_with_vector():
    return lab.rows("SELECT count(*) FROM artist_vector")[0][0]


def test_batches_of_a_scan_wait_for_each_other(batch_size, scan_id):
    store("scan-1-1", 10, scan_id)
    assert sent() == []
    store("scan-1-2", 10, scan_id, first=11)
    assert sent() == ["vectorization.pending"]
    store("scan-1-3", 10, scan_id, first=21)
    assert sent() == ["vectorization.pending"]  # one that waits is enough
    pending()
    assert with_vector() == list(range(1, 31))
    assert artists_with_vector() == 3
    assert not TRACKS
    assert not ARTISTS


def test_the_end_of_a_scan_asks_for_the_rest(scan_id):
    store("scan-1-1", 3, scan_id)
    follow_up(scan_id)
    assert sent() == ["vectorization.pending"]


def test_a_scan_that_stored_nothing_asks_for_nothing(scan_id):
    follow_up(scan_id)
    assert sent() == []


def test_a_batch_that_no_end_of_a_scan_follows_asks_at_once(library, scan_id):
    store("client-1", 3)
    assert sent() == ["vectorization.pending"]
    store("scan-1-1", 3, scan_id, first=11)
    library.rows("UPDATE scan SET status = 'completed', followed_up = true RETURNING id")
    pending()
    store("scan-1-1", 3, scan_id, first=11)  # delivered again
    assert sent() == ["vectorization.pending"] * 2


def test_a_batch_that_is_delivered_again_waits_for_the_end_of_its_scan(library, scan_id):
    """Until then its albums may lack tracks, and what those say of them."""
    store("scan-1-1", 3, scan_id)
    store("scan-1-1", 3, scan_id)
    assert sent() == []
    library.rows("UPDATE scan SET walk_ended = true RETURNING id")
    store("scan-1-1", 3, scan_id)
    assert sent() == ["vectorization.pending"]


def test_only_one_process_makes_them(library):
    store("client-1", 3)
    other = connect()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", (storage.VECTORS_LOCK,))
    pending()
    assert with_vector() == []
    assert TRACKS
    with other.cursor() as cursor:  # closing would give it back a moment later
        cursor.execute("SELECT pg_advisory_unlock(%s)", (storage.VECTORS_LOCK,))
    other.close()
    pending()
    assert with_vector() == [1, 2, 3]


def test_what_comes_while_the_right_is_given_up_is_not_forgotten(library, monkeypatch):
    """Whoever is refused the right meanwhile relies on it."""
    store("client-1", 3)
    make_artist_vectors = storage.make_artist_vectors

    def and_another_batch_comes(*args):
        make_artist_vectors(*args)
        if len(with_vector()) < 6:
            store("client-2", 3, first=4)

    monkeypatch.setattr(storage, "make_artist_vectors", and_another_batch_comes)
    pending()
    assert with_vector() == [1, 2, 3, 4, 5, 6]
    assert not TRACKS
    assert not ARTISTS


def test_a_track_that_changes_during_its_run_is_dealt_with_again(library, monkeypatch):
    store("client-1", 3)
    track_vectors, runs = mathematics.track_vectors, []

    def and_a_tag_changes(features):
        runs.append([feature.genres for feature in features])
        if len(runs) == 1:
            library.rows("UPDATE track SET genres = '{Jazz}' WHERE id = 2 RETURNING id")
            TRACKS.add([2])
        return track_vectors(features)

    monkeypatch.setattr(mathematics, "track_vectors", and_a_tag_changes)
    pending()
    assert runs == [[(), (), ()], [("Jazz",)]]


def test_a_run_that_is_cut_off_is_taken_up_by_the_next(library, monkeypatch):
    store("client-1", 3)
    with monkeypatch.context() as patch:
        patch.setattr(storage, "artists_of", _cut_off)
        with pytest.raises(_CutOffError):
            pending()
    assert TRACKS
    store("client-2", 1, first=4)
    pending()
    assert with_vector() == [1, 2, 3, 4]
    assert not TRACKS


class _CutOffError(BaseException):
    """As when the process is killed."""


def _cut_off(*_):
    raise _CutOffError


def test_one_track_that_cannot_be_dealt_with_does_not_keep_the_others(library, monkeypatch, caplog):
    track_vectors = mathematics.track_vectors

    def refusing_one(features):
        if any(feature.track_id == 4 for feature in features):
            raise ValueError("odd tags")
        return track_vectors(features)

    monkeypatch.setattr(mathematics, "track_vectors", refusing_one)
    store("client-1", 7)
    pending()
    assert with_vector() == [1, 2, 3, 5, 6, 7]
    assert "track 4 gets no vector: odd tags" in caplog.text
    assert not TRACKS


def test_more_than_one_run_takes_at_once(library, monkeypatch):
    monkeypatch.setattr("backend_worker.tasks.vector.TRACKS_AT_ONCE", 3)
    monkeypatch.setattr("backend_worker.tasks.vector.ARTISTS_AT_ONCE", 2)
    store("client-1", 8)
    pending()
    assert len(with_vector()) == 8
    assert artists_with_vector() == 3


def test_filling_gaps_asks_once(library):
    store("client-1", 8)
    pending()
    library.rows("DELETE FROM track_vector WHERE track_id > 5 RETURNING track_id")
    lab.redis_client().delete("vector")
    fill_gaps()
    assert sent() == ["vectorization.pending"]
    assert lab.rows("SELECT count(*) FROM track_vector") == [(5,)]
    pending()
    assert len(with_vector()) == 8


def test_the_set_keeps_what_is_added_while_it_is_taken(library):
    ids = PendingSet("test")
    assert not ids
    assert ids.take(5) == []
    assert ids.add([3, 1, 2, 1]) == 3
    taken = ids.take(2)
    assert len(taken) == 2
    assert ids.add([3]) == 1
    ids.done(taken)
    [left] = ids.take(5)
    assert {*taken, left} == {1, 2, 3}
    ids.done([left])
    assert ids.take(5) == [3]
    ids.done([3])
    assert not ids


NOTHING_TO_DO = """
import sys
from backend_worker.tasks.deferred import artists
from backend_worker.tasks.maintenance import fill_gaps
from backend_worker.tasks.vector import calculate, pending
calculate([999])
pending()
artists([1])
fill_gaps()
print(*(name for name in ("numpy", "scipy", "sklearn") if name in sys.modules))
"""


def test_nothing_heavy_is_imported_when_there_is_nothing_to_do(library):
    store("client-1", 3)
    pending()
    output = subprocess.run(
        [sys.executable, "-c", NOTHING_TO_DO], capture_output=True, text=True, check=True
    ).stdout
    assert output.split() == []


def test_client_and_run_make_the_same(library):
    store("client-1", 3)
    pending()
    made = library.rows("SELECT track_id, embedding::text FROM track_vector ORDER BY 1")
    library.rows("DELETE FROM track_vector RETURNING track_id")
    calculate([1, 2, 3])
    assert library.rows("SELECT track_id, embedding::text FROM track_vector ORDER BY 1") == made
