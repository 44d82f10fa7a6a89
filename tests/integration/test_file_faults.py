"""Files and disks that change, vanish, fail or are full in mid-scan."""

import os
import shutil
import threading
import time

import pytest

from backend_worker.cli.scan import start_scan
from backend_worker.storage import scans
from tests.support.disks import Ballast, mount, mounted, unmount
from tests.support.disturbance import (
    TRACKS,
    adds_up,
    check,
    ordinary_files,
    wait_for_stored,
)

LONG_AGO = 1_600_000_000
CHANGES = 150
DISK = "64m"


def copy_of(sample, root):
    """Copy a sample library into a folder that exists."""
    shutil.copytree(sample, root, symlinks=True, dirs_exist_ok=True, copy_function=_copy)
    return str(root)


def _copy(source, target):
    if os.path.isfile(source):  # neither a FIFO nor a link to nowhere
        shutil.copy2(source, target)


@pytest.fixture
def music(sample, tmp_path):
    """A copy of the sample library that the test may change."""
    return copy_of(sample, tmp_path / "music")


@pytest.fixture
def disk(sample, tmp_path):
    """The same, on a disk of its own."""
    folder = tmp_path / "music"
    folder.mkdir()
    with mounted(folder, DISK):
        yield copy_of(sample, folder)


def touch(root):
    """Make all files look changed."""
    for path in ordinary_files(root):
        os.utime(path, (LONG_AGO, LONG_AGO))


def stored(library):
    return library.rows("SELECT count(*) FROM file WHERE state = 'stored'")[0][0]


def test_music_folder_that_is_unmounted_in_mid_scan(library, small_batches, sample, disk):
    first = library.scan(disk)
    library.settle()
    known = stored(library)
    touch(disk)
    scan_id = start_scan(disk)
    library.wait_for(lambda: scans.get(scan_id).stored >= TRACKS / 10, what="a part of the scan")
    unmount(disk)
    status = library.ended(scan_id)
    assert adds_up(status)
    assert (status.gone, status.failed) == (0, first.failed)
    assert stored(library) == known
    assert mount(disk, DISK)
    copy_of(sample, disk)
    touch(disk)
    status = library.scan(disk)
    library.settle()
    assert (status.status, status.gone, status.failed) == ("completed", 0, first.failed)
    disturbed = library.snapshot()
    library.empty()
    library.scan(disk)
    library.settle()
    assert library.snapshot() == disturbed


@pytest.mark.slow
def test_disk_that_is_unplugged_before_the_walk_ends(library, small_batches, disk):
    library.scan(disk)
    known = stored(library)
    touch(disk)
    scan_id = start_scan(disk)
    library.wait_for(lambda: scans.get(scan_id).found, what="a walk")
    unmount(disk)
    status = library.ended(scan_id)
    assert adds_up(status)
    assert status.gone == 0
    assert stored(library) == known


def test_files_that_change_are_truncated_and_vanish_in_mid_scan(
    library, small_batches, music, chance
):
    scan_id = start_scan(music)
    changes = threading.Thread(target=change_files, args=(chance, music))
    changes.start()
    status = library.ended(scan_id)
    changes.join()
    assert (status.status, adds_up(status)) == ("completed", True)
    time.sleep(0.01)
    library.scan(music)
    library.settle()
    disturbed = as_found(library.snapshot())
    library.empty()
    library.scan(music)
    library.settle()
    assert disturbed == as_found(library.snapshot())


def as_found(snapshot):
    """Return what is stored, and of files that cannot be read the reason alone.

    One that was read before it was damaged keeps what is known of it, and so do its artists.
    """
    stored = {row[0] for row in snapshot["tracks"] if row[1] == "stored"}
    return {
        part: [row for row in snapshot[part] if row[0] in stored]
        for part in ("tracks", "links", "vectors")
    } | {"failed": [row[:3] for row in snapshot["tracks"] if row[1] == "failed"]}


def change_files(chance, root):
    files = ordinary_files(root)
    for path in chance.sample(files, min(CHANGES, len(files))):
        kind = chance.choice(("truncate", "remove", "append", "rename"))
        if kind == "truncate":
            os.truncate(path, chance.randrange(os.path.getsize(path)))
        elif kind == "remove":
            os.unlink(path)
        elif kind == "append":
            with open(path, "ab") as file:
                file.write(chance.randbytes(100))
        else:
            os.rename(path, path.replace(".mp3", " renamed.mp3"))
        time.sleep(0.02)


@pytest.fixture
def small_cover_store(servers):
    """A cover store on a disk of its own."""
    with mounted(servers.folder / "covers", "16m") as folder:
        yield Ballast(folder)


@pytest.mark.slow
def test_full_cover_store(library, small_batches, sample, undisturbed, small_cover_store):
    small_cover_store.fill()
    scan_id = start_scan(sample)
    library.wait_for(library.tried_again, what="a task that waits")
    assert scans.get(scan_id).active  # it waits
    small_cover_store.drop()
    check(scan_id, undisturbed)


@pytest.mark.slow
def test_cover_store_that_is_full_for_a_while(
    library, small_batches, sample, undisturbed, small_cover_store
):
    scan_id = start_scan(sample)
    wait_for_stored(scan_id, 0.3)
    small_cover_store.fill()
    library.wait_for(library.tried_again, what="a task that waits")
    small_cover_store.drop()
    check(scan_id, undisturbed)
