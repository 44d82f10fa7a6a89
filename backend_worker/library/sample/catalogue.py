"""The generated albums that fill the sample library up, deterministic by seed."""

from __future__ import annotations

import dataclasses
import random
import uuid
from typing import TYPE_CHECKING, Any

from backend_worker.library.model import TrackRecord
from backend_worker.library.sample import names
from backend_worker.library.sample.plan import (
    EMBEDDED,
    FOLDER_COVERS,
    FORMATS,
    VARIOUS_ARTISTS,
    PlannedAlbum,
    PlannedTrack,
    file_name,
    fit_format,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

LAST_MTIME = 1_703_894_400  # 2023-12-30 00:00 UTC: no file is younger
ALBUMS_PER_ARTIST = 2
COMPILATION_EVERY = 20

_NAMESPACE = uuid.UUID("6f1c5f3e-3f5b-4e0c-9d55-0d7f4b1f6a11")
_KEYS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_FORMAT_WEIGHTS = {
    "mp3": 28,
    "mp3-v23": 16,
    "flac": 22,
    "ogg": 10,
    "opus": 8,
    "aac": 9,
    "alac": 3,
    "wav": 2,
    "aiff": 2,
}
_COVER_WEIGHTS = {
    "embedded.jpg": 35,
    "embedded.png": 5,
    "cover.jpg": 25,
    "folder.png": 5,
    "front.webp": 5,
    None: 25,
}


def generator(seed: int, subject: str) -> random.Random:
    """Return the random numbers of one subject; other subjects do not disturb them."""
    return random.Random(f"{seed}:{subject}")  # noqa: S311 - invented music, not secrets


def mbid(seed: int, kind: str, name: str) -> str:
    """Return an invented MusicBrainz id: well-formed, the same for the same name."""
    return str(uuid.uuid5(_NAMESPACE, f"{seed}:{kind}:{name}"))


def album_sizes(seed: int, tracks: int) -> Iterator[tuple[int, int]]:
    """Yield number and track count of the generated albums; together they have ``tracks``."""
    rng = generator(seed, "sizes")
    number = 0
    while tracks > 0:
        size = min(tracks, rng.randint(8, 12))
        yield number, size
        tracks -= size
        number += 1


def generated_album(seed: int, number: int, size: int) -> PlannedAlbum:
    """Return the generated album of this number; it depends on no other album."""
    return _Generated(seed, number).album(size)


class _Generated:
    """One generated album while it is being thought up."""

    def __init__(self, seed: int, number: int) -> None:
        self.seed = seed
        self.number = number
        self.rng = generator(seed, f"album {number}")
        self.artist = names.artist(seed, number // ALBUMS_PER_ARTIST)
        self.year = self.rng.randint(*self.artist.genre.years)
        self.compilation = number % COMPILATION_EVERY == COMPILATION_EVERY - 1
        if self.compilation:
            sampler = number // COMPILATION_EVERY + 1
            self.title = f"{self.artist.genre.name} Sampler {sampler}"
        else:
            self.title = names.album_title(self.artist.script, seed, number)

    def album(self, size: int) -> PlannedAlbum:
        home = VARIOUS_ARTISTS if self.compilation else self.artist.name
        album = PlannedAlbum(
            folder=f"{file_name(home, '')}/{file_name(f'{self.title} ({self.year})', '')}",
            title=self.title,
            mtime=LAST_MTIME - 86_400 - self.rng.randrange(1000 * 86_400),
            cover=self._weighted(_COVER_WEIGHTS),
        )
        track_format = self._weighted(_FORMAT_WEIGHTS)
        common = self._common_tags()
        common.track_total = size
        for position in range(1, size + 1):
            common.track_number = position
            common.mtime_ns = (album.mtime + 3 * position) * 10**9
            track = self._track(common)
            name = file_name(f"{position:02d} {track.record.title}", FORMATS[track_format][1])
            track.record.path = f"{album.folder}/{name}"
            track.format = track_format
            fit_format(track.record, track_format)
            album.tracks.append(track)
        return album

    def _chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def _weighted(self, weights: dict[Any, int]) -> Any:
        return self.rng.choices(list(weights), list(weights.values()))[0]

    def _common_tags(self) -> TrackRecord:
        """Return what all tracks of the album have in common."""
        rng, artist = self.rng, self.artist
        tags = TrackRecord(path="", size=0, mtime_ns=0, fingerprint="", album=self.title)
        tags.genres = [artist.genre.name]
        tags.date = str(self.year)
        if self.compilation:
            tags.album_artists = [VARIOUS_ARTISTS]
            tags.compilation = True
        elif self._chance(0.85):
            tags.album_artists = [artist.name]
            if self._chance(0.3):
                tags.album_artist_sorts = [artist.sort_name]
        if self._chance(0.3):
            tags.date += f"-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
        if self._chance(0.15):
            tags.original_date = str(self.year - rng.randint(1, 10))
        if self._chance(0.4):
            tags.label = names.label(rng)
            tags.catalog_number = f"{tags.label[:3].strip().upper()}-{rng.randint(1, 999):03d}"
        if self._chance(0.3):
            tags.comment = "Ripped with love"
        if self._chance(0.6):
            tags.replaygain_album_gain, tags.replaygain_album_peak = _loudness(rng)
        if not self.compilation and self._chance(0.5):
            release = f"{artist.name}/{self.title}"
            tags.mb_release_id = mbid(self.seed, "release", release)
            tags.mb_release_group_id = mbid(self.seed, "release group", release)
            if tags.album_artists:
                tags.mb_album_artist_ids = [mbid(self.seed, "artist", artist.name)]
        return tags

    def _track(self, common: TrackRecord) -> PlannedTrack:
        """Return a track; its path and format are not filled in."""
        rng = self.rng
        artist = self._track_artist()
        genre = artist.genre
        people, credit = self._credit(artist)
        minor = "m" if self._chance(genre.minor) else ""
        track = dataclasses.replace(
            common,
            title=names.track_title(artist.script, rng),
            artists=credit,
            bpm=float(rng.randint(*genre.tempo)) if self._chance(0.8) else None,
            key=rng.choice(_KEYS) + minor if self._chance(0.7) else None,
            has_lyrics=self._chance(0.05),
        )
        if genre.name == "Chamber Music":
            track.composers = [names.composer(rng)]
        elif self._chance(0.3):
            track.composers = [artist.name]
        if common.replaygain_album_gain is not None:
            track.replaygain_track_gain, track.replaygain_track_peak = _loudness(rng)
        if common.mb_release_id:
            name = f"{common.mb_release_id}/{common.track_number}"
            track.mb_track_id = mbid(self.seed, "track", name)
            track.mb_recording_id = mbid(self.seed, "recording", name)
            track.isrc = f"QZXYZ{rng.randint(10, 23)}{rng.randint(0, 99999):05d}"
            if len(people) == len(credit):
                track.mb_artist_ids = [mbid(self.seed, "artist", person) for person in people]
        if len(people) == 1 and self._chance(0.2):
            track.artist_sorts = [artist.sort_name]
        return PlannedTrack(track, "", genre.mood, people)

    def _track_artist(self) -> names.Artist:
        if not self.compilation:
            return self.artist
        another = len(names.GENRES) * self.rng.randrange(8)  # of the same genre
        return names.artist(self.seed, self.number // ALBUMS_PER_ARTIST + another)

    def _credit(self, artist: names.Artist) -> tuple[tuple[str, ...], list[str]]:
        """Return the people of one track, and how its artist tag names them."""
        if self._chance(0.06):
            guest = names.artist(self.seed, len(names.GENRES) * self.rng.randrange(6)).name
            if guest != artist.name:
                spelt = [f"{artist.name} feat. {guest}"], [artist.name, guest]
                return (artist.name, guest), self.rng.choice(spelt)
        return (artist.name,), [artist.name]


def _loudness(rng: random.Random) -> tuple[float, float]:
    """Return a ReplayGain in dB and a peak, as precise as tags have them."""
    return rng.randint(-1200, 300) / 100, rng.randint(400_000, 1_000_000) / 1_000_000


def cover_kind(cover: str | None) -> str:
    """Return where a cover is found: "embedded", "folder" or "none"."""
    if cover in EMBEDDED:
        return "embedded"
    return "folder" if cover in FOLDER_COVERS else "none"
