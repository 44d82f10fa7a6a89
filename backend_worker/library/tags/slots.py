"""From mutagen's tags to slots: one dictionary of raw texts, whatever the tag format.

What a slot is, :mod:`.names` tells. The texts are as tagged: not cleaned, not checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mutagen._vorbis import VComment
from mutagen.apev2 import TEXT, APEv2
from mutagen.asf import ASFTags
from mutagen.asf._attrs import ASFByteArrayAttribute
from mutagen.id3 import Encoding, ID3Tags
from mutagen.mp4 import MP4Tags

from backend_worker.library.tags.names import (
    ID3_FRAMES,
    MP4_ATOMS,
    MUSICBRAINZ_OWNER,
    comment_slot,
    slot_of,
)
from backend_worker.library.tags.plain_id3 import PlainID3
from backend_worker.library.tags.plain_mp4_tags import PlainMP4Tags
from backend_worker.library.tags.texts import Latin1, decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mutagen import Tags
Slots = dict[str, list[str]]

_MUSICBRAINZ = MUSICBRAINZ_OWNER.decode("ascii")


def slots_of(tags: Tags | PlainID3 | PlainMP4Tags | None) -> Slots:
    """Return the texts of the tags by slot."""
    slots: Slots = {}
    for slot, values in _entries(tags):
        slots.setdefault(slot, []).extend(values)
    return decoded(slots) if isinstance(tags, (PlainID3, ID3Tags)) else slots


def _entries(tags: Tags | PlainID3 | PlainMP4Tags | None) -> Iterator[tuple[str, Iterable[str]]]:
    return next((read(tags) for kind, read in _READERS if isinstance(tags, kind)), iter(()))


def _vorbis(tags: VComment) -> Iterator[tuple[str, Iterable[str]]]:
    for name, value in tags:
        if slot := slot_of(name):
            yield slot, (value,)


def _ape(tags: APEv2) -> Iterator[tuple[str, Iterable[str]]]:
    for name, value in tags.items():
        if value.kind == TEXT and (slot := slot_of(name)):
            yield slot, value


def _asf(tags: ASFTags) -> Iterator[tuple[str, Iterable[str]]]:
    for name, value in tags:
        if name == "WM/Track" and str(value).isdecimal():  # counts from 0, long out of use
            yield "track_number.2", (str(int(str(value)[:9]) + 1),)
        elif not isinstance(value, ASFByteArrayAttribute) and (slot := slot_of(name)):
            yield slot, (str(value),)


def _mp4(tags: MP4Tags | PlainMP4Tags) -> Iterator[tuple[str, Iterable[str]]]:
    for name, values in tags.items():
        if name in ("trkn", "disk"):
            field = "track" if name == "trkn" else "disc"
            yield f"{field}_number", [str(number) for number, _total in values]
            yield f"{field}_total", [str(total) for _number, total in values]
        elif name.startswith("----:"):
            if slot := slot_of(name.rpartition(":")[2]):
                yield slot, [bytes(value).decode("utf-8", "replace") for value in values]
        elif slot := MP4_ATOMS.get(name):
            yield slot, [str(value) for value in (values if isinstance(values, list) else [values])]


def _plain_id3(tags: PlainID3) -> Iterator[tuple[str, Iterable[str]]]:
    for slot, values in tags.texts.values():
        if slot is not None:
            yield slot, values


def _id3(tags: ID3Tags) -> Iterator[tuple[str, Iterable[str]]]:
    for frame in tags.values():
        name = frame.FrameID
        if slot := ID3_FRAMES.get(name):
            yield slot, _texts(frame)
        elif name == "TXXX":
            if slot := slot_of(frame.desc):
                yield slot, _texts(frame)
        elif name == "COMM":
            if slot := comment_slot(frame.desc):
                yield slot, _texts(frame)
        elif name == "UFID":
            if frame.owner.rstrip("/") == _MUSICBRAINZ:
                yield "mb_recording_id", (frame.data.decode("ascii", "replace"),)
        elif name == "USLT":
            yield "lyrics", (frame.text,)
        elif name == "SYLT":
            yield "lyrics", [str(line) for line, _time in frame.text[:10]]
        elif name == "RVA2":
            yield from _volume(frame)


def _texts(frame: Any) -> list[str]:
    texts = [str(value) for value in frame.text]
    if frame.encoding == Encoding.LATIN1:
        return [value if value.isascii() else Latin1(value) for value in texts]
    return texts


def _volume(frame: Any) -> Iterator[tuple[str, Iterable[str]]]:
    # mutagen's documentation of RVA2: ReplayGain uses channel 1 and these descriptions
    which = frame.desc.lower()
    if frame.channel == 1 and which in ("track", "album"):
        yield f"replaygain_{which}_gain.2", (f"{frame.gain:.6f}",)
        yield f"replaygain_{which}_peak.2", (f"{frame.peak:.6f}",)


_READERS: tuple[tuple[type, Callable[[Any], Iterator[tuple[str, Iterable[str]]]]], ...] = (
    (PlainID3, _plain_id3),
    (ID3Tags, _id3),
    (VComment, _vorbis),
    (MP4Tags, _mp4),
    (PlainMP4Tags, _mp4),
    (ASFTags, _asf),
    (APEv2, _ape),
)
