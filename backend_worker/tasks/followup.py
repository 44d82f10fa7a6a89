"""The end of a scan, and the messages that follow it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from backend_worker.progress import events
from backend_worker.storage import scans
from backend_worker.tasks.base import send

logger = logging.getLogger(__name__)

# Albums or artists in one message: a minute's work at one remote request a second.
ENTITIES_PER_MESSAGE = 50


def end_scan_if_done(scan_id: int) -> None:
    """Finish the scan if nothing of it is under way, and ask for covers and artists."""
    status = scans.finish_if_done(scan_id)
    if status is None:
        return
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
    follow_up(scan_id)


def follow_up(scan_id: int) -> None:
    """Send what follows a scan; sending it twice does no harm."""
    for album_ids in _chunks(scans.touched_albums(scan_id)):
        send("covers.process_album_covers", [album_ids])
    artists = scans.touched_artists(scan_id)
    for artist_ids in _chunks(artists):
        send("vectorization.artists", [artist_ids])
        send("covers.process_artist_images", [artist_ids])
    scans.mark_followed_up(scan_id)


def _chunks(ids: Sequence[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), ENTITIES_PER_MESSAGE):
        yield list(ids[start : start + ENTITIES_PER_MESSAGE])
