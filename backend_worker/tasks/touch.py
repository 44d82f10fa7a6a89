"""Which file or folder each process of the worker is looking at, in memory that they share.

A disk or a network mount that does not answer stops its reader within the kernel: the reader
can say nothing any more. So each process writes down what it looks at before it does. The
worker's parent reads that (``worker/hangs.py``) and writes down which folders hang: the others
leave those alone. Outside of a worker nothing is written and nothing hangs.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend_worker.library.mounts import resolved
from backend_worker.library.paths import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACES = 128  # one for each process; one without is not watched
_TEXT = 4096  # bytes of a path; a longer one is cut
# pid, since when it looks (monotonic seconds; 0: it does not), length of its path, of its folder
_HEAD = struct.Struct("=qdHH")
_SINCE = struct.Struct("=d")
_FOLDER_LENGTH = struct.Struct("=H")
_PLACE = _HEAD.size + 2 * _TEXT

_memory: mmap.mmap | bytearray = bytearray()  # until share()
_next: int | None = None  # the place of the process that is forked next
_mine: int | None = None


class FolderHangsError(RuntimeError):
    """A folder does not answer: what needs it is to be done later."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a process looks at; ``folder`` is set if that is known to hang."""

    place: int
    pid: int
    since: float  # monotonic seconds
    path: bytes
    folder: bytes


def share() -> None:
    """Make the memory, before the first process is forked."""
    global _memory  # noqa: PLW0603 - one worker
    if not _memory:
        _memory = mmap.mmap(-1, PLACES * _PLACE)


def reserve() -> None:
    """Choose the place of the process that is about to be forked."""
    global _next  # noqa: PLW0603 - as above
    share()
    _next = next((place for place in range(PLACES) if not _lives(_head(place)[0])), None)
    if _next is not None:
        # its pid is not known yet; nobody else is forked before it has begun
        _HEAD.pack_into(_memory, _next * _PLACE, os.getpid(), 0.0, 0, 0)


def begin_process() -> None:
    """Take the place that the parent chose for this process."""
    global _mine  # noqa: PLW0603 - as above
    _mine = _next
    if _mine is not None:
        _HEAD.pack_into(_memory, _mine * _PLACE, os.getpid(), 0.0, 0, 0)


def begin(path: bytes) -> None:
    """Say that this process is about to look at a path."""
    if _mine is None:
        return
    start = _mine * _PLACE
    text = path[:_TEXT]
    _SINCE.pack_into(_memory, start + 8, 0.0)  # nobody reads half a path
    _memory[start + _HEAD.size : start + _HEAD.size + len(text)] = text
    _HEAD.pack_into(_memory, start, os.getpid(), time.monotonic(), len(text), 0)


def end() -> None:
    """Say that it was answered."""
    if _mine is not None:
        _SINCE.pack_into(_memory, _mine * _PLACE + 8, 0.0)


@contextmanager
def until_answered() -> Iterator[None]:
    """Leave a block in which this process looks at one path after the other."""
    try:
        yield
    finally:
        end()


@contextmanager
def looking_at(path: bytes) -> Iterator[None]:
    """Look at a path within the block.

    Raises:
        FolderHangsError: it lies in a folder that hangs.
    """
    check(path)
    begin(path)
    try:
        yield
    finally:
        end()


def check(path: bytes) -> None:
    """Raise if a path lies in a folder that is known to hang.

    Raises:
        FolderHangsError: it does; what is to be done there is to be done later.
    """
    for look in hanging_looks():
        if (resolved(path) + b"/").startswith(look.folder.rstrip(b"/") + b"/"):
            raise FolderHangsError(sentence(look.folder, time.monotonic() - look.since))


def sentence(folder: bytes, seconds: float) -> str:
    """Return what is said of a folder that hangs."""
    return f"the folder {shown(folder)} has not answered for {seconds:.0f} s"


def hangs_with(root: bytes) -> bool:
    """Say whether a folder that is known to hang holds this one or lies in it."""
    hanging = [look.folder.rstrip(b"/") + b"/" for look in hanging_looks()]
    root = resolved(root).rstrip(b"/") + b"/" if hanging else root
    return any(root.startswith(folder) or folder.startswith(root) for folder in hanging)


def hanging_looks() -> list[Look]:
    """Return those looks that are known to hang."""
    return [look for look in looks() if look.folder]


def looks() -> list[Look]:
    """Return what the processes that live are looking at."""
    found = []
    for place in range(PLACES if _memory else 0):
        pid, since, length, folder_length = _head(place)
        if since and _lives(pid):
            start = place * _PLACE + _HEAD.size
            path = bytes(_memory[start : start + length])
            folder = bytes(_memory[start + _TEXT : start + _TEXT + folder_length])
            found.append(Look(place, pid, since, path, folder))
    return found


def mark(look: Look, folder: bytes) -> None:
    """Write down that a look hangs, and in which folder."""
    folder = folder[:_TEXT]
    start = look.place * _PLACE
    text = start + _HEAD.size + _TEXT
    _memory[text : text + len(folder)] = folder
    _FOLDER_LENGTH.pack_into(_memory, start + 18, len(folder))


def _head(place: int) -> tuple[int, float, int, int]:
    return _HEAD.unpack_from(_memory, place * _PLACE)


def _lives(pid: int) -> bool:
    return pid > 0 and os.path.exists(f"/proc/{pid}")
