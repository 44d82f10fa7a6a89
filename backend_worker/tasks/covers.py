"""Queue ``covers``: album covers (embedded, folder, Cover Art Archive) and artist images.

Nothing here waits for a remote service that is away: what could not be found is remembered,
and ``maintenance.fill_gaps`` asks for it again.
"""

from __future__ import annotations

import functools
import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from backend_worker.celery_app import app
from backend_worker.config import get_config
from backend_worker.library.artwork import folder
from backend_worker.library.artwork.store import CoverStore, CoverStoreError, digest
from backend_worker.library.paths import quoted
from backend_worker.library.remote.cover_art_archive import front_cover
from backend_worker.progress import events
from backend_worker.storage import artwork
from backend_worker.tasks import touch
from backend_worker.tasks.arguments import as_ids, as_paths
from backend_worker.tasks.base import chunks, send, task
from backend_worker.tasks.delivery import count_delivery, forget_deliveries
from backend_worker.tasks.extract import read_files
from backend_worker.tasks.followup import ENTITIES_PER_MESSAGE
from backend_worker.tasks.remote import DAY_SECONDS, SharedService

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from backend_worker.library.remote.cover_art_archive import Kind

logger = logging.getLogger(__name__)

EMBEDDED, FOLDER, ARCHIVE, ALBUM = "embedded", "folder", "cover-art-archive", "album"
# A folder with more albums than this is a heap: its picture is the cover of none of them.
MOST_ALBUMS_IN_FOLDER = 3


@task("covers.process_album_covers")
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


@task("covers.process_artist_images")
def process_artist_images(artist_ids: Sequence[int | str], priority: str | None = None) -> None:
    """Find the images of these artists: ``artist.*`` above the albums, else a cover.

    Args:
        artist_ids: numbers, or text with digits; unknown ones are left out.
        priority: as above.
    """
    ids = as_ids(artist_ids)
    if _sent_in_parts("covers.process_artist_images", ids):
        return
    try:
        _process_artists(ids)
    except CoverStoreError as error:
        logger.error("no images are stored: %s", error)  # noqa: TRY400 - as above


@task("covers.extract_embedded")
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
        logger.info(
            "could not be read: %s: %s",
            quoted(failure.path),
            failure.reason,
            extra={"reason": failure.reason},
        )
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
    """Look at the files of all albums first, then ask for what is missing, one by one."""
    config = get_config()
    albums = artwork.albums(album_ids)
    crowded = artwork.crowded(
        {name for album in albums for name in album.directories}, MOST_ALBUMS_IN_FOLDER
    )
    pictures = _Pictures(picture for album in albums for picture in album.embedded)
    covers = []
    without = []
    try:
        with pictures:
            for album in albums:
                own = [name for name in album.directories if name not in crowded]
                with _looking_at(own):
                    found = _local_cover(pictures, album, own)
                if found is not None:
                    covers.append((album.id, *found))
                elif album.cover is None:
                    without.append(album)
    finally:
        _set_covers(covers)  # also those that were found before the store's disk was full
    with SharedService(ARCHIVE, config.cover_art_archive_url, "the Cover Art Archive") as archive:
        for album in without:
            found = _archive_cover(pictures, album, archive) if config.cover_art_archive else None
            if found is not None:
                covers.append((album.id, *found))
                _set_covers(covers[-1:])
            else:
                # A picture may be put into the folder, which no scan of the music notices.
                pause = config.offline_pause_seconds if archive.away else DAY_SECONDS
                artwork.remember(artwork.COVER_SEARCH, str(album.id), "no cover found", pause)
    _process_artists(artwork.artists_without_image([album_id for album_id, _, _ in covers]))


def _set_covers(covers: Sequence[tuple[int, str, str]]) -> None:
    new = artwork.set_album_covers(covers)
    _tell(
        {"album": album_id, "picture": picture, "source": source}
        for album_id, picture, source in covers
        if album_id in new
    )


def _tell(news: Iterable[dict[str, Any]]) -> None:
    found = [("cover.stored", details) for details in news]
    if found:
        events.publish_all(found)


def _local_cover(
    pictures: _Pictures, album: artwork.AlbumForCover, directories: Sequence[str]
) -> tuple[str, str] | None:
    for picture in album.embedded:
        if pictures.is_usable(picture):
            return picture, EMBEDDED
    for path in folder.album_images(directories, multi_disc=album.multi_disc):
        found = _from_file(pictures, path)
        if found is not None:
            return found, FOLDER
    return None


def _from_file(pictures: _Pictures, path: str) -> str | None:
    try:
        data = folder.read_image(path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        logger.info(
            "the picture %s cannot be read: %s", quoted(path), error, extra={"reason": reason}
        )
        return None
    picture = digest(data)
    return picture if pictures.is_usable(picture, data) else None


def _archive_cover(
    pictures: _Pictures, album: artwork.AlbumForCover, archive: SharedService
) -> tuple[str, str] | None:
    ids: tuple[tuple[Kind, str | None], ...] = (
        ("release", album.mbid),
        ("release-group", album.release_group_mbid),
    )
    for kind, mbid in ids:
        if mbid is None:
            continue
        key = f"{kind}/{mbid}"
        data = archive.ask(key, functools.partial(front_cover, kind=kind, mbid=mbid))
        if data is None:
            continue
        picture = digest(data)
        with pictures:
            if pictures.is_usable(picture, data):
                return picture, ARCHIVE
        archive.remember_failure(key, "its picture is not usable")
    return None


def _process_artists(artist_ids: Sequence[int]) -> None:
    if not artist_ids:
        return
    images = []
    try:
        with _Pictures() as pictures:
            for artist in artwork.artists(artist_ids):
                with _looking_at(artist.directories):
                    paths = folder.artist_images(artist.directories)
                    found = (_from_file(pictures, path) for path in paths)
                    picture = next(filter(None, found), None)
                if picture is not None:
                    images.append((artist.id, picture, FOLDER))
                elif artist.cover is not None:
                    images.append((artist.id, artist.cover, ALBUM))
    finally:
        _set_images(images)  # as above


def _set_images(images: Sequence[tuple[int, str, str]]) -> None:
    new = artwork.set_artist_images(images)
    _tell(
        {"artist": artist_id, "picture": picture, "source": source}
        for artist_id, picture, source in images
        if artist_id in new
    )


@contextmanager
def _looking_at(directories: Iterable[str]) -> Iterator[None]:
    """Look for pictures in folders; they are said to be the first, which may not be quite true.

    Raises:
        FolderHangsError: one of them hangs.
    """
    paths = [os.fsencode(name) for name in directories]
    for path in paths[1:]:
        touch.check(path)
    if paths:
        with touch.looking_at(paths[0]):
            yield
    else:
        yield


class _Pictures:
    """Which pictures can be shown: what is known of them, and what is found out.

    A context manager: what was found out within the block is recorded at its end, also when
    the store cannot be written any more.

    Args:
        expected: hashes that will be asked for, to be looked up together.
    """

    def __init__(self, expected: Iterable[str] = ()) -> None:
        self.store = CoverStore(get_config().cover_dir)
        expected = list(expected)
        self._known = artwork.known_pictures(expected) if expected else {}
        self._looked_up = set(expected)
        self._found: list[artwork.Picture] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        artwork.record_pictures(self._found)
        self._found.clear()

    def is_usable(self, picture: str, data: bytes | None = None) -> bool:
        """Say whether a picture can be shown; it is stored with its thumbnails then.

        Args:
            picture: its hash.
            data: its bytes, if it does not come from the store.

        Raises:
            CoverStoreError: the store cannot be written.
        """
        if picture not in self._looked_up:
            self._known |= artwork.known_pictures([picture])
            self._looked_up.add(picture)
        if picture in self._known:
            if self._known[picture] is not None:
                return False
            if self.store.is_complete(picture):
                return True
        facts = self._render(picture, data)
        if facts is None:
            return False
        self._known[picture] = facts.unusable
        self._found.append(facts)
        return facts.unusable is None

    def _render(self, picture: str, data: bytes | None) -> artwork.Picture | None:
        """Store a picture with its thumbnails; None if it is not there."""
        # Pillow costs memory in each process: only those that need it import it
        from backend_worker.library.artwork import images  # noqa: PLC0415 - as said above

        delivery = f"picture-{picture}"
        if count_delivery(delivery) > get_config().max_deliveries:
            return _refused(picture, "crashed its decoder each time")
        try:
            if data is None:
                data = self.store.read(picture)
            _, facts = images.store_picture(self.store, data)
        except FileNotFoundError:
            logger.warning("the picture %s is missing in the cover store", picture)
            return None
        except images.UnusablePicture as error:
            return _refused(picture, str(error))
        finally:
            forget_deliveries(delivery)
        return artwork.Picture(picture, facts.mime, facts.width, facts.height)


def _refused(picture: str, reason: str) -> artwork.Picture:
    logger.info("the picture %s %s", picture, reason, extra={"reason": reason})
    return artwork.Picture(picture, unusable=reason)
