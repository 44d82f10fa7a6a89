"""Reading one audio file: open it once, choose its kind, read, clean, keep the cover."""

from __future__ import annotations

import errno
import os
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from mutagen import MutagenError
from mutagen.apev2 import APEv2
from mutagen.id3 import ID3, ID3Tags
from mutagen.wave import WAVE

from backend_worker.library.model import TrackRecord
from backend_worker.library.tags import clean
from backend_worker.library.tags.audio import audio_fields, header_replaygain
from backend_worker.library.tags.errors import FileOutOfReachError, UnreadableFile
from backend_worker.library.tags.fields import fields_of
from backend_worker.library.tags.fingerprint import fingerprint_of, read_chunks
from backend_worker.library.tags.id3 import ID3_OPTIONS
from backend_worker.library.tags.kinds import Kind, kind_of, kind_to_try, why_not_audio
from backend_worker.library.tags.pictures import front_cover
from backend_worker.library.tags.plain import Beginning, NotPlainError, PlainFile
from backend_worker.library.tags.riff_info import read_riff_info
from backend_worker.library.tags.slots import Slots, merge, slots_of, slots_of_riff_info

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mutagen import FileType, Tags

_CONTENT = 1024  # bytes behind an ID3v2 tag that are enough to know the kind
_REASON_LIMIT = 200  # characters
_ID3_HEADER = 10  # bytes
_NO_MEMORY = "cannot be read: there was not enough memory"

# What a header that promises too much ends in; mutagen lets many of them through.
_TRUNCATION = (EOFError, struct.error, IndexError)
_TRUNCATION_WORDS = (
    "truncated",
    "not enough",
    "ended unexpectedly",
    "bytes, read",
    "too small",
    "eof",
)
# Modules whose exceptions speak of the file; all others come from outside.
_READERS = frozenset({"binascii", "builtins", "mutagen", "struct", "zlib"})


@dataclass(slots=True)
class _Opened:
    """What one reading of the file gave, before anything is made of it."""

    kind: Kind
    file: FileType | PlainFile
    content: bytes  # its beginning behind an ID3v2 tag
    audio_start: int  # where the reader stopped; see audio_fields
    other_tags: list[Tags]  # those that the reader of this kind leaves aside
    riff_info: dict[bytes, str]


def read_track(
    path: str, size: int, mtime_ns: int, *, store_picture: Callable[[bytes], str]
) -> TrackRecord:
    """Read the tags, the audio properties and the front cover of one file.

    The content decides what the file is read as, not its name.

    Args:
        path: the file, as text with surrogateescape.
        size: its size in bytes, as the caller saw it.
        mtime_ns: its time of modification in nanoseconds since 1970.
        store_picture: keeps the bytes of a picture and returns their SHA-256 in hex. What it
            raises is passed on.

    Raises:
        FileNotFoundError: the file is gone.
        UnreadableFile: the file is empty, damaged, no audio or of no known kind.
        FileOutOfReachError: the system cannot read it.
    """
    with _system_errors(), open(path, "rb") as file:
        if size == 0:
            raise UnreadableFile("the file is empty")
        chunks = read_chunks(file.fileno(), size)
        opened = _load(file, path, size, chunks)
    fingerprint = fingerprint_of(size, chunks)
    fields = fields_of(_slots(opened))
    audio = audio_fields(opened.file, opened.kind, size, opened.content, opened.audio_start)
    cover = front_cover(opened.file, opened.other_tags)
    return TrackRecord(
        path,
        size,
        mtime_ns,
        fingerprint,
        **header_replaygain(opened.file.info) | fields | audio,
        picture=store_picture(cover) if cover else None,
    )


@contextmanager
def _system_errors() -> Iterator[None]:
    """Turn the system's refusals into reasons, and a vanished folder into a vanished file."""
    try:
        yield
    except MemoryError as error:
        raise FileOutOfReachError(_NO_MEMORY) from error
    except FileNotFoundError:
        raise
    except NotADirectoryError as error:
        raise FileNotFoundError(*error.args) from error
    except OSError as error:
        raise FileOutOfReachError(f"cannot be read: {error.strerror or error}") from error


def _load(file: BinaryIO, path: str, size: int, chunks: tuple[bytes, ...]) -> _Opened:
    head = chunks[0]
    id3_size = _id3_size(head)
    if id3_size >= size:
        raise UnreadableFile("truncated: it ends within its ID3 tag")
    content = head[id3_size : id3_size + _CONTENT]
    if id3_size and len(content) < _CONTENT:
        content = os.pread(file.fileno(), _CONTENT, id3_size)
    kind = kind_of(content)
    if kind is None:
        reason = why_not_audio(content)
        kind = kind_to_try(os.path.splitext(path)[1].lower(), has_id3=id3_size > 0)
        if reason is not None or kind is None:
            raise UnreadableFile(reason or _unknown(head))
    read = _open(kind, Beginning(file, size, head, chunks[-1], id3_size, content), path)
    audio_start = file.tell()
    other_tags = _other_tags(file, read, id3_size > 0, chunks[-1])
    wants_info = kind.reader is WAVE and read.tags is None
    riff_info = read_riff_info(file) if wants_info else {}
    return _Opened(kind, read, content, audio_start, other_tags, riff_info)


def _id3_size(head: bytes) -> int:
    """Return the size in bytes of the ID3v2 tag that the file begins with, else 0."""
    if not head.startswith(b"ID3") or len(head) < _ID3_HEADER:
        return 0
    size = 0
    for byte in head[6:_ID3_HEADER]:  # four times seven bits
        size = size << 7 | byte & 0x7F
    footer = _ID3_HEADER if head[3] >= 4 and head[5] & 0x10 else 0
    return _ID3_HEADER + size + footer


def _open(kind: Kind, beginning: Beginning, path: str) -> FileType | PlainFile:
    """Read the file, the short way if it is as usual, else with mutagen.

    Raises:
        UnreadableFile: it cannot.
        FileOutOfReachError: the system cannot.
    """
    file = beginning.file
    plain = short_way(kind, beginning)
    if plain is not None:
        return plain
    file.seek(0)
    try:
        read = kind.reader(file, **kind.options)
        getattr(read.info, "length", None)  # of DSF a property, which may divide by zero
    except Exception as error:
        _raise_foreign(error)
        _raise_out_of_reach(error)
        raise UnreadableFile(_reason(error, path, beginning.head)) from error
    return read


def short_way(kind: Kind, beginning: Beginning) -> PlainFile | None:
    """Read a file that is as usual without mutagen's readers; None if it is not."""
    if kind.short_way is None:
        return None
    try:
        return kind.short_way(beginning)
    except NotPlainError:
        return None
    except Exception as error:  # mutagen says better what is wrong with the file
        _raise_foreign(error)
        return None


def _other_tags(
    file: BinaryIO, read: FileType | PlainFile, id3_first: bool, tail: bytes
) -> list[Tags]:
    """Return tags that mutagen's reader of this kind leaves aside: damaged ones are none."""
    tags: list[Tags | None] = []
    if id3_first and not read.tags and not isinstance(read.tags, ID3Tags):
        tags.append(_try(lambda: ID3(file, **ID3_OPTIONS), file))
    if b"APETAGEX" in tail and not isinstance(read.tags, APEv2):
        tags.append(_try(lambda: APEv2(file), file))
    return [found for found in tags if found is not None]


def _try(read: Callable[[], Tags], file: BinaryIO) -> Tags | None:
    file.seek(0)
    try:
        return read()
    except Exception as error:
        _raise_foreign(error)
        _raise_out_of_reach(error)
        return None


def _slots(opened: _Opened) -> Slots:
    slots = slots_of(opened.file.tags)
    # ID3v1 cuts its texts after 30 characters: an APEv2 tag beside it is the better one
    only_id3v1 = isinstance(opened.file.tags, ID3) and opened.file.tags.version < (2,)
    for tags in opened.other_tags:
        other = slots_of(tags)
        slots = merge(other, slots) if only_id3v1 else merge(slots, other)
    return slots | slots_of_riff_info(opened.riff_info)


def _unknown(head: bytes) -> str:
    if not head.strip(b"\0"):
        return "damaged: it begins with nothing but zero bytes"
    return "not an audio file: its content is of no known kind"


def _raise_foreign(error: BaseException) -> None:
    """Raise an exception in the chain that is no reader's: a time limit that was raised in it.

    mutagen catches whatever is raised inside its MP4 reader, so the chain is searched.
    """
    seen: BaseException | None = error
    while seen is not None:
        if type(seen).__module__.partition(".")[0] not in _READERS:
            raise seen from None
        seen = seen.__cause__ or seen.__context__


def _raise_out_of_reach(error: BaseException) -> None:
    """Raise if an exception in the chain is the system's."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MemoryError):
            raise FileOutOfReachError(_NO_MEMORY) from error
        # mutagen itself seeks before the start of short files (EINVAL)
        if isinstance(seen, OSError) and seen.errno not in (None, errno.EINVAL):
            raise FileOutOfReachError(f"cannot be read: {os.strerror(seen.errno)}") from error
        seen = seen.__cause__ or seen.__context__


def _reason(error: Exception, path: str, head: bytes) -> str:
    """Return the sentence for what mutagen raised."""
    if not head.strip(b"\0"):
        return _unknown(head)
    words = clean.text(str(error).replace(repr(path), "the file"), _REASON_LIMIT) or ""
    name = type(error).__name__
    if isinstance(error, _TRUNCATION):
        return f"truncated: a part of it ends too early ({words or name})"
    if not isinstance(error, MutagenError):
        return f"damaged: its reader fails with {name}: {words}".rstrip(": ")
    truncated = any(word in words.lower() for word in _TRUNCATION_WORDS)
    return f"{'truncated' if truncated else 'damaged'}: {words or name}"
