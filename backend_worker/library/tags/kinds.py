"""The kinds of audio files: by which bytes each is known, and what mutagen reads it with."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO

from mutagen.aac import AAC
from mutagen.ac3 import AC3
from mutagen.aiff import AIFF
from mutagen.asf import ASF
from mutagen.dsdiff import DSDIFF
from mutagen.dsf import DSF
from mutagen.flac import FLAC
from mutagen.monkeysaudio import MonkeysAudio
from mutagen.mp3 import MP3
from mutagen.mp4 import MP4, MP4Chapters
from mutagen.oggflac import OggFLAC
from mutagen.oggopus import OggOpus
from mutagen.oggspeex import OggSpeex
from mutagen.oggvorbis import OggVorbis
from mutagen.optimfrog import OptimFROG
from mutagen.tak import TAK
from mutagen.trueaudio import TrueAudio
from mutagen.wave import WAVE
from mutagen.wavpack import WavPack

from backend_worker.library.tags.frames import adts_length, mpeg_length
from backend_worker.library.tags.id3 import ID3_OPTIONS
from backend_worker.library.tags.iff_texts import aiff_slots, wave_slots
from backend_worker.library.tags.mp4_length import mp4_length
from backend_worker.library.tags.musepack import Musepack
from backend_worker.library.tags.plain import plain_flac
from backend_worker.library.tags.plain_iff import plain_aiff, plain_wave
from backend_worker.library.tags.plain_mp4 import plain_mp4
from backend_worker.library.tags.plain_mpeg import plain_mpeg
from backend_worker.library.tags.plain_ogg import plain_opus, plain_vorbis
from backend_worker.library.tags.rf64 import RF64

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mutagen import FileType

    from backend_worker.library.tags.places import Places
    from backend_worker.library.tags.plain import Beginning, PlainFile

# What the walk takes for music. A video's .mp4 is not in it; read_track reads one all the same.
AUDIO_EXTENSIONS = frozenset(
    b".mp3 .mp2 .mp1 .mpga .flac .fla .ogg .oga .opus .spx .m4a .m4b .m4p .m4r .aac .wma .asf"
    b" .wav .wave .aif .aiff .aifc .wv .ape .mpc .mp+ .mpp .ofr .ofs .tak .tta .dsf .dff"
    b" .ac3 .eac3".split()
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of audio file."""

    reader: type[FileType | RF64]
    codec: str  # empty: the file's header tells
    lossless: bool = False
    # its header counts the samples, so that none means that there is no audio
    counted: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    # a shorter way to the same, which raises where a file is not as usual
    short_way: Callable[[Beginning], PlainFile] | None = None
    # tells how long the audio lasts where what was read of it does not say so, else None
    length: Callable[[Any, int, Places], float | None] | None = None
    # reads the texts that the format has beside its tags
    native_texts: Callable[[BinaryIO], dict[str, list[str]]] | None = None


class _NoChapters(MP4Chapters):
    """Skips the chapters, which we do not use: one bad title in them fails the whole file."""

    def load(self, _atoms: Any, _file: Any) -> None:
        """Read nothing."""


class _MP4(MP4):
    MP4Chapters = _NoChapters


MPEG = Kind(MP3, "", options=ID3_OPTIONS, short_way=plain_mpeg, length=mpeg_length)
ADTS = Kind(AAC, "aac", counted=True, length=adts_length)
MUSEPACK = Kind(Musepack, "musepack", counted=True)

_BY_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"fLaC", Kind(FLAC, "flac", lossless=True, short_way=plain_flac)),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Kind(ASF, "wma")),
    (b"wvpk", Kind(WavPack, "wavpack", lossless=True)),
    (b"MP+", MUSEPACK),
    (b"MPCK", MUSEPACK),
    (b"MAC ", Kind(MonkeysAudio, "ape", lossless=True, counted=True)),
    (b"OFR ", Kind(OptimFROG, "optimfrog", lossless=True, counted=True)),
    (b"TTA", Kind(TrueAudio, "tta", lossless=True, counted=True, options=ID3_OPTIONS)),
    (b"tBaK", Kind(TAK, "tak", lossless=True, counted=True)),
    (b"DSD ", Kind(DSF, "dsd", lossless=True, counted=True, options=ID3_OPTIONS)),
    (b"FRM8", Kind(DSDIFF, "dsd", lossless=True, options=ID3_OPTIONS)),
    (b"ADIF", ADTS),
    (b"\x0b\x77", Kind(AC3, "")),
)
_CHUNKED = partial(Kind, lossless=True, counted=True, options=ID3_OPTIONS)
_WAVE = _CHUNKED(WAVE, "", short_way=plain_wave, native_texts=wave_slots)
_RF64 = _CHUNKED(RF64, "", native_texts=wave_slots)
_AIFF = _CHUNKED(AIFF, "pcm", short_way=plain_aiff, native_texts=aiff_slots)
_IN_CHUNKS = {  # by the first four bytes and the four behind the length
    (b"RIFF", b"WAVE"): _WAVE,
    (b"RF64", b"WAVE"): _RF64,
    (b"BW64", b"WAVE"): _RF64,
    (b"FORM", b"AIFF"): _AIFF,
    (b"FORM", b"AIFC"): _AIFF,
}
_MP4_AUDIO = Kind(_MP4, "", short_way=plain_mp4, length=mp4_length)
_MP4_ATOMS = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"})
_OGG_STREAMS: tuple[tuple[bytes, Kind], ...] = (
    (b"\x01vorbis", Kind(OggVorbis, "vorbis", counted=True, short_way=plain_vorbis)),
    (b"OpusHead", Kind(OggOpus, "opus", counted=True, short_way=plain_opus)),
    (b"Speex   ", Kind(OggSpeex, "speex", counted=True)),
    (b"\x7fFLAC", Kind(OggFLAC, "flac", lossless=True)),
)
# These may begin with anything: junk before the first frame, or an old header without magic.
_BY_EXTENSION = MappingProxyType(
    dict.fromkeys((".mp3", ".mp2", ".mp1", ".mpga"), MPEG)
    | dict.fromkeys((".mpc", ".mp+", ".mpp"), MUSEPACK)
    | {".aac": ADTS}
)

_NOT_AUDIO: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG", "a PNG picture"),
    (b"GIF8", "a GIF picture"),
    (b"PK\x03\x04", "a zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x1f\x8b", "gzip-compressed data"),
    (b"%PDF", "a PDF document"),
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<?xml", "an XML document"),
    (b"#extm3u", "a playlist"),
    (b"[playlist]", "a playlist"),
    (b"\x00\x05\x16\x07", "the resource fork that macOS keeps beside a file"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3", "a database"),
)
_NO_READER: tuple[tuple[bytes, str], ...] = (
    (b"\x1a\x45\xdf\xa3", "Matroska or WebM"),
    (b"MThd", "MIDI"),
    (b"caff", "Core Audio Format"),
    (b".snd", "AU"),
    (b"FLV", "Flash video"),
    (b"#!AMR", "AMR"),
)


def kind_of(head: bytes) -> Kind | None:
    """Return the kind of the file whose content (behind an ID3v2 tag) begins so, if known."""
    if head[:1] == b"\xff":  # as most files begin, and no magic does
        return _mpeg_kind(head)
    for magic, kind in _BY_MAGIC:
        if head.startswith(magic):
            return kind
    if head[4:8] in _MP4_ATOMS:
        return _MP4_AUDIO
    if head.startswith(b"OggS"):
        # several streams begin one after the other, at most a video's before the audio's
        return next((kind for magic, kind in _OGG_STREAMS if magic in head[:1024]), None)
    in_chunks = _IN_CHUNKS.get((head[:4], head[8:12]))
    return _mpeg_kind(head) if in_chunks is None else in_chunks


def _mpeg_kind(head: bytes) -> Kind | None:
    if len(head) < 3 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    if head[1] & 0xF6 == 0xF0:  # twelve bits of sync, layer 0: AAC in ADTS
        return ADTS
    version, layer, rate = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 2 & 3
    return MPEG if version != 1 and layer != 0 and rate != 3 else None


def kind_to_try(extension: str, *, has_id3: bool) -> Kind | None:
    """Return the kind to try for content that nothing identifies, None if there is none.

    Args:
        extension: of the file's name, in lower case, with its dot.
        has_id3: whether the file begins with an ID3v2 tag: then it is most likely MPEG.
    """
    return _BY_EXTENSION.get(extension, MPEG if has_id3 else None)


def why_not_audio(head: bytes) -> str | None:
    """Return the sentence about content that is known and that we do not read, else None."""
    start = head[:64].lstrip(b"\xef\xbb\xbf\r\n\t ").lower()
    for magic, name in _NOT_AUDIO:
        if head.startswith(magic) or start.startswith(magic):
            return f"not an audio file: it begins with {name}"
    if head.startswith(b"RIFF") and head[8:12] != b"WAVE":
        name = {b"AVI ": "an AVI video", b"WEBP": "a WebP picture"}.get(
            head[8:12], "other RIFF data"
        )
        return f"not an audio file: it begins with {name}"
    if head.startswith(b"OggS") and kind_of(head) is None:
        return "not an audio file: it begins with an Ogg stream that is no audio we know"
    for magic, name in _NO_READER:
        if head.startswith(magic):
            return f"no reader for this format: {name}"
    return None
