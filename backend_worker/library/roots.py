"""Folders that are scanned: how one is written, and whether two are one folder of the disk.

A folder has many names: links, bind mounts, another case on a disk that knows none. The library
knows files by their paths, so a folder under two names would be in it twice.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from backend_worker.library.mounts import place_of
from backend_worker.library.paths import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

# So long a known folder may take to be looked at; one that hangs is not compared.
LOOK_SECONDS = 5.0

Identity = tuple[int, int]  # device and inode


class SameFolderError(ValueError):
    """A folder is known by another name already, or holds or lies in one that is."""

    def __init__(self, root: bytes, known: bytes, relation: str) -> None:
        super().__init__(root, known, relation)
        self.root, self.known, self.relation = root, known, relation

    def __str__(self) -> str:
        root, known = shown(self.root), shown(self.known)
        return (
            f"{root} {self.relation} {known}, which is in the library already: all its files "
            f"would be there twice. Scan {known}, or take that out of the library first with "
            f"`backend-worker forget {known}`"
        )


def normalise(path: bytes) -> bytes:
    """Return the one way to write an absolute path; links are kept.

    ``abspath`` keeps two slashes at the beginning, as POSIX allows: they are a second name.
    """
    return b"/" + os.path.abspath(path).lstrip(b"/")


def is_below(path: bytes, root: bytes) -> bool:
    """Say whether a path is a folder or lies in it, as both are written."""
    return (path.rstrip(b"/") + b"/").startswith(root.rstrip(b"/") + b"/")


def check(root: bytes, known: Iterable[bytes]) -> None:
    """Refuse a folder that is, holds or lies in a known one by another way.

    Args:
        root: as :func:`normalise` writes it.
        known: the folders that are in the library.

    Raises:
        SameFolderError: names the known one.
    """
    others = [other for other in known if not is_below(root, other) and not is_below(other, root)]
    found: list[SameFolderError] = []

    def look() -> None:
        mine = _Folder(root)
        for other in others:
            relation = mine.relation_to(_Folder(other))
            if relation:
                found.append(SameFolderError(root, other, relation))
                return

    if others:
        # whoever looks at a dead network mount waits for ever
        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        thread.join(LOOK_SECONDS)
    for error in found:
        raise error


class _Folder:
    """What tells a folder from others, whatever it is called."""

    def __init__(self, path: bytes) -> None:
        real = os.path.realpath(path)
        self.place = place_of(real)
        self.identities = _identities(real)

    def relation_to(self, other: _Folder) -> str:
        if not self.identities or not other.identities:
            return ""  # one is not there, as an unplugged disk
        if self.identities[0] == other.identities[0] or self.place == other.place:
            return "is the same folder as"
        if other.identities[0] in self.identities or _is_within(self.place, other.place):
            return "lies in"
        if self.identities[0] in other.identities or _is_within(other.place, self.place):
            return "holds"
        return ""


def _identities(real: bytes) -> list[Identity]:
    """Return those of a folder and of all above it; none where it is not there."""
    found: list[Identity] = []
    while True:
        try:
            status = os.stat(real)
        except OSError:
            return found
        found.append((status.st_dev, status.st_ino))
        above = os.path.dirname(real)
        if above == real:
            return found
        real = above


def _is_within(place: tuple[bytes, bytes], other: tuple[bytes, bytes]) -> bool:
    return place[0] == other[0] and is_below(place[1], other[1])
