"""Scans of real files by a real worker: what ends up in the database."""

import os
import shutil
import threading
import time

import pytest

from backend_worker.library.sample import make_library
from backend_worker.progress import events
from tests.support import fuse

TRACKS = 60
TOMORROW = time.time() + 86400


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    root = tmp_path_factory.mktemp("sample") / "music"
    return str(root), make_library(str(root), tracks=TRACKS)


@pytest.fixture
def music(sample, tmp_path):
    """A copy of the sample library that the test may change."""
    root = tmp_path / "music"
    shutil.copytree(sample[0], root, symlinks=True, copy_function=_copy)
    return root


def _copy(source, target):
    if os.path.isfile(source):
        shutil.copy2(source, target)


def adds_up(status):
    return status.found == status.stored + status.unchanged + status.failed + status.ignored


def test_sample_library_is_stored_as_its_maker_says(library, worker, sample):
    root, summary = sample
    status = library.scan(root)
    library.settle()
    assert status.status == "completed"
    assert adds_up(status)
    assert status.stored == summary.tracks == TRACKS
    assert status.failed == len(summary.unreadable)
    failed = library.rows("SELECT path FROM file WHERE state = 'failed' ORDER BY path")
    assert [bytes(row[0]) for row in failed] == sorted(
        os.fsencode(os.path.join(root, path)) for path in summary.unreadable
    )
    [(albums, artists, vectors)] = library.rows(
        "SELECT (SELECT count(*) FROM album), (SELECT count(*) FROM artist),"
        " (SELECT count(*) FROM track_vector)"
    )
    assert albums == summary.albums
    assert artists == summary.artists + summary.composers
    assert vectors == TRACKS
    without_vector = library.rows(
        "SELECT DISTINCT artist.name FROM artist JOIN track_artist ON artist_id = artist.id"
        " WHERE role = 'artist'"
        "   AND NOT EXISTS (SELECT FROM artist_vector WHERE artist_id = artist.id)"
    )
    assert without_vector == []


def test_second_scan_changes_nothing(library, worker, sample):
    library.scan(sample[0])
    library.settle()
    before = library.snapshot()
    status = library.scan(sample[0])
    library.settle()
    assert (status.stored, status.gone, status.moved) == (0, 0, 0)
    assert status.unchanged == TRACKS
    assert adds_up(status)
    assert library.snapshot() == before


def track_ids(library):
    return dict(library.rows("SELECT path::text, id FROM file WHERE state = 'stored'"))


def long_ago(path):
    """Date a file back, so that it does not count as still being written."""
    os.utime(path, (1_600_000_000, 1_600_000_000))


def a_track(root):
    """Return a readable file of an ordinary album."""
    return next(path for path in sorted(root.rglob("01*.mp3")) if path.is_file())


def test_changed_file_is_read_again_and_keeps_its_id(library, worker, music):
    import mutagen

    library.scan(music)
    before = track_ids(library)
    changed = a_track(music)
    file = mutagen.File(changed, easy=True)
    file["title"] = "A new title"
    file.save()
    long_ago(changed)
    status = library.scan(music)
    assert (status.stored, status.moved, status.gone) == (1, 0, 0)
    assert track_ids(library) == before
    titles = library.rows(
        "SELECT title FROM track JOIN file USING (id) WHERE path = %s", os.fsencode(changed)
    )
    assert titles == [("A new title",)]


def test_renamed_folder_keeps_ids_and_remembers_the_old_paths(library, worker, music):
    library.scan(music)
    before = track_ids(library)
    folder = a_track(music).parent
    moved_files = sum(1 for path in folder.iterdir() if path.suffix != ".jpg")
    folder.rename(folder.with_name("Renamed"))
    status = library.scan(music)
    assert status.gone == 0
    assert status.moved == status.stored > 0
    assert status.moved <= moved_files
    assert sorted(track_ids(library).values()) == sorted(before.values())
    moves = library.rows("SELECT count(*) FROM file_move")
    assert moves == [(status.moved,)]


def test_deleted_file_is_gone_and_comes_back_with_its_id(library, worker, music, tmp_path):
    library.scan(music)
    before = track_ids(library)
    victim = a_track(music)
    shutil.move(victim, tmp_path / "away.mp3")
    status = library.scan(music)
    assert status.gone == 1
    assert len(track_ids(library)) == len(before) - 1
    shutil.move(tmp_path / "away.mp3", victim)
    status = library.scan(music)
    assert (status.stored, status.gone) == (1, 0)
    assert track_ids(library) == before


def test_empty_mount_point_loses_nothing(library, worker, music, tmp_path):
    library.scan(music)
    library.settle()
    before = library.snapshot()
    music.rename(tmp_path / "unplugged")
    music.mkdir()
    status = library.scan(music)
    assert status.status == "failed"
    assert "mounted" in status.message
    assert library.snapshot() == before


def test_missing_root_loses_nothing(library, worker, music, tmp_path):
    from backend_worker.celery_app import app

    library.scan(music)
    library.settle()
    before = library.snapshot()
    music.rename(tmp_path / "unplugged")
    app.send_task("scan.discovery", args=[str(music)])
    library.wait_for(lambda: len(library.rows("SELECT FROM scan WHERE status = 'failed'")) == 1)
    [(message,)] = library.rows("SELECT message FROM scan WHERE status = 'failed'")
    assert "No such file or directory" in message
    assert library.snapshot() == before
    library.settle()  # it is told after it is stored
    [failed] = [event for event in events.read() if event["kind"] == "scan.failed"]
    assert failed["message"] == message


def test_nothing_is_gone_after_a_walk_with_errors(library, worker, music, tmp_path):
    from backend_worker.storage import scans, walks

    library.scan(music)
    scan_id = scans.begin(os.fsencode(music), "a message")
    walks.begin_walk(scan_id)
    [(victim,)] = library.rows("SELECT min(id) FROM file")
    walks.end_walk(
        scan_id,
        walks.WalkCounts(error_count=1),
        complete=False,
        missing=[victim],
        errors=[(os.fsencode(music / "locked"), "Permission denied")],
    )
    assert scans.finish_if_done(scan_id).gone == 0
    assert library.rows("SELECT count(*) FROM file WHERE state = 'gone'") == [(0,)]


def test_file_that_is_being_written_is_left_for_the_next_scan(library, worker, music):
    fresh = a_track(music)
    os.utime(fresh)
    status = library.scan(music)
    assert status.ignored == 1
    assert adds_up(status)
    long_ago(fresh)
    status = library.scan(music)
    assert (status.stored, status.ignored) == (1, 0)


class Copy(threading.Thread):
    """Goes on writing files, the last of them with another clock, until it is stopped."""

    def __init__(self, *paths, at=TOMORROW):
        super().__init__()
        self.paths = paths
        self.at = at
        self.stopped = threading.Event()

    def run(self):
        while not self.stopped.wait(0.001):
            for path in self.paths:
                with open(path, "ab") as file:
                    file.write(b"more")
            os.utime(self.paths[-1], (self.at, self.at))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.join()


def test_files_that_are_copied_meanwhile_are_left_and_old_ones_of_a_wrong_clock_are_not(
    library, worker, music
):
    """The walk has begun when the first is written; the clock says nothing of the second."""
    now_written, future_written, future = (
        str(shutil.copy2(a_track(music), music / name)) for name in ("zx.mp3", "zy.mp3", "zz.mp3")
    )
    os.utime(future, (TOMORROW, TOMORROW))
    with Copy(now_written, future_written):
        status = library.scan(music)
    assert (status.status, status.ignored) == ("completed", 2)
    assert adds_up(status)
    names = library.rows(
        "SELECT convert_from(path, 'UTF8') FROM file WHERE path = ANY(%s)",
        [os.fsencode(path) for path in (now_written, future_written, future)],
    )
    assert names == [(future,)]
    long_ago(now_written)
    status = library.scan(music)
    assert (status.stored, status.ignored) == (2, 0)


def test_file_that_is_written_by_the_clock_of_a_nas_is_left(library, worker, music, tmp_path):
    """The mount's times are those of another machine, which is ten minutes late."""
    late = time.time() - 600
    written, old = (
        str(shutil.copy2(a_track(music), music / name)) for name in ("zx.mp3", "zy.mp3")
    )
    os.utime(old, (late, late))
    with fuse.mounted(music, tmp_path / "nas") as nas, Copy(written, at=late):
        status = library.scan(nas.folder)
    assert (status.status, status.ignored) == ("completed", 1)
    [(path,)] = library.rows("SELECT path FROM file WHERE path LIKE '%%/z_.mp3'")
    assert os.path.basename(bytes(path)) == b"zy.mp3"


def test_name_that_is_not_utf8_is_stored_as_it_is(library, worker, music):
    name = b"caf\xe9 \xff.mp3"
    path = os.path.join(os.fsencode(music), name)
    shutil.copy2(a_track(music), path)
    library.scan(music)
    rows = library.rows(
        "SELECT title IS NOT NULL FROM track JOIN file USING (id) WHERE path = %s", path
    )
    assert rows == [(True,)]
