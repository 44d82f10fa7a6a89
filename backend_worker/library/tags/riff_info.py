"""The INFO list of WAV files, which mutagen does not read."""

from __future__ import annotations

import struct
from typing import BinaryIO

_MOST_CHUNKS = 1_000
_MOST_BYTES = 1024 * 1024


def read_riff_info(file: BinaryIO) -> dict[bytes, str]:
    """Return the texts of a WAV file's ``LIST`` chunk of type ``INFO`` by their ids.

    The format names no encoding: UTF-8 where it is valid, else Windows-1252.

    Raises:
        OSError: the file cannot be read.
    """
    file.seek(12)
    for _ in range(_MOST_CHUNKS):
        header = file.read(8)
        if len(header) < 8:
            break
        name, size = struct.unpack("<4sI", header)
        if name == b"LIST" and file.read(4) == b"INFO":
            return _parse(file.read(min(size - 4, _MOST_BYTES)) if size > 4 else b"")
        skipped = 4 if name == b"LIST" else 0
        file.seek(max(0, size + size % 2 - skipped), 1)
    return {}


def _parse(data: bytes) -> dict[bytes, str]:
    texts: dict[bytes, str] = {}
    start = 0
    while start + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, start)
        texts[name] = _decode(data[start + 8 : start + 8 + size].rstrip(b"\0"))
        start += 8 + size + size % 2
    return texts


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")
