"""WAV files that may be larger than 4 GiB: RF64 (EBU Tech 3306) and its successor BW64.

The lengths in them are all ones; a chunk "ds64" before the others has the true ones.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

from mutagen import MutagenError

from backend_worker.library.tags.iff_texts import chunks_of
from backend_worker.library.tags.plain import PlainFile
from backend_worker.library.tags.plain_iff import wave_info
from backend_worker.library.tags.sources import read_id3


class RF64(PlainFile):
    """An RF64 or BW64 file."""

    def __init__(self, file: BinaryIO, **_options: Any) -> None:
        tags: Any = None
        header, samples_length = b"", None
        for name, start, length in chunks_of(file, "<4sI"):
            file.seek(start)
            if name == b"fmt ":
                header = file.read(min(length, 40))
            elif name == b"data":
                samples_length = length
            elif name.strip().lower() == b"id3":
                tags = read_id3(file.read(length))
        if not header or samples_length is None:
            raise MutagenError("the RF64 file has no format or no data")
        try:
            info = wave_info(header, samples_length)
        except (struct.error, ZeroDivisionError) as error:
            raise MutagenError("the format in the RF64 file makes no sense") from error
        super().__init__(tags, info)
