"""The fingerprint by which a moved file is recognised without reading it whole."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

CHUNK = 16 * 1024


def read_chunks(descriptor: int, size: int) -> tuple[bytes, ...]:
    """Return 16 KiB of the head, the middle and the tail; a smaller file in one chunk.

    Args:
        descriptor: an open file; its position is not moved.
        size: the file's size in bytes.

    Raises:
        OSError: the file cannot be read.
    """
    if size <= 3 * CHUNK:
        return (os.pread(descriptor, size, 0),)
    offsets = (0, (size - CHUNK) // 2, size - CHUNK)
    return tuple(os.pread(descriptor, CHUNK, offset) for offset in offsets)


def fingerprint_of(size: int, chunks: Iterable[bytes]) -> str:
    """Return the fingerprint of a file: 32 hex digits, the same wherever the file lies.

    It covers the size and what :func:`read_chunks` gives, so a file of up to 48 KiB is covered
    whole. Two files are confused when they have the same size and differ only outside of these
    chunks: a tag edited in place beyond the first 16 KiB (behind a large picture), or
    uncompressed recordings that are silent at all three places. So it tells where a file went
    that is gone from its old path; it does not prove that two files which both exist are the
    same.
    """
    digest = hashlib.blake2b(size.to_bytes(8, "little"), digest_size=16)
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()
