"""The end of a scan, and the messages that follow it."""

from __future__ import annotations

import logging

from backend_worker.config import get_config
from backend_worker.progress import events, figures
from backend_worker.storage import artwork, scans, statistics
from backend_worker.storage.connection import DatabaseUnusableError
from backend_worker.tasks.base import chunks, is_news, send
from backend_worker.tasks.pending import ask_for_vectors

logger = logging.getLogger(__name__)

# Albums or artists in one message: a minute's work at one remote request a second.
ENTITIES_PER_MESSAGE = 50
REASONS_TOLD = 10
# A library that has grown by this gets new statistics before its covers are looked for.
GROWTH = 1.25


def end_scan_if_done(scan_id: int, folder: str = "") -> bool:
    """Finish the scan if nothing of it is under way, and ask for covers and artists.

    Otherwise tell how far it is.

    Args:
        scan_id: the scan.
        folder: of the files that were stored just now.

    Returns:
        Whether it has ended now.
    """
    status = scans.finish_if_done(scan_id)
    if status is None:
        _tell_figures(scan_id, folder)
        return False
    figures.end(scan_id, status.status)
    events.publish(f"scan.{status.status}", scan_id, **status.as_dict())
    logger.info(
        "scan %d %s: %d found = %d stored + %d unchanged + %d failed + %d ignored;"
        " %d moved, %d gone, %.1f s",
        scan_id,
        status.status,
        status.found,
        status.stored,
        status.unchanged,
        status.failed,
        status.ignored,
        status.moved,
        status.gone,
        status.seconds or 0.0,
    )
    _tell_failures(scan_id)
    follow_up(scan_id)
    return True


def _tell_failures(scan_id: int) -> None:
    """Say in one line what could not be read: not each file has a line of its own."""
    reasons = scans.failure_reasons(scan_id, REASONS_TOLD)
    if reasons:
        logger.info(
            "scan %d could not read these files, `backend-worker failures` lists them: %s",
            scan_id,
            "; ".join(f"{count} because {reason}" for reason, count in reasons),
        )


def _tell_figures(scan_id: int, folder: str) -> None:
    status = scans.get(scan_id)
    if status is None or not status.active:
        return
    values: dict[str, str | float | bool] = {
        "root": status.root,
        "started": status.started_at.timestamp(),
    }
    if status.walk_ended:
        # until then the walk itself knows these better: it records them now and then
        values |= {
            "walk_ended": True,
            "found": status.found,
            "unchanged": status.unchanged,
            "ignored": status.ignored,
        }
        if folder:
            values["folder"] = folder
    figures.write_stored(scan_id, status.stored, status.failed, **values)


def abandon_scan(scan_id: int, message: str) -> None:
    """End a scan as failed, unless it has ended, and tell it.

    Where not even that can be stored it stays on record as running, and goes on when it can be.

    Args:
        scan_id: the scan.
        message: why.
    """
    try:
        ended = scans.abandon(scan_id, message)
    except DatabaseUnusableError as error:
        if is_news(error, "the end of a scan"):
            logger.error("scan %d stops, which cannot be stored: %s", scan_id, error)  # noqa: TRY400 - the sentence says all
        ended = "failed"
    if ended is None:
        return
    logger.warning("scan %d %s: %s", scan_id, ended, message)
    ask_for_vectors()  # of what was stored before
    figures.end(scan_id, ended)
    events.publish(f"scan.{ended}", scan_id, message=message)


def follow_up(scan_id: int) -> None:
    """Send what follows a scan; sending it twice does no harm."""
    statistics.refresh(growth=GROWTH)
    ask_for_vectors()
    albums = scans.touched_albums(scan_id)
    for album_ids in chunks(albums, ENTITIES_PER_MESSAGE):
        send("covers.process_album_covers", [album_ids])
    artists = scans.touched_artists(scan_id)
    for artist_ids in chunks(artists, ENTITIES_PER_MESSAGE):
        send("covers.process_artist_images", [artist_ids])
    if get_config().musicbrainz_search:
        unidentified = [album_id for album_id, _, _ in artwork.albums_without_mbid(albums)]
        for album_ids in chunks(unidentified, ENTITIES_PER_MESSAGE):
            send("metadata.enrich_batch", [album_ids])
    scans.mark_followed_up(scan_id)
