"""Albums in folders and in the database, and a cover archive on loopback beside them."""

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backend_worker.config import PREFIX, get_config
from backend_worker.library.artwork.store import CoverStore
from backend_worker.library.model import AlbumEntity, ArtistEntity, EntityBatch, TrackEntity
from backend_worker.storage.insert import insert_batch
from tests.support import lab
from tests.support.cover_archive import CoverArchive, cover_archive


@dataclass
class Collection:
    """What a test of covers works with."""

    archive: CoverArchive
    music: Path
    store: CoverStore
    patch: pytest.MonkeyPatch
    albums: int = field(default=0, init=False)

    def configure(self, **settings):
        """Change settings of this process by their names in capital letters."""
        for name, value in settings.items():
            self.patch.setenv(PREFIX + name, str(value))
        get_config.cache_clear()

    def add(self, artist, title, *, folder=None, discs=("",), pictures=(None,), **album):
        """Store an album, one track for each disc and picture, and return its id.

        Args:
            artist: its artist.
            title: its title.
            folder: its folder; by default artist and title.
            discs: folders of the discs within it.
            pictures: embedded in the tracks of each disc; None for none.
            **album: further fields of the album.
        """
        self.albums += 1
        artist_key, name_key = artist.lower(), f"{title.lower()}|{artist.lower()}"
        key = f"mbid:{album['mbid']}" if album.get("mbid") else name_key
        tracks = []
        for disc_folder in discs:
            path = self.music / (folder or f"{artist}/{title}") / disc_folder
            path.mkdir(parents=True, exist_ok=True)
            for picture in pictures:
                number = len(tracks) + 1
                file = path / f"{self.albums}-{number}.mp3"
                file.write_bytes(b"no music")
                record = {
                    "path": str(file),
                    "fingerprint": f"{self.albums:08x}{number:08x}",
                    "title": f"Track {number}",
                    "track_number": number,
                }
                if picture is not None:
                    record["picture"] = self.store.put(picture)
                tracks.append(TrackEntity(record, key, [artist_key], artist))
        batch = EntityBatch(
            artists=[ArtistEntity(artist_key, artist_key, artist)],
            albums=[AlbumEntity(key, name_key, title, [artist_key], artist, **album)],
            tracks=tracks,
        )
        result = insert_batch(f"album-{self.albums}", batch)
        [(album_id,)] = lab.rows("SELECT album_id FROM track WHERE id = %s", result.track_ids[0])
        return album_id

    def folder(self, artist, title):
        """Return the folder of an album that was added without naming one."""
        return self.music / artist / title


@contextmanager
def collection(tmp_path):
    """Yield an empty collection with settings of its own."""
    covers = tmp_path / "covers"
    covers.mkdir()
    with pytest.MonkeyPatch.context() as patch, cover_archive() as archive:
        patch.setenv("NO_PROXY", "127.0.0.1")
        made = Collection(archive, tmp_path / "music", CoverStore(str(covers)), patch)
        made.configure(
            COVER_DIR=covers,
            COVER_ART_ARCHIVE="yes",
            COVER_ART_ARCHIVE_URL=archive.url,
            MUSICBRAINZ_SEARCH="yes",
            MUSICBRAINZ_URL=f"{archive.url}/ws/2",
            REMOTE_INTERVAL_SECONDS=0.02,
        )
        yield made
    get_config.cache_clear()


def cover(album_id):
    """Return (hash, source) of an album's cover."""
    [row] = lab.rows("SELECT encode(cover, 'hex'), cover_source FROM album WHERE id = %s", album_id)
    return row


def image(name):
    """Return (hash, source) of an artist's image."""
    [row] = lab.rows("SELECT encode(image, 'hex'), image_source FROM artist WHERE name = %s", name)
    return row


def artist_id(name):
    """Return an artist's id."""
    [(found,)] = lab.rows("SELECT id FROM artist WHERE name = %s", name)
    return found


def lookups(service):
    """Return (key, outcome, attempts, seconds until it may be asked again) of a service."""
    return lab.rows(
        "SELECT key, outcome, attempts, extract(epoch FROM retry_at - now())::float"
        " FROM remote_lookup WHERE service = %s ORDER BY key",
        service,
    )


def written(folder, name, data):
    """Write a file into a folder, which may have a name that is not UTF-8."""
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)
