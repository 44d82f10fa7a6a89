"""Disks that are mounted below or as the music folder, really mounted and unmounted."""

import os
import shutil
import subprocess

import pytest

from backend_worker.library.sample import make_library
from backend_worker.storage import scans

DISK_BYTES = "16m"


def mount(folder):
    return subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "music-disk", folder],
        capture_output=True,
        check=False,
    )


def unmount(folder):
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def disk(tmp_path):
    """A folder of music that is a mounted disk within a folder with more music."""
    root = tmp_path / "music"
    make_library(str(root / "inside"), tracks=12, broken=False)
    folder = root / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or mount(folder).returncode != 0:
        pytest.skip("mounting a file system is not permitted here")
    fill(folder)
    yield folder
    if os.path.ismount(folder):
        unmount(folder)


def fill(folder):
    make_library(str(folder / "collection"), tracks=14, broken=False, seed=2)


def stored(library):
    return library.rows("SELECT count(*) FROM file WHERE state = 'stored'")[0][0]


def test_unplugged_disk_below_the_folder_keeps_its_files(library, worker, disk):
    root = disk.parent
    assert library.scan(root).stored == 26
    unmount(disk)
    status = library.scan(root)
    assert (status.status, status.gone, status.unchanged) == ("completed", 0, 12)
    [(folder, reason)] = scans.errors_of(status.id)
    assert folder == str(disk)
    assert "not mounted any more: its 14 missing files are kept" in reason
    # it stays remembered, however often one scans without it
    assert library.scan(root).gone == 0
    assert stored(library) == 26
    mount(disk)
    fill(disk)
    status = library.scan(root)
    assert (status.stored, status.gone, status.unchanged) == (0, 0, 26)
    assert scans.errors_of(status.id) == []


def test_file_deleted_from_a_mounted_disk_is_gone(library, worker, disk):
    root = disk.parent
    library.scan(root)
    shutil.rmtree(next(path for path in sorted((disk / "collection").iterdir()) if path.is_dir()))
    status = library.scan(root)
    assert status.gone > 0
    assert stored(library) == 26 - status.gone


def test_unplugged_disk_that_is_the_folder_itself_loses_nothing(library, worker, disk):
    assert library.scan(disk).stored == 14
    unmount(disk)
    status = library.scan(disk)
    assert status.status == "failed"
    assert "is the disk mounted?" in status.message
    assert stored(library) == 14


def test_other_files_in_the_empty_mount_point_do_not_empty_the_library(library, worker, disk):
    library.scan(disk)
    unmount(disk)
    make_library(str(disk / "stray"), tracks=12, broken=False, seed=3)
    status = library.scan(disk)
    assert (status.status, status.gone) == ("completed", 0)
    assert status.stored == 12
    # what has the same content as a file of the disk counts as moved
    assert stored(library) == 26 - status.moved
