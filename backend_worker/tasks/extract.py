"""Queue ``extract``: read tags, audio properties and embedded pictures of a batch of files.

What was read is grouped and stored in the same process, unless the setting ``store_where_read``
sends it on through the queues ``batch`` and ``insert``.
"""

from __future__ import annotations

import logging
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from backend_worker.celery_app import app
from backend_worker.config import get_config
from backend_worker.library.artwork.store import CoverStore
from backend_worker.library.grouping import group
from backend_worker.library.model import FailedFile, TrackRecord
from backend_worker.library.tags import FileOutOfReachError, UnreadableFile, read_track
from backend_worker.library.walk import LONGEST_PATH
from backend_worker.storage import batches
from backend_worker.storage.maintenance import READ_AGAIN
from backend_worker.tasks.arguments import as_paths
from backend_worker.tasks.base import chunks, send, send_paths
from backend_worker.tasks.batch_task import BatchTask
from backend_worker.tasks.delivery import counted_delivery
from backend_worker.tasks.insert import follow_again, store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

logger = logging.getLogger(__name__)

# Covers of so many files are brought onto the disk at once; each waits as an open file.
COVERS_TOGETHER = 100


class _ReadingTookTooLongError(Exception):
    """Raised by the alarm within the reading of one file."""


@app.task(name="metadata.extract_batch", base=BatchTask)
def extract_batch(file_paths: Sequence[str], batch_id: str | int | None = None) -> None:
    """Read the files, group and store what they hold.

    Args:
        file_paths: paths as text (surrogateescape for bytes that are not UTF-8).
        batch_id: the batch as recorded by the scan; a client's own id, or none, starts a
            batch outside of any scan.
    """
    file_paths = as_paths(file_paths)
    paths = [os.fsencode(path) for path in file_paths]
    batch_id = f"client-{app.current_task.request.id}" if batch_id is None else str(batch_id)
    state = batches.batch_state(batch_id)
    if state is None or _is_clients(batch_id):
        state = batches.adopt_batch(batch_id, paths)
    if state != "pending":
        logger.debug("batch %s is %s: nothing to read", batch_id, state)
        # its process may have died before it sent what follows
        if state == "done":
            follow_again(batch_id, paths)
        elif state == "split":
            _send_batches(batches.pending_halves(batch_id))
        scan_id = scan_of(batch_id)
        if scan_id is not None:
            send("scan.finish", [scan_id])
        return
    with counted_delivery(batch_id) as count:
        if count > get_config().max_deliveries:
            _isolate(batch_id, file_paths)
        else:
            _read_batch(batch_id, file_paths)


def _read_batch(batch_id: str, file_paths: Sequence[str]) -> None:
    _hand_on(batch_id, *read_files(file_paths))


def _hand_on(
    batch_id: str, tracks: Sequence[TrackRecord], failures: Sequence[FailedFile], ignored: int
) -> None:
    """Group and store what was read, here or by way of the queues ``batch`` and ``insert``.

    Through the queues each track is written as JSON, compressed, kept and logged by Redis and
    read again twice, which costs as much as grouping and storing it.
    """
    if get_config().store_where_read:
        store(batch_id, group(tracks), failures, ignored)
        return
    message = {
        "tracks": [track.to_message() for track in tracks],
        "failures": [failure.to_message() for failure in failures],
        "ignored": ignored,
    }
    send("batch.process_entities", [message, batch_id])


def read_files(file_paths: Sequence[str]) -> tuple[list[TrackRecord], list[FailedFile], int]:
    """Read the files one by one; return tracks, failures, and how many are left for later.

    A file that vanished, or that changes while it is read, is left for the next scan.
    """
    limit = _TimeLimit(get_config().read_timeout_seconds)
    covers = CoverStore(get_config().cover_dir)
    tracks: list[TrackRecord] = []
    failures: list[FailedFile] = []
    ignored = 0
    with limit.handler():
        for part in chunks(file_paths, COVERS_TOGETHER):
            # the limit is one of reading, and must not cut the covers of other files off
            with covers.together():
                found = _read_files(part, limit, covers.put)
            tracks += found[0]
            failures += found[1]
            ignored += found[2]
    return tracks, failures, ignored


def _read_files(
    file_paths: Sequence[str], limit: _TimeLimit, store_picture: Callable[[bytes], str]
) -> tuple[list[TrackRecord], list[FailedFile], int]:
    tracks: list[TrackRecord] = []
    failures: list[FailedFile] = []
    ignored = 0
    for path in file_paths:
        if "\0" in path or len(os.fsencode(path)) > LONGEST_PATH:
            logger.warning("not a usable path: %.200r", path)  # a scan sends none
            ignored += 1
            continue
        try:
            before = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            ignored += 1
            continue
        except OSError as error:
            failures.append(FailedFile(path, 0, 0, f"cannot be opened: {error.strerror}"))
            continue
        facts = (path, before.st_size, before.st_mtime_ns)
        try:
            with limit:
                result = read_track(*facts, store_picture=store_picture)
        except FileNotFoundError:
            ignored += 1
            continue
        except FileOutOfReachError as error:
            # the next scan tries again: an unplugged disk leaves the file as it was
            result = FailedFile(path, before.st_size, READ_AGAIN, str(error))
        except UnreadableFile as error:
            result = FailedFile(*facts, str(error))
        except _ReadingTookTooLongError:
            result = FailedFile(*facts, f"reading it took longer than {limit.seconds:g} s")
        if _changed_since(path, before):
            ignored += 1
        elif isinstance(result, TrackRecord):
            tracks.append(result)
        else:
            failures.append(result)
    return tracks, failures, ignored


def scan_of(batch_id: str) -> int | None:
    """Return the scan of a batch id as scans number them (``scan-17-3``), else None."""
    parts = batch_id.split("-")
    return int(parts[1]) if len(parts) == 3 and parts[0] == "scan" and parts[1].isdigit() else None


def _is_clients(batch_id: str) -> bool:
    return scan_of(batch_id) is None


def _changed_since(path: str, before: os.stat_result) -> bool:
    try:
        after = os.stat(path)
    except OSError:
        return True
    return (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns)


def _isolate(batch_id: str, file_paths: Sequence[str]) -> None:
    """Halve a batch that keeps killing its reader; record the single file that does it."""
    if len(file_paths) > 1:
        logger.warning(
            "batch %s killed its reader %d times: split to find the file",
            batch_id,
            get_config().max_deliveries,
        )
        _send_batches(batches.split_batch(batch_id))
        return
    failures = []
    for path in file_paths:
        logger.warning("%r kills its reader: recorded as failed", path)
        try:
            status = os.stat(path)
        except OSError:
            continue
        reason = "its reader crashed each time; the file is probably damaged"
        failures.append(FailedFile(path, status.st_size, status.st_mtime_ns, reason))
    _hand_on(batch_id, [], failures, len(file_paths) - len(failures))


def _send_batches(batches: Iterable[tuple[str, list[bytes]]]) -> None:
    for batch_id, paths in batches:
        send("metadata.extract_batch", [[os.fsdecode(path) for path in paths], batch_id])


class _TimeLimit:
    """Raises in a block that takes too long; one for the files of a batch, one after the other.

    Args:
        seconds: of one block.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    @contextmanager
    def handler(self) -> Iterator[None]:
        """Take the alarm signal while the block runs (Celery itself uses other signals)."""
        previous = signal.signal(signal.SIGALRM, self._on_alarm)
        try:
            yield
        finally:
            signal.signal(signal.SIGALRM, previous)

    def __enter__(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, self.seconds)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    @staticmethod
    def _on_alarm(_signal: int, _frame: Any) -> None:
        raise _ReadingTookTooLongError
