"""A short way through ordinary MP4 files: their ``moov`` atom is read and walked at once.

mutagen walks the atoms in the file, with several calls for each of some fifty. Those that
tell of the audio it reads all the same; fragmented files and 64-bit sizes are left to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mutagen.mp4 import MP4Info
from mutagen.mp4._atom import Atom, Atoms

from backend_worker.library.tags.plain import NotPlainError, PlainFile
from backend_worker.library.tags.plain_mp4_tags import CONTAINERS, HEADER, TAGS, plain_mp4_tags

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend_worker.library.tags.plain import Beginning

_PATH_OF_TAGS = b"moov.udta.meta." + TAGS
_DEEPEST = 20  # levels


def plain_mp4(beginning: Beginning) -> PlainFile:
    """Read an MP4 file without fragments.

    Raises:
        NotPlainError: it is to be left to mutagen.
    """
    if beginning.start:
        raise NotPlainError
    atoms = _Atoms(beginning)
    tags = plain_mp4_tags(atoms[_PATH_OF_TAGS].read(None)[1]) if _PATH_OF_TAGS in atoms else None
    return PlainFile(tags, MP4Info(atoms, None))


class _Atom(Atom):
    """An atom of a buffer instead of a file."""

    def __init__(self, buffer: bytes, offset: int, length: int, level: int) -> None:
        self.buffer = buffer
        self.offset = offset
        self.length = length
        self.name = buffer[offset + 4 : offset + HEADER]
        self._dataoffset = offset + HEADER
        if self.name in CONTAINERS:
            self.children = list(self._inner(level + 1))

    def _inner(self, level: int) -> Iterator[_Atom]:
        if level > _DEEPEST:
            raise NotPlainError
        start = self._dataoffset + CONTAINERS[self.name]
        end = self.offset + self.length
        while start < end:
            length = int.from_bytes(self.buffer[start : start + 4], "big")
            if length < HEADER or start + length > end:
                raise NotPlainError
            yield _Atom(self.buffer, start, length, level)
            start += length
        if start > end:
            raise NotPlainError

    def read(self, _file: object) -> tuple[bool, bytes]:
        """Return that all could be read, and the data."""
        return True, self.buffer[self._dataoffset : self.offset + self.length]


class _Atoms(Atoms):
    """The atoms of a file, of which only ``moov`` is looked into."""

    def __init__(self, beginning: Beginning) -> None:
        self.atoms = []
        start = 0
        while start + HEADER <= beginning.size:
            header = beginning.read(start, HEADER)
            length, name = int.from_bytes(header[:4], "big"), header[4:]
            if length < HEADER or (name in CONTAINERS and (name != b"moov" or self.atoms)):
                raise NotPlainError
            if name == b"moov":
                self.atoms.append(_Atom(beginning.read(start, length), 0, length, 0))
            start += length
