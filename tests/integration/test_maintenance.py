"""Every maintenance task by name on the command line: what it does, and what it leaves alone."""

import gc
import json
import os
import shutil
import time
from datetime import timedelta

import pytest

from backend_worker import cli
from backend_worker.config import get_config
from backend_worker.library.artwork.store import CoverStore
from backend_worker.library.sample import make_library
from backend_worker.progress.connection import redis_client
from backend_worker.queues import MAINTENANCE_TASKS
from backend_worker.storage import search
from backend_worker.tasks import maintenance
from tests.support import lab
from tests.support.pictures import picture

TRACKS = 40
HOUR = 3600


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    root = tmp_path_factory.mktemp("maintenance") / "music"
    return root, make_library(str(root), tracks=TRACKS)


@pytest.fixture
def store(library, worker):
    """The worker's cover store, empty."""
    folder = get_config().cover_dir
    for name in os.listdir(folder):
        shutil.rmtree(os.path.join(folder, name))
    return CoverStore(folder)


@pytest.fixture
def run(worker, store, capsys):
    """Run a task by its name on the command line and return what it answers."""

    def run_task(name):
        capsys.readouterr()
        assert cli.main(["maintenance", name, "--json", "--timeout", str(lab.WAIT_SECONDS)]) == 0
        return json.loads(capsys.readouterr().out)

    yield run_task
    gc.collect()  # Celery's results say good-bye to Redis when they are collected


@pytest.fixture
def music(sample, store, tmp_path):
    """A copy of the sample library, scanned, with vectors and covers."""
    root = tmp_path / "music"
    shutil.copytree(sample[0], root, symlinks=True, copy_function=_copy)
    lab.scan(root)
    lab.settle()
    return root


def _copy(source, target):
    if os.path.isfile(source):
        shutil.copy2(source, target)


def put(store, colour, age_seconds=0):
    """Store a picture of one colour that is so old, and return its hash."""
    found = store.put(picture(colour=colour))
    then = time.time() - age_seconds
    os.utime(store.path(found), (then, then))
    return found


def a_file(name, state="stored", gone_for=None):
    """Insert a file without a track and return its id."""
    [(file_id,)] = lab.rows(
        "INSERT INTO file (path, size, mtime_ns, state, gone_at)"
        " VALUES (%s, 1, 1, %s, now() - %s::interval) RETURNING id",
        os.fsencode(f"/m/{name}"),
        state,
        gone_for,
    )
    return file_id


def albums_with(source):
    """Return (album, cover) of those with a cover from there."""
    return lab.rows(
        "SELECT id, encode(cover, 'hex') FROM album WHERE cover_source = %s ORDER BY id", source
    )


@pytest.mark.parametrize("task", MAINTENANCE_TASKS)
def test_task_answers_on_an_empty_library(library, run, task):
    answer = run(task.partition(".")[2])
    assert isinstance(answer, dict)
    assert answer


def test_purge_gone_forgets_files_after_the_configured_days(library, run):
    kept = [
        a_file("stored long ago"),
        a_file("failed long ago", "failed"),
        a_file("gone lately", "gone", timedelta(days=29)),
    ]
    a_file("gone long ago", "gone", timedelta(days=31))
    assert run("purge_gone") == {"files": 1, "days": 30}
    assert library.rows("SELECT id FROM file ORDER BY id") == [(file_id,) for file_id in kept]
    assert run("purge_gone") == {"files": 0, "days": 30}
    assert maintenance.purge_gone("0") == {"files": 1, "days": 0}
    assert library.rows("SELECT count(*) FROM file") == [(2,)]


def test_purge_gone_takes_track_vector_and_links_along(library, run, music):
    library.rows(
        "UPDATE file SET state = 'gone', gone_at = now() - interval '31 days'"
        " WHERE state = 'stored' RETURNING id"
    )
    assert run("purge_gone")["files"] == TRACKS
    for table in ("track", "track_artist", "track_vector"):
        assert library.rows(f"SELECT count(*) FROM {table}") == [(0,)]


def test_purge_orphans_removes_what_nothing_refers_to(library, run, music, store):
    used = set(store.hashes())
    assert used
    image = put(store, (1, 1, 1), 2 * HOUR)
    library.rows(
        "INSERT INTO artist (name_key, name, image, image_source) SELECT 'i', 'I', %s, 'folder'"
        " RETURNING id",
        bytes.fromhex(image),
    )
    library.rows(
        "WITH made AS (INSERT INTO album (name_key, title) VALUES ('e|', 'E') RETURNING id)"
        " INSERT INTO album_artist SELECT id, 0, (SELECT id FROM artist WHERE name = 'I')"
        " FROM made RETURNING album_id"
    )
    library.rows("INSERT INTO search_word VALUES ('of a title as it was') RETURNING 1")
    old, young = put(store, (2, 2, 2), 2 * HOUR), put(store, (3, 3, 3))
    for found in used:
        os.utime(store.path(found), (1, 1))
    # an album of which all files are gone may come back
    library.rows("UPDATE file SET state = 'gone' WHERE id = 1 RETURNING id")
    before = library.rows("SELECT count(*) FROM track UNION ALL SELECT count(*) FROM file")
    albums, artists = library.rows(
        "SELECT count(*) FROM album UNION ALL SELECT count(*) FROM artist"
    )
    answer = run("purge_orphans")
    assert (answer["albums"], answer["artists"], answer["words"]) == (1, 1, 1)
    assert answer["pictures"] == 1 + 1
    assert set(store.hashes()) == used | {young}
    assert not os.path.exists(store.path(old))
    assert library.rows("SELECT count(*) FROM track UNION ALL SELECT count(*) FROM file") == before
    assert library.rows("SELECT count(*) FROM album UNION ALL SELECT count(*) FROM artist") == [
        (albums[0] - 1,),
        (artists[0] - 1,),
    ]
    again = run("purge_orphans")
    assert set(again.values()) == {0}


def test_purge_orphans_touches_nothing_while_a_scan_runs(library, run, store):
    library.rows("INSERT INTO album (name_key, title) VALUES ('e|', 'E') RETURNING id")
    library.rows("INSERT INTO artist (name_key, name) VALUES ('e', 'E') RETURNING id")
    old = put(store, (2, 2, 2), 2 * HOUR)
    library.rows("INSERT INTO scan (root, task_id) VALUES ('/m', 'x') RETURNING id")
    assert set(run("purge_orphans").values()) == {0}
    assert list(store.hashes()) == [old]


def test_purge_orphans_forgets_old_scans_and_lookups(library, run):
    library.rows(
        "INSERT INTO scan (root, task_id, status) SELECT '/m', n::text, 'completed'"
        " FROM generate_series(1, %s) AS n RETURNING id",
        maintenance.SCANS_KEPT + 5,
    )
    library.rows(
        "INSERT INTO remote_lookup (service, key, outcome, retry_at)"
        " SELECT 's', days::text, 'x', now() - make_interval(days => days)"
        " FROM unnest(ARRAY[-1, 89, 91]) AS days RETURNING key"
    )
    library.rows(
        "INSERT INTO scan_batch (id, files, created_at) SELECT hours::text, 1,"
        " now() - make_interval(hours => hours) FROM unnest(ARRAY[23, 25]) AS hours RETURNING id"
    )
    answer = run("purge_orphans")
    assert (answer["scans"], answer["lookups"]) == (5, 1)
    assert library.rows("SELECT min(id), count(*) FROM scan") == [(6, maintenance.SCANS_KEPT)]
    assert library.rows("SELECT id FROM scan_batch") == [("23",)]


def test_check_integrity_finds_nothing_in_an_intact_library(library, run, music):
    before = library.snapshot()
    assert run("check_integrity") == {
        "database": {},
        "pictures_damaged": 0,
        "pictures_lost": 0,
        "files_checked": TRACKS,
        "files_missing": 0,
        "files_changed": 0,
    }
    assert library.snapshot() == before


@pytest.mark.parametrize("source", ["embedded", "folder"])
def test_damaged_and_lost_pictures_are_found_and_made_anew(library, run, music, store, source):
    before = library.snapshot()
    (damaged_album, damaged), (lost_album, lost), *_ = albums_with(source)
    with open(store.path(damaged), "r+b") as file:
        file.write(b"damage")
    os.unlink(store.path(lost))
    answer = run("check_integrity")
    assert (answer["pictures_damaged"], answer["pictures_lost"]) == (1, 1)
    assert (answer["files_missing"], answer["files_changed"]) == (0, 0)
    assert not {damaged_album, lost_album} & {album for album, _ in albums_with(source)}
    assert not {damaged, lost} & set(store.hashes())
    answer = run("check_integrity")
    assert (answer["pictures_damaged"], answer["pictures_lost"]) == (0, 0)

    lab.scan(music)
    lab.settle()
    run("fill_gaps")
    lab.settle()
    assert library.snapshot() == before
    assert store.is_complete(damaged)
    assert store.is_complete(lost)


def test_check_integrity_counts_missing_and_changed_files_and_changes_nothing(library, run, music):
    before = library.snapshot()
    missing, changed, *_ = sorted(path for path in music.rglob("0*.mp3") if path.is_file())
    missing.unlink()
    os.utime(changed)
    answer = run("check_integrity")
    assert (answer["files_missing"], answer["files_changed"]) == (1, 1)
    assert library.snapshot() == before


def test_check_integrity_names_what_does_not_fit_together(library, run, music):
    [(first,), (second,)] = library.rows(
        "SELECT min(track.id) FROM track JOIN album ON album.id = album_id"
        " WHERE track.artist_credit IS NOT NULL"
        " GROUP BY album_id HAVING count(*) > 1 ORDER BY album_id LIMIT 2"
    )
    library.rows("DELETE FROM track WHERE id = %s RETURNING id", first)
    library.rows(
        "DELETE FROM track_artist WHERE track_id = %s AND role = 'artist' RETURNING 1", second
    )
    library.rows("INSERT INTO album (name_key, title) VALUES ('e|', 'E') RETURNING id")
    library.rows("UPDATE scan SET found = found + 1 RETURNING id")
    assert run("check_integrity")["database"] == {
        "stored files without a track": 1,
        "tracks without an artist": 1,
        "albums without a track": 1,
        "scans whose figures do not add up": 1,
    }


def test_retry_failed_reads_a_repaired_file_again(library, run, music, sample):
    unreadable = sample[1].unreadable
    repaired = music / unreadable[0]
    whole = next(path for path in sorted(music.rglob("01*.mp3")) if path.is_file())
    shutil.copy2(whole, repaired)
    assert run("retry_failed") == {"files": len(unreadable)}
    lab.settle()
    states = dict(library.rows("SELECT path::text, state FROM file WHERE path ~~ '%%/Broken/%%'"))
    assert sorted(states.values()) == ["failed"] * (len(unreadable) - 1) + ["stored"]
    [(title,)] = library.rows(
        "SELECT title FROM track JOIN file USING (id) WHERE path = %s", os.fsencode(repaired)
    )
    assert title
    # those that are damaged still are known as such: the next scan does not read them
    assert lab.scan(music).failed == len(unreadable) - 1


def test_fill_gaps_makes_vectors_and_covers_anew(library, run, music):
    before = library.snapshot()
    artists = library.rows("SELECT artist_id, embedding::text FROM artist_vector ORDER BY 1")
    covers = albums_with("embedded") + albums_with("folder")
    library.rows("DELETE FROM track_vector WHERE track_id %% 2 = 0 RETURNING track_id")
    library.rows("DELETE FROM artist_vector RETURNING artist_id")
    library.rows("UPDATE album SET cover = NULL, cover_source = NULL RETURNING id")
    answer = run("fill_gaps")
    assert (answer["tracks"], answer["artists"]) == (TRACKS // 2, len(artists))
    assert answer["albums"] >= len(covers) > 0
    lab.settle()
    assert library.snapshot() == before
    assert (
        library.rows("SELECT artist_id, embedding::text FROM artist_vector ORDER BY 1") == artists
    )
    answer = run("fill_gaps")
    assert (answer["tracks"], answer["artists"], answer["albums"]) == (0, 0, 0)


def test_trim_progress_keeps_the_newest_events(library, run):
    stream, length = get_config().progress_stream, get_config().progress_stream_length
    pipeline = redis_client().pipeline()
    for number in range(length + 7):
        pipeline.xadd(stream, {"kind": "test", "time": "0", "details": f'{{"number": {number}}}'})
    pipeline.execute()

    def numbers():
        entries = redis_client().xrange(stream)
        return [
            json.loads(fields["details"])["number"]
            for _, fields in entries
            if fields["kind"] == "test"
        ]

    assert run("trim_progress")["events"] >= 7
    kept = numbers()  # the worker may tell of itself meanwhile
    assert length - 3 <= len(kept) <= length
    assert kept == list(range(length + 7))[-len(kept) :]
    maintenance.trim_progress("10")
    assert numbers() == kept[-len(numbers()) :]
    assert 7 <= len(numbers()) <= 10
    maintenance.trim_progress(-1)
    assert numbers() == []


def test_statistics_count_the_library(library, run, music):
    answer = run("statistics")
    assert answer.items() >= search.totals().items()
    assert answer["tracks"] == TRACKS
    assert answer["database_bytes"] > 1_000_000
    assert answer["postgresql"].split(".")[0].isdecimal()


def test_analyze_clears_away_and_refreshes_the_planner_s_statistics(library, run):
    query = "SELECT analyze_count, vacuum_count FROM pg_stat_user_tables WHERE relname = 'track'"
    [before] = library.rows(query)
    assert run("analyze")["database_bytes"] > 0
    after = tuple(count + 1 for count in before)
    lab.wait_for(lambda: library.rows(query) == [after], what="counts that PostgreSQL keeps")
