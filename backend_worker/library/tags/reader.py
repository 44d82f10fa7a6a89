"""Reading one audio file: open it once, choose its kind, read, clean, keep the cover."""

from __future__ import annotations

import errno
import os
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from mutagen import MutagenError
from mutagen.apev2 import APEv2

from backend_worker.library.model import TrackRecord
from backend_worker.library.tags import clean
from backend_worker.library.tags.audio import audio_fields, header_replaygain
from backend_worker.library.tags.errors import FileOutOfReachError, UnreadableFile
from backend_worker.library.tags.fingerprint import fingerprint_of, read_chunks
from backend_worker.library.tags.kinds import Kind, kind_of, kind_to_try, why_not_audio
from backend_worker.library.tags.pictures import front_cover
from backend_worker.library.tags.places import Places, find_places
from backend_worker.library.tags.plain import Beginning, NotPlainError, PlainFile
from backend_worker.library.tags.sources import merged_fields, read_ape, read_id3

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mutagen import FileType

    from backend_worker.library.tags.slots import Slots

_REASON_LIMIT = 200  # characters
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
    places: Places
    audio_start: int  # where the reader stopped; see audio_fields
    tags: list[object]  # in the order of trust, see .sources
    native: Slots | None
    length: float | None  # as audio_fields takes it


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
    fields = merged_fields(opened.tags, opened.native, opened.places.id3v1)
    audio = audio_fields(opened.file, opened.kind, opened.places, opened.audio_start, opened.length)
    cover = front_cover(opened.file, opened.tags)
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
    places = find_places(file.fileno(), size, head, chunks[-1])
    if places.id3 and places.start >= size:
        raise UnreadableFile("truncated: it ends within its ID3 tag")
    content = places.content
    kind = kind_of(content)
    if kind is None:
        reason = why_not_audio(content)
        kind = kind_to_try(os.path.splitext(path)[1].lower(), has_id3=bool(places.id3))
        if reason is not None or kind is None:
            raise UnreadableFile(reason or _unknown(head))
    beginning = Beginning(file, size, head, chunks[-1], places.start, content)
    read = _open(kind, beginning, path)
    audio_start = file.tell()
    tags = _tags(beginning, read, places)
    native = kind.native_texts(beginning.audio) if kind.native_texts is not None else None
    length = kind.length(read.info, file.fileno(), places) if kind.length is not None else None
    return _Opened(kind, read, places, audio_start, tags, native, length)


def _open(kind: Kind, beginning: Beginning, path: str) -> FileType | PlainFile:
    """Read the file, the short way if it is as usual, else with mutagen.

    Raises:
        UnreadableFile: it cannot.
        FileOutOfReachError: the system cannot.
    """
    plain = short_way(kind, beginning)
    if plain is not None:
        return plain
    try:
        read = kind.reader(beginning.audio, **kind.options)
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


def _tags(beginning: Beginning, read: FileType | PlainFile, places: Places) -> list[object]:
    """Return the tags in the order of trust: damaged ones are none."""
    tags: list[object] = []
    if read.tags is not None:
        tags.append(read.tags)
    for start, length in places.id3:
        tag = beginning.head[start : start + length]
        if len(tag) < length:
            tag = os.pread(beginning.file.fileno(), length, start)
        tags.append(_try(partial(read_id3, tag)))
    if b"APETAGEX" in beginning.tail and not isinstance(read.tags, APEv2):
        tags.append(_try(partial(read_ape, beginning.file)))
    return [found for found in tags if found is not None]


def _try(read: Callable[[], object]) -> object | None:
    try:
        return read()
    except Exception as error:
        _raise_foreign(error)
        _raise_out_of_reach(error)
        return None


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
