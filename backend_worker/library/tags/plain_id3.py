"""A short way through ordinary ID3v2.3 and 2.4 tags; mutagen reads all others.

mutagen makes an object of each frame and decodes UTF-16 character by character, which takes
most of the time of reading an MP3 file. Here only the frames that we use are decoded, at
once, and to what mutagen's would give: :func:`plain_id3` returns None for every tag in which
it meets something that mutagen repairs, merges, leaves out or refuses.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backend_worker.library.tags.id3 import LONGEST_TEXT, USED_FRAMES
from backend_worker.library.tags.names import (
    ID3_FRAMES,
    MUSICBRAINZ_OWNER,
    comment_slot,
    slot_of,
)
from backend_worker.library.tags.texts import Latin1

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER = 10  # bytes, of a tag and of a frame

_ENCODINGS = ("latin-1", "utf-16-le", "utf-16-be", "utf-8")
_LATIN1, _UTF16 = 0, 1
_BOM = b"\xff\xfe"
_USED = frozenset(name.encode("ascii") for name in USED_FRAMES)


class _NotPlainError(Exception):
    """Something that is left to mutagen."""


@dataclass(slots=True)
class PlainID3:
    """What an ordinary ID3v2 tag holds, of what we use."""

    size: int  # in bytes, with its header
    # (slot, texts) by mutagen's key, which is the same for frames that stand for one thing
    texts: dict[str, tuple[str | None, list[str]]] = field(default_factory=dict)
    pictures: list[tuple[int, str, bytes]] = field(default_factory=list)  # type, MIME type, data


def plain_id3(tag: bytes) -> PlainID3 | None:
    """Return what the tag holds; None if it is not one of the ordinary kind.

    Args:
        tag: the whole tag, from its ``ID3`` on; what follows it is left alone.
    """
    try:
        return _parse(tag)
    except (_NotPlainError, UnicodeError, IndexError, ValueError):
        return None


def _parse(tag: bytes) -> PlainID3:
    version = tag[3]
    end = HEADER + _synchsafe(tag[6:HEADER])
    # flags are unsynchronisation, an extended header and a footer
    if version not in (3, 4) or tag[5] or len(tag) < end:
        raise _NotPlainError
    found = PlainID3(end)
    large = False
    frames = 0  # that we use
    start = HEADER
    while start + HEADER <= end and (name := tag[start : start + 4]) != b"\0\0\0\0":
        length = int.from_bytes(tag[start + 4 : start + 8], "big")
        if version == 4 and length > 0x7F:
            large = True
            length = _synchsafe(tag[start + 4 : start + 8])
        body = start + HEADER
        start = body + length
        if start > end or not name.isalnum() or tag[body - 2] or tag[body - 1]:
            raise _NotPlainError
        if length:
            frames += _read_frame(name.decode("ascii"), version, tag[body:start], found)
    if large:
        _check_sizes(tag, start, end, frames)
    return found


def _synchsafe(size: bytes) -> int:
    """Return the number of four bytes of which each has seven bits."""
    one, two, three, four = size
    if (one | two | three | four) > 0x7F:
        raise _NotPlainError
    return one << 21 | two << 14 | three << 7 | four


def _check_sizes(tag: bytes, padding: int, end: int, frames: int) -> None:
    """Refuse an ID3v2.4 tag whose sizes may have eight bits a byte, as iTunes wrote them.

    mutagen takes the way that leads to more frames that it is told to know.
    """
    if tag[padding:end].strip(b"\0"):
        raise _NotPlainError
    others, start = 0, HEADER
    while start + HEADER < end and tag[start : start + HEADER].strip(b"\0"):
        others += tag[start : start + 4] in _USED
        start += HEADER + int.from_bytes(tag[start + 4 : start + 8], "big")
    if others > frames:
        raise _NotPlainError


def _read_frame(name: str, version: int, data: bytes, found: PlainID3) -> bool:
    """Add what a frame holds; return whether the frame is one that we use."""
    if len(data) > LONGEST_TEXT and name != "APIC":
        raise _NotPlainError
    if (slot := ID3_FRAMES.get(name)) is not None:
        values = _values(_decoded(data[0], data[1:]), data[0], version)
        _add(found, name, slot, values)
    elif (read := _READERS.get(name)) is not None:
        read(version, data, found)
    elif name in USED_FRAMES:
        raise _NotPlainError
    else:
        return False
    return True


def _add(found: PlainID3, key: str, slot: str | None, values: list[str]) -> None:
    if key in found.texts:
        raise _NotPlainError  # mutagen merges them, or the later one counts
    found.texts[key] = (slot, values)


def _decoded(encoding: int, data: bytes) -> str:
    """Return the text of a frame; it may consist of several, each ended by NUL."""
    if not data:
        raise _NotPlainError
    if encoding == _UTF16:
        if not data.startswith(_BOM):
            raise _NotPlainError
        data = data[2:]
    return data.decode(_ENCODINGS[encoding])


def _values(text: str, encoding: int, version: int) -> list[str]:
    values = _separated(text, encoding, version)
    if encoding == _LATIN1 and not text.isascii():
        return [value if value.isascii() else Latin1(value) for value in values]
    return values


def _separated(text: str, encoding: int, version: int) -> list[str]:
    if version == 3:
        text = text.rstrip("\0")  # padding
    elif text.endswith("\0"):
        text = text[:-1]
    if "\0" not in text:
        return [text]
    first, *others = text.split("\0")
    return [first, *(map(_without_bom, others) if encoding == _UTF16 else others)]


def _without_bom(text: str) -> str:
    """Return one of several texts in UTF-16: each may have a byte order mark of its own."""
    if text.startswith("\ufffe"):
        raise _NotPlainError
    return text.removeprefix("\ufeff")


def _described(encoding: int, data: bytes) -> tuple[str, str]:
    """Return a frame's description and the text behind it, which is not blank."""
    if encoding == _UTF16 and data.startswith(b"\0\0"):
        description, text = "", _decoded(encoding, data[2:])
    else:
        description, _, text = _decoded(encoding, data).partition("\0")
        if encoding == _UTF16:
            text = _without_bom(text)
    if not text.strip("\0"):
        raise _NotPlainError  # mutagen drops some of these frames
    return description, text


def _user_text(version: int, data: bytes, found: PlainID3) -> None:
    description, text = _described(data[0], data[1:])
    if slot := slot_of(description):
        _add(found, f"TXXX:{description}", slot, _values(text, data[0], version))


def _comment(version: int, data: bytes, found: PlainID3) -> None:
    language = data[1:4].decode("ascii")
    description, text = _described(data[0], data[4:])
    values = _values(text, data[0], version)
    _add(found, f"COMM:{description}:{language}", comment_slot(description), values)


def _lyrics(version: int, data: bytes, found: PlainID3) -> None:
    language = data[1:4].decode("ascii")
    description, text = _described(data[0], data[4:])
    values = _values(text, data[0], version)[:1]
    _add(found, f"USLT:{description}:{language}", "lyrics", values)


def _identifier(_version: int, data: bytes, found: PlainID3) -> None:
    owner, _, identifier = data.partition(b"\0")
    if owner.rstrip(b"/") == MUSICBRAINZ_OWNER:
        values = [identifier.decode("ascii", "replace")]
        _add(found, f"UFID:{owner.decode('latin-1')}", "mb_recording_id", values)


def _picture(version: int, data: bytes, found: PlainID3) -> None:
    encoding = data[0]
    mime_end = data.index(b"\0", 1)
    kind = data[mime_end + 1]
    start = mime_end + 2
    if encoding == _UTF16 and data[start : start + 2] == b"\0\0":
        end = start + 2  # an empty description without a byte order mark
    else:
        end = _end_of_text(encoding, data, start)
        _decoded(encoding, data[start:end])
    picture = data[end:]
    if version == 3 and not picture[:1].strip(b"\0") and not picture.strip(b"\0"):
        picture = b""
    found.pictures.append((kind, data[1:mime_end].decode("latin-1"), picture))


def _end_of_text(encoding: int, data: bytes, start: int) -> int:
    """Return where the text that begins at ``start`` ends, behind its NUL."""
    if _ENCODINGS[encoding].startswith("utf-16"):
        end = data.index(b"\0\0", start)
        while (end - start) % 2:
            end = data.index(b"\0\0", end + 1)
        return end + 2
    return data.index(b"\0", start) + 1


_READERS: dict[str, Callable[[int, bytes, PlainID3], None]] = {
    "APIC": _picture,
    "COMM": _comment,
    "TXXX": _user_text,
    "UFID": _identifier,
    "USLT": _lyrics,
}
