"""A short way through ordinary Ogg files: one stream of Vorbis or Opus.

Pages are described in RFC 3533, section 6; Opus' headers in RFC 7845, section 5; Vorbis' in
section 4.2.2 of its specification. mutagen reads multiplexed and chained files.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from backend_worker.library.tags.plain import (
    NotPlainError,
    PlainFile,
    PlainInfo,
    comments_of,
)

if TYPE_CHECKING:
    from backend_worker.library.tags.plain import Beginning

_HEADER = struct.Struct("<4sBBqIIiB")
_CONTINUED, _FIRST, _LAST = 1, 2, 4  # flags of a page
_LARGEST_PAGE = 27 + 255 + 255 * 255  # bytes
_FULL = 255  # bytes: a packet goes on behind a segment of so many
_NO_PACKET_ENDS = -1
_OPUS_RATE = 48_000  # Hz, of its positions


class _Page(NamedTuple):
    flags: int
    position: int  # samples until the last packet that ends in it
    serial: int  # the stream's
    number: int
    segments: bytes  # their lengths
    start: int  # of the data, in the file
    end: int


def plain_vorbis(beginning: Beginning) -> PlainFile:
    """Read an Ogg file of one Vorbis stream.

    Raises:
        NotPlainError: it is to be left to mutagen.
        struct.error: a header is too short.
    """
    first, header = _first_packet(beginning)
    packet, _ = _second_packet(beginning, first)
    if not header.startswith(b"\x01vorbis") or not packet.startswith(b"\x03vorbis"):
        raise NotPlainError
    channels, sample_rate, *bitrates = struct.unpack_from("<BI3i", header, 11)
    if not sample_rate:
        raise NotPlainError
    comments, end = comments_of(packet, 7)
    if not packet[end] & 1:
        raise NotPlainError
    length = _last_position(beginning, first.serial) / sample_rate
    info = PlainInfo(length, _bitrate(*(max(0, rate) for rate in bitrates)), sample_rate, channels)
    return PlainFile(comments, info)


def _bitrate(most: int, nominal: int, least: int) -> int:
    """Return the bit rate that mutagen makes of the three in a Vorbis header."""
    if not nominal:
        return (most + least) // 2
    if most and most < nominal:
        return most
    return max(nominal, least)


def plain_opus(beginning: Beginning) -> PlainFile:
    """Read an Ogg file of one Opus stream.

    Raises:
        NotPlainError: it is to be left to mutagen.
        struct.error: a header is too short.
    """
    first, header = _first_packet(beginning)
    packet, audio_start = _second_packet(beginning, first)
    if not header.startswith(b"OpusHead") or not packet.startswith(b"OpusTags"):
        raise NotPlainError
    version, channels, skipped = struct.unpack_from("<BBH", header, 8)
    if version >> 4 or len(header) < 19:
        raise NotPlainError
    comments, _ = comments_of(packet, 8)
    length = (_last_position(beginning, first.serial) - skipped) / _OPUS_RATE
    bitrate = round((beginning.size - audio_start) * 8 / length) if length else 0
    return PlainFile(comments, PlainInfo(length, bitrate, _OPUS_RATE, channels))


def _page(data: bytes, start: int) -> _Page:
    """Return the page whose header the data begin with; ``start`` is where that lies."""
    name, version, flags, position, serial, number, _, count = _HEADER.unpack_from(data)
    segments = data[_HEADER.size : _HEADER.size + count]
    if name != b"OggS" or version or len(segments) != count or not count:
        raise NotPlainError
    start += _HEADER.size + count
    return _Page(flags, position, serial, number, segments, start, start + sum(segments))


def _page_at(beginning: Beginning, start: int) -> _Page:
    length = min(_HEADER.size + 255, beginning.size - start)
    page = _page(beginning.read(start, length), start)
    if page.end > beginning.size:
        raise NotPlainError
    return page


def _first_packet(beginning: Beginning) -> tuple[_Page, bytes]:
    """Return the stream's first page, and the one packet in it."""
    if beginning.start:
        raise NotPlainError
    page = _page_at(beginning, 0)
    if not page.flags & _FIRST or page.segments[-1] == _FULL or len(page.segments) != 1:
        raise NotPlainError
    return page, beginning.read(page.start, page.end - page.start)


def _second_packet(beginning: Beginning, first: _Page) -> tuple[bytes, int]:
    """Return the packet behind the first page, and where its last page ends."""
    parts: list[bytes] = []
    page = first
    ends = False
    while not ends:
        number = page.number + 1
        page = _page_at(beginning, page.end)
        is_continued = bool(page.flags & _CONTINUED)
        if page.serial != first.serial or page.number != number or is_continued != bool(parts):
            raise NotPlainError
        length = 0
        for segment in page.segments:
            length += segment
            if segment < _FULL:
                ends = True
                break
        parts.append(beginning.read(page.start, length))
    return b"".join(parts), page.end


def _last_position(beginning: Beginning, serial: int) -> int:
    """Return the position of the last page, which has to be the stream's last."""
    data, start = beginning.tail, beginning.size - len(beginning.tail)
    found = data.rfind(b"OggS")
    if found < 0:
        start = max(0, beginning.size - _LARGEST_PAGE)
        data = beginning.read(start, beginning.size - start)
        found = data.rindex(b"OggS")
    page = _page(data[found : found + _HEADER.size + 255], start + found)
    if (
        page.serial != serial
        or not page.flags & _LAST
        or page.position == _NO_PACKET_ENDS
        or page.end > beginning.size
    ):
        raise NotPlainError
    return page.position
