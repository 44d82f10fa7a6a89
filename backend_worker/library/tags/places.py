"""Where in a file its audio and its tags lie: before, behind and among each other.

ID3v2 tags stand at the beginning, one or several, or at the end with a footer (ID3v2.4, section
3.4); zero bytes may lie between them. ID3v1, APEv2 and Lyrics3 stand at the end.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from backend_worker.library.tags.kinds import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

CONTENT = 1024  # bytes of the audio that are enough to know its kind
_ID3_HEADER = 10  # bytes, as has a footer
_ID3V1 = 128
_APE_FOOTER = 32
_LYRICS3 = b"LYRICS200"
_MOST_TAGS = 8  # at either end
_MOST_ZEROS = 64 * 1024  # bytes between a tag and what follows it


class Place(NamedTuple):
    """A part of the file, in bytes."""

    start: int
    length: int


@dataclass(slots=True)
class Places:
    """The parts of one file."""

    content: bytes  # the beginning of the audio
    start: int = 0  # where the audio begins
    end: int = 0  # and where it ends
    id3: list[Place] = field(default_factory=list)  # ID3v2 tags, in the order of trust
    id3v1: bytes = b""


def find_places(descriptor: int, size: int, head: bytes, tail: bytes) -> Places:
    """Return where the parts of a file lie.

    Args:
        descriptor: the open file.
        size: the file's size in bytes.
        head: its beginning.
        tail: its end.

    Raises:
        OSError: the file cannot be read.
    """

    def read(start: int, length: int) -> bytes:
        if start + length <= len(head):
            return head[start : start + length]
        begin = start - (size - len(tail))
        if begin >= 0:
            return tail[begin : begin + length]
        return os.pread(descriptor, length, max(0, start))

    places = Places(head[:CONTENT], end=size)
    if head.startswith((b"ID3", bytes(8))):  # an MP4 file begins with up to seven zeros
        _find_beginning(read, places, size)
    _find_end(read, places, size)
    return places


def _find_beginning(read: Callable[[int, int], bytes], places: Places, size: int) -> None:
    start = 0
    for _ in range(2 * _MOST_TAGS):
        length = _id3_length(read(start, _ID3_HEADER))
        if length:
            places.id3.append(Place(start, min(length, size - start)))
            places.start = start = min(start + length, size)
            continue
        zeros = _zeros(read, start, size)
        behind = read(start + zeros, CONTENT)
        if not zeros or not (_id3_length(behind[:_ID3_HEADER]) or kind_of(behind)):
            break
        start += zeros
        if not _id3_length(behind[:_ID3_HEADER]):
            places.start = start
            break
    places.content = read(places.start, CONTENT)


def _id3_length(header: bytes) -> int:
    """Return the length of the ID3v2 tag with this header, with header and footer; 0 if none."""
    if not header.startswith(b"ID3") or len(header) < _ID3_HEADER:
        return 0
    footer = _ID3_HEADER if header[3] >= 4 and header[5] & 0x10 else 0
    return _ID3_HEADER + _seven_bits(header[6:]) + footer


def _seven_bits(size: bytes) -> int:
    number = 0
    for byte in size:
        number = number << 7 | byte & 0x7F
    return number


def _zeros(read: Callable[[int, int], bytes], start: int, size: int) -> int:
    """Return how many zero bytes follow, up to a bound."""
    found = 0
    while found < _MOST_ZEROS and start + found < size:
        data = read(start + found, 4096)
        found += len(data) - len(data.lstrip(b"\0"))
        if data.strip(b"\0") or not data:
            break
    return found


def _find_end(read: Callable[[int, int], bytes], places: Places, size: int) -> None:
    end = size
    for _ in range(_MOST_TAGS):
        footer = read(max(places.start, end - _ID3V1), min(_ID3V1, end - places.start))
        if footer.startswith(b"TAG") and len(footer) == _ID3V1 and not places.id3v1:
            places.id3v1 = footer
            length = _ID3V1
        elif footer[-_APE_FOOTER:].startswith(b"APETAGEX"):
            length = int.from_bytes(footer[-20:-16], "little")
            length += _APE_FOOTER * (footer[-9] >> 7)  # whether it has a header, too
        elif footer.endswith(_LYRICS3) and footer[-15:-9].isdigit():
            length = int(footer[-15:-9]) + 15
        elif footer[-_ID3_HEADER:].startswith(b"3DI"):
            length = _seven_bits(footer[-4:]) + 2 * _ID3_HEADER
            if 0 < length <= end - places.start:
                places.id3.append(Place(end - length, length))
        else:
            break
        if not 0 < length <= end - places.start:
            break
        end -= length
    places.end = end
