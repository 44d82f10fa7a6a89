"""The texts that WAV and AIFF files keep in chunks of their own, which mutagen does not read.

WAV: the ``INFO`` list of Microsoft's and IBM's "Multimedia Programming Interface and Data
Specifications 1.0", chapter 3. AIFF: the text chunks of Apple's "Audio Interchange File Format",
version 1.3, section 13.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO

from backend_worker.library.tags.names import AIFF_TEXTS, RIFF_INFO

if TYPE_CHECKING:
    from collections.abc import Iterator

_FORM_HEADER = 12  # bytes
_HEADER = 8  # bytes of a chunk: its name and the length of its data
_MOST_CHUNKS = 1_000
_MOST_BYTES = 1024 * 1024
_LIST_KIND = 4  # bytes
_IN_DS64 = 2**32 - 1


def wave_slots(file: BinaryIO) -> dict[str, list[str]]:
    """Return the texts of a WAV file's ``LIST`` chunks of type ``INFO`` by slot.

    The format names no encoding: UTF-8 where it is valid, else Windows-1252.

    Raises:
        OSError: the file cannot be read.
    """
    slots: dict[str, list[str]] = {}
    for name, start, length in chunks_of(file, "<4sI"):
        if name == b"LIST" and length > _LIST_KIND:
            file.seek(start)
            if file.read(_LIST_KIND) == b"INFO":
                data = file.read(min(length - _LIST_KIND, _MOST_BYTES))
                for text_name, text in _info(data):
                    if slot := RIFF_INFO.get(text_name):
                        slots.setdefault(slot, []).append(text)
    return slots


def aiff_slots(file: BinaryIO) -> dict[str, list[str]]:
    """Return the texts of an AIFF file's own chunks by slot.

    Raises:
        OSError: the file cannot be read.
    """
    slots: dict[str, list[str]] = {}
    for name, start, length in chunks_of(file, ">4sI"):
        if slot := AIFF_TEXTS.get(name):
            file.seek(start)
            text = _decode(file.read(min(length, _MOST_BYTES)))
            slots.setdefault(slot, []).append(text)
    return slots


def chunks_of(file: BinaryIO, header: str) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and length of each chunk.

    Args:
        file: a WAV, RF64 or AIFF file.
        header: the format of a chunk's header.

    Raises:
        OSError: the file cannot be read.
    """
    start, data_length = _FORM_HEADER, 0
    for _ in range(_MOST_CHUNKS):
        file.seek(start)
        data = file.read(_HEADER)
        if len(data) < _HEADER:
            return
        name, length = struct.unpack(header, data)
        if name == b"ds64":  # the lengths of an RF64 file: of all of it, of its samples
            data_length = int.from_bytes(file.read(16)[8:], "little")
        elif name == b"data" and length == _IN_DS64 and data_length:
            length = data_length
        yield name, start + _HEADER, length
        start += _HEADER + length + length % 2


def _info(data: bytes) -> Iterator[tuple[bytes, str]]:
    start = 0
    while start + _HEADER <= len(data):
        name, size = struct.unpack_from("<4sI", data, start)
        yield name, _decode(data[start + _HEADER : start + _HEADER + size])
        start += _HEADER + size + size % 2


def _decode(data: bytes) -> str:
    data = data.rstrip(b"\0")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")
