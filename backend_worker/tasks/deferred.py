"""Queue ``deferred``: enrichment that can wait (MusicBrainz ids, artists' vectors)."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING

from backend_worker.config import get_config
from backend_worker.library.features import MODEL_VERSION
from backend_worker.library.remote.musicbrainz import find_release
from backend_worker.storage import artwork
from backend_worker.storage import vectors as storage
from backend_worker.tasks.arguments import as_ids
from backend_worker.tasks.base import chunks, send, task
from backend_worker.tasks.followup import ENTITIES_PER_MESSAGE
from backend_worker.tasks.remote import SharedService

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)

# Ten looks within five minutes; what is missing then is found by maintenance.fill_gaps.
MOST_LOOKS = 10
FIRST_LOOK_SECONDS = 1
LONGEST_LOOK_SECONDS = 60


@task("metadata.enrich_batch")
def enrich_batch(album_ids: Sequence[int | str]) -> None:
    """Ask MusicBrainz for missing release ids, if configured; then ask for covers.

    Args:
        album_ids: numbers, or text with digits; unknown ones are left out.
    """
    config = get_config()
    if not config.musicbrainz_search:
        logger.debug("MusicBrainz is not asked: it is switched off")
        return
    ids = as_ids(album_ids)
    if len(ids) > ENTITIES_PER_MESSAGE:  # at one request a second it would take too long
        for part in chunks(ids, ENTITIES_PER_MESSAGE):
            send("metadata.enrich_batch", [part])
        return
    found = []
    with SharedService("musicbrainz", config.musicbrainz_url, "MusicBrainz") as service:
        for album_id, artist, title in artwork.albums_without_mbid(ids):
            key = f"album/{album_id}"
            search = functools.partial(find_release, artist=artist, title=title)
            release = service.ask(key, search)
            if release is None:
                continue
            if artwork.set_album_mbid(album_id, release.mbid, release.group_mbid):
                found.append(album_id)
            else:  # the same release is in the library twice, tagged differently
                service.remember_miss(key)
    if found:
        send("covers.process_album_covers", [found])


@task("vectorization.artists")
def artists(artist_ids: Sequence[int | str], looks: int = 1) -> None:
    """Make the vectors of these artists from those of their tracks.

    ``vectorization.pending`` makes those of the artists whose tracks it deals with. This is
    for clients; artists of whom a track still lacks its vector are looked at again later.

    Args:
        artist_ids: numbers, or text with digits; one without vectors of tracks is left out.
        looks: how often these were looked at, this time included.
    """
    ids = as_ids(artist_ids)
    # Asked before the vectors are read: one that is made in between is counted next time.
    awaiting = storage.artists_awaiting_vectors(ids, MODEL_VERSION)
    storage.make_artist_vectors(ids, MODEL_VERSION)
    if not awaiting:
        return
    if looks >= MOST_LOOKS:
        logger.warning(
            "%d artists have tracks without a vector: theirs is made of the others", len(awaiting)
        )
        return
    seconds = min(FIRST_LOOK_SECONDS * 2 ** (looks - 1), LONGEST_LOOK_SECONDS)
    send("vectorization.artists", [awaiting, looks + 1], countdown=seconds)
