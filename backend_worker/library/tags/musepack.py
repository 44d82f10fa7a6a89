"""mutagen's reader of Musepack files, kept from going round in damaged ones for ever.

Stream version 8 is a chain of packets, each with its whole length: two letters of key, the
length itself, the data (https://trac.musepack.net/musepack/wiki/SV8Specification). mutagen
believes a length that is smaller than key and length, and steps back to where it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from mutagen.musepack import Musepack as _Musepack
from mutagen.musepack import MusepackHeaderError, MusepackInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEY = 2  # bytes
_LONGEST_NUMBER = 9  # bytes of seven bits: 63 bits
_MOST_PACKETS = 1_000  # before the audio: there are four or five
_AUDIO = (b"AP", b"SE")  # keys: an audio packet, the stream's end


class _Info(MusepackInfo):
    def __init__(self, fileobj: BinaryIO) -> None:
        start = fileobj.tell()
        if fileobj.read(4) == b"MPCK":
            _check_packets(fileobj)
        fileobj.seek(start)
        super().__init__(fileobj)


class Musepack(_Musepack):
    """A Musepack file of any stream version."""

    _Info = _Info


def _check_packets(file: BinaryIO) -> None:
    """Go through the packets before the audio.

    Raises:
        MusepackHeaderError: one is shorter than its own header, or there are far too many.
    """
    for _ in range(_MOST_PACKETS):
        key = file.read(_KEY)
        if len(key) < _KEY or key in _AUDIO:
            return
        length, digits = _number(file)
        if length < _KEY + digits:
            raise MusepackHeaderError("a packet says that it is shorter than its header")
        file.seek(length - _KEY - digits, 1)
    raise MusepackHeaderError("it has too many packets before the audio")


def _number(file: BinaryIO) -> tuple[int, int]:
    """Return a number and how many bytes it has: seven bits in each, the last below 128."""
    value = 0
    for digits, byte in enumerate(_bytes(file), 1):
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, digits
    raise MusepackHeaderError("the length of a packet is damaged")


def _bytes(file: BinaryIO) -> Iterator[int]:
    for _ in range(_LONGEST_NUMBER):
        yield from file.read(1)
