"""How long an MP4 file lasts whose header does not say so: a fragmented one.

ISO 14496-12: ``mdhd`` (8.4.2) has the duration of what ``moov`` describes, all ones if unknown.
What follows in fragments (8.8) is the sum of its samples' durations, which are in ``trun``, else
the default of ``tfhd``, else that of ``trex``.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend_worker.library.tags.places import Places

_LONGEST = 20_000.0  # seconds; all ones are more in any unit that is used
_LARGEST = 16 * 1024 * 1024  # bytes of a moov or moof that is looked into
_MOST_ATOMS = 50_000
_HEADER = 8  # bytes
_FULL = 4  # bytes: version and flags
# flags of tfhd and trun
_BASE_OFFSET, _DESCRIPTION, _DEFAULT_DURATION = 0x1, 0x2, 0x8
_DATA_OFFSET, _FIRST_FLAGS, _DURATION = 0x1, 0x4, 0x100
_PER_SAMPLE = (0x100, 0x200, 0x400, 0x800)  # four bytes for each flag and sample


def mp4_length(info: Any, descriptor: int, places: Places) -> float | None:
    """Return how long the audio lasts, in seconds; 0 if that is not known.

    None: what ``info`` says is so.

    Raises:
        OSError: the file cannot be read.
    """
    if 0 < info.length < _LONGEST:
        return None
    try:
        return _length(descriptor, places)
    except (struct.error, IndexError, ZeroDivisionError):
        return 0.0


def _length(descriptor: int, places: Places) -> float:
    track = unit = told = default = total = 0
    for name, start, length in _top_level(descriptor, places):
        if name not in (b"moov", b"moof") or length > _LARGEST:
            continue
        data = os.pread(descriptor, length, start)
        if name == b"moov":
            track, unit, told = _sound_track(data)
            default = _default_duration(data, track)
        else:
            total += sum(_fragment(traf, track, default) for traf in _inner(data, b"traf"))
    return (told + total) / unit


def _top_level(descriptor: int, places: Places) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and length of the data of each atom of the file."""
    start = places.start
    for _ in range(_MOST_ATOMS):
        header = os.pread(descriptor, 2 * _HEADER, start)
        if len(header) < _HEADER:
            return
        length, name = struct.unpack_from(">I4s", header)
        skipped = _HEADER
        if length == 1:
            (length,) = struct.unpack_from(">Q", header, _HEADER)
            skipped = 2 * _HEADER
        if length < skipped:
            return
        yield name, start + skipped, length - skipped
        start += length


def _inner(data: bytes, wanted: bytes) -> Iterator[bytes]:
    """Yield the data of the atoms of this name within another."""
    start = 0
    while start + _HEADER <= len(data):
        length, name = struct.unpack_from(">I4s", data, start)
        if length < _HEADER:
            return
        if name == wanted:
            yield data[start + _HEADER : start + length]
        start += length


def _sound_track(moov: bytes) -> tuple[int, int, int]:
    """Return number, units a second and duration in them of the first sound track."""
    for trak in _inner(moov, b"trak"):
        for mdia in _inner(trak, b"mdia"):
            kinds = [hdlr[8:12] for hdlr in _inner(mdia, b"hdlr")]
            if b"soun" in kinds:
                tkhd, mdhd = next(_inner(trak, b"tkhd"), b""), next(_inner(mdia, b"mdhd"), b"")
                (track,) = struct.unpack_from(">I", tkhd, 20 if tkhd[0] else 12)
                unit, duration = struct.unpack_from(
                    *(">IQ", mdhd, 20) if mdhd[0] else (">II", mdhd, 12)
                )
                unknown = 2**64 - 1 if mdhd[0] else 2**32 - 1
                return track, unit, 0 if duration == unknown else duration
    return 0, 0, 0


def _default_duration(moov: bytes, track: int) -> int:
    for mvex in _inner(moov, b"mvex"):
        for trex in _inner(mvex, b"trex"):
            number, _, duration = struct.unpack_from(">III", trex, _FULL)
            if number == track:
                return int(duration)
    return 0


def _fragment(traf: bytes, track: int, default: int) -> int:
    """Return the duration of the samples of the track in a fragment."""
    header = next(_inner(traf, b"tfhd"), b"")
    flags, number = struct.unpack_from(">II", header)
    if number != track:
        return 0
    if flags & _DEFAULT_DURATION:
        at = 8 + 8 * bool(flags & _BASE_OFFSET) + 4 * bool(flags & _DESCRIPTION)
        (default,) = struct.unpack_from(">I", header, at)
    return sum(_run(trun, default) for trun in _inner(traf, b"trun"))


def _run(trun: bytes, default: int) -> int:
    flags, count = struct.unpack_from(">II", trun)
    if not flags & _DURATION:
        return int(count) * default
    start = 8 + 4 * bool(flags & _DATA_OFFSET) + 4 * bool(flags & _FIRST_FLAGS)
    step = sum(bool(flags & flag) for flag in _PER_SAMPLE)
    words: tuple[int, ...] = struct.unpack_from(f">{count * step}I", trun, start)
    return sum(words[::step])
