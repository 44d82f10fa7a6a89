"""Reading a batch of files: what counts as stored, failed and left for the next scan."""

import os
import shutil
import signal
import time

import pytest
from mutagen.id3 import APIC, ID3

from backend_worker.config import get_config
from backend_worker.library import sample
from backend_worker.library.artwork.store import CoverStore
from backend_worker.library.walk import LONGEST_PATH
from backend_worker.storage.batches import scan_of
from backend_worker.storage.maintenance import READ_AGAIN
from backend_worker.tasks import extract
from backend_worker.tasks.extract import read_files

TEMPLATE = os.path.join(os.path.dirname(sample.__file__), "templates", "tone.mp3")


@pytest.fixture
def track(tmp_path):
    shutil.copy(TEMPLATE, tmp_path / "1.mp3")
    return str(tmp_path / "1.mp3")


def counts(*paths):
    tracks, failures, ignored = read_files(paths)
    return len(tracks), len(failures), ignored


def test_readable_empty_and_vanished(track, tmp_path):
    (tmp_path / "empty.mp3").touch()
    assert counts(track, str(tmp_path / "empty.mp3"), str(tmp_path / "gone.mp3")) == (1, 1, 1)


@pytest.mark.parametrize("path", ["/m/\0.mp3", "/" + "x" * LONGEST_PATH])
def test_path_that_no_disk_can_have_stops_nothing(track, path):
    assert counts(path, track) == (1, 0, 1)


def test_what_the_system_refuses_to_look_at_is_read_by_the_next_scan(track):
    _, [refused], _ = read_files([os.path.join(os.path.dirname(track), "x" * 300), track])
    assert refused.mtime_ns == READ_AGAIN
    assert refused.reason == "cannot be opened: File name too long"


@pytest.mark.parametrize("content", [b"", None], ids=["unreadable", "readable"])
def test_file_that_changes_while_it_is_read_is_left_for_the_next_scan(track, monkeypatch, content):
    """A file that is still being copied looks truncated, and must not count as failed."""
    if content is not None:
        with open(track, "wb") as file:
            file.write(content)
    read_track = extract.read_track

    def read_while_it_grows(path, *facts, **options):
        with open(path, "ab") as file:
            file.write(b"more")
        return read_track(path, *facts, **options)

    monkeypatch.setattr(extract, "read_track", read_while_it_grows)
    assert counts(track) == (0, 0, 1)


def test_file_written_since_the_walk_met_it_is_left_for_the_next_scan(track):
    os.utime(track)
    assert [len(found) for found in read_files([track], settle_seconds=5)[:2]] == [0, 0]
    assert counts(track) == (1, 0, 0)  # a client says when a file is ready
    os.utime(track, (1_600_000_000, 1_600_000_000))
    assert len(read_files([track], settle_seconds=5)[0]) == 1


def test_file_written_in_place_with_its_old_time_is_left_for_the_next_scan(track, monkeypatch):
    os.utime(track, (1_600_000_000, 1_600_000_000))
    read_track = extract.read_track

    def read_while_it_is_written(path, *facts, **options):
        with open(path, "r+b") as file:
            file.write(b"ID3")
        os.utime(path, (1_600_000_000, 1_600_000_000))
        return read_track(path, *facts, **options)

    monkeypatch.setattr(extract, "read_track", read_while_it_is_written)
    assert counts(track) == (0, 0, 1)


def test_name_that_is_not_utf8(track, tmp_path):
    odd = os.path.join(os.fsencode(tmp_path), b"\xff\xe9.mp3")
    os.rename(track, odd)
    [record], _, _ = read_files([os.fsdecode(odd)])
    assert os.fsencode(record.path) == odd


def test_every_track_comes_with_its_cover_in_the_store(track, tmp_path, monkeypatch):
    """Also when reading a file among them took too long, after its cover was kept."""
    contents = {}
    for number in range(extract.COVERS_TOGETHER + 20):
        path = shutil.copy(track, tmp_path / f"with cover {number}.mp3")
        tags = ID3()
        tags.add(APIC(mime="image/jpeg", type=3, data=b"picture %d" % number))
        tags.save(path)
        contents[str(path)] = b"picture %d" % number
    slow = list(contents)[50]
    read_track = extract.read_track

    def read_slowly(path, *facts, **options):
        record = read_track(path, *facts, **options)
        if path == slow:
            os.kill(os.getpid(), signal.SIGALRM)
        return record

    monkeypatch.setattr(extract, "read_track", read_slowly)
    tracks, failures, ignored = read_files(list(contents))
    assert ([failure.path for failure in failures], ignored) == ([slow], 0)
    store = CoverStore(get_config().cover_dir)
    found = {record.path: store.read(record.picture) for record in tracks}
    assert found == {path: data for path, data in contents.items() if path != slow}


@pytest.mark.parametrize(
    ("batch_id", "scan_id"),
    [("scan-17-3", 17), ("scan-17-3ab", 17), ("client-1-2", None), ("7", None), ("scan-x-1", None)],
)
def test_scan_of_a_batch(batch_id, scan_id):
    assert scan_of(batch_id) == scan_id


def test_file_that_keeps_its_reader_at_work_is_given_up_after_seconds_of_work(track, monkeypatch):
    """Not after those in which a disk may wait; and what waits is not taken for work."""
    monkeypatch.setattr(extract, "PROCESSOR_SECONDS", 0.3)
    read_track = extract.read_track

    def go_round(path, *facts, **options):
        if path == track:
            return read_track(path, *facts, **options)
        while True:
            pass

    monkeypatch.setattr(extract, "read_track", go_round)
    other = shutil.copy(track, f"{track}.mp3")
    before = time.process_time()
    [record], [failure], ignored = read_files([other, track])
    assert (record.path, failure.path, ignored) == (track, other, 0)
    assert failure.reason == "reading it took longer than 0.3 s"
    assert failure.mtime_ns == os.stat(other).st_mtime_ns  # it is not read again
    assert 0.1 <= time.process_time() - before < 5  # the kernel counts in ticks
