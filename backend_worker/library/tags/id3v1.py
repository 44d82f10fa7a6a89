"""ID3v1: 128 bytes at the end of a file, of texts that are cut after 30 characters.

https://id3.org/ID3v1; a zero and the track's number at the end of the comment are version 1.1.
"""

from __future__ import annotations

import struct

from backend_worker.library.tags.texts import Latin1

_TAG = struct.Struct("3s30s30s30s4s30sB")
_NO_GENRE = 255


def id3v1_slots(tag: bytes) -> dict[str, list[str]]:
    """Return the texts of an ID3v1 tag by slot."""
    _, title, artist, album, year, comment, genre = _TAG.unpack(tag)
    slots = {"genres": [str(genre)]} if genre != _NO_GENRE else {}
    if comment[28] == 0 and comment[29]:
        slots["track_number"] = [str(comment[29])]
        comment = comment[:28]
    texts = {"title": title, "artists": artist, "album": album, "year": year, "comment": comment}
    return slots | {
        slot: [Latin1(text.decode("latin-1"))]
        for slot, data in texts.items()
        if (text := data.partition(b"\0")[0].strip())
    }
