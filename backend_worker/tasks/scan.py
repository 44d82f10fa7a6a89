"""Queue ``scan``: find what is new, changed, moved and gone below a folder."""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from celery.exceptions import SoftTimeLimitExceeded

from backend_worker.config import get_config
from backend_worker.library.discovery import Verdict, compare
from backend_worker.library.paths import quoted, shown
from backend_worker.library.roots import normalise
from backend_worker.library.settling import Freshness, Watched, look_at
from backend_worker.library.tags import AUDIO_EXTENSIONS
from backend_worker.library.walk import RootUnusableError, Walk
from backend_worker.progress import events, figures
from backend_worker.storage import batches, roots, scans, walks
from backend_worker.storage.connection import DatabaseUnusableError
from backend_worker.tasks import touch
from backend_worker.tasks.arguments import ArgumentError, as_ids
from backend_worker.tasks.base import PipelineTask, send_paths, task
from backend_worker.tasks.followup import abandon_scan, end_scan_if_done

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend_worker.library.settling import Facts
    from backend_worker.library.walk import Found

logger = logging.getLogger(__name__)

# Between two looks at whether the scan was cancelled, which also record its figures.
REPORT_SECONDS = 1.0
# More folders that cannot be read than this are counted, not listed.
MOST_ERRORS_KEPT = 1000


class DiscoveryTask(PipelineTask):
    """Ends its scan as failed when it fails for a reason that will not pass."""

    abstract = True

    def on_failure(
        self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: Any
    ) -> None:
        """End the scan; nothing in the library changes."""
        super().on_failure(exc, task_id, args, kwargs, einfo)
        unusable = isinstance(exc, DatabaseUnusableError)
        why = str(exc) if unusable else f"internal error: {type(exc).__name__}: {exc}"
        with suppress(DatabaseUnusableError):  # not even that can be asked: it is in the log
            scan_id = scans.of_task(task_id)
            if scan_id is not None:
                abandon_scan(scan_id, why)


@task("scan.discovery", base=DiscoveryTask, bind=True)
def discovery(self: PipelineTask, directory: str, progress_callback: object = None) -> None:
    """Walk a folder, send what must be read to the ``extract`` queue in batches.

    A second scan of an overlapping folder does not start; the log and an event say which
    one runs. Delivered again after a crash, the task goes on with the scan it had begun.

    Args:
        self: the task, whose id tells a second delivery from a second scan.
        directory: the folder (text; surrogateescape for bytes that are not UTF-8).
        progress_callback: ignored; clients of the earlier system may send one.

    Raises:
        ArgumentError: the directory is empty or no text.
    """
    del progress_callback
    if not directory or not isinstance(directory, str):
        raise ArgumentError("scan.discovery needs a folder")
    root = normalise(os.fsencode(directory))
    try:
        if scans.of_task(self.request.id) is None:
            roots.refuse_another_name(root)
        scan_id = scans.begin(root, self.request.id)
    except (roots.SameFolderError, scans.ScanRunningError) as error:
        logger.warning("scan of %s not started: %s", quoted(directory), error)
        running = error.scan_id if isinstance(error, scans.ScanRunningError) else None
        events.publish("scan.refused", running, directory=shown(directory), reason=str(error))
        return
    with walks.walking(scan_id) as mine:
        if not mine:
            logger.info("scan %d is being walked by another process already", scan_id)
            return
        if scans.needs_walk(scan_id):
            try:
                touch.check(root)
                _Discovery(scan_id, root).run()
            except touch.FolderHangsError as error:
                # not tried again and again: the worker asks for it when the folder answers
                logger.debug("scan %d waits: %s", scan_id, error)
                return
    end_scan_if_done(scan_id)


@task("scan.finish")
def finish(scan_id: int) -> None:
    """End the scan if nothing of it is under way; otherwise the last batch will."""
    for number in as_ids(scan_id):
        end_scan_if_done(number)


@task("scan.revoked")
def revoked(task_ids: list[str], batch_id: str | None = None) -> None:
    """End the scans that these messages began; a batch is left to the next scan.

    Args:
        task_ids: of messages that somebody has revoked.
        batch_id: the batch that such a message was about.

    Raises:
        ArgumentError: the ids are no list.
    """
    if not isinstance(task_ids, list):
        raise ArgumentError("task_ids is a list of ids")
    ended = {batches.drop_batch(batch_id)} if batch_id else set()
    for scan_id in filter(None, map(scans.of_task, task_ids)):
        if scans.cancel(scan_id, "cancelled: its task was revoked"):
            logger.warning("scan %d is cancelled: its task was revoked", scan_id)
        ended.add(scan_id)
    for scan_id in filter(None, ended):
        end_scan_if_done(scan_id)


class _Discovery:
    """The walk of one scan."""

    def __init__(self, scan_id: int, root: bytes) -> None:
        self.scan_id = scan_id
        self.root = root
        self.config = get_config()
        self.walk = Walk(root, AUDIO_EXTENSIONS, look=touch.begin)
        self.counts = walks.WalkCounts()
        self.found = self.unchanged = self.failed = self.fresh = 0
        self.path = root  # the last that was found
        self.watched = Watched(self.config.settle_seconds, _look_at)
        self.batch: list[bytes] = []
        self.next_batch = 1
        self.missing: list[tuple[bytes, int]] = []
        self.reported = time.monotonic()

    def run(self) -> None:
        """Walk, compare, send batches, and record how the walk ended."""
        root = shown(self.root)
        logger.info("scan %d of %s started", self.scan_id, root)
        events.publish("scan.started", self.scan_id, root=root)
        figures.begin(self.scan_id, root)
        walks.begin_walk(self.scan_id)
        self.next_batch = batches.next_batch_number(self.scan_id)
        try:
            if not self._compare():
                logger.info("scan %d was cancelled", self.scan_id)
                return
        except RootUnusableError as error:
            abandon_scan(self.scan_id, f"nothing was changed: {error}")
            return
        if self.found == 0 and self.missing:
            abandon_scan(
                self.scan_id,
                f"nothing was changed: {shown} holds no music at all, though "
                f"{len(self.missing)} files of it are known; is the disk mounted? "
                "If they were deleted on purpose, leave one music file there and scan again",
            )
            return
        self._send_batch()
        self._end()
        logger.info(
            "scan %d: the walk has ended, %d files found in %d folders, %d of them are known",
            self.scan_id,
            self.found,
            self.counts.directories,
            self.counts.unchanged,
        )

    def _compare(self) -> bool:
        """Sort the files by what is to be done; False when the scan was cancelled."""
        with touch.looking_at(self.root):
            judge = Freshness(self.root, self.config.settle_seconds).verdict
        verdicts = compare(
            self._files(),
            walks.known_files(self.root),
            scan_id=self.scan_id,
            judge=judge,
            under_way=batches.paths_under_way(self.scan_id),
        )
        for verdict, path, file_id in verdicts:
            if verdict is Verdict.MISSING:
                self.missing.append((path, file_id))
                continue
            self.found += 1
            self.path = path
            self._take(verdict, path)
            if self.watched.is_due() and not self._look_again():
                return False
            if not self._go_on():
                return False
        while self.watched:
            if not self._look_again():
                return False
            self._tell_walk()
            if self._report_is_due() and not self._report():
                return False
        self._tell_walk()
        return True

    def _files(self) -> Iterator[Found]:
        """Yield what the walk finds, and say while it looks what it looks at.

        Raises:
            FolderHangsError: the time limit of the task has passed in one look.
        """
        files = self.walk.files()
        while True:
            asked = time.monotonic()
            touch.begin(self.path)
            try:
                found = next(files, None)
            except SoftTimeLimitExceeded as error:
                waited = time.monotonic() - asked
                limit = self.config.task_soft_time_limit / 2
                if waited < min(self.config.hang_seconds, limit):
                    raise
                raise touch.FolderHangsError(touch.sentence(self.root, waited)) from error
            finally:
                touch.end()
            if found is None:
                return
            yield found

    def _take(self, verdict: Verdict, path: bytes) -> None:
        if verdict is Verdict.UNCHANGED:
            self.unchanged += 1
        elif verdict is Verdict.READ:
            self.batch.append(path)
        elif verdict is Verdict.FAILED:
            self.failed += 1
        elif verdict is Verdict.FRESH or (verdict is Verdict.WATCH and not self.watched.add(path)):
            self.fresh += 1

    def _look_again(self) -> bool:
        """Read the watched files that stayed as they were; False when the scan was cancelled."""
        for path, settled in self.watched.second_look(REPORT_SECONDS):
            self._take(Verdict.READ if settled else Verdict.FRESH, path)
            if not self._go_on():
                return False
        return True

    def _go_on(self) -> bool:
        """Send a full batch, report now and then; False when the scan was cancelled."""
        full = len(self.batch) >= self.config.batch_size
        if not full and not (self.found % 100 == 0 and self._report_is_due()):
            return True
        self._tell_walk()
        return self._send_batch() if full else self._report()

    def _tell_walk(self) -> None:
        self.counts = replace(
            self._walk_counts(),
            unchanged=self.unchanged,
            failed=self.failed,
            ignored=self.fresh,
        )

    def _walk_counts(self) -> walks.WalkCounts:
        return walks.WalkCounts(
            directories=self.walk.directories,
            other_files=self.walk.other_files,
            error_count=len(self.walk.errors),
            left_out=self.walk.left_out,
        )

    def _report_is_due(self) -> bool:
        return time.monotonic() - self.reported >= REPORT_SECONDS

    def _report(self) -> bool:
        self._tell_figures()
        return walks.update_counts(self.scan_id, self.counts)

    def _tell_figures(self) -> None:
        self.reported = time.monotonic()
        figures.write(
            self.scan_id,
            folder=shown(os.path.dirname(self.path)),
            found=self.found,
            unchanged=self.counts.unchanged,
            ignored=self.counts.ignored,
        )

    def _send_batch(self) -> bool:
        """Record a batch, then send it; False when the scan was cancelled."""
        if not self.batch:
            return True
        batch_id = f"scan-{self.scan_id}-{self.next_batch}"
        if not batches.add_batch(self.scan_id, batch_id, self.batch, self.counts):
            return False
        send_paths(batch_id, self.batch)
        self.next_batch += 1
        self.batch = []
        self._tell_figures()
        return True

    def _end(self) -> None:
        errors = self.walk.errors
        complete = not errors
        for path, reason in errors[:10]:
            logger.warning("scan %d could not look into %s: %s", self.scan_id, quoted(path), reason)
        missing = self.missing
        if complete:
            missing = self._without_unplugged(errors)
            walks.set_mount_points(self.root, self.walk.mount_points)
        elif missing:
            logger.warning(
                "scan %d met %d errors: its %d missing files are not taken for gone",
                self.scan_id,
                len(errors),
                len(missing),
            )
        walks.name_left_out(self.scan_id, self.walk.left_out_paths)
        walks.end_walk(
            self.scan_id,
            self.counts,
            complete=complete,
            missing=[file_id for _, file_id in missing],
            errors=errors[:MOST_ERRORS_KEPT],
        )

    def _without_unplugged(self, errors: list[tuple[bytes, str]]) -> list[tuple[bytes, int]]:
        """Keep the files below what was a mount point last time and is none now."""
        unplugged = sorted(walks.mount_points(self.root) - set(self.walk.mount_points))
        missing = self.missing
        for path in unplugged:
            below = path.rstrip(b"/") + b"/"
            kept = [row for row in missing if row[0].startswith(below)]
            if kept:
                missing = [row for row in missing if not row[0].startswith(below)]
                # it stays remembered as a mount point until its files are back
                self.walk.mount_points[path] = 0
                reason = f"is not mounted any more: its {len(kept)} missing files are kept"
                errors.append((path, reason))
                logger.warning("scan %d: %s %s", self.scan_id, quoted(path), reason)
        return missing


def _look_at(path: bytes) -> Facts | None:
    with touch.looking_at(path):
        return look_at(path)
