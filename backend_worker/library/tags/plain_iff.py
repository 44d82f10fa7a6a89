"""A short way through ordinary AIFF and WAV files: chunks of which a few are read."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from mutagen.aiff import read_float

from backend_worker.library.tags.plain import NotPlainError, PlainFile, PlainInfo
from backend_worker.library.tags.plain_id3 import plain_id3

if TYPE_CHECKING:
    from backend_worker.library.tags.plain import Beginning
    from backend_worker.library.tags.plain_id3 import PlainID3

_HEADER = 8  # bytes of a chunk: its name and the length of its data
_FORM_HEADER = _HEADER + 4
_COMMON = struct.Struct(">hLh10s")
_FORMAT = struct.Struct("<HHLLHH")
_CONTAINERS = frozenset({b"FORM", b"LIST", b"RIFF"})
_TAG = b"ID3"  # as AIFF files have it; WAV files also in lower case


class _Chunk(NamedTuple):
    start: int  # of the data, in the file
    length: int  # in bytes


class PlainWaveInfo(NamedTuple):
    """What the header of a WAV file says of its audio, as mutagen's ``WaveStreamInfo`` has it."""

    length: float  # seconds
    bitrate: int
    sample_rate: int
    channels: int
    bits_per_sample: int
    audio_format: int


def plain_aiff(beginning: Beginning) -> PlainFile:
    """Read an AIFF file.

    Raises:
        NotPlainError: it is to be left to mutagen.
        struct.error: a header is too short.
        OverflowError: the sample rate is no number.
    """
    chunks = _chunks(beginning, ">4sI", {b"COMM": b"COMM", _TAG: _TAG})
    if b"COMM" not in chunks:
        raise NotPlainError
    common = beginning.read(*chunks[b"COMM"])
    channels, frames, depth, rate = _COMMON.unpack_from(common)
    sample_rate = int(read_float(rate))
    if sample_rate <= 0:
        raise NotPlainError
    info = PlainInfo(
        frames / sample_rate, channels * depth * sample_rate, sample_rate, channels, depth
    )
    return PlainFile(_id3(beginning, chunks), info)


def plain_wave(beginning: Beginning) -> PlainFile:
    """Read a WAV file.

    Raises:
        NotPlainError: it is to be left to mutagen.
        struct.error: a header is too short.
    """
    names = {b"fmt": b"fmt", b"data": b"data", _TAG: _TAG, _TAG.lower(): _TAG}
    chunks = _chunks(beginning, "<4sI", names)
    if b"fmt" not in chunks or b"data" not in chunks:
        raise NotPlainError
    try:
        info = wave_info(beginning.read(*chunks[b"fmt"]), chunks[b"data"].length)
    except ZeroDivisionError as error:
        raise NotPlainError from error
    return PlainFile(_id3(beginning, chunks), info)


def wave_info(header: bytes, length: int) -> PlainWaveInfo:
    """Return what the format chunk of a WAV file says of so many bytes of samples.

    Raises:
        struct.error: it is too short.
        ZeroDivisionError: it says that there are none.
    """
    audio_format, channels, sample_rate, _, frame_bytes, depth = _FORMAT.unpack_from(header)
    return PlainWaveInfo(
        length / frame_bytes / sample_rate,
        channels * depth * sample_rate,
        sample_rate,
        channels,
        depth,
        audio_format,
    )


def _chunks(beginning: Beginning, header: str, wanted: dict[bytes, bytes]) -> dict[bytes, _Chunk]:
    """Return the chunks that are wanted, each of which is there once if at all.

    Args:
        beginning: the file.
        header: the format of a chunk's header.
        wanted: the names by which they are returned, by those in the file without the spaces
            behind them.
    """
    if beginning.start:
        raise NotPlainError
    _, form_length = struct.unpack(header, beginning.read(0, _HEADER))
    found: dict[bytes, _Chunk] = {}
    start, end = _FORM_HEADER, _HEADER + form_length + form_length % 2
    while start < end and start + _HEADER <= beginning.size:
        padded, length = struct.unpack(header, beginning.read(start, _HEADER))
        name = padded.rstrip(b" ")
        # mutagen looks into lists, and stops at what is no name
        if name in _CONTAINERS or not name.isalnum() or not name.isascii():
            raise NotPlainError
        if (known := wanted.get(name)) is not None:
            if known in found:
                raise NotPlainError
            found[known] = _Chunk(start + _HEADER, length)
        start += _HEADER + length + length % 2
    return found


def _id3(beginning: Beginning, chunks: dict[bytes, _Chunk]) -> PlainID3 | None:
    """Return the ID3v2 tag that one of the chunks holds, if there is one."""
    if _TAG not in chunks:
        return None
    tag = beginning.read(*chunks[_TAG])
    tags = plain_id3(tag) if tag.startswith(b"ID3") else None
    if tags is None:
        raise NotPlainError
    return tags
