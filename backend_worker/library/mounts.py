"""What is mounted where, as the kernel lists it: asking touches no mount, so none can hang us."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

_MOUNTS = "/proc/self/mountinfo"  # proc(5); of our own mount namespace
_MOST_LINKS = 40  # as the kernel
_ESCAPED = re.compile(rb"\\([0-7]{3})")
# Another machine writes the times of their files.
_NETWORK = frozenset(
    {b"9p", b"afs", b"ceph", b"cifs", b"coda", b"davfs", b"nfs", b"nfs4", b"smb3", b"smbfs"}
)


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount: the folder and the type of its file system."""

    point: bytes
    fs_type: bytes
    device: bytes = field(default=b"", compare=False)  # of the file system, as "8:1"
    origin: bytes = field(
        default=b"/", compare=False
    )  # the folder of the file system that is mounted

    @property
    def is_foreign(self) -> bool:
        """Whether another program or machine, with a clock of its own, may set its times."""
        return self.fs_type in _NETWORK or self.fs_type.split(b".")[0] == b"fuse"

    def holds(self, path: bytes) -> bool:
        """Say whether a path is its folder or lies below it."""
        return (path.rstrip(b"/") + b"/").startswith(self.point.rstrip(b"/") + b"/")


def mounts() -> list[Mount]:
    """Return all mounts, the longest path first; none where the kernel does not tell."""
    try:
        with open(_MOUNTS, "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return []
    # of several on one folder the last hides the others
    found = {mount.point: mount for mount in map(_parse, lines)}
    return sorted(found.values(), key=lambda mount: len(mount.point), reverse=True)


def mount_of(path: bytes) -> Mount:
    """Return the mount that a path lies on, by its text alone: links are not followed."""
    return _mount_of(path, mounts())


def place_of(real: bytes) -> tuple[bytes, bytes]:
    """Return (device, path in its file system) of a path without links.

    It is the same for a folder and for a bind mount of it.
    """
    mount = mount_of(real)
    below = real[len(mount.point.rstrip(b"/")) :]
    return mount.device, (mount.origin.rstrip(b"/") + below).rstrip(b"/") or b"/"


def resolved(path: bytes) -> bytes:
    """Return an absolute path with its links followed as far as the root's file system goes.

    No other mount is looked at: it may be one that does not answer.
    """
    known = mounts()
    found, rest = b"/", _parts(path)
    links = 0
    while rest:
        part = rest.pop(0)
        here = os.path.normpath(os.path.join(found, part))
        if _mount_of(here, known).point != b"/":
            return os.path.join(here, *rest)
        try:
            target = os.readlink(here)
        except OSError:  # no link
            found = here
            continue
        links += 1
        if links > _MOST_LINKS:
            return path
        rest = _parts(target) + rest
        found = b"/" if target.startswith(b"/") else found
    return found


def _parts(path: bytes) -> list[bytes]:
    return [part for part in path.split(b"/") if part]


def _mount_of(path: bytes, known: list[Mount]) -> Mount:
    return next((mount for mount in known if mount.holds(path)), Mount(b"/", b""))


def foreign_below(root: bytes) -> tuple[Mount, ...]:
    """Return the mounts at, above and below a folder, the longest first, if one is foreign."""
    real = os.path.realpath(root)
    above = mount_of(real)
    found = [mount for mount in mounts() if mount == above or Mount(real, b"").holds(mount.point)]
    return tuple(found) if any(mount.is_foreign for mount in found) else ()


def _parse(line: bytes) -> Mount:
    fields, _, source = line.partition(b" - ")
    _, _, device, *paths = fields.split(b" ")
    origin, point = (
        _ESCAPED.sub(lambda match: bytes([int(match[1], 8)]), path) for path in paths[:2]
    )
    return Mount(point, source.split(b" ")[0], device, origin)
