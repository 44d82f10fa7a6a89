"""The embedded front cover, in whatever way the tag format keeps pictures."""

from __future__ import annotations

import binascii
import struct
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from mutagen import MutagenError
from mutagen._vorbis import VComment
from mutagen.apev2 import BINARY, APEv2
from mutagen.asf import ASFTags
from mutagen.asf._attrs import ASFByteArrayAttribute
from mutagen.flac import Picture as FlacPicture
from mutagen.id3 import ID3Tags
from mutagen.mp4 import MP4Tags

from backend_worker.library.tags.plain_id3 import PlainID3
from backend_worker.library.tags.plain_mp4_tags import PlainMP4Tags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mutagen import FileType

    from backend_worker.library.tags.plain import PlainFile

_FRONT_COVER = 3  # picture type of ID3's APIC, which FLAC and ASF took over
_LINK = "-->"  # the MIME type of a picture that is only an address


class _Candidate(NamedTuple):
    is_front: bool
    read: Callable[[], bytes]  # empty: no picture after all


def front_cover(file: FileType | PlainFile, tags: Iterable[object]) -> bytes | None:
    """Return the bytes of the front cover, else of the first picture, else None.

    Empty pictures, links and pictures that cannot be decoded are passed over. Only the
    picture that is returned is decoded or copied.

    Args:
        file: what was read.
        tags: its tags, in the order of trust.
    """
    candidates = list(_candidates(file, tags))
    candidates.sort(key=lambda candidate: not candidate.is_front)
    return next((data for candidate in candidates if (data := candidate.read())), None)


def _candidates(file: FileType | PlainFile, all_tags: Iterable[object]) -> Iterator[_Candidate]:
    for picture in getattr(file, "pictures", ()):  # FLAC
        yield _typed(picture.type, picture.mime, picture.data)
    for tags in all_tags:
        if isinstance(tags, PlainID3):
            for kind, mime, data in tags.pictures:
                yield _typed(kind, mime, data)
        elif isinstance(tags, ID3Tags):
            for frame in tags.getall("APIC"):
                yield _typed(frame.type, frame.mime, frame.data)
        elif isinstance(tags, VComment):
            yield from _in_vorbis_comments(tags)
        elif isinstance(tags, (MP4Tags, PlainMP4Tags)):
            for cover in tags.get("covr", ()):
                yield _typed(_FRONT_COVER, "", cover)
        elif isinstance(tags, ASFTags):
            yield from _in_asf(tags)
        elif isinstance(tags, APEv2):
            yield from _in_ape(tags)


def _typed(kind: int, mime: str, data: bytes) -> _Candidate:
    return _Candidate(kind == _FRONT_COVER, lambda: b"" if mime == _LINK else bytes(data))


def _in_vorbis_comments(tags: VComment) -> Iterator[_Candidate]:
    for name, value in tags:
        lowered = name.lower()
        if lowered == "metadata_block_picture":
            # the type is in the first four bytes: eight characters of base64 tell it
            kind = _from_base64(value[:8])[:4]
            yield _Candidate(
                int.from_bytes(kind, "big") == _FRONT_COVER, partial(_from_block, value)
            )
        elif lowered == "coverart":
            yield _Candidate(False, partial(_from_base64, value))


def _from_base64(value: str) -> bytes:
    try:
        return binascii.a2b_base64(value)
    except ValueError:
        return b""


def _from_block(value: str) -> bytes:
    try:
        picture = FlacPicture(_from_base64(value))
    except (MutagenError, struct.error, ValueError, OverflowError, MemoryError):
        return b""
    return b"" if picture.mime == _LINK else picture.data


def _in_asf(tags: ASFTags) -> Iterator[_Candidate]:
    for name, value in tags:
        if name == "WM/Picture" and isinstance(value, ASFByteArrayAttribute) and value.value:
            kind = value.value[0]
            yield _Candidate(kind == _FRONT_COVER, partial(_from_wm_picture, value.value))


def _from_wm_picture(block: bytes) -> bytes:
    """Return the picture of Windows Media's ``WM_PICTURE``.

    One byte of type, four of the data's length (little-endian), MIME type and description
    as UTF-16 with a double zero behind each, then the data.
    """
    length = int.from_bytes(block[1:5], "little")
    mime, start = _utf16(block, 5)
    _description, start = _utf16(block, start)
    return b"" if mime == _LINK else block[start : start + length]


def _utf16(block: bytes, start: int) -> tuple[str, int]:
    end = start
    while (end := block.find(b"\0\0", end)) != -1 and (end - start) % 2:
        end += 1
    if end == -1:
        return "", len(block)
    return block[start:end].decode("utf-16-le", "replace"), end + 2


def _behind_zero(data: bytes) -> bytes:
    return data.partition(b"\0")[2]


def _in_ape(tags: APEv2) -> Iterator[_Candidate]:
    for name, value in tags.items():
        lowered = name.lower()
        if lowered.startswith("cover art") and value.kind == BINARY:
            # a file name, a zero, the picture
            yield _Candidate(
                lowered == "cover art (front)",
                partial(_behind_zero, value.value),
            )
