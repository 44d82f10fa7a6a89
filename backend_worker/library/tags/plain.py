"""Short ways through ordinary files, beside those of mutagen, which take all of them.

Each gives what mutagen's would, of what we use. Where it meets anything that is not as usual
it raises, and mutagen reads the file.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from mutagen._vorbis import VComment

from backend_worker.library.tags.behind import Behind

if TYPE_CHECKING:
    from mutagen import Tags

    from backend_worker.library.tags.plain_id3 import PlainID3
    from backend_worker.library.tags.plain_mp4_tags import PlainMP4Tags


class NotPlainError(Exception):
    """Something that is left to mutagen."""


@dataclass(slots=True)
class Beginning:
    """A file that was opened, and what is known of it so far."""

    file: BinaryIO
    size: int  # in bytes
    head: bytes  # the first 16 KiB
    tail: bytes  # the last 16 KiB
    start: int  # where the audio begins, behind ID3v2 tags
    content: bytes  # what follows there: 1 KiB

    @property
    def audio(self) -> BinaryIO:
        """The file as readers see it that know of nothing before the audio, at its start."""
        if self.start:
            return cast("BinaryIO", Behind(self.file, self.start))
        self.file.seek(0)
        return self.file

    def read(self, start: int, length: int) -> bytes:
        """Return so many bytes from ``start`` on.

        Raises:
            NotPlainError: the file ends before.
        """
        if start + length <= len(self.head):
            return self.head[start : start + length]
        data = os.pread(self.file.fileno(), length, start)
        if len(data) < length:
            raise NotPlainError
        return data


@dataclass(slots=True)
class PlainFile:
    """What a short way read, as mutagen's ``FileType`` has it."""

    tags: Tags | PlainID3 | PlainMP4Tags | None
    info: Any
    pictures: list[PlainPicture] = field(default_factory=list)


class PlainPicture(NamedTuple):
    """A picture of a FLAC file."""

    type: int
    mime: str
    data: bytes


class PlainInfo(NamedTuple):
    """What the header of a FLAC, Ogg or AIFF file says of its audio."""

    length: float  # seconds
    bitrate: int
    sample_rate: int
    channels: int
    bits_per_sample: int = 0  # none where it is lossy


_STREAM_INFO, _SEEK_TABLE, _COMMENTS, _CUE_SHEET, _PICTURE = 0, 3, 4, 5, 6
_STREAM_INFO_BYTES = 34
_LENGTH = struct.Struct("<I")  # of a Vorbis comment
_LONGEST = 1_000_000.0  # seconds; the header of a longer file is probably damaged


def plain_flac(beginning: Beginning) -> PlainFile:
    """Read a FLAC file without a tag before it, with one comment block and without a cue sheet.

    Raises:
        NotPlainError: it is to be left to mutagen.
    """
    if beginning.start:
        raise NotPlainError
    blocks: dict[int, bytes] = {}
    pictures = []
    start = len(b"fLaC")
    is_last = False
    while not is_last:
        header = beginning.read(start, 4)
        is_last, kind = header[0] > 0x7F, header[0] & 0x7F
        length = int.from_bytes(header[1:], "big")
        start += 4
        if kind == _PICTURE:
            pictures.append(_flac_picture(beginning.read(start, length)))
        elif kind in (_STREAM_INFO, _SEEK_TABLE, _COMMENTS, _CUE_SHEET):
            if kind in blocks or kind == _CUE_SHEET:
                raise NotPlainError
            blocks[kind] = b"" if kind == _SEEK_TABLE else beginning.read(start, length)
        start += length
    if start >= beginning.size:
        raise NotPlainError
    info = _flac_info(blocks.get(_STREAM_INFO, b""), beginning.size - start)
    return PlainFile(
        plain_comments(blocks[_COMMENTS]) if _COMMENTS in blocks else None, info, pictures
    )


def _flac_info(block: bytes, audio_bytes: int) -> PlainInfo:
    """Return what the STREAMINFO block tells (RFC 9639, section 8.2)."""
    rate_to_samples = int.from_bytes(block[10:18], "big")  # 20, 3, 5 and 36 bits
    sample_rate, samples = rate_to_samples >> 44, rate_to_samples & (1 << 36) - 1
    if len(block) != _STREAM_INFO_BYTES or not sample_rate or not samples:
        raise NotPlainError
    length = samples / sample_rate
    if length > _LONGEST:
        raise NotPlainError
    return PlainInfo(
        length,
        int(audio_bytes * 8 / length),
        sample_rate,
        (rate_to_samples >> 41 & 7) + 1,
        (rate_to_samples >> 36 & 31) + 1,
    )


def _flac_picture(block: bytes) -> PlainPicture:
    """Return a picture (RFC 9639, section 8.8)."""
    kind, mime_length = struct.unpack_from(">II", block)
    mime_end = 8 + mime_length
    (description_length,) = struct.unpack_from(">I", block, mime_end)
    start = mime_end + 4 + description_length + 20
    (length,) = struct.unpack_from(">I", block, start - 4)
    if start + length != len(block):  # mutagen trusts what is in the block, not its size
        raise NotPlainError
    return PlainPicture(kind, block[8:mime_end].decode("utf-8", "replace"), block[start:])


def plain_comments(block: bytes) -> VComment:
    """Return Vorbis comments that fill the block to its end.

    Raises:
        NotPlainError: they do not.
        struct.error: the block is too short.
    """
    comments, end = comments_of(block, 0)
    if end != len(block):
        raise NotPlainError
    return comments


def comments_of(block: bytes, start: int) -> tuple[VComment, int]:
    """Return the Vorbis comments that begin there, and where they end.

    Raises:
        NotPlainError: the block ends before, or there is something odd in them.
        struct.error: as the first.
    """
    comments = VComment()
    read_length = _LENGTH.unpack_from
    (vendor_length,) = read_length(block, start)
    start += 4 + vendor_length
    (count,) = read_length(block, start)
    start += 4
    for _ in range(count):
        (length,) = read_length(block, start)
        start += 4 + length
        name, equals, value = block[start - length : start].partition(b"=")
        if not equals or not name.isascii():
            raise NotPlainError
        key = name.decode("ascii")
        if key.isprintable() and key and "~" not in key:
            comments.append((key, value.decode("utf-8", "replace")))
    if start > len(block):
        raise NotPlainError
    return comments, start
