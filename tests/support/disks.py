"""Small disks that a test mounts, fills and unplugs; it is skipped where that is not permitted."""

import contextlib
import os
import subprocess

import pytest


def mount(folder, size="16m"):
    """Mount an empty file system in memory; say whether that worked."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "small-disk", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def unmount(folder):
    """Unmount at once, whoever has files open there: the disk is unplugged."""
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def mounted(folder, size):
    """Mount a disk for a while; skip the test if that is not permitted."""
    if os.geteuid() != 0 or not mount(folder, size):
        pytest.skip("mounting a file system is not permitted here")
    try:
        yield folder
    finally:
        while os.path.ismount(folder):
            unmount(folder)


class Ballast:
    """What fills a disk to the last byte."""

    def __init__(self, folder):
        self._path = os.path.join(folder, "ballast")

    def fill(self):
        """Leave no room."""
        with open(self._path, "ab", buffering=0) as file, contextlib.suppress(OSError):
            for size in (1 << 20, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)) == size:
                        pass

    def drop(self):
        """Make room again."""
        os.unlink(self._path)
