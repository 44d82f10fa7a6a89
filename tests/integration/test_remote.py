"""Remote services: what is remembered, when they are left alone, who waits for whom."""

import multiprocessing
import time

import pytest

from backend_worker.progress.connection import redis_client
from backend_worker.storage import artwork
from backend_worker.tasks.covers import process_album_covers
from backend_worker.tasks.deferred import enrich_batch
from backend_worker.tasks.remote import SharedService
from tests.support.collection import collection, cover, lookups
from tests.support.cover_archive import Answer
from tests.support.pictures import picture, png_of
from tests.support.waiting import WAIT_SECONDS

RELEASE = "11111111-0000-4000-8000-{:012d}".format
GROUP = "22222222-0000-4000-8000-000000000001"


@pytest.fixture
def shelf(library, tmp_path):
    with collection(tmp_path) as made:
        yield made


def forget_times(library):
    library.rows("UPDATE remote_lookup SET retry_at = now() RETURNING key")


def test_what_the_archive_lacks_is_not_asked_for_again(shelf):
    album = shelf.add("A", "One", mbid=RELEASE(1))
    process_album_covers([album])
    process_album_covers([album])
    assert len(shelf.archive.paths) == 1
    [(key, outcome, _, seconds)] = lookups("cover-art-archive")
    assert (key, outcome) == (f"release/{RELEASE(1)}", "not found")
    assert seconds == pytest.approx(30 * 86400, abs=60)


def test_archive_that_is_away_is_left_alone_and_asked_when_the_pause_is_over(shelf, library):
    first, second = (shelf.add("A", f"Title {n}", mbid=RELEASE(n)) for n in (1, 2))
    shelf.archive.answers[f"release/{RELEASE(1)}"] = Answer(500)
    process_album_covers([first, second])
    process_album_covers([second])
    assert len(shelf.archive.paths) == 1
    assert artwork.albums_without_cover(10) == []
    forget_times(library)
    assert artwork.albums_without_cover(10) == [first, second]
    shelf.archive.answers.clear()
    for number in (1, 2):
        shelf.archive.pictures[f"release/{RELEASE(number)}"] = picture()
    process_album_covers([first, second])
    assert cover(first)[1] == cover(second)[1] == "cover-art-archive"


def test_refused_connection_counts_as_away(shelf):
    album = shelf.add("A", "One", mbid=RELEASE(1))
    shelf.archive.close()
    process_album_covers([album])
    [(key, _, _, seconds)] = lookups("cover-art-archive")
    assert (key, seconds) == (artwork.EVERYTHING, pytest.approx(900, abs=30))


def test_retry_after_is_obeyed(shelf):
    album = shelf.add("A", "One", mbid=RELEASE(1))
    shelf.archive.answers[f"release/{RELEASE(1)}"] = Answer(503, {"Retry-After": "100"})
    process_album_covers([album])
    [(key, _, _, seconds)] = lookups("cover-art-archive")
    assert (key, seconds) == (artwork.EVERYTHING, pytest.approx(100, abs=5))


def test_answer_of_no_use_is_tried_again_after_a_pause_that_doubles(shelf, library):
    album = shelf.add("A", "One", mbid=RELEASE(1))
    bomb = Answer(body=png_of(30_000, 30_000), content_type="image/png")
    shelf.archive.answers[f"release/{RELEASE(1)}"] = bomb
    pauses = []
    for attempt in range(1, 4):
        process_album_covers([album])
        [(_, outcome, attempts, seconds)] = lookups("cover-art-archive")
        assert (outcome, attempts) == ("its picture is not usable", attempt)
        pauses.append(seconds)
        forget_times(library)
    assert pauses == pytest.approx([3600, 7200, 14_400], abs=10)
    assert list(shelf.store.hashes()) == []


def test_archive_is_not_asked_when_it_is_switched_off(shelf):
    shelf.configure(COVER_ART_ARCHIVE="no")
    album = shelf.add("A", "One", mbid=RELEASE(1))
    process_album_covers([album])
    assert shelf.archive.paths == []


def test_musicbrainz_gives_albums_their_ids_and_covers_follow(shelf, library):
    known, unknown = shelf.add("Björk", "Homogenic"), shelf.add("Nobody", "Nothing")
    shelf.archive.releases = [
        {
            "id": RELEASE(1),
            "score": 100,
            "title": "Homogenic",
            "artist-credit": [{"name": "Björk"}],
            "release-group": {"id": GROUP},
        }
    ]
    enrich_batch([str(known), unknown, 999])
    assert library.rows("SELECT mbid::text, release_group_mbid::text FROM album ORDER BY id") == [
        (RELEASE(1), GROUP),
        (None, None),
    ]
    assert redis_client().llen("covers") == 1
    enrich_batch([known, unknown])
    assert len(shelf.archive.paths) == 2


def test_musicbrainz_is_not_asked_when_it_is_switched_off(shelf):
    shelf.configure(MUSICBRAINZ_SEARCH="no")
    enrich_batch([shelf.add("A", "One")])
    assert shelf.archive.paths == []


def test_processes_share_the_rate(shelf):
    shelf.configure(REMOTE_INTERVAL_SECONDS=0.1)
    # Not forked: the archive's threads run here, and a child would keep the locks they hold.
    spawn = multiprocessing.get_context("spawn")
    times = spawn.Queue()
    processes = [spawn.Process(target=_take_turns, args=(4, times)) for _ in range(3)]
    for process in processes:
        process.start()
    taken = sorted(times.get(timeout=WAIT_SECONDS) for _ in range(12))
    for process in processes:
        process.join(WAIT_SECONDS)
    # each alone would take 0.3 s
    assert taken[-1] - taken[0] > 11 * 0.1 - 0.05


def _take_turns(count, times):
    service = SharedService("test", "http://127.0.0.1", "a test")
    for _ in range(count):
        service.take_turn()
        times.put(time.monotonic())
