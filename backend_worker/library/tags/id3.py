"""How mutagen reads ID3v2 tags for us: only the frames that we use, and none without bound.

A frame may be compressed (ID3v2.3, section 3.3.1; 2.4, section 4.1): 0.3 MB of it may hold
300 MB. mutagen unpacks all of it, and makes objects of frames that nobody asks for.
"""

from __future__ import annotations

import zlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mutagen.id3 import Frame, Frames, Frames_2_2, TextFrame
from mutagen.id3._util import ID3JunkFrameError, unsynch

from backend_worker.library.tags.names import ID3_FRAMES

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_UNPACKED = 32 * 1024 * 1024  # bytes, of one tag: a large picture
LONGEST_TEXT = 1024 * 1024  # bytes, of one frame that is no picture; a longer one is junk
_UNPACKED = "unpacked_bytes"  # of a tag so far, kept at its header
# Those that are no plain text frames, beside those.
# mutagen makes nothing of a time that is not in ISO 8601, as many are; we read them as text.
_TIMES = frozenset({"TDOR", "TDRC", "TDRL"})
_OTHER_FRAMES = frozenset({"APIC", "COMM", "RVA2", "SYLT", "TXXX", "UFID", "USLT"})
USED_FRAMES = frozenset(_OTHER_FRAMES | set(ID3_FRAMES))


def _bounded(name: str) -> type[Frame]:
    """Return mutagen's frame, which refuses what unpacks to too much as it does other junk."""
    kind: type[Frame] = TextFrame if name in _TIMES else Frames[name]

    def from_data(cls: type[Frame], header: Any, flags: int, data: bytes) -> Frame:
        longest = MOST_UNPACKED if name == "APIC" else LONGEST_TEXT
        if len(data) > longest and name != "APIC":
            raise ID3JunkFrameError("it is too long")
        v4 = header.version >= header._V24
        if flags & (Frame.FLAG24_COMPRESS if v4 else Frame.FLAG23_COMPRESS):
            used = header.__dict__.setdefault(_UNPACKED, 0)
            size = _unpacked_size(data, min(longest, MOST_UNPACKED - used))
            header.__dict__[_UNPACKED] = used + size
        parent: Any = super(bounded, cls)
        found: Frame = parent._fromData(header, flags, data)
        return found

    # mutagen takes a frame's id from the name of its class
    bounded: type[Frame] = type(name, (kind,), {"_fromData": classmethod(from_data)})
    return bounded


def _unpacked_size(data: bytes, most: int) -> int:
    """Return how many bytes a compressed frame holds, read in any way that mutagen may.

    Raises:
        ID3JunkFrameError: more than ``most``.
    """
    return max(_size_of(packed, most) for packed in _ways_to_read(data))


def _ways_to_read(data: bytes) -> Iterable[bytes]:
    for packed in (data, data[4:]):  # four bytes of length come first, except from Quod Libet 0.12
        yield packed
        try:
            yield unsynch.decode(packed)
        except ValueError:
            continue


def _size_of(packed: bytes, most: int) -> int:
    try:
        unpacker = zlib.decompressobj()
        size = len(unpacker.decompress(packed, most + 1))
    except zlib.error:
        return 0
    if size > most:
        raise ID3JunkFrameError("it unpacks to too much")
    return size


# For mutagen's ``known_frames``: it keeps all others unread. Those of ID3v2.2 have no compression.
_KNOWN_FRAMES = MappingProxyType(
    {name: _bounded(name) for name in USED_FRAMES}
    | {name: kind for name, kind in Frames_2_2.items() if kind.__mro__[1].__name__ in USED_FRAMES}
)

# We read the frames of ID3v2.2 and 2.3 ourselves: mutagen's translation to 2.4 drops a year
# that is not exactly four digits, and costs time. ID3v1 is a tag of its own, see ``.sources``.
ID3_OPTIONS = MappingProxyType(
    {"translate": False, "known_frames": _KNOWN_FRAMES, "load_v1": False}
)
