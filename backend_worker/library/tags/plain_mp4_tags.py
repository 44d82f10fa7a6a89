"""A short way through the tags of ordinary MP4 files: the ``ilst`` atom.

mutagen makes an object of each value, and renders it to see whether it could be written. Here
only the names that we use are read, as far as their values are as usual.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from mutagen.mp4 import AtomDataType

from backend_worker.library.tags.names import MP4_ATOMS
from backend_worker.library.tags.plain import NotPlainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HEADER = 8  # bytes: an atom's length and name
TAGS = b"ilst"
# The atoms that mutagen looks into, with the bytes between their header and the first child;
# that of the tags is walked by itself.
CONTAINERS = {
    b"moov": 0,
    b"udta": 0,
    b"trak": 0,
    b"mdia": 0,
    b"meta": 4,
    b"stbl": 0,
    b"minf": 0,
    b"moof": 0,
    b"traf": 0,
}

_ATOM = struct.Struct(">I4s")  # length and name
_DATA = struct.Struct(">I4sI")  # length, name, one byte of version and three of flags
_DATA_HEADER = 16  # bytes: the above, and four of a locale
_INTEGER_BYTES = (1, 2, 3, 4, 8)
_PAIR = struct.Struct(">2H")
_NAME_HEADER = 12  # bytes: an atom's length and name, version and flags


class PlainMP4Tags(dict[str, Any]):
    """What the ``ilst`` atom holds, of what we use, as mutagen's ``MP4Tags`` has it."""


def plain_mp4_tags(items: bytes) -> PlainMP4Tags:
    """Return the tags of an ``ilst`` atom.

    Args:
        items: its data: an atom for each name, which holds others with the values.

    Raises:
        NotPlainError: it is to be left to mutagen.
        struct.error: an atom is too short.
        UnicodeDecodeError: a text is not UTF-8.
    """
    tags = PlainMP4Tags()
    start, end = 0, len(items)
    while start < end:
        length, name = _ATOM.unpack_from(items, start)
        if length < HEADER or start + length > end or name in CONTAINERS or name == TAGS:
            raise NotPlainError
        if (read := _READERS.get(name)) is not None:
            key, values = read(name, items, start + HEADER, start + length)
            if key in tags:
                raise NotPlainError  # mutagen joins them, or the later one counts
            tags[key] = values
        start += length
    return tags


def _data(items: bytes, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield version with flags and value of each ``data`` atom."""
    while start < end:
        length, name, version_and_flags = _DATA.unpack_from(items, start)
        if name != b"data" or length < _DATA_HEADER or start + length > end:
            raise NotPlainError
        yield version_and_flags, items[start + _DATA_HEADER : start + length]
        start += length


def _texts(name: bytes, items: bytes, start: int, end: int) -> tuple[str, list[str]]:
    texts = []
    for version_and_flags, value in _data(items, start, end):
        if version_and_flags & 0xFFFFFF not in (AtomDataType.IMPLICIT, AtomDataType.UTF8):
            raise NotPlainError
        texts.append(value.decode("utf-8"))
    return name.decode("latin-1"), texts


def _pairs(name: bytes, items: bytes, start: int, end: int) -> tuple[str, list[tuple[int, int]]]:
    pairs = [_PAIR.unpack_from(value, 2) for _, value in _data(items, start, end)]
    return name.decode("latin-1"), pairs


def _flags(name: bytes, items: bytes, start: int, end: int) -> tuple[str, list[bool]]:
    values = [value for _, value in _data(items, start, end)]
    if len(values) != 1 or len(values[0]) != 1:
        raise NotPlainError
    return name.decode("latin-1"), [values[0] != b"\0"]


def _integers(name: bytes, items: bytes, start: int, end: int) -> tuple[str, list[int]]:
    numbers = []
    for version_and_flags, value in _data(items, start, end):
        if (
            version_and_flags not in (AtomDataType.IMPLICIT, AtomDataType.INTEGER)
            or len(value) not in _INTEGER_BYTES
        ):
            raise NotPlainError
        numbers.append(int.from_bytes(value, "big", signed=True))
    return name.decode("latin-1"), numbers


def _covers(name: bytes, items: bytes, start: int, end: int) -> tuple[str, list[bytes]]:
    return name.decode("latin-1"), [value for _, value in _data(items, start, end)]


def _freeform(name: bytes, items: bytes, start: int, end: int) -> tuple[str, list[bytes]]:
    """Return a name that people and programs chose, in two parts, and its values."""
    parts = [name]
    for expected in (b"mean", b"name"):
        length, part = _ATOM.unpack_from(items, start)
        if part != expected or length < _NAME_HEADER or start + length > end:
            raise NotPlainError
        parts.append(items[start + _NAME_HEADER : start + length])
        start += length
    key = b":".join(parts).decode("latin-1")
    return key, [value for _, value in _data(items, start, end)]


def _left_to_mutagen(_name: bytes, _items: bytes, _start: int, _end: int) -> Any:
    raise NotPlainError


# Other atoms are none of ours, and nothing that is in them makes mutagen fail.
_READERS: dict[bytes, Callable[[bytes, bytes, int, int], tuple[str, list[Any]]]] = {
    **{name.encode("latin-1"): _texts for name in MP4_ATOMS},
    b"trkn": _pairs,
    b"disk": _pairs,
    b"covr": _covers,
    b"----": _freeform,
    b"cpil": _flags,
    b"tmpo": _integers,
    b"gnre": _left_to_mutagen,
}
