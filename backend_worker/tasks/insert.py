"""Queue ``insert``: one transaction per batch, then word to the queues that follow."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from backend_worker.celery_app import app
from backend_worker.library.model import EntityBatch, FailedFile
from backend_worker.library.paths import quoted, shown
from backend_worker.progress import events
from backend_worker.storage import scans
from backend_worker.storage.insert import InsertResult, insert_batch, stored_before
from backend_worker.storage.refusals import REFUSALS, sift
from backend_worker.tasks import touch
from backend_worker.tasks.arguments import ArgumentError
from backend_worker.tasks.base import one_line, send, task
from backend_worker.tasks.batch_task import BatchTask
from backend_worker.tasks.followup import end_scan_if_done, follow_up
from backend_worker.tasks.pending import ask_for_vectors, note_tracks

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)

# One event tells of all failures of a batch, and names so many of them.
FAILURES_NAMED = 10


class InsertTask(BatchTask):
    """Its batch id is within its one argument."""

    abstract = True

    @staticmethod
    def batch_of(args: Sequence[Any], kwargs: dict[str, Any]) -> str | None:
        """Return the id of the batch in the task's argument."""
        data = kwargs.get("insertion_data") or (args[0] if args else None)
        batch_id = data.get("batch_id") if isinstance(data, dict) else None
        return None if batch_id is None else str(batch_id)


@task("insert.direct_batch", base=InsertTask)
def direct_batch(insertion_data: dict[str, Any]) -> None:
    """Store a grouped batch; messages are sent only after the commit.

    Args:
        insertion_data: ``batch_id``, ``artists``, ``albums``, ``tracks`` (as
            ``batch.process_entities`` sends them), ``failures``, ``ignored``. Tracks in the
            flat shape of the earlier system are sent to be grouped first.

    Raises:
        ArgumentError: the data are no dictionary.
    """
    if not isinstance(insertion_data, dict):
        raise ArgumentError("insertion_data is a dictionary")
    batch_id = str(insertion_data.get("batch_id") or f"client-{app.current_task.request.id}")
    tracks = insertion_data.get("tracks", [])
    if tracks and "record" not in tracks[0]:
        send("batch.process_entities", [tracks, batch_id])
        return
    failures = [FailedFile.from_message(item) for item in insertion_data.get("failures", [])]
    entities = EntityBatch.from_message(insertion_data)
    store(batch_id, entities, failures, int(insertion_data.get("ignored", 0)))


def store(
    batch_id: str, entities: EntityBatch, failures: Sequence[FailedFile], ignored: int
) -> None:
    """Store a grouped batch, then send what follows it.

    Files that the database refuses are recorded as failed, and the others are stored.

    Args:
        batch_id: the batch as recorded; an unknown one is recorded.
        entities: artists, albums and tracks.
        failures: files that could not be read.
        ignored: number of files that are left for the next scan.

    Raises:
        psycopg2.Error: nothing was stored.
    """
    try:
        result = insert_batch(batch_id, entities, failures, ignored, still_exists=_still_exists)
    except REFUSALS as error:
        logger.warning("batch %s is refused: %s; its files are tried", batch_id, one_line(error))
        files = len(entities.tracks) + len(failures)
        entities, failures = sift(entities, failures, error)
        ignored += files - len(entities.tracks) - len(failures)
        result = insert_batch(batch_id, entities, failures, ignored, still_exists=_still_exists)
    if result.cancelled:
        logger.debug("batch %s was cancelled: not stored", batch_id)
    last = entities.tracks[-1].record["path"] if entities.tracks else ""
    _follow(batch_id, result, failures, shown(os.path.dirname(last)))


def _still_exists(path: bytes) -> bool:
    """Say whether a path is there; one in a folder that hangs may well be."""
    try:
        with touch.looking_at(path):
            return os.path.lexists(path)
    except touch.FolderHangsError:
        return True


def follow_again(batch_id: str, paths: Sequence[bytes]) -> None:
    """Send once more what follows a batch that is stored; its process may have died before."""
    _follow(batch_id, stored_before(batch_id, paths), [])


def _follow(
    batch_id: str, result: InsertResult, failures: Sequence[FailedFile], folder: str = ""
) -> None:
    # Also when it was stored before: the process may have died before it sent this.
    if result.track_ids:
        # the end of its scan has vectors made, if there is one: its albums are whole only then
        note_tracks([*result.track_ids, *result.outdated], at_once=result.scan_id is None)
    if not result.done_before:
        _tell(batch_id, result, failures)
        for failure in failures:
            logger.info(
                "could not be read: %s: %s",
                quoted(failure.path),
                failure.reason,
                extra={"reason": failure.reason},
            )
    if result.scan_id is not None:
        ended = end_scan_if_done(result.scan_id, folder)
        if result.done_before and not ended:
            _follow_up_again(result.scan_id)


def _follow_up_again(scan_id: int) -> None:
    """Send what follows a scan if it had ended before a batch of it was delivered again."""
    if scan_id in scans.not_followed_up():
        follow_up(scan_id)  # it died between the scan's end and this
        return
    status = scans.get(scan_id)
    if status is None or not status.active:
        ask_for_vectors()


def _tell(batch_id: str, result: InsertResult, failures: Sequence[FailedFile]) -> None:
    """Publish what a batch changed."""
    counts = {"stored": result.stored, "failed": result.failed, "moved": result.moved}
    news: list[tuple[str, dict[str, Any]]] = [("batch.stored", {"batch": batch_id, **counts})]
    if failures:
        named = [
            {"path": shown(failure.path), "reason": failure.reason}
            for failure in failures[:FAILURES_NAMED]
        ]
        news.append(("file.failed", {"count": len(failures), "files": named}))
    events.publish_all(news, result.scan_id)
