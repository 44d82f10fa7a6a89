"""The records that travel from one stage of the pipeline to the next.

They are plain data: a message carries :func:`to_message` of them as JSON.
Paths are ``str`` made by :func:`os.fsdecode` (surrogateescape), so a name that is
not valid UTF-8 survives JSON, which escapes lone surrogates.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import os

_NUMBERS = (int, float)
# What 64 bits hold in nanoseconds since 1970: the years 1677 to 2262.
_EARLIEST_NS, _LATEST_NS = -(2**63), 2**63 - 1


def mtime_of(status: os.stat_result) -> int:
    """Return a time of modification in nanoseconds since 1970, as a database keeps it.

    Some file systems know others: an empty time of NTFS is the year 1601, and ext4 knows 2446.
    Such a time is the earliest or the latest that there is.
    """
    return min(max(status.st_mtime_ns, _EARLIEST_NS), _LATEST_NS)


class _Message:
    """Conversion to and from the dictionary that a Celery message carries."""

    __slots__: tuple[str, ...] = ()

    def to_message(self) -> dict[str, Any]:
        """Return the fields that are neither None, empty nor False."""
        return {
            name: value
            for name in self.__slots__
            # 0 is a value: an empty file's size, a gain of 0 dB
            if (value := getattr(self, name)) or type(value) in _NUMBERS
        }

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Self:
        """Rebuild a record; fields that this version does not know are dropped.

        Raises:
            TypeError: a required field is missing.
        """
        try:
            return cls(**message)
        except TypeError:  # most have none
            known = cls.__slots__
            return cls(**{name: value for name, value in message.items() if name in known})


@dataclass(slots=True)
class FileFacts(_Message):
    """What the file system says of one file.

    ``size`` in bytes, ``mtime_ns`` in nanoseconds since 1970.
    """

    path: str
    size: int
    mtime_ns: int


@dataclass(slots=True)
class TrackRecord(_Message):
    """What reading one file gives: tags and audio properties, cleaned.

    Text never holds NUL or lone surrogates (``path`` may hold the latter), is NFC and
    stripped; an absent value is None or an empty list. ``date`` and ``original_date`` are
    ``YYYY``, ``YYYY-MM`` or ``YYYY-MM-DD``.
    """

    path: str
    size: int
    mtime_ns: int
    fingerprint: str  # hex; the same content has the same fingerprint wherever it lies
    # tags
    title: str | None = None
    artists: list[str] = field(default_factory=list)  # as tagged, one per value
    artist_credit: str | None = None  # how a tag shows them together, if one lists them singly
    album_artists: list[str] = field(default_factory=list)
    album: str | None = None
    track_number: int | None = None
    track_total: int | None = None
    disc_number: int | None = None
    disc_total: int | None = None
    disc_title: str | None = None  # a disc's own name
    date: str | None = None
    original_date: str | None = None
    genres: list[str] = field(default_factory=list)
    compilation: bool = False
    composers: list[str] = field(default_factory=list)
    bpm: float | None = None
    key: str | None = None
    isrc: str | None = None
    label: str | None = None
    catalog_number: str | None = None
    has_lyrics: bool = False
    comment: str | None = None
    replaygain_track_gain: float | None = None  # dB
    replaygain_track_peak: float | None = None
    replaygain_album_gain: float | None = None  # dB
    replaygain_album_peak: float | None = None
    mb_recording_id: str | None = None  # lower-case UUIDs
    mb_track_id: str | None = None
    mb_release_id: str | None = None
    mb_release_group_id: str | None = None
    mb_artist_ids: list[str] = field(default_factory=list)
    mb_album_artist_ids: list[str] = field(default_factory=list)
    title_sort: str | None = None
    album_sort: str | None = None
    artist_sorts: list[str] = field(default_factory=list)
    album_artist_sorts: list[str] = field(default_factory=list)
    # audio
    duration: float | None = None  # seconds
    bitrate: int | None = None  # bit/s
    sample_rate: int | None = None  # Hz
    channels: int | None = None
    bit_depth: int | None = None  # bits per sample, lossless codecs only
    codec: str | None = None  # "mp3", "flac", "vorbis", "opus", "aac", "alac", "pcm", …
    # pictures: SHA-256 hex of the front cover (else the first picture) in the cover store
    picture: str | None = None


@dataclass(slots=True)
class FailedFile(_Message):
    """A file that could not be read, and the sentence that says why."""

    path: str
    size: int
    mtime_ns: int
    reason: str


@dataclass(slots=True)
class ArtistEntity(_Message):
    """One artist; ``key`` is the identity: ``mbid:<uuid>``, else the normalised name.

    ``name_key`` is the normalised name in both cases: by it an artist without a MusicBrainz
    id is found again when a tag brings one.
    """

    key: str
    name_key: str
    name: str
    sort_name: str | None = None
    mbid: str | None = None
    varied: bool = False  # the tracks of the batch spell the name in several ways


@dataclass(slots=True)
class AlbumEntity(_Message):
    """One album; ``key`` is the identity, the same for all its discs and all its tracks.

    ``key`` is ``mbid:<release uuid>`` or ``name_key``. ``name_key`` is the normalised title,
    ``|`` and what tells albums of one title apart: the album artists' normalised names,
    ``various`` for a compilation, or ``dir:<folder>`` when no tag says (the folder without
    its disc part). It depends on one track's tags alone, never on the rest of its batch.
    """

    key: str
    name_key: str
    title: str
    artist_keys: list[str] = field(default_factory=list)
    artist_credit: str | None = None  # as shown: "A feat. B", "Various Artists"
    sort_title: str | None = None
    mbid: str | None = None  # release
    release_group_mbid: str | None = None
    date: str | None = None
    original_date: str | None = None
    compilation: bool = False
    disc_total: int | None = None
    label: str | None = None
    catalog_number: str | None = None


@dataclass(slots=True)
class TrackEntity(_Message):
    """One track with its links: the record, the artists' keys by role, the album's key."""

    record: dict[str, Any]  # TrackRecord.to_message()
    album_key: str | None = None
    artist_keys: list[str] = field(default_factory=list)
    artist_credit: str | None = None
    composer_keys: list[str] = field(default_factory=list)


@dataclass(slots=True)
class EntityBatch:
    """A batch grouped into artists, albums and tracks, each artist and album once."""

    artists: list[ArtistEntity] = field(default_factory=list)
    albums: list[AlbumEntity] = field(default_factory=list)
    tracks: list[TrackEntity] = field(default_factory=list)

    def to_message(self) -> dict[str, Any]:
        """Return the batch as JSON-able data."""
        return {
            part.name: [entity.to_message() for entity in getattr(self, part.name)]
            for part in dataclasses.fields(self)
        }

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Self:
        """Rebuild a batch from :meth:`to_message`; a missing part counts as empty."""
        return cls(
            artists=[ArtistEntity.from_message(item) for item in message.get("artists", [])],
            albums=[AlbumEntity.from_message(item) for item in message.get("albums", [])],
            tracks=[TrackEntity.from_message(item) for item in message.get("tracks", [])],
        )
