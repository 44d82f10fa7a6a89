"""Real files for these tests: copies of tiny recordings, read as the worker reads them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

from mutagen import id3

import backend_worker.library.sample
from backend_worker.library.model import TrackRecord
from backend_worker.library.tags import UnreadableFile, read_track, reader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FOLDERS = (
    Path(backend_worker.library.sample.__file__).parent / "templates",
    Path(__file__).parents[3] / "data",
)
# All tiny recordings, by the name of their file.
TEMPLATES = {path.name: path for folder in _FOLDERS for path in sorted(folder.glob("tone*"))}

JPEG = b"\xff\xd8\xff\xe0 a front cover"
OTHER_JPEG = b"\xff\xd8\xff\xe0 a back cover"

UUID = "e65fb332-0c1e-4172-85e0-59cd37e5669e"
UUID2 = "359a91e9-3bb3-4b60-a823-8aaa4bad1e36"


def copy_of(folder: Path, template: str, name: str | None = None) -> str:
    """Copy a recording into the folder, under its own or another name; return the path."""
    path = folder / (name or template)
    shutil.copy(TEMPLATES[template], path)
    return str(path)


class Pictures(dict):
    """Stands where the cover store does: keeps pictures by their SHA-256."""

    def put(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        self[digest] = data
        return digest


def read(path: str, pictures: Pictures | None = None) -> TrackRecord:
    """Read a file as the extract task does."""
    status = os.stat(path)
    store = Pictures() if pictures is None else pictures
    return read_track(path, status.st_size, status.st_mtime_ns, store_picture=store.put)


def assert_same_both_ways(path: str) -> bool:
    """Read a file as usual and with mutagen alone; return whether a short way was taken.

    Record, picture and reason must be the same.
    """
    taken = []

    def short_way(kind: object, beginning: object) -> object:
        plain = real_short_way(kind, beginning)
        taken.append(plain is not None)
        return plain

    real_short_way = reader.short_way
    with patch.object(reader, "short_way", short_way):
        usual = _record_or_reason(path)
    with patch.object(reader, "short_way", lambda _kind, _beginning: None):
        assert usual == _record_or_reason(path), path
    return any(taken)


def _record_or_reason(path: str) -> tuple[TrackRecord, Pictures] | str:
    pictures = Pictures()
    try:
        return read(path, pictures), pictures
    except UnreadableFile as error:
        return str(error)


def cover_of(path: str) -> bytes | None:
    """Return the bytes of the picture that reading the file stores."""
    pictures = Pictures()
    digest = read(path, pictures).picture
    assert len(pictures) == (digest is not None)
    return pictures.get(digest)


def assert_clean_or_unreadable(path: str) -> TrackRecord | None:
    """Read a file that may be odd; return the record, None if there is a reason for none.

    Nothing but UnreadableFile may be raised, and a record keeps what ``TrackRecord`` promises
    and comes back from its message as it was.
    """
    try:
        track = read(path)
    except UnreadableFile as error:
        reason = str(error)
        assert reason == clean_copy(reason) != ""
        return None
    for name, value in _texts(track):
        assert value == clean_copy(value) != "", name
    message = json.loads(json.dumps(track.to_message(), allow_nan=False))
    assert TrackRecord.from_message(message) == track
    for name in ("track_number", "track_total", "disc_number", "disc_total", "bitrate"):
        assert getattr(track, name) is None or 0 < getattr(track, name) < 2**31, name
    return track


def clean_copy(value: str) -> str:
    """Return the text as it has to be: NFC, stripped, no NUL, no lone surrogates."""
    kept = "".join(c for c in value if c != "\0" and unicodedata.category(c) != "Cs")
    return unicodedata.normalize("NFC", kept).strip()


def _texts(track: TrackRecord) -> Iterator[tuple[str, str]]:
    for name in TrackRecord.__dataclass_fields__:
        value = getattr(track, name)
        if name != "path":
            yield from (
                (name, one)
                for one in (value if isinstance(value, list) else [value])
                if isinstance(one, str)
            )


def assert_short(path: str) -> None:
    """Read a file both ways; the short one must have been taken."""
    assert assert_same_both_ways(path)


# The frames of an ID3v2 tag: some that we use, and some that we do not.
FRAMES = (
    id3.TIT2(text="Señorita"),
    id3.TPE1(text=["Björk", "𝄞 Clef"]),
    id3.TDRC(text="2004-05-06T07:08"),
    id3.TRCK(text="3/12"),
    id3.TCON(text=["(17)", "Eurodisco"]),
    id3.TLEN(text="1000"),
    id3.TXXX(desc="MusicBrainz Album Id", text=UUID),
    id3.TXXX(desc="ARTISTS", text=["Björk", "B"]),
    id3.TXXX(desc="of no use", text="x"),
    id3.COMM(lang="eng", desc="", text="Nice " * 40),
    id3.COMM(lang="eng", desc="iTunNORM", text="0000"),
    id3.USLT(lang="eng", desc="", text="La la la"),
    id3.UFID(owner="http://musicbrainz.org", data=UUID.encode()),
    id3.PRIV(owner="somebody", data=bytes(300)),
    id3.APIC(mime="image/jpeg", type=4, desc="back", data=JPEG * 50),
    id3.APIC(mime="image/jpeg", type=3, desc="", data=JPEG * 400),
)


def id3_tag(version: int, frames: Iterable[bytes], *, flags: int = 0, padding: int = 0) -> bytes:
    """Return an ID3v2 tag as it lies in a file; its version is 3 or 4."""
    body = b"".join(frames) + bytes(padding)
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3" + bytes([version, 0, flags]) + size + body


def id3_frame(
    version: int, name: bytes, data: bytes, *, flags: int = 0, plain_size: bool = False
) -> bytes:
    """Return a frame of an ID3v2 tag, in version 4 with a size of seven bits a byte.

    Args:
        version: the tag's, 3 or 4.
        name: four letters.
        data: what it holds.
        flags: of its header.
        plain_size: with eight bits a byte in version 4, too, as iTunes wrote it.
    """
    size = len(data)
    if version == 4 and not plain_size:
        encoded = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    else:
        encoded = struct.pack(">I", size)
    return name + encoded + struct.pack(">H", flags) + data
