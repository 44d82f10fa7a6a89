"""Short ways through ordinary files, beside those of mutagen, which take all of them.

Each gives what mutagen's would, of what we use, or None where it meets anything that is not
as usual: then mutagen reads the file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from mutagen.mp3 import MPEGInfo

from backend_worker.library.tags.plain_id3 import PlainID3, plain_id3

if TYPE_CHECKING:
    from mutagen import Tags


@dataclass(slots=True)
class Beginning:
    """A file that was opened, and what is known of it so far."""

    file: BinaryIO
    head: bytes  # the first 16 KiB
    tail: bytes  # the last 16 KiB
    id3_size: int  # of the ID3v2 tag at its beginning, 0 if there is none


@dataclass(slots=True)
class PlainFile:
    """What a short way read, as mutagen's ``FileType`` has it."""

    tags: Tags | PlainID3 | None
    info: Any


def plain_mpeg(beginning: Beginning) -> PlainFile | None:
    """Read an MPEG audio file that begins with an ID3v2 tag."""
    size = beginning.id3_size
    if not size:
        return None
    tag = beginning.head
    if len(tag) < size:
        tag = os.pread(beginning.file.fileno(), size, 0)
    tags = plain_id3(tag, beginning.tail)
    return None if tags is None else PlainFile(tags, MPEGInfo(beginning.file, tags.size))
