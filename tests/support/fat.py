"""A real FAT in a file, as /boot/firmware of a Pi is; skipped where none can be mounted."""

import contextlib
import os
import re
import shutil
import subprocess
import time

import pytest


def make(image, files):
    """Make a FAT in a file that holds these files, as the Raspberry Pi Imager does."""
    for program in ("mkfs.vfat", "mcopy"):
        if shutil.which(program, path=_path()) is None:
            pytest.skip(f"{program} is not installed (Debian: dosfstools, mtools)")
    with open(image, "wb") as disk:
        disk.truncate(40 << 20)
    _run("mkfs.vfat", "-F", "32", str(image))
    for name, content in files.items():
        _put(image, name, content)


def fill(image):
    """Leave no room on it."""
    listing = _run("mdir", "-i", str(image), "::").decode()
    free = int(re.search(r"([\d ]+) bytes free", listing)[1].replace(" ", ""))
    _put(image, "ballast", bytes(free))


def _put(image, name, content):
    copy = image.with_name("to-copy")
    copy.write_bytes(content)
    _run("mcopy", "-i", str(image), str(copy), f"::{name}")


@contextlib.contextmanager
def mounted(image, folder):
    """Mount it: by the kernel, or in user space where the kernel knows no FAT."""
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a FAT needs root")
    if _works("mount", "-o", "loop", "-t", "vfat", str(image), str(folder)):
        try:
            yield folder
        finally:
            _run("umount", str(folder))
        return
    if shutil.which("fusefat") is None:
        pytest.skip("no FAT can be mounted: neither by the kernel nor by Debian's fusefat")
    with subprocess.Popen(
        ["fusefat", "-f", "-o", "rw+", str(image), str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        while not os.path.ismount(folder):
            if server.poll() is not None:
                pytest.skip("fusefat cannot mount here, for want of /dev/fuse")
            time.sleep(0.02)
        try:
            yield folder
        finally:
            _run("fusermount", "-u", str(folder))
            server.wait(60)  # only then is everything in the image


def files(image):
    """Return the names on an image and their contents, as a card reader shows them."""
    names = _run("mdir", "-b", "-a", "-i", str(image), "::").decode().split()
    found = {}
    for name in names:
        content = _run("mtype", "-i", str(image), name)
        found[name.removeprefix("::/").lower()] = content
    return found


def is_sound(image):
    """Say whether the file system holds no error."""
    return _works("fsck.vfat", "-n", str(image))


def _run(*command):
    return subprocess.run(
        command, check=True, capture_output=True, env={**os.environ, "PATH": _path()}
    ).stdout


def _works(*command):
    ended = subprocess.run(
        command, check=False, capture_output=True, env={**os.environ, "PATH": _path()}
    )
    return ended.returncode == 0


def _path():
    return os.environ["PATH"] + ":/usr/sbin:/sbin"
