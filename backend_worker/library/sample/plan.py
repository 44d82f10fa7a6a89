"""What the sample library is to hold, before anything is written."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend_worker.library.model import TrackRecord

VARIOUS_ARTISTS = "Various Artists"

# format → (suffix of the template's name, file extension)
FORMATS = {
    "mp3": (".mp3", ".mp3"),  # ID3v2.4
    "mp3-v23": (".mp3", ".mp3"),
    "flac": (".flac", ".flac"),
    "ogg": (".ogg", ".ogg"),
    "opus": (".opus", ".opus"),
    "aac": ("-aac.m4a", ".m4a"),
    "alac": ("-alac.m4a", ".m4a"),
    "wav": (".wav", ".wav"),
    "aiff": (".aiff", ".aiff"),
}

# embedded covers and their MIME types
EMBEDDED = {"embedded.jpg": "image/jpeg", "embedded.png": "image/png"}
FOLDER_COVERS = ("cover.jpg", "folder.png", "front.webp")


@dataclass(slots=True)
class PlannedTrack:
    """One file: its tags, and how they are written.

    ``record`` holds the tags as a reader must find them; its path is relative to the
    library's root, its size, fingerprint and audio properties are not filled. ``people``
    are the artists that the tags credit, one name each, without "Various Artists".
    """

    record: TrackRecord
    format: str  # a key of FORMATS
    mood: str  # which template
    people: tuple[str, ...]


@dataclass(slots=True)
class PlannedAlbum:
    """The tracks of one album (of none when its title is None), and its cover.

    ``cover`` is one of :data:`EMBEDDED`, one of :data:`FOLDER_COVERS` or None.
    """

    folder: str  # relative to the root; where a folder cover lies
    title: str | None
    mtime: int  # seconds since 1970
    cover: str | None = None
    tracks: list[PlannedTrack] = field(default_factory=list)


def fit_format(record: TrackRecord, track_format: str) -> None:
    """Take from the record what its format cannot hold.

    Opus has gains in steps of 1/256 dB and no peaks (RFC 7845, 5.2.1); ID3v2.3 knows no sort
    names of titles, albums and artists.
    """
    if track_format == "opus":
        record.replaygain_track_peak = record.replaygain_album_peak = None
        record.replaygain_track_gain = _in_steps(record.replaygain_track_gain)
        record.replaygain_album_gain = _in_steps(record.replaygain_album_gain)
    elif track_format == "mp3-v23":
        record.title_sort = record.album_sort = None
        record.artist_sorts = []


def _in_steps(gain: float | None) -> float | None:
    return None if gain is None else round(round(gain * 256) / 256, 6)


def file_name(stem: str, extension: str) -> str:
    """Return a file name that Linux takes: no slash, no leading dot, at most 255 bytes."""
    stem = stem.replace("/", "_").replace("\0", "").lstrip(".").strip() or "_"
    encoded = os.fsencode(stem)
    if len(encoded) > 200:  # the cut may leave half a character, which is dropped
        stem = encoded[:200].decode("utf-8", "ignore").rstrip()
    return stem + extension
