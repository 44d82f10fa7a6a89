"""A short way through ordinary MP4 files: their ``moov`` atom is read and walked at once.

mutagen walks the atoms in the file, with several calls for each of some fifty. What is in
them it reads all the same; fragmented files and 64-bit sizes are left to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mutagen.mp4 import MP4Info, MP4Tags
from mutagen.mp4._atom import Atom, Atoms

from backend_worker.library.tags.plain import NotPlainError, PlainFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend_worker.library.tags.plain import Beginning

_HEADER = 8  # bytes: an atom's length and name
# The atoms that mutagen looks into, with the bytes between their header and the first child.
_CONTAINERS = {
    b"moov": 0,
    b"udta": 0,
    b"trak": 0,
    b"mdia": 0,
    b"meta": 4,
    b"ilst": 0,
    b"stbl": 0,
    b"minf": 0,
    b"moof": 0,
    b"traf": 0,
}
_DEEPEST = 20  # levels


def plain_mp4(beginning: Beginning) -> PlainFile:
    """Read an MP4 file without fragments.

    Raises:
        NotPlainError: it is to be left to mutagen.
    """
    atoms = _Atoms(beginning)
    tags = _Tags(atoms, None) if b"moov.udta.meta.ilst" in atoms else None
    return PlainFile(tags, MP4Info(atoms, None))


class _Tags(MP4Tags):
    def __setitem__(self, key: str, value: object) -> None:
        """Keep the value; mutagen's own renders it as well, to see whether it can be written."""
        super(MP4Tags, self).__setitem__(key, value)


class _Atom(Atom):
    """An atom of a buffer instead of a file."""

    def __init__(self, buffer: bytes, offset: int, length: int, level: int) -> None:
        self.buffer = buffer
        self.offset = offset
        self.length = length
        self.name = buffer[offset + 4 : offset + _HEADER]
        self._dataoffset = offset + _HEADER
        if self.name in _CONTAINERS:
            self.children = list(self._inner(level + 1))

    def _inner(self, level: int) -> Iterator[_Atom]:
        if level > _DEEPEST:
            raise NotPlainError
        start = self._dataoffset + _CONTAINERS[self.name]
        end = self.offset + self.length
        while start < end:
            length = int.from_bytes(self.buffer[start : start + 4], "big")
            if length < _HEADER or start + length > end:
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
        while start + _HEADER <= beginning.size:
            header = beginning.read(start, _HEADER)
            length, name = int.from_bytes(header[:4], "big"), header[4:]
            if length < _HEADER or (name in _CONTAINERS and (name != b"moov" or self.atoms)):
                raise NotPlainError
            if name == b"moov":
                self.atoms.append(_Atom(beginning.read(start, length), 0, length, 0))
            start += length
