"""Queue ``extract``: read tags, audio properties and embedded pictures of a batch of files.

What was read is grouped and stored in the same process, unless the setting ``store_where_read``
sends it on through the queues ``batch`` and ``insert``.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from celery.exceptions import SoftTimeLimitExceeded

from backend_worker.celery_app import app
from backend_worker.config import get_config
from backend_worker.library.artwork.store import CoverStore
from backend_worker.library.grouping import group
from backend_worker.library.model import FailedFile, TrackRecord, mtime_of
from backend_worker.library.paths import quoted
from backend_worker.library.settling import facts_of, is_fresh
from backend_worker.library.tags import FileOutOfReachError, UnreadableFile, read_track
from backend_worker.library.walk import LONGEST_PATH
from backend_worker.storage import batches
from backend_worker.storage.maintenance import READ_AGAIN
from backend_worker.tasks import touch
from backend_worker.tasks.arguments import as_paths
from backend_worker.tasks.base import chunks, send, send_paths, task
from backend_worker.tasks.batch_task import BatchTask
from backend_worker.tasks.delivery import counted_delivery
from backend_worker.tasks.insert import follow_again, store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from backend_worker.library.settling import Facts

logger = logging.getLogger(__name__)

# Covers of so many files are brought onto the disk at once; each waits as an open file.
COVERS_TOGETHER = 100
# Reading that took too long, and this part of it at the processor, would do so again: an ordinary
# file takes a thousandth, and on a busy board a reader that is caught in it does not get much more.
AT_WORK = 0.05
# Processor time after which reading one file is given up, in seconds: a damaged file that its
# reader goes round in must not keep a core for as long as a disk may take to spin up.
PROCESSOR_SECONDS = 5.0


class _ReadingTookTooLongError(Exception):
    """Raised by the alarm within the reading of one file; ``at_work`` says of what kind it was."""

    def __init__(self, seconds: float, *, at_work: bool) -> None:
        super().__init__(seconds, at_work)
        self.seconds = seconds
        self.at_work = at_work


@task("metadata.extract_batch", base=BatchTask, reads_files=True)
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
    if state is None or batches.scan_of(batch_id) is None:
        state = batches.adopt_batch(batch_id, paths)
    if state != "pending":
        logger.debug("batch %s is %s: nothing to read", batch_id, state)
        # its process may have died before it sent what follows
        if state == "done":
            follow_again(batch_id, paths)
        elif state == "split":
            _send_batches(batches.pending_halves(batch_id))
        scan_id = batches.scan_of(batch_id)
        if scan_id is not None:
            send("scan.finish", [scan_id])
        return
    if _is_left_alone(batch_id, paths):
        return
    with counted_delivery(batch_id) as count:
        if count > get_config().max_deliveries:
            _isolate(batch_id, file_paths)
        else:
            _read_batch(batch_id, file_paths)


def _is_left_alone(batch_id: str, paths: Iterable[bytes]) -> bool:
    """Say whether a batch of a scan lies in a folder that hangs.

    It stays on record then, and is sent again when the folder answers.

    Raises:
        FolderHangsError: a client's batch does; it is tried again and again.
    """
    try:
        for folder in {os.path.dirname(path) for path in paths}:
            touch.check(folder)
    except touch.FolderHangsError:
        if batches.scan_of(batch_id) is None:
            raise
        return True
    return False


def _read_batch(batch_id: str, file_paths: Sequence[str]) -> None:
    # a client says itself when a file is ready; a scan finds what others are still writing
    settle_seconds = 0.0 if batches.scan_of(batch_id) is None else get_config().settle_seconds
    try:
        _hand_on(batch_id, *read_files(file_paths, settle_seconds))
    except SoftTimeLimitExceeded:
        if len(file_paths) == 1:
            raise
        # a disk did not answer for long: no fault of so many files
        logger.warning("batch %s took too long to read: split", batch_id)
        _send_batches(batches.split_batch(batch_id))


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
    send("batch.process_entities", [message, batch_id], batch_id=batch_id)


def read_files(
    file_paths: Sequence[str], settle_seconds: float = 0.0
) -> tuple[list[TrackRecord], list[FailedFile], int]:
    """Read the files one by one; return tracks, failures, and how many are left for later.

    A file that vanished, or that changes while it is read, is left for the next scan.

    Args:
        file_paths: paths as text (surrogateescape for bytes that are not UTF-8).
        settle_seconds: one written less than this long ago is left for the next scan too.
    """
    limit = _TimeLimit(get_config().read_timeout_seconds)
    covers = CoverStore(get_config().cover_dir)
    tracks: list[TrackRecord] = []
    failures: list[FailedFile] = []
    ignored = 0
    with limit.handler(), touch.until_answered():
        for part in chunks(file_paths, COVERS_TOGETHER):
            # the limit is one of reading, and must not cut the covers of other files off
            with covers.together():
                found = _read_files(part, limit, covers.put, settle_seconds)
            tracks += found[0]
            failures += found[1]
            ignored += found[2]
    return tracks, failures, ignored


def _read_files(
    file_paths: Sequence[str],
    limit: _TimeLimit,
    store_picture: Callable[[bytes], str],
    settle_seconds: float,
) -> tuple[list[TrackRecord], list[FailedFile], int]:
    results = [_read_file(path, limit, store_picture, settle_seconds) for path in file_paths]
    touch.end()
    return (
        [result for result in results if isinstance(result, TrackRecord)],
        [result for result in results if isinstance(result, FailedFile)],
        results.count(None),
    )


def _read_file(
    path: str,
    limit: _TimeLimit,
    store_picture: Callable[[bytes], str],
    settle_seconds: float,
) -> TrackRecord | FailedFile | None:
    """Read one file; None if it is left for the next scan.

    What says nothing about the file and passes by itself, such as an unplugged disk, is recorded
    without the file's time of change: so the next scan reads it again.
    """
    if "\0" in path or len(os.fsencode(path)) > LONGEST_PATH:
        logger.warning("not a usable path: %.200s", quoted(path))  # a scan sends none
        return None
    touch.begin(os.fsencode(path))
    try:
        before = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return FailedFile(path, 0, READ_AGAIN, f"cannot be opened: {error.strerror}")
    if is_fresh(time.time_ns() - before.st_mtime_ns, settle_seconds):
        return None  # it has been written to since the walk met it
    result = _read_known(path, before, limit, store_picture)
    return None if _changed_since(path, facts_of(before)) else result


def _read_known(
    path: str,
    before: os.stat_result,
    limit: _TimeLimit,
    store_picture: Callable[[bytes], str],
) -> TrackRecord | FailedFile | None:
    facts = (path, before.st_size, mtime_of(before))
    passes = (path, before.st_size, READ_AGAIN)
    try:
        with limit:
            return read_track(*facts, store_picture=store_picture)
    except FileNotFoundError:
        return None
    except FileOutOfReachError as error:
        return FailedFile(*passes, str(error))
    except UnreadableFile as error:
        return FailedFile(*facts, str(error))
    except _ReadingTookTooLongError as error:
        if error.at_work:
            return FailedFile(*facts, f"reading it took longer than {error.seconds:g} s")
        return FailedFile(*passes, f"its disk did not answer within {error.seconds:g} s")


def _changed_since(path: str, before: Facts) -> bool:
    try:
        return facts_of(os.stat(path)) != before
    except OSError:
        return True


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
        logger.warning("%s kills its reader: recorded as failed", quoted(path))
        try:
            with touch.looking_at(os.fsencode(path)):
                status = os.stat(path)
        except OSError:
            continue
        reason = "its reader crashed each time; the file is probably damaged"
        failures.append(FailedFile(path, status.st_size, mtime_of(status), reason))
    _hand_on(batch_id, [], failures, len(file_paths) - len(failures))


def _send_batches(batches: Iterable[tuple[str, list[bytes]]]) -> None:
    for batch_id, paths in batches:
        send_paths(batch_id, paths)


class _TimeLimit:
    """Raises in a block that takes too long; one for the files of a batch, one after the other.

    It tells a block that worked from one that waited, which is not the file's fault: for a disk
    that spins up or was unplugged, for a server, for its turn at the processor. One that works
    is given up after ``PROCESSOR_SECONDS`` of processor time.

    Args:
        seconds: of one block.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._at_work = min(PROCESSOR_SECONDS, seconds)
        self._worked_before = 0.0

    @contextmanager
    def handler(self) -> Iterator[None]:
        """Take the alarm signals while the block runs (Celery itself uses other signals)."""
        handlers = {signal.SIGALRM: self._on_alarm, signal.SIGPROF: self._on_work}
        previous = {number: signal.signal(number, take) for number, take in handlers.items()}
        try:
            yield
        finally:
            for number, take in previous.items():
                signal.signal(number, take)

    def __enter__(self) -> None:
        self._worked_before = time.process_time()
        signal.setitimer(signal.ITIMER_REAL, self.seconds)
        signal.setitimer(signal.ITIMER_PROF, self._at_work)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _on_alarm(self, _signal: int, _frame: Any) -> None:
        worked = time.process_time() - self._worked_before
        raise _ReadingTookTooLongError(self.seconds, at_work=worked >= self.seconds * AT_WORK)

    def _on_work(self, _signal: int, _frame: Any) -> None:
        raise _ReadingTookTooLongError(self._at_work, at_work=True)
