"""Folders: the music with what is mounted below it, and the store of covers."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING

from backend_worker.cli.doctor.finding import Check, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from backend_worker.config import Config

LEAST_FREE_BYTES = 500 * 1024 * 1024


def checks(config: Config) -> Iterator[Check]:
    """Yield a look at each folder; one that hangs must not hide the others."""
    if config.music_dir:
        yield _check("music folder", config.music_dir, _music)
        for mount in _mounts_below(config.music_dir):
            yield _check("music disk", mount, _mount)
    else:
        yield Check("music folder", _no_music)
    yield _check("cover store", config.cover_dir, _covers)


def _check(subject: str, folder: str, look: Callable[[str], Iterable[Finding]]) -> Check:
    meaning = f"{folder} hangs, as an unreachable network share or a dying disk does"
    advice = (
        f"findmnt -T {folder}; look at the cable, the server and dmesg; then: "
        f"sudo umount --lazy --force <mount point>, and mount it again"
    )
    return Check(subject, lambda: look(folder), (meaning, advice))


def _mounts_below(folder: str) -> list[str]:
    """Return the mount points below a folder, without asking any of them."""
    above = folder.rstrip("/") + "/"
    with open("/proc/self/mountinfo", "rb") as file:
        points = (os.fsdecode(_unescaped(line.split(b" ")[4])) for line in file)
        return sorted({point for point in points if point.startswith(above)})


def _unescaped(path: bytes) -> bytes:
    r"""Return a path as it is; the kernel writes white space and backslashes as ``\ooo``."""
    return re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8)]), path)


def _no_music() -> Iterator[Finding]:
    yield Finding(
        "warning", "music folder", "none is set", "set BACKEND_WORKER_MUSIC_DIR, or name one"
    )


def _music(folder: str) -> Iterator[Finding]:
    try:
        os.stat(folder)
    except FileNotFoundError:
        yield Finding("problem", "music folder", f"{folder} is not there", "mount the disk")
        return
    except PermissionError:
        yield _unreadable("music folder", folder)
        return
    if not os.path.isdir(folder):
        yield Finding("problem", "music folder", f"{folder} is not a folder", "name a folder")
    elif not os.access(folder, os.R_OK | os.X_OK):
        yield _unreadable("music folder", folder)
    elif not any(os.scandir(folder)):
        yield Finding("warning", "music folder", f"{folder} is empty", "mount the disk")
    else:
        yield Finding("ok", "music folder", folder)


def _unreadable(subject: str, folder: str) -> Finding:
    user = os.geteuid()
    return Finding(
        "problem",
        subject,
        f"{folder} cannot be read by the user {user}",
        f"grant it read access, and every folder above it (namei -l {folder})",
    )


def _mount(folder: str) -> Iterator[Finding]:
    try:
        with os.scandir(folder) as entries:
            any(entries)
    except PermissionError:
        yield _unreadable("music disk", folder)
    except OSError as error:
        yield Finding(
            "problem", "music disk", f"{folder}: {error.strerror}", "unmount and mount it again"
        )
    else:
        yield Finding("ok", "music disk", folder)


def _covers(folder: str) -> Iterator[Finding]:
    existing = folder
    while not os.path.isdir(existing):
        existing = os.path.dirname(existing) or "/"
    if not os.access(existing, os.W_OK | os.X_OK):
        yield Finding(
            "problem",
            "cover store",
            f"{folder} cannot be written",
            f"chown {existing} to the worker",
        )
        return
    free = shutil.disk_usage(existing).free
    if free < LEAST_FREE_BYTES:
        yield Finding("warning", "cover store", f"{free >> 20} MiB are free", "make room")
    else:
        yield Finding("ok", "cover store", f"{folder}, {free >> 20:,} MiB free")
