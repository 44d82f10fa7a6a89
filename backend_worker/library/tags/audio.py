"""Audio properties: duration, bit rate, sample rate, channels, bit depth, codec."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from mutagen.flac import FLAC
from mutagen.mp3 import MP3
from mutagen.wave import WAVE

from backend_worker.library.tags import clean
from backend_worker.library.tags.errors import UnreadableFile
from backend_worker.library.tags.rf64 import RF64

if TYPE_CHECKING:
    from mutagen import FileType

    from backend_worker.library.tags.kinds import Kind
    from backend_worker.library.tags.places import Places
    from backend_worker.library.tags.plain import PlainFile

_LONGEST = 10_000_000.0  # seconds; four months: a longer file has a damaged header
# What a header promises is not there when less than this follows, in bytes per second.
# MPEG's lowest bit rate is 8 kbit/s (a tenth of it, to be sure); a FLAC frame has at least
# ten bytes and at most 65,535 samples.
_FEWEST_MPEG_BYTES = 100
_FEWEST_FLAC_BYTES = 5

_LOWEST_RATE = 1_000  # Hz; below it a header is of a version that mutagen misreads
_MAX_HEADER_GAIN = 50.0  # dB; LAME writes 51 for silence

# WAVE_FORMAT_… of Microsoft's mmreg.h
_WAVE_CODECS = {
    0x0001: "pcm",
    0x0002: "adpcm",
    0x0003: "pcm",  # IEEE float
    0x0006: "alaw",
    0x0007: "mulaw",
    0x0011: "adpcm",
    0x0050: "mp2",
    0x0055: "mp3",
    0x0161: "wma",
    0xFFFE: "pcm",  # extensible: in practice PCM of more than 16 bits or two channels
}
_MP4_CODECS = {
    "alac": "alac",
    "flac": "flac",
    "opus": "opus",
    "ac-3": "ac3",
    "ec-3": "eac3",
    ".mp3": "mp3",
    "mp4a.69": "mp3",
    "mp4a.6b": "mp3",
    "samr": "amr",
    "sawb": "amr",
}
_LOSSLESS = frozenset({"flac", "alac", "pcm"})  # of the containers that hold many codecs


def audio_fields(
    file: FileType | PlainFile,
    kind: Kind,
    places: Places,
    audio_start: int,
    measured: float | None = None,
) -> dict[str, Any]:
    """Return the fields of a ``TrackRecord`` that the audio stream tells.

    Args:
        file: what was read.
        kind: what it was read as.
        places: where in the file its audio lies.
        audio_start: where reading stopped in a FLAC file without a sample count.
        measured: how long the audio lasts, in seconds, if not as the file's header says; 0 if
            that is not known.

    Raises:
        UnreadableFile: there is no audio in it.
    """
    info = file.info
    size = places.end - places.start  # of the audio, in bytes
    codec = _codec(info, kind)
    duration = _duration(info)
    _check_audio(info, kind, duration, size, audio_start - places.start)
    fields: dict[str, Any] = {"codec": codec}
    bitrate = clean.int4(getattr(info, "bitrate", None))
    if kind.codec == "tta":
        channels, depth = _true_audio_format(places.content)
    else:
        channels, depth = getattr(info, "channels", 0), getattr(info, "bits_per_sample", 0)
    if measured is not None:
        if not duration or abs(measured - duration) > duration / 100:
            bitrate = None
        duration = measured if 0 < measured < _LONGEST else None
    if _is_wave(kind) and codec != "pcm":
        duration = bitrate = None  # mutagen reckons as if it were PCM
    elif codec == "pcm" and bitrate and duration:
        # a header that promises more than the file has: cut off, or written to a pipe
        duration = min(duration, size * 8 / bitrate)
    if duration:
        fields["duration"] = round(duration, 3)
        bitrate = bitrate or clean.int4(size * 8 / duration)
    fields["bitrate"] = bitrate
    # Opus decodes to 48 kHz, whatever was encoded (RFC 7845)
    sample_rate = getattr(info, "sample_rate", 48_000 if codec == "opus" else 0)
    fields["sample_rate"] = clean.int4(sample_rate) if sample_rate >= _LOWEST_RATE else None
    fields["channels"] = clean.int4(channels)
    if codec == "dsd":
        fields["bit_depth"] = 1
    elif (kind.codec and kind.lossless) or codec in _LOSSLESS:
        fields["bit_depth"] = clean.int4(depth)
    return {name: value for name, value in fields.items() if value is not None}


def _duration(info: Any) -> float | None:
    length = getattr(info, "length", None)
    if length is None or not 0 < length < _LONGEST:
        return None
    return float(length)


def _is_wave(kind: Kind) -> bool:
    return kind.reader in (WAVE, RF64)


def _codec(info: Any, kind: Kind) -> str:
    if kind.codec:
        return kind.codec
    if kind.reader is MP3:
        return f"mp{info.layer}"
    if _is_wave(kind):
        return _WAVE_CODECS.get(info.audio_format, f"wave-{info.audio_format:04x}")
    name = info.codec.lower()
    if not name:
        raise UnreadableFile("it holds no audio track")
    known = _MP4_CODECS.get(name)
    if known is None:
        # "drms" is AAC with the iTunes Store's old protection
        known = "aac" if name.startswith(("mp4a", "drms")) else clean.text(name, 20)
    return known or "unknown"


def _check_audio(
    info: Any, kind: Kind, duration: float | None, size: int, audio_start: int
) -> None:
    if kind.counted and getattr(info, "length", 0) <= 0:
        raise UnreadableFile("it holds no audio: its header counts none")
    if kind.reader is FLAC and duration is None and audio_start >= size:
        raise UnreadableFile("truncated: it ends before the first audio frame")
    if duration is None or kind.reader not in (FLAC, MP3):
        return
    if kind.reader is FLAC:
        found, fewest = info.bitrate * duration / 8, _FEWEST_FLAC_BYTES
    else:
        found, fewest = size - info.frame_offset, _FEWEST_MPEG_BYTES
    if found < duration * fewest:
        raise UnreadableFile(
            f"truncated: its header promises {duration:.0f} s, but only {found:.0f} bytes of"
            " audio follow"
        )


def _true_audio_format(content: bytes) -> tuple[int, int]:
    """Return channels and bits per sample, which mutagen leaves out (TTA1's header)."""
    if len(content) < 10:
        return 0, 0
    channels, depth = struct.unpack_from("<HH", content, 6)
    return channels, depth


def header_replaygain(info: Any) -> dict[str, float]:
    """Return ReplayGain from the audio header itself: LAME's in MP3, Musepack's own.

    Used where no tag has it; 0 stands for "not measured".
    """
    attributes = {
        "replaygain_track_gain": getattr(info, "track_gain", None)
        or getattr(info, "title_gain", None),
        "replaygain_track_peak": getattr(info, "track_peak", None)
        or getattr(info, "title_peak", None),
        "replaygain_album_gain": getattr(info, "album_gain", None),
        "replaygain_album_peak": getattr(info, "album_peak", None),
    }
    limits = {"gain": (-_MAX_HEADER_GAIN, _MAX_HEADER_GAIN), "peak": (0.000001, 1_000.0)}
    return {
        name: round(value, 6)
        for name, value in attributes.items()
        if value and limits[name[-4:]][0] <= value <= limits[name[-4:]][1]
    }
