"""Files that may still be written: told by the clock, or by looking twice."""

import os

import pytest

from backend_worker.library import mounts, settling
from backend_worker.library.discovery import Verdict
from backend_worker.library.mounts import Mount
from backend_worker.library.settling import MOST_WATCHED, Freshness, Watched

SECOND = 10**9
NOW = 1_700_000_000 * SECOND


class Clock:
    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def verdict(age_seconds, clock=NOW, root=b"/", path=b"/a.mp3", settle=5):
    judge = Freshness(root, settle, Clock(clock))
    return judge.verdict(path, NOW - int(age_seconds * SECOND))


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0, Verdict.FRESH),
        (4.9, Verdict.FRESH),
        (5.1, Verdict.READ),
        (3000, Verdict.READ),
        (-1, Verdict.WATCH),
        (-86400 * 1000, Verdict.WATCH),
    ],
)
def test_age_by_the_clock(age, expected):
    assert verdict(age) is expected
    assert verdict(age, settle=0) is Verdict.READ


def test_the_clock_is_read_each_time():
    clock = Clock(NOW)
    judge = Freshness(b"/", 5, clock)
    written_a_minute_later = NOW + 60 * SECOND
    clock.now += 61 * SECOND
    assert judge.verdict(b"/a.mp3", written_a_minute_later) is Verdict.FRESH
    clock.now -= 1000 * 86400 * SECOND  # it jumps
    assert judge.verdict(b"/a.mp3", written_a_minute_later) is Verdict.WATCH


def test_where_another_clock_counts_recent_files_are_watched(monkeypatch):
    listed = [Mount(b"/nas/disk", b"ext4"), Mount(b"/nas", b"nfs4"), Mount(b"/", b"ext4")]
    monkeypatch.setattr(settling, "foreign_below", lambda _root: tuple(listed))
    assert verdict(600, root=b"/nas", path=b"/nas/a.mp3") is Verdict.WATCH
    assert verdict(7200, root=b"/nas", path=b"/nas/a.mp3") is Verdict.READ
    assert verdict(600, root=b"/nas", path=b"/nas/disk/a.mp3") is Verdict.READ


def watched(paths, seconds=5):
    clock = Clock(0.0)
    files = Watched(seconds, clock=clock, sleep=clock.sleep)
    for path in paths:
        assert files.add(os.fsencode(path))
    return files, clock


def looks(files):
    found = {}
    while files:
        found |= {os.path.basename(path): settled for path, settled in files.second_look(1.0)}
    return found


@pytest.mark.parametrize("change", ["grows", "is touched", "is gone", "is written in place"])
def test_what_changes_between_two_looks_is_still_written(tmp_path, change):
    for name in ("a.mp3", "b.mp3"):
        (tmp_path / name).write_bytes(b"1234")
    files, clock = watched([tmp_path / "a.mp3", tmp_path / "b.mp3"])
    assert not files.is_due()
    assert list(files.second_look(1.0)) == []
    path = tmp_path / "b.mp3"
    before = path.stat()
    if change == "grows":
        path.write_bytes(b"12345")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif change == "is touched":
        os.utime(path)
    elif change == "is gone":
        path.unlink()
    else:  # by a program that has set size and time in advance
        path.write_bytes(b"5678")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert looks(files) == {b"a.mp3": True, b"b.mp3": False}
    assert clock.now == pytest.approx(5)


def test_nobody_waits_longer_than_some_seconds_nor_for_too_many(tmp_path):
    path = tmp_path / "a.mp3"
    path.touch()
    files, clock = watched([path] * (MOST_WATCHED + 1), seconds=86400)
    assert files.is_due()
    assert looks(files) == {b"a.mp3": True}
    assert clock.now == pytest.approx(settling.LONGEST_WATCH_SECONDS)
    assert not files.add(os.fsencode(tmp_path / "gone.mp3"))


def test_mounts_as_the_kernel_lists_them(tmp_path, monkeypatch):
    listed = tmp_path / "mountinfo"
    listed.write_bytes(
        b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        b"2 1 0:5 / /srv/my\\040music rw shared:1 - nfs4 nas:/music rw\n"
        b"3 1 0:6 / /srv rw - autofs x rw\n"
        b"4 1 0:7 / /srv/stick rw - fuseblk /dev/sdb1 rw\n"
        b"5 1 0:8 / /srv/cloud rw - fuse.rclone x rw\n"
    )
    monkeypatch.setattr(mounts, "_MOUNTS", str(listed))
    assert mounts.mount_of(b"/srv/my music/a.mp3") == Mount(b"/srv/my music", b"nfs4")
    assert mounts.mount_of(b"/srv/my musical") == Mount(b"/srv", b"autofs")
    assert mounts.mount_of(b"/home") == Mount(b"/", b"ext4")
    foreign = [mount.point for mount in mounts.mounts() if mount.is_foreign]
    assert foreign == [b"/srv/my music", b"/srv/cloud"]
    assert mounts.foreign_below(b"/home") == ()


def test_links_are_followed_up_to_another_mount_and_not_into_it(tmp_path, monkeypatch):
    """Who looks into a mount that does not answer waits for ever."""
    root = os.fsencode(os.path.realpath(tmp_path))
    listed = tmp_path / "mountinfo"
    listed.write_bytes(
        b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:5 / %s/nas rw - nfs4 nas:/music rw\n" % root
    )
    monkeypatch.setattr(mounts, "_MOUNTS", str(listed))
    monkeypatch.chdir(tmp_path)
    os.mkdir("nas")
    os.symlink("b", "nas/a")  # within the mount: not looked at
    os.symlink("nas/a", "music")
    os.symlink(tmp_path / "music", "home")
    os.symlink("loop", "loop")
    assert mounts.resolved(root + b"/home/1.mp3") == root + b"/nas/a/1.mp3"
    assert mounts.resolved(root + b"/nas/../x") == root + b"/nas/../x"
    assert mounts.resolved(root + b"/loop/1.mp3") == root + b"/loop/1.mp3"
    assert mounts.resolved(root + b"/gone/1.mp3") == root + b"/gone/1.mp3"


def test_mounts_of_this_machine():
    assert mounts.mount_of(b"/proc/self").fs_type == b"proc"
