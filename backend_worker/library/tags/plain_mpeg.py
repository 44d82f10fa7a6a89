"""A short way through MPEG audio files.

LAME and other encoders put a header before the audio that holds the number of frames, so
nothing else is needed. mutagen reads the files that have none.
https://www.codeproject.com/Articles/8295/MPEG-Audio-Frame-Header describes it, and
https://wiki.hydrogenaud.io/index.php?title=MP3 LAME's part.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from mutagen.mp3 import MPEGInfo

from backend_worker.library.tags.plain import Beginning, NotPlainError, PlainFile

_LAYER_3 = 1  # as the frame's header counts layers
_MONO = 3
# bit rates in kbit/s and sample rates in Hz, by the version in the frame's header: MPEG 2.5, 2, 1
_LOW_RATES = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_HIGH_RATES = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_VERSIONS = {
    0: (_LOW_RATES, (11_025, 12_000, 8_000)),
    2: (_LOW_RATES, (22_050, 24_000, 16_000)),
    3: (_HIGH_RATES, (44_100, 48_000, 32_000)),
}
_MPEG_1 = 3
_FRAMES, _BYTES, _CONTENTS, _QUALITY = 1, 2, 4, 8  # flags: what the header holds
# The versions that all have LAME's extension, beginning with the ninth byte after the name.
_LAME = re.compile(rb"LAME3\.(?:9[1-9]|\d{3})(?!\d)")
_LAME_START = 9
_LAME_BYTES = 27
_FULL_SCALE = 2**23


class PlainMPEGInfo(NamedTuple):
    """What the header says of the audio, as mutagen's ``MPEGInfo`` has it."""

    frame_offset: int  # in bytes from where the audio begins
    length: float  # seconds
    bitrate: int
    sample_rate: int
    channels: int
    track_gain: float | None
    track_peak: float | None
    album_gain: float | None
    layer: int = 3


def plain_mpeg(beginning: Beginning) -> PlainFile:
    """Read an MPEG audio file; its tags are none of its own.

    Raises:
        NotPlainError: it is to be left to mutagen.
    """
    if not beginning.content.startswith(b"\xff"):
        raise NotPlainError  # junk before the first frame
    return PlainFile(None, plain_mpeg_info(beginning.content, 0) or MPEGInfo(beginning.audio, 0))


def plain_mpeg_info(content: bytes, offset: int) -> PlainMPEGInfo | None:
    """Return what the encoder's header tells; None if there is none, or an odd one.

    Args:
        content: the beginning of the audio, with the whole header.
        offset: where in the file it lies, in bytes.
    """
    try:
        return _plain_info(content, offset)
    except (NotPlainError, struct.error, IndexError):
        return None


def _plain_info(content: bytes, offset: int) -> PlainMPEGInfo:
    sync, second, third, fourth = struct.unpack_from("4B", content)
    version = second >> 3 & 3
    if sync != 0xFF or second < 0xE0 or second >> 1 & 3 != _LAYER_3 or version not in _VERSIONS:
        raise NotPlainError
    bitrates, sample_rates = _VERSIONS[version]
    bitrate, sample_rate = bitrates[third >> 4] * 1000, sample_rates[third >> 2 & 3]
    frame_samples, is_mono = 1152 if version == _MPEG_1 else 576, fourth >> 6 == _MONO
    # the header stands where the side information of a frame would end
    start = 4 + ((17 if is_mono else 32) if version == _MPEG_1 else (9 if is_mono else 17))
    name, flags, frames = struct.unpack_from(">4sII", content, start)
    if name not in (b"Xing", b"Info") or not flags & _FRAMES or not bitrate:
        raise NotPlainError
    start += 12
    samples = frame_samples * frames
    if flags & _BYTES:
        (size,) = struct.unpack_from(">I", content, start)
        start += 4
        if samples:
            # the first frame counts for the bytes, not for the frames
            first = frame_samples // 8 * bitrate // sample_rate + (third >> 1 & 1)
            bitrate = round(max(0, size - first) * 8 * sample_rate / samples)
    start += 100 * bool(flags & _CONTENTS) + 4 * bool(flags & _QUALITY)
    gains, skipped = _lame(content[start:])
    return PlainMPEGInfo(
        offset,
        max(0, samples - skipped) / sample_rate,
        bitrate,
        sample_rate,
        1 if is_mono else 2,
        *gains,
    )


def _lame(data: bytes) -> tuple[tuple[float | None, float | None, float | None], int]:
    """Return LAME's track gain, track peak and album gain, and the samples to leave out."""
    if len(data) < _LAME_START + _LAME_BYTES:
        raise NotPlainError
    if not data.startswith((b"LAME", b"L3.99")):
        return (None, None, None), 0
    extension = data[_LAME_START:]
    if not _LAME.match(data) or extension[0] >> 4:
        raise NotPlainError
    peak, track, album = struct.unpack_from(">IHH", extension, 2)
    delay_and_padding = int.from_bytes(extension[12:15], "big")
    # three bits of kind, three of origin, a sign (which mutagen does not apply to the album's)
    # and nine bits of value
    track_gain = (track & 0x1FF) / 10 * (-1 if track & 0x200 else 1)
    return (
        track_gain if track >> 13 == 1 else None,
        peak / _FULL_SCALE if peak else None,
        (album & 0x1FF) / 10 if album >> 13 == 2 else None,
    ), (delay_and_padding >> 12) + (delay_and_padding & 0xFFF)
