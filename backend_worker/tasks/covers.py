"""Queue ``covers``: album covers (embedded, folder, Cover Art Archive) and artist images.

Nothing here waits for a remote service that is away: what could not be found is remembered,
and ``maintenance.fill_gaps`` asks for it again.
"""

from __future__ import annotations

import functools
import logging
import os
from typing import TYPE_CHECKING

from backend_worker.celery_app import app
from backend_worker.config import get_config
from backend_worker.library.artwork import folder
from backend_worker.library.artwork.store import CoverStore, CoverStoreError, digest
from backend_worker.library.remote.cover_art_archive import front_cover
from backend_worker.progress import events
from backend_worker.storage import artwork
from backend_worker.tasks.arguments import as_ids, as_paths
from backend_worker.tasks.base import PipelineTask, chunks, send
from backend_worker.tasks.delivery import count_delivery, forget_deliveries
from backend_worker.tasks.extract import read_files
from backend_worker.tasks.followup import ENTITIES_PER_MESSAGE
from backend_worker.tasks.remote import DAY_SECONDS, SharedService

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)

EMBEDDED, FOLDER, ARCHIVE, ALBUM = "embedded", "folder", "cover-art-archive", "album"
# A folder with more albums than this is a heap: its picture is the cover of none of them.
MOST_ALBUMS_IN_FOLDER = 3


@app.task(name="covers.process_album_covers", base=PipelineTask)
def process_album_covers(album_ids: Sequence[int | str], priority: str | None = None) -> None:
    """Find the covers of these albums; artists without an image get one from them.

    Args:
        album_ids: numbers, or text with digits; unknown ones are left out.
        priority: what clients of the earlier system send along; not needed.
    """
    ids = as_ids(album_ids)
    if _sent_in_parts("covers.process_album_covers", ids):
        return
    try:
        _process_albums(ids)
    except CoverStoreError as error:
        logger.error("no covers are stored: %s", error)  # noqa: TRY400 - the sentence says all


@app.task(name="covers.process_artist_images", base=PipelineTask)
def process_artist_images(artist_ids: Sequence[int | str], priority: str | None = None) -> None:
    """Find the images of these artists: ``artist.*`` above the albums, else a cover.

    Args:
        artist_ids: numbers, or text with digits; unknown ones are left out.
        priority: as above.
    """
    ids = as_ids(artist_ids)
    if _sent_in_parts("covers.process_artist_images", ids):
        return
    store = CoverStore(get_config().cover_dir)
    try:
        for artist_id in ids:
            _process_artist(store, artist_id)
    except CoverStoreError as error:
        logger.error("no images are stored: %s", error)  # noqa: TRY400 - as above


@app.task(name="covers.extract_embedded", base=PipelineTask)
def extract_embedded(file_paths: Sequence[str] | str) -> None:
    """Read the pictures embedded in these files again, then look for their albums' covers.

    Args:
        file_paths: paths as text (surrogateescape for bytes that are not UTF-8).
    """
    file_paths = as_paths(file_paths)
    task_id = app.current_task.request.id if app.current_task else None
    if task_id and count_delivery(task_id) > get_config().max_deliveries:
        logger.warning("%d files: one of them kills its reader; given up", len(file_paths))
        return
    try:
        tracks, failures, _ = read_files(file_paths)
    except CoverStoreError as error:
        logger.error("no embedded pictures are stored: %s", error)  # noqa: TRY400 - as above
        return
    for failure in failures:
        logger.info("could not be read: %r: %s", failure.path, failure.reason)
    for track in tracks:
        if track.picture:
            artwork.set_track_picture(os.fsencode(track.path), track.picture)
    albums = artwork.albums_of_paths([os.fsencode(path) for path in file_paths])
    for album_ids in chunks(albums, ENTITIES_PER_MESSAGE):
        send("covers.process_album_covers", [album_ids])
    if task_id:
        forget_deliveries(task_id)


def _sent_in_parts(task_name: str, ids: Sequence[int]) -> bool:
    """Cut a long list, which at one remote request a second would exceed the time limit."""
    if len(ids) <= ENTITIES_PER_MESSAGE:
        return False
    for part in chunks(ids, ENTITIES_PER_MESSAGE):
        send(task_name, [part])
    return True


def _process_albums(album_ids: Sequence[int]) -> None:
    config = get_config()
    store = CoverStore(config.cover_dir)
    albums_in = functools.cache(
        functools.partial(artwork.count_albums_in, limit=MOST_ALBUMS_IN_FOLDER + 1)
    )
    covered = []
    title = "the Cover Art Archive"
    with SharedService(ARCHIVE, config.cover_art_archive_url, title) as archive:
        for album in artwork.albums(album_ids):
            own = [name for name in album.directories if albums_in(name) <= MOST_ALBUMS_IN_FOLDER]
            found = _local_cover(store, album, own)
            if found is None and album.cover is None and config.cover_art_archive:
                found = _archive_cover(store, album, archive)
            if found is not None:
                covered.append(album.id)
                _set_cover(album.id, *found)
            elif album.cover is None:
                # A picture may be put into the folder, which no scan of the music notices.
                pause = config.offline_pause_seconds if archive.away else DAY_SECONDS
                artwork.remember(artwork.COVER_SEARCH, str(album.id), "no cover found", pause)
    for artist_id in artwork.artists_without_image(covered):
        _process_artist(store, artist_id)


def _set_cover(album_id: int, picture: str, source: str) -> None:
    if artwork.set_album_cover(album_id, picture, source):
        events.publish("cover.stored", album=album_id, picture=picture, source=source)


def _local_cover(
    store: CoverStore, album: artwork.AlbumForCover, directories: Sequence[str]
) -> tuple[str, str] | None:
    for picture in album.embedded:
        if _is_usable(store, picture):
            return picture, EMBEDDED
    for path in folder.album_images(directories, multi_disc=album.multi_disc):
        picture = _from_file(store, path)
        if picture is not None:
            return picture, FOLDER
    return None


def _from_file(store: CoverStore, path: str) -> str | None:
    try:
        data = folder.read_image(path)
    except OSError as error:
        logger.info("the picture %r cannot be read: %s", path, error)
        return None
    picture = digest(data)
    return picture if _is_usable(store, picture, data) else None


def _archive_cover(
    store: CoverStore, album: artwork.AlbumForCover, archive: SharedService
) -> tuple[str, str] | None:
    for kind, mbid in (("release", album.mbid), ("release-group", album.release_group_mbid)):
        if mbid is None:
            continue
        key = f"{kind}/{mbid}"
        data = archive.ask(key, functools.partial(front_cover, kind=kind, mbid=mbid))
        if data is None:
            continue
        picture = digest(data)
        if _is_usable(store, picture, data):
            return picture, ARCHIVE
        archive.remember_failure(key, "its picture is not usable")
    return None


def _is_usable(store: CoverStore, picture: str, data: bytes | None = None) -> bool:
    """Say whether a picture can be shown; it is stored with its thumbnails then.

    Args:
        store: the cover store.
        picture: its hash.
        data: its bytes, if it does not come from the store.
    """
    looked_at, unusable = artwork.known_picture(picture)
    if unusable:
        return False
    if looked_at and store.is_complete(picture):
        return True
    # Pillow costs memory in each process: only those that need it import it
    from backend_worker.library.artwork import images  # noqa: PLC0415

    delivery = f"picture-{picture}"
    if count_delivery(delivery) > get_config().max_deliveries:
        _refuse(picture, "crashed its decoder each time")
        return False
    try:
        _, facts = images.store_picture(store, store.read(picture) if data is None else data)
    except FileNotFoundError:
        logger.warning("the picture %s is missing in the cover store", picture)
        return False
    except images.UnusablePicture as error:
        _refuse(picture, str(error))
        return False
    finally:
        forget_deliveries(delivery)
    artwork.record_picture(picture, mime=facts.mime, width=facts.width, height=facts.height)
    return True


def _refuse(picture: str, reason: str) -> None:
    logger.info("the picture %s %s", picture, reason)
    artwork.record_picture(picture, unusable=reason)


def _process_artist(store: CoverStore, artist_id: int) -> None:
    for path in folder.artist_images(artwork.artist_directories(artist_id)):
        picture = _from_file(store, path)
        if picture is not None:
            _set_image(artist_id, picture, FOLDER)
            return
    cover = artwork.cover_of_artist(artist_id)
    if cover is not None:
        _set_image(artist_id, cover, ALBUM)


def _set_image(artist_id: int, picture: str, source: str) -> None:
    if artwork.set_artist_image(artist_id, picture, source):
        events.publish("cover.stored", artist=artist_id, picture=picture, source=source)
