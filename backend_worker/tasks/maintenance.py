"""Queue ``maintenance``: clean-up, integrity, retention, statistics, and picking up the pieces.

Each task returns what it did as plain data, which ``backend-worker maintenance`` shows.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Any

from celery.utils.time import maybe_iso8601

from backend_worker.celery_app import app
from backend_worker.config import get_config
from backend_worker.library.artwork.store import CoverStore
from backend_worker.library.features import MODEL_VERSION
from backend_worker.library.model import mtime_of
from backend_worker.progress import events
from backend_worker.progress.connection import redis_client
from backend_worker.storage import artwork, batches, maintenance, scans, search, vectors, walks
from backend_worker.tasks import broker, pending, touch
from backend_worker.tasks.base import BATCH_HEADER, PipelineTask, chunks, send, send_paths, task
from backend_worker.tasks.followup import end_scan_if_done, follow_up

if TYPE_CHECKING:
    from collections.abc import Collection

logger = logging.getLogger(__name__)

SCANS_KEPT = 200
PAGE = 2000
# What fill_gaps sends at most in one run: the rest is found by the next.
MOST_GAPS = 20_000
RESUME_AGAIN_SECONDS = 5
SOON_SECONDS = 60  # a task that waits for longer was put off
PIPELINE = frozenset({"extract", "batch", "insert"})
PICTURE_MIN_AGE_SECONDS = 3600
MOST_EVENTS = 2**31
_NEWEST_RESUMPTION = "backend_worker:resumption"


class MaintenanceTask(PipelineTask):
    """A pipeline task whose result is kept for who called it."""

    abstract = True
    ignore_result = False  # type: ignore[assignment] # Celery's is None: as its setting says


@task("maintenance.purge_gone", base=MaintenanceTask)
def purge_gone(days: int | None = None) -> dict[str, Any]:
    """Remove files that have been gone for so many days (by default as configured)."""
    days = get_config().purge_gone_days if days is None else int(days)
    return {"files": maintenance.purge_gone(days), "days": days}


@task("maintenance.purge_orphans", base=MaintenanceTask)
def purge_orphans() -> dict[str, Any]:
    """Remove albums, artists and words without tracks, pictures nobody refers to, old records."""
    removed: dict[str, Any] = maintenance.purge_orphans()
    removed["scans"] = maintenance.purge_scans(SCANS_KEPT)
    removed["lookups"] = maintenance.purge_lookups()
    removed["pictures"] = _purge_pictures()
    return removed


def _purge_pictures() -> int:
    """Remove pictures without reference, unless a scan may just be storing one."""
    if scans.active():
        return 0
    store = CoverStore(get_config().cover_dir)
    unreferenced = set(store.hashes()) - maintenance.referenced_pictures()
    # a cover task may have stored one that its album does not refer to yet
    removed = [
        picture
        for picture in sorted(unreferenced)
        if store.remove(picture, min_age_seconds=PICTURE_MIN_AGE_SECONDS)
    ]
    store.remove_leftovers()
    maintenance.forget_pictures(removed)
    return len(removed)


@task("maintenance.check_integrity", base=MaintenanceTask)
def check_integrity() -> dict[str, Any]:
    """Compare the database with itself, with the cover store and with the files.

    Lost or damaged pictures are unlinked, so that they are made anew; everything else is
    reported only: the next scan finds what changed, and nothing is removed on suspicion.
    """
    store = CoverStore(get_config().cover_dir)
    damaged = set(store.verify())
    for picture in sorted(damaged):
        store.remove(picture)
    lost = maintenance.referenced_pictures() - set(store.hashes()) - damaged
    for picture in sorted(damaged | lost):
        maintenance.unlink_picture(picture)
    maintenance.forget_pictures(sorted(damaged | lost))
    report = {
        "database": maintenance.inconsistencies(),
        "pictures_damaged": len(damaged),
        "pictures_lost": len(lost),
        **_compare_files(),
    }
    if report["database"] or damaged or lost:
        logger.warning("integrity: %s", report)
    return report


def _compare_files() -> dict[str, int]:
    """Count stored files that are not there, or not as they were when they were read.

    Raises:
        FolderHangsError: a folder hangs; nobody knows what is in it.
    """
    checked = missing = changed = 0
    after = b""
    while page := maintenance.stored_paths_page(after, PAGE):
        for path, size, mtime_ns in page:
            checked += 1
            try:
                with touch.looking_at(path):
                    status = os.stat(path)
            except OSError:
                missing += 1
            else:
                known_to_be_read_again = mtime_ns == maintenance.READ_AGAIN
                changed += not known_to_be_read_again and (
                    (status.st_size, mtime_of(status)) != (size, mtime_ns)
                )
        after = page[-1][0]
    return {"files_checked": checked, "files_missing": missing, "files_changed": changed}


@task("maintenance.retry_failed", base=MaintenanceTask)
def retry_failed() -> dict[str, Any]:
    """Read again what could not be read."""
    paths = maintenance.failed_paths()
    maintenance.forget_failures()
    for number, part in enumerate(chunks(paths, get_config().batch_size), start=1):
        send_paths(f"retry-{app.current_task.request.id}-{number}", part)
    return {"files": len(paths)}


@task("maintenance.analyze", base=MaintenanceTask)
def analyze() -> dict[str, Any]:
    """Clear away dead rows and refresh the planner's statistics."""
    maintenance.analyze()
    return maintenance.database_facts()


@task("maintenance.trim_progress", base=MaintenanceTask)
def trim_progress(length: int | None = None) -> dict[str, Any]:
    """Cut the stream of progress events to its configured length."""
    length = get_config().progress_stream_length if length is None else int(length)
    return {"events": events.trim(min(max(length, 0), MOST_EVENTS))}


@task("maintenance.statistics", base=MaintenanceTask)
def statistics() -> dict[str, Any]:
    """Count what is in the library, and how large the database is."""
    return {**search.totals(), **maintenance.database_facts()}


@task("maintenance.fill_gaps", base=MaintenanceTask)
def fill_gaps() -> dict[str, Any]:
    """Ask for vectors and covers that are missing, for whatever reason."""
    tracks = vectors.without_vector(MODEL_VERSION, MOST_GAPS)
    pending.TRACKS.add(tracks)
    artists = vectors.artists_to_make(MODEL_VERSION, MOST_GAPS)
    pending.ARTISTS.add(artists)
    pending.ask_for_vectors()
    albums = artwork.albums_without_cover(MOST_GAPS)
    for part in chunks(albums, get_config().batch_size):
        send("covers.process_album_covers", [part])
    return {"tracks": len(tracks), "artists": len(artists), "albums": len(albums)}


@task("maintenance.resume_scans", base=MaintenanceTask, bind=True)
def resume_scans(self: MaintenanceTask, follows: str | None = None) -> dict[str, Any]:
    """Go on with scans that an earlier worker left unfinished; sent at every start.

    What the broker still holds is left to come by itself: the walk's message by its id, a
    batch by its number. What is recorded as not done and is not there is sent again. While a
    scan runs this task looks again after a while.

    Args:
        self: the task, whose id its further looks carry.
        follows: the id of the task whose further look this is. Only the newest has further
            looks: each start of a worker would add one for as long as a scan runs.
    """
    newest = follows or str(self.request.id)
    if follows is None:
        redis_client().set(_NEWEST_RESUMPTION, newest)
    elif redis_client().get(_NEWEST_RESUMPTION) not in {newest, None}:
        return {"active": len(scans.active()), "batches_sent_again": 0}
    active = scans.active()
    walked = {scan.id for scan in active if walks.is_being_walked(scan.id)}
    # what needs a folder that hangs is asked for when it answers
    waiting = {scan.id for scan in active if touch.hangs_with(scan.root)}
    coming = {headers.get("id") for headers in broker.held({"scan"})} if active else set()
    for scan in active:
        if scan.id in waiting:
            continue
        if scan.needs_walk and scan.id not in walked:
            if scan.task_id in coming:
                continue  # or this will see next time
            logger.info("scan %d goes on where it was interrupted", scan.id)
            send("scan.discovery", [os.fsdecode(scan.root)], task_id=scan.task_id)
        else:
            end_scan_if_done(scan.id)
    for scan_id in scans.not_followed_up():
        follow_up(scan_id)
    # A walk records a batch just before it sends it: its batches are not lost yet.
    sent = _send_lost_batches(walked | waiting) if active else 0
    if scans.active():
        send("maintenance.resume_scans", [newest], countdown=RESUME_AGAIN_SECONDS)
    elif active or follows or _has_gaps():
        # What was to follow a stored batch may be lost as well, with an emptied Redis or by a
        # message being nowhere for an instant while a worker takes it, and no record tells.
        if _gaps_are_being_filled():
            send("maintenance.resume_scans", [newest], countdown=RESUME_AGAIN_SECONDS)
        else:
            send("maintenance.fill_gaps", [])
    return {"active": len(active), "batches_sent_again": sent}


def _has_gaps() -> bool:
    return bool(
        vectors.without_vector(MODEL_VERSION, 1)
        or artwork.albums_without_cover(1)
        or vectors.artists_to_make(MODEL_VERSION, 1)
    )


def _gaps_are_being_filled() -> bool:
    """Say whether a task that makes vectors or looks for covers runs, or is to run soon.

    Not one that a client has put off: it would keep the gaps open until then.
    """
    soon = time.time() + SOON_SECONDS
    return any(
        _is_due(headers.get("eta"), soon)
        for headers in broker.held({"vector", "deferred", "covers"})
    )


def _is_due(eta: Any, until: float) -> bool:
    try:
        due = maybe_iso8601(eta)
        return due is None or due.timestamp() < until
    except (ValueError, TypeError, AttributeError):  # it will be dropped
        return False


def _send_lost_batches(walked: Collection[int]) -> int:
    """Send batches again that are recorded as pending and that the broker does not hold.

    Looks twice: a message is nowhere for an instant while a worker takes it.

    Args:
        walked: scans whose batches are left alone.

    Returns:
        How many.
    """
    lost = {batch_id for batch_id, _ in batches.pending_batches(walked)}
    for pause in (0.0, 0.3):
        if lost:
            time.sleep(pause)
            lost -= {headers.get(BATCH_HEADER) for headers in broker.held(PIPELINE)}
    # what was stored meanwhile is not held any more either
    found = [batch for batch in batches.pending_batches(walked) if batch[0] in lost] if lost else []
    for batch_id, paths in found:
        send_paths(batch_id, paths)
    if found:
        logger.info("%d batches that the broker had lost are sent again", len(found))
    return len(found)
