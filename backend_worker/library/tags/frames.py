"""How long MPEG audio and AAC in ADTS last, where no header says so or one says it wrongly.

Both are chains of frames, each with its own length and bit rate, and nothing else. A file of
one bit rate lasts as long as its size says. Others are counted frame by frame, or, if they are
large, reckoned from samples of them.

Headers: ISO 11172-3, section 2.4.1.3 (MPEG audio); ISO 13818-7, section 6.2 (ADTS); those of
encoders: https://www.codeproject.com/Articles/8295/MPEG-Audio-Frame-Header (Xing, VBRI).
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend_worker.library.tags.places import Places

MOST_COUNTED = 32 * 1024 * 1024  # bytes; of larger files samples are read
_WINDOW = 16 * 1024  # bytes of a sample
_WINDOWS = 64
_BLOCK = 1024 * 1024  # bytes that are read at once
_ENCODERS_HEADER = 64  # bytes from a frame's beginning, which are enough
_HEADER = 7  # bytes that tell a frame's length in either format
# An encoder's header that tells of this part more or less than there is tells of another file:
# joined or cut off.
_TOLERATED = 0.05
_TOLERATED_BYTES = 4096

_XING = (b"Xing\0\0\0", b"Info\0\0\0")
_LOW = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
# kbit/s by (MPEG 1?, layer)
_BIT_RATES = {
    (True, 1): tuple(range(32, 449, 32)),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): _LOW,
    (False, 3): _LOW,
}
_SAMPLE_RATES = {
    3: (44_100, 48_000, 32_000),
    2: (22_050, 24_000, 16_000),
    0: (11_025, 12_000, 8_000),
}
_ADTS_RATES = (
    *(96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000),
    *(22_050, 16_000, 12_000, 11_025, 8_000, 7_350),
)


class _Frame(NamedTuple):
    length: int  # bytes
    samples: int
    sample_rate: int  # Hz
    bit_rate: int  # bit/s; of ADTS 0


class _Walk(NamedTuple):
    samples: int
    length: int  # bytes of the frames
    bit_rates: frozenset[int]
    first: _Frame | None
    next: int  # where the next frame begins, behind what was looked at


class _MPEGFrames(dict[int, _Frame | None]):
    """Frames by the second and third byte of their headers, worked out once."""

    def __missing__(self, key: int) -> _Frame | None:
        self[key] = found = _mpeg_frame(key >> 8, key & 0xFF)
        return found


def _mpeg_frame(second: int, third: int) -> _Frame | None:
    version, layer = second >> 3 & 3, 4 - (second >> 1 & 3)
    rate, pace, padding = third >> 4, third >> 2 & 3, third >> 1 & 1
    if second < 0xE0 or version == 1 or layer == 4 or rate in (0, 15) or pace == 3:
        return None
    is_first = version == 3
    bit_rate = _BIT_RATES[is_first, layer][rate - 1] * 1000
    sample_rate = _SAMPLE_RATES[version][pace]
    if layer == 1:
        return _Frame((12 * bit_rate // sample_rate + padding) * 4, 384, sample_rate, bit_rate)
    samples = 1152 if is_first or layer == 2 else 576
    return _Frame(samples // 8 * bit_rate // sample_rate + padding, samples, sample_rate, bit_rate)


_MPEG = _MPEGFrames()


def _mpeg(data: bytes, at: int) -> _Frame | None:
    return _MPEG[data[at + 1] << 8 | data[at + 2]] if data[at] == 0xFF else None


def _adts(data: bytes, at: int) -> _Frame | None:
    if data[at] != 0xFF or data[at + 1] & 0xF6 != 0xF0:
        return None
    pace = data[at + 2] >> 2 & 15
    length = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
    if length < _HEADER or pace >= len(_ADTS_RATES):
        return None
    return _Frame(length, 1024 * ((data[at + 6] & 3) + 1), _ADTS_RATES[pace], 0)


def mpeg_length(info: Any, descriptor: int, places: Places) -> float | None:
    """Return how long MPEG audio lasts, in seconds; None: what its encoder's header says is so.

    Args:
        info: what was read of the audio, with ``frame_offset`` of the first frame.
        descriptor: the open file.
        places: where in it the audio lies.

    Raises:
        OSError: the file cannot be read.
    """
    first_frame: int = info.frame_offset
    start = places.start + first_frame
    length = places.end - start
    content = places.content[first_frame : first_frame + _ENCODERS_HEADER]
    told = _told_bytes(content or os.pread(descriptor, _ENCODERS_HEADER, start), length)
    if told is not None and abs(length - told) <= told * _TOLERATED + _TOLERATED_BYTES:
        return None
    if told is None:
        ends = (start, (start + places.end - _WINDOW) // 2, places.end - _WINDOW)
        bit_rates = frozenset[int]()
        for offset in ends:
            bit_rates |= _walk(_mpeg, os.pread(descriptor, _WINDOW, max(start, offset))).bit_rates
        if len(bit_rates) == 1 and not bit_rates & {8_000, 32_000}:  # those of silence
            return length * 8 / next(iter(bit_rates))
    return _measured(_mpeg, descriptor, start, places.end)


def adts_length(_info: Any, descriptor: int, places: Places) -> float | None:
    """Return how long AAC in ADTS lasts, in seconds; None if it has no such frames (ADIF).

    Raises:
        OSError: the file cannot be read.
    """
    return _measured(_adts, descriptor, places.start, places.end)


def _told_bytes(content: bytes, length: int) -> int | None:
    """Return the bytes that an encoder's header tells of; None if there is no such header.

    One that tells of the frames alone is believed to tell of as many bytes as there are.
    """
    for name in (b"Xing", b"Info"):
        at = content.find(name, 4, 44)
        if at >= 0 and len(content) >= at + 16:
            flags, frames, size = struct.unpack_from(">3I", content, at + 4)
            if flags & 1 and frames:
                return int(size) if flags & 2 and size else length
    if content[36:40] == b"VBRI" and len(content) >= 54:
        return int(struct.unpack_from(">I", content, 46)[0])
    return None


def _measured(
    read: Callable[[bytes, int], _Frame | None], descriptor: int, start: int, end: int
) -> float | None:
    if end - start > MOST_COUNTED:
        return _sampled(read, descriptor, start, end)
    samples, first, position = 0, None, start
    while position < end:
        data = os.pread(descriptor, min(_BLOCK, end - position), position)
        walk = _walk(read, data)
        first = first or walk.first
        samples += walk.samples
        if read is _mpeg and first:  # an encoder's header has a frame that is silent
            samples -= first.samples * sum(data.count(name) for name in _XING)
        position += walk.next
        if len(data) < _BLOCK:
            break
    return samples / first.sample_rate if first and samples > 0 else None


def _sampled(
    read: Callable[[bytes, int], _Frame | None], descriptor: int, start: int, end: int
) -> float | None:
    samples, length, first = 0, 0, None
    step = (end - start) // _WINDOWS
    for number in range(_WINDOWS):
        walk = _walk(read, os.pread(descriptor, _WINDOW, start + number * step))
        samples += walk.samples
        length += walk.length
        first = first or walk.first
    if first is None:
        return None
    return (end - start) * samples / length / first.sample_rate


def _walk(read: Callable[[bytes, int], _Frame | None], data: bytes) -> _Walk:
    """Go from frame to frame, over what is none, as far as the data go."""
    samples = length = at = 0
    bit_rates = set()
    first = None
    last = len(data) - _HEADER
    in_step = False
    while at <= last:
        frame = read(data, at)
        if frame is None or not (in_step or _follows(read, data, at + frame.length)):
            in_step = False
            at = data.find(b"\xff", at + 1)
            if at < 0:
                at = len(data)
            continue
        in_step = True
        first = first or frame
        samples += frame.samples
        length += frame.length
        bit_rates.add(frame.bit_rate)
        at += frame.length
    # the rest is too short for a header, or the last frame goes on behind the data
    return _Walk(samples, length, frozenset(bit_rates), first, at)


def _follows(read: Callable[[bytes, int], _Frame | None], data: bytes, at: int) -> bool:
    return at > len(data) - _HEADER or read(data, at) is not None
