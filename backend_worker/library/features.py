"""What a track's similarity vector is made from; light, so that the storage can name it."""

from __future__ import annotations

from dataclasses import dataclass

# Raised whenever a change of `library.vectors` changes vectors: old ones are then made anew.
MODEL_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackFeatures:
    """The properties of one track that :func:`vectors.track_vectors` looks at.

    Artists and composers are normalised names. ``duration`` in seconds, ``loudness`` as the
    ReplayGain of the track in dB (the louder the track, the lower), ``key`` as tagged.
    """

    track_id: int
    title: str = ""
    artists: tuple[str, ...] = ()
    album_artists: tuple[str, ...] = ()
    genres: tuple[str, ...] = ()
    year: int | None = None
    bpm: float | None = None
    key: str | None = None
    duration: float | None = None
    loudness: float | None = None
    composers: tuple[str, ...] = ()
    label: str | None = None
